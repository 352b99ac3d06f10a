"""Stops (止付) and the kill switch: every debit on every channel is refused until it is lifted.

Placing one needs no proof and can be repeated; lifting one is a loosening. The kill switch stops
all cards of a person at once, and lifting it leaves stops that were placed otherwise.
"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from zhiwei.core.card_state import CardState, Stop, StopSource
from zhiwei.core.command import LiftStop, PlaceStop
from zhiwei.core.entry import Entry
from zhiwei.core.ids import card_id
from zhiwei.core.result import Rejection, Result
from zhiwei.gateways.http.caller import (
    EVERYBODY,
    Caller,
    TheCaller,
    TheHouse,
    reachable_card,
    reachable_cardholder,
)
from zhiwei.gateways.http.cardholders import CardholderPath
from zhiwei.gateways.http.commands import carried_out, change_command, state_after
from zhiwei.gateways.http.controls import CardPath
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.idempotency import digest_for
from zhiwei.gateways.http.journal import cards_of
from zhiwei.gateways.http.problems import Problem, problem_of_rejection
from zhiwei.gateways.http.replies import REPLAYED, replayed, reply
from zhiwei.gateways.http.shapes import Body, CardId, Instant, Shape
from zhiwei.gateways.http.times import instant_text

router = APIRouter(prefix="/v1", tags=["Stops"], route_class=Gate)

Source = Literal["app", "sms", "challenge", "issuer", "kill_switch", "contact"]


class StopBody(Body):
    """Who asked for it, where an issuer key speaks for the cardholder."""

    source: Literal["app", "issuer"] | None = Field(
        default=None, description="Default: `app` for a cardholder key, else `issuer`."
    )


class StopShape(Shape):
    """A stop."""

    object: Literal["stop"]
    card: CardId
    active: bool
    since: Instant | None
    source: Source | None
    reference: str | None = Field(description="What the cardholder can quote.")


class KillSwitchShape(Shape):
    """All cards of a person, and which of them are stopped."""

    object: Literal["kill_switch"]
    cardholder: str
    active: bool
    cards: list[StopShape]


@router.post("/cards/{card}/stop", **call(EVERYBODY, StopShape), summary="Stop a card")
async def place(
    request: Request,
    house: TheHouse,
    caller: TheCaller,
    card: CardPath,
    body: StopBody | None = None,
) -> Response:
    """Refuse every debit from now on. A card that is stopped stays stopped by the first stop."""
    state = reachable_card(house, caller, card)
    change = PlaceStop(_source(caller, body))
    key = digest_for(request, caller, "stop")
    result = await carried_out(house, change_command(caller, state.card_key, change, key))
    if result.is_repeat and result.entry is not None:
        return reply(_as_placed(state.card_key, result.entry), headers={REPLAYED: "true"})
    return reply(stop_document(state_after(house, result, state.card_key)))


@router.get("/cards/{card}/stop", **call(EVERYBODY, StopShape), summary="Read a card's stop")
async def read(house: TheHouse, caller: TheCaller, card: CardPath) -> Response:
    """The stop, while there is one."""
    state = reachable_card(house, caller, card)
    if state.settings.stop is None:
        raise Problem("stop_not_found")
    return reply(stop_document(state))


@router.delete("/cards/{card}/stop", **call(EVERYBODY, StopShape), summary="Lift a card's stop")
async def lift(house: TheHouse, caller: TheCaller, card: CardPath) -> Response:
    """Lift the stop, however it was placed; a loosening."""
    state = reachable_card(house, caller, card)
    result = await carried_out(house, change_command(caller, state.card_key, LiftStop()))
    return reply(stop_document(state_after(house, result, state.card_key)))


@router.post(
    "/cardholders/{cardholder}/kill_switch",
    **call(EVERYBODY, KillSwitchShape),
    summary="Stop all cards of a person",
)
async def pull(
    request: Request, house: TheHouse, caller: TheCaller, cardholder: CardholderPath
) -> Response:
    """Stop all cards at once, all or none; cards that are stopped already stay so.

    A card that is registered for the person while the switch is pulled is stopped from the start.
    """
    holder = reachable_cardholder(house, caller, cardholder)
    key = digest_for(request, caller, "kill_switch")
    change = PlaceStop(StopSource.KILL_SWITCH)
    results: list[Result] = []
    reached: set[bytes] = set()
    # Once more for cards that were registered meanwhile.
    for _ in range(2):
        states = [s for s in cards_of(house, holder.id) if s.card_key not in reached]
        reached.update(s.card_key for s in states)
        commands = [change_command(caller, s.card_key, change, key) for s in states]
        results += await house.submit(commands) if commands else []
        _check(results, ())
    was_done = any(result.is_repeat and result.entry is not None for result in results)
    document = _kill_switch(holder.id, cards_of(house, holder.id))
    return reply(document, headers=replayed(was_done))


@router.get(
    "/cardholders/{cardholder}/kill_switch",
    **call(EVERYBODY, KillSwitchShape),
    summary="Read the kill switch",
)
async def read_switch(house: TheHouse, caller: TheCaller, cardholder: CardholderPath) -> Response:
    """All cards of the person, while the kill switch holds any of them."""
    holder = reachable_cardholder(house, caller, cardholder)
    document = _kill_switch(holder.id, cards_of(house, holder.id))
    if not document["active"]:
        raise Problem("stop_not_found", "the kill switch is not pulled")
    return reply(document)


@router.delete(
    "/cardholders/{cardholder}/kill_switch",
    **call(EVERYBODY, KillSwitchShape),
    summary="Lift the kill switch",
)
async def release(house: TheHouse, caller: TheCaller, cardholder: CardholderPath) -> Response:
    """Lift what the kill switch stopped, all or none; other stops stay."""
    holder = reachable_cardholder(house, caller, cardholder)
    change = LiftStop(only_source=StopSource.KILL_SWITCH)
    states = [s for s in cards_of(house, holder.id) if _is_by_switch(s)]
    if not states:
        raise Problem("stop_not_found", "the kill switch is not pulled")
    results = await house.submit([change_command(caller, s.card_key, change) for s in states])
    _check(results, (Rejection.STOP_NOT_FOUND,))
    return reply(_kill_switch(holder.id, cards_of(house, holder.id)))


def kill_switch_stands(house: House, cardholder: str) -> bool:
    """Whether the kill switch of a person holds any of their cards."""
    return any(_is_by_switch(state) for state in cards_of(house, cardholder))


def stop_document(state: CardState) -> Document:
    """A card's stop as the API shows it."""
    return document_of_stop(state.card_key, state.settings.stop)


def document_of_stop(card_key: bytes, stop: Stop | None) -> Document:
    """A stop, or that there is none, as the API shows it."""
    return {
        "object": "stop",
        "card": card_id(card_key),
        "active": stop is not None,
        "since": None if stop is None else instant_text(stop.since_ms),
        "source": None if stop is None else stop.source.name.lower(),
        "reference": None if stop is None else stop.reference,
    }


def _as_placed(card_key: bytes, entry: Entry) -> Document:
    """The stop as it was placed by an earlier command, for its repeat."""
    change = entry.command.change
    assert isinstance(change, PlaceStop), "the key names this operation"
    return {
        "object": "stop",
        "card": card_id(card_key),
        "active": True,
        "since": instant_text(entry.now_ms),
        "source": change.source.name.lower(),
        "reference": entry.note,
    }


def _kill_switch(cardholder: str, states: list[CardState]) -> Document:
    return {
        "object": "kill_switch",
        "cardholder": cardholder,
        "active": any(_is_by_switch(state) for state in states),
        "cards": [stop_document(state) for state in states],
    }


def _is_by_switch(state: CardState) -> bool:
    stop = state.settings.stop
    return stop is not None and stop.source is StopSource.KILL_SWITCH


def _source(caller: Caller, body: StopBody | None) -> StopSource:
    """By whose wish; a cardholder key speaks for itself only."""
    if body is not None and body.source is not None and caller.is_staff:
        return StopSource[body.source.upper()]
    return StopSource.ISSUER if caller.is_staff else StopSource.APP


def _check(results: list[Result], tolerated: tuple[Rejection, ...]) -> None:
    """Raise for the first result that was rejected for a reason that is not tolerated."""
    for result in results:
        if result.rejection is not None and result.rejection not in tolerated:
            raise problem_of_rejection(result.rejection)

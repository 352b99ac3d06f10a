"""`/v1/bindings`: payment institutions linked to a card (快捷支付签约).

Linking asks the card's controls, like any request. Closing and unlinking tighten; opening loosens.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from zhiwei.core.card_state import Binding, CardState
from zhiwei.core.command import RemoveBinding, SwitchBinding
from zhiwei.core.finding import Outcome
from zhiwei.core.ids import card_id, entry_of
from zhiwei.core.request import Channel, Kind, Medium
from zhiwei.core.request import Request as Message
from zhiwei.gateways.http.caller import (
    EVERYBODY,
    ISSUER_ONLY,
    Caller,
    TheCaller,
    TheHouse,
    as_of_now,
    reachable_card,
    reachable_cardholder,
)
from zhiwei.gateways.http.card_messages import WhichCard, card_key_in, transmission_time
from zhiwei.gateways.http.commands import (
    carried_out,
    change_command,
    decided,
    entry_in,
    message_command,
    state_after,
)
from zhiwei.gateways.http.decisions import Decision
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.idempotency import digest_for
from zhiwei.gateways.http.journal import cards_of
from zhiwei.gateways.http.pagination import ThePage, listed, page_of_sorted
from zhiwei.gateways.http.problems import Fault, Problem
from zhiwei.gateways.http.replies import replayed, reply
from zhiwei.gateways.http.shapes import Body, CardId, Instant, Line, ListOf, Shape, Token
from zhiwei.gateways.http.times import instant_text

router = APIRouter(prefix="/v1/bindings", tags=["Bindings"], route_class=Gate)

BindingPath = Annotated[str, Path(max_length=80, description="Id of the binding.")]


class BindingBody(WhichCard):
    """A payment institution asks to link the card."""

    institution: Line = Field(description="Number or name of the payment institution (支付机构).")
    name: Line | None = Field(default=None, description="Its name, as the cardholder knows it.")
    stan: Token | None = None
    rrn: Token | None = None
    terminal: Token | None = None
    acquirer: Token | None = None
    transmitted_at: Annotated[str, Field(max_length=40)] | None = None


class BindingChange(Body):
    """The cardholder's switch for this institution."""

    open: bool


class BindingDecision(Decision):
    """The decision about a link."""

    binding: str | None = Field(description="Id of the link, if there is one now.")


class BindingShape(Shape):
    """A payment institution that is linked to a card."""

    object: Literal["binding"]
    id: str
    card: CardId
    institution: str
    name: str | None
    open: bool = Field(description="The cardholder's switch for its debits.")
    licensed: bool = Field(description="Whether the issuer knows it as licensed (支付业务许可证).")
    since: Instant


class BindingRemoved(Shape):
    """A link that was removed."""

    object: Literal["binding"]
    id: str
    card: CardId
    deleted: Literal[True]


@router.post("", **call(ISSUER_ONLY, BindingDecision), summary="Link a payment institution")
async def bind(request: Request, house: TheHouse, caller: TheCaller, body: BindingBody) -> Response:
    """Decide whether the institution may link the card; 200 for an approval and for a decline."""
    card_key = card_key_in(house, body)
    message = Message(
        kind=Kind.BINDING,
        channel=Channel.QUICK_PAY,
        medium=Medium.NONE,
        institution=body.institution,
        merchant_name=body.name or "",
        acquirer=body.acquirer or "",
        terminal=body.terminal or "",
        rrn=body.rrn or "",
        stan=body.stan or "",
        transmitted_at=transmission_time(body.transmitted_at),
    )
    key = digest_for(request, caller, "bindings")
    command = message_command(caller, card_key, message, idempotency_key=key)
    result = await carried_out(house, command)
    entry = entry_in(result)
    link = None
    if entry.outcome is Outcome.APPROVE:
        link = _linked(result.state or state_after(house, result, card_key), body.institution)
    document = {**decided(house, result, card_key), "binding": link}
    return reply(document, headers=replayed(result.is_repeat))


@router.get("", **call(EVERYBODY, ListOf[BindingShape]), summary="List links")
async def list_bindings(
    house: TheHouse,
    caller: TheCaller,
    page: ThePage,
    card: Annotated[str, Query(max_length=80, description="Of one card.")] = "",
    cardholder: Annotated[str, Query(max_length=80, description="Of all cards of one.")] = "",
) -> Response:
    """Of one card, or of all cards of one person."""
    pairs = [
        (state, binding)
        for state in named_cards(house, caller, card, cardholder)
        for binding in state.settings.bindings
        if not binding.removed_ms
    ]
    rows, has_more = page_of_sorted(page, pairs, lambda pair: pair[1].id)
    return reply(listed([binding_document(*pair) for pair in rows], has_more))


@router.get("/{binding}", **call(EVERYBODY, BindingShape), summary="Read a link")
async def read(house: TheHouse, caller: TheCaller, binding: BindingPath) -> Response:
    """One link."""
    return reply(binding_document(*_known(house, caller, binding)))


@router.patch("/{binding}", **call(EVERYBODY, BindingShape), summary="Open or close its debits")
async def switch(
    house: TheHouse, caller: TheCaller, binding: BindingPath, body: BindingChange
) -> Response:
    """Closing acts at once; opening is a loosening."""
    state, known = _known(house, caller, binding)
    change = SwitchBinding(known.id, body.open)
    result = await carried_out(house, change_command(caller, state.card_key, change))
    after = state_after(house, result, state.card_key)
    return reply(binding_document(after, _named(after, known.id) or known))


@router.delete("/{binding}", **call(EVERYBODY, BindingRemoved), summary="Unlink")
async def remove(house: TheHouse, caller: TheCaller, binding: BindingPath) -> Response:
    """Its debits are refused until it asks to link the card again; a tightening."""
    state, known = _known(house, caller, binding)
    await carried_out(house, change_command(caller, state.card_key, RemoveBinding(known.id)))
    card = card_id(state.card_key)
    return reply({"object": "binding", "id": known.id, "card": card, "deleted": True})


def named_cards(house: House, caller: Caller, card: str, cardholder: str) -> list[CardState]:
    """The cards that a list is about, as they are now: one card, or all of one person.

    Raises:
        Problem: neither is named by a key that reaches everybody; not found.
    """
    if card:
        return [reachable_card(house, caller, card)]
    person = cardholder or caller.only_cardholder
    if not person:
        detail = "name a `card` or a `cardholder`"
        raise Problem("malformed_request", detail, errors=(Fault("", "missing", detail),))
    holder = reachable_cardholder(house, caller, person)
    return [as_of_now(house, state) for state in cards_of(house, holder.id)]


def binding_document(state: CardState, binding: Binding) -> Document:
    """A link as the API shows it."""
    return {
        "object": "binding",
        "id": binding.id,
        "card": card_id(state.card_key),
        "institution": binding.institution,
        "name": binding.name or None,
        "open": binding.is_open,
        "licensed": binding.is_licensed,
        "since": instant_text(binding.since_ms),
    }


def _linked(state: CardState, institution: str) -> str | None:
    """Id of the link to an institution."""
    for binding in state.settings.bindings:
        if binding.institution == institution:
            return binding.id
    return None


def _known(house: House, caller: Caller, binding: str) -> tuple[CardState, Binding]:
    """The card and the link of an id.

    Raises:
        Problem: `binding_not_found`.
    """
    named = entry_of("bind", binding)
    state = None if named is None else house.reader.card(named[0])
    if state is None or not caller.may_reach(state.settings.profile.cardholder):
        raise Problem("binding_not_found")
    current = as_of_now(house, state)
    found = _named(current, binding)
    if found is None:
        raise Problem("binding_not_found")
    return current, found


def _named(state: CardState, binding: str) -> Binding | None:
    for known in state.settings.bindings:
        if known.id == binding and not known.removed_ms:
            return known
    return None

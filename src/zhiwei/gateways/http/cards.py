"""`/v1/cards`: the cards that are guarded. A number goes in once and is never shown again."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from zhiwei.core.card_state import CardState, CardStatus, Profile, StopSource
from zhiwei.core.command import PlaceStop, Register, UpdateCard
from zhiwei.core.controls import CONTROL_TYPES
from zhiwei.core.entry import LimitReport
from zhiwei.core.errors import ZhiweiError
from zhiwei.core.ids import card_id, card_key_of
from zhiwei.core.result import Audit
from zhiwei.core.zone import zone_named
from zhiwei.gateways.http.caller import (
    EVERYBODY,
    ISSUER_ONLY,
    STAFF,
    Caller,
    TheCaller,
    TheHouse,
    as_of_now,
    moment_of,
    reachable_card,
    reachable_cardholder,
)
from zhiwei.gateways.http.card_messages import known_currency
from zhiwei.gateways.http.commands import accepted, carried_out, change_command, state_after
from zhiwei.gateways.http.controls import CardPath
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.idempotency import Made, once
from zhiwei.gateways.http.pagination import Page, ThePage, bad_cursor, listed, page_of_sorted
from zhiwei.gateways.http.presentation import limit_document
from zhiwei.gateways.http.problems import Fault, Problem
from zhiwei.gateways.http.replies import reply
from zhiwei.gateways.http.shapes import (
    Body,
    CardId,
    Currency,
    Instant,
    LimitState,
    ListOf,
    Network,
    Pan,
    Shape,
)
from zhiwei.gateways.http.stops import kill_switch_stands
from zhiwei.gateways.http.times import instant_text
from zhiwei.ports import Cardholder

router = APIRouter(prefix="/v1/cards", tags=["Cards"], route_class=Gate)

Status = Literal["active", "closed", "lost", "frozen"]


class CardBody(Body):
    """A card to guard: its number, or the issuer's own token for it."""

    pan: Pan | None = None
    token: Annotated[str, Field(pattern=r"^[!-~]{1,64}$")] | None = Field(
        default=None, description="The issuer's own name of the card, in the number's place."
    )
    tail: Annotated[str, Field(pattern=r"^[0-9]{4}$")] | None = Field(
        default=None, description="Last four digits, for a token that does not end with them."
    )
    cardholder: Annotated[str, Field(max_length=80)] | None = Field(
        default=None, description="Id of a cardholder; without it a new one is made."
    )
    currency: Currency = Field(default="CNY", description="All its limits are in it.")
    time_zone: Annotated[str, Field(max_length=64)] = Field(
        default="Asia/Shanghai", description="IANA zone; midnight is this zone's."
    )
    has_chip: bool = True
    network: Network = "unionpay"


class CardChange(Body):
    """What the issuer says of the card; what is not given stays."""

    status: Status | None = Field(
        default=None, description="挂失 is `lost`, 冻结 is `frozen`; `closed` is for good."
    )
    has_chip: bool | None = None
    contact_is_new: bool = Field(
        default=False, description="The cardholder's device or number is new: loosenings wait."
    )


class CardShape(Shape):
    """A card that is guarded."""

    object: Literal["card"]
    id: CardId
    tail: str
    cardholder: str
    currency: str
    time_zone: str
    has_chip: bool
    network: str
    status: Status
    stopped: bool
    controls: list[str] = Field(description="Types of the controls that are set.")
    created_at: Instant


class LimitWithRest(LimitState):
    """How full a limit is, and what is left."""

    id: str = Field(description="Channel, measure and period, such as `atm.amount.day`.")
    remaining: int


@router.post("", **call(ISSUER_ONLY, CardShape, 201, s200=CardShape), summary="Register a card")
async def register(
    request: Request, house: TheHouse, caller: TheCaller, body: CardBody
) -> Response:
    """Begin to guard a card; 201. A card that is known already is left as it is: 200."""
    card_key, tail = _card_key(house, body)
    zone = zone_named(body.time_zone)
    currency = known_currency(body.currency, "/currency")

    async def work() -> Made:
        known = house.reader.card(card_key)
        if known is not None:
            return Made(card_document(as_of_now(house, known)), status=200)
        holder, records, audits = _cardholder(house, caller, body)
        if records:
            await house.keep(records, audits, caller.actor)
        profile = Profile(
            cardholder=holder.id,
            tail=tail,
            currency=currency,
            zone=zone,
            has_chip=body.has_chip,
            network=body.network,
            status=CardStatus.ACTIVE,
            created_ms=house.clock.now_ms(),
        )
        stands = kill_switch_stands(house, holder.id)
        commands = [change_command(caller, card_key, Register(profile))]
        if stands:
            commands.append(change_command(caller, card_key, PlaceStop(StopSource.KILL_SWITCH)))
        results = await house.submit(commands)
        result = accepted(results[0])
        if not stands and kill_switch_stands(house, holder.id):
            # It was pulled meanwhile, and may not have seen this card.
            stop = change_command(caller, card_key, PlaceStop(StopSource.KILL_SWITCH))
            results = [*results, *await house.submit([stop])]
        state = state_after(house, results[-1], card_key)
        return Made(card_document(state), status=200 if result.is_repeat else 201)

    return await once(request, house, caller, "cards", work)


@router.get("", **call(EVERYBODY, ListOf[CardShape]), summary="List cards")
async def list_cards(
    house: TheHouse,
    caller: TheCaller,
    page: ThePage,
    cardholder: Annotated[str, Query(max_length=80, description="Of one cardholder only.")] = "",
) -> Response:
    """In order of their ids; a cardholder key sees its own."""
    if cardholder:
        reachable_cardholder(house, caller, cardholder)
    states, has_more = _page(house, page, cardholder or caller.only_cardholder)
    return reply(listed([card_document(as_of_now(house, s)) for s in states], has_more))


@router.get("/{card}", **call(EVERYBODY, CardShape), summary="Read a card")
async def read(house: TheHouse, caller: TheCaller, card: CardPath) -> Response:
    """One card; never its number."""
    return reply(card_document(reachable_card(house, caller, card)))


@router.patch("/{card}", **call(STAFF, CardShape), summary="Say what state a card is in")
async def change(house: TheHouse, caller: TheCaller, card: CardPath, body: CardChange) -> Response:
    """Close, report lost (挂失), freeze (冻结) or make active; a closed card stays closed."""
    state = reachable_card(house, caller, card)
    status = None if body.status is None else CardStatus[body.status.upper()]
    wish = UpdateCard(status, body.has_chip, body.contact_is_new)
    result = await carried_out(house, change_command(caller, state.card_key, wish))
    return reply(card_document(state_after(house, result, state.card_key)))


@router.get("/{card}/limits", **call(EVERYBODY, ListOf[LimitWithRest]), summary="Limits now")
async def limits(house: TheHouse, caller: TheCaller, card: CardPath, page: ThePage) -> Response:
    """Used, limit, remaining and `resets_at` for each: the smaller of own limit and ceiling."""
    state = reachable_card(house, caller, card)
    documents = [_limit(row) for row in house.rooms.limits(state, moment_of(house, state))]
    rows, has_more = page_of_sorted(page, documents, lambda document: str(document["id"]))
    return reply(listed(rows, has_more))


def card_document(state: CardState) -> Document:
    """A card as the API shows it."""
    profile = state.settings.profile
    controls = state.settings.controls
    return {
        "object": "card",
        "id": card_id(state.card_key),
        "tail": profile.tail,
        "cardholder": profile.cardholder,
        "currency": profile.currency,
        "time_zone": profile.zone.name,
        "has_chip": profile.has_chip,
        "network": profile.network,
        "status": profile.status.name.lower(),
        "stopped": state.settings.stop is not None,
        "controls": [name for name in CONTROL_TYPES if controls.of_type(name) is not None],
        "created_at": instant_text(profile.created_ms),
    }


def _limit(report: LimitReport) -> Document:
    """How full a limit is, what is left, and a name that a cursor can be."""
    document = limit_document(report)
    parts = [document["channel"], document["measure"], document["period"]]
    if report.seconds:
        parts.append(str(report.seconds))
    left = max(report.limit - report.used, 0)
    return {"id": ".".join(parts), **document, "remaining": left}


def _card_key(house: House, body: CardBody) -> tuple[bytes, str]:
    """Key and tail of the card to register.

    Raises:
        Problem: neither or both of `pan` and `token`; a number that is none.
    """
    if (body.pan is None) == (body.token is None):
        detail = "give `pan` or `token`, and not both"
        code = "missing" if body.pan is None else "two_cards"
        raise Problem("malformed_request", detail, errors=(Fault("/pan", code, detail),))
    if body.token is not None:
        digits = body.token[-4:]
        tail = body.tail or (digits if len(digits) == 4 and digits.isdigit() else "")
        return house.vault.token_key(body.token), tail
    number = body.pan or ""
    try:
        return house.vault.new_card_key(number), number[-4:]
    except ZhiweiError as error:
        fault = Fault("/pan", "bad_card_number", str(error))
        raise Problem("not_allowed", str(error), errors=(fault,)) from None


def _cardholder(
    house: House, caller: Caller, body: CardBody
) -> tuple[Cardholder, tuple[Cardholder, ...], tuple[Audit, ...]]:
    """The cardholder of a new card, and what is to be kept if it is a new one."""
    if body.cardholder is not None:
        return reachable_cardholder(house, caller, body.cardholder), (), ()
    now_ms = house.clock.now_ms()
    holder = Cardholder(house.mint.new("holder", now_ms), now_ms)
    return holder, (holder,), (Audit("cardholder.registered", holder.id, "", "{}"),)


def _page(house: House, page: Page, cardholder: str) -> tuple[list[CardState], bool]:
    """A page of cards in order of their keys."""
    if page.ending_before:
        before = card_key_of(page.ending_before)
        if before is None:
            raise bad_cursor("ending_before")
        found = house.reader.cards(cardholder=cardholder, before=before, limit=page.limit + 1)
        return found[-page.limit :], len(found) > page.limit
    after = card_key_of(page.starting_after) if page.starting_after else b""
    if after is None:
        raise bad_cursor("starting_after")
    found = house.reader.cards(cardholder=cardholder, after=after, limit=page.limit + 1)
    return found[: page.limit], len(found) > page.limit

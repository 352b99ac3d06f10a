"""`/v1/cards/{card}/exceptions`: temporary passes and travel plans (临时放行、出行计划).

An exception lets something through that a lock of place or time, or a verification, would stop; it
never lifts a stop, a freeze, a limit or an issuer's rule. It is a loosening with an end.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from zhiwei.core.card_state import CardState, Permission, PermissionKind
from zhiwei.core.command import GrantPermission, RevokePermission
from zhiwei.core.entry import Entry
from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.ids import card_id
from zhiwei.core.place import country_code, province_code
from zhiwei.core.request import DOMESTIC
from zhiwei.gateways.http.caller import EVERYBODY, TheCaller, TheHouse, reachable_card
from zhiwei.gateways.http.card_messages import known_currency
from zhiwei.gateways.http.commands import carried_out, change_command, state_after
from zhiwei.gateways.http.controls import CardPath
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document
from zhiwei.gateways.http.idempotency import digest_for
from zhiwei.gateways.http.pagination import ThePage, listed, page_of_sorted
from zhiwei.gateways.http.problems import Problem
from zhiwei.gateways.http.replies import replayed, reply
from zhiwei.gateways.http.shapes import (
    Amount,
    Body,
    CardId,
    Currency,
    Instant,
    ListOf,
    Shape,
    Token,
)
from zhiwei.gateways.http.times import instant_ms, instant_text

router = APIRouter(prefix="/v1/cards/{card}/exceptions", tags=["Exceptions"], route_class=Gate)

PLACES_MAX: Final = 20
#: What an exception may lift (SEMANTICS 5).
Liftable = Literal[
    "region_lock",
    "overseas_lock",
    "night_lock",
    "online_lock",
    "overseas_online_lock",
    "category_lock",
    "magstripe_verification",
    "large_spend_verification",
]
ExceptionPath = Annotated[str, Path(max_length=80, description="Id of the exception.")]
Places = Annotated[list[Annotated[str, Field(max_length=16)]], Field(max_length=PLACES_MAX)]


class ExceptionBody(Body):
    """What may pass, where, from when until when."""

    type: Literal["temporary", "travel_plan"] = "temporary"
    controls: Annotated[list[Liftable], Field(max_length=20)] = Field(
        default=[], description="Which controls it lifts; none named = every one that it may lift."
    )
    from_: Instant | None = Field(default=None, alias="from", description="Default: now.")
    until: Instant = Field(description="It ends by itself.")
    countries: Places = Field(default=[], description="Only there; ISO 3166-1.")
    regions: Places = Field(default=[], description="Only there; GB/T 2260, two digits.")
    merchant: Token | None = Field(default=None, description="Only at this merchant id.")
    currency: Currency | None = Field(default=None, description="Only in this currency.")
    amount_max: Amount | None = Field(default=None, description="At most this each time.")
    total_max: Amount | None = Field(default=None, description="At most this in all.")
    uses: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="As often as this; default without bound."
    )


class ExceptionPending(Shape):
    """It waits, because the cardholder's device or number is new."""

    available_at: Instant


class ExceptionShape(Shape):
    """An exception."""

    object: Literal["exception"]
    id: str
    card: CardId
    type: Literal["temporary", "travel_plan", "pass"]
    controls: list[str]
    from_: Instant = Field(alias="from")
    until: Instant
    countries: list[str]
    regions: list[str]
    merchant: str | None
    currency: str | None
    amount_max: int | None
    total_max: int | None
    total_used: int
    uses_left: int | None
    created_at: Instant
    pending: ExceptionPending | None
    available_at: Instant | None


class ExceptionEnded(Shape):
    """An exception that was ended."""

    object: Literal["exception"]
    id: str
    card: CardId
    deleted: Literal[True]


@router.post(
    "", **call(EVERYBODY, ExceptionShape, s202=ExceptionShape), summary="Grant an exception"
)
async def grant(
    request: Request, house: TheHouse, caller: TheCaller, card: CardPath, body: ExceptionBody
) -> Response:
    """A loosening: it needs strong authentication, and is told to the cardholder."""
    state = reachable_card(house, caller, card)
    wish = _permission(body)
    key = digest_for(request, caller, "exceptions")
    command = change_command(caller, state.card_key, GrantPermission(wish), key)
    result = await carried_out(house, command)
    assert result.entry is not None, "a granted permission leaves an entry"
    document = _granted(state_after(house, result, state.card_key), result.entry, wish)
    status = 200 if document["pending"] is None else 202
    return reply(document, status, replayed(result.is_repeat))


@router.get("", **call(EVERYBODY, ListOf[ExceptionShape]), summary="List exceptions")
async def list_exceptions(
    house: TheHouse, caller: TheCaller, card: CardPath, page: ThePage
) -> Response:
    """Those that have not ended, passes that a "yes" left included; newest first."""
    state = reachable_card(house, caller, card)
    newest_first = state.settings.permissions[::-1]
    rows, has_more = page_of_sorted(page, newest_first, lambda permission: permission.id)
    return reply(listed([exception_document(state, p) for p in rows], has_more))


@router.get("/{exception}", **call(EVERYBODY, ExceptionShape), summary="Read an exception")
async def read(
    house: TheHouse, caller: TheCaller, card: CardPath, exception: ExceptionPath
) -> Response:
    """One that has not ended."""
    state = reachable_card(house, caller, card)
    for permission in state.settings.permissions:
        if permission.id == exception:
            return reply(exception_document(state, permission))
    raise Problem("permission_not_found")


@router.delete("/{exception}", **call(EVERYBODY, ExceptionEnded), summary="End an exception")
async def revoke(
    house: TheHouse, caller: TheCaller, card: CardPath, exception: ExceptionPath
) -> Response:
    """End it early; a tightening."""
    state = reachable_card(house, caller, card)
    command = change_command(caller, state.card_key, RevokePermission(exception))
    await carried_out(house, command)
    return reply({"object": "exception", "id": exception, "card": card, "deleted": True})


def exception_document(state: CardState, permission: Permission) -> Document:
    """An exception as the API shows it."""
    names = {
        PermissionKind.PASS: "pass",
        PermissionKind.TEMPORARY: "temporary",
        PermissionKind.TRAVEL: "travel_plan",
    }
    return {
        "object": "exception",
        "id": permission.id,
        "card": card_id(state.card_key),
        "type": names[permission.kind],
        "controls": list(permission.controls),
        "from": instant_text(permission.from_ms),
        "until": instant_text(permission.until_ms),
        "countries": list(permission.countries),
        "regions": list(permission.regions),
        "merchant": permission.merchant_id or None,
        "currency": permission.currency or None,
        "amount_max": _bound(permission.amount_max),
        "total_max": _bound(permission.total_max),
        "total_used": permission.total_used,
        "uses_left": _bound(permission.uses_left),
        "created_at": instant_text(permission.created_ms),
        "pending": None,
        "available_at": None,
    }


def _permission(body: ExceptionBody) -> Permission:
    """The permission that is wanted; id and creation are filled in by the guardian.

    Raises:
        NotAllowedValueError: a time, place or currency that does not exist; a travel plan to
        nowhere; countries and provinces that no place is in.
    """
    countries = [country_code(c, f"/countries/{i}") for i, c in enumerate(body.countries)]
    regions = [province_code(r, f"/regions/{i}") for i, r in enumerate(body.regions)]
    if body.type == "travel_plan" and not countries and not regions:
        message = "a travel plan names countries or regions"
        raise NotAllowedValueError("/countries", "too_few_places", message)
    if countries and regions and DOMESTIC not in countries:
        message = "no place is in these countries and in a Chinese province: make two exceptions"
        raise NotAllowedValueError("/regions", "places_exclude_each_other", message)
    is_plan = body.type == "travel_plan"
    return Permission(
        id="",
        kind=PermissionKind.TRAVEL if is_plan else PermissionKind.TEMPORARY,
        # 0 = from the moment that it is granted, so that the same body is the same wish again.
        from_ms=0 if body.from_ is None else instant_ms(body.from_, "/from"),
        until_ms=instant_ms(body.until, "/until"),
        controls=tuple(sorted(set(body.controls))),
        countries=tuple(sorted(set(countries))),
        regions=tuple(sorted(set(regions))),
        merchant_id=body.merchant or "",
        currency=known_currency(body.currency, "/currency"),
        amount_max=-1 if body.amount_max is None else body.amount_max,
        total_max=-1 if body.total_max is None else body.total_max,
        uses_left=-1 if body.uses is None else body.uses,
    )


def _granted(state: CardState, entry: Entry, wish: Permission) -> Document:
    """The exception as it was granted; `pending` where it opens later than was wished."""
    for permission in state.settings.permissions:
        if permission.id == entry.note:
            document = exception_document(state, permission)
            if permission.from_ms > max(wish.from_ms, entry.now_ms):
                available_at = instant_text(permission.from_ms)
                document["pending"] = {"available_at": available_at}
                document["available_at"] = available_at
            return document
    # A repeat that comes after the end: what was granted, from the journal.
    change = entry.command.change
    assert isinstance(change, GrantPermission), "the key names this operation"
    document = exception_document(state, change.permission)
    document["id"] = entry.note
    document["from"] = instant_text(max(change.permission.from_ms, entry.now_ms))
    document["created_at"] = instant_text(entry.now_ms)
    return document


def _bound(number: int) -> int | None:
    return number if number >= 0 else None

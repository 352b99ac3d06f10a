"""What happens to an authorization later: reversal (冲正), increment, completion (预授权完成).

None of them needs the card again: the id names it. What they give back goes to the window of the
original. A second reversal is accepted and gives nothing back.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Original
from zhiwei.core.controls import AMOUNT_MAX
from zhiwei.core.entry import Entry, Flag
from zhiwei.core.request import Kind, MessageClass, PlaceSource
from zhiwei.core.request import Request as Message
from zhiwei.gateways.http.authorizations import AuthorizationId, known_entry
from zhiwei.gateways.http.caller import ISSUER_ONLY, Caller, TheCaller, TheHouse
from zhiwei.gateways.http.card_messages import known_currency, transmission_time
from zhiwei.gateways.http.commands import carried_out, decided, entry_in, message_command
from zhiwei.gateways.http.decisions import Decision
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import House
from zhiwei.gateways.http.idempotency import digest_for
from zhiwei.gateways.http.presentation import authorization_id
from zhiwei.gateways.http.problems import Fault, Problem
from zhiwei.gateways.http.replies import replayed, reply
from zhiwei.gateways.http.shapes import Amount, Body, Currency, Token

router = APIRouter(
    prefix="/v1/authorizations/{authorization}", tags=["Authorizations"], route_class=Gate
)


class FollowUp(Decision):
    """A decision about an earlier authorization."""

    authorization: str = Field(description="Id of the authorization that it is about.")
    amount: int = Field(description="What was to be taken back, added or completed.")
    approved_amount: int | None = Field(
        description="What stands approved afterwards, minor units of the card's currency."
    )
    took_effect: bool = Field(description="False where nothing was left to give back.")


class Trace(Body):
    """The follow-up's own network identity, where it has one."""

    stan: Token | None = None
    rrn: Token | None = None
    terminal: Token | None = None
    acquirer: Token | None = None
    transmitted_at: Annotated[str, Field(max_length=40)] | None = None


class ReversalBody(Trace):
    """Take back: all of it, an amount, or all but what is to stand."""

    amount: Amount | None = Field(default=None, description="How much to take back; default all.")
    replacement_amount: Amount | None = Field(
        default=None, description="What stands afterwards (DE95); instead of `amount`."
    )


class IncrementBody(Trace):
    """Raise the amount by a difference."""

    amount: Amount = Field(description="By how much, in the original's currency.")
    currency: Currency | None = None


class CompletionBody(Trace):
    """What was really taken."""

    amount: Amount = Field(description="The final amount, in the original's currency.")
    currency: Currency | None = None


@router.post("/reversals", **call(ISSUER_ONLY, FollowUp), summary="Reverse, wholly or in part")
async def reverse(
    request: Request,
    house: TheHouse,
    caller: TheCaller,
    authorization: AuthorizationId,
    body: ReversalBody | None = None,
) -> Response:
    """Take back an authorization; amount and count return to the window of the original."""
    wish = body or ReversalBody()
    if wish.amount is not None and wish.replacement_amount is not None:
        detail = "give `amount` or `replacement_amount`, not both"
        fault = Fault("/replacement_amount", "two_amounts", detail)
        raise Problem("not_allowed", detail, errors=(fault,))
    state, entry = _group_of(house, caller, authorization)
    first = entry.command.request
    assert first is not None, "only card messages are reversed"
    # The message depends on the body alone, so that the same body is the same message again.
    amount = first.amount_minor if wish.amount is None else wish.amount
    if wish.replacement_amount is not None:
        amount = max(first.amount_minor - wish.replacement_amount, 0)
    message = _message(entry, wish, MessageClass.REVERSAL, amount)
    key = digest_for(request, caller, f"reversals|{entry.version}")
    original = _reversed_down_to(house, state, entry, wish, is_named=bool(key or wish.stan))
    return await _answered(house, caller, state, entry, message, original, key)


@router.post("/increments", **call(ISSUER_ONLY, FollowUp), summary="Raise the amount")
async def increment(
    request: Request,
    house: TheHouse,
    caller: TheCaller,
    authorization: AuthorizationId,
    body: IncrementBody,
) -> Response:
    """Ask for more on an approved authorization; it may be declined, and then nothing moves."""
    state, entry = _group_of(house, caller, authorization)
    _check_currency(entry, body.currency)
    message = _message(entry, body, MessageClass.INCREMENT, body.amount)
    key = digest_for(request, caller, f"increments|{entry.version}")
    original = Original(version=entry.version)
    return await _answered(house, caller, state, entry, message, original, key)


@router.post("/completions", **call(ISSUER_ONLY, FollowUp), summary="Complete a pre-authorization")
async def complete(
    request: Request,
    house: TheHouse,
    caller: TheCaller,
    authorization: AuthorizationId,
    body: CompletionBody,
) -> Response:
    """Say what a pre-authorization really took; less gives back, more is booked and told.

    A completion that matches no open pre-authorization is judged as the purchase that it is.
    """
    state, entry = _group_of(house, caller, authorization)
    _check_currency(entry, body.currency)
    message = _message(entry, body, MessageClass.REQUEST, body.amount, Kind.COMPLETION)
    key = digest_for(request, caller, f"completions|{entry.version}")
    original = Original(version=entry.version, auth_code=entry.auth_code)
    return await _answered(house, caller, state, entry, message, original, key)


async def _answered(
    house: House,
    caller: Caller,
    state: CardState,
    entry: Entry,
    message: Message,
    original: Original,
    key: bytes,
) -> Response:
    """Carry the follow-up out and show what was decided."""
    command = message_command(caller, state.card_key, message, original, key)
    result = await carried_out(house, command)
    follow_up = entry_in(result)
    asked = follow_up.command.request
    assert asked is not None, "a follow-up is a card message"
    document = {
        **decided(house, result, state.card_key),
        "authorization": authorization_id(state.card_key, entry.version),
        "amount": asked.amount_minor,
        "approved_amount": follow_up.group.approved_minor if follow_up.group is not None else None,
        "took_effect": not follow_up.flags & (Flag.NO_EFFECT | Flag.UNMATCHED),
    }
    return reply(document, headers=replayed(result.is_repeat))


def _message(
    entry: Entry, trace: Trace, message_class: MessageClass, amount: int, kind: Kind | None = None
) -> Message:
    """The follow-up as a card message: place and merchant are the original's."""
    first = entry.command.request
    assert first is not None, "only card messages have follow-ups"
    return Message(
        kind=first.kind if kind is None else kind,
        message_class=message_class,
        channel=first.channel,
        medium=first.medium,
        amount_minor=amount,
        currency=first.currency,
        billing_amount_minor=_billed(first, amount),
        billing_currency=first.billing_currency,
        merchant_id=first.merchant_id,
        merchant_name=first.merchant_name,
        mcc=first.mcc,
        country=first.country,
        region=first.region,
        place_source=PlaceSource(first.place_source),
        acquirer=trace.acquirer or first.acquirer,
        forwarder=first.forwarder,
        terminal=trace.terminal or first.terminal,
        rrn=trace.rrn or (first.rrn if trace.stan else ""),
        stan=trace.stan or "",
        transmitted_at=transmission_time(trace.transmitted_at),
        initiator=first.initiator,
        institution=first.institution,
    )


def _billed(first: Message, amount: int) -> int:
    """The follow-up's billing amount, in the proportion of the original's, rounded up."""
    if first.billing_amount_minor < 0 or first.amount_minor == 0:
        return first.billing_amount_minor
    return -(-first.billing_amount_minor * amount // first.amount_minor)


def _check_currency(entry: Entry, code: str | None) -> None:
    """Raise unless the currency, where it is told, is the original's."""
    first = entry.command.request
    told = known_currency(code, "/currency")
    if told and first is not None and first.currency and told != first.currency:
        detail = f"the authorization is in {first.currency}"
        raise Problem("not_allowed", detail, errors=(Fault("/currency", "other_currency", detail),))


def _group_of(house: House, caller: Caller, authorization: str) -> tuple[CardState, Entry]:
    """The card, and the entry that began the group which the id belongs to.

    Raises:
        Problem: `authorization_not_found`.
    """
    state, entry = known_entry(house, caller, authorization)
    if entry.group is not None and entry.group.version != entry.version:
        entry = house.reader.entry(state.card_key, entry.group.version) or entry
    return state, entry


def _reversed_down_to(
    house: House, state: CardState, entry: Entry, wish: ReversalBody, *, is_named: bool
) -> Original:
    """The original, with what is to stand of it (-1: nothing, or nothing stands any more).

    Raises:
        Problem: more than what stands is to be taken back, by a message that cannot be a repeat.
        One
            that may be a repeat is left to the core, which gives nothing back for what it cannot.
    """
    stands_now = _standing(house, state, entry)
    if wish.replacement_amount is not None:
        stands = wish.replacement_amount
    else:
        stands = 0 if wish.amount is None else stands_now - wish.amount
    if stands_now == 0 or stands == 0:
        return Original(version=entry.version)
    if not 0 <= stands <= stands_now:
        if not is_named:
            detail = "more than what stands of the authorization"
            raise Problem("not_allowed", detail, errors=(Fault("/amount", "too_much", detail),))
        stands = AMOUNT_MAX
    return Original(version=entry.version, replacement_minor=stands)


def _standing(house: House, state: CardState, entry: Entry) -> int:
    """What stands of an authorization now, in its own currency.

    Groups are kept in the card's currency; in another one what stands is in proportion, rounded
    down, so that a partial reversal never gives back more than it says.
    """
    first = entry.command.request
    assert first is not None, "only card messages are reversed"
    latest = house.reader.latest_of_group(state.card_key, entry.version) or entry
    if latest.group is None:
        return first.amount_minor
    approved = latest.group.approved_minor
    if first.currency == state.settings.profile.currency or not entry.group:
        return approved
    began = entry.group.approved_minor
    return first.amount_minor * approved // began if began else 0

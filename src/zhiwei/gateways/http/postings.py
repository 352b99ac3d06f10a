"""`/v1/postings`: what the core bank posted, with its balance (记账)."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Post
from zhiwei.core.controls import AMOUNT_MAX
from zhiwei.core.entry import Entry
from zhiwei.core.ids import card_id, entry_id, entry_of
from zhiwei.gateways.http.caller import EVERYBODY, ISSUER_ONLY, TheCaller, TheHouse
from zhiwei.gateways.http.card_messages import WhichCard, card_key_in, known_currency
from zhiwei.gateways.http.commands import carried_out, change_command, entry_in, state_after
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document
from zhiwei.gateways.http.idempotency import digest_for
from zhiwei.gateways.http.journal import JournalRow, journal_page
from zhiwei.gateways.http.pagination import ThePage, listed
from zhiwei.gateways.http.problems import Fault, Problem
from zhiwei.gateways.http.replies import replayed, reply
from zhiwei.gateways.http.shapes import CardId, Currency, Instant, Line, ListOf, Reference, Shape
from zhiwei.gateways.http.times import instant_text

router = APIRouter(prefix="/v1/postings", tags=["Postings"], route_class=Gate)

Signed = Annotated[int, Field(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]


class PostingBody(WhichCard):
    """A posting; amounts are minor units of the card's currency."""

    amount: Signed = Field(
        description="Positive = money in, negative = money out; with `direction` without a sign."
    )
    direction: Literal["in", "out", "credit", "debit"] | None = Field(
        default=None,
        description="`in` and `credit`, or `out` and `debit`; then no sign is allowed.",
    )
    currency: Currency | None = Field(default=None, description="The card's own, if told.")
    balance: Signed | None = Field(default=None, description="Afterwards.")
    business: Line | None = Field(
        default=None, description="What it was, in the bank's words.", examples=["银联消费"]
    )
    counterparty_tail: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,4}$")] | None = None
    counterparty_name: Line | None = None
    reference: Reference | None = Field(
        default=None,
        description="The bank's own, or RRN or id of the authorization: told once then.",
    )
    reverses: Reference | None = Field(
        default=None, description="Reference, RRN or id of what it takes back."
    )


class PostingShape(Shape):
    """A posting."""

    object: Literal["posting"]
    id: str
    card: CardId
    amount: int
    currency: str
    balance: int | None
    business: str | None
    counterparty_tail: str | None
    counterparty_name: str | None
    reference: str | None
    reverses: str | None
    posted_at: Instant


@router.post("", **call(ISSUER_ONLY, PostingShape), summary="Report a posting")
async def post(request: Request, house: TheHouse, caller: TheCaller, body: PostingBody) -> Response:
    """Record it, and tell the cardholder if the balance-change alert asks for it."""
    card_key = card_key_in(house, body)
    state = house.reader.card(card_key)
    if state is None:
        raise Problem("card_not_found")
    own = state.settings.profile.currency
    if known_currency(body.currency, "/currency") not in ("", own):
        detail = f"the card is kept in {own}"
        raise Problem("not_allowed", detail, errors=(Fault("/currency", "other_currency", detail),))
    change = Post(
        amount_minor=_signed(body),
        balance_minor=body.balance,
        business=body.business or "",
        counterparty_tail=body.counterparty_tail or "",
        counterparty_name=body.counterparty_name or "",
        reverses=body.reverses or "",
        reference=body.reference or "",
    )
    key = digest_for(request, caller, "postings")
    result = await carried_out(house, change_command(caller, card_key, change, key))
    after = result.state or state_after(house, result, card_key)
    return reply(posting_document(after, entry_in(result)), headers=replayed(result.is_repeat))


@router.get("", **call(EVERYBODY, ListOf[PostingShape]), summary="List postings")
async def list_postings(
    house: TheHouse,
    caller: TheCaller,
    page: ThePage,
    card: Annotated[str, Query(max_length=80, description="Of one card only.")] = "",
) -> Response:
    """Newest first."""

    def wanted(row: JournalRow) -> bool:
        return isinstance(row.entry.command.change, Post)

    rows, has_more = await run_in_threadpool(
        journal_page, house, caller, page, card, wanted, prefix="post"
    )
    return reply(listed([posting_document(row.state, row.entry) for row in rows], has_more))


@router.get("/{posting}", **call(EVERYBODY, PostingShape), summary="Read a posting")
async def read(
    house: TheHouse, caller: TheCaller, posting: Annotated[str, Path(max_length=80)]
) -> Response:
    """One posting."""
    named = entry_of("post", posting)
    state = None if named is None else house.reader.card(named[0])
    if named is None or state is None or not caller.may_reach(state.settings.profile.cardholder):
        raise Problem("posting_not_found")
    entry = house.reader.entry(*named)
    if entry is None or not isinstance(entry.command.change, Post):
        raise Problem("posting_not_found")
    return reply(posting_document(state, entry))


def _signed(body: PostingBody) -> int:
    """The amount with its sign.

    Raises:
        Problem: it is zero, or has a sign beside a direction.
    """
    if body.amount == 0:
        detail = "a posting moves something"
        raise Problem("not_allowed", detail, errors=(Fault("/amount", "zero", detail),))
    if body.direction is None:
        return body.amount
    if body.amount < 0:
        detail = "with `direction` an amount has no sign"
        raise Problem("not_allowed", detail, errors=(Fault("/amount", "too_small", detail),))
    return body.amount if body.direction in ("in", "credit") else -body.amount


def posting_document(state: CardState, entry: Entry) -> Document:
    """A posting as the API shows it."""
    change = entry.command.change
    assert isinstance(change, Post), "only postings are shown here"
    return {
        "object": "posting",
        "id": entry_id("post", state.card_key, entry.version),
        "card": card_id(state.card_key),
        "amount": change.amount_minor,
        "currency": state.settings.profile.currency,
        "balance": change.balance_minor,
        "business": change.business or None,
        "counterparty_tail": change.counterparty_tail or None,
        "counterparty_name": change.counterparty_name or None,
        "reference": change.reference or None,
        "reverses": change.reverses or None,
        "posted_at": instant_text(entry.now_ms),
    }

"""`/v1/authorizations`: may this card do this now? And what was answered, and why.

An approval and a decline are both 200: a decline is an answer, not an error. The same message
(network identity or `Idempotency-Key`) gets the same body again, byte for byte.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Original
from zhiwei.core.controls import CONTROL_TYPES
from zhiwei.core.entry import Entry, GroupState
from zhiwei.core.finding import Finding, Outcome
from zhiwei.core.ids import entry_of
from zhiwei.core.request import MessageClass
from zhiwei.gateways.http.caller import (
    EVERYBODY,
    ISSUER_ONLY,
    Caller,
    TheCaller,
    TheHouse,
)
from zhiwei.gateways.http.card_messages import CardMessage, card_key_in, request_of
from zhiwei.gateways.http.commands import carried_out, decided, message_command
from zhiwei.gateways.http.decisions import Authorization, Decision, Evaluation
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.idempotency import digest_for
from zhiwei.gateways.http.journal import JournalRow, journal_page
from zhiwei.gateways.http.pagination import ThePage, listed, page_of_sorted
from zhiwei.gateways.http.presentation import (
    DECISIONS,
    decision_document,
    facts_document,
    message_document,
    sentence,
)
from zhiwei.gateways.http.problems import Problem
from zhiwei.gateways.http.replies import replayed, reply
from zhiwei.gateways.http.shapes import ListOf

router = APIRouter(prefix="/v1/authorizations", tags=["Authorizations"], route_class=Gate)

AuthorizationId = Annotated[str, Path(max_length=80, description="Id of an authorization.")]


class AuthorizationBody(CardMessage):
    """What is asked."""

    original: Annotated[str, Field(max_length=80)] | None = Field(
        default=None,
        description="Id of the authorization that a void, refund or completion is about.",
    )


@router.post("", **call(ISSUER_ONLY, Decision), summary="Decide an authorization")
async def decide(
    request: Request, house: TheHouse, caller: TheCaller, body: AuthorizationBody
) -> Response:
    """Ask every control of the card, answer, and book what was approved, in one durable step.

    The same network identity (`transmitted_at`, `stan`, `acquirer`, `forwarder`, `terminal`, `rrn`)
    is the same message: it gets the same body again and never counts twice. With another amount,
    currency or merchant it is a conflict: declined with `same_identity_other_body`, `duplicate_of`
    names the first.
    """
    card_key = card_key_in(house, body)
    message = request_of(body, MessageClass.REQUEST)
    original = None
    if body.original is not None:
        named = entry_of("auth", body.original)
        if named is None or named[0] != card_key:
            raise Problem("original_not_found")
        original = Original(version=named[1], auth_code=message.auth_code)
    key = digest_for(request, caller, "authorizations")
    command = message_command(caller, card_key, message, original, key)
    result = await carried_out(house, command)
    return reply(decided(house, result, card_key), headers=replayed(result.is_repeat))


@router.get("", **call(EVERYBODY, ListOf[Authorization]), summary="List authorizations")
async def list_authorizations(
    house: TheHouse,
    caller: TheCaller,
    page: ThePage,
    card: Annotated[str, Query(max_length=80, description="Of one card only.")] = "",
    decision: Annotated[
        Literal["approve", "decline", "challenge"] | None, Query(description="With this answer.")
    ] = None,
) -> Response:
    """Newest first; a cardholder key sees those of its own cards."""

    def wanted(row: JournalRow) -> bool:
        asked = row.entry.command.request
        if asked is None or asked.message_class is not MessageClass.REQUEST:
            return False
        return decision is None or DECISIONS[row.entry.outcome] == decision

    rows, has_more = await run_in_threadpool(journal_page, house, caller, page, card, wanted)
    documents = [authorization_document(house, row.state, row.entry) for row in rows]
    return reply(listed(documents, has_more))


@router.get("/{authorization}", **call(EVERYBODY, Authorization), summary="Read an authorization")
async def read(house: TheHouse, caller: TheCaller, authorization: AuthorizationId) -> Response:
    """The decision as it was made, what was asked, and where it stands now."""
    state, entry = known_entry(house, caller, authorization)
    return reply(authorization_document(house, state, entry))


@router.get(
    "/{authorization}/evaluations", **call(EVERYBODY, ListOf[Evaluation]), summary="Explain it"
)
async def evaluations(
    house: TheHouse, caller: TheCaller, authorization: AuthorizationId, page: ThePage
) -> Response:
    """Every control that was asked, and what it found; those that said no come first."""
    state, entry = known_entry(house, caller, authorization)
    documents = evaluation_documents(house, state, entry)
    for number, document in enumerate(documents):
        document["id"] = f"{authorization}.{number}"
    rows, has_more = page_of_sorted(page, documents, lambda document: str(document["id"]))
    return reply(listed(rows, has_more))


def evaluation_documents(house: House, state: CardState, entry: Entry) -> list[Document]:
    """Every control that was asked about a card message, those that said something first."""
    currency = state.settings.profile.currency
    documents = [_found(house, state.card_key, currency, f) for f in entry.findings]
    spoke = {finding.control for finding in entry.findings}
    for name in house.rooms.judges:
        is_set = name not in CONTROL_TYPES or entry.asked >> CONTROL_TYPES.index(name) & 1
        if is_set and name not in spoke:
            documents.append(_silent(name))
    return documents


def known_entry(house: House, caller: Caller, authorization: str) -> tuple[CardState, Entry]:
    """The card and the journal entry of an id, if the caller may see them.

    Raises:
        Problem: `authorization_not_found`.
    """
    named = entry_of("auth", authorization)
    if named is None:
        raise Problem("authorization_not_found")
    state = house.reader.card(named[0])
    if state is None or not caller.may_reach(state.settings.profile.cardholder):
        raise Problem("authorization_not_found")
    entry = house.reader.entry(*named)
    if entry is None or entry.command.request is None:
        raise Problem("authorization_not_found")
    return state, entry


def authorization_document(house: House, state: CardState, entry: Entry) -> Document:
    """A decision with what was asked and where it stands now."""
    asked = entry.command.request
    assert asked is not None, "only card messages are shown here"
    latest = entry
    if entry.group is not None and entry.group.version == entry.version:
        latest = house.reader.latest_of_group(state.card_key, entry.version) or entry
    group = latest.group
    return {
        **decision_document(house, state, entry),
        "status": _status(entry, latest),
        "approved_amount": group.approved_minor if group is not None else None,
        **message_document(state, asked),
    }


def _status(entry: Entry, latest: Entry) -> str:
    if entry.outcome is Outcome.REFUSE:
        return "declined"
    if entry.outcome is Outcome.CHALLENGE:
        return "challenged"
    if latest.group is None or latest.group.state is GroupState.NONE:
        return "noted"
    return latest.group.state.name.lower()


def _found(house: House, card_key: bytes, currency: str, finding: Finding) -> Document:
    """A control that had something to say."""
    return {
        "object": "evaluation",
        "control": finding.control,
        "result": DECISIONS[finding.outcome],
        "reason": finding.reason.code,
        "message": sentence(house, currency, finding),
        "facts": facts_document(card_key, finding.facts),
        "lifted_by": finding.lifted_by or None,
    }


def _silent(name: str) -> Document:
    """A control that was asked and had no objection."""
    return {
        "object": "evaluation",
        "control": name,
        "result": "approve",
        "reason": None,
        "message": None,
        "facts": {},
        "lifted_by": None,
    }

"""`/v1/challenges`: questions to the cardholder about refused requests, and their answers.

"Yes" leaves a pass for the same merchant, currency and amount, once, for some minutes; "no" stops
the card. The first valid answer wins, and a late one is told so.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from zhiwei.core.card_state import CardState, Challenge, ChallengeState
from zhiwei.core.command import AnswerChallenge
from zhiwei.core.entry import Entry
from zhiwei.core.finding import Outcome
from zhiwei.core.ids import card_id, entry_of
from zhiwei.gateways.http.bindings import named_cards
from zhiwei.gateways.http.caller import EVERYBODY, Caller, TheCaller, TheHouse, as_of_now
from zhiwei.gateways.http.commands import carried_out, change_command, state_after
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.idempotency import digest_for
from zhiwei.gateways.http.pagination import ThePage, listed, page_of_sorted
from zhiwei.gateways.http.presentation import authorization_id, forgotten_question
from zhiwei.gateways.http.problems import Problem
from zhiwei.gateways.http.replies import replayed, reply
from zhiwei.gateways.http.shapes import Body, CardId, Instant, ListOf, Shape
from zhiwei.gateways.http.stops import StopShape, stop_document
from zhiwei.gateways.http.times import instant_text

router = APIRouter(prefix="/v1/challenges", tags=["Challenges"], route_class=Gate)

ChallengePath = Annotated[str, Path(max_length=80, description="Id of the challenge.")]
Status = Literal["pending", "approved", "denied", "expired", "undeliverable", "used"]
#: A forgotten question was answered, if at all, within a day.
_LATER_MAX: Final = 2000


class AnswerBody(Body):
    """The cardholder's answer."""

    response: Literal["approve", "deny"] = Field(
        description="`approve` needs strong authentication; `deny` stops the card."
    )


class ChallengeMerchant(Shape):
    """Where it was asked for."""

    id: str | None
    name: str | None


class ChallengeShape(Shape):
    """A question to the cardholder."""

    object: Literal["challenge"]
    id: str
    reference: str = Field(description="Six digits that a reply by SMS must carry.")
    status: Status
    card: CardId
    authorization: str = Field(description="The request that was refused for now.")
    amount: int
    currency: str
    merchant: ChallengeMerchant
    reasons: list[str]
    asked_at: Instant
    expires_at: Instant
    answered_at: Instant | None
    answered_via: str | None
    pass_until: Instant | None = Field(description="Until when the purchase may be tried again.")
    stop: StopShape | None = Field(description="The card's stop, where it is stopped now.")


@router.get("", **call(EVERYBODY, ListOf[ChallengeShape]), summary="List challenges")
async def list_challenges(
    house: TheHouse,
    caller: TheCaller,
    page: ThePage,
    card: Annotated[str, Query(max_length=80, description="Of one card.")] = "",
    cardholder: Annotated[str, Query(max_length=80, description="Of all cards of one.")] = "",
    status: Annotated[Status | None, Query(description="In this state only.")] = None,
) -> Response:
    """Questions of the last day, newest first; of one card or of all cards of one person."""
    pairs = [
        (state, challenge)
        for state in named_cards(house, caller, card, cardholder)
        for challenge in state.settings.challenges
        if status is None or challenge.state.name.lower() == status
    ]
    pairs.sort(key=lambda pair: (pair[1].asked_ms, pair[1].id), reverse=True)
    rows, has_more = page_of_sorted(page, pairs, lambda pair: pair[1].id)
    return reply(listed([challenge_document(*pair) for pair in rows], has_more))


@router.get("/{challenge}", **call(EVERYBODY, ChallengeShape), summary="Read a challenge")
async def read(house: TheHouse, caller: TheCaller, challenge: ChallengePath) -> Response:
    """One question and what became of it."""
    state, version = _asked(house, caller, challenge)
    for known in state.settings.challenges:
        if known.id == challenge:
            return reply(challenge_document(state, known))
    return reply(_from_the_journal(house, state, challenge, version))


@router.post("/{challenge}/respond", **call(EVERYBODY, ChallengeShape), summary="Answer it")
async def respond(
    request: Request,
    house: TheHouse,
    caller: TheCaller,
    challenge: ChallengePath,
    body: AnswerBody,
) -> Response:
    """Answer the question."""
    state, version = _asked(house, caller, challenge)
    change = AnswerChallenge(challenge, body.response == "approve")
    key = digest_for(request, caller, "respond")
    result = await carried_out(house, change_command(caller, state.card_key, change, key))
    after = state_after(house, result, state.card_key)
    headers = replayed(result.is_repeat)
    for known in after.settings.challenges:
        if known.id == challenge:
            return reply(challenge_document(after, known), headers=headers)
    return reply(_from_the_journal(house, after, challenge, version), headers=headers)


def challenge_document(state: CardState, challenge: Challenge) -> Document:
    """A question as the API shows it."""
    stop = state.settings.stop
    left = challenge.id.replace("chg_", "pass_", 1)
    passes = [p for p in state.settings.permissions if p.id == left]
    return {
        "object": "challenge",
        "id": challenge.id,
        "reference": challenge.reference,
        "status": challenge.state.name.lower(),
        "card": card_id(state.card_key),
        "authorization": authorization_id(state.card_key, challenge.version),
        "amount": challenge.amount_minor,
        "currency": challenge.currency,
        "merchant": {
            "id": challenge.merchant_id or None,
            "name": challenge.merchant_name or None,
        },
        "reasons": list(challenge.reasons),
        "asked_at": instant_text(challenge.asked_ms),
        "expires_at": instant_text(challenge.expires_ms),
        "answered_at": instant_text(challenge.answered_ms) if challenge.answered_ms else None,
        "answered_via": challenge.answered_via or None,
        "pass_until": instant_text(passes[0].until_ms) if passes else None,
        "stop": stop_document(state) if stop is not None else None,
    }


def _asked(house: House, caller: Caller, challenge: str) -> tuple[CardState, int]:
    """The card of a question as it is now, and the version that asked it.

    Raises:
        Problem: `challenge_not_found`.
    """
    named = entry_of("chg", challenge)
    state = None if named is None else house.reader.card(named[0])
    if named is None or state is None or not caller.may_reach(state.settings.profile.cardholder):
        raise Problem("challenge_not_found")
    entry = house.reader.entry(*named)
    if entry is None or entry.challenge_id != challenge or entry.outcome is not Outcome.CHALLENGE:
        raise Problem("challenge_not_found")
    return as_of_now(house, state), named[1]


def _from_the_journal(house: House, state: CardState, challenge: str, version: int) -> Document:
    """A question that the file has forgotten (after a day), put together from the journal."""
    entry = house.reader.entry(state.card_key, version)
    assert entry is not None, "it was read before"
    asked = entry.command.request
    assert asked is not None, "a question is about a card message"
    question = forgotten_question(house, state.card_key, entry)
    later = house.reader.entries(state.card_key, after=version, limit=_LATER_MAX)
    status, answer = _what_became(challenge, str(question["reference"]), later)
    return {
        "object": "challenge",
        "id": challenge,
        "reference": question["reference"],
        "status": status,
        "card": card_id(state.card_key),
        "authorization": authorization_id(state.card_key, version),
        "amount": asked.amount_minor,
        "currency": asked.currency,
        "merchant": {"id": asked.merchant_id or None, "name": asked.merchant_name or None},
        "reasons": [f.reason.code for f in entry.findings if f.stands],
        "asked_at": instant_text(entry.now_ms),
        "expires_at": question["expires_at"],
        "answered_at": None if answer is None else instant_text(answer.now_ms),
        "answered_via": None if answer is None else answer.command.actor.via.name.lower(),
        "pass_until": None,
        "stop": None if state.settings.stop is None else stop_document(state),
    }


def _what_became(challenge: str, reference: str, later: list[Entry]) -> tuple[Status, Entry | None]:
    """State of a forgotten question and the entry that answered it."""
    status: Status = "expired"
    answer: Entry | None = None
    for entry in reversed(later):
        change = entry.command.change
        if isinstance(change, AnswerChallenge) and change.challenge in (challenge, reference):
            status, answer = ("approved" if change.is_yes else "denied"), entry
        elif entry.challenge_id == challenge and entry.outcome is Outcome.APPROVE:
            status = "used"
    return status, answer


def open_questions(state: CardState) -> list[Challenge]:
    """Questions of a card that can be answered now."""
    answerable = (ChallengeState.PENDING, ChallengeState.UNDELIVERABLE)
    return [c for c in state.settings.challenges if c.state in answerable]

"""`/v1/inbound_messages`: a text message that came in over a web gateway (短信上行).

The sender's number says who writes, and a number can be forged: so a message can only reduce. It
stops cards, and answers questions where the issuer's policy lets it; it never lifts a stop. Whoever
writes from an unknown number learns nothing. The answer carries the reply to send.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Request, Response
from pydantic import AliasChoices, Field

from zhiwei.core.card_state import CardState, CardStatus, Challenge, StopSource
from zhiwei.core.command import Actor, AnswerChallenge, Change, Command, PlaceStop, Via
from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.result import Rejection, Result
from zhiwei.core.windows import HOUR_MS, MINUTE_MS
from zhiwei.gateways.http.caller import STAFF, TheCaller, TheHouse, as_of_now
from zhiwei.gateways.http.cardholders import phone_number
from zhiwei.gateways.http.challenges import open_questions
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.idempotency import Made, once
from zhiwei.gateways.http.journal import cards_of
from zhiwei.gateways.http.masking import masked
from zhiwei.gateways.http.shapes import Body, Instant, Shape, Token
from zhiwei.gateways.http.stops import StopShape, stop_document
from zhiwei.gateways.http.times import instant_ms
from zhiwei.ports import Cardholder

router = APIRouter(prefix="/v1/inbound_messages", tags=["Messages"], route_class=Gate)

#: Wrong references that one number may send in an hour; then its answers count no more.
TRIES_MAX: Final = 5
#: Numbers whose tries are remembered.
NUMBERS_MAX: Final = 10_000
_ANSWER: Final = re.compile(r"(Y|YES|是|是本人|确认|N|NO|否|不是|不是本人|非本人)#?([0-9]{6})?")
_YES: Final = frozenset(("Y", "YES", "是", "是本人", "确认"))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Outcome = Literal[
    "stopped",
    "already_stopped",
    "which_card",
    "no_such_card",
    "no_card",
    "help",
    "neutral",
    "approved",
    "denied",
    "which_question",
    "no_question",
    "question_over",
    "not_by_sms",
    "too_many_tries",
]


class MessageBody(Body):
    """A text message."""

    from_: Annotated[str, Field(max_length=40)] = Field(
        alias="from", description="The sender's number."
    )
    text: Annotated[str, Field(max_length=1000)] = Field(
        validation_alias=AliasChoices("text", "body"), description="`body` is understood too."
    )
    to: Annotated[str, Field(max_length=40)] | None = Field(
        default=None, description="The number that it was sent to; not looked at."
    )
    received_at: Instant | None = Field(
        default=None, description="When the gateway had it; the message acts now all the same."
    )
    id: Token | None = Field(default=None, description="The gateway's own id of the message.")


class ReplyShape(Shape):
    """What to send back."""

    to: str
    text: str
    locale: Literal["zh", "en"]


class InboundShape(Shape):
    """What was done."""

    object: Literal["inbound_message"]
    id: str
    outcome: Outcome
    challenge: str | None
    stops: list[StopShape]
    reply: ReplyShape


@dataclass(frozen=True)
class _Done:
    """What a message did, and the sentence that tells it."""

    outcome: Outcome
    texts: tuple[str, ...]
    challenge: str | None = None
    stops: tuple[Document, ...] = ()


class Tries:
    """Wrong references by number, within an hour; remembers a bounded number of senders."""

    def __init__(self) -> None:
        self._by_number: OrderedDict[str, deque[int]] = OrderedDict()

    def are_used_up(self, number: str, now_ms: int) -> bool:
        """Whether a number has guessed too often."""
        tries = self._by_number.get(number, deque())
        return sum(1 for at_ms in tries if at_ms > now_ms - HOUR_MS) >= TRIES_MAX

    def note(self, number: str, now_ms: int) -> None:
        """One more wrong reference."""
        tries = self._by_number.setdefault(number, deque(maxlen=TRIES_MAX))
        tries.append(now_ms)
        self._by_number.move_to_end(number)
        if len(self._by_number) > NUMBERS_MAX:
            self._by_number.popitem(last=False)


@router.post("", **call(STAFF, InboundShape), summary="Take in a text message")
async def take_in(
    request: Request, house: TheHouse, caller: TheCaller, body: MessageBody
) -> Response:
    """Do what the message asks for as far as a message may, and say what to reply."""
    if body.received_at is not None:
        instant_ms(body.received_at, "/received_at")

    async def work() -> Made:
        number = _number(body.from_)
        holders = house.reader.records(Cardholder, subject=number) if number else []
        language = holders[0].locale if holders else "zh"
        done = await _done(request, house, holders, number, body.text, language)
        message = {
            "object": "inbound_message",
            "id": house.mint.new("msg", house.clock.now_ms()),
            "outcome": done.outcome,
            "challenge": done.challenge,
            "stops": list(done.stops),
            "reply": {
                "to": body.from_ if number else masked(body.from_),
                "text": "\n".join(done.texts),
                "locale": language,
            },
        }
        return Made(message, status=200)

    operation = f"inbound|{body.id}" if body.id else "inbound"
    return await once(request, house, caller, operation, work)


async def _done(
    request: Request,
    house: House,
    holders: list[Cardholder],
    number: str,
    text: str,
    language: str,
) -> _Done:
    """What the message did."""
    if not holders:
        return _told(house, language, "neutral")
    states = [
        as_of_now(house, state)
        for holder in holders
        for state in cards_of(house, holder.id)
        if state.settings.profile.status is not CardStatus.CLOSED
    ]
    actor = Actor(holders[0].id, Via.SMS)
    heard = house.rooms.read_message(text)
    match heard.kind.name:
        case "STOP_ALL":
            chosen = states
        case "STOP_ONLY_CARD":
            chosen = states if len(states) <= 1 else []
        case "STOP_TAIL":
            chosen = [s for s in states if s.settings.profile.tail == heard.tail]
            if not chosen and states:
                return _told(house, language, "no_such_card", tail=heard.tail, tails=_tails(states))
            chosen = chosen if len(chosen) <= 1 else []
        case "HELP":
            return _told(house, language, "help")
        case _:
            return await _answered(request, house, states, actor, number, text, language)
    if not states:
        return _told(house, language, "no_card")
    if not chosen:
        return _told(house, language, "which_card", tails=_tails(states))
    return await _stopped(house, chosen, actor, language)


async def _stopped(house: House, states: list[CardState], actor: Actor, language: str) -> _Done:
    """Stop cards, all or none, and tell each with time and reference."""
    change = PlaceStop(StopSource.SMS)
    results = await house.submit([_command(actor, s.card_key, change) for s in states])
    texts: list[str] = []
    stops: list[Document] = []
    is_new = False
    for before, result in zip(states, results, strict=True):
        after = result.state or house.reader.card(before.card_key) or before
        was_stopped = before.settings.stop is not None
        is_new = is_new or not was_stopped
        stops.append(stop_document(after))
        key = "already_stopped" if was_stopped else "stopped"
        texts.append(_text(house, language, key, **_stop_facts(after)))
    outcome: Outcome = "stopped" if is_new else "already_stopped"
    return _Done(outcome, tuple(texts), stops=tuple(stops))


async def _answered(
    request: Request,
    house: House,
    states: list[CardState],
    actor: Actor,
    number: str,
    text: str,
    language: str,
) -> _Done:
    """Take the message as the answer to a question; anything else gets help."""
    plain = unicodedata.normalize("NFKC", text[:200]).upper()
    match = _ANSWER.fullmatch("".join(plain.split()).rstrip("。.!！"))
    if match is None:
        return _told(house, language, "help")
    word, reference = match.groups()
    is_yes = word in _YES
    now_ms = house.clock.now_ms()
    tries: Tries = request.app.state.tries
    open_ones = [(s, c) for s in states for c in open_questions(s)]
    if reference is None:
        # "No" reduces, so with one open question it needs no number; with two it must not guess.
        if is_yes or len(open_ones) != 1:
            example = open_ones[0][1].reference if len(open_ones) == 1 else "123456"
            key: Outcome = "which_question" if open_ones else "no_question"
            return _told(house, language, key, reference=example)
        state, question = open_ones[0]
        return await _reply_to(house, state, question, actor, is_yes=False, language=language)
    if tries.are_used_up(number, now_ms):
        return _told(house, language, "too_many_tries")
    known = [(s, c) for s in states for c in s.settings.challenges if c.reference == reference]
    if not known:
        tries.note(number, now_ms)
        return _told(house, language, "no_question")
    asked = [pair for pair in known if pair in open_ones] or known
    if len(asked) > 1 and is_yes:
        return _told(house, language, "not_by_sms")
    state, question = asked[0]
    return await _reply_to(house, state, question, actor, is_yes=is_yes, language=language)


async def _reply_to(
    house: House,
    state: CardState,
    question: Challenge,
    actor: Actor,
    *,
    is_yes: bool,
    language: str,
) -> _Done:
    """Answer one question by its reference."""
    change = AnswerChallenge(question.reference, is_yes)
    (result,) = await house.submit([_command(actor, state.card_key, change)])
    if result.rejection is not None:
        over = (Rejection.CHALLENGE_EXPIRED, Rejection.CHALLENGE_ALREADY_ANSWERED)
        key: Outcome = "not_by_sms"
        if result.rejection in over:
            key = "question_over"
        elif result.rejection is Rejection.CHALLENGE_NOT_FOUND:
            key = "no_question"
        return _told(house, language, key)
    if is_yes:
        minutes = house.policy.pass_ms // MINUTE_MS
        text = _text(house, language, "approved", minutes=minutes)
        return _Done("approved", (text,), question.id)
    after = _after(house, result, state)
    text = _text(house, language, "denied", **_stop_facts(after))
    return _Done("denied", (text,), question.id, (stop_document(after),))


def _after(house: House, result: Result, state: CardState) -> CardState:
    return result.state or house.reader.card(state.card_key) or state


def _command(actor: Actor, card_key: bytes, change: Change) -> Command:
    return Command(card_key, change=change, actor=actor, nonce=secrets.token_bytes(8))


def _told(house: House, language: str, outcome: Outcome, **facts: int | str | list[str]) -> _Done:
    """A message that changed nothing."""
    return _Done(outcome, (_text(house, language, outcome, **facts),))


def _text(house: House, language: str, key: str, **facts: int | str | list[str]) -> str:
    return house.words.text(f"sms.{key}", language, facts)


def _stop_facts(state: CardState) -> dict[str, int | str | list[str]]:
    """Tail, time on the card's own clock, and reference of a stop."""
    profile = state.settings.profile
    stop = state.settings.stop
    if stop is None:
        return {"tail": profile.tail, "time": "", "reference": ""}
    local = _EPOCH + timedelta(milliseconds=profile.zone.local_ms(stop.since_ms))
    return {
        "tail": profile.tail,
        "time": local.strftime("%m-%d %H:%M"),
        "reference": stop.reference,
    }


def _tails(states: list[CardState]) -> list[str]:
    return [state.settings.profile.tail for state in states]


def _number(text: str) -> str:
    """E.164 of the sender; empty where it is none, which is an unknown number like any other."""
    try:
        return phone_number(text)
    except NotAllowedValueError:
        return ""

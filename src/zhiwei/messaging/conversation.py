"""Conversation: what a text message asks for, and what is done (短信止付, 短信核实).

The sender's number says who writes, and a number can be forged: so a message can only reduce. It
stops cards and says no; "yes" counts where the issuer's policy lets it, with the reference of the
question, and a stop is never lifted. Whoever writes from a number that nobody registered gets one
neutral sentence whatever was sent: the house then looks at the number alone, never at the text, so
that neither words nor time tell whether a card exists.

A trusted contact's number (`contact_talk`) may stop the cards of those who trust it, and no more.

What a number may send is bounded (`tries`): past the bound on messages, and past that on wrong
references, no "yes" counts; a stop and a "no" always do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, final

from zhiwei.core.card_state import (
    CardState,
    Challenge,
    ChallengeState,
    StopSource,
)
from zhiwei.core.command import AnswerChallenge, Via
from zhiwei.core.policy import Policy
from zhiwei.core.result import Rejection
from zhiwei.core.windows import MINUTE_MS
from zhiwei.messaging.contact_talk import ContactTalk, ContactTurn
from zhiwei.messaging.contacts import Settle, read_word
from zhiwei.messaging.contacts import Word as ContactWord
from zhiwei.messaging.model import Clock, Inbound, Planned
from zhiwei.messaging.numbers import may_be_answered, sender_number
from zhiwei.messaging.reply import (
    CHANGING,
    Outcome,
    PlacedStop,
    Reply,
    Said,
    read_answer,
    reply_message,
)
from zhiwei.messaging.stopping import (
    STOPS,
    Stopping,
    StopWish,
    Submit,
    Texts,
    command,
    stop_facts,
    tails_of,
)
from zhiwei.messaging.tries import Bounds, Counts
from zhiwei.ports import Cardholder, Reader

_CHUNK: Final = 100
_OPEN: Final = (ChallengeState.PENDING, ChallengeState.UNDELIVERABLE)
_OVER: Final = (Rejection.CHALLENGE_EXPIRED, Rejection.CHALLENGE_ALREADY_ANSWERED)


class Word(Protocol):
    """A member of an enumeration, of which only the name matters here."""

    @property
    def name(self) -> str:
        """For example `STOP_ALL`."""
        ...


class Heard(Protocol):
    """A text as the stop-payment room understood it."""

    @property
    def kind(self) -> Word:
        """STOP_ONLY_CARD, STOP_TAIL, STOP_ALL, HELP or UNREADABLE."""
        ...

    @property
    def tail(self) -> str:
        """Last four digits for STOP_TAIL, else empty."""
        ...


@dataclass(frozen=True)
class _Turn:
    """One message of a number that somebody registered."""

    number: str
    language: str
    #: Cards that are not closed, of all who registered the number, as of now.
    states: Sequence[CardState]
    now_ms: int
    message_id: str
    #: The number wrote too often; only what reduces is done.
    is_flood: bool


@final
class Conversation:
    """Takes messages and says what to reply. One loop at a time may use it."""

    def __init__(
        self,
        *,
        reader: Reader,
        submit: Submit,
        texts: Texts,
        policy: Callable[[], Policy],
        read_command: Callable[[str], Heard],
        counts: Counts,
        clock: Clock,
        settle: Settle,
        observe: Callable[[Outcome], object] = lambda _: None,
    ) -> None:
        """`policy` is the one in force; `observe` is told each message's outcome, for metrics.

        `settle` keeps what a trusted contact says.
        """
        self._reader: Final = reader
        self._submit: Final = submit
        self._texts: Final = texts
        self._policy: Final = policy
        self._read_command: Final = read_command
        self._bounds: Final = Bounds(counts)
        self._clock: Final = clock
        self._observe: Final = observe
        self._stopping: Final = Stopping(reader, submit, texts)
        self._contacts: Final = ContactTalk(reader, self._stopping, texts, settle, self._bounds)

    async def on_inbound(self, inbound: Inbound) -> Planned | None:
        """Do what a message of the SMS channel asks for; the reply to send, None for none.

        Safe to call again with the same message after a crash: what was done is not done twice.

        Raises:
            StoreUnavailableError: nothing was done, call again later.
        """
        now_ms = self._clock.now_ms()
        reply = await self.take(inbound.sender, inbound.text, now_ms=now_ms, message_id=inbound.id)
        return reply_message(inbound.id, reply, now_ms)

    async def take(self, sender: str, text: str, *, now_ms: int, message_id: str = "") -> Reply:
        """Do what a message asks for, as far as a message may.

        Args:
            sender: the number as the network told it.
            text: what was written.
            now_ms: the house's instant, UTC.
            message_id: stable id of the message, so that it is done once; empty = it has none.

        Raises:
            StoreUnavailableError: nothing was done.
            CorruptFileError: a card's file cannot be read.
        """
        heard = self._read_command(text)
        number = sender_number(sender)
        holders = self._holders(number) if number else []
        contacts = self._contacts.contacts(number, now_ms) if number else []
        contact = None
        if contacts:
            command = (heard.kind.name, heard.tail)
            contact = ContactTurn(number, contacts, text, *command, now_ms, message_id)
        if holders or contacts:
            states = self._stopping.cards([holder.id for holder in holders], now_ms)
            is_flood = self._bounds.is_flood(number, now_ms)
            language = holders[0].locale if holders else contacts[0].named.locale
            turn = _Turn(number, language, states, now_ms, message_id, is_flood)
            reply = None if contact is None else await self._as_contact(turn, contact)
            if reply is None and holders:
                reply = await self._answer(turn, heard, read_answer(text))
            if reply is None:
                reply = self._neutral(number, now_ms)
            if is_flood and reply.outcome not in CHANGING:
                reply = replace(_silent(turn), stops=reply.stops)
        else:
            reply = self._neutral(number, now_ms)
        self._observe(reply.outcome)
        return reply

    async def _as_contact(self, turn: _Turn, contact: ContactTurn) -> Reply | None:
        """What a message does as a trusted contact's; None = it is to be read as a holder's.

        Cards of one's own come first: a tail that one of them has means that one.
        """
        word = read_word(contact.text)
        if word is not None:
            if turn.is_flood and word[0] is ContactWord.AGREE:
                return _silent(turn)
            return await self._contacts.say(contact, *word)
        own = [state.settings.profile.tail for state in turn.states]
        is_own = contact.kind == "STOP_TAIL" and contact.tail in own
        stopped = None
        if not is_own:
            stopped = await self._contacts.stop(contact, has_own_cards=bool(own))
        return stopped or (None if own else self._contacts.help(contact))

    async def _answer(self, turn: _Turn, heard: Heard, said: Said | None) -> Reply:
        """What a message of a registered number does."""
        kind = heard.kind.name
        if kind in STOPS:
            return await self._stop(turn, kind, heard.tail)
        if kind == "HELP" or said is None:
            return self._told(turn, "help")
        if not said.reference:
            return await self._answer_the_only_one(turn, said)
        return await self._answer_by_reference(turn, said)

    async def _stop(self, turn: _Turn, kind: str, tail: str) -> Reply:
        """Stop all cards, the only one, or the only one with a tail; never one by guessing."""
        chosen = list(turn.states)
        if not chosen:
            return self._told(turn, "no_card")
        if kind == "STOP_TAIL":
            chosen = [s for s in chosen if s.settings.profile.tail == tail]
            if not chosen:
                return self._told(turn, "no_such_card", tail=tail, tails=tails_of(turn.states))
        if kind != "STOP_ALL" and len(chosen) > 1:
            return self._told(turn, "which_card", tails=tails_of(turn.states))
        wish = StopWish(turn.number, turn.language, turn.message_id, StopSource.SMS, who=_holder_of)
        return await self._stopping.stopped(wish, chosen) or self._told(turn, "no_card")

    async def _answer_the_only_one(self, turn: _Turn, said: Said) -> Reply:
        """An answer without a reference.

        "No" reduces, so with one open question it needs no number; with two it must not guess.
        """
        open_ones = _open_ones(turn)
        if not said.is_yes and len(open_ones) == 1:
            ((state, question),) = open_ones
            return await self._answered(turn, state, question, is_yes=False)
        if not open_ones:
            again = None if said.is_yes else await self._same_no_again(turn)
            return again or self._told(turn, "no_question")
        example = open_ones[0][1].reference if len(open_ones) == 1 else "123456"
        return self._told(turn, "which_question", reference=example)

    async def _same_no_again(self, turn: _Turn) -> Reply | None:
        """The reply to a "no" that was carried out before a crash; None where this is none."""
        denied = [
            (state, challenge)
            for state in turn.states
            for challenge in state.settings.challenges
            if challenge.state is ChallengeState.DENIED
            and challenge.answered_via == Via.SMS.name.lower()
        ]
        if not turn.message_id or not denied:
            return None
        state, question = max(denied, key=lambda pair: pair[1].answered_ms)
        reply = await self._answered(turn, state, question, is_yes=False)
        return reply if reply.outcome == "denied" else None

    async def _answer_by_reference(self, turn: _Turn, said: Said) -> Reply:
        """An answer that names its question. Guessing is bounded, for a "yes"."""
        is_used_up = self._bounds.has_guessed_enough(turn.number, turn.now_ms)
        if said.is_yes and turn.is_flood:
            return _silent(turn)
        if said.is_yes and is_used_up:
            return self._told(turn, "too_many_tries")
        known = [
            (state, challenge)
            for state in turn.states
            for challenge in state.settings.challenges
            if challenge.reference == said.reference
        ]
        if not known:
            if is_used_up:
                return self._told(turn, "too_many_tries")
            self._bounds.note_wrong(turn.number, turn.now_ms)
            return self._told(turn, "no_question")
        asked = [pair for pair in known if pair[1].state in _OPEN] or known
        if len(asked) > 1 and said.is_yes:
            return self._told(turn, "not_by_sms")
        state, question = asked[0]
        return await self._answered(turn, state, question, is_yes=said.is_yes)

    async def _answered(
        self, turn: _Turn, state: CardState, question: Challenge, *, is_yes: bool
    ) -> Reply:
        """Answer one question by its reference."""
        change = AnswerChallenge(question.reference, is_yes)
        operation = f"{'yes' if is_yes else 'no'}|{question.reference}"
        order = command(state, change, _holder_of(state), turn.message_id, operation)
        (result,) = await self._submit([order])
        if result.rejection is not None:
            key: Outcome = "not_by_sms"
            if result.rejection in _OVER:
                key = "question_over"
            elif result.rejection is Rejection.CHALLENGE_NOT_FOUND:
                key = "no_question"
            return self._told(turn, key)
        if is_yes:
            minutes = self._policy().pass_ms // MINUTE_MS
            reply = self._told(turn, "approved", minutes=minutes)
            return replace(reply, challenge=question.id)
        after = self._stopping.after(result, state)
        stop = after.settings.stop
        text = self._text(turn.language, "denied", stop_facts(state, stop))
        stops = () if stop is None else (PlacedStop(state.card_key, stop),)
        return Reply("denied", (text,), turn.language, turn.number, question.id, stops)

    def _neutral(self, number: str, now_ms: int) -> Reply:
        """What a stranger gets: always the same sentence, and hardly ever twice."""
        text = self._text("zh", "neutral", {})
        may_be_sent = may_be_answered(number) and self._bounds.may_greet(number, now_ms)
        return Reply("neutral", (text,), "zh", number, is_to_be_sent=may_be_sent)

    def _holders(self, number: str) -> list[Cardholder]:
        """Everybody who registered a number, the latest first."""
        found: list[Cardholder] = []
        before = ""
        while True:
            chunk = self._reader.records(Cardholder, subject=number, before=before, limit=_CHUNK)
            found.extend(chunk)
            if len(chunk) < _CHUNK:
                return found
            before = chunk[-1].id

    def _told(self, turn: _Turn, outcome: Outcome, **facts: int | str | list[str]) -> Reply:
        """A reply of one sentence."""
        return Reply(
            outcome, (self._text(turn.language, outcome, facts),), turn.language, turn.number
        )

    def _text(self, language: str, key: str, facts: Mapping[str, int | str | list[str]]) -> str:
        return self._texts.text(f"sms.{key}", language, facts)


def _open_ones(turn: _Turn) -> list[tuple[CardState, Challenge]]:
    """Questions that can be answered now."""
    return [
        (state, challenge)
        for state in turn.states
        for challenge in state.settings.challenges
        if challenge.state in _OPEN
    ]


def _holder_of(state: CardState) -> str:
    """In whose name a card is stopped or answered for: the card's own holder's."""
    return state.settings.profile.cardholder


def _silent(turn: _Turn) -> Reply:
    """No answer any more: the number wrote too often."""
    return Reply("too_many_messages", (), turn.language, turn.number, is_to_be_sent=False)

"""ContactTalk: what a trusted contact (信任联系人) may do by text message, and what is replied.

A contact agrees, leaves, and stops cards of those who trust them. Nothing else that they write does
anything. The number is a claim here as everywhere, so an agreement needs the reference that went to
that number, and wrong ones are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from zhiwei.core.card_state import CardState, StopSource
from zhiwei.messaging.contacts import (
    Contact,
    ContactState,
    Settle,
    Word,
    contacts_with,
    masked_name,
)
from zhiwei.messaging.reply import Outcome, Reply
from zhiwei.messaging.stopping import STOPS, Facts, Stopping, StopWish, Texts, tails_of
from zhiwei.messaging.tries import Bounds
from zhiwei.ports import Cardholder, Reader

#: Who left is told so again for so long, should the network bring the message twice.
_LEFT_LATELY_MS: Final = 24 * 3_600_000


@dataclass(frozen=True)
class ContactTurn:
    """One message of a number that is somebody's trusted contact, or was asked to be."""

    number: str
    contacts: Sequence[Contact]
    text: str
    #: Kind of the stop command (`STOP_TAIL` …) and its tail.
    kind: str
    tail: str
    now_ms: int
    message_id: str

    @property
    def language(self) -> str:
        """Of the newest contact."""
        return self.contacts[0].named.locale

    @property
    def agreed(self) -> list[Contact]:
        """Those who trust this number now."""
        return [c for c in self.contacts if c.is_agreed]


@final
class ContactTalk:
    """Answers contacts. One loop at a time may use it."""

    def __init__(
        self, reader: Reader, stopping: Stopping, texts: Texts, settle: Settle, bounds: Bounds
    ) -> None:
        self._reader: Final = reader
        self._stopping: Final = stopping
        self._texts: Final = texts
        self._settle: Final = settle
        self._bounds: Final = bounds

    def contacts(self, number: str, now_ms: int) -> list[Contact]:
        """Contacts with a number that may say something: live ones, and who left lately."""
        return [c for c in contacts_with(self._reader, number) if _is_heard(c, now_ms)]

    async def say(self, turn: ContactTurn, word: Word, reference: str) -> Reply:
        """What "agree" and "end" do."""
        if word is Word.END:
            return await self._left(turn)
        return await self._agreed(turn, reference)

    async def stop(self, turn: ContactTurn, *, has_own_cards: bool) -> Reply | None:
        """Stop cards of those who trust the number; None where it is no business of a contact.

        Who has cards of their own means those by `ZF` and `ZF#ALL`, and stops another's only by a
        tail that none of the own has.
        """
        is_of_others = turn.kind == "STOP_TAIL" or not has_own_cards
        if turn.kind not in STOPS or not turn.agreed or not is_of_others:
            return None
        trusting = {contact.cardholder: contact for contact in reversed(turn.agreed)}
        states = self._stopping.cards(trusting, turn.now_ms)
        chosen = states
        if turn.kind == "STOP_TAIL":
            chosen = [s for s in states if s.settings.profile.tail == turn.tail]
        if not chosen:
            if has_own_cards:
                return None
            return self.help(turn)
        if turn.kind != "STOP_ALL" and len(chosen) > 1:
            return self._told(turn, "which_card", tails=tails_of(states))
        wish = StopWish(
            turn.number,
            turn.language,
            turn.message_id,
            StopSource.CONTACT,
            who=lambda state: trusting[state.settings.profile.cardholder].id,
            key="sms.contact_",
            name=lambda state: self._name(state, turn.language),
        )
        return await self._stopping.stopped(wish, chosen) or self.help(turn)

    def help(self, turn: ContactTurn) -> Reply | None:
        """What a contact may send; None for a number that nobody trusts yet or any more."""
        return self._told(turn, "contact_help") if turn.agreed else None

    async def _left(self, turn: ContactTurn) -> Reply:
        """The contact is told of nobody's cards any more; done before, it is said again."""
        for contact in turn.contacts:
            if contact.state(turn.now_ms) is not ContactState.ENDED:
                await self._settle(contact.id, Word.END)
        return self._told(turn, "contact_left")

    async def _agreed(self, turn: ContactTurn, reference: str) -> Reply:
        """The contact agrees to one invitation, named by its reference."""
        if self._bounds.has_guessed_enough(turn.number, turn.now_ms):
            return self._told(turn, "too_many_tries")
        named = [
            contact
            for contact in turn.contacts
            if contact.named.reference == reference
            and contact.state(turn.now_ms) is not ContactState.ENDED
        ]
        if not named:
            self._bounds.note_wrong(turn.number, turn.now_ms)
            return self._told(turn, "no_invitation")
        await self._settle(named[0].id, Word.AGREE)
        return self._told(turn, "contact_agreed", name=self._name_of(named[0].cardholder, turn))

    def _name_of(self, cardholder: str, turn: ContactTurn) -> str:
        found = self._reader.record(Cardholder, cardholder)
        return masked_name("" if found is None else found.name, turn.language)

    def _name(self, state: CardState, language: str) -> str:
        found = self._reader.record(Cardholder, state.settings.profile.cardholder)
        return masked_name("" if found is None else found.name, language)

    def _told(self, turn: ContactTurn, outcome: Outcome, **facts: str | list[str]) -> Reply:
        said: Facts = dict(facts)
        text = self._texts.text(f"sms.{outcome}", turn.language, said)
        return Reply(outcome, (text,), turn.language, turn.number)


def _is_heard(contact: Contact, now_ms: int) -> bool:
    if contact.state(now_ms) is not ContactState.ENDED:
        return True
    return contact.said.ended_ms > 0 and now_ms - contact.said.ended_ms < _LEFT_LATELY_MS

"""Texts: what a person reads of an event, on one channel and in one language.

A text message has the signature first and is one part where it can be: names from outside are
shortened to make it fit. It never carries a link. What to do depends on the channel: a stop by SMS
needs the number of now, so who is told at a former one is asked to call the bank.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from zhiwei.core.card_state import CardState
from zhiwei.core.entry import Entry
from zhiwei.core.event import EventKind
from zhiwei.core.ids import card_id
from zhiwei.messaging import wording
from zhiwei.messaging.model import EMAIL, PUSH, SMS
from zhiwei.messaging.parts import size_of
from zhiwei.messaging.settings import AlertSettings
from zhiwei.messaging.tellers import TELLERS, may_say_yes_by_sms, tell_contact, tell_operators
from zhiwei.messaging.telling import EntryOf, Said, Telling
from zhiwei.ports import EventRow
from zhiwei.words.sentences import Sentences

#: Names are not cut below this.
_NAME_MIN: Final = {"zh": 4, "en": 8}


@dataclass(frozen=True)
class Text:
    """What a person reads."""

    #: The line of an e-mail or push.
    subject: str
    body: str


def _no_entry(_card_key: bytes, _version: int) -> Entry | None:
    return None


def _may() -> bool:
    return True


@final
class Texts:
    """The sentences of all messages. Reading is safe from any thread."""

    def __init__(
        self,
        words: Sentences,
        settings: AlertSettings,
        *,
        sms_may_approve: Callable[[], bool] = _may,
        entry_of: EntryOf = _no_entry,
    ) -> None:
        """What the texts are made of.

        `sms_may_approve` is that of the policy in force; `entry_of` (`Reader.entry`) lets a text
        say more of a payment than its event does.
        """
        self._words: Final = words
        self._sms_may_approve: Final = sms_may_approve
        self._entry_of: Final = entry_of
        self._signatures: Final = {
            language: words.text("signature", language, {"name": name})
            for language, name in settings.signatures.items()
        }

    def of(
        self,
        row: EventRow,
        state: CardState,
        language: str,
        *,
        channel: str = SMS,
        is_former: bool = False,
    ) -> Text:
        """What the cardholder is told of an event.

        `channel` is SMS, EMAIL or PUSH; a push has no signature, since the app shows whose it is.
        `is_former` = it goes to a contact that was replaced. What only operators are told is said
        in their words.
        """
        if not self._words.has(f"message.{row.event.kind.word}", language):
            return self.for_operators(row, state, language)
        telling = self._telling(row, state, language)
        text = self._text(telling, language, channel, is_former=is_former)
        if channel != SMS:
            return text
        if language == "en":
            text = Text(text.subject, wording.in_gsm7(text.body))
        if size_of(text.body).parts == 1 or telling.longest_name <= _NAME_MIN[language]:
            return text
        return self._shortened(row, state, language, text, telling.longest_name, is_former)

    def for_operators(self, row: EventRow, state: CardState, language: str) -> Text:
        """What operators are told of an event in their chat: ids, never a person's data."""
        telling = self._telling(row, state, language)
        said: Said = {"card": card_id(row.card_key), "version": str(row.version)}
        tell_operators(telling, said)
        key = f"chat.{row.event.kind.word}"
        if not self._words.has(key, language):
            return Text(row.event.kind.word, f"{said['card']} {said['version']}")
        return Text(telling.say(f"{key}.subject", said), telling.say(key, said))

    def for_contact(self, row: EventRow, state: CardState, name: str, language: str) -> str:
        """What a trusted contact (信任联系人) is told of an event, by text message.

        `name` is the cardholder's, masked. There is no amount in it and no merchant.
        """
        telling = self._telling(row, state, language)
        at_ms = row.event.facts.get("at_ms")
        said: Said = {
            "signature": self._signatures[language],
            "name": name,
            "tail": state.settings.profile.tail,
            "time": telling.time(at_ms if isinstance(at_ms, int) else row.at_ms),
        }
        key = tell_contact(telling, said)
        text = telling.say(f"contact.{key}", said)
        return wording.in_gsm7(text) if language == "en" else text

    def _shortened(
        self,
        row: EventRow,
        state: CardState,
        language: str,
        whole: Text,
        longest: int,
        is_former: bool,
    ) -> Text:
        """The text with names cut until it is one part; whole where that does not help."""
        size = size_of(whole.body)
        names_max = max(longest - max(size.units - size.encoding.single, 1), _NAME_MIN[language])
        while True:
            telling = self._telling(row, state, language, names_max)
            text = self._text(telling, language, SMS, is_former=is_former)
            body = wording.in_gsm7(text.body) if language == "en" else text.body
            if size_of(body).parts == 1:
                return Text(text.subject, body)
            if names_max == _NAME_MIN[language]:
                return whole
            names_max -= 1

    def _telling(
        self,
        row: EventRow,
        state: CardState,
        language: str,
        names_max: int = wording.NAME_MAX,
    ) -> Telling:
        return Telling(
            self._words,
            language,
            row,
            state,
            self._entry_of,
            names_max=names_max,
            sms_may_approve=self._sms_may_approve(),
        )

    def _text(self, telling: Telling, language: str, channel: str, *, is_former: bool) -> Text:
        """The sentence of an event with all its facts."""
        facts = telling.facts
        kind = telling.row.event.kind
        tail = wording.reference_of(facts.get("tail"))[-4:] or telling.state.settings.profile.tail
        at_ms = facts.get("at_ms")
        said: Said = {
            "tail": tail,
            "time": telling.time(at_ms if isinstance(at_ms, int) else telling.row.at_ms),
            "signature": "" if channel == PUSH else self._signatures[language],
        }
        variant = TELLERS[kind](telling, said)
        is_at_bank = is_former or kind is EventKind.CONTACT_CHANGED
        not_you = "former" if is_at_bank else _way(channel)
        said["not_you"] = telling.say(f"not_you.{not_you}", {"tail": tail})
        if kind is EventKind.CHALLENGE_CREATED:
            said["answer"] = telling.say(f"answer.{_answer(telling, said, channel)}", said)
        key = f"message.{kind.word}"
        body = f"{key}.{variant}" if variant else key
        subject = f"{body}.subject"
        if not self._words.has(subject, language):
            subject = f"{key}.subject"
        return Text(telling.say(subject, said), telling.say(body, said).strip())


def _way(channel: str) -> str:
    return channel if channel in (EMAIL, PUSH) else SMS


def _answer(telling: Telling, said: Said, channel: str) -> str:
    """How the question can be answered where it is read."""
    if not said["reference"] or said["until"] == wording.UNKNOWN:
        return "unknown"
    if channel == SMS and not may_say_yes_by_sms(telling):
        return "sms_no"
    return _way(channel)

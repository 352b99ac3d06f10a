"""Telling: one event in one language, and how its single facts are said.

A fact that an event lacks, or has in another shape than expected, is left out or left open; it
never fails a text, since an alert with a hole beats none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, final

from zhiwei.core.card_state import CardState, Challenge
from zhiwei.core.entry import Entry
from zhiwei.messaging import wording
from zhiwei.ports import EventRow
from zhiwei.words.sentences import Sentences

Said: TypeAlias = "dict[str, int | str | list[str]]"
#: The entry of a card at a version, where it can be had.
EntryOf: TypeAlias = "Callable[[bytes, int], Entry | None]"


@final
class Telling:
    """One event in one language, for a text whose names have a bounded length."""

    def __init__(
        self,
        words: Sentences,
        language: str,
        row: EventRow,
        state: CardState,
        entry_of: EntryOf,
        *,
        names_max: int = wording.NAME_MAX,
        sms_may_approve: bool = True,
    ) -> None:
        self.row: Final = row
        self.state: Final = state
        self.facts: Final = row.event.facts
        self.sms_may_approve: Final = sms_may_approve
        #: The longest name from outside that was met, so that the caller knows what to cut.
        self.longest_name = 0
        self._words: Final = words
        self._language: Final = language
        self._entry_of: Final = entry_of
        self._names_max: Final = names_max

    def say(self, key: str, facts: Said | None = None) -> str:
        """A sentence or a part of one."""
        return self._words.text(key, self._language, facts or {})

    def say_one_of(self, section: str, word: object, otherwise: str) -> str:
        """The word of a section, or another one of it where there is no such word."""
        key = f"{section}.{word}"
        return self.say(key if self._words.has(key, self._language) else f"{section}.{otherwise}")

    def name(self, text: object) -> str:
        """A name from outside, cut to what there is room for."""
        name = wording.name_of(text)
        self.longest_name = max(self.longest_name, len(name))
        return wording.cut(name, self._names_max, self._language)

    def part(self, part: str, name: str, value: str) -> str:
        """A part of a sentence with its one fact; nothing where the fact is not known."""
        return self.say(f"part.{part}", {name: value}) if value else ""

    def time(self, at_ms: object, pattern: str = "%m-%d %H:%M") -> str:
        """An instant on the card's own clock."""
        return wording.local_time(at_ms, self.state.settings.profile.zone, pattern)

    def money(self, minor: object, currency: object = "") -> str:
        """An amount; in the card's currency where no other is named."""
        known = currency or self.state.settings.profile.currency
        return wording.amount_text(self._words, self._language, minor, known)

    def control(self, control_type: object) -> str:
        """Name of a control; empty where it has none."""
        key = f"service.{control_type}"
        return self.say(key) if self._words.has(key, self._language) else ""

    def area(self, country: object, region: object) -> str:
        """Name of a province, or of a country or region; empty where neither is known."""
        return wording.area_name(self._words, self._language, country, region)

    def place(self, country: object, region: object, channel: object, merchant: object) -> str:
        """Where a machine stands, as far as it was told: area, kind of machine, name."""
        area = self.area(country, region)
        machine = self.say("place.kiosk")
        if channel in ("atm", "pos"):
            machine = self.say(f"channel.{channel}")
        where = machine
        if area:
            where = self.say("part.region_and_channel", {"area": area, "machine": machine})
        name = self.name(merchant)
        if not name:
            return where
        return self.say("part.place_and_merchant", {"place": where, "merchant": name})

    def entry(self, version: object) -> Entry | None:
        """An entry of the card; None where it cannot be had."""
        if not isinstance(version, int) or version <= 0:
            return None
        return self._entry_of(self.row.card_key, version)

    def question(self) -> Challenge | None:
        """The question that the event is about, while the card's file remembers it."""
        name = self.facts.get("challenge")
        return next((c for c in self.state.settings.challenges if c.id == name), None)

    def payment(self, entry: Entry | None) -> Said:
        """Merchant, kind and amount of a card message."""
        request = None if entry is None else entry.command.request
        if request is None:
            return {"merchant": "", "kind": self.say("kind.other"), "of_amount": ""}
        amount = ""
        if request.amount_minor > 0:
            amount = self.money(request.amount_minor, request.currency)
        return {
            "merchant": self.part("merchant", "merchant", self.name(request.merchant_name)),
            "kind": self.say_one_of("kind", request.kind.name.lower(), "other"),
            "of_amount": self.part("of_amount", "amount", amount),
        }

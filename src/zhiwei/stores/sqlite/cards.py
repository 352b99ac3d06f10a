"""Cards in memory: every file that the store has read or written lately, bounded in number.

A slot holds a file as bytes, and for the busiest cards as a value too. The sweep walks through the
cards in order of their number and says which rows of `card_state` are to be rewritten.
"""

from __future__ import annotations

from collections import deque
from typing import Final, final

from zhiwei.core.card_state import CardState
from zhiwei.stores.coding.recent import decode_recent
from zhiwei.stores.coding.settings import decode_settings
from zhiwei.stores.coding.usage import decode_usage

#: Cards whose rows are rewritten together: about as many as share a page of the file.
GROUP_CARDS: Final = 12
#: The sweep goes once around in four entries for each card, but in no fewer than this.
_ROUND_ENTRIES_MIN: Final = 16_384
_TRIES_MAX: Final = 16


@final
class Slot:
    """One card's file as it is committed.

    `image` is replaced as a whole, so that other threads may read it at any time.
    """

    __slots__ = (
        "card_key",
        "image",
        "is_dirty",
        "is_used",
        "last_entry",
        "last_event",
        "number",
        "records",
        "sealed_recent",
        "spilled_until",
        "state",
        "version",
    )

    def __init__(
        self, number: int, card_key: bytes, settings: bytes, usage: bytes, sealed_recent: bytes
    ) -> None:
        self.number: Final = number
        self.card_key: Final = card_key
        #: Cold part and hot part, sealed.
        self.image: tuple[bytes, bytes] = (settings, usage)
        #: The digests as they were read; opened when they are needed first.
        self.sealed_recent = sealed_recent
        self.records = b""
        self.spilled_until = 0
        #: The file as a value; None while only the bytes are kept. What follows is known from the
        #: first time it was made: its version, and where its last entry and event stand.
        self.state: CardState | None = None
        self.version = 0
        self.last_entry = 0
        self.last_event = 0
        #: Its row in `card_state` is older than this.
        self.is_dirty = False
        self.is_used = True

    def opened_state(self) -> CardState:
        """The file as a value.

        Raises:
            CorruptFileError: a checksum does not fit.
        """
        state = self.state
        if state is not None:
            return state
        settings, usage = self.image
        state, places = decode_usage(usage, self.card_key, decode_settings(settings, self.card_key))
        if self.sealed_recent:
            self.records, self.spilled_until = decode_recent(self.sealed_recent, self.card_key)
            self.sealed_recent = b""
        self.state = state
        self.version = state.version
        self.last_entry = places.entry
        self.last_event = places.event
        return state


@final
class Cards:
    """The slots, at most `slots_max` of them, of which at most `opened_max` keep a value."""

    __slots__ = ("_opened", "_order", "opened_max", "slots", "slots_max")

    def __init__(self, slots_max: int, opened_max: int) -> None:
        self.slots_max: Final = slots_max
        self.opened_max: Final = opened_max
        self.slots: Final[dict[bytes, Slot]] = {}
        self._order: Final[deque[Slot]] = deque()
        self._opened: Final[deque[Slot]] = deque()

    def add(self, slot: Slot) -> None:
        """Take in a slot; the one that was not used for longest goes, unless its row is behind."""
        self.slots[slot.card_key] = slot
        self._order.append(slot)
        tries = _TRIES_MAX
        while len(self.slots) > self.slots_max and tries > 0:
            tries -= 1
            oldest = self._order.popleft()
            if oldest.is_used or oldest.is_dirty:
                oldest.is_used = False
                self._order.append(oldest)
            else:
                del self.slots[oldest.card_key]

    def note_opened(self, slot: Slot) -> None:
        """Remember that the slot keeps a value now; one that was not used lately lets go of its."""
        self._opened.append(slot)
        tries = _TRIES_MAX
        while len(self._opened) > self.opened_max and tries > 0:
            tries -= 1
            oldest = self._opened.popleft()
            if oldest.is_used:
                oldest.is_used = False
                self._opened.append(oldest)
            else:
                oldest.state = None

    @property
    def is_over_full(self) -> bool:
        """More slots are kept than wanted, because their rows are behind."""
        return len(self.slots) > self.slots_max

    def clear(self) -> None:
        """Forget everything."""
        self.slots.clear()
        self._order.clear()
        self._opened.clear()


@final
class Sweep:
    """Which files are ahead of their rows, and how far the walk around all cards has come.

    A proposal changes nothing; `confirm` is called when it is committed.
    """

    __slots__ = (
        "_at",
        "_behind",
        "_round_began",
        "_round_entries",
        "log_number",
        "swept_log",
        "trimmed_log",
    )

    def __init__(self, round_entries: int) -> None:
        #: In at most so many entries it goes once around. The log holds at most two rounds, and is
        #: read at the start.
        self._round_entries: Final = round_entries
        self._behind: Final[dict[int, list[Slot]]] = {}
        self._at = 0
        #: Number of the last row of the log; of the last one when this round began; of the last one
        #: that a whole round has passed since; of the last one deleted.
        self.log_number = 0
        self._round_began = 0
        self.swept_log = 0
        self.trimmed_log = 0

    @property
    def is_clean(self) -> bool:
        """Every row is up to date."""
        return not self._behind

    def note_moved(self, slot: Slot) -> None:
        """The slot is ahead of its row now."""
        if slot.is_dirty:
            return
        slot.is_dirty = True
        group = slot.number // GROUP_CARDS
        slots = self._behind.get(group)
        if slots is None:
            self._behind[group] = [slot]
        else:
            slots.append(slot)

    def groups_for(self, entries: int, cards: int) -> int:
        """How many groups to sweep when this many entries are written."""
        groups = cards // GROUP_CARDS + 1
        period = min(max(4 * cards, _ROUND_ENTRIES_MIN), self._round_entries)
        return 1 + groups * entries // period

    def proposal(self, groups: int, cards: int) -> list[Slot]:
        """The slots of the next groups that are ahead of their rows."""
        found: list[Slot] = []
        top = cards // GROUP_CARDS
        for group in range(self._at, min(self._at + groups, top + 1)):
            slots = self._behind.get(group)
            if slots is not None:
                found.extend(slots)
        return found

    def confirm(self, groups: int, cards: int) -> None:
        """The proposal for the same numbers is committed."""
        top = cards // GROUP_CARDS
        for group in range(self._at, min(self._at + groups, top + 1)):
            slots = self._behind.pop(group, None)
            if slots is not None:
                for slot in slots:
                    slot.is_dirty = False
        self._at += groups
        if self._at > top:
            self._at = 0
            self.swept_log = self._round_began
            self._round_began = self.log_number

    def begin(self, first_log: int, last_log: int) -> None:
        """Begin a round anew, with a log that holds these rows and nothing swept."""
        self._behind.clear()
        self._at = 0
        self.log_number = last_log
        self._round_began = last_log
        self.swept_log = self.trimmed_log = first_log - 1

"""Cards in memory: every file that the store has read or written lately, bounded in number.

A slot holds a file as bytes, and for the busiest cards as a value too. The sweep walks through the
cards in order of their number and says which rows of `card_state` are to be rewritten.
"""

from __future__ import annotations

from collections import deque
from typing import Final, final

from zhiwei.core.card_state import CardState, Settings
from zhiwei.ports import CorruptFileError
from zhiwei.stores.coding.recent import decode_recent, without_versions_up_to
from zhiwei.stores.coding.settings import decode_settings
from zhiwei.stores.coding.usage import decode_usage, version_and_places

#: Cards whose rows are rewritten together: about as many as share a page of the file.
GROUP_CARDS: Final = 12
#: No fewer groups are swept with a commit, so that most small commits sweep nothing.
_GROUPS_MIN: Final = 4
#: The sweep goes once around in four entries for each card, but in no fewer than this.
_ROUND_ENTRIES_MIN: Final = 16_384
#: In how many parts of a round the log is trimmed.
_MARKS: Final = 16
_TRIES_MAX: Final = 16


@final
class Image:
    """What the log says of one file: the newest of each part."""

    __slots__ = ("added", "recent", "settings", "usage", "version")

    def __init__(self) -> None:
        self.version = 0
        #: Cold part; None where it did not change.
        self.settings: bytes | None = None
        #: Hot part.
        self.usage = b""
        #: All digests as of some commit, sealed, and the ones that were added later.
        self.recent: bytes | None = None
        self.added = b""


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
        "settings",
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
        #: The cold part as a value, from the first time that it was needed.
        self.settings: Settings | None = None
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
        if self.settings is None:
            self.settings = decode_settings(self.image[0], self.card_key)
        state, places = decode_usage(self.image[1], self.card_key, self.settings)
        if self.sealed_recent:
            self.records, self.spilled_until = decode_recent(self.sealed_recent, self.card_key)
            self.sealed_recent = b""
        self.state = state
        self.version = state.version
        self.last_entry = places.entry
        self.last_event = places.event
        return state

    def catch_up(self, image: Image) -> bool:
        """Lay an image of the log over what was read from the row; False if that is as new.

        Raises:
            CorruptFileError: the row is damaged.
        """
        in_row, _ = version_and_places(self.image[1], self.card_key)
        if image.version <= in_row:
            return False
        records, spilled_until = decode_recent(self.sealed_recent, self.card_key)
        if image.recent is not None:
            records, spilled_until = decode_recent(image.recent, self.card_key)
            records += image.added
        else:
            records += without_versions_up_to(image.added, in_row)
        self.records, self.spilled_until, self.sealed_recent = records, spilled_until, b""
        settings = self.image[0] if image.settings is None else image.settings
        self.image = (settings, image.usage)
        self.version = image.version
        return True


@final
class Cards:
    """The slots, at most `slots_max` of them, of which at most `opened_max` keep a value."""

    __slots__ = ("_opened", "_order", "opened_max", "pending", "slots", "slots_max")

    def __init__(self, slots_max: int, opened_max: int) -> None:
        self.slots_max: Final = slots_max
        self.opened_max: Final = opened_max
        self.slots: Final[dict[bytes, Slot]] = {}
        #: By number of the card: what the last run left in the log and nobody has needed yet.
        self.pending: Final[dict[int, Image]] = {}
        self._order: Final[deque[Slot]] = deque()
        self._opened: Final[deque[Slot]] = deque()

    def take_in(self, slot: Slot, sweep: Sweep) -> None:
        """Take in a slot as it was read from its row, brought up to date."""
        image = self.pending.get(slot.number)
        if image is None:
            self.add(slot)
            return
        try:
            if slot.catch_up(image):
                sweep.note_moved(slot)
        except CorruptFileError:
            # An old row must not be taken for the newest one: whoever opens it is refused.
            slot.image = (b"", b"")
        # First in, then out of the pending ones: other threads look for it in that order.
        self.add(slot)
        del self.pending[slot.number]

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
        self.pending.clear()
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
        "_marks",
        "_owed",
        "_round",
        "_round_entries",
        "log_number",
        "swept_log",
        "trimmed_log",
    )

    def __init__(self, round_entries: int) -> None:
        #: In at most so many entries it goes once around. The log holds little more than one round,
        #: and is read at the start.
        self._round_entries: Final = round_entries
        self._behind: Final[dict[int, list[Slot]]] = {}
        #: How often it has gone around, and the next group.
        self._round = 0
        self._at = 0
        #: Where it was (round and group) when the log ended with which row. Once it is there again,
        #: a round later, all rows up to that one are swept.
        self._marks: Final[deque[tuple[int, int, int]]] = deque()
        #: Groups that are due, times the entries of a round.
        self._owed = 0
        #: Number of the last row of the log; of the last one that a whole round has passed since;
        #: of the last one deleted.
        self.log_number = 0
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

    def numbers(self, groups: int) -> range:
        """The numbers of the cards in the next groups."""
        return range(self._at * GROUP_CARDS, (self._at + groups) * GROUP_CARDS)

    def groups_for(self, entries: int, cards: int) -> int:
        """How many groups to sweep now that so many more entries are written; mostly none."""
        groups = (self._owed + entries * self._groups(cards)) // self._period(cards)
        return groups if groups >= min(_GROUPS_MIN, cards // GROUP_CARDS + 1) else 0

    def note_entries(self, entries: int, cards: int) -> None:
        """So many entries are committed; what is due grows with them."""
        self._owed += entries * self._groups(cards)

    def _groups(self, cards: int) -> int:
        # The walk ends with the group behind the last one; a step more makes up for new cards.
        return cards // GROUP_CARDS + 2

    def _period(self, cards: int) -> int:
        return min(max(4 * cards, _ROUND_ENTRIES_MIN), self._round_entries)

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
        self._owed = max(0, self._owed - groups * self._period(cards))
        if self._at > top:
            self._at = 0
            self._round += 1
        marks = self._marks
        while marks and marks[0][:2] <= (self._round - 1, self._at):
            self.swept_log = marks.popleft()[2]
        is_far = self._at - marks[-1][1] > top // _MARKS if marks else True
        if is_far or marks[-1][0] != self._round:
            marks.append((self._round, self._at, self.log_number))

    def begin(self, first_log: int, last_log: int) -> None:
        """Begin a round anew, with a log that holds these rows and nothing swept."""
        self._behind.clear()
        self._marks.clear()
        self._round = self._at = self._owed = 0
        self._marks.append((0, 0, last_log))
        self.log_number = last_log
        self.swept_log = self.trimmed_log = first_log - 1

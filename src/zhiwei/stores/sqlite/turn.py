"""Turn: a batch carried out in memory, on drafts of the files; what is to be written comes out.

Nothing here writes. When the transaction is committed the drafts are published; when it fails they
are dropped, and the files in memory are as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, final

from zhiwei.core.card_state import CHAIN_START, CardState, Settings
from zhiwei.core.command import Command
from zhiwei.core.entry import Entry
from zhiwei.core.result import NOTHING_RELATED, Related, Result, unreadable
from zhiwei.ports import CorruptFileError, Step
from zhiwei.stores.coding.audit import encode_audit
from zhiwei.stores.coding.entry import HASH_BYTES, Filing, encode_entry
from zhiwei.stores.coding.event import encode_event
from zhiwei.stores.coding.recent import (
    KEPT_SECONDS,
    RECORD_BYTES,
    encode_recent,
    may_hold,
    record_of,
    rows_of,
    versions_found,
    without_expired,
)
from zhiwei.stores.coding.settings import encode_settings
from zhiwei.stores.coding.usage import encode_usage
from zhiwei.stores.sqlite.cards import Cards, Slot, Sweep
from zhiwei.stores.sqlite.rows import MARK_EVERY, Rows

#: A card's file keeps the digests of this many entries; the older half of them moves to a table
#: when there are more within seven days.
RECENT_MAX: Final = 128
#: A command is shown at most this many earlier entries, the newest.
RELATED_MAX: Final = 32


_NO_IMAGE: Final = (b"", b"")


@final
class Positions:
    """The last used row numbers."""

    __slots__ = ("audit", "card", "entry", "event")

    def __init__(self, entry: int, event: int, audit: int, card: int) -> None:
        self.entry = entry
        self.event = event
        self.audit = audit
        self.card = card

    def copy(self) -> Positions:
        """The same numbers, apart."""
        return Positions(self.entry, self.event, self.audit, self.card)


@final
class Draft:
    """A card's file while a batch works on it."""

    __slots__ = (
        "added",
        "base_entry",
        "base_version",
        "card_key",
        "chain",
        "entries",
        "has_moved",
        "has_spilled",
        "heads",
        "last_entry",
        "last_event",
        "new_image",
        "records",
        "settings",
        "slot",
        "spilled",
        "spilled_until",
        "state",
    )

    def __init__(self, card_key: bytes, slot: Slot | None) -> None:
        self.card_key: Final = card_key
        self.slot = slot
        self.state: CardState | None = None
        self.settings: Settings | None = None
        self.chain = CHAIN_START
        self.last_entry = 0
        self.last_event = 0
        self.base_entry = 0
        self.base_version = 0
        self.records = b""
        self.spilled_until = 0
        #: Records that this batch added; all of them where some were moved away.
        self.added = b""
        #: Records that this batch moved away: they are in no table yet.
        self.spilled = b""
        self.has_spilled = False
        self.has_moved = False
        #: Entries that this batch wrote, from version `base_version` + 1 on, and the latest
        #: of each group among them.
        self.entries: tuple[Entry, ...] = ()
        self.heads: dict[int, Entry] | None = None
        self.new_image = _NO_IMAGE
        if slot is not None:
            state = slot.opened_state()
            self.state = state
            self.settings = state.settings
            self.chain = state.chain
            self.last_entry = self.base_entry = slot.last_entry
            self.last_event = slot.last_event
            self.base_version = state.version
            self.records = slot.records
            self.spilled_until = slot.spilled_until


@final
class Turn:
    """One batch."""

    __slots__ = (
        "audits",
        "cards",
        "clock_ms",
        "damage",
        "drafts",
        "entries",
        "events",
        "heads",
        "marks",
        "old_keys",
        "positions",
        "rows",
        "step",
        "sweep",
    )

    def __init__(
        self,
        cards: Cards,
        sweep: Sweep,
        rows: Rows,
        positions: Positions,
        step: Step,
        clock_ms: int,
    ) -> None:
        self.cards: Final = cards
        self.sweep: Final = sweep
        self.rows: Final = rows
        self.step: Final = step
        self.clock_ms: Final = clock_ms
        self.positions: Final = positions
        self.drafts: Final[dict[bytes, Draft]] = {}
        #: Rows to write, as tuples of their columns.
        self.entries: Final[list[tuple[int, bytes, int, bytes]]] = []
        self.marks: Final[list[tuple[bytes, int, int]]] = []
        self.heads: Final[dict[tuple[bytes, int], int]] = {}
        self.events: Final[list[tuple[int, bytes, int, bytes]]] = []
        self.audits: Final[list[tuple[int, bytes, bytes]]] = []
        self.old_keys: Final[list[tuple[bytes, bytes, int, int]]] = []
        #: One for each command that was refused because something stored is damaged.
        self.damage: Final[list[CorruptFileError]] = []

    def read_ahead(self, commands: Sequence[Command]) -> None:
        """Read the files that are not in memory, all of them together where there are several."""
        slots = self.cards.slots
        missing: dict[bytes, None] = {}
        for command in commands:
            if command.card_key not in slots:
                missing[command.card_key] = None
        if len(missing) > 1:
            for slot in self.rows.cards(sorted(missing)):
                self.cards.take_in(slot, self.sweep)

    def carry_out(self, command: Command) -> Result:
        """Carry out one command on the draft of its card's file."""
        found: tuple[int, ...] = ()
        related = NOTHING_RELATED
        try:
            draft = self._draft(command.card_key)
            state = draft.state
            if state is not None:
                related, found = self._related(draft, state, command)
        except CorruptFileError as error:
            self.damage.append(error)
            return unreadable(command, self.clock_ms)
        result = self.step(state, related, command, self.clock_ms)
        entry = result.entry
        after = result.state
        if result.rejection is not None or result.is_repeat or entry is None or after is None:
            return result
        version = 1 if state is None else state.version + 1
        assert after.version == version == entry.version, "versions of a card have no gaps"
        self._file(draft, entry, after, Filing(result.keys, found), result)
        return result

    def _draft(self, card_key: bytes) -> Draft:
        """The draft of a card's file, begun from what is committed."""
        draft = self.drafts.get(card_key)
        if draft is not None:
            return draft
        slot = self.cards.slots.get(card_key)
        if slot is None:
            slot = self.rows.card(card_key)
            if slot is not None:
                self.cards.take_in(slot, self.sweep)
        if slot is not None:
            slot.is_used = True
            was_closed = slot.state is None
            draft = Draft(card_key, slot)
            if was_closed:
                self.cards.note_opened(slot)
        else:
            draft = Draft(card_key, None)
        self.drafts[card_key] = draft
        return draft

    def _related(
        self, draft: Draft, state: CardState, command: Command
    ) -> tuple[Related, tuple[int, ...]]:
        """The earlier entries that a command names, and their versions as they are noted."""
        now_ms = max(state.last_ms, self.clock_ms)
        oldest = now_ms // 1000 - KEPT_SECONDS
        original = command.original
        keys = command.keys_to_find
        if draft.spilled_until <= oldest and (original is None or not original.version):
            for key in keys:
                if may_hold(draft.records, key):
                    break
            else:
                return NOTHING_RELATED, ()
        by_version: dict[int, Entry] = {}
        for key in keys:
            versions = versions_found(draft.records, key, now_ms)
            if draft.spilled_until > oldest:
                moved = versions_found(draft.spilled, key, now_ms)
                versions = self.rows.old_versions(draft.card_key, key, oldest) + moved + versions
            for version in versions[-RELATED_MAX:]:
                if version not in by_version:
                    entry = self._entry(draft, version, key)
                    if entry is not None:
                        by_version[version] = entry
        if original is not None and 0 < original.version <= state.version:
            named = self._entry(draft, original.version, b"")
            if named is not None:
                by_version[original.version] = named
        if not by_version:
            return NOTHING_RELATED, ()
        by_key = [by_version[version] for version in sorted(by_version)[-RELATED_MAX:]]
        heads = self._heads(draft, by_key)
        found = [entry.version for entry in by_key]
        if heads:
            found.append(0)
            found.extend([head.version for head in heads])
        return Related(tuple(by_key), tuple(heads)), tuple(found)

    def _entry(self, draft: Draft, version: int, key: bytes) -> Entry | None:
        """An entry of the card by version; None if `key` is given and is not one of its keys."""
        if version > draft.base_version:
            return draft.entries[version - draft.base_version - 1]
        position = self.rows.position_of(
            draft.card_key, version, draft.base_version, draft.base_entry
        )
        filed = self.rows.entry_at(position, draft.card_key)
        return filed.entry if not key or key in filed.filing.keys else None

    def _heads(self, draft: Draft, by_key: list[Entry]) -> list[Entry]:
        """For each group among the entries that has follow-ups, its latest entry."""
        heads: list[Entry] = []
        seen: list[int] = []
        for entry in by_key:
            group = entry.group
            if group is None or group.version in seen:
                continue
            seen.append(group.version)
            latest = None if draft.heads is None else draft.heads.get(group.version)
            if latest is not None:
                heads.append(latest)
                continue
            position = self.rows.head_of(draft.card_key, group.version)
            if position:
                heads.append(self.rows.entry_at(position, draft.card_key).entry)
        return heads

    def _file(
        self, draft: Draft, entry: Entry, after: CardState, filing: Filing, result: Result
    ) -> None:
        """Note everything that this entry writes."""
        card_key = draft.card_key
        version = entry.version
        positions = self.positions
        positions.entry += 1
        position = positions.entry
        events_from = positions.event + 1 if result.events else 0
        body = encode_entry(entry, filing, card_key, draft.chain, draft.last_entry, events_from)
        self.entries.append((position, card_key, version, body))
        if version % MARK_EVERY == 0:
            self.marks.append((card_key, version, position))
        group = entry.group
        if group is not None and group.version != version:
            self.heads[(card_key, group.version)] = position
            if draft.heads is None:
                draft.heads = {}
            draft.heads[group.version] = entry
        draft.state = after
        draft.chain = body[:HASH_BYTES]
        draft.last_entry = position
        draft.has_moved = True
        draft.entries += (entry,)
        for place, event in enumerate(result.events):
            positions.event += 1
            at = positions.event
            body = encode_event(event, card_key, version, entry.now_ms, place, draft.last_event)
            self.events.append((at, card_key, version, body))
            draft.last_event = at
        for audit in result.audits:
            positions.audit += 1
            body = encode_audit(audit, entry.command.actor, card_key, entry.now_ms)
            self.audits.append((positions.audit, card_key, body))
        if filing.keys:
            self._remember(draft, filing.keys, version, entry.filed_ms)

    def _remember(self, draft: Draft, keys: tuple[bytes, ...], version: int, now_ms: int) -> None:
        """File the entry under its digests; move the oldest half away when they are too many."""
        added = b""
        for key in keys:
            added += record_of(key, version, now_ms)
        draft.records += added
        draft.added += added
        if len(draft.records) <= RECENT_MAX * RECORD_BYTES:
            return
        records = without_expired(draft.records, now_ms)
        if len(records) > RECENT_MAX * RECORD_BYTES:
            cut = len(records) // (2 * RECORD_BYTES) * RECORD_BYTES
            for digest, of_version, second in rows_of(records[:cut]):
                self.old_keys.append((draft.card_key, digest, of_version, second))
                draft.spilled_until = second
            draft.spilled += records[:cut]
            records = records[cut:]
        draft.records = records
        draft.has_spilled = True

    def new_images(self) -> tuple[list[tuple[Any, ...]], list[Any]]:
        """Rows of new cards, and the images of the others that moved for the log."""
        new_cards: list[tuple[Any, ...]] = []
        images: list[Any] = []
        for draft in self.drafts.values():
            if not draft.has_moved:
                continue
            state = draft.state
            assert state is not None
            card_key = draft.card_key
            usage = encode_usage(state, draft.chain, draft.last_entry, draft.last_event)
            slot = draft.slot
            if slot is None:
                settings = encode_settings(state.settings, card_key)
                recent = encode_recent(draft.records, draft.spilled_until, card_key)
                self.positions.card += 1
                number = self.positions.card
                cardholder = state.settings.profile.cardholder
                row = (number, card_key, cardholder, state.version, settings, usage, recent)
                new_cards.append(row)
                draft.slot = Slot(number, card_key, settings, usage, b"")
                draft.new_image = (settings, usage)
                continue
            new_settings: bytes | None = None
            if state.settings is not draft.settings:
                new_settings = encode_settings(state.settings, card_key)
            draft.new_image = (new_settings or slot.image[0], usage)
            if draft.has_spilled:
                recent = encode_recent(draft.records, draft.spilled_until, card_key)
                images.append((slot.number, state.version, new_settings, usage, b"", recent))
            else:
                added = draft.added
                images.append((slot.number, state.version, new_settings, usage, added, None))
        return new_cards, images

    def rewrite_row(self, slot: Slot) -> tuple[Any, ...]:
        """The columns of a swept card's row, as they are after this batch."""
        draft = self.drafts.get(slot.card_key)
        if draft is not None and draft.has_moved:
            state = draft.state
            assert state is not None
            recent = encode_recent(draft.records, draft.spilled_until, slot.card_key)
            image = draft.new_image
            return (state.version, image[0], image[1], recent, slot.number)
        return row_of(slot)

    def publish(self) -> None:
        """Show the drafts to the world, now that they are committed."""
        for draft in self.drafts.values():
            state = draft.state
            slot = draft.slot
            if not draft.has_moved or state is None or slot is None:
                continue
            if draft.base_version:
                # First of all, since a slot whose row is behind must not be thrown out.
                self.sweep.note_moved(slot)
            if self.cards.slots.get(slot.card_key) is not slot:
                self.cards.add(slot)
            if slot.state is None:
                self.cards.note_opened(slot)
            slot.image = draft.new_image
            slot.state = state.chained(draft.chain)
            slot.settings = state.settings
            slot.version = state.version
            slot.last_entry = draft.last_entry
            slot.last_event = draft.last_event
            slot.records = draft.records
            slot.spilled_until = draft.spilled_until
            slot.sealed_recent = b""


def row_of(slot: Slot) -> tuple[Any, ...]:
    """The columns of a slot's row."""
    recent = slot.sealed_recent
    if not recent:
        recent = encode_recent(slot.records, slot.spilled_until, slot.card_key)
    return (slot.version, slot.image[0], slot.image[1], recent, slot.number)

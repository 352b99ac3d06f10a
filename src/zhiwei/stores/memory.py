"""Memory: the store of tests, trials and `zhiwei decide`; the same contract, kept nowhere.

It is also the plainest statement of what a store does, to read before the others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar, final

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Actor, Command
from zhiwei.core.entry import Entry
from zhiwei.core.event import Event
from zhiwei.core.ids import entry_id
from zhiwei.core.result import NOTHING_RELATED, Audit, Related, Result
from zhiwei.ports import (
    ANSWER_STANDS_MS,
    AuditRow,
    EventRow,
    Kept,
    PassOver,
    Positioned,
    R,
    Record,
    RecordOvertakenError,
    RecordStandsError,
    Step,
)
from zhiwei.stores.coding.record import minded, plain_records, stands, subject_of

#: Keys are forgotten after 7 days; a reversal may come that late.
KEYS_KEPT_MS: Final = 7 * 86_400_000


K = TypeVar("K")
V = TypeVar("V")
P = TypeVar("P", AuditRow, EventRow)


@final
class MemoryStore:
    """All files and journals of a process, gone with it. Store and reader in one."""

    def __init__(self) -> None:
        self._lock: Final = threading.RLock()
        self._files: Final[dict[bytes, CardState]] = {}
        #: By card and version, in order.
        self._journals: Final[dict[bytes, dict[int, Entry]]] = {}
        self._keys: Final[dict[tuple[bytes, bytes], tuple[int, ...]]] = {}
        self._group_heads: Final[dict[tuple[bytes, int], int]] = {}
        self._whole: Final[list[tuple[bytes, int]]] = []
        self._events: Final[list[EventRow]] = []
        self._audits: Final[list[AuditRow]] = []
        self._records: Final[dict[tuple[type, str], Record]] = {}

    async def transact(
        self,
        batch: Sequence[Command],
        step: Step,
        clock_ms: int,
        *,
        pass_over: PassOver | None = None,
    ) -> list[Result]:
        """Carry out commands in order; see `ports.Store`."""
        with self._lock:
            undo: list[Callable[[], object]] = []
            results: list[Result] = []
            try:
                for command in batch:
                    result = step(
                        self._files.get(command.card_key),
                        self._related(command, clock_ms),
                        command,
                        clock_ms,
                    )
                    self._write(command, result, undo)
                    results.append(result)
            except BaseException:
                for step_back in reversed(undo):
                    step_back()
                raise
            return results

    def take_in(self, state: CardState, entries: Sequence[tuple[Entry, tuple[bytes, ...]]]) -> None:
        """Have a card as another store has it: its file, and its entries with their keys.

        The first entries may be missing; nobody asks for those (they are older than any key).
        """
        card_key = state.card_key
        with self._lock:
            self._files[card_key] = state
            self._journals[card_key] = {entry.version: entry for entry, _ in entries}
            for entry, keys in entries:
                if entry.group is not None and entry.group.version != entry.version:
                    self._group_heads[card_key, entry.group.version] = entry.version
                for key in keys:
                    place = (card_key, key)
                    self._keys[place] = (*self._keys.get(place, ()), entry.version)

    async def keep(
        self, records: Sequence[Kept], audits: Sequence[Audit], actor: Actor, clock_ms: int
    ) -> None:
        """Insert or replace records; see `ports.Store`."""
        with self._lock:
            for one in minded(records):
                if self._records.get((type(one.record), one.record.id)) != one.seen:
                    raise RecordOvertakenError
            oldest = clock_ms - ANSWER_STANDS_MS
            plain = plain_records(records)
            for record in plain:
                known = self._records.get((type(record), record.id))
                if known != record and stands(known, oldest):
                    raise RecordStandsError
            for record in plain:
                self._records[type(record), record.id] = record
            for audit in audits:
                self._audits.append(AuditRow(len(self._audits) + 1, clock_ms, actor, b"", audit))

    async def tidy(self, clock_ms: int) -> bool:
        """Nothing can wait here."""
        return False

    def reader(self) -> MemoryStore:
        """A reader of what is committed: the store itself."""
        return self

    async def close(self) -> None:
        """Nothing to finish."""

    def card(self, card_key: bytes) -> CardState | None:
        """The card's file, None if it was never registered."""
        with self._lock:
            return self._files.get(card_key)

    def entry(self, card_key: bytes, version: int) -> Entry | None:
        """One entry of a card's journal."""
        with self._lock:
            return self._journals.get(card_key, {}).get(version)

    def entries(
        self, card_key: bytes, *, before: int = 0, after: int = 0, limit: int = 100
    ) -> list[Entry]:
        """Entries of a card, newest first."""
        with self._lock:
            journal = self._journals.get(card_key, {})
            first, last = _span(max(journal, default=0), before, after, limit)
            return [journal[v] for v in range(last, first, -1) if v in journal]

    def latest_of_group(self, card_key: bytes, version: int) -> Entry | None:
        """The latest entry of the group that entry `version` began."""
        with self._lock:
            return self.entry(card_key, self._group_heads.get((card_key, version), version))

    def recent(self, *, before: int = 0, after: int = 0, limit: int = 100) -> list[Positioned]:
        """Entries of all cards by position, newest first."""
        with self._lock:
            first, last = _span(len(self._whole), before, after, limit)
            rows = []
            for position in range(last, first, -1):
                card_key, version = self._whole[position - 1]
                entry = self._journals[card_key][version]
                rows.append(Positioned(position, card_key, entry))
            return rows

    def position(self, card_key: bytes, version: int) -> int:
        """Position of an entry in the whole journal; 0 = none."""
        with self._lock:
            place = (card_key, version)
            return self._whole.index(place) + 1 if place in self._whole else 0

    def cards(
        self, *, cardholder: str = "", after: bytes = b"", before: bytes = b"", limit: int = 100
    ) -> list[CardState]:
        """Cards in order of their key."""
        with self._lock:
            found = [
                self._files[key]
                for key in sorted(self._files)
                if (not cardholder or self._files[key].settings.profile.cardholder == cardholder)
                and key > after
                and (not before or key < before)
            ]
            return found[-limit:] if before and not after else found[:limit]

    def record(self, kind: type[R], record_id: str) -> R | None:
        """A record of a kind."""
        with self._lock:
            found = self._records.get((kind, record_id))
            return found if isinstance(found, kind) else None

    def records(
        self,
        kind: type[R],
        *,
        subject: str = "",
        before: str = "",
        after: str = "",
        limit: int = 100,
    ) -> list[R]:
        """Records of a kind, greatest id first."""
        with self._lock:
            found = [
                record
                for record in self._records.values()
                if isinstance(record, kind)
                and (not subject or subject_of(record) == subject)
                and (not before or record.id < before)
                and record.id > after
            ]
            found.sort(key=lambda record: record.id)
            kept = found[:limit] if after and not before else found[-limit:]
            return kept[::-1]

    def audits(
        self, *, card_key: bytes = b"", before: int = 0, after: int = 0, limit: int = 100
    ) -> list[AuditRow]:
        """The audit trail, newest first."""
        with self._lock:
            rows = [row for row in self._audits if not card_key or row.card_key == card_key]
            return _page(rows, before, after, limit)

    def events(
        self, *, card_key: bytes = b"", before: int = 0, after: int = 0, limit: int = 100
    ) -> list[EventRow]:
        """The outbox, newest first."""
        with self._lock:
            rows = [row for row in self._events if not card_key or row.card_key == card_key]
            return _page(rows, before, after, limit)

    def event(self, event_id: str) -> EventRow | None:
        """One event of the outbox."""
        with self._lock:
            return next((row for row in self._events if row.id == event_id), None)

    def _related(self, command: Command, clock_ms: int) -> Related:
        """Earlier entries that the command names, and the latest entries of their groups."""
        journal = self._journals.get(command.card_key, {})
        if not journal:
            return NOTHING_RELATED
        versions: set[int] = set()
        last = next(reversed(journal.values()))
        oldest = max(last.filed_ms, clock_ms) - KEYS_KEPT_MS
        for key in command.keys_to_find:
            filed = self._keys.get((command.card_key, key), ())
            versions.update(v for v in filed if journal[v].filed_ms > oldest)
        if command.original is not None and command.original.version:
            versions.add(command.original.version)
        by_key = tuple(journal[v] for v in sorted(versions) if v in journal)
        heads = []
        for entry in by_key:
            if entry.group is not None:
                head = self._group_heads.get((command.card_key, entry.group.version))
                if head is not None:
                    heads.append(journal[head])
        return Related(by_key, tuple(heads))

    def _write(self, command: Command, result: Result, undo: list[Callable[[], object]]) -> None:
        """Write what a result says, if anything, and note how to take it back."""
        state, entry = result.state, result.entry
        if result.rejection is not None or result.is_repeat or state is None or entry is None:
            return
        card_key = command.card_key
        before = self._files.get(card_key)
        version = 1 if before is None else before.version + 1
        assert state.version == entry.version == version, "versions of a card have no gaps"
        journal = self._journals.setdefault(card_key, {})
        journal[version] = entry
        self._whole.append((card_key, version))
        undo += (journal.popitem, self._whole.pop)
        _put(self._files, card_key, state, undo)
        if entry.group is not None and entry.group.version != entry.version:
            _put(self._group_heads, (card_key, entry.group.version), entry.version, undo)
        oldest = entry.filed_ms - KEYS_KEPT_MS
        for key in result.keys:
            known = self._keys.get((card_key, key), ())
            kept = (*(v for v in known if journal[v].filed_ms > oldest), entry.version)
            _put(self._keys, (card_key, key), kept, undo)
        for number, event in enumerate(result.events):
            self._events.append(self._event_row(card_key, entry, number, event))
            undo.append(self._events.pop)
        for audit in result.audits:
            place = len(self._audits) + 1
            self._audits.append(AuditRow(place, entry.now_ms, command.actor, card_key, audit))
            undo.append(self._audits.pop)

    def _event_row(self, card_key: bytes, entry: Entry, number: int, event: Event) -> EventRow:
        event_id = f"{entry_id('evt', card_key, entry.version)}_{number}"
        return EventRow(
            len(self._events) + 1, event_id, card_key, entry.version, entry.now_ms, event
        )


def _put(table: dict[K, V], key: K, value: V, undo: list[Callable[[], object]]) -> None:
    """Put a value into a table, and note how to take it back."""
    if key in table:
        old = table[key]
        undo.append(lambda: table.__setitem__(key, old))
    else:
        undo.append(lambda: table.pop(key))
    table[key] = value


def _span(length: int, before: int, after: int, limit: int) -> tuple[int, int]:
    """First and last index of the rows numbered from 1 that lie between two bounds."""
    last = min(length, before - 1) if before else length
    if after and not before:
        return min(after, last), min(after + limit, last)
    return max(after, last - limit, 0), max(last, 0)


def _page(rows: list[P], before: int, after: int, limit: int) -> list[P]:
    """Rows by position between two bounds, newest first."""
    found = [r for r in rows if (not before or r.position < before) and r.position > after]
    kept = found[:limit] if after and not before else found[-limit:]
    return kept[::-1]

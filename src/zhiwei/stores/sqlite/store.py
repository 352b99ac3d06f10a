"""SqliteStore: `transact` over one file; see `ports.Store` for what it promises."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any, Final, TypeAlias, final

import structlog

from zhiwei.core.command import Actor
from zhiwei.core.result import Audit, Result
from zhiwei.ports import (
    ANSWER_STANDS_MS,
    Batch,
    CorruptFileError,
    Kept,
    PassOver,
    RecordOvertakenError,
    RecordStandsError,
    Step,
    StoreUnavailableError,
)
from zhiwei.stores.coding.audit import encode_audit
from zhiwei.stores.coding.record import is_as_seen, kind_name, minded, plain_records, record_row
from zhiwei.stores.sqlite import recovery
from zhiwei.stores.sqlite.cards import Cards, Sweep
from zhiwei.stores.sqlite.checkpoints import LOG_BYTES, Checkpoints, copy_all
from zhiwei.stores.sqlite.connection import (
    FILE_NAME,
    PAGE_BYTES,
    bring_up_to_date,
    check_is_ours,
    open_writer,
)
from zhiwei.stores.sqlite.forget import Forgetting
from zhiwei.stores.sqlite.images import OwnImages
from zhiwei.stores.sqlite.inserts import Inserts
from zhiwei.stores.sqlite.lock import DirectoryLock
from zhiwei.stores.sqlite.queries import QUERIES
from zhiwei.stores.sqlite.reader import SqliteReader
from zhiwei.stores.sqlite.recovery import images_body
from zhiwei.stores.sqlite.rows import Rows
from zhiwei.stores.sqlite.turn import Positions, Turn, row_of

_log: Final = structlog.get_logger()

#: Files that are read ahead at once while nothing else is to be done: a few milliseconds.
_IDLE_ROWS: Final = 400
#: Rows of the log that are deleted with one commit, at most.
_TRIM_MAX: Final = 4
_IDLE_TRIM: Final = 8
#: Groups of cards that are swept at once when there is nothing else to do; about a millisecond.
_IDLE_GROUPS: Final = 8
#: And when the store is closed, for at most so long; what is left then is read at the next start.
_CLOSING_GROUPS: Final = 512
_CLOSING_SECONDS: Final = 5.0
#: Nothing was committed for so long: there is nothing else to do.
_IDLE_SECONDS: Final = 0.5
#: Every so many commits something is forgotten, if that is due, however busy it is.
_FORGET_EVERY: Final = 64
#: How much faster the sweep goes while more cards are kept than wanted.
_HURRY: Final = 8

#: Is told how many of how many steps of the start are done.
OnProgress: TypeAlias = "Callable[[int, int], None]"


@dataclass(frozen=True)
class Bounds:
    """How much memory the store may take."""

    #: Cards whose files are kept in memory as bytes (about 700 bytes each).
    cards_max: int = 1_000_000
    #: Cards whose files are kept as values as well (about 2 KB each).
    opened_max: int = 200_000
    #: SQLite's own cache of pages.
    cache_bytes: int = 64 * 1024 * 1024
    #: Entries within which every row that is behind is brought up to date, with a million cards and
    #: more; the start after a crash reads the images of little more than as many, a million in
    #: three seconds. A page of the file is written once a round, so a long round is cheap.
    round_entries: int = 2_097_152
    #: The write-ahead log of SQLite is copied into the file and begun anew at about this length.
    log_bytes: int = LOG_BYTES


@final
class SqliteStore:
    """The store of one machine: one file, one writing process."""

    def __init__(
        self,
        directory: Path,
        *,
        bounds: Bounds | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Take the directory, bring its data up to date, and read the files into memory.

        Raises:
            StoreUnavailableError: the directory cannot be written, or the disk is full.
            DataInUseError: another process writes there.
            NewerDataError: the data are from a newer version of this program.
            ForeignFileError: the file is of another program.
            CorruptFileError: what the last run left to be read first is damaged.
        """
        self._bounds: Final = Bounds() if bounds is None else bounds
        self._lock: Final = DirectoryLock(directory)
        self.path: Final = directory / FILE_NAME
        self._cards: Final = Cards(self._bounds.cards_max, self._bounds.opened_max)
        self._sweep: Final = Sweep(self._bounds.round_entries)
        self._forgetting: Final = Forgetting()
        #: Number of the last card that was read ahead; 0 = all are in memory.
        self._read_up_to = 0
        #: Memory surely agrees with the file, and holds at least what the log has.
        self._is_certain = False
        self._is_whole = False
        try:
            self._connection = self._open()
            self._rows = Rows(self._connection)
            self._positions = self._load(on_progress)
        except BaseException:
            self._lock.release()
            raise
        self._reader: Final = SqliteReader(self.path, OwnImages(self._cards))
        self._checkpoints: Final = Checkpoints(self.path, self._bounds.log_bytes)
        self._inserts: Final = Inserts(self._connection, "insert_entry", "insert_event")
        self._transaction: Final = _Transaction(self._connection, self._checkpoints.gate)
        self._checkpoints.start()
        self._committed_at = monotonic()
        self._is_open = True

    @property
    def longest_pause(self) -> float:
        """Longest time that a commit had to wait for a checkpoint, in seconds."""
        return self._checkpoints.longest_pause

    @property
    def checkpoint_pauses(self) -> int:
        """How often commits were made to wait so that the log could begin anew."""
        return self._checkpoints.pauses

    @property
    def cards_in_memory(self) -> int:
        """Number of files that are kept in memory."""
        return len(self._cards.slots)

    async def transact(
        self, batch: Batch, step: Step, clock_ms: int, *, pass_over: PassOver | None = None
    ) -> list[Result]:
        """Carry out commands in order, durably, all or none; see `ports.Store`."""
        self._check_usable()
        turn = Turn(self._cards, self._sweep, self._rows, self._positions.copy(), step, clock_ms)
        try:
            turn.read_ahead(batch)
            results = [turn.carry_out(command) for command in batch]
            if turn.entries:
                self._commit(turn)
        except sqlite3.Error as error:
            raise self._recovered_from(error) from error
        for damage in turn.damage:
            _log.error("stored_data_damaged", detail=str(damage))
        return results

    async def keep(
        self, records: Sequence[Kept], audits: Sequence[Audit], actor: Actor, clock_ms: int
    ) -> None:
        """Insert or replace records, with audit rows; see `ports.Store`."""
        self._check_usable()
        positions = self._positions.copy()
        rows: list[tuple[Any, ...]] = []
        for audit in audits:
            positions.audit += 1
            rows.append((positions.audit, b"", encode_audit(audit, actor, b"", clock_ms)))
        try:
            with self._transaction:
                execute_many = self._connection.executemany
                for one in minded(records):
                    name = (kind_name(one.record), one.record.id)
                    row = self._connection.execute(QUERIES["record"], name).fetchone()
                    if not is_as_seen(one, None if row is None else row[1]):
                        raise RecordOvertakenError
                oldest = clock_ms - ANSWER_STANDS_MS
                put = [(*record_row(record), oldest) for record in plain_records(records)]
                if execute_many(QUERIES["put_record"], put).rowcount < len(put):
                    raise RecordStandsError
                execute_many(QUERIES["insert_audit"], rows)
        except sqlite3.Error as error:
            raise self._recovered_from(error) from error
        self._positions = positions

    async def tidy(self, clock_ms: int) -> bool:
        """Do a small piece of what can wait: sweep, trim, forget; whether more is left.

        To be called now and then while nothing else is to be done.

        Raises:
            StoreUnavailableError: nothing was written.
        """
        self._check_usable()
        try:
            if self._forgetting.is_due(clock_ms):
                with self._transaction:
                    self._forgetting.a_portion(self._connection, clock_ms)
            elif monotonic() < self._committed_at + _IDLE_SECONDS:
                return False
            elif not self._is_swept:
                self._sweep_on(_IDLE_GROUPS)
            elif self._sweep.trimmed_log < self._sweep.log_number:
                self._trim()
            elif self._read_up_to:
                self._read_up_to = recovery.load_more(
                    self._connection, self._cards, self._sweep, self._read_up_to, _IDLE_ROWS
                )
            else:
                return False
        except sqlite3.Error as error:
            raise self._recovered_from(error) from error
        return True

    def reader(self) -> SqliteReader:
        """A reader of what is committed."""
        return self._reader

    async def close(self) -> None:
        """Bring the rows up to date, copy everything into the file, and let go of the directory."""
        if not self._is_open:
            return
        self._is_open = False
        self._checkpoints.stop()
        until = monotonic() + _CLOSING_SECONDS
        try:
            while not self._is_swept and monotonic() < until:
                self._sweep_on(_CLOSING_GROUPS)
            while self._is_swept and self._sweep.trimmed_log < self._sweep.log_number:
                self._trim()
            copy_all(self._connection)
        except sqlite3.Error as error:
            # Everything is in the log, and the next start reads it from there.
            _log.warning("close_left_work", error=str(error))
        finally:
            self._reader.close()
            self._connection.close()
            self._lock.release()

    def _open(self) -> sqlite3.Connection:
        """The writing connection, the schema up to date."""
        connection = open_writer(self.path, self._bounds.cache_bytes)
        try:
            check_is_ours(connection)
            bring_up_to_date(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _load(self, on_progress: OnProgress | None) -> Positions:
        """Read the files into memory, and what the last run had not swept yet."""
        self._is_whole = False
        self._cards.clear()
        try:
            positions = recovery.load(self._connection, self._cards, self._sweep, on_progress)
        except sqlite3.Error as error:
            message = f"the data cannot be read: {error}"
            raise StoreUnavailableError(message) from error
        # Cards are numbered without gaps, so the rows that were read are the first ones.
        is_all = positions.card <= recovery.ROWS_AT_START
        self._read_up_to = 0 if is_all else recovery.ROWS_AT_START
        self._is_whole = self._is_certain = True
        return positions

    def _check_usable(self) -> None:
        """Raise unless the store may write: it is open, and memory agrees with the file."""
        if not self._is_open:
            message = "the store is closed"
            raise StoreUnavailableError(message)
        if not self._is_certain:
            self._make_certain()

    def _make_certain(self) -> None:
        """Compare memory with the file after a failure, and read the file again where they differ.

        Raises:
            StoreUnavailableError: the file cannot be read now.
            CorruptFileError: what is read first is damaged.
        """
        try:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            row = self._connection.execute(QUERIES["last_positions"]).fetchone()
        except sqlite3.Error as error:
            message = f"the data cannot be read: {error}"
            raise StoreUnavailableError(message) from error
        known = self._positions
        if not self._is_whole or row[:3] != (known.entry, known.event, known.audit):
            # The commit said it failed and did not: what is in the file counts.
            self._positions = self._load(None)
        self._is_certain = True

    def _commit(self, turn: Turn) -> None:
        """Write everything of a turn in one transaction, then show it."""
        sweep = self._sweep
        positions = turn.positions
        new_cards, images = turn.new_images()
        cards = self._positions.card
        groups = sweep.groups_for(len(turn.entries), cards)
        if self._cards.is_over_full:
            groups = _HURRY * max(1, groups)
        swept: list[tuple[Any, ...]] = []
        if groups:
            self._bring_in(groups)
            swept = [turn.rewrite_row(slot) for slot in sweep.proposal(groups, cards)]
        log_number = sweep.log_number + 1
        body = images_body(log_number, turn.entries[0][0], positions.entry, images)
        trim_to = min(sweep.swept_log, sweep.trimmed_log + _TRIM_MAX)
        with self._transaction:
            connection = self._connection
            execute_many = connection.executemany
            self._inserts.insert("insert_entry", turn.entries)
            connection.execute(QUERIES["insert_images"], (log_number, body))
            if new_cards:
                execute_many(QUERIES["insert_card"], new_cards)
            if turn.marks:
                execute_many(QUERIES["insert_mark"], turn.marks)
            if turn.heads:
                heads = [(key, group, at) for (key, group), at in turn.heads.items()]
                execute_many(QUERIES["put_head"], heads)
            if turn.events:
                self._inserts.insert("insert_event", turn.events)
            if turn.audits:
                execute_many(QUERIES["insert_audit"], turn.audits)
            if turn.old_keys:
                execute_many(QUERIES["insert_old_key"], turn.old_keys)
            if swept:
                execute_many(QUERIES["rewrite_card"], swept)
            if trim_to > sweep.trimmed_log:
                connection.execute(QUERIES["delete_images"], (trim_to,))
            if log_number % _FORGET_EVERY == 0 and self._forgetting.is_due(turn.clock_ms):
                self._forgetting.a_portion(connection, turn.clock_ms)
        self._checkpoints.note_commit(
            len(body) + 512 * len(turn.entries) + PAGE_BYTES * (5 + 4 * groups + len(turn.heads))
        )
        # Committed: from here on nothing may fail.
        self._committed_at = monotonic()
        sweep.log_number = log_number
        sweep.trimmed_log = max(trim_to, sweep.trimmed_log)
        sweep.note_entries(len(turn.entries), cards)
        if groups:
            sweep.confirm(groups, cards)
        self._positions = positions
        turn.publish()

    def _sweep_on(self, groups: int) -> None:
        """Rewrite the rows of some groups of cards."""
        cards = self._positions.card
        self._bring_in(groups)
        slots = self._sweep.proposal(groups, cards)
        if slots:
            with self._transaction:
                rows = [row_of(slot) for slot in slots]
                self._connection.executemany(QUERIES["rewrite_card"], rows)
            self._checkpoints.note_commit(PAGE_BYTES * groups)
        self._sweep.confirm(groups, cards)

    @property
    def _is_swept(self) -> bool:
        """Every row of `card_state` is up to date."""
        return self._sweep.is_clean and not self._cards.pending

    def _bring_in(self, groups: int) -> None:
        """Read the files that are to be swept now and that the last run left behind."""
        if self._cards.pending:
            numbers = self._sweep.numbers(groups)
            recovery.bring_in(self._connection, self._cards, self._sweep, numbers)

    def _trim(self) -> None:
        """Delete a few rows of the log; only while every row of `card_state` is up to date."""
        trim_to = min(self._sweep.log_number, self._sweep.trimmed_log + _IDLE_TRIM)
        with self._transaction:
            self._connection.execute(QUERIES["delete_images"], (trim_to,))
        self._sweep.trimmed_log = trim_to

    def _recovered_from(self, error: sqlite3.Error) -> Exception:
        """What to raise after a failed transaction; memory and file agree again if they can."""
        _log.error("transaction_failed", error=str(error))
        self._is_certain = False
        reason = f"nothing was written: {error}"
        try:
            self._make_certain()
        except (StoreUnavailableError, CorruptFileError) as second:
            reason += f"; {second}"
        return StoreUnavailableError(reason)


@final
class _Transaction:
    """All or nothing; on the disk when it is left without an error. Checkpoints wait meanwhile."""

    __slots__ = ("_connection", "_gate")

    def __init__(self, connection: sqlite3.Connection, gate: Lock) -> None:
        self._connection: Final = connection
        self._gate: Final = gate

    def __enter__(self) -> None:
        self._gate.acquire()
        try:
            self._connection.execute("begin immediate")
        except BaseException:
            self._gate.release()
            raise

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        try:
            if kind is None:
                self._connection.execute("commit")
        finally:
            try:
                if self._connection.in_transaction:
                    self._connection.execute("rollback")
            finally:
                self._gate.release()

"""PostgresStore: `transact` on one database; see `ports.Store` for what it promises.

The package's docstring says why it is right; here is how a batch goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, final

import structlog

from zhiwei.core.command import Actor
from zhiwei.core.result import Audit, Result
from zhiwei.ports import (
    ANSWER_STANDS_MS,
    Batch,
    CorruptFileError,
    Kept,
    OutcomeUnknownError,
    PassOver,
    PolicyChange,
    PolicyOvertakenError,
    RecordOvertakenError,
    RecordStandsError,
    Replacing,
    Step,
    StoreUnavailableError,
)
from zhiwei.stores.coding.audit import encode_audit
from zhiwei.stores.coding.entry import HASH_BYTES
from zhiwei.stores.coding.record import is_as_seen, minded, plain_records, record_row
from zhiwei.stores.postgres import asks, faults
from zhiwei.stores.postgres.address import Address
from zhiwei.stores.postgres.faults import LineLostError, StatementError
from zhiwei.stores.postgres.forget import Forgetting
from zhiwei.stores.postgres.found import FileRow, Found
from zhiwei.stores.postgres.line import Answer, Ask, Line
from zhiwei.stores.postgres.lines import Lines
from zhiwei.stores.postgres.opened import OpenedFiles
from zhiwei.stores.postgres.opening import made_ready
from zhiwei.stores.postgres.partitions import Partitions
from zhiwei.stores.postgres.reader import PostgresReader
from zhiwei.stores.postgres.steps import Steps, known_steps
from zhiwei.stores.postgres.turn import Turn, Writing

_log: Final = structlog.get_logger()

#: How often a batch is begun anew after something that wrote nothing.
_TRIES: Final = 4
_SETTLE_PAUSE_SECONDS: Final = 0.1
#: Of a server besides the path and its readers: 6 for messages, 4 for API keys, 4 for the pages.
_OTHER_CONNECTIONS: Final = 14

#: Card, version, instant of filing and hash of one entry of a batch.
Probe: TypeAlias = "tuple[bytes, int, int, bytes]"


@dataclass(frozen=True)
class Bounds:
    """How many connections the path may take, and how long anything may last."""

    #: Batches that are in flight at once, and as many more that wait for cards of other servers.
    connections: int = 8
    reading_connections: int = 8
    #: Files whose bytes need not be read anew where they did not change; about 3 KB each.
    opened_max: int = 20_000
    #: An answer to reading and locking; longer than `lock_timeout`.
    read_seconds: float = 5.0
    #: A commit, which waits for the standbys.
    commit_seconds: float = 3.0
    #: Finding out what became of a commit.
    settle_seconds: float = 4.0

    @property
    def most(self) -> int:
        """Connections that a server takes at most, all in all."""
        return self.connections + self.reading_connections + _OTHER_CONNECTIONS


class _BeginAnewError(Exception):
    """Nothing was written, for sure, and another try may succeed."""


@final
class PostgresStore:
    """The store of any number of servers on one database."""

    def __init__(
        self, url: str, *, bounds: Bounds | None = None, steps: Steps | None = None
    ) -> None:
        """Look whether the database can be used, and make its schema or bring it up to date.

        `steps` are those of the program's version; a test gives others.

        Raises:
            BadDatabaseUrlError: that is no URL of a database.
            StoreUnavailableError: there is no connection, or the schema cannot be made.
            DatabaseRefusedError: it is a standby, too old, or of the wrong encoding.
            NewerSchemaError: the data are from a newer version of this program.
            ForeignDatabaseError: the tables are of another program.
        """
        self._bounds: Final = Bounds() if bounds is None else bounds
        self.address: Final = Address(url)
        steps = known_steps() if steps is None else steps
        with self.address.open_for_reading() as connection:
            #: What the server promises less than it should, in sentences.
            self.weaknesses: Final = made_ready(connection, steps, self._bounds.most)
        for weakness in self.weaknesses:
            _log.error("database_is_weak", database=self.address.shown, detail=weakness)
        self._lines: Final = Lines(self.address, self._bounds.connections, steps.newest)
        self._partitions: Final = Partitions()
        self._files: Final = OpenedFiles(self._bounds.opened_max)
        self._forgetting: Final = Forgetting()
        self._reader: Final = PostgresReader(self.address, self._bounds.reading_connections)
        #: Batches that the engine may have in flight; as many may wait for other servers' cards.
        self.lanes: Final = max(1, self._bounds.connections // 2)
        self._is_open = True

    async def transact(
        self, batch: Batch, step: Step, clock_ms: int, *, pass_over: PassOver | None = None
    ) -> list[Result]:
        """Carry out commands in order, durably, all or none; see `ports.Store`."""
        self._check_open()
        why = ""
        for _ in range(_TRIES):
            line = await self._lines.take()
            try:
                return await self._carry_out(line, batch, step, clock_ms, pass_over)
            except _BeginAnewError as error:
                why = str(error)
            except StatementError as error:
                why = await self._refused(line, error)
            except LineLostError as error:
                # Nothing was committed yet; the others may lead to the same server.
                why = str(error)
                self._lines.close_free()
            except BaseException:
                # A step with a bug, or a caller that is gone: nothing of it may stay begun.
                await self._undo(line)
                raise
            finally:
                self._lines.give(line)
        raise StoreUnavailableError(f"nothing was written: {why}")

    async def keep(
        self, records: Sequence[Kept], audits: Sequence[Audit], actor: Actor, clock_ms: int
    ) -> None:
        """Insert or replace records, with audit rows; see `ports.Store`."""
        self._check_open()
        replacing, plain = minded(records), plain_records(records)
        statements: list[Ask] = [] if replacing else [asks.BEGIN]
        # Two servers may adopt at once. The second finds that the number before its own is not the
        # last one any more, and is refused, so no two servers hold different versions for long.
        # An import, which brings records in any order, brings their audit rows apart.
        for each in plain:
            if isinstance(each, PolicyChange) and each.number and audits:
                statements += [asks.POLICY_TURN, asks.policy_follows(each.number - 1)]
        place_of_records = len(statements)
        if plain:
            rows = [record_row(record) for record in plain]
            statements.append(asks.put_records(rows, clock_ms - ANSWER_STANDS_MS))
        if audits:
            lines = [(b"", encode_audit(audit, actor, b"", clock_ms)) for audit in audits]
            statements.append(asks.insert_audits(lines))
        line = await self._lines.take()
        try:
            if replacing:
                await self._begin_as_seen(line, replacing)
            if not await self._commits(line, statements):
                raise OutcomeUnknownError
        except StatementError as error:
            if error.code == faults.DIVISION_BY_ZERO:
                await self._undo(line)
                if error.place == place_of_records:
                    raise RecordStandsError from error
                raise PolicyOvertakenError from error
            why = await self._refused(line, error)
            raise StoreUnavailableError(f"nothing was written: {why}") from error
        finally:
            self._lines.give(line)

    async def tidy(self, clock_ms: int) -> bool:
        """Make the next week's partitions and forget what is old, a portion; whether more is left.

        Raises:
            StoreUnavailableError: nothing was written.
        """
        self._check_open()
        is_due = self._forgetting.is_due(clock_ms)
        missing = self._partitions.missing_soon(clock_ms)
        if not is_due and not missing:
            return False
        line = await self._lines.take()
        try:
            if missing:
                await self._partitions.make(line, missing, self._bounds.read_seconds)
            else:
                await self._forgetting.a_portion(line, clock_ms, self._bounds.read_seconds)
        except (LineLostError, StatementError) as error:
            line.close()
            raise StoreUnavailableError(f"nothing was written: {error}") from error
        finally:
            self._lines.give(line)
        return self._forgetting.is_due(clock_ms)

    def reader(self) -> PostgresReader:
        """A reader of what is committed."""
        return self._reader

    async def close(self) -> None:
        """Close every connection."""
        self._is_open = False
        self._lines.close()
        self._reader.close()

    def _check_open(self) -> None:
        if not self._is_open:
            raise StoreUnavailableError("the store is closed")

    async def _carry_out(
        self,
        line: Line,
        batch: Batch,
        step: Step,
        clock_ms: int,
        pass_over: PassOver | None,
    ) -> list[Result]:
        """One try at a batch, on one line."""
        card_keys = sorted({command.card_key for command in batch})
        seconds = self._bounds.read_seconds
        lock = asks.lock_files(card_keys, waits=pass_over is None)
        _, locked = await line.trip([asks.BEGIN, lock], seconds)
        found = Found()
        for row in locked.rows():
            file = FileRow(row)
            found.files[file.card_key] = file
        if pass_over is not None:
            held = await self._held(line, [key for key in card_keys if key not in found.files])
            batch = pass_over(held)
            if held:
                card_keys = sorted({command.card_key for command in batch})
            if not batch:
                await line.trip([asks.ROLLBACK], seconds)
                return []
        turn = Turn(found, self._files, step, clock_ms)
        turn.open_files(card_keys)
        await self._read_wanted(line, turn, batch)
        results = [turn.carry_out(command) for command in batch]
        writing = turn.finish()
        missing = self._partitions.missing([row[2] for row in writing.entries])
        if missing:
            await line.trip([asks.ROLLBACK], seconds)
            await self._partitions.make(line, missing, seconds)
            raise _BeginAnewError("a week began")
        await self._write(line, writing)
        self._files.take_in(writing.opened)
        for damage in turn.damage:
            _log.error("stored_data_damaged", detail=str(damage))
        return results

    async def _held(self, line: Line, unread: list[bytes]) -> frozenset[bytes]:
        """Which cards that were not read are there all the same: somebody else has locked them."""
        held = {key for key in unread if self._files.has(key)}
        new = [key for key in unread if key not in held]
        if new:
            (known,) = await line.trip([asks.known_cards(new)], self._bounds.read_seconds)
            held.update([row[0] for row in known.rows() if row[0] is not None])
        return frozenset(held)

    async def _read_wanted(self, line: Line, turn: Turn, batch: Batch) -> None:
        """Read the earlier entries that commands name: mostly none, else one or two trips."""
        found = turn.found
        while True:
            entries, digests = turn.wants(batch)
            if not entries and not digests:
                return
            asked: list[Ask] = []
            names = list(digests)
            if names:
                asked.append(asks.old_versions_wanted(names))
            if entries:
                asked.append(asks.entries_wanted(entries))
            answers: list[Answer] = await line.trip(asked, self._bounds.read_seconds)
            if names:
                found.take_old_versions(names, answers[0].rows())
            if entries:
                found.take_entries(list(entries), answers[-1].rows())

    async def _begin_as_seen(self, line: Line, replacing: Sequence[Replacing]) -> None:
        """Begin, alone with these records until the end, if what is kept is what was seen.

        Raises:
            RecordOvertakenError: something else is kept.
            CorruptFileError: what is kept is damaged.
            StoreUnavailableError: it could not be read.
        """
        asked = [asks.BEGIN, asks.record_turns(replacing), asks.record_bodies(replacing)]
        try:
            answers = await line.trip(asked, self._bounds.read_seconds)
        except LineLostError as error:
            self._lines.close_free()
            raise StoreUnavailableError(f"nothing was written: {error}") from error
        pairs = zip(replacing, answers[-1].rows(), strict=True)
        try:
            as_seen = [is_as_seen(one, row[0]) for one, row in pairs]
        except CorruptFileError:
            await self._undo(line)
            raise
        if not all(as_seen):
            await self._undo(line)
            raise RecordOvertakenError

    async def _write(self, line: Line, writing: Writing) -> None:
        """Write and commit, and make sure of it.

        A batch that writes nothing is committed too: it holds locks, so its commit waits for the
        standbys, and what it repeats is surely not going to be lost.

        Raises:
            OutcomeUnknownError: it cannot be found out whether it was written.
            StoreUnavailableError: it writes nothing, and what it repeats is not surely durable.
            _BeginAnewError: it was not written, for sure.
        """
        if await self._commits(line, asks.writes(writing)):
            return
        line.close()
        if not writing.entries:
            raise StoreUnavailableError("what would be repeated is not surely durable; ask again")
        was_written = await self._settled(_probe(writing))
        if was_written is None:
            raise OutcomeUnknownError
        if not was_written:
            raise _BeginAnewError("the commit was lost on the way")

    async def _commits(self, line: Line, statements: list[Ask]) -> bool:
        """Carry out statements and commit; False where it is not known whether it is durable.

        Raises:
            StatementError: a statement before the commit was refused; nothing was written.
        """
        try:
            await line.trip([*statements, asks.COMMIT], self._bounds.commit_seconds)
        except StatementError as error:
            if error.place < len(statements):
                raise
            _log.warning("commit_refused", error=str(error))
            return False
        except LineLostError as error:
            _log.warning("commit_unanswered", error=str(error))
            self._lines.close_free()
            return False
        if line.was_warned:
            # A cancelled wait for the standbys comes as a success with a warning. Its text depends
            # on the server's language, so any warning counts.
            _log.warning("commit_warned", warning=line.warning)
            return False
        return True

    async def _settled(self, probe: Probe) -> bool | None:
        """Whether the batch of this entry was written durably; None where that cannot be told."""
        card_key, version, filed_ms, chain = probe
        loop = asyncio.get_running_loop()
        until = loop.time() + self._bounds.settle_seconds
        while (left := until - loop.time()) > 0:
            line: Line | None = None
            try:
                line = await self._lines.open_new()
                # The lock is had only when the transaction in question is over.
                statements = [
                    asks.BEGIN,
                    asks.lock_files([card_key], waits=True),
                    asks.chain_of_entry(card_key, version, filed_ms),
                    asks.COMMIT,
                ]
                _, locked, entry, _ = await line.trip(statements, left)
                if not line.was_warned:
                    if entry.rows() == [(chain,)]:
                        _log.warning("commit_settled", was_written=True)
                        return True
                    if locked.rows():
                        _log.warning("commit_settled", was_written=False)
                        return False
            except (StoreUnavailableError, LineLostError, StatementError) as error:
                _log.warning("commit_not_settled_yet", error=str(error))
            finally:
                if line is not None:
                    line.close()
            await asyncio.sleep(min(_SETTLE_PAUSE_SECONDS, max(left, 0)))
        _log.error("commit_not_settled")
        return None

    async def _refused(self, line: Line, error: StatementError) -> str:
        """What a refused statement means: why nothing was written, or a reason to try again.

        Raises:
            StoreUnavailableError: another try would be refused too.
        """
        if error.code == faults.NO_PARTITION:
            self._partitions.forget()
        if error.code in faults.STALE_LINE or error.is_final:
            line.close()
            self._lines.close_free()
            return str(error)
        await self._undo(line)
        if error.code in faults.MAY_SUCCEED:
            return str(error)
        if error.code == faults.READ_ONLY:
            # It was a primary when we connected.
            line.close()
            self._lines.close_free()
            return str(error)
        if error.code == faults.LOCK_NOT_AVAILABLE:
            raise StoreUnavailableError("nothing was written: another server holds the card")
        raise StoreUnavailableError(f"nothing was written: {error}") from error

    async def _undo(self, line: Line) -> None:
        """End a transaction without a trace; the line is closed where that does not succeed."""
        if not line.is_open:
            return
        try:
            await line.trip([asks.ROLLBACK], self._bounds.read_seconds)
        except (LineLostError, StatementError):
            line.close()


def _probe(writing: Writing) -> Probe:
    """One entry that tells of the whole batch; of a card that was there before, if there is one."""
    known = {row[0] for row in writing.old_files}
    rows = [row for row in writing.entries if row[0] in known] or writing.entries
    card_key, version, filed_ms, _, body = rows[0]
    return card_key, version, filed_ms, body[:HASH_BYTES]

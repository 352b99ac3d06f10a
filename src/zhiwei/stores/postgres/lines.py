"""Lines: the connections of the path, opened when they are needed, bounded in number."""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import Final, final

import structlog
from psycopg import Error

from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.postgres import asks
from zhiwei.stores.postgres.address import SESSION, Address
from zhiwei.stores.postgres.arrays import number_of
from zhiwei.stores.postgres.faults import LineLostError, StatementError
from zhiwei.stores.postgres.line import Line
from zhiwei.stores.postgres.opening import too_old
from zhiwei.stores.postgres.queries import QUERIES
from zhiwei.stores.postgres.weaknesses import clocks_apart, now_ms

_log: Final = structlog.get_logger()

#: After a connection could not be made, nobody tries again for so long: no storm of connections
#: on a primary that is just coming up.
_PAUSE_SECONDS: Final = 0.25
_PREPARE_SECONDS: Final = 10.0
#: So long one waits for a line of the others where no other can be opened.
_ROUND_SECONDS: Final = 2.0
#: Statements of the path.
_PREPARED: Final = (
    "begin",
    "commit",
    "rollback",
    "lock_files",
    "lock_free_files",
    "known_cards",
    "entries_wanted",
    "old_versions_wanted",
    "insert_files",
    "update_files",
    "insert_entries",
    "put_heads",
    "insert_old_keys",
    "insert_events",
    "insert_audits",
    "put_records",
    "policy_turn",
    "record_turns",
    "record_bodies",
    "policy_follows",
    "old_keys_from",
    "delete_old_keys",
    "delete_records",
    "chain_of_entry",
    "one_at_a_time",
    "partitions",
    "serve_schema",
    "finished",
)


@final
class Lines:
    """At most so many connections, each with the path's statements prepared."""

    def __init__(self, address: Address, most: int, newest: int) -> None:
        """At most `most` lines; `newest` is the number of the schema that this program knows."""
        self._address: Final = address
        self._newest: Final = newest
        self._most: Final = most
        self._free: Final[list[Line]] = []
        self._waiting: Final[deque[asyncio.Future[None]]] = deque()
        #: Lines that are free, in use, or being opened.
        self._count = 0
        self._not_before = 0.0
        self._why = ""
        self._is_open = True

    async def take(self) -> Line:
        """A line for the caller alone, who gives it back.

        Raises:
            StoreUnavailableError: no connection can be made.
        """
        while True:
            while self._free:
                line = self._free.pop()
                if line.is_open:
                    return line
                self._count -= 1
            if not self._is_open:
                raise StoreUnavailableError("the store is closed")
            if self._count >= self._most:
                await self._turn()
                continue
            self._count += 1
            try:
                return await self.open_new()
            except BaseException as error:
                self._count -= 1
                # Where PostgreSQL has no room for one more, those that there are go round.
                if not isinstance(error, StoreUnavailableError) or not await self._turn_soon():
                    self._wake()
                    raise

    def give(self, line: Line) -> None:
        """Take a line back; one that is closed is forgotten."""
        if line.is_open and self._is_open:
            self._free.append(line)
        else:
            line.close()
            self._count -= 1
        self._wake()

    async def open_new(self) -> Line:
        """A new connection to the current primary, besides the others.

        Raises:
            StoreUnavailableError: none can be made.
        """
        if monotonic() < self._not_before:
            raise StoreUnavailableError(self._why)
        line: Line | None = None
        try:
            line = Line(await self._address.open())
            await line.run(SESSION, _PREPARE_SECONDS)
            await line.prepare({name: QUERIES[name] for name in _PREPARED}, _PREPARE_SECONDS)
            await self._check_schema(line)
        except (StoreUnavailableError, LineLostError, StatementError, Error) as error:
            if line is not None:
                line.close()
            self._why = str(error)
            self._not_before = monotonic() + _PAUSE_SECONDS
            raise StoreUnavailableError(self._why) from error
        return line

    async def _check_schema(self, line: Line) -> None:
        """Be counted among those who know our schema, unless it is gone meanwhile.

        Raises:
            StoreUnavailableError: a newer version has finished what we do not know.
        """
        await line.trip([asks.serve_schema(self._newest)], _PREPARE_SECONDS)
        asked_ms = now_ms()
        (answer,) = await line.trip([asks.FINISHED], _PREPARE_SECONDS)
        ((finished, clock_ms),) = answer.rows()
        assert finished is not None
        assert clock_ms is not None
        # A machine that slept has lost its lines, and perhaps its time.
        for weakness in clocks_apart(number_of(clock_ms), asked_ms, now_ms()):
            _log.error("database_is_weak", database=self._address.shown, detail=weakness)
        if number_of(finished) > self._newest:
            raise StoreUnavailableError(too_old(number_of(finished), self._newest))

    async def _turn_soon(self) -> bool:
        """Whether there is a line that is free, or has been given back within a short time."""
        if self._free:
            return True
        if not self._count:
            return False
        try:
            async with asyncio.timeout(_ROUND_SECONDS):
                await self._turn()
        except TimeoutError:
            return False
        return True

    async def _turn(self) -> None:
        """Wait until a line was given back."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # It was this one's turn, and nobody takes it.
                self._wake()
            raise
        finally:
            if not turn.done():
                self._waiting.remove(turn)

    def close_free(self) -> None:
        """Close the lines that nobody uses: they may lead to a server that is no primary now."""
        for line in self._free:
            line.close()
        self._count -= len(self._free)
        self._free.clear()

    def close(self) -> None:
        """Close everything; lines in use are closed when they are given back."""
        self._is_open = False
        self.close_free()
        while self._waiting:
            self._wake()

    def _wake(self) -> None:
        """Let the next one look again."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

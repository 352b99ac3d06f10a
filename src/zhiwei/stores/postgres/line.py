"""Line: one connection to PostgreSQL on the path's event loop, driven in pipeline mode.

A trip sends several statements at once and comes back with all their results: one round trip,
however many there are. This sits directly on libpq, because the drivers above it cancel a statement
whose caller stops waiting, and a cancelled commit is reported as done although no standby has it.
Here a line whose answer is late is closed, never cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypeAlias, final

from psycopg import AsyncConnection, Error, pq

from zhiwei.stores.postgres.faults import LineLostError, StatementError

#: Name of a prepared statement and its parameters in binary form; None is null.
Ask: TypeAlias = "tuple[bytes, Sequence[bytes | None]]"

_BINARY: Final = pq.Format.BINARY
_BAD: Final = frozenset({pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE})
_NEEDS_FLUSH: Final = 1


@final
class Answer:
    """What one statement came to."""

    __slots__ = ("_result",)

    def __init__(self, result: pq.abc.PGresult) -> None:
        self._result: Final = result

    @property
    def touched(self) -> int:
        """Rows that it wrote or read."""
        return self._result.command_tuples or 0

    def rows(self) -> list[tuple[bytes | None, ...]]:
        """Its rows, values in binary form."""
        result = self._result
        value = result.get_value
        columns = range(result.nfields)
        return [tuple([value(row, col) for col in columns]) for row in range(result.ntuples)]


@final
class Line:
    """One connection; one trip at a time."""

    def __init__(self, opened: AsyncConnection[Any]) -> None:
        """Take over an open connection; on the loop that will use it."""
        #: Kept, since the connection ends with it.
        self._opened: Final = opened
        connection = opened.pgconn
        self._connection: Final = connection
        self._loop: Final = asyncio.get_running_loop()
        self._socket: Final = connection.socket
        self._waiting: asyncio.Future[None] | None = None
        self._results: list[list[pq.abc.PGresult]] = []
        self._current: list[pq.abc.PGresult] = []
        self._is_writing = False
        self.is_open = True
        #: A warning came during the last trip.
        self.was_warned = False
        self.warning = ""
        connection.nonblocking = 1
        connection.notice_handler = self._noticed
        connection.enter_pipeline_mode()
        # It stays registered while nothing is asked, so that a server that goes away is noticed.
        self._loop.add_reader(self._socket, self._readable)

    async def prepare(self, statements: dict[str, str], seconds: float) -> None:
        """Prepare statements under their names.

        Raises:
            LineLostError, StatementError: it did not succeed.
        """
        names = list(statements)
        for name in names:
            self._connection.send_prepare(name.encode(), statements[name].encode())
        await self._come_back(len(names), seconds)

    async def run(self, statements: Sequence[str], seconds: float) -> None:
        """Run statements that are not prepared, in one trip.

        Raises:
            LineLostError, StatementError: it did not succeed.
        """
        for statement in statements:
            self._connection.send_query_params(statement.encode(), None)
        await self._come_back(len(statements), seconds)

    async def trip(self, asks: Sequence[Ask], seconds: float) -> list[Answer]:
        """Send statements at once, and wait for all their answers.

        Raises:
            LineLostError: the connection is gone, or no answer came within `seconds`.
            StatementError: one was refused, and those behind it were not carried out.
        """
        if not self.is_open:
            raise LineLostError("the connection was closed")
        send = self._connection.send_query_prepared
        try:
            for name, values in asks:
                send(name, values, [_BINARY] * len(values), _BINARY)
        except Error as error:
            self.close()
            raise LineLostError(str(error)) from error
        return await self._come_back(len(asks), seconds)

    def close(self) -> None:
        """Let go of the connection; whoever waits is told. Nothing is cancelled on the server."""
        self._fail("the connection was closed")

    async def _come_back(self, count: int, seconds: float) -> list[Answer]:
        """Wait for the answers to what was sent."""
        assert self._waiting is None, "one trip at a time"
        if not self.is_open:
            raise LineLostError("the connection was closed")
        self._results, self._current = [], []
        self.was_warned = False
        waiting: asyncio.Future[None] = self._loop.create_future()
        self._waiting = waiting
        clock = self._loop.call_later(
            seconds, self._fail, f"PostgreSQL did not answer within {seconds:g} seconds"
        )
        try:
            self._connection.pipeline_sync()
            self._write()
            await waiting
        except Error as error:
            self._fail(str(error))
            raise LineLostError(str(error)) from error
        except asyncio.CancelledError:
            self._fail("nobody waits for the answer any more")
            raise
        finally:
            clock.cancel()
            self._waiting = None
        return self._answers(count)

    def _answers(self, count: int) -> list[Answer]:
        answers: list[Answer] = []
        for place, results in enumerate(self._results[:count]):
            result = results[0]
            if result.status in _BAD:
                code = _field(result, pq.DiagnosticField.SQLSTATE)
                refused = StatementError(
                    place, code, _field(result, pq.DiagnosticField.MESSAGE_PRIMARY)
                )
                if refused.is_final:
                    self.close()
                raise refused
            answers.append(Answer(result))
        assert len(answers) == count, "every statement is answered"
        return answers

    def _readable(self) -> None:
        """Take in what has arrived."""
        try:
            self._connection.consume_input()
            while not self._connection.is_busy():
                result = self._connection.get_result()
                if result is None:
                    if not self._current:
                        break
                    self._results.append(self._current)
                    self._current = []
                elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                    self._arrived()
                else:
                    self._current.append(result)
        except Error as error:
            self._fail(str(error))
            return
        if self._connection.status == pq.ConnStatus.BAD:
            self._fail("PostgreSQL closed the connection")
            return
        if self._is_writing:
            self._write()

    def _arrived(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _write(self) -> None:
        """Send what is to be sent, now or when there is room."""
        try:
            needs_more = self._connection.flush() == _NEEDS_FLUSH
        except Error as error:
            self._fail(str(error))
            return
        if needs_more and not self._is_writing:
            self._is_writing = True
            self._loop.add_writer(self._socket, self._write)
        elif not needs_more and self._is_writing:
            self._is_writing = False
            self._loop.remove_writer(self._socket)

    def _noticed(self, notice: pq.abc.PGresult) -> None:
        severity = _field(notice, pq.DiagnosticField.SEVERITY_NONLOCALIZED)
        if severity not in {"NOTICE", "INFO", "DEBUG", "LOG"}:
            self.was_warned = True
            self.warning = _field(notice, pq.DiagnosticField.MESSAGE_PRIMARY)

    def _fail(self, reason: str) -> None:
        """The connection is of no use any more."""
        if self.is_open:
            self.is_open = False
            self._loop.remove_reader(self._socket)
            if self._is_writing:
                self._loop.remove_writer(self._socket)
            self._connection.finish()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(LineLostError(reason.strip()))


def _field(result: pq.abc.PGresult, field: pq.DiagnosticField) -> str:
    value = result.error_field(field)
    return "" if value is None else value.decode("utf-8", "replace")

"""MessageConnection: the one connection over which a teller writes, made again when it is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final, final

import psycopg

from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.postgres.address import SESSION, Address, run_script
from zhiwei.stores.postgres.faults import first_line
from zhiwei.stores.postgres.messages.queries import QUERIES

#: After a connection could not be made, nobody tries again for so long.
_PAUSE_SECONDS: Final = 0.5

Connection = psycopg.Connection[Any]
Cursor = psycopg.Cursor[Any]


@final
class MessageConnection:
    """Runs statements of `queries.sql`; one thread at a time."""

    def __init__(self, address: Address) -> None:
        self._address: Final = address
        self._connection: Connection | None = None
        self._warnings: Final[list[str]] = []
        self._not_before = 0.0
        self._why = ""

    def close(self) -> None:
        """Let go of it; the next statement opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def rows(self, name: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a statement.

        Raises:
            StoreUnavailableError: the database refuses or does not answer.
        """
        with self.told():
            return self.run(name, *values).fetchall()

    def run(self, name: str, *values: object) -> Cursor:
        """Run a statement; within `pipeline` its answer comes when that ends.

        Raises:
            psycopg.Error: see `told`.
            StoreUnavailableError: there is no connection.
        """
        return self._open().cursor(binary=True).execute(QUERIES[name].encode(), values)

    @contextmanager
    def pipeline(self) -> Iterator[None]:
        """Send everything that is run within at once."""
        with self._open().pipeline():
            yield

    def begin(self, *, is_flushed: bool) -> None:
        """Begin a transaction; a connection that was lost while nobody looked is replaced.

        Raises:
            psycopg.Error: see `told`.
            StoreUnavailableError: there is no connection.
        """
        was_open = self._connection is not None
        script = QUERIES["begin_flushed" if is_flushed else "begin"]
        try:
            run_script(self._open(), script)
        except psycopg.OperationalError:
            if not was_open:
                raise
            self.close()
            run_script(self._open(), script)
        self._warnings.clear()

    def commit(self) -> None:
        """Commit.

        Raises:
            psycopg.Error: see `told`.
            StoreUnavailableError: it is not known whether it is where it shall be.
        """
        done = self._open().execute(QUERIES["commit"].encode())
        if done.statusmessage != "COMMIT":
            raise StoreUnavailableError("messages cannot be written: the transaction had failed")
        if self._warnings:
            # A wait for standbys that was cancelled is a success with a warning.
            message = f"it is not known whether messages were written: {self._warnings[0]}"
            raise StoreUnavailableError(message)

    def undo(self) -> None:
        """Roll back what is open; where that does not succeed, the connection goes."""
        connection = self._connection
        if connection is None:
            return
        idle = psycopg.pq.TransactionStatus.IDLE
        try:
            if connection.info.transaction_status != idle:
                connection.execute(QUERIES["rollback"].encode())
        except psycopg.Error:
            self.close()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell the driver's errors as `StoreUnavailableError`."""
        try:
            yield
        except psycopg.Error as error:
            if self._connection is not None and self._connection.broken:
                self.close()
            first = first_line(error)
            message = f"messages cannot be read or written: {first}"
            raise StoreUnavailableError(message) from error

    def _open(self) -> Connection:
        """The connection as it is, or a new one.

        Raises:
            StoreUnavailableError: none can be made.
        """
        if self._connection is not None and not self._connection.closed:
            return self._connection
        if monotonic() < self._not_before:
            raise StoreUnavailableError(self._why)
        try:
            connection = self._address.open_for_reading()
            run_script(connection, ";".join((*SESSION, QUERIES["as_decisions_commit"])))
        except (StoreUnavailableError, psycopg.Error) as error:
            self._why = first_line(error)
            self._not_before = monotonic() + _PAUSE_SECONDS
            raise StoreUnavailableError(self._why) from error
        connection.add_notice_handler(self._notice)
        self._connection = connection
        return connection

    def _notice(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self._warnings.append(notice.message_primary or "a warning")


def columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[list[Any]]:
    """Rows as lists of their columns, as `unnest` takes them."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]

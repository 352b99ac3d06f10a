"""Writing: small transactions for threads that may wait, beside the path.

Pages and the command line write a row or two at a time. Each call is one transaction; whatever
happens at its commit that is no plain success (a lost line, a warning, no answer in time) is an
error, although it may have been written: nothing is told as done that may be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, final

import psycopg

from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.postgres.address import Address
from zhiwei.stores.postgres.faults import first_line
from zhiwei.stores.postgres.opening import made_ready
from zhiwei.stores.postgres.reading import Held, ReadingConnections, kept_text
from zhiwei.stores.postgres.steps import known_steps

T = TypeVar("T")

_BEGIN: Final = b"begin isolation level read committed"
#: What a power cut takes back of it may be asked for again.
_UNFLUSHED: Final = b"set local synchronous_commit = off"
#: A deadlock, a conflict of transactions (Citus, YugabyteDB): nothing was written, try it again.
_MAY_SUCCEED: Final = frozenset({"40P01", "40001"})
_TRIES: Final = 5


@final
class Statements:
    """The statements of one transaction."""

    __slots__ = ("_connection", "_queries")

    def __init__(self, connection: psycopg.Connection[Any], queries: Mapping[str, str]) -> None:
        self._connection: Final = connection
        self._queries: Final = queries

    def rows(self, name: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a statement."""
        with self._connection.cursor(binary=True) as cursor:
            return cursor.execute(self._queries[name].encode(), kept(values)).fetchall()

    def changed(self, name: str, *values: object) -> int:
        """How many rows a statement without an answer changed."""
        with self._connection.cursor() as cursor:
            return cursor.execute(self._queries[name].encode(), kept(values)).rowcount


@final
class WritingConnections:
    """At most so many connections to the primary, for reading and writing; thread-safe."""

    def __init__(self, url: str, most: int, queries: Mapping[str, str]) -> None:
        """Look whether the database can be used, and make its schema or bring it up to date.

        Raises:
            BadDatabaseUrlError: that is no URL of a database.
            StoreUnavailableError: there is no connection, or the schema cannot be made.
            DatabaseRefusedError: it is a standby, too old, or of the wrong encoding.
            NewerSchemaError: the data are from a newer version of this program.
            ForeignDatabaseError: the tables are of another program.
        """
        address = Address(url)
        with address.open_for_reading() as connection:
            made_ready(connection, known_steps())
        self._queries: Final = queries
        self._pool: Final = ReadingConnections(
            address, most, opened=address.open_for_small_writes, queries=queries
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def rows(self, name: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a statement that only reads.

        Raises:
            StoreUnavailableError: the database does not answer.
        """
        return self._pool.rows(name, *kept(values))

    def write(self, work: Callable[[Statements], T], *, is_flushed: bool = True) -> T:
        """Carry out the statements of `work` as one transaction; what it returns.

        `work` may be called again after all that it did was undone. With `is_flushed` the outcome
        is as durable as a decision's when this returns.

        Raises:
            StoreUnavailableError: nothing was written, or it is not known whether it was.
        """
        with self._pool.one() as held:
            tries = _TRIES
            while True:
                tries -= 1
                try:
                    return self._carry_out(held, work, is_flushed=is_flushed)
                except psycopg.Error as error:
                    # The next call gets a new connection, to whoever is primary by then.
                    held.drop()
                    if error.sqlstate in _MAY_SUCCEED and tries:
                        continue
                    if isinstance(error, psycopg.OperationalError):
                        self._pool.drop_free()
                    first = first_line(error)
                    raise StoreUnavailableError(f"it cannot be written: {first}") from error
                except BaseException:
                    held.drop()
                    raise

    def _carry_out(self, held: Held, work: Callable[[Statements], T], *, is_flushed: bool) -> T:
        """One try."""
        connection = self._begun(held, is_flushed=is_flushed)
        result = work(Statements(connection, self._queries))
        warned: list[str] = []

        def note(told: psycopg.errors.Diagnostic) -> None:
            if told.severity_nonlocalized == "WARNING":
                warned.append(told.message_primary or "")

        connection.add_notice_handler(note)
        connection.execute(b"commit", prepare=False)
        connection.remove_notice_handler(note)
        if warned:
            # A wait for a standby that was cancelled is a success with a warning.
            raise StoreUnavailableError(f"it may not have been kept: {warned[0]}")
        return result

    def _begun(self, held: Held, *, is_flushed: bool) -> psycopg.Connection[Any]:
        """A connection on which a transaction has begun.

        One that broke while nobody looked is replaced; nothing has happened on it yet.
        """
        for is_last in (False, True):
            if held.connection is None:
                held.connection = self._pool.opened()
            connection = held.connection
            try:
                connection.execute(_BEGIN, prepare=False)
                if not is_flushed:
                    connection.execute(_UNFLUSHED, prepare=False)
            except psycopg.Error:
                if is_last or not connection.broken:
                    raise
                held.drop()
            else:
                return connection
        raise AssertionError("unreachable")


def kept(values: tuple[object, ...]) -> tuple[object, ...]:
    """Parameters, with texts as PostgreSQL can keep them."""
    return tuple(kept_text(value) if isinstance(value, str) else value for value in values)

"""Reading: connections for who reads beside the path, shared by threads and bounded in number."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, final

import psycopg

from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.postgres.address import Address
from zhiwei.stores.postgres.faults import first_line
from zhiwei.stores.postgres.queries import QUERIES

_WAIT_SECONDS: Final = 10.0

Connection = psycopg.Connection[Any]


@final
class ReadingConnections:
    """At most so many; a thread that asks for one more waits until one is free."""

    def __init__(
        self,
        address: Address,
        most: int,
        *,
        opened: Callable[[], Connection] | None = None,
        queries: Mapping[str, str] = QUERIES,
    ) -> None:
        """`opened` opens one; None = one that only reads, without settings of its own."""
        self.opened: Final = address.open_for_reading if opened is None else opened
        self._queries: Final = queries
        self._free: Final[list[Connection]] = []
        self._lock: Final = threading.Lock()
        self._room: Final = threading.Semaphore(most)
        self._is_open = True

    def rows(self, name: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a statement by its name; see `run`.

        Raises:
            StoreUnavailableError: the database does not answer.
        """
        return self.run(self._queries[name], *values)

    def run(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a statement, read for itself.

        A connection that broke while nobody looked is replaced once.

        Raises:
            StoreUnavailableError: the database does not answer.
        """
        statement = text.encode()
        with self.one() as held:
            for is_last in (False, True):
                try:
                    if held.connection is None:
                        held.connection = self.opened()
                    with held.connection.cursor(binary=True) as cursor:
                        return cursor.execute(statement, values).fetchall()
                except psycopg.Error as error:
                    was_lost = held.connection is not None and held.connection.broken
                    held.drop()
                    if is_last or not was_lost:
                        first = first_line(error)
                        raise StoreUnavailableError(f"it cannot be read: {first}") from error
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close what is free; the others are closed when they are given back."""
        with self._lock:
            self._is_open = False
        self.drop_free()

    def drop_free(self) -> None:
        """Close what is free: it may lead to a server that another one has just been lost to."""
        with self._lock:
            for connection in self._free:
                connection.close()
            self._free.clear()

    @contextmanager
    def one(self) -> Iterator[Held]:
        """A connection for the caller alone, or room for one that the caller opens.

        Raises:
            StoreUnavailableError: all are in use for too long, or they were closed.
        """
        if not self._room.acquire(timeout=_WAIT_SECONDS):
            raise StoreUnavailableError("too many ask at once; try again")
        try:
            with self._lock:
                if not self._is_open:
                    raise StoreUnavailableError("the store is closed")
                held = Held(self._free.pop() if self._free else None)
            try:
                yield held
            finally:
                with self._lock:
                    if held.connection is not None and self._is_open:
                        self._free.append(held.connection)
                        held.connection = None
                held.drop()
        finally:
            self._room.release()


@final
class Held:
    """A connection while one thread uses it."""

    __slots__ = ("connection",)

    def __init__(self, connection: Connection | None) -> None:
        self.connection = connection

    def drop(self) -> None:
        """Close it, if it is there."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def kept_text(value: str) -> str:
    """A text as PostgreSQL can keep or find it: no zero bytes and no halves of characters."""
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()

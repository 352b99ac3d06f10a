"""Settled: the events below which no more can appear, for the one who tells people of them.

Several batches write at once, so position 8 may be committed after position 9, and whoever reads on
from 9 would never see it. So a position is shown only when every transaction that may have taken it
or one before it is over: the last position given is read, then a transaction number is taken, and
when no transaction below that number is left, all those positions are settled.

Any number of servers may look, each on a connection of its own. What one of them has planned was
settled when it looked, so the cursor of messages is settled for everybody: a server that looks a
moment later must not think that there are fewer events than were planned.
"""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any, Final, final

import psycopg

from zhiwei.ports import EventRow, StoreUnavailableError
from zhiwei.stores.postgres.address import Address
from zhiwei.stores.postgres.faults import first_line
from zhiwei.stores.postgres.queries import QUERIES
from zhiwei.stores.postgres.reader import PostgresReader

#: Longer than any of our own batches takes, and shorter than the start of messaging may.
_BEGIN_SECONDS: Final = 20.0
_BEGIN_PAUSE_SECONDS: Final = 0.01


@final
class SettledEvents:
    """Reads events in an order in which none can be missed; one thread at a time."""

    def __init__(self, address: Address, reader: PostgresReader) -> None:
        """Connect, and wait until what is being written now is over.

        Raises:
            StoreUnavailableError: the database does not answer.
        """
        self._address: Final = address
        self._reader: Final = reader
        self._connection: psycopg.Connection[Any] | None = None
        self._settled = 0
        #: Last position given, and the transaction number that was taken after it.
        self._pending: tuple[int, int] | None = None
        self._begin()

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def events(self, *, after: int = 0, limit: int = 100) -> list[EventRow]:
        """Settled events by position in the outbox, newest first; see `ports.Reader`.

        Raises:
            StoreUnavailableError: the database does not answer.
        """
        self._look()
        if not after:
            return self._reader.events(before=self._settled + 1, limit=limit)
        rows = self._reader.events(after=after, limit=limit)
        return [row for row in rows if row.position <= self._settled]

    def _begin(self) -> None:
        """Wait until what is written now is over: an outbox that looks empty would be begun anew.

        Raises:
            StoreUnavailableError: a transaction that writes is not over for too long.
        """
        until = monotonic() + _BEGIN_SECONDS
        self._look()
        while self._pending is not None:
            if monotonic() > until:
                self.close()
                message = "a transaction on the database has been writing for long; end it"
                raise StoreUnavailableError(message)
            sleep(_BEGIN_PAUSE_SECONDS)
            self._look()

    def _look(self) -> None:
        """Find out up to where everything is settled now."""
        self._settled = max(self._settled, self._one("planned_position"))
        if self._pending is None:
            given = self._one("event_position")
            if given <= self._settled:
                return
            self._pending = (given, self._one("next_transaction"))
        position, transaction = self._pending
        if self._one("oldest_transaction") >= transaction:
            self._settled = max(self._settled, position)
            self._pending = None

    def _one(self, name: str) -> int:
        """The one number that a statement gives, on a connection to the primary."""
        try:
            if self._connection is None:
                self._connection = self._address.open_for_reading()
            row = self._connection.execute(QUERIES[name].encode()).fetchone()
        except psycopg.Error as error:
            # The next one may lead to another primary, which may not have got as far.
            self.close()
            self._settled = 0
            self._pending = None
            first = first_line(error)
            raise StoreUnavailableError(f"it cannot be read: {first}") from error
        return 0 if row is None else int(row[0])

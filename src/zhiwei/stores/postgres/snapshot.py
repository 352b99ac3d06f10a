"""Snapshot: everything in a database as of one instant, for who reads all of it.

It may be taken beside running servers: it reads one consistent state, and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self, final

import psycopg

from zhiwei.core.card_state import CardState
from zhiwei.ports import ApiKey, R, StoreUnavailableError
from zhiwei.stores.coding.entry import Filed, decode_entry
from zhiwei.stores.coding.record import KIND_NAMES, record_of
from zhiwei.stores.coding.settings import decode_settings
from zhiwei.stores.coding.usage import decode_usage
from zhiwei.stores.postgres.address import Address
from zhiwei.stores.postgres.faults import first_line
from zhiwei.stores.postgres.opening import schema_of
from zhiwei.stores.postgres.queries import QUERIES
from zhiwei.stores.postgres.steps import known_steps
from zhiwei.stores.postgres.weeks import WEEK_MS, week_named

#: Rows that are fetched at once.
_ROWS: Final = 2_000
_ALL: Final = 1 << 62


@final
class PostgresSnapshot:
    """A consistent reading of a database; use it with `with`."""

    def __init__(self, url: str) -> None:
        """Connect, and begin to read.

        Raises:
            BadDatabaseUrlError: that is no URL of a database.
            StoreUnavailableError: there are no data, or they cannot be read.
            NewerSchemaError, ForeignDatabaseError: they are not ours to read.
        """
        self._connection: Final = Address(url).open_for_reading()
        try:
            row, names = self._begun()
        except psycopg.Error as error:
            self._connection.close()
            first = first_line(error)
            raise StoreUnavailableError(f"the data cannot be read: {first}") from error
        except BaseException:
            self._connection.close()
            raise
        #: How many rows journal, outbox and audit trail have.
        self.entries_count: Final[int] = row[0]
        self.events_count: Final[int] = row[1]
        self.audits_count: Final[int] = row[2]
        self._last_entry: Final[int] = row[3]
        weeks = [week for name in names if (week := week_named(name)) is not None]
        #: Where the first week begins that was not dropped.
        self.first_week_ms: Final = min(weeks, default=0) * WEEK_MS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    @property
    def last_entry(self) -> int:
        """Position of the last journal row."""
        return self._last_entry

    @property
    def last_event(self) -> int:
        """How many events there are."""
        return self.events_count

    def entries(self) -> Iterator[tuple[int, bytes, int, bytes]]:
        """Position, card key, version and body of all journal rows, by position."""
        return self._rows("all_entries")

    def audits(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Position, card key and body of the audit trail, by position."""
        return self._rows("all_audits")

    def records(self) -> Iterator[tuple[str, str, str, int, bytes]]:
        """Kind, id, subject, time and body of all records."""
        return self._rows("all_records")

    def card(self, card_key: bytes) -> tuple[CardState, list[Filed]] | None:
        """One card: its file, and the entries that were not dropped; None where there is none.

        Raises:
            CorruptFileError: a row is damaged.
            StoreUnavailableError: it cannot be read.
        """
        files = list(self._rows("file", card_key))
        if not files:
            return None
        settings, usage = files[0]
        state, _ = decode_usage(usage, card_key, decode_settings(settings, card_key))
        rows = self._rows("entries_of_card_after", card_key, 0, _ALL)
        return state, [decode_entry(body, card_key, version) for version, body in rows]

    def records_of(self, kind: type[R], subject: str) -> list[R]:
        """Records of a kind and subject.

        Raises:
            StoreUnavailableError: they cannot be read.
        """
        rows = self._rows("records_of_subject_after", KIND_NAMES[kind], subject, "", _ALL)
        return [record_of(kind, record_id, body) for record_id, body in rows]

    def keys(self) -> Iterator[ApiKey]:
        """The API keys, oldest first."""
        return (ApiKey(*row) for row in self._rows("all_keys"))

    def by_card(self, name: str, after: bytes) -> Iterator[tuple[Any, ...]]:
        """Rows of a `…_by_card` statement behind a card, each beginning with its card's key."""
        return self._rows(name, after)

    def _begun(self) -> tuple[tuple[Any, ...], list[str]]:
        """Begin to read; counts and partitions."""
        execute = self._connection.execute
        execute(b"set statement_timeout = 0")
        execute(b"begin isolation level repeatable read read only")
        if not schema_of(self._connection, known_steps()).number:
            raise StoreUnavailableError("there are no data in the database")
        row = execute(QUERIES["counts"].encode()).fetchone()
        assert row is not None, "counts are one row"
        names = execute(QUERIES["partitions"].encode()).fetchall()
        return row, [name for (name,) in names]

    def _rows(self, name: str, *values: object) -> Iterator[tuple[Any, ...]]:
        try:
            with psycopg.RawServerCursor(self._connection, name) as cursor:
                cursor.itersize = _ROWS
                yield from cursor.execute(QUERIES[name].encode(), values, binary=True)
        except psycopg.Error as error:
            first = first_line(error)
            raise StoreUnavailableError(f"the data cannot be read: {first}") from error

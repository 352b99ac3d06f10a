"""Inserts: many rows of one table in few statements.

The interpreter's lock is handed back around every step of SQLite. When another thread is busy, each
of those moments may cost the path the other's whole turn; so a batch takes few steps, not one for
each row.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final, final

from zhiwei.stores.sqlite.queries import QUERIES

#: Rows of the largest statement; the next ones have half as many each.
_ROWS_MAX: Final = 16


@final
class Inserts:
    """Inserts rows by the statement of a name in queries.sql."""

    __slots__ = ("_connection", "_statements")

    def __init__(self, connection: sqlite3.Connection, *names: str) -> None:
        self._connection: Final = connection
        #: By name, from the largest statement to the one of a single row.
        self._statements: Final = {name: _by_rows(QUERIES[name]) for name in names}

    def insert(self, name: str, rows: list[Any]) -> None:
        """Insert rows (tuples of their columns), in order."""
        at = 0
        left = len(rows)
        for count, statement in self._statements[name]:
            while left >= count:
                columns: list[Any] = []
                for row in rows[at : at + count]:
                    columns.extend(row)
                self._connection.execute(statement, columns)
                at += count
                left -= count


def _by_rows(statement: str) -> tuple[tuple[int, str], ...]:
    """The statement for many rows at once, the most first."""
    head, values = statement.rsplit("values", 1)
    found: list[tuple[int, str]] = []
    count = _ROWS_MAX
    while count:
        found.append((count, head + "values" + ",".join([values] * count)))
        count //= 2
    return tuple(found)

"""Forgetting: digests and stored answers go after seven days, a small portion at a time."""

from __future__ import annotations

import sqlite3
from typing import Final, final

from zhiwei.stores.coding.recent import KEPT_SECONDS
from zhiwei.stores.sqlite.queries import QUERIES

PORTION: Final = 100
#: After a walk through everything, the next one begins this much later.
EVERY_MS: Final = 3_600_000


@final
class Forgetting:
    """How far the walk has come."""

    __slots__ = ("_after", "_due_ms")

    def __init__(self) -> None:
        self._after: tuple[bytes, bytes, int] = (b"", b"", 0)
        self._due_ms = 0

    def is_due(self, clock_ms: int) -> bool:
        """Whether there may be something to forget."""
        return clock_ms >= self._due_ms

    def a_portion(self, connection: sqlite3.Connection, clock_ms: int) -> None:
        """Look through the next portion, within a transaction of the caller's."""
        oldest = clock_ms // 1000 - KEPT_SECONDS
        query = QUERIES["old_keys_from"]
        rows = connection.execute(query, (*self._after, PORTION)).fetchall()
        expired = [row[:3] for row in rows if row[3] <= oldest]
        if expired:
            connection.executemany(QUERIES["delete_old_key"], expired)
        if len(rows) == PORTION:
            self._after = rows[-1][:3]
            return
        answers = connection.execute(
            QUERIES["delete_records"],
            ("stored_answer", "stored_answer", oldest * 1000, PORTION),
        )
        if answers.rowcount < PORTION:
            self._after = (b"", b"", 0)
            self._due_ms = clock_ms + EVERY_MS

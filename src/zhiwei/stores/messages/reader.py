"""SqliteMessageReader: reads messages for any thread, each on a connection of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, final

from zhiwei.messaging.model import Status, Tracked
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.coding.message import tracked_of
from zhiwei.stores.files.reading import ThreadConnections
from zhiwei.stores.messages.connection import open_reader
from zhiwei.stores.messages.queries import QUERIES


@final
class SqliteMessageReader:
    """What is committed; see `MessageReader`."""

    def __init__(self, path: Path) -> None:
        """Read the file at `path`; it is opened when somebody asks."""
        self._connections: Final = ThreadConnections(lambda: open_reader(path))

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def message(self, message_id: str) -> Tracked | None:
        """One message with its story."""
        rows = self._rows(QUERIES["message_by_id"], (message_id,))
        return tracked_of(rows[0]) if rows else None

    def messages(
        self,
        *,
        event_id: str = "",
        card_key: bytes = b"",
        status: Status | None = None,
        channel: str = "",
        before: int = 0,
        after: int = 0,
        limit: int = 100,
    ) -> list[Tracked]:
        """Messages newest first; with a lower bound only, the `limit` ones nearest above it."""
        terms: list[str] = []
        values: list[object] = []

        def where(term: str, *parts: object) -> None:
            terms.append(term)
            values.extend(parts)

        if event_id:
            # Ids of its messages begin with its own; `.` is the letter after `-`.
            stem = "msg_" + event_id.removeprefix("evt_")
            where("id >= ? and id < ? and event_id = ?", f"{stem}-", f"{stem}.", event_id)
        if card_key:
            # The constant part is what the index is made for; so below.
            where("card_key <> x'' and card_key = ?", card_key)
        if status is not None:
            kind = " and status > 2" if status > Status.DELIVERED else ""
            where("status = 0" if status is Status.QUEUED else f"status = {int(status)}{kind}")
        if channel:
            where("channel = ?", channel)
        if before:
            where("position < ?", before)
        if after:
            where("position > ?", after)
        is_upward = bool(after) and not before
        order = "position" if is_upward else "position desc"
        text = f"select * from message where {' and '.join(terms) or 'true'}"  # noqa: S608 - all of it is ours
        rows = self._rows(f"{text} order by {order} limit ?", (*values, limit))
        found = [tracked_of(row) for row in rows]
        return found[::-1] if is_upward else found

    def backlog(self) -> dict[tuple[str, Status], int]:
        """How many messages there are of each channel and status."""
        rows = self._rows(QUERIES["backlog"], ())
        return {(channel, Status(status)): amount for channel, status, amount in rows}

    def oldest_queued_ms(self, channel: str) -> int:
        """When the oldest message that still waits was planned; 0 = none waits."""
        rows = self._rows(QUERIES["oldest_queued"], (channel,))
        return int(rows[0][0]) if rows else 0

    def _rows(self, query: str, values: Sequence[object]) -> list[Any]:
        try:
            return self._connection().execute(query, values).fetchall()
        except sqlite3.Error as error:
            message = f"messages cannot be read: {error}"
            raise StoreUnavailableError(message) from error

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        return self._connections.of_this_thread()

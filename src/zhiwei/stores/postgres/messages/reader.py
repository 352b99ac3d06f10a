"""PostgresMessageReader: reads messages for any thread; see `MessageReader`."""

from __future__ import annotations

from typing import Final, final

from zhiwei.messaging.model import Status, Tracked
from zhiwei.stores.coding.message import tracked_of
from zhiwei.stores.postgres.address import Address
from zhiwei.stores.postgres.messages.queries import QUERIES
from zhiwei.stores.postgres.reading import ReadingConnections, kept_text

#: The HTTP door, the console and metrics ask now and then.
_CONNECTIONS: Final = 2


@final
class PostgresMessageReader:
    """What is committed."""

    def __init__(self, address: Address) -> None:
        """Connections are made when somebody asks."""
        self._connections: Final = ReadingConnections(address, _CONNECTIONS)
        self._run: Final = self._connections.run

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def message(self, message_id: str) -> Tracked | None:
        """One message with its story."""
        rows = self._run(QUERIES["message_by_id"], kept_text(message_id))
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
            values.extend(parts)
            first = len(values) - len(parts) + 1
            terms.append(term.format(*(f"${first + i}" for i in range(len(parts)))))

        if event_id:
            # Ids of its messages begin with its own; `.` is the letter after `-`.
            event_id = kept_text(event_id)
            stem = "msg_" + event_id.removeprefix("evt_")
            bounds = (f"{stem}-", f"{stem}.", event_id)
            where("id >= {}::text and id < {}::text and event_id = {}::text", *bounds)
        if card_key:
            # The constant part is what the index is made for; so below.
            where("card_key <> '' and card_key = {}::bytea", card_key)
        if status is not None:
            kind = " and status > 2" if status > Status.DELIVERED else ""
            where("status + 0 = 0" if status is Status.QUEUED else f"status = {int(status)}{kind}")
        if channel:
            where("channel = {}::text", kept_text(channel))
        if before:
            where("position < {}::bigint", before)
        if after:
            where("position > {}::bigint", after)
        is_upward = bool(after) and not before
        order = "position" if is_upward else "position desc"
        text = f"select * from message where {' and '.join(terms) or 'true'}"  # noqa: S608 - all of it is ours
        values.append(limit)
        rows = self._run(f"{text} order by {order} limit ${len(values)}::bigint", *values)
        found = [tracked_of(row) for row in rows]
        return found[::-1] if is_upward else found

    def backlog(self) -> dict[tuple[str, Status], int]:
        """How many messages there are of each channel and status."""
        rows = self._run(QUERIES["backlog"])
        return {(channel, Status(status)): amount for channel, status, amount in rows}

    def oldest_queued_ms(self, channel: str) -> int:
        """When the oldest message that still waits was planned; 0 = none waits."""
        rows = self._run(QUERIES["oldest_queued"], kept_text(channel))
        return int(rows[0][0]) if rows else 0

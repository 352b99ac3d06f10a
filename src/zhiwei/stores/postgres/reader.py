"""PostgresReader: reads for the doors beside the path; see `ports.Reader`."""

from __future__ import annotations

from typing import Any, Final, final

from zhiwei.core.card_state import CardState
from zhiwei.core.entry import Entry
from zhiwei.core.ids import entry_id, entry_of
from zhiwei.ports import AuditRow, EventRow, Positioned, R
from zhiwei.stores.coding.audit import audit_row
from zhiwei.stores.coding.entry import decode_entry
from zhiwei.stores.coding.event import decode_event
from zhiwei.stores.coding.record import KIND_NAMES, record_of
from zhiwei.stores.coding.settings import decode_settings
from zhiwei.stores.coding.usage import decode_usage
from zhiwei.stores.postgres.address import Address
from zhiwei.stores.postgres.reading import ReadingConnections, kept_text

#: Above every position and version.
_NO_BOUND: Final = 1 << 62
#: Sorts after every id.
_LAST_TEXT: Final = "\U0010ffff"
_LAST_KEY: Final = b"\xff" * 17


@final
class PostgresReader:
    """What is committed, as the doors ask for it; nothing is kept here."""

    def __init__(self, address: Address, connections: int) -> None:
        self._connections: Final = ReadingConnections(address, connections)
        self._rows: Final = self._connections.rows

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def card(self, card_key: bytes) -> CardState | None:
        """The card's file, None if it was never registered."""
        image = self.image(card_key)
        return None if image is None else _state_of((card_key, *image))

    def image(self, card_key: bytes) -> tuple[bytes, bytes] | None:
        """The card's file as it is kept: cold part and hot part."""
        rows = self._rows("file", card_key)
        return (rows[0][0], rows[0][1]) if rows else None

    def entry(self, card_key: bytes, version: int) -> Entry | None:
        """One entry of a card's journal."""
        rows = self._rows("entry", card_key, version)
        return decode_entry(rows[0][0], card_key, version).entry if rows else None

    def entries(
        self, card_key: bytes, *, before: int = 0, after: int = 0, limit: int = 100
    ) -> list[Entry]:
        """Entries of a card, newest first."""
        rows = self._page("entries_of_card", before, after, limit, card_key)
        return [decode_entry(body, card_key, version).entry for version, body in rows]

    def latest_of_group(self, card_key: bytes, version: int) -> Entry | None:
        """The latest entry of the group that entry `version` began."""
        rows = self._rows("latest_of_group", card_key, version)
        return self.entry(card_key, rows[0][0] if rows else version)

    def recent(self, *, before: int = 0, after: int = 0, limit: int = 100) -> list[Positioned]:
        """Entries of all cards by position, newest first."""
        return [
            Positioned(row[0], row[1], decode_entry(row[3], row[1], row[2]).entry)
            for row in self._page("entries", before, after, limit)
        ]

    def position(self, card_key: bytes, version: int) -> int:
        """Position of an entry in the whole journal; 0 = none."""
        rows = self._rows("position", card_key, version)
        return rows[0][0] if rows else 0

    def cards(
        self, *, cardholder: str = "", after: bytes = b"", before: bytes = b"", limit: int = 100
    ) -> list[CardState]:
        """Cards in ascending order of their key."""
        name = "files_of_cardholder" if cardholder else "files"
        start: tuple[object, ...] = (cardholder,) if cardholder else ()
        if before and not after:
            rows = self._rows(f"{name}_before", *start, before, limit)[::-1]
        else:
            rows = self._rows(f"{name}_after", *start, after, limit)
            rows = [row for row in rows if row[0] < (before or _LAST_KEY)]
        return [_state_of(row) for row in rows]

    def record(self, kind: type[R], record_id: str) -> R | None:
        """A record of a kind."""
        rows = self._rows("record", KIND_NAMES[kind], kept_text(record_id))
        return record_of(kind, rows[0][0], rows[0][1]) if rows else None

    def records(
        self,
        kind: type[R],
        *,
        subject: str = "",
        before: str = "",
        after: str = "",
        limit: int = 100,
    ) -> list[R]:
        """Records of a kind, greatest id first."""
        name = "records_of_subject" if subject else "records"
        start = (KIND_NAMES[kind], kept_text(subject)) if subject else (KIND_NAMES[kind],)
        if after and not before:
            rows = self._rows(f"{name}_after", *start, kept_text(after), limit)[::-1]
        else:
            bounds = (kept_text(before) or _LAST_TEXT, kept_text(after), limit)
            rows = self._rows(f"{name}_before", *start, *bounds)
        return [record_of(kind, row[0], row[1]) for row in rows]

    def adopted_policies(self) -> int:
        """How many changes of the policy were adopted."""
        return int(self._rows("adopted_policies")[0][0])

    def audits(
        self, *, card_key: bytes = b"", before: int = 0, after: int = 0, limit: int = 100
    ) -> list[AuditRow]:
        """The audit trail, newest first."""
        rows = (
            self._page("audits_of_card", before, after, limit, card_key)
            if card_key
            else self._page("audits", before, after, limit)
        )
        return [audit_row(*row) for row in rows]

    def events(
        self, *, card_key: bytes = b"", before: int = 0, after: int = 0, limit: int = 100
    ) -> list[EventRow]:
        """The outbox, newest first."""
        rows = (
            self._page("events_of_card", before, after, limit, card_key)
            if card_key
            else self._page("events", before, after, limit)
        )
        return [_event_row(row) for row in rows]

    def event(self, event_id: str) -> EventRow | None:
        """One event of the outbox."""
        name, _, place = event_id.rpartition("_")
        owner = entry_of("evt", name)
        if owner is None or not (place.isascii() and place.isdigit() and len(place) < 6):
            return None
        card_key, version = owner
        rows = self._rows("entry", card_key, version)
        first = decode_entry(rows[0][0], card_key, version).events_from if rows else 0
        if not first:
            return None
        rows = self._rows("event", card_key, first + int(place))
        if not rows or rows[0][2] != version:
            return None
        found = _event_row(rows[0])
        return found if found.id == event_id else None

    def _page(
        self, name: str, before: int, after: int, limit: int, *start: object
    ) -> list[tuple[Any, ...]]:
        """Rows of a table by position or version, newest first."""
        if after and not before:
            return self._rows(f"{name}_after", *start, after, limit)[::-1]
        return self._rows(f"{name}_before", *start, before or _NO_BOUND, after, limit)


def _state_of(row: tuple[Any, ...]) -> CardState:
    """The file of its row: key of the card, cold part, hot part."""
    card_key, settings, usage = row
    return decode_usage(usage, card_key, decode_settings(settings, card_key))[0]


def _event_row(row: tuple[Any, ...]) -> EventRow:
    position, card_key, version, body = row
    filed = decode_event(body, card_key, version)
    event_id = f"{entry_id('evt', card_key, version)}_{filed.place}"
    return EventRow(position, event_id, card_key, version, filed.at_ms, filed.event)

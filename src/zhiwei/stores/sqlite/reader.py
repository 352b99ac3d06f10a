"""SqliteReader: reads for the doors beside the path, each thread on a connection of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, final

from zhiwei.core.card_state import CardState
from zhiwei.core.entry import Entry
from zhiwei.core.ids import entry_id, entry_of
from zhiwei.ports import AuditRow, CorruptFileError, EventRow, Positioned, R
from zhiwei.stores.coding.audit import audit_row
from zhiwei.stores.coding.entry import decode_entry
from zhiwei.stores.coding.event import EventFiled, decode_event
from zhiwei.stores.coding.record import KIND_NAMES, record_of
from zhiwei.stores.coding.settings import decode_settings
from zhiwei.stores.coding.usage import Places, decode_usage, version_and_places
from zhiwei.stores.files.reading import ThreadConnections
from zhiwei.stores.sqlite.connection import open_reader
from zhiwei.stores.sqlite.images import ImageBytes, Images
from zhiwei.stores.sqlite.queries import QUERIES
from zhiwei.stores.sqlite.rows import Rows

#: Above every row number that SQLite can give.
_NO_BOUND: Final = 1 << 62
#: Sorts after every id.
_LAST_TEXT: Final = "\U0010ffff"
_LAST_KEY: Final = b"\xff" * 17


@final
class SqliteReader:
    """What is committed, as the doors ask for it; see `ports.Reader`."""

    def __init__(self, path: Path, images: Images) -> None:
        """Read the file at `path`, and files of cards from `images`."""
        self._images: Final = images
        self._connections: Final = ThreadConnections(lambda: open_reader(path))

    def close(self) -> None:
        """Close every connection."""
        self._connections.close()

    def card(self, card_key: bytes) -> CardState | None:
        """The card's file, None if it was never registered."""
        image = self.image(card_key)
        if image is None:
            return None
        state, _ = decode_usage(image[1], card_key, decode_settings(image[0], card_key))
        return state

    def image(self, card_key: bytes) -> ImageBytes | None:
        """The card's file as it is kept: cold part and hot part."""
        return self._images.image(self._rows(), card_key)

    def entry(self, card_key: bytes, version: int) -> Entry | None:
        """One entry of a card's journal."""
        rows = self._rows()
        position = self._position(rows, card_key, version)
        return rows.entry_at(position, card_key).entry if position else None

    def entries(
        self, card_key: bytes, *, before: int = 0, after: int = 0, limit: int = 100
    ) -> list[Entry]:
        """Entries of a card, newest first."""
        last, places = self._last(card_key)
        top = min(last, before - 1) if before else last
        if after and not before:
            top = min(top, after + limit)
        if top < 1:
            return []
        rows = self._rows()
        found: list[Entry] = []
        position = rows.position_of(card_key, top, last, places.entry)
        while position and len(found) < limit:
            filed = rows.entry_at(position, card_key)
            if filed.entry.version <= after:
                break
            found.append(filed.entry)
            position = filed.previous
        return found

    def latest_of_group(self, card_key: bytes, version: int) -> Entry | None:
        """The latest entry of the group that entry `version` began."""
        rows = self._rows()
        position = rows.head_of(card_key, version) or self._position(rows, card_key, version)
        return rows.entry_at(position, card_key).entry if position else None

    def recent(self, *, before: int = 0, after: int = 0, limit: int = 100) -> list[Positioned]:
        """Entries of all cards by position, newest first."""
        return [
            Positioned(row[0], row[1], decode_entry(row[3], row[1], row[2]).entry)
            for row in self._page("entries", before, after, limit)
        ]

    def position(self, card_key: bytes, version: int) -> int:
        """Position of an entry in the whole journal; 0 = none."""
        return self._position(self._rows(), card_key, version)

    def cards(
        self, *, cardholder: str = "", after: bytes = b"", before: bytes = b"", limit: int = 100
    ) -> list[CardState]:
        """Cards in ascending order of their key."""
        name = "keys_of_cardholder" if cardholder else "keys"
        start: tuple[str, ...] = (cardholder,) if cardholder else ()
        execute = self._connection().execute
        if before and not after:
            rows = execute(QUERIES[f"{name}_before"], (*start, before, limit)).fetchall()[::-1]
        else:
            rows = execute(QUERIES[f"{name}_after"], (*start, after, limit)).fetchall()
            rows = [row for row in rows if row[0] < (before or _LAST_KEY)]
        found = [self.card(row[0]) for row in rows]
        return [state for state in found if state is not None]

    def record(self, kind: type[R], record_id: str) -> R | None:
        """A record of a kind."""
        query = QUERIES["record"]
        row = self._connection().execute(query, (KIND_NAMES[kind], record_id)).fetchone()
        return None if row is None else record_of(kind, row[0], row[1])

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
        rows = self._record_rows(KIND_NAMES[kind], subject, before, after, limit)
        return [record_of(kind, row[0], row[1]) for row in rows]

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
        if not card_key:
            return [
                _event_row(row[0], row[1], row[2], decode_event(row[3], row[1], row[2]))
                for row in self._page("events", before, after, limit)
            ]
        found: list[EventRow] = []
        is_upward = bool(after) and not before
        for row in self._events_of(card_key):
            if row.position <= after or (len(found) == limit and not is_upward):
                break
            if not before or row.position < before:
                found.append(row)
        return found[-limit:] if is_upward else found

    def event(self, event_id: str) -> EventRow | None:
        """One event of the outbox."""
        name, _, place = event_id.rpartition("_")
        owner = entry_of("evt", name)
        if owner is None or not (place.isascii() and place.isdigit() and len(place) < 6):
            return None
        rows = self._rows()
        entry_position = self._position(rows, owner[0], owner[1])
        if not entry_position:
            return None
        first = rows.entry_at(entry_position, owner[0]).events_from
        if not first:
            return None
        row = self._connection().execute(QUERIES["event_at"], (first + int(place),)).fetchone()
        if row is None or row[0] != owner[0] or row[1] != owner[1]:
            return None
        filed = decode_event(row[2], row[0], row[1])
        found = _event_row(first + int(place), row[0], row[1], filed)
        return found if found.id == event_id else None

    def _events_of(self, card_key: bytes) -> Iterator[EventRow]:
        """A card's events, newest first."""
        _, places = self._last(card_key)
        execute = self._connection().execute
        position = places.event
        while position:
            row = execute(QUERIES["event_at"], (position,)).fetchone()
            if row is None or row[0] != card_key:
                message = f"no event of the card stands at position {position}"
                raise CorruptFileError(message)
            filed = decode_event(row[2], row[0], row[1])
            yield _event_row(position, row[0], row[1], filed)
            position = filed.previous

    def _last(self, card_key: bytes) -> tuple[int, Places]:
        """The card's last version, and where its last entry and event stand."""
        image = self.image(card_key)
        return (0, Places(0, 0)) if image is None else version_and_places(image[1], card_key)

    def _position(self, rows: Rows, card_key: bytes, version: int) -> int:
        last, places = self._last(card_key)
        if not 0 < version <= last:
            return 0
        return rows.position_of(card_key, version, last, places.entry)

    def _record_rows(
        self, kind: str, subject: str, before: str, after: str, limit: int
    ) -> list[tuple[str, bytes]]:
        """Ids and bodies of records, greatest id first."""
        name = "records_of_subject" if subject else "records"
        start = (kind, subject) if subject else (kind,)
        execute = self._connection().execute
        if after and not before:
            return execute(QUERIES[f"{name}_after"], (*start, after, limit)).fetchall()[::-1]
        bounds = (before or _LAST_TEXT, after, limit)
        return execute(QUERIES[f"{name}_before"], (*start, *bounds)).fetchall()

    def _page(self, name: str, before: int, after: int, limit: int, *start: object) -> list[Any]:
        """Rows of a table by position, newest first."""
        execute = self._connection().execute
        if after and not before:
            return execute(QUERIES[f"{name}_after"], (*start, after, limit)).fetchall()[::-1]
        bounds = (before or _NO_BOUND, after, limit)
        return execute(QUERIES[f"{name}_before"], (*start, *bounds)).fetchall()

    def _rows(self) -> Rows:
        return Rows(self._connection())

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        return self._connections.of_this_thread()


def _event_row(position: int, card_key: bytes, version: int, filed: EventFiled) -> EventRow:
    event_id = f"{entry_id('evt', card_key, version)}_{filed.place}"
    return EventRow(position, event_id, card_key, version, filed.at_ms, filed.event)

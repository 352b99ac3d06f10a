"""Snapshot: everything in a file as of one instant, for who reads all of it.

It may be taken beside a running server: it reads one consistent state, and the writer does not
wait.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, final

from zhiwei.ports import CorruptFileError, StoreUnavailableError
from zhiwei.stores.coding.frame import DAMAGE
from zhiwei.stores.coding.usage import version_and_places
from zhiwei.stores.files.reading import has_log
from zhiwei.stores.sqlite.cards import Cards, Slot, Sweep
from zhiwei.stores.sqlite.connection import check_is_ours, open_visitor
from zhiwei.stores.sqlite.queries import QUERIES
from zhiwei.stores.sqlite.recovery import load
from zhiwei.stores.sqlite.rows import Rows

_ALL: Final = 1 << 62


@final
class Snapshot:
    """A consistent reading of one file; use it with `with`."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            StoreUnavailableError: there is no such file, or it cannot be read.
            NewerDataError, ForeignFileError: it is not ours to read.
        """
        if not path.is_file():
            raise StoreUnavailableError(f"there are no data at `{path}`")
        self._path: Final = path
        self._is_alone: Final = not has_log(path)
        self._connection: Final = open_visitor(path)
        try:
            check_is_ours(self._connection)
            self._connection.execute("begin")
            last = self._connection.execute(QUERIES["last_positions"]).fetchone()
        except sqlite3.Error as error:
            self._connection.close()
            raise StoreUnavailableError(f"the data cannot be read: {error}") from error
        except BaseException:
            self._connection.close()
            raise
        #: Last positions of journal, outbox and audit trail.
        self.last_entry: Final[int] = last[0]
        self.last_event: Final[int] = last[1]
        self.last_audit: Final[int] = last[2]
        #: Single rows by their keys.
        self.rows: Final = Rows(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()
        if kind is None and self._is_alone and has_log(self._path):
            message = "a server was started meanwhile, so this may be wrong; do it again"
            raise StoreUnavailableError(message)

    def entries(self) -> Iterator[tuple[int, bytes, int, bytes]]:
        """Position, card key, version and body of all journal rows, by position."""
        return self._connection.execute(QUERIES["entries_after"], (-_ALL, _ALL))

    def events(self) -> Iterator[tuple[int, bytes, int, bytes]]:
        """Position, card key, version and body of all events, by position."""
        return self._connection.execute(QUERIES["events_after"], (-_ALL, _ALL))

    def audits(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Position, card key and body of the audit trail, by position."""
        return self._connection.execute(QUERIES["audits_after"], (-_ALL, _ALL))

    def records(self) -> Iterator[tuple[str, str, str, int, bytes]]:
        """Kind, id, subject, time and body of all records."""
        return self._connection.execute(QUERIES["all_records"])

    def old_keys(self) -> Iterator[tuple[bytes, bytes, int, int]]:
        """Digests that have left their cards' files."""
        return self._connection.execute(QUERIES["all_old_keys"])

    def card_rows(self) -> Iterator[tuple[int, bytes, str, int, bytes, bytes, bytes]]:
        """The rows of files as they stand: they may be a little behind."""
        return self._connection.execute(QUERIES["all_card_rows"])

    def group_heads(self) -> Iterator[tuple[bytes, int, int]]:
        """Card key, group and position of its latest entry."""
        return self._connection.execute(QUERIES["all_heads"])

    def marks(self) -> Iterator[tuple[bytes, int, int]]:
        """Card key, version and position of the marks."""
        return self._connection.execute(QUERIES["all_marks"])

    def files(self) -> dict[bytes, Slot]:
        """All files as of the last commit: their rows, with the log laid over.

        Raises:
            CorruptFileError: the log is damaged.
        """
        cards = Cards(_ALL, 0)
        load(self._connection, cards, Sweep(1), None, rows_max=_ALL)
        return cards.slots

    def structure_problems(self) -> list[str]:
        """What SQLite itself finds wrong with the file's structure."""
        try:
            rows: list[Any] = self._connection.execute("pragma integrity_check(20)").fetchall()
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [] if rows == [("ok",)] else [row[0] for row in rows]


def row_problem(row: tuple[int, bytes, str, int, bytes, bytes, bytes]) -> str:
    """What is wrong between the columns of a file's row and its sealed parts; empty = nothing."""
    _, card_key, _, version, _, usage, _ = row
    try:
        inside, _ = version_and_places(usage, card_key)
    except (CorruptFileError, *DAMAGE) as error:
        return str(error)
    return "" if inside == version else f"its column says version {version}, its content {inside}"

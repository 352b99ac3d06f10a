"""Recovery: what is read when the store is opened, so that memory is as the last commit left it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, Final, final

from zhiwei.collector import without_collector
from zhiwei.ports import CorruptFileError
from zhiwei.stores.coding.frame import DAMAGE, Part, pack, sealed, unpacked
from zhiwei.stores.coding.usage import version_and_places
from zhiwei.stores.sqlite.cards import Cards, Image, Slot, Sweep
from zhiwei.stores.sqlite.queries import QUERIES
from zhiwei.stores.sqlite.turn import Positions

FORMAT: Final = 1
_PART: Final = Part("log", FORMAT)
#: In files, and in rows of the log, of which each may hold hundreds of images.
_REPORT_EVERY: Final = 1_000
#: Files that are read before the doors open; about a second's worth.
ROWS_AT_START: Final = 100_000


def images_body(number: int, first: int, last: int, images: list[Any]) -> bytes:
    """A row of the log: the journal positions of the commit, and the images of the files it moved.

    An image is: number of the card, version of its file, cold part or nil where it did not change,
    hot part, digests that were added, and all of the digests where some were moved away.
    """
    return sealed(pack([FORMAT, first, last, images]), number.to_bytes(8, "big"), _PART)


def images_of(number: int, body: bytes) -> tuple[int, int, list[Any]]:
    """First and last journal position of a commit, and its images.

    Raises:
        CorruptFileError: the row is damaged.
    """
    try:
        row = unpacked(body, number.to_bytes(8, "big"), _PART)
        return row[1], row[2], row[3]
    except (*DAMAGE, CorruptFileError) as error:
        message = f"row {number} of the state log is damaged; restore a backup"
        raise CorruptFileError(message) from error


def load(
    connection: sqlite3.Connection,
    cards: Cards,
    sweep: Sweep,
    on_progress: Callable[[int, int], None] | None,
    rows_max: int = ROWS_AT_START,
) -> Positions:
    """Read the log, and fill the cards and the sweep; where the rows go on.

    At most `rows_max` files are read now, so that the start is quick; the others are read when
    they are needed, or while nothing else is to be done (`load_more`). What the log says of them
    waits in `cards.pending` until then.

    Raises:
        CorruptFileError: a row of the log is damaged or missing, so a file could be too old.
        sqlite3.Error: the file cannot be read.
    """
    last = connection.execute(QUERIES["last_positions"]).fetchone()
    positions = Positions(last[0], last[1], last[2], last[4])
    count = connection.execute(QUERIES["count_cards"]).fetchone()[0]
    if count != positions.card:
        message = f"{positions.card - count} files of cards are missing; restore a backup"
        raise CorruptFileError(message)
    first_log, last_log = last[5], last[3]
    rows = min(count, rows_max)
    steps = _Steps(on_progress, rows + (last_log - first_log + 1 if first_log else 0))
    sweep.begin(first_log or last_log + 1, last_log)
    with without_collector():
        if first_log:
            _read_log(connection, cards.pending, positions.entry, steps)
        elif positions.entry:
            _check_last_entry(connection, positions.entry)
        limit = min(rows_max, cards.slots_max)
        for row in connection.execute(QUERIES["cards_after"], (0, limit)):
            _take_in(cards, sweep, row)
            steps.note()
    steps.end()
    return positions


def load_more(
    connection: sqlite3.Connection, cards: Cards, sweep: Sweep, after: int, limit: int
) -> int:
    """Read the next files into memory while there is room; the last number read, 0 = all are in."""
    if len(cards.slots) + limit > cards.slots_max:
        return 0
    number = 0
    for row in connection.execute(QUERIES["cards_after"], (after, limit)).fetchall():
        number = row[0]
        if row[1] not in cards.slots:
            _take_in(cards, sweep, row)
    return number


def bring_in(
    connection: sqlite3.Connection, cards: Cards, sweep: Sweep, numbers: Iterable[int]
) -> None:
    """Read those of the files with these numbers that the log has something of."""
    for number in numbers:
        if number in cards.pending:
            row = connection.execute(QUERIES["card_by_number"], (number,)).fetchone()
            if row is None:
                message = f"the file of card number {number} is missing; restore a backup"
                raise CorruptFileError(message)
            _take_in(cards, sweep, row)


def _take_in(cards: Cards, sweep: Sweep, row: tuple[int, bytes, bytes, bytes, bytes]) -> None:
    slot = Slot(row[0], row[1], row[2], row[3], row[4])
    slot.is_used = False
    cards.take_in(slot, sweep)


@final
class _Steps:
    """How far the start has come: rows of the log, and files."""

    __slots__ = ("_done", "_on_progress", "_total")

    def __init__(self, on_progress: Callable[[int, int], None] | None, total: int) -> None:
        self._on_progress: Final = on_progress
        self._total: Final = total
        self._done = 0

    def note(self) -> None:
        """One more is read."""
        self._done += 1
        if self._on_progress is not None and self._done % _REPORT_EVERY == 0:
            self._on_progress(self._done, self._total)

    def end(self) -> None:
        """All of them are read."""
        if self._on_progress is not None:
            self._on_progress(self._total, self._total)


def _read_log(
    connection: sqlite3.Connection, pending: dict[int, Image], last_entry: int, steps: _Steps
) -> None:
    """Gather what the images of all commits, oldest first, say of each card.

    Raises:
        CorruptFileError: a commit is missing: a file would silently be too old, and its limits too
            wide.
    """
    before = end = 0
    for number, body in connection.execute(QUERIES["images"]):
        first, last, images = images_of(number, body)
        if before and (number != before + 1 or first != end + 1):
            message = f"row {before + 1} of the state log is missing; restore a backup"
            raise CorruptFileError(message)
        _merge(images, pending)
        before, end = number, last
        steps.note()
    if end != last_entry:
        message = f"the state log ends at entry {end}, the journal at {last_entry}"
        raise CorruptFileError(message)


def _merge(images: list[Any], pending: dict[int, Image]) -> None:
    """Lay the images of one commit over those of earlier ones."""
    for number, version, settings, usage, added, recent in images:
        image = pending.get(number)
        if image is None:
            image = pending[number] = Image()
        image.version = version
        image.usage = usage
        if settings is not None:
            image.settings = settings
        if recent is None:
            image.added += added
        else:
            image.recent, image.added = recent, b""


def _check_last_entry(connection: sqlite3.Connection, last_entry: int) -> None:
    """Raise if the file of the journal's last card is older than the entry."""
    card_key, version, _ = connection.execute(QUERIES["entry_at"], (last_entry,)).fetchone()
    row = connection.execute(QUERIES["card_by_key"], (card_key,)).fetchone()
    try:
        if row is not None and version_and_places(row[3], card_key)[0] == version:
            return
    except CorruptFileError:
        # That one card will be refused; the others need not suffer for it.
        return
    message = f"the file of the card of entry {last_entry} is older than the entry"
    raise CorruptFileError(message + "; restore a backup")

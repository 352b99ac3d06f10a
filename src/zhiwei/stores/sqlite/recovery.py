"""Recovery: what is read when the store is opened, so that memory is as the last commit left it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any, Final

from zhiwei.ports import CorruptFileError
from zhiwei.stores.coding.frame import DAMAGE, Part, pack, sealed, unpacked
from zhiwei.stores.coding.usage import version_and_places
from zhiwei.stores.sqlite.cards import Cards, Image, Slot, Sweep
from zhiwei.stores.sqlite.queries import QUERIES
from zhiwei.stores.sqlite.turn import Positions

FORMAT: Final = 1
_PART: Final = Part("log", FORMAT)
_REPORT_EVERY: Final = 10_000
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
    log = list(_log_rows(connection))
    sweep.begin(log[0][0] if log else last[3] + 1, last[3])
    if log:
        _check_is_whole(log, positions.entry)
        _merge((row[3] for row in log), cards.pending)
    elif positions.entry:
        _check_last_entry(connection, positions.entry)
    total = min(count, rows_max)
    rows = connection.execute(QUERIES["cards_after"], (0, min(rows_max, cards.slots_max)))
    for done, row in enumerate(rows, 1):
        _take_in(cards, sweep, row)
        if on_progress is not None and done % _REPORT_EVERY == 0:
            on_progress(done, total)
    if on_progress is not None:
        on_progress(total, total)
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


def _merge(commits: Iterable[list[Any]], pending: dict[int, Image]) -> None:
    """Gather what the images of all commits, oldest first, say of each card."""
    for images in commits:
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


def _log_rows(connection: sqlite3.Connection) -> Iterator[tuple[int, int, int, list[Any]]]:
    for number, body in connection.execute(QUERIES["images"]):
        yield number, *images_of(number, body)


def _check_is_whole(log: list[tuple[int, int, int, list[Any]]], last_entry: int) -> None:
    """Raise if a commit is missing: a file would silently be too old, and its limits too wide."""
    for before, after in pairwise(log):
        if after[0] != before[0] + 1 or after[1] != before[2] + 1:
            message = f"row {before[0] + 1} of the state log is missing; restore a backup"
            raise CorruptFileError(message)
    if log[-1][2] != last_entry:
        message = f"the state log ends at entry {log[-1][2]}, the journal at {last_entry}"
        raise CorruptFileError(message)


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

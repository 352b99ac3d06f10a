"""`verify` finds whatever is wrong, and nothing where nothing is."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.journal.history import History, data_with_history, live_through
from zhiwei.journal.verify import verify
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.sqlite.connection import FILE_NAME
from zhiwei.stores.sqlite.store import SqliteStore

#: Every column that says what a card has done and what its file is.
BLOBS = (
    ("journal", "position", ("card_key", "body")),
    ("card_state", "number", ("card_key", "settings", "usage", "recent")),
    ("event", "position", ("card_key", "body")),
    ("audit", "position", ("body",)),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a history, closed cleanly; tests damage copies of it."""
    return data_with_history(tmp_path_factory.mktemp("data"))


def copy_of(data: Path, target: Path) -> Path:
    """A copy of the file that may be damaged."""
    shutil.copy(data / FILE_NAME, target / FILE_NAME)
    return target / FILE_NAME


def problems_after(path: Path, statement: str, *values: object) -> list[str]:
    """What `verify` says after a statement was run against the file."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("pragma synchronous = off")
        assert connection.execute(statement, values).rowcount != 0
    return [f"{problem.place}: {problem.what}" for problem in verify(path).problems]


def test_a_sound_history_is_clean(data: Path) -> None:
    """Replay and recount agree with every file, over all kinds of messages and three zones."""
    report = verify(data / FILE_NAME)
    assert report.problems == []
    assert report.cards == 6
    assert report.entries > 300
    assert report.events > 50


def test_it_can_be_run_beside_a_running_store(tmp_path: Path) -> None:
    """The log of what was not swept yet counts; nothing has to be stopped."""

    async def live() -> None:
        store = SqliteStore(tmp_path)
        await live_through(store, History(2, 4), 10)
        assert verify(store.path).problems == []
        await store.close()

    asyncio.run(live())


@pytest.mark.parametrize("seed", range(12))
def test_every_flipped_bit_is_found(data: Path, tmp_path: Path, seed: int) -> None:
    """One bit flipped anywhere in states, decisions, events or audit lines shows."""
    source = random.Random(seed)
    path = copy_of(data, tmp_path)
    table, key, columns = BLOBS[seed % len(BLOBS)]
    column = source.choice(columns)
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = connection.execute(f"select {key}, {column} from {table}").fetchall()
        number, blob = source.choice(rows)
        bit = source.randrange(len(blob) * 8)
        damaged = bytearray(blob)
        damaged[bit // 8] ^= 1 << bit % 8
        connection.execute(
            f"update {table} set {column} = ? where {key} = ?", (bytes(damaged), number)
        )
    report = verify(path)
    assert not report.is_clean, f"bit {bit} of {table}.{column} row {number}"


def test_every_byte_of_one_entry_and_one_file_is_watched(tmp_path: Path) -> None:
    """No byte of a decision's row or of a file is without a guard: each is damaged in turn."""
    path = data_with_history(tmp_path, cards=1, batches=1) / FILE_NAME
    with closing(sqlite3.connect(path)) as connection:
        body = connection.execute("select body from journal where position = 5").fetchone()[0]
        usage = connection.execute("select usage from card_state").fetchone()[0]
    missed = []
    for table, column, where, blob in (
        ("journal", "body", "position = 5", body),
        ("card_state", "usage", "number = 1", usage),
    ):
        statement = f"update {table} set {column} = ? where {where}"
        for place in range(len(blob)):
            damaged = bytearray(blob)
            damaged[place] ^= 1 << place % 8
            if not problems_after(path, statement, bytes(damaged)):
                missed.append((table, place))
        assert problems_after(path, statement, blob) == []
    assert missed == []


def test_a_missing_entry_is_found(data: Path, tmp_path: Path) -> None:
    """An entry that was taken out leaves a gap in the journal and in its card's chain."""
    path = copy_of(data, tmp_path)
    found = problems_after(path, "delete from journal where position = 50")
    assert any("journal 51" in line and "missing" in line for line in found)


def test_a_file_put_back_to_an_earlier_one_is_found(data: Path, tmp_path: Path) -> None:
    """A card's file that was replaced by an older, well-sealed one gives itself away."""
    path = copy_of(data, tmp_path)
    (tmp_path / "earlier").mkdir()
    earlier = data_with_history(tmp_path / "earlier", batches=5)
    with closing(sqlite3.connect(earlier / FILE_NAME)) as connection:
        row = connection.execute(
            "select usage, version from card_state where number = 1"
        ).fetchone()
    found = problems_after(
        path, "update card_state set usage = ?, version = ? where number = 1", *row
    )
    # By its counters, or before, if one of its entries is among the last of the journal.
    assert any("counters" in line or "is older than the entry" in line for line in found)


def test_a_row_moved_to_another_card_is_found(data: Path, tmp_path: Path) -> None:
    """A whole row that was given to another card does not fit there."""
    path = copy_of(data, tmp_path)
    other = "(select card_key from card_state where number = 1)"
    assert problems_after(path, f"update journal set card_key = {other} where position = 60")


def test_a_changed_cardholder_column_is_found(data: Path, tmp_path: Path) -> None:
    """The columns that only help to find a file are held against its content."""
    path = copy_of(data, tmp_path)
    found = problems_after(path, "update card_state set cardholder = 'other' where number = 3")
    assert any("another cardholder" in line for line in found)


def test_leads_that_lead_elsewhere_are_found(data: Path, tmp_path: Path) -> None:
    """Group heads and marks must lead to the entry that they name."""
    path = copy_of(data, tmp_path)
    found = problems_after(path, "update group_head set position = position - 1")
    assert any("group head" in line for line in found)


def test_data_that_are_not_there_are_told(tmp_path: Path) -> None:
    """A wrong directory gets a clear message, and no empty file is made in it."""
    with pytest.raises(StoreUnavailableError, match="there are no data"):
        verify(tmp_path / FILE_NAME)
    assert list(tmp_path.iterdir()) == []

"""What happens when the disk does not do as it is told.

Nothing acknowledged is lost, nothing that failed is counted, and the store goes on when it can.
"""

from __future__ import annotations

import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.stores.cases import (
    NOON,
    STAFF,
    STEP,
    daily_limit,
    done,
    key_of,
    purchase,
    registration,
    reversal,
)
from zhiwei.core.command import Command
from zhiwei.core.result import Result
from zhiwei.journal.verify import verify
from zhiwei.ports import Cardholder, StoreUnavailableError
from zhiwei.stores.sqlite.connection import FILE_NAME
from zhiwei.stores.sqlite.store import Bounds, SqliteStore

CARDS = 30


class Disk:
    """Fails at the n-th statement from now, before or after it was carried out."""

    def __init__(self) -> None:
        self.left = -1
        #: How many statements fail one after the other.
        self.in_a_row = 1
        self.is_done_first = False
        self.statements: list[str] = []

    def about_to(self, sql: str, carry_out: Callable[[], Any]) -> Any:  # noqa: ANN401 - SQLite's own
        """Carry out a statement, or fail."""
        self.statements.append(sql)
        if self.left == 0:
            self.in_a_row -= 1
            if self.in_a_row == 0:
                self.left, self.in_a_row = -1, 1
            if self.is_done_first:
                carry_out()
            message = "disk I/O error"
            raise sqlite3.OperationalError(message)
        self.left -= 1 if self.left > 0 else 0
        return carry_out()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk that can be told to fail; only writing connections of stores opened later have it."""
    the_disk = Disk()

    class OnThatDisk(sqlite3.Connection):
        def execute(self, sql: str, *rest: Any) -> Any:  # noqa: ANN401 - SQLite's own
            return the_disk.about_to(sql, lambda: sqlite3.Connection.execute(self, sql, *rest))

        def executemany(self, sql: str, *rest: Any) -> Any:  # noqa: ANN401 - SQLite's own
            return the_disk.about_to(sql, lambda: sqlite3.Connection.executemany(self, sql, *rest))

    real = sqlite3.connect

    def connect(path: Any, **rest: Any) -> sqlite3.Connection:  # noqa: ANN401 - SQLite's own
        opened: sqlite3.Connection = real(path, factory=OnThatDisk, **rest)
        return opened

    monkeypatch.setattr(sqlite3, "connect", connect)
    return the_disk


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A store with some cards, swept and trimmed with nearly every commit."""
    opened = SqliteStore(tmp_path, bounds=Bounds(round_entries=16))
    done(opened.transact([registration(n) for n in range(CARDS)], STEP, NOON))
    done(opened.transact([daily_limit(n, 100_000) for n in range(CARDS)], STEP, NOON))
    yield opened
    done(opened.close())
    report = verify(tmp_path / FILE_NAME)
    assert report.is_clean, report.problems


def batch(turn: int) -> list[Command]:
    """Purchases, a reversal, a change and a registration."""
    bought = purchase(3, 1000 * turn)
    return [
        *(purchase(n, 1000 * turn + n, 100) for n in range(1, CARDS)),
        bought,
        reversal(3, 1000 * turn + 500, bought),
        daily_limit(4, 90_000 + turn),
        registration(1000 + turn),
    ]


def until_refused(store: SqliteStore, reason: str) -> int:
    """Send batches until the store refuses one; its number."""
    turn = 0
    while True:
        turn += 1
        before = versions(store)
        try:
            done(store.transact(batch(turn), STEP, NOON + turn))
        except StoreUnavailableError as error:
            told = str(error)
        else:
            continue
        assert told.startswith("nothing was written: ")
        assert reason in told
        assert versions(store) == before
        return turn


def versions(store: SqliteStore) -> list[int]:
    """Versions of all cards."""
    return [file.version for file in store.reader().cards(limit=1000)]


@pytest.mark.parametrize("is_done_first", [False, True], ids=["before", "after"])
def test_a_failure_of_any_statement_loses_the_whole_batch_or_nothing(
    disk: Disk,
    store: SqliteStore,
    is_done_first: bool,
) -> None:
    """Each statement of a batch fails in its turn; then the same batch is sent again.

    A commit that says it failed although it is on the disk counts: the messages are repeats then.
    """
    for turn in range(1, 200):
        before = versions(store)
        disk.left, disk.is_done_first = turn, is_done_first
        disk.statements.clear()
        try:
            first = done(store.transact(batch(turn), STEP, NOON + turn))
        except StoreUnavailableError:
            assert disk.left == -1, "the store failed by itself"
            second = done(store.transact(batch(turn), STEP, NOON + turn))
            was_on_disk = second[0].is_repeat
            assert was_on_disk == (is_done_first and disk.statements[turn] == "commit")
            after = versions(store)
            moved = sum(b - a for a, b in zip(sorted(before), sorted(after), strict=False))
            assert len(after) == len(before) + 1
            assert moved <= len(batch(turn))
        else:
            assert disk.left >= 0, "a statement failed and nobody noticed"
            assert len(first) == len(batch(turn))
            assert turn > 10
            return
    pytest.fail("there is no end of statements")


@pytest.mark.parametrize("in_a_row", range(2, 9))
def test_a_store_that_cannot_even_read_refuses_until_it_can(
    disk: Disk, store: SqliteStore, in_a_row: int
) -> None:
    """The commit is done, says it failed, and what follows fails too: no old file is decided on."""
    expected = versions(store)
    done(store.transact(batch(1), STEP, NOON + 1))
    disk.statements.clear()
    done(store.transact(batch(2), STEP, NOON + 2))
    commits_after = disk.statements.index("commit")
    disk.left, disk.in_a_row, disk.is_done_first = commits_after, in_a_row, True
    refusals = 0
    results: list[Result] = []
    while not results:
        try:
            results = done(store.transact(batch(3), STEP, NOON + 3))
        except StoreUnavailableError:
            refusals += 1
    assert 1 <= refusals <= in_a_row
    assert results[0].is_repeat
    moved = sum(versions(store)) - sum(expected)
    assert moved == 3 * len(batch(1))


def test_a_full_disk_refuses_and_recovers(store: SqliteStore) -> None:
    """SQLite says that the file may not grow: no state moves; with room again all goes on."""
    connected = store._connection
    pages = connected.execute("pragma page_count").fetchone()[0]
    connected.execute(f"pragma max_page_count = {pages}")
    turn = until_refused(store, "full")
    before = versions(store)
    with pytest.raises(StoreUnavailableError, match="full"):
        done(store.keep([Cardholder("x" * 100_000, NOON)], [], STAFF, NOON))
    assert store.reader().records(Cardholder) == []
    connected.execute("pragma max_page_count = 1000000")
    done(store.transact(batch(turn), STEP, NOON + turn))
    after = versions(store)
    assert sum(after) == sum(before) + len(batch(turn))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file of this process may be longer: writing past it fails in the system call."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_the_system_refuses_is_no_commit(tmp_path: Path, store: SqliteStore) -> None:
    """The log of SQLite hits a limit of the system in the middle of a commit, again and again."""
    log = tmp_path / (FILE_NAME + "-wal")
    acknowledged: dict[int, list[int]] = {}
    for turn in range(1, 20):
        with files_of_at_most(log.stat().st_size + 7_000 * turn):
            try:
                results = done(store.transact(batch(turn), STEP, NOON + turn))
            except StoreUnavailableError:
                results = []
        acknowledged[turn] = [result.entry.version for result in results if result.entry]
    assert [] in acknowledged.values(), "the limit was never hit"
    for turn, told in acknowledged.items():
        again = done(store.transact(batch(turn), STEP, NOON + 100))
        requests = [r for r, c in zip(again, batch(turn), strict=True) if c.request is not None]
        assert all(result.is_repeat == bool(told) for result in requests)


def test_a_file_system_without_room_refuses_and_recovers(tmp_path: Path) -> None:
    """A real full disk: a small file system in memory, filled by somebody else."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a file system needs the rights of root")
    try:
        store = SqliteStore(place)
        done(store.transact([registration(n) for n in range(CARDS)], STEP, NOON))
        filler = place / "somebody_elses"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(8 << 20))
        turn = until_refused(store, "full")
        before = versions(store)
        filler.unlink()
        done(store.transact(batch(turn), STEP, NOON + turn))
        assert sum(versions(store)) == sum(before) + len(batch(turn))
        done(store.close())
        report = verify(place / FILE_NAME)
        assert report.is_clean, report.problems
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_reading_goes_on_while_nothing_can_be_written(store: SqliteStore) -> None:
    """The pages still show what is committed."""
    connected = store._connection
    pages = connected.execute("pragma page_count").fetchone()[0]
    connected.execute(f"pragma max_page_count = {pages}")
    until_refused(store, "full")
    assert store.reader().card(key_of(1)) is not None
    assert store.reader().entries(key_of(1))
    connected.execute("pragma max_page_count = 1000000")


def test_a_closed_store_refuses(tmp_path: Path) -> None:
    """Nothing is written after the lock was let go; closing twice does nothing."""
    store = SqliteStore(tmp_path)
    done(store.close())
    done(store.close())
    with pytest.raises(StoreUnavailableError, match="closed"):
        done(store.transact([registration(1)], STEP, NOON))
    with pytest.raises(StoreUnavailableError, match="closed"):
        done(store.keep([Cardholder("x", NOON)], [], STAFF, NOON))
    with pytest.raises(StoreUnavailableError, match="closed"):
        done(store.tidy(NOON))
    with pytest.raises(StoreUnavailableError, match="closed"):
        store.reader().card(key_of(1))

"""What goes on beside the commits: checkpoints, sweeps, forgetting, readers in other threads."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.stores.cases import (
    DAY,
    NOON,
    STAFF,
    STEP,
    done,
    key_of,
    purchase,
    registration,
)
from zhiwei.journal.verify import verify
from zhiwei.ports import StoredAnswer
from zhiwei.stores.sqlite.checkpoints import Checkpoints
from zhiwei.stores.sqlite.connection import FILE_NAME
from zhiwei.stores.sqlite.store import Bounds, SqliteStore

CARDS = 40


def purchases(turn: int) -> list[Any]:
    """One purchase with every card."""
    return [purchase(n, 1000 * turn + n, 10) for n in range(CARDS)]


def test_the_log_of_sqlite_is_begun_anew_under_load(tmp_path: Path) -> None:
    """However many commits come, the log stays near its bound, and everything is right."""
    bound = 400_000
    store = SqliteStore(tmp_path, bounds=Bounds(log_bytes=bound))
    done(store.transact([registration(n) for n in range(CARDS)], STEP, NOON))
    turns = 0
    while store.checkpoint_pauses < 5:
        turns += 1
        assert turns < 20_000, "the checkpoints do nothing"
        done(store.transact(purchases(turns), STEP, NOON + turns))
    # It may grow while a pass runs, as far as commits are quicker than the thread.
    log = (tmp_path / (FILE_NAME + "-wal")).stat().st_size
    assert log < turns * 20_000
    done(store.close())
    report = verify(tmp_path / FILE_NAME)
    assert report.is_clean, report.problems
    assert report.entries == CARDS * (turns + 1)


class Log:
    """Stands for a connection: counts passes, and answers with lengths that a test gives it."""

    def __init__(self) -> None:
        self.passes = 0
        self.pages = 0
        self.copied = 0

    def execute(self, sql: str) -> Log:
        """Run a checkpoint."""
        assert sql == "pragma wal_checkpoint(passive)"
        self.passes += 1
        return self

    def fetchone(self) -> tuple[int, int, int]:
        """What SQLite answers."""
        return 0, self.pages, self.copied


def test_no_pass_begins_on_a_log_that_is_wholly_copied(tmp_path: Path) -> None:
    """The fault of SQLite up to 3.51.2 needs exactly that; one commit is no proof, two are."""
    log: Any = Log()
    checkpoints = Checkpoints(tmp_path / FILE_NAME)
    checkpoints._work(log)
    assert log.passes == 0
    checkpoints.note_commit(1)
    checkpoints._work(log)
    assert log.passes == 0
    checkpoints.note_commit(1)
    log.pages = log.copied = 10
    checkpoints._work(log)
    assert log.passes == 1
    checkpoints.note_commit(1)
    checkpoints._work(log)
    assert log.passes == 1
    checkpoints.note_commit(1)
    log.pages, log.copied = 30, 20
    checkpoints._work(log)
    assert log.passes == 2
    # A reader kept it from copying all: there is something to copy, whatever was committed.
    checkpoints._work(log)
    assert log.passes == 3


def test_the_gate_is_closed_when_the_log_is_too_long(tmp_path: Path) -> None:
    """One more pass while nobody may write, so that the next commit begins the log anew."""
    log: Any = Log()
    checkpoints = Checkpoints(tmp_path / FILE_NAME, log_bytes=41_200)
    for _ in range(2):
        checkpoints.note_commit(1)
    log.pages = log.copied = 10
    checkpoints._work(log)
    assert (log.passes, checkpoints.pauses) == (1, 0)
    for _ in range(2):
        checkpoints.note_commit(1)
    log.pages = log.copied = 11
    checkpoints._work(log)
    assert (log.passes, checkpoints.pauses) == (3, 1)
    assert not checkpoints.gate.locked()


def test_readers_in_other_threads_see_whole_commits(tmp_path: Path) -> None:
    """Every file that is read has all its entries; versions never go back."""
    store = SqliteStore(tmp_path, bounds=Bounds(cards_max=20, opened_max=5, round_entries=100))
    done(store.transact([registration(n) for n in range(CARDS)], STEP, NOON))
    reader = store.reader()
    problems: list[str] = []
    over = threading.Event()

    def read(number: int) -> None:
        seen = 0
        try:
            while not over.is_set():
                file = reader.card(key_of(number))
                assert file is not None
                assert file.version >= seen, "a file went back"
                seen = file.version
                entry = reader.entry(key_of(number), seen)
                assert entry is not None
                assert entry.now_ms == file.last_ms
                newest = reader.entries(key_of(number), limit=3)
                assert newest[0].version >= seen
                assert [e.version for e in newest] == [
                    newest[0].version - i for i in range(len(newest))
                ]
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            problems.append(f"card {number}: {error!r}")

    threads = [threading.Thread(target=read, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for turn in range(60):
        done(store.transact(purchases(turn), STEP, NOON + turn))
        done(store.tidy(NOON + turn))
    over.set()
    for thread in threads:
        thread.join()
    done(store.close())
    assert problems == []


def test_what_is_old_is_forgotten_piece_by_piece(tmp_path: Path) -> None:
    """Digests that left their cards' files, and stored answers, go after seven days, not before."""
    store = SqliteStore(tmp_path)
    done(store.transact([registration(0)], STEP, NOON))
    for turn in range(5):
        batch = [purchase(0, 100 * turn + n, 10) for n in range(100)]
        done(store.transact(batch, STEP, NOON + turn * DAY))
    answers = [StoredAnswer(f"ans_{n}", NOON + n * DAY, "", 200, "{}") for n in range(5)]
    done(store.keep(answers, [], STAFF, NOON))

    def kept(at: int) -> tuple[int, int]:
        while done(store.tidy(at)):
            pass
        with closing(sqlite3.connect(store.path)) as database:
            keys = database.execute("select count(*) from old_key").fetchone()[0]
            return keys, len(store.reader().records(StoredAnswer))

    at_first = kept(NOON + 5 * DAY)
    assert at_first[0] > 300
    assert at_first[1] == 5
    later = kept(NOON + 9 * DAY + 2000)
    assert 0 < later[0] < 200
    assert later[1] == 2
    assert kept(NOON + 20 * DAY) == (0, 0)
    (known,) = done(store.transact([purchase(0, 499, 10)], STEP, NOON + 8 * DAY))
    assert known.is_repeat
    done(store.close())


def test_a_sweep_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left alone, the store brings every row up to date and empties the log."""
    store = SqliteStore(tmp_path)
    done(store.transact([registration(n) for n in range(CARDS)], STEP, NOON))
    for turn in range(20):
        done(store.transact(purchases(turn), STEP, NOON + turn))
    monkeypatch.setattr(store, "_committed_at", 0.0)
    pieces = 0
    while done(store.tidy(NOON)):
        pieces += 1
    assert pieces > 2
    with closing(sqlite3.connect(store.path)) as database:
        assert database.execute("select count(*) from state_log").fetchone() == (0,)
        assert database.execute("select distinct version from card_state").fetchall() == [(21,)]
    done(store.close())


def test_the_sweep_keeps_the_log_short_while_it_is_busy(tmp_path: Path) -> None:
    """The log never holds more than two rounds of entries."""
    store = SqliteStore(tmp_path, bounds=Bounds(round_entries=400))
    done(store.transact([registration(n) for n in range(CARDS)], STEP, NOON))
    with closing(sqlite3.connect(store.path)) as database:
        for turn in range(100):
            done(store.transact(purchases(turn), STEP, NOON + turn))
            rows = database.execute("select count(*) from state_log").fetchone()[0]
            assert rows <= 2 * 400 // CARDS + 3
    done(store.close())

"""Opening a data directory: who may, what is found there, and what is brought up to date."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path

import pytest

from tests.stores.cases import NOON, STEP, done, key_of, purchase, registration
from zhiwei.journal.verify import verify
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.sqlite import connection
from zhiwei.stores.sqlite.connection import (
    APPLICATION_ID,
    FILE_NAME,
    ForeignFileError,
    NewerDataError,
    bring_up_to_date,
    migrations,
)
from zhiwei.stores.sqlite.lock import LOCK_NAME, DataInUseError
from zhiwei.stores.sqlite.snapshot import Snapshot
from zhiwei.stores.sqlite.store import Bounds, SqliteStore


def filled(directory: Path) -> None:
    """A data directory with two cards."""
    store = SqliteStore(directory)
    done(store.transact([registration(1), registration(2), purchase(1, 1)], STEP, NOON))
    done(store.close())


@contextmanager
def without_rights() -> Iterator[None]:
    """Whoever runs the tests, as somebody who may write nothing of theirs."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_second_server_in_another_process_is_refused(tmp_path: Path) -> None:
    """The message names the process that is there; when that one is gone, the next may come."""
    script = (
        "import sys, pathlib\n"
        "from zhiwei.stores.sqlite.store import SqliteStore\n"
        "store = SqliteStore(pathlib.Path(sys.argv[1]))\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(DataInUseError, match=f"in use by process {other.pid};"):
            SqliteStore(tmp_path)
        other.kill()
        other.wait()
    done(SqliteStore(tmp_path).close())


def test_a_second_store_in_this_process_is_refused(tmp_path: Path) -> None:
    """The lock holds within a process too, and a refused one leaves the first unharmed."""
    first = SqliteStore(tmp_path)
    with pytest.raises(DataInUseError):
        SqliteStore(tmp_path)
    done(first.transact([registration(1)], STEP, NOON))
    done(first.close())
    second = SqliteStore(tmp_path)
    assert second.reader().card(key_of(1)) is not None
    done(second.close())


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Nothing is created by accident in the wrong place."""
    missing = tmp_path / "no" / "such"
    with pytest.raises(StoreUnavailableError, match="cannot be written: No such file"):
        SqliteStore(missing)


@pytest.mark.parametrize("has_data", [False, True])
def test_a_read_only_directory_is_refused_with_its_name(has_data: bool) -> None:
    """A clear message instead of a server that can decide nothing; the data stay as they are."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if has_data:
            filled(directory)
        for path in directory.iterdir():
            path.chmod(0o444)
        directory.chmod(0o555)
        with (
            without_rights(),
            pytest.raises(StoreUnavailableError, match="cannot be written: Permission denied"),
        ):
            SqliteStore(directory)
        directory.chmod(0o755)
        for path in directory.iterdir():
            path.chmod(0o644)
        store = SqliteStore(directory)
        assert (store.reader().card(key_of(1)) is not None) == has_data
        done(store.close())


def test_newer_data_are_refused_and_untouched(tmp_path: Path) -> None:
    """An older program never writes what it does not understand; the lock is let go."""
    filled(tmp_path)
    path = tmp_path / FILE_NAME
    newest = max(migrations())
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"pragma user_version = {newest + 1}")
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(NewerDataError, match=f"schema {newest + 1}, this program knows up to"):
            SqliteStore(tmp_path)
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_refused_and_untouched(tmp_path: Path) -> None:
    """A path that was mistyped must not cost anybody their data."""
    path = tmp_path / FILE_NAME
    with closing(sqlite3.connect(path)) as other:
        other.execute("create table theirs (x)")
        other.commit()
    with pytest.raises(ForeignFileError, match="another program"):
        SqliteStore(tmp_path)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("select name from sqlite_schema").fetchall() == [("theirs",)]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """Text in place of the database."""
    (tmp_path / FILE_NAME).write_text("not a database, but long enough to look like one" * 100)
    with pytest.raises((ForeignFileError, StoreUnavailableError), match="not a database"):
        SqliteStore(tmp_path)


def test_migrating_from_nothing_ends_in_the_schema(tmp_path: Path) -> None:
    """Step by step or at once: the same tables, columns and indexes."""
    schema = (files("zhiwei.stores.sqlite") / "schema.sql").read_text(encoding="utf-8")
    with (
        closing(sqlite3.connect(tmp_path / "new.db")) as new,
        closing(sqlite3.connect(tmp_path / "old.db")) as old,
    ):
        new.executescript(schema)
        for script in migrations().values():
            old.executescript(script)
        assert outline(new) == outline(old)
        assert list(migrations()) == list(range(1, len(migrations()) + 1))


def test_an_older_schema_is_migrated_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A next schema is reached from the present one, with all data, and only once."""
    filled(tmp_path)
    steps = migrations()
    newer = {**steps, len(steps) + 1: "create table something_new (x integer) strict;"}
    monkeypatch.setattr(connection, "migrations", lambda: newer)
    for _ in range(2):
        store = SqliteStore(tmp_path)
        assert store.reader().card(key_of(1)) is not None
        done(store.close())
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as other:
        assert other.execute("pragma user_version").fetchone() == (len(newer),)
        assert other.execute("select count(*) from something_new").fetchone() == (0,)


def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All or nothing: the first half of a broken step is not left behind."""
    filled(tmp_path)
    steps = migrations()
    broken = {**steps, len(steps) + 1: "create table half (x) strict; create table half (x);"}
    with monkeypatch.context() as patched:
        patched.setattr(connection, "migrations", lambda: broken)
        with pytest.raises(StoreUnavailableError, match="cannot be brought up to date"):
            SqliteStore(tmp_path)
    store = SqliteStore(tmp_path)
    assert store.reader().card(key_of(1)) is not None
    done(store.close())


def test_a_new_file_says_whose_it_is(tmp_path: Path) -> None:
    """`file` and other programs can tell; the schema has its number."""
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as new:
        bring_up_to_date(new)
        assert new.execute("pragma application_id").fetchone() == (APPLICATION_ID,)
        assert new.execute("pragma user_version").fetchone() == (max(migrations()),)


def test_an_sqlite_that_is_too_old_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the version that is there and the one that is needed."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))
    with pytest.raises(StoreUnavailableError, match=r"3\.37 or newer is needed"):
        SqliteStore(tmp_path)


def test_a_stop_that_takes_too_long_leaves_the_rest_to_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost: what was not swept is in the log."""
    store = SqliteStore(tmp_path)
    done(store.transact([registration(n) for n in range(40)], STEP, NOON))
    done(store.transact([purchase(n, 100 + n) for n in range(40)], STEP, NOON))
    monkeypatch.setattr("zhiwei.stores.sqlite.store._CLOSING_SECONDS", -1.0)
    done(store.close())
    assert verify(tmp_path / FILE_NAME).is_clean
    store = SqliteStore(tmp_path)
    assert {file.version for file in store.reader().cards()} == {2}
    done(store.close())


def test_a_clean_stop_leaves_one_file_and_an_empty_log(tmp_path: Path) -> None:
    """Everything is in the one file, every row up to date; it can be copied as it is."""
    store = SqliteStore(tmp_path)
    done(store.transact([registration(n) for n in range(40)], STEP, NOON))
    done(store.transact([purchase(n, 100 + n) for n in range(40)], STEP, NOON))
    done(store.close())
    assert sorted(p.name for p in tmp_path.iterdir()) == [FILE_NAME, LOCK_NAME]
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as other:
        assert other.execute("select count(*) from state_log").fetchone() == (0,)
        assert other.execute("select distinct version from card_state").fetchall() == [(2,)]
    assert verify(tmp_path / FILE_NAME).is_clean


def test_a_start_without_a_clean_stop_finds_everything(tmp_path: Path) -> None:
    """A copy of the files of a running server, opened: the log is laid over the rows."""
    running = tmp_path / "running"
    copy = tmp_path / "copy"
    running.mkdir()
    store = SqliteStore(running)
    done(store.transact([registration(n) for n in range(40)], STEP, NOON))
    for stan in range(5):
        done(store.transact([purchase(n, 10 * n + stan) for n in range(40)], STEP, NOON + stan))
    shutil.copytree(running, copy)
    done(store.close())
    assert verify(copy / FILE_NAME).is_clean
    seen: list[tuple[int, int]] = []
    store = SqliteStore(copy, on_progress=lambda at, of: seen.append((at, of)))
    assert seen[-1] == (46, 46), "six rows of the log, and forty files"
    for number in range(40):
        file = store.reader().card(key_of(number))
        assert file is not None
        assert file.version == 6
    (again,) = done(store.transact([purchase(7, 73)], STEP, NOON + 9))
    assert again.is_repeat
    done(store.close())
    assert verify(copy / FILE_NAME).is_clean


def test_more_cards_than_memory_may_hold_are_no_problem(tmp_path: Path) -> None:
    """Files are read from their rows when they are needed again, many or few at once."""
    store = SqliteStore(tmp_path, bounds=Bounds(cards_max=50, opened_max=5, round_entries=64))
    for start in range(0, 300, 50):
        batch = [registration(number) for number in range(start, start + 50)]
        done(store.transact(batch, STEP, NOON))
    for turn, size in enumerate((150, 5, 20)):
        for start in range(0, 300, size):
            batch = [purchase(n, 1000 * turn + n) for n in range(start, start + size)]
            done(store.transact(batch, STEP, NOON + turn))
    assert store.cards_in_memory <= 100
    files_read = store.reader().cards(limit=1000)
    assert [file.version for file in files_read] == [4] * 300
    done(store.close())
    assert verify(tmp_path / FILE_NAME).is_clean


def outline(database: sqlite3.Connection) -> list[tuple[str, ...]]:
    """All tables and indexes, without what only looks different."""
    rows = database.execute("select type, name, tbl_name, sql from sqlite_schema").fetchall()
    return sorted(
        (kind, name, table, " ".join((sql or "").split())) for kind, name, table, sql in rows
    )


def test_who_only_reads_leaves_nothing_behind(tmp_path: Path) -> None:
    """Files that belong to whoever verified could keep the server from starting."""
    filled(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    assert verify(tmp_path / FILE_NAME).is_clean
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_server_that_starts_while_the_file_is_read_alone_is_noticed(tmp_path: Path) -> None:
    """What was read by then may be wrong, and nobody must rely on it."""
    filled(tmp_path)
    snapshot = Snapshot(tmp_path / FILE_NAME)
    store = SqliteStore(tmp_path)
    done(store.transact([purchase(1, 2)], STEP, NOON))
    with pytest.raises(StoreUnavailableError, match="started meanwhile"), snapshot:
        list(snapshot.entries())
    done(store.close())


def test_a_snapshot_beside_a_server_does_not_move(tmp_path: Path) -> None:
    """What is committed after it was taken is not in it."""
    store = SqliteStore(tmp_path)
    done(store.transact([registration(1), purchase(1, 1)], STEP, NOON))
    with Snapshot(tmp_path / FILE_NAME) as snapshot:
        done(store.transact([purchase(1, 2)], STEP, NOON))
        assert len(list(snapshot.entries())) == 2
        assert snapshot.files()[key_of(1)].opened_state().version == 2
    done(store.close())

"""Damaged files: every flipped bit that says anything is found, and a damaged card is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

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
from zhiwei.core.finding import Outcome
from zhiwei.core.reason import Reason
from zhiwei.core.result import Audit, Rejection
from zhiwei.journal.verify import verify
from zhiwei.ports import ApiKey, Cardholder, CorruptFileError
from zhiwei.stores.sqlite.connection import FILE_NAME
from zhiwei.stores.sqlite.store import Bounds, SqliteStore

#: A few groups of the sweep, so that the log has several rows.
CARDS = 40
#: Tables, and their columns that hold what we put there.
COLUMNS = {
    "journal": ("card_key", "version", "body"),
    "card_state": ("card_key", "cardholder", "version", "settings", "usage", "recent"),
    "state_log": ("body",),
    "event": ("card_key", "version", "body"),
    "audit": ("card_key", "body"),
    "journal_mark": ("version", "position"),
    "group_head": ("version", "position"),
    "old_key": ("card_key", "digest", "version", "second"),
    "record": ("kind", "id", "subject", "created_ms", "body"),
}


@contextmanager
def tampering(path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody with a tool of their own."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("pragma synchronous = off")
        yield database


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a store with something in every table, killed before it could tidy up."""
    directory = tmp_path_factory.mktemp("image")
    store = SqliteStore(directory, bounds=Bounds(round_entries=200))
    holders = [Cardholder("ch_1", NOON, "李雷", phone="+8613800000001")]
    done(store.keep(holders, [Audit("cardholder.kept", "ch_1", "", "{}")], STAFF, NOON))
    done(store.keep([ApiKey("key_1", NOON, "0" * 64, "issuer")], [], STAFF, NOON))
    done(store.transact([registration(n) for n in range(CARDS)], STEP, NOON))
    done(store.transact([daily_limit(n, 50_000) for n in range(CARDS)], STEP, NOON))
    for turn in range(6):
        batch = [purchase(n, 1000 * n + turn, 900) for n in range(CARDS)]
        done(store.transact(batch, STEP, NOON + turn))
        bought = purchase(turn % CARDS, 100_000 + turn, 300)
        again = purchase(turn % CARDS, 100_000 + turn, 301)
        batch = [bought, reversal(turn % CARDS, 200_000 + turn, bought), again]
        done(store.transact(batch, STEP, NOON + turn))
    busy = [purchase(0, 300_000 + turn, 10) for turn in range(150)]
    done(store.transact(busy, STEP, NOON + 50))
    # Too few entries for anything to be swept with them: the card's row is older than its file.
    done(store.transact([purchase(0, 400_000, 10)], STEP, NOON + 60))
    copied = directory / "copy.db"
    with closing(sqlite3.connect(store.path)) as other, closing(sqlite3.connect(copied)) as copy:
        other.backup(copy)
    done(store.close())
    return copied.read_bytes()


@pytest.fixture
def damaged(image: bytes, tmp_path: Path) -> Path:
    """A directory with the file, for the test to damage."""
    (tmp_path / FILE_NAME).write_bytes(image)
    return tmp_path


def test_the_image_is_clean_and_has_rows_everywhere(damaged: Path) -> None:
    """Else the tests below would prove nothing."""
    report = verify(damaged / FILE_NAME)
    assert report.is_clean, report.problems
    with closing(sqlite3.connect(damaged / FILE_NAME)) as database:
        tables = database.execute("select name from sqlite_schema where type = 'table'")
        for (table,) in tables.fetchall():
            count = database.execute(f"select count(*) from {table}").fetchone()[0]
            assert count > 0, f"nothing in {table}"


@pytest.mark.parametrize("table", COLUMNS)
def test_every_changed_value_is_found(damaged: Path, image: bytes, table: str) -> None:
    """One bit of one column of one row, again and again: verify finds it each time."""
    random = Random(table)
    columns = COLUMNS[table]
    path = damaged / FILE_NAME
    for turn in range(2 * len(columns)):
        column = columns[turn % len(columns)]
        with tampering(path) as database:
            found = database.execute(f"select * from {table}")
            names = [name for name, *_ in found.description]
            row = random.choice(found.fetchall())
            changed = flipped(row[names.index(column)], random)
            here = " and ".join(f"{name} is ?" for name in names)
            database.execute(f"update {table} set {column} = ? where {here}", (changed, *row))
        assert not verify(path).is_clean, f"{column} of {table} {row!r} -> {changed!r}"
        path.write_bytes(image)
    assert verify(path).is_clean


@pytest.mark.parametrize("table", ["journal", "card_state", "state_log", "event", "audit"])
@pytest.mark.parametrize("which", ["first", "middle", "last"])
def test_every_missing_row_is_found(damaged: Path, table: str, which: str) -> None:
    """A deleted row leaves a gap that shows, also at the end."""
    path = damaged / FILE_NAME
    key = "number" if table in ("card_state", "state_log") else "position"
    with tampering(path) as database:
        keys = [row[0] for row in database.execute(f"select {key} from {table} order by {key}")]
        place = {"first": 0, "middle": len(keys) // 2, "last": -1}[which]
        database.execute(f"delete from {table} where {key} = ?", (keys[place],))
    report = verify(path)
    if (table, which) == ("state_log", "first") and report.is_clean:
        # The sweep deletes from this end as well; every file is right without the row.
        return
    assert not report.is_clean


def test_every_flipped_bit_of_the_file_is_found_or_changes_nothing(
    damaged: Path, image: bytes
) -> None:
    """Bits anywhere in the file: where verify is content, every row must say what it said."""
    random = Random(17)
    path = damaged / FILE_NAME
    expected = contents(path)
    harmless = 0
    for _ in range(60):
        at = random.randrange(100, len(image))
        changed = bytearray(image)
        changed[at] ^= 1 << random.randrange(8)
        path.write_bytes(changed)
        try:
            is_clean = verify(path).is_clean
        except Exception:  # noqa: BLE001 - however it says that the file is damaged
            is_clean = False
        if is_clean:
            harmless += 1
            assert contents(path) == expected, f"byte {at} changed a row and nobody noticed"
    assert harmless < 40, "the file is mostly air: these bits prove nothing"


def test_a_card_with_a_damaged_file_is_refused_and_others_are_not(damaged: Path) -> None:
    """Unknown means closed: a refusal with its reason, nothing written; changes are rejected."""
    done(SqliteStore(damaged).close())
    with tampering(damaged / FILE_NAME) as database:
        row = database.execute("select number, usage from card_state where number = 3").fetchone()
        usage = bytearray(row[1])
        usage[9] ^= 4
        database.execute("update card_state set usage = ? where number = 3", (bytes(usage),))
    store = SqliteStore(damaged)
    entries = store.reader().recent(limit=1)[0].position
    batch = [purchase(2, 900_001), purchase(1, 900_002), daily_limit(2, 10**9)]
    refused, approved, rejected = done(store.transact(batch, STEP, NOON + 99))
    assert refused.entry is not None
    assert refused.entry.version == 0
    assert refused.entry.outcome is Outcome.REFUSE
    assert refused.entry.findings[0].reason is Reason.STATE_UNREADABLE
    assert approved.entry is not None
    assert approved.entry.outcome is Outcome.APPROVE
    assert rejected.rejection is Rejection.CARD_UNREADABLE
    assert store.reader().recent(limit=1)[0].position == entries + 1
    with pytest.raises(CorruptFileError):
        store.reader().card(key_of(2))
    done(store.close())
    assert not verify(damaged / FILE_NAME).is_clean


@pytest.mark.parametrize("column", ["settings", "usage", "recent"])
def test_a_damaged_file_in_the_log_does_not_stop_the_start(damaged: Path, column: str) -> None:
    """Only its own card suffers, even where the log has a newer image of it."""
    with tampering(damaged / FILE_NAME) as database:
        database.execute(f"update card_state set {column} = zeroblob(50) where number = 1")
    store = SqliteStore(damaged)
    refused, approved = done(
        store.transact([purchase(0, 900_001), purchase(1, 900_002)], STEP, NOON + 99)
    )
    assert refused.entry is not None
    assert refused.entry.findings[0].reason is Reason.STATE_UNREADABLE
    assert approved.entry is not None
    assert approved.entry.version > 0
    done(store.close())


def test_a_damaged_file_of_the_last_card_does_not_stop_the_start(damaged: Path) -> None:
    """The newest entry is looked at when the store is opened; only its own card suffers for it."""
    done(SqliteStore(damaged).close())
    with tampering(damaged / FILE_NAME) as database:
        database.execute("update card_state set usage = zeroblob(50) where number = 1")
    store = SqliteStore(damaged)
    assert store.reader().recent(limit=1)[0].card_key == key_of(0)
    refused, approved = done(
        store.transact([purchase(0, 900_001), purchase(1, 900_002)], STEP, NOON + 99)
    )
    assert refused.entry is not None
    assert refused.entry.findings[0].reason is Reason.STATE_UNREADABLE
    assert approved.entry is not None
    assert approved.entry.version > 0
    done(store.close())


def test_a_damaged_original_refuses_what_names_it(damaged: Path) -> None:
    """A reversal whose original cannot be read is refused: who knows what it would give back."""
    done(SqliteStore(damaged).close())
    with tampering(damaged / FILE_NAME) as database:
        flip = "cast(substr(body, 1, 99) || x'00' || substr(body, 101) as blob)"
        database.execute(f"update journal set body = {flip} where card_key = ?", (key_of(1),))
    store = SqliteStore(damaged)
    bought = purchase(1, 1003, 900)
    batch = [bought, reversal(1, 900_001, bought), purchase(1, 900_002, 900)]
    repeat, back, new = done(store.transact(batch, STEP, NOON + 99))
    for result in (repeat, back):
        assert result.entry is not None
        assert result.entry.version == 0
        assert result.entry.findings[0].reason is Reason.STATE_UNREADABLE
    assert new.entry is not None
    assert new.entry.outcome is Outcome.APPROVE
    done(store.close())


@pytest.mark.parametrize("which", ["changed", "middle gone", "last gone"])
def test_a_damaged_log_stops_the_start(damaged: Path, which: str) -> None:
    """Files could be too old, and limits too wide: the server does not start on a guess."""
    with tampering(damaged / FILE_NAME) as database:
        numbers = [row[0] for row in database.execute("select number from state_log order by 1")]
        assert len(numbers) > 2
        place = -1 if which == "last gone" else 1
        change = (
            "update state_log set body = zeroblob(length(body)) where number = ?"
            if which == "changed"
            else "delete from state_log where number = ?"
        )
        database.execute(change, (numbers[place],))
    for _ in range(2):
        with pytest.raises(CorruptFileError, match="state log"):
            SqliteStore(damaged)


def test_a_file_that_is_older_than_its_journal_stops_the_start(damaged: Path) -> None:
    """Somebody emptied the log by hand."""
    with tampering(damaged / FILE_NAME) as database:
        database.execute("delete from state_log")
    with pytest.raises(CorruptFileError, match="older than the entry"):
        SqliteStore(damaged)


def flipped(value: object, random: Random) -> object:
    """The value with one bit changed."""
    if value == b"":
        return b"\x01"
    if value == "":
        return "x"
    if isinstance(value, bytes):
        changed = bytearray(value)
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
        return bytes(changed)
    if isinstance(value, int):
        return value ^ (1 << random.randrange(20))
    assert isinstance(value, str)
    at = random.randrange(len(value))
    return value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]


def contents(path: Path) -> list[object]:
    """All rows of all tables that are ours."""
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute("select name from sqlite_schema where type = 'table' order by 1")
        return [
            database.execute(f"select * from {table}").fetchall() for (table,) in tables.fetchall()
        ]

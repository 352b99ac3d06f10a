"""Verify, export and import on a database: what is wrong is found, and nothing is lost."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from tests.canary.serving import Program
from tests.journal.history import START_MS, STEP, History, live_through
from tests.stores.cases import done
from tests.stores.cluster import Cluster
from zhiwei.cli.main import app
from zhiwei.journal.export import export, export_whole
from zhiwei.journal.taking_in import take_in
from zhiwei.journal.verify import verify
from zhiwei.journal.verify_database import verify_database
from zhiwei.keyring import Keyring, KeyStore
from zhiwei.ports import ApiKey, Store
from zhiwei.stores.postgres.access.keyring import PostgresKeyring
from zhiwei.stores.postgres.snapshot import PostgresSnapshot
from zhiwei.stores.postgres.store import PostgresStore
from zhiwei.stores.postgres.weeks import WEEK_MS, partition_name, week_of
from zhiwei.stores.sqlite.connection import FILE_NAME
from zhiwei.stores.sqlite.store import SqliteStore

CARDS = 6
KEY = ApiKey("key_1", 1, "0" * 64, "issuer")


@pytest.fixture(scope="module")
def lived(cluster: Cluster) -> Iterator[str]:
    """A database with a history; it is a template for the tests."""
    name = cluster.new_database()
    store = PostgresStore(cluster.url(name))
    done(live_through(store, History(7, CARDS), 30))
    done(store.close())
    yield name
    cluster.drop(name)


@pytest.fixture
def url(cluster: Cluster, lived: str) -> Iterator[str]:
    """A copy of the database with a history."""
    name = cluster.new_database(lived)
    yield cluster.url(name)
    cluster.drop(name)


def exported(url: str) -> str:
    """The export of a database."""
    out = io.StringIO()
    with PostgresSnapshot(url) as whole:
        export_whole(whole, whole.keys(), out)
    return out.getvalue()


def taken_in(text: str, store: Store, keys: KeyStore) -> None:
    """Fill a store from an export."""

    async def fill() -> None:
        await take_in(io.StringIO(text), store, keys)
        await store.close()
        keys.close()

    done(fill())


def test_a_history_is_clean(url: str) -> None:
    """Every card replays to the file that is stored."""
    report = verify_database(url)
    assert report.problems == []
    assert report.cards == CARDS
    assert report.entries > 100
    assert report.events
    assert report.audits
    assert report.records


def test_a_run_goes_on_behind_a_card(url: str) -> None:
    """What was verified before is not verified again; every card is told of."""
    seen: list[bytes] = []
    verify_database(url, on_card=seen.append)
    assert len(seen) == CARDS
    report = verify_database(url, after=seen[2])
    assert report.cards == CARDS - 3
    assert report.is_clean


@pytest.mark.parametrize("how", [KeyboardInterrupt(), psycopg.OperationalError("gone")])
def test_a_run_that_is_interrupted_says_what_it_found_and_where_to_go_on(
    url: str, monkeypatch: pytest.MonkeyPatch, how: BaseException
) -> None:
    """By a key or by a database that goes away: two runs find what one would have found."""
    with psycopg.connect(url) as connection:
        connection.execute("update card_state set cardholder = 'x'")
    fetchone = psycopg.RawServerCursor.__next__
    rows = [0]

    def next_row(cursor: psycopg.RawServerCursor[Any]) -> object:
        rows[0] += 1
        if rows[0] == 600:
            raise how
        return fetchone(cursor)

    monkeypatch.setattr(psycopg.RawServerCursor, "__next__", next_row)
    first = CliRunner().invoke(app, ["verify", "--database", url, "--json"])
    monkeypatch.undo()
    assert first.exit_code != 0
    seen = json.loads(first.stdout)
    after = seen["go_on_after"]
    assert 0 < seen["cards"] < CARDS
    assert seen["problem_count"] == seen["cards"]
    assert f"interrupted; go on with --after {after}" in first.stderr
    second = CliRunner().invoke(app, ["verify", "--database", url, "--json", "--after", after])
    assert second.exit_code == 1
    rest = json.loads(second.stdout)
    assert rest["go_on_after"] is None
    assert seen["cards"] + rest["cards"] == CARDS
    assert seen["problem_count"] + rest["problem_count"] == CARDS


@pytest.mark.parametrize(
    ("damage", "place", "what"),
    [
        ("delete from journal where version = 9", "journal of card", "stands where 9 should"),
        ("delete from journal where version = 1", "journal of card", "stands where 1 should"),
        (
            "update journal set body = set_byte(body, 60, 7) where version = 7",
            "journal of card",
            "does not fit",
        ),
        ("update journal set group_version = 99 where version = 8", "journal of card", "columns"),
        ("delete from event where number = 1", "event 1 of card", "not what its entry caused"),
        ("update card_state set version = version + 1", "file of card", "its columns do not fit"),
        ("update card_state set cardholder = 'x'", "file of card", "its columns do not fit"),
        ("update card_state set usage = 'abcdefgh'", "file of card", "does not fit"),
        ("update group_head set latest = version", "group heads of card", "other entries"),
        ("delete from audit where position % 2 = 0", "the audit trail of card", "not what"),
        ("delete from card_state", "file of card", "there is none"),
        ("update record set subject = 'x'", "record cardholder/holder_1", "columns do not fit"),
        (
            "insert into old_key select card_key, 'abcdefgh', 3, 1 from card_state",
            "keys of card",
            "belong to no entry",
        ),
    ],
)
def test_damage_is_found_with_its_place(url: str, damage: str, place: str, what: str) -> None:
    """Whatever a stranger changes in a table is told."""
    with psycopg.connect(url) as connection:
        assert connection.execute(damage.encode()).rowcount
    report = verify_database(url)
    assert not report.is_clean
    assert any(p.place.startswith(place) and what in p.what for p in report.problems)


def test_a_history_whose_first_weeks_were_dropped_is_followed(cluster: Cluster) -> None:
    """The chain holds from what is left; a card of which all is gone is counted, no problem."""
    name = cluster.new_database()
    url = cluster.url(name)
    store = PostgresStore(url)
    history = History(8, 3)
    done(live_through(store, history, 5))
    history.now_ms = START_MS + 10 * WEEK_MS
    for number in range(60):
        command = history.next()
        if command.card_key != history.keys[0]:
            done(store.transact([command], STEP, history.now_ms + number))
    done(store.close())
    with psycopg.connect(url) as connection:
        for week in {week_of(START_MS), week_of(START_MS) + 1, week_of(START_MS) + 2}:
            for table in ("journal", "event"):
                connection.execute(f"drop table if exists {partition_name(table, week)}".encode())
    report = verify_database(url)
    assert report.problems == []
    assert report.cut == 3
    with psycopg.connect(url) as connection:
        connection.execute(
            "delete from journal where position = (select max(position) from journal)"
        )
    assert not verify_database(url).is_clean
    cluster.drop(name)


def test_a_history_moves_to_sqlite_and_back(url: str, database: str, tmp_path: Path) -> None:
    """The same bytes in every store: each copy's export is the one that it was made from."""
    with closing(PostgresKeyring(url)) as keys:
        keys.add(KEY)
    first = exported(url)
    taken_in(first, SqliteStore(tmp_path), Keyring(tmp_path))
    assert verify(tmp_path / FILE_NAME).is_clean
    out = io.StringIO()
    export(tmp_path / FILE_NAME, out)
    taken_in(out.getvalue(), PostgresStore(database), PostgresKeyring(database))
    assert verify_database(database).is_clean
    with closing(PostgresKeyring(database)) as keys:
        assert keys.all() == [KEY]
    last = exported(database)
    assert json.loads(last.splitlines()[-1]) == json.loads(first.splitlines()[-1])


def test_the_commands_take_a_database(url: str, tmp_path: Path, cluster: Cluster) -> None:
    """`verify`, `export` and `import` with --database; a database without data is said to be so."""
    program = Program(tmp_path / "house")
    file = tmp_path / "cards.jsonl"
    words = ("--data", str(program.data), "--database")
    assert program.run("verify", *words, url).returncode == 0
    assert program.run("export", str(file), *words, url).returncode == 0
    other = cluster.url(cluster.new_database("template1"))
    empty = program.run("verify", *words, other)
    assert empty.returncode == 3
    assert b"there are no data in the database" in empty.stderr
    program.data.mkdir(exist_ok=True)
    assert program.run("import", str(file), *words, other).returncode == 0
    done_again = program.run("verify", "--json", *words, other)
    assert json.loads(done_again.stdout)["cards"] == CARDS
    assert program.run("import", str(file), *words, other).returncode == 3
    beside = program.run("backup", str(tmp_path / "copy"), *words, other)
    assert beside.returncode == 0
    assert b"back that up by its own means" in beside.stderr
    assert list((tmp_path / "copy").iterdir()) == []

"""Keys and sign-ins in a database: what befalls its connections is told, and never told as done."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from tests.stores.cluster import Cluster
from tests.stores.faces.test_faces import CODE, NOW, OPERATOR, SESSION
from zhiwei.core.errors import ZhiweiError
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.postgres import bounded
from zhiwei.stores.postgres.access.faces import PostgresFaceStore
from zhiwei.stores.postgres.access.keyring import PostgresKeyring
from zhiwei.stores.postgres.access.queries import QUERIES
from zhiwei.stores.postgres.faults import NewerSchemaError
from zhiwei.stores.postgres.writing import Statements, WritingConnections

OTHERS = "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}'"


@pytest.fixture
def store(database: str) -> Iterator[PostgresFaceStore]:
    """A new store."""
    with closing(PostgresFaceStore(database)) as one:
        yield one


@pytest.fixture
def writing(database: str) -> Iterator[WritingConnections]:
    """Connections to a new database."""
    with closing(WritingConnections(database, 2, QUERIES)) as one:
        yield one


def name_of(database: str) -> str:
    """The name of a database by its URL."""
    return database.partition("///")[2].partition("?")[0]


def test_connections_that_broke_unnoticed_cost_nothing(
    store: PostgresFaceStore, cluster: Cluster, database: str
) -> None:
    """After the server ended them, the next reading and the next writing find new ones."""
    store.add_session(SESSION)
    cluster.execute(OTHERS.format(name_of(database)))
    assert store.session(SESSION.id) == SESSION
    cluster.execute(OTHERS.format(name_of(database)))
    store.add_operator(OPERATOR)
    assert store.operators() == [OPERATOR]


def test_a_connection_that_breaks_in_a_transaction_is_told(
    writing: WritingConnections, cluster: Cluster, database: str
) -> None:
    """Nothing is written by halves, it is an error, and the next call has a new connection."""

    def broken(run: Statements) -> int:
        run.changed("add_operator", "op_1", "x", 1, NOW, "", 0)
        cluster.execute(OTHERS.format(name_of(database)))
        return run.changed("add_operator", "op_2", "x", 1, NOW, "", 0)

    with pytest.raises(StoreUnavailableError, match="cannot be written"):
        writing.write(broken)
    assert writing.rows("operators") == []
    assert writing.write(lambda run: run.changed("add_operator", "op_1", "x", 1, NOW, "", 0)) == 1


def test_a_bug_in_a_transaction_leaves_nothing(writing: WritingConnections) -> None:
    """What was begun is undone, and the error is the caller's own."""

    def wrong(run: Statements) -> None:
        run.changed("add_operator", "op_1", "x", 1, NOW, "", 0)
        raise KeyError

    with pytest.raises(KeyError):
        writing.write(wrong)
    assert writing.rows("operators") == []


def test_who_waits_for_each_other_try_again(writing: WritingConnections) -> None:
    """A deadlock undoes one of the two, which then does it once more."""
    writing.write(lambda run: run.changed("add_operator", "op_1", "x", 1, NOW, "", 0))
    seen: list[int] = []

    def deadlocked_once(run: Statements) -> int:
        seen.append(1)
        if len(seen) == 1:
            raise psycopg.errors.DeadlockDetected
        return run.changed("add_operator", "op_1", "y", 1, NOW, "", 0)

    assert writing.write(deadlocked_once) == 1
    assert len(seen) == 2


@pytest.fixture
def standby_is_gone(cluster: Cluster, database: str) -> Iterator[None]:
    """Commits wait for a standby that there is not."""
    assert database, "it is made before"
    cluster.wait_for_standbys("nobody")
    yield
    cluster.wait_for_standbys("")


@pytest.mark.usefixtures("standby_is_gone")
def test_a_commit_that_no_standby_has_is_not_told_as_done(
    store: PostgresFaceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up in time; what need not be flushed does not wait."""
    monkeypatch.setattr(bounded, "ANSWER_SECONDS", 0.3)
    with pytest.raises(StoreUnavailableError, match="no answer within"):
        store.add_operator(OPERATOR)
    store.add_code(CODE)
    assert store.count("a", NOW, NOW) == 1
    with pytest.raises(StoreUnavailableError, match="no answer within"):
        store.try_code(CODE.purpose, CODE.hash, NOW)


@pytest.mark.usefixtures("standby_is_gone")
def test_a_wait_that_was_cancelled_is_no_success(
    writing: WritingConnections, cluster: Cluster
) -> None:
    """PostgreSQL calls it one, with a warning: here it is an error."""
    cancel = (
        "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'"
        " and pid <> pg_backend_pid()"
    )
    connection = psycopg.connect(cluster.url("postgres"), autocommit=True)
    is_over = threading.Event()

    def cancelling() -> None:
        while not is_over.is_set():
            connection.execute(cancel)

    thread = threading.Thread(target=cancelling)
    thread.start()
    try:
        with pytest.raises(StoreUnavailableError, match="may not have been kept"):
            writing.write(lambda run: run.changed("add_operator", "op_1", "x", 1, NOW, "", 0))
    finally:
        is_over.set()
        thread.join()
        connection.close()


def test_texts_that_postgresql_cannot_keep(store: PostgresFaceStore) -> None:
    """Zero bytes and halves of characters are replaced, and never an error of the program."""
    assert store.session("a\0") is None
    assert store.passkey("\ud800") is None
    assert not store.rename_passkey("x", "\0")
    assert store.count("\ud800", NOW, NOW) == 1


@pytest.mark.parametrize("kind", [PostgresFaceStore, PostgresKeyring])
def test_the_tables_are_made_where_they_are_missing(
    kind: type[PostgresFaceStore | PostgresKeyring], cluster: Cluster
) -> None:
    """Keys can be made before the first server starts; a newer finished schema is left alone."""
    name = cluster.new_database("template1")
    kind(cluster.url(name)).close()
    assert cluster.execute("select count(*) from api_key", name) == [(0,)]
    with psycopg.connect(cluster.url(name)) as connection:
        connection.execute("update zhiwei_schema set number = 99, finished = 99")
    with pytest.raises(NewerSchemaError, match="99"):
        kind(cluster.url(name))
    cluster.drop(name)


def test_without_a_server_it_is_said_so(cluster: Cluster) -> None:
    """In one line."""
    with pytest.raises(ZhiweiError, match='database "nowhere" does not exist'):
        PostgresKeyring(cluster.url("nowhere"))

"""Every store, as a fixture; a test that takes `open_store` runs on each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.stores.cases import done
from tests.stores.cluster import Cluster, running_cluster
from zhiwei.ports import Store
from zhiwei.stores.memory import MemoryStore
from zhiwei.stores.postgres.opening import TABLES
from zhiwei.stores.postgres.store import PostgresStore
from zhiwei.stores.sqlite.store import SqliteStore

#: Opens the store; opening again closes it first, and comes back with what was kept.
OpenStore = Callable[[], Store]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server of this worker's own."""
    with running_cluster() as started:
        yield started


@pytest.fixture
def database(cluster: Cluster) -> Iterator[str]:
    """The URL of a new database with an empty schema."""
    name = cluster.new_database()
    yield cluster.url(name)
    cluster.drop(name)


@pytest.fixture(scope="session")
def kept_database(cluster: Cluster) -> str:
    """The URL of a database that several tests clear and use."""
    return cluster.url(cluster.new_database())


@pytest.fixture
def message_database(kept_database: str) -> str:
    """The URL of a database without messages; a new one for each test would cost half a second."""
    with psycopg.connect(kept_database, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        for name in TABLES:
            if name.startswith("message") and name != "message_cursor":
                connection.execute(f"delete from {name}".encode())
        connection.execute("update message_cursor set position = 0")
        connection.execute("alter sequence message_position restart")
        connection.execute("drop trigger if exists t on message_inbound")
    return kept_database


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Open a store, or open it again: what was committed must be there."""
    opened: list[Store] = []
    # Asked for by name, so that no server is started for the other two.
    url = request.getfixturevalue("database") if request.param == "postgres" else ""

    def again(new: Callable[[], Store]) -> Store:
        for store in opened:
            done(store.close())
        opened[:] = [new()]
        return opened[0]

    def memory() -> Store:
        if not opened:
            opened.append(MemoryStore())
        return opened[0]

    kinds: dict[str, OpenStore] = {
        "memory": memory,
        "sqlite": lambda: again(lambda: SqliteStore(tmp_path)),
        "postgres": lambda: again(lambda: PostgresStore(url)),
    }
    yield kinds[request.param]
    for store in opened:
        done(store.close())


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    """A new store."""
    return open_store()

"""Unknown is not approved: whatever breaks at commit, no answer says more than is durable."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from tests.stores.cases import NOON, STEP, done, key_of, purchase, registration
from tests.stores.cluster import Cluster, running_cluster
from tests.stores.postgres.cutting import Cut, Proxy, proxy_before
from zhiwei.core.finding import Outcome
from zhiwei.core.result import Result
from zhiwei.ports import OutcomeUnknownError, StoreUnavailableError
from zhiwei.stores.postgres.store import Bounds, PostgresStore

T = TypeVar("T")
QUICK = Bounds(commit_seconds=1.0, settle_seconds=1.0, read_seconds=3.0)


@asynccontextmanager
async def behind_proxy(
    cluster: Cluster, database: str, bounds: Bounds | None = None
) -> AsyncIterator[tuple[PostgresStore, Proxy]]:
    """A store whose lines go through a proxy, and which has written card 1 already."""
    with tempfile.TemporaryDirectory() as folder:
        async with proxy_before(Path(folder), cluster.socket) as proxy:
            url = database.replace(str(cluster.folder), folder)
            # Opening blocks, and the proxy is of this loop.
            store = await asyncio.to_thread(PostgresStore, url, bounds=bounds)
            try:
                await store.transact([registration(1), purchase(1, 1)], STEP, NOON)
                yield store, proxy
            finally:
                await store.close()


def versions(cluster: Cluster, database: str) -> list[int]:
    """Versions of card 1 in the journal, past every proxy."""
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select version from journal where card_key = %s order by version", (key_of(1),)
        )
        return [row[0] for row in rows]


async def until(told: Callable[[], T]) -> T:
    """What somebody tells, as soon as it is anything."""
    for _ in range(6000):
        if value := told():
            return value
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")


def is_approved(result: Result) -> bool:
    """The answer would be an approval."""
    return result.entry is not None and result.entry.outcome is Outcome.APPROVE


def test_a_lost_answer_to_a_commit_is_looked_up(cluster: Cluster, database: str) -> None:
    """The commit was carried out, its answer lost: the decision is found, and made once."""

    async def go() -> None:
        async with behind_proxy(cluster, database) as (store, proxy):
            proxy.cut = Cut.AFTER_COMMIT
            (result,) = await store.transact([purchase(1, 2)], STEP, NOON)
            assert proxy.was_cut.is_set()
            assert is_approved(result)
            assert result.entry is not None
            assert result.entry.version == 3
            assert not result.is_repeat
            assert proxy.commits == 2
            (again,) = await store.transact([purchase(1, 2)], STEP, NOON)
            assert again.is_repeat

    done(go())
    assert versions(cluster, database) == [1, 2, 3]


def test_a_commit_that_never_arrived_is_made_again(cluster: Cluster, database: str) -> None:
    """The line broke before the commit: nothing was written, that is certain, and it is redone."""

    async def go() -> None:
        async with behind_proxy(cluster, database) as (store, proxy):
            proxy.cut = Cut.BEFORE_COMMIT
            (result,) = await store.transact([purchase(1, 2)], STEP, NOON)
            assert proxy.was_cut.is_set()
            assert is_approved(result)
            assert proxy.commits == 3

    done(go())
    assert versions(cluster, database) == [1, 2, 3]


def test_a_commit_that_is_still_on_its_way_is_waited_for(cluster: Cluster, database: str) -> None:
    """The old transaction holds the card's lock; only when it is over is its outcome told."""

    async def go() -> None:
        async with behind_proxy(cluster, database) as (store, proxy):
            proxy.cut = Cut.LATE_COMMIT
            deciding = asyncio.create_task(store.transact([purchase(1, 2)], STEP, NOON))
            await proxy.was_cut.wait()
            await until(lambda: waiting_for_locks(cluster))
            assert not deciding.done()
            proxy.late.set()
            (result,) = await deciding
            assert is_approved(result)
            assert proxy.commits == 2

    done(go())
    assert versions(cluster, database) == [1, 2, 3]


def waiting_for_locks(cluster: Cluster) -> int:
    """How many sessions wait for a lock."""
    rows = cluster.execute("select count(*) from pg_stat_activity where wait_event_type = 'Lock'")
    return int(rows[0][0])


def test_without_a_database_the_outcome_stays_unknown(cluster: Cluster, database: str) -> None:
    """Nobody can be asked: no approval, though the decision is there; the repeat finds it."""

    async def go() -> None:
        async with behind_proxy(cluster, database, QUICK) as (store, proxy):
            proxy.cut = Cut.AFTER_COMMIT
            deciding = asyncio.create_task(store.transact([purchase(1, 2)], STEP, NOON))
            await proxy.was_cut.wait()
            proxy.is_closed = True
            with pytest.raises(OutcomeUnknownError):
                await deciding
            with pytest.raises(StoreUnavailableError, match="no connection"):
                await store.transact([purchase(1, 2)], STEP, NOON)
            proxy.is_closed = False
            await asyncio.sleep(0.3)
            (again,) = await store.transact([purchase(1, 2)], STEP, NOON)
            assert again.is_repeat
            assert is_approved(again)

    done(go())
    assert versions(cluster, database) == [1, 2, 3]


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A server that no other module's tests use."""
    with running_cluster() as started:
        yield started


@pytest.fixture
def lonely(server: Cluster) -> Iterator[Cluster]:
    """A server whose commits can be made to wait for a standby that does not exist."""
    yield server
    server.wait_for_standbys("")


def committing(cluster: Cluster) -> list[int]:
    """Process ids of sessions whose commit waits for a standby."""
    rows = cluster.execute("select pid from pg_stat_activity where wait_event = 'SyncRep'")
    return [row[0] for row in rows]


def test_a_cancelled_wait_for_the_standby_is_no_approval(lonely: Cluster) -> None:
    """PostgreSQL says success with a warning; neither the decision nor its repeat is answered."""
    url = lonely.url(lonely.new_database())

    async def go() -> None:
        store = PostgresStore(url, bounds=QUICK)
        await store.transact([registration(1), purchase(1, 1)], STEP, NOON)
        lonely.wait_for_standbys("ghost")
        deciding = asyncio.create_task(store.transact([purchase(1, 2)], STEP, NOON))
        pids = await until(lambda: committing(lonely))
        lonely.execute(f"select pg_cancel_backend({pids[0]})")
        with pytest.raises(OutcomeUnknownError):
            await deciding
        # It is there for everybody to see, and may be gone after a failover: a repeat of it must
        # not be promised either.
        assert versions(lonely, url) == [1, 2, 3]
        with pytest.raises(StoreUnavailableError):
            await store.transact([purchase(1, 2)], STEP, NOON)
        lonely.wait_for_standbys("")
        (again,) = await store.transact([purchase(1, 2)], STEP, NOON)
        assert again.is_repeat
        assert is_approved(again)
        await store.close()

    done(go())
    assert versions(lonely, url) == [1, 2, 3]


def test_a_commit_that_waits_too_long_is_no_approval(lonely: Cluster) -> None:
    """No standby answers: the request fails within its time, and nothing is cancelled."""
    url = lonely.url(lonely.new_database())

    async def go() -> None:
        store = PostgresStore(url, bounds=QUICK)
        await store.transact([registration(1)], STEP, NOON)
        lonely.wait_for_standbys("ghost")
        with pytest.raises(OutcomeUnknownError):
            await store.transact([purchase(1, 1)], STEP, NOON)
        assert committing(lonely)
        lonely.wait_for_standbys("")
        (again,) = await store.transact([purchase(1, 1)], STEP, NOON)
        assert again.is_repeat
        await store.close()

    done(go())
    assert versions(lonely, url) == [1, 2]


def test_a_standby_that_comes_back_settles_a_cancelled_wait(lonely: Cluster) -> None:
    """The warning came, and a moment later replication works: the decision is answered."""
    url = lonely.url(lonely.new_database())

    async def go() -> None:
        store = PostgresStore(url)
        await store.transact([registration(1)], STEP, NOON)
        lonely.wait_for_standbys("ghost")
        deciding = asyncio.create_task(store.transact([purchase(1, 1)], STEP, NOON))
        pids = await until(lambda: committing(lonely))
        lonely.execute(f"select pg_cancel_backend({pids[0]})")
        # Its second look waits for the standby as well.
        await until(lambda: set(committing(lonely)) - set(pids))
        lonely.wait_for_standbys("")
        (result,) = await deciding
        assert is_approved(result)
        await store.close()

    done(go())
    assert versions(lonely, url) == [1, 2]


def test_a_session_that_is_ended_by_an_administrator_costs_nothing(
    cluster: Cluster, database: str
) -> None:
    """Lines that were closed from the other side while nobody used them are replaced."""

    async def go() -> None:
        store = PostgresStore(database)
        await store.transact([registration(1)], STEP, NOON)
        name = database.partition("///")[2].partition("?")[0]
        cluster.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            f" where datname = '{name}' and pid <> pg_backend_pid()"
        )
        (result,) = await store.transact([purchase(1, 1)], STEP, NOON)
        assert is_approved(result)
        assert store.reader().card(key_of(1)) is not None
        await store.close()

    done(go())

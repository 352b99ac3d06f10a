"""What goes wrong while it serves: it is said, with what to do, and nothing answered is lost."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import time_ns

import psycopg
import pytest
import structlog

from tests.canary.serving import Program
from tests.messaging.test_process import Issuer
from tests.stores.cases import DAY, NOON, STEP, daily_limit, done, key_of, purchase, registration
from tests.stores.cluster import Cluster, running_cluster
from zhiwei.bench.cards import pan_of
from zhiwei.bench.postgres.programs import servant
from zhiwei.core.finding import Outcome
from zhiwei.core.result import Result
from zhiwei.journal.verify_database import verify_database
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.postgres import lines, weaknesses
from zhiwei.stores.postgres.store import Bounds, PostgresStore
from zhiwei.stores.postgres.weeks import WEEK_MS

HOLD = "select 1 from card_state where card_key = %s for update"
MEBIBYTE = 1 << 20


def name_of(url: str) -> str:
    """The database of a URL."""
    return url.partition("///")[2].partition("?")[0]


def test_limits_that_a_dba_set_are_said_and_do_not_end_what_we_do(
    cluster: Cluster, database: str
) -> None:
    """Each limit has its sentence; waiting for a card, reading and idling outlast all of them."""
    for limit in (
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
    ):
        cluster.execute(f"alter database {name_of(database)} set {limit} = '100ms'")

    async def go() -> None:
        store = PostgresStore(database)
        told = [
            sentence.partition(" is 100 ms for the user app")[0] for sentence in store.weaknesses
        ]
        assert told == [
            "statement_timeout",
            "lock_timeout",
            "idle_in_transaction_session_timeout",
            "idle_session_timeout",
        ]
        assert "`alter role app reset lock_timeout`" in store.weaknesses[1]
        await store.transact([registration(1)], STEP, NOON)
        own = psycopg.connect(database)
        own.execute("set idle_in_transaction_session_timeout = 0")
        own.execute("lock table card_state")
        deciding = asyncio.create_task(store.transact([purchase(1, 1)], STEP, NOON))
        reading = asyncio.create_task(asyncio.to_thread(store.reader().card, key_of(1)))
        await asyncio.sleep(0.3)
        own.close()
        (result,) = await deciding
        assert result.entry is not None
        assert await reading is not None
        await asyncio.sleep(0.3)
        count = "select count(*) from pg_stat_activity where datname = current_database()"
        assert cluster.execute(count, name_of(database)) == [(3,)], "line, reader and this one"
        await store.close()

    done(go())


def test_who_has_statements_cancelled_is_told(cluster: Cluster, database: str) -> None:
    """Somebody cancels what we do: nothing was written, and the answer says where to look."""

    async def go() -> None:
        store = PostgresStore(database)
        await store.transact([registration(1)], STEP, NOON)
        with psycopg.connect(database) as stranger:
            stranger.execute(HOLD, (key_of(1),))
            deciding = asyncio.create_task(store.transact([purchase(1, 1)], STEP, NOON))
            cancel = (
                "select pg_cancel_backend(pid) from pg_stat_activity where wait_event_type = 'Lock'"
                f" and datname = '{name_of(database)}'"
            )
            while not await asyncio.to_thread(cluster.execute, cancel):
                pass
            with pytest.raises(StoreUnavailableError, match="somebody cancels zhiwei's statements"):
                await deciding
        (result,) = await store.transact([purchase(1, 1)], STEP, NOON)
        assert not result.is_repeat
        await store.close()

    done(go())


@pytest.fixture
def narrow(cluster: Cluster) -> Iterator[str]:
    """A database whose user may have three connections."""
    name = cluster.new_database("template1")
    user = f"narrow_{name}"
    cluster.execute(f"create role {user} login connection limit 3")
    cluster.execute(f"alter database {name} owner to {user}")
    yield cluster.url(name, user)
    cluster.drop(name)
    cluster.execute(f"drop role {user}")


def test_with_too_few_connections_batches_go_round(narrow: str) -> None:
    """It is said at the start; a storm of batches shares the lines that there are."""

    async def go() -> None:
        store = PostgresStore(narrow)
        (told,) = store.weaknesses
        assert told.startswith(
            "only 3 connections are allowed here, and each server takes up to 30"
        )
        await store.transact([registration(card) for card in range(40)], STEP, NOON)
        storm = [store.transact([purchase(card, card + 1)], STEP, NOON) for card in range(40)]
        assert all(is_approved(result) for (result,) in await asyncio.gather(*storm))
        await store.close()

    done(go())
    assert verify_database(narrow).is_clean


def test_when_others_take_every_connection_it_is_said_until_there_is_room(narrow: str) -> None:
    """The answer says what to raise; nothing was written, and the next one needs no restart."""

    async def go() -> None:
        store = PostgresStore(narrow)
        others = [psycopg.connect(narrow) for _ in range(3)]
        with pytest.raises(StoreUnavailableError, match="raise max_connections or the limit of"):
            await store.transact([registration(1)], STEP, NOON)
        for other in others:
            other.close()
        await until_written(lambda: store.transact([registration(1)], STEP, NOON))
        await store.close()

    done(go())


def is_approved(result: Result) -> bool:
    """The answer would be an approval."""
    return result.entry is not None and result.entry.outcome is Outcome.APPROVE


async def until_written(write: Callable[[], object]) -> list[Result]:
    """What a batch comes to, once the database takes it."""
    for _ in range(600):
        with suppress(StoreUnavailableError):
            return await write()  # type: ignore[misc, no-any-return]  # it is a coroutine
        await asyncio.sleep(0.1)
    raise AssertionError("the database never took it")


@contextmanager
def small_disk(size: int) -> Iterator[Path]:
    """A disk of so many MiB, with room for a folder `space` of the database's and a ballast."""
    folder = Path(tempfile.mkdtemp(prefix="zhiwei-disk-"))
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size}m", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("a small disk needs root and the right to mount one")
    try:
        (folder / "space").mkdir()
        user = servant()
        folder.chmod(0o755)
        if user is not None:
            shutil.chown(folder / "space", user)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def fill(disk: Path) -> None:
    """Take all the room that is left."""
    with (disk / "ballast").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_full_disk_is_said_and_what_was_answered_stays(tmp_path: Path, cluster: Cluster) -> None:
    """`/readyz` says which disk; calls get 503; with room again it goes on without a restart."""
    program = Program(tmp_path / "house")
    with small_disk(40) as disk:
        cluster.execute(f"create tablespace small location '{disk / 'space'}'")
        name = "on_a_small_disk"
        cluster.execute(f"create database {name} template zhiwei_template tablespace small")
        url = cluster.url(name)
        key = program.key("issuer", "--database", url)
        try:
            with program.serving("--database", url) as doors, Issuer(doors, key) as bank:
                cards = [bank.card()]
                card = {
                    "cardholder": bank.call("GET", f"/v1/cards/{cards[0]}")["cardholder"],
                    "currency": "CNY",
                    "time_zone": "Asia/Shanghai",
                    "network": "unionpay",
                }
                fill(disk)
                refused = 0
                while not refused:
                    answer = bank.ask("POST", "/v1/cards", card | {"pan": pan_of(len(cards))})
                    if answer.is_success:
                        cards.append(answer.json()["id"])
                    else:
                        refused = answer.status_code
                assert refused == 503
                ready = bank.ask("GET", "/readyz")
                assert ready.status_code == 503
                assert "No space left on device" in ready.text
                assert "make room on the database server's disk" in ready.text
                (disk / "ballast").unlink()
                bank.call("POST", f"/v1/cards/{cards[0]}/stop", {"source": "issuer"})
                found = [bank.call("GET", f"/v1/cards/{kept}")["id"] for kept in cards]
                assert found == cards
                assert bank.call("GET", "/readyz")["status"] == "ready"
            assert verify_database(url).is_clean
        finally:
            cluster.drop(name)
            cluster.execute("drop tablespace small")


def test_a_full_disk_of_the_log_loses_nothing_that_was_answered() -> None:
    """PostgreSQL panics: no approval comes; started again, all that was answered is there."""
    small_log = {"min_wal_size": "2MB", "max_wal_size": "4MB"}
    with (
        small_disk(12) as disk,
        running_cluster(small_log, "--wal-segsize=1", f"--waldir={disk / 'space'}") as cluster,
    ):
        url = cluster.url(cluster.new_database())
        # Without it a checkpoint in time makes room again, and the log is never full.
        cluster.execute("select pg_create_physical_replication_slot('keeps_the_log', true)")

        async def go() -> None:
            bounds = Bounds(commit_seconds=1.0, settle_seconds=0.5)
            store = PostgresStore(url, bounds=bounds)
            await store.transact([registration(1)], STEP, NOON)
            fill(disk)
            answered = 0
            with suppress(StoreUnavailableError):
                while answered < 20_000:
                    (result,) = await store.transact([purchase(1, answered + 1)], STEP, NOON)
                    assert is_approved(result)
                    answered += 1
            with pytest.raises(StoreUnavailableError):
                await store.transact([purchase(1, 30_000)], STEP, NOON)
            (disk / "ballast").unlink()
            with suppress(Exception):
                await asyncio.to_thread(cluster.control, "stop", "-m", "immediate")
            await asyncio.to_thread(cluster.control, "start", "-l", str(cluster.folder / "log"))
            (last,) = await until_written(
                lambda: store.transact([purchase(1, answered)], STEP, NOON)
            )
            assert last.is_repeat
            stans = {
                entry.command.request.stan
                for entry in store.reader().entries(key_of(1), limit=30_000)
                if entry.command.request is not None
            }
            assert len(stans) >= answered
            await store.close()

        done(go())
        assert "PANIC" in (cluster.folder / "log").read_text()
        assert verify_database(url).is_clean


@pytest.mark.parametrize(("shift_ms", "said"), [(3_600_000, "ahead of"), (-3_600_000, "behind")])
def test_a_clock_that_is_out_of_step_is_said(
    database: str, monkeypatch: pytest.MonkeyPatch, shift_ms: int, said: str
) -> None:
    """The database's clock is the measure: at the start, and on each new line to the log."""
    monkeypatch.setattr(weaknesses, "now_ms", lambda: time_ns() // 1_000_000 + shift_ms)
    monkeypatch.setattr(lines, "now_ms", weaknesses.now_ms)
    store = PostgresStore(database)
    (told,) = store.weaknesses
    assert f" seconds {said} the database's" in told
    assert "one source of time" in told
    with structlog.testing.capture_logs() as logged:
        done(store.transact([registration(1)], STEP, NOON))
    assert [f" seconds {said} " in line["detail"] for line in logged] == [True]
    done(store.close())


@pytest.mark.parametrize(
    ("at_ms", "approvals"),
    [(NOON, 4), (NOON + DAY // 2, 1 + 4), ((NOON // WEEK_MS + 1) * WEEK_MS, 4)],
)
def test_servers_whose_clocks_are_an_hour_apart_serve_one_card(
    database: str, at_ms: int, approvals: int
) -> None:
    """At noon, around midnight of the card, around the begin of a week: no day's limit twice."""
    ahead, behind = at_ms + 1_800_000, at_ms - 1_800_000

    async def go() -> None:
        first, second = PostgresStore(database), PostgresStore(database)
        await first.transact([registration(1), daily_limit(1, 4500)], STEP, behind)
        approved = 0
        for stan in range(1, 13):
            store, clock_ms = ((first, ahead), (second, behind))[stan % 2]
            (result,) = await store.transact([purchase(1, stan)], STEP, clock_ms)
            assert result.entry is not None
            assert result.entry.version == stan + 2
            # Each finds what the other has decided, whatever its own clock says.
            other = first if store is second else second
            (again,) = await other.transact([purchase(1, stan)], STEP, at_ms)
            assert again.is_repeat
            assert again.entry is not None
            assert again.entry.outcome is result.entry.outcome
            approved += is_approved(result)
        entries = first.reader().entries(key_of(1))
        assert [entry.version for entry in entries] == list(range(14, 0, -1))
        filed = [entry.filed_ms for entry in entries]
        assert filed == sorted(filed, reverse=True), "an entry is never filed before another one"
        assert approved == approvals
        await first.close()
        await second.close()

    done(go())
    assert verify_database(database).is_clean

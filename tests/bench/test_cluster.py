"""Clusters of PostgreSQL: what they promise, what may befall them, and that they leave nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import zhiwei
from zhiwei.bench.postgres import programs as where
from zhiwei.bench.postgres.cluster import Cluster
from zhiwei.bench.postgres.node import await_that
from zhiwei.bench.postgres.programs import programs
from zhiwei.bench.postgres.reaper import processes_in
from zhiwei.bench.processes import ServerFailedError

pytestmark = pytest.mark.skipif(programs() is None, reason="no PostgreSQL is installed")
OWNER = """
import subprocess, time
from zhiwei.bench.contenders import scratch_folder
from zhiwei.bench.postgres.cluster import Cluster
from zhiwei.bench.postgres.reaper import reaped
with reaped(scratch_folder()) as folder:
    cluster = Cluster.make(folder)
    subprocess.Popen(["sleep", "600"], cwd=folder)
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[Cluster]:
    """A primary and two synchronous standbys."""
    with Cluster.make(standbys=2) as made:
        yield made


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    """The cluster, whole, with an empty table that everybody has."""
    shared.primary.ask("create table if not exists kept (number int primary key)")
    shared.primary.ask("truncate kept")
    ((position,),) = shared.primary.ask("select (pg_current_wal_lsn() - '0/0')::bigint")
    for node in shared.standbys:
        await_that("the table is there", lambda node=node: node.received() >= position)  # type: ignore[misc]  # the default binds the loop's value
    yield shared
    shared.reconnect_standbys()
    shared.heal()


def write(cluster: Cluster, number: int, warnings: list[str] | None = None) -> None:
    """Write one row to whoever is the primary; gathers what the server warns of."""
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        if warnings is not None:
            connection.add_notice_handler(lambda one: warnings.append(str(one.message_primary)))
        connection.execute("insert into kept values (%s)", (number,))


def kept(cluster: Cluster) -> list[int]:
    """What the primary has."""
    return [number for (number,) in cluster.primary.ask("select number from kept order by 1")]


def writes_in_vain(cluster: Cluster, number: int, warnings: list[str]) -> threading.Thread:
    """A commit that is seen to wait for a standby."""
    writer = threading.Thread(target=write, args=(cluster, number, warnings))
    writer.start()
    await_that("the commit waits", lambda: bool(cluster.waiting()))
    return writer


def test_a_cluster_is_durable() -> None:
    """A cluster flushes, has whole pages in its log and checksums on its pages."""
    with Cluster.make() as made, psycopg.connect(made.url()) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "data_checksums"):
            shown = connection.execute(f"show {setting}".encode()).fetchone()
            assert shown == ("on",), setting
        assert made.standbys == []


def test_the_loss_of_a_primary_loses_nothing(cluster: Cluster) -> None:
    """What was acknowledged stands on the promoted standby; after healing two standbys count."""
    for number in range(20):
        write(cluster, number)
    lost = cluster.primary
    lost.kill()
    assert processes_in(lost.data) == []
    new = cluster.fail_over()
    assert new is not lost
    write(cluster, 20)
    cluster.heal()
    assert len(cluster.standbys) == 2
    assert lost.is_standby()
    assert kept(cluster) == list(range(21))


def test_a_commit_waits_for_a_standby(cluster: Cluster) -> None:
    """With one standby cut off commits go on; with both they wait until one is back."""
    cluster.cut_standbys(frozenset({cluster.standbys[0].name}))
    write(cluster, 1)
    cluster.cut_standbys(frozenset({cluster.standbys[1].name}))
    warnings: list[str] = []
    writer = writes_in_vain(cluster, 2, warnings)
    cluster.reconnect_standbys()
    writer.join()
    assert not warnings
    assert kept(cluster) == [1, 2]


def test_a_cancelled_wait_is_reported_as_done_and_lost(cluster: Cluster) -> None:
    """The trap: the commit returns with no more than a warning, and is nowhere afterwards."""
    write(cluster, 1)
    cluster.cut_standbys()
    warnings: list[str] = []
    writer = writes_in_vain(cluster, 2, warnings)
    assert cluster.cancel_waiting() == 1
    writer.join()
    assert warnings == ["canceling wait for synchronous replication due to user request"]
    assert kept(cluster) == [1, 2]
    cluster.primary.kill()
    new = cluster.chosen()
    cluster.drop_receivers()
    cluster.fail_over(new)
    assert kept(cluster) == [1]


def test_a_standby_that_is_ahead_is_copied_anew(cluster: Cluster) -> None:
    """Who was promoted without the last of the log is followed by who has it, from a fresh copy."""
    behind, ahead = cluster.standbys
    cluster.cut_standbys(frozenset({behind.name}))
    write(cluster, 1)
    await_that("the other has it", lambda: ahead.received() > behind.received())
    cluster.primary.kill()
    assert cluster.chosen() is ahead
    cluster.drop_receivers()
    cluster.fail_over(behind)
    cluster.rejoin()
    write(cluster, 2)
    assert kept(cluster) == [2]
    await_that("it has it", lambda: ahead.ask("select number from kept") == [(2,)])


def test_nobody_is_promoted_beside_a_living_primary(cluster: Cluster) -> None:
    """Two primaries could both acknowledge: the failover refuses."""
    with pytest.raises(ServerFailedError, match="must be dead"):
        cluster.fail_over()


def test_nothing_is_left_behind() -> None:
    """Neither processes nor files, whatever state the cluster is in; twice is as good as once."""
    cluster = Cluster.make(standbys=1)
    cluster.cut_standbys()
    cluster.primary.kill()
    assert processes_in(cluster.folder)
    cluster.take_down()
    assert processes_in(cluster.folder) == []
    assert not cluster.folder.exists()
    cluster.take_down()


def test_nothing_is_left_behind_by_a_killed_owner() -> None:
    """Whoever made a cluster may be killed (`kill -9`): all that worked there and the files go."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(zhiwei.__file__).parent.parent)},
    )
    assert owner.stdout is not None
    with owner.stdout:
        folder = Path(owner.stdout.readline().strip())
    assert len(processes_in(folder)) > 2
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    await_that("the folder is gone", lambda: not folder.exists())
    assert processes_in(folder) == []


def test_a_server_that_does_not_start_says_why() -> None:
    """The end of its log is in the error, and nothing stays."""
    with pytest.raises(ServerFailedError, match="shared_buffers"):
        Cluster.make(settings={"shared_buffers": "many"})


def test_waiting_ends() -> None:
    """What never comes about is an error, not a hang."""
    begun = time.monotonic()
    with pytest.raises(ServerFailedError, match="in vain: rain"):
        await_that("rain", lambda: False, 0.05)
    assert time.monotonic() - begun < 30


def test_without_postgresql_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """No packages, nothing on the PATH, no wheel: the error says what to install."""
    monkeypatch.setattr(where, "_DEBIAN", Path("/nowhere"))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert programs() is None
    with pytest.raises(ServerFailedError, match="apt-get install postgresql"):
        Cluster.make()

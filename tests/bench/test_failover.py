"""The failover test itself: it keeps quiet where nothing was lost, and finds what was."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from zhiwei.bench import contenders
from zhiwei.bench.postgres.cluster import Cluster
from zhiwei.bench.postgres.failover import (
    FailoverOptions,
    FailoverReport,
    FailoverTest,
    failover,
    kinds_of,
)
from zhiwei.bench.postgres.fates import KILL, PARTITIONS
from zhiwei.bench.postgres.programs import programs
from zhiwei.bench.postgres.subjects import ByHand, Ours
from zhiwei.bench.processes import ServerFailedError

pytestmark = pytest.mark.skipif(programs() is None, reason="no PostgreSQL is installed")
FEW = FailoverOptions(rounds=0, partitions=0, cards=200, rate=300, seconds=2.5, by_hand=True)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A primary with two standbys."""
    with Cluster.make(standbys=2) as made:
        yield made


def ours_in(folder: Path) -> Ours:
    """Our server, where this version can be served from a database."""
    try:
        return Ours(folder)
    except ServerFailedError as error:
        pytest.skip(str(error))


def play(cluster: Cluster, *kinds: str) -> FailoverReport:
    """Play rounds of these kinds against the peer by hand."""
    return FailoverTest(FEW, cluster, ByHand(), kinds=kinds).run()


def test_a_lost_primary_loses_nothing(cluster: Cluster) -> None:
    """Two primaries in a row are killed under load: all that was acknowledged is there, once."""
    report = play(cluster, KILL, KILL)
    assert report.is_clean, report.lines()
    assert all(one.acknowledged for one in report.rounds)
    assert all(one.gap_seconds > 0 for one in report.rounds)
    assert report.gap_seconds(0.99) >= report.gap_seconds(0.5) > 0


def test_standbys_that_are_cut_off_lose_nothing(cluster: Cluster) -> None:
    """Commits wait, or their connection is ended: late or open answers, but no wrong one."""
    report = play(cluster, "cut", "cut, terminated", "one cut")
    assert report.is_clean, report.lines()
    assert report.total("cancelled", "cut, terminated") > 0
    assert report.total("unsure", "one cut") == 0


def test_a_service_that_believes_a_cancelled_commit_is_found_out(cluster: Cluster) -> None:
    """Approved while not replicated, and lost with the primary: both are said, and how many."""
    report = play(cluster, "cut, cancelled, killed")
    (one,) = report.rounds
    assert not report.is_clean
    assert one.cancelled > 0
    assert one.lost > 0
    assert any("acknowledged and lost" in line and str(one.lost) in line for line in report.lines())


def test_ours_loses_nothing(cluster: Cluster) -> None:
    """A primary that is killed, and one that is lost with cancelled commits: nothing is missing."""
    folder = contenders.scratch_folder()
    try:
        subject = ours_in(folder)
        kinds = (KILL, "cut, cancelled, killed", "cut, terminated")
        report = FailoverTest(FEW, cluster, subject, kinds=kinds).run()
    finally:
        shutil.rmtree(folder)
    assert report.is_clean, report.lines()
    assert report.total("cancelled") > 0
    assert report.total("acknowledged", KILL) > 0


@pytest.mark.slow
def test_fifty_primaries_and_twenty_partitions(tmp_path: Path) -> None:
    """0 acknowledged lost, 0 counted twice, 0 approved while not replicated."""
    ours_in(tmp_path)
    report = failover(FailoverOptions())
    assert report.is_clean, report.lines()
    assert len(report.rounds) == 70


def test_all_kinds_take_their_turns() -> None:
    """20 partitions are four of each of the five ways, among 50 kills, in an order of the seed."""
    kinds = kinds_of(FailoverOptions(), random.Random(1))
    assert kinds.count(KILL) == 50
    assert {kinds.count(kind) for kind in PARTITIONS} == {4}
    assert kinds == kinds_of(FailoverOptions(), random.Random(1))

"""What befalls a cluster during one round of the failover test, and when what of it was seen."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from zhiwei.bench.postgres.cluster import Cluster

#: Between two looks for commits that wait, while they are cancelled.
_BEAT_SECONDS: Final = 0.02


#: Of all partitions, those that last longer than a server's patience.
_LONG_SHARE: Final = 0.25


@dataclass
class Fate:
    """What befell, with instants of the monotonic clock in nanoseconds; 0 = it did not."""

    kind: str
    #: The primary was dead from here on.
    killed_ns: int = 0
    #: A new primary took writes from here on.
    promoted_ns: int = 0
    #: No standby had anything new from here on, seen from outside ...
    cut_ns: int = 0
    #: ... until here.
    joined_ns: int = 0
    #: Commits that were cancelled, or whose connection was ended, while they waited for a standby.
    cancelled: int = 0


def killed(cluster: Cluster, _rng: random.Random, fate: Fate) -> None:
    """The primary's machine is lost; the standby that has most is promoted."""
    cluster.primary.kill()
    fate.killed_ns = time.monotonic_ns()
    cluster.fail_over()
    fate.promoted_ns = time.monotonic_ns()
    cluster.rejoin()


def cut(cluster: Cluster, rng: random.Random, fate: Fate) -> None:
    """The standbys are cut off for a while; commits wait."""
    _cut(cluster, fate)
    time.sleep(_a_while(rng))
    _join(cluster, fate)


def cut_and_cancelled(cluster: Cluster, rng: random.Random, fate: Fate) -> None:
    """The standbys are cut off, and somebody cancels what waits: PostgreSQL answers "done"."""
    _cut(cluster, fate)
    _during(_a_while(rng), fate, cluster.cancel_waiting)
    _join(cluster, fate)


def cut_and_terminated(cluster: Cluster, rng: random.Random, fate: Fate) -> None:
    """The standbys are cut off, and somebody ends the connections that wait."""
    _cut(cluster, fate)
    _during(_a_while(rng), fate, cluster.terminate_waiting)
    _join(cluster, fate)


def cut_cancelled_and_killed(cluster: Cluster, rng: random.Random, fate: Fate) -> None:
    """The standbys are cut off, what waits is cancelled, and then the primary is lost.

    What it answered meanwhile exists nowhere any more.
    """
    _cut(cluster, fate)
    _during(_a_while(rng), fate, cluster.cancel_waiting)
    cluster.primary.kill()
    fate.killed_ns = time.monotonic_ns()
    # Who has most is asked before the receivers are dropped: a server that starts anew has to read
    # its log first.
    new = cluster.chosen()
    cluster.drop_receivers()
    cluster.fail_over(new)
    fate.promoted_ns = fate.joined_ns = time.monotonic_ns()
    cluster.rejoin()


def one_cut(cluster: Cluster, rng: random.Random, fate: Fate) -> None:
    """One standby of two is cut off for a while; the other is enough, and work goes on."""
    cluster.cut_standbys(frozenset({rng.choice(cluster.standbys).name}))
    time.sleep(_a_while(rng))
    cluster.reconnect_standbys()


#: The loss of a primary, and the partitions in the order in which they take turns.
KILL: Final = "killed"
PARTITIONS: Final[dict[str, Callable[[Cluster, random.Random, Fate], None]]] = {
    "cut, cancelled, killed": cut_cancelled_and_killed,
    "cut, cancelled": cut_and_cancelled,
    "cut": cut,
    "cut, terminated": cut_and_terminated,
    "one cut": one_cut,
}
FATES: Final = {KILL: killed, **PARTITIONS}


def _a_while(rng: random.Random) -> float:
    """Draw seconds: mostly few, now and then more than anybody waits for a commit."""
    return rng.uniform(6.0, 12.0) if rng.random() < _LONG_SHARE else rng.uniform(0.4, 1.5)


def _cut(cluster: Cluster, fate: Fate) -> None:
    cluster.cut_standbys()
    fate.cut_ns = time.monotonic_ns()


def _join(cluster: Cluster, fate: Fate) -> None:
    fate.joined_ns = time.monotonic_ns()
    cluster.reconnect_standbys()


def _during(seconds: float, fate: Fate, strike: Callable[[], int]) -> None:
    """Strike again and again, so that whatever waits is met."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        fate.cancelled += strike()
        time.sleep(_BEAT_SECONDS)

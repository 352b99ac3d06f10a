"""Who is compared on PostgreSQL: ours and the rivals, each on a cluster of its own, all set alike.

A cluster for each, not a database each: who waits for its turn is frozen with its whole database
server, so that one's checkpoints and vacuums are never in another's figures. Nor is what one left
to the kernel to write: before each run everything is written, and the tables are vacuumed.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from zhiwei.bench import contenders
from zhiwei.bench.generator import Pace
from zhiwei.bench.load import Load, run_apart
from zhiwei.bench.peers import pgbench
from zhiwei.bench.peers import postgres as tables
from zhiwei.bench.populate import populate
from zhiwei.bench.postgres.cluster import ROOMY, Cluster
from zhiwei.bench.postgres.node import await_that
from zhiwei.bench.postgres.serving import required_serve_option, serve_together
from zhiwei.bench.processes import Server, freeze, start, thaw
from zhiwei.bench.traffic import Plan
from zhiwei.bench.verdict import Verdict, together

#: In flight at once where everybody is compared at the same: connections with one message each.
FEW_IN_FLIGHT: Final = 64
#: Processes of ours. Measured on two cores, beside the database: one decides 9,100 a second, two
#: 13,300.
WORKERS: Final = 2
#: Processes of the FastAPI service. Measured on two cores, beside the database: one process decides
#: 660 a second with 4 connections and 610 with 8; two processes decide 400.
SERVICE_PROCESSES: Final = 1
SERVICE_CONNECTIONS: Final = 4
_DATABASE: Final = "bench"
#: Tables that begin empty outgrow autovacuum's thresholds every minute, and it then works for two
#: seconds, half of a run. So it is off, and everybody's tables are vacuumed before each run
#: instead, as pgbench does it.
SETTINGS: Final[Mapping[str, str]] = {**ROOMY, "autovacuum": "off"}


@dataclass(frozen=True)
class Entry:
    """One contender under one shape of load, and how it is measured."""

    name: str
    label: str
    #: Decisions on their way at once at saturation.
    in_flight: int
    #: Everything that is frozen while others run.
    pids: tuple[int, ...]
    #: Its database, which is put in order before each run.
    cluster: Cluster
    #: Measures once: so many seconds, so many decisions a second (0 = saturation).
    measure: Callable[[float, int], Verdict]

    def run(self, seconds: float, rate: int = 0) -> Verdict:
        """Measure once, awake only meanwhile."""
        thaw(self.pids)
        try:
            self.cluster.primary.ask("vacuum analyze", database=_DATABASE)
            # What is left in the kernel's memory is written half a minute later, in one go, and
            # whoever flushes his log then waits for it.
            os.sync()
            return self.measure(seconds, rate)
        finally:
            freeze(self.pids)


@dataclass(frozen=True)
class Stage:
    """Where the contenders live: a folder on a disk, and how many cards each of them knows."""

    folder: Path
    cards: int
    seed: int
    stack: ExitStack
    #: Files of PostgreSQL's log (16 MB) that each cluster has from the start.
    log_files: int = 1
    #: Numbers of runs: no two runs share an identity of a message.
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def cluster(self) -> Cluster:
        """Make a cluster that is taken down with the stage."""
        cluster = self.stack.enter_context(Cluster.make(self.folder, settings=SETTINGS))
        cluster.primary.lay_in_log(self.log_files)
        return cluster


def ours(stage: Stage) -> list[Entry]:
    """Our server on PostgreSQL, as one runs it on this machine, and what one process does.

    Raises `ServerFailedError` where this version cannot be served from a database.
    """
    required_serve_option()
    return [*_with_workers(stage), *_one_and_two(stage)]


def _with_workers(stage: Stage) -> list[Entry]:
    """Our server with its workers: full windows, and 64 messages in flight."""
    cluster = stage.cluster()
    url = cluster.primary.make_database(_DATABASE)
    data = stage.folder / "workers"
    populate(data, stage.cards, database=url)
    more = ("--database", url, "--workers", str(WORKERS))
    contender = contenders.ours(data, more=more, place=stage.folder)
    stage.stack.callback(contender.take_down)
    server = contender.server
    server.others = (cluster.primary.pid,)
    return [
        _over_the_wire(stage, "zhiwei", "zhiwei, 64 in flight on each of 16", cluster, server),
        _over_the_wire(
            stage, "zhiwei-64", "zhiwei, 64 in flight", cluster, server, (FEW_IN_FLIGHT, 1)
        ),
    ]


def _one_and_two(stage: Stage) -> list[Entry]:
    """One server of one process, and two of them on one database."""
    cluster = stage.cluster()
    url = cluster.primary.make_database(_DATABASE)
    data = stage.folder / "servers"
    populate(data, stage.cards, database=url)
    first, second = serve_together(data, url, 2, stage.stack)
    first.others = (cluster.primary.pid,)
    one = _over_the_wire(stage, "zhiwei-one", "zhiwei, one process", cluster, first)
    half = _over_the_wire(stage, "zhiwei-first", "zhiwei", cluster, first, (8, 64))
    other = _over_the_wire(stage, "zhiwei-second", "zhiwei", cluster, second, (8, 64))

    def both(seconds: float, rate: int) -> Verdict:
        with ThreadPoolExecutor(2) as generators:
            runs = generators.map(lambda one: one.measure(seconds, rate // 2), (half, other))
            return together(list(runs))

    label = "zhiwei, two servers of one process on one database"
    pids = (*one.pids, *other.pids)
    return [one, Entry("zhiwei-two", label, one.in_flight, pids, cluster, both)]


def fastapi(stage: Stage) -> list[Entry]:
    """Serve the service that one writes by hand, with 64 requests in flight."""
    cluster = stage.cluster()
    cluster.primary.make_database(_DATABASE)
    dsn = cluster.primary.dsn(_DATABASE)
    tables.fill(dsn, stage.cards)
    server = start(
        "fastapi",
        [
            *(sys.executable, "-m", "uvicorn", "zhiwei.bench.peers.fastapi_service:app"),
            *("--port", "0", "--workers", str(SERVICE_PROCESSES)),
            *("--no-access-log", "--loop", "uvloop"),
        ],
        r"running on http://[\d.]+:(\d+)",
        environment={
            **contenders.python_path(),
            "ZHIWEI_PEER_DSN": dsn,
            "ZHIWEI_PEER_CONNECTIONS": str(SERVICE_CONNECTIONS),
        },
        place=stage.folder,
        others=(cluster.primary.pid,),
    )
    stage.stack.callback(server.stop)
    await_that("the service takes requests", lambda: _is_healthy(server.port))
    label = "FastAPI + psycopg, one transaction each"
    shape = (FEW_IN_FLIGHT, 1)
    return [_over_the_wire(stage, "fastapi", label, cluster, server, shape, "/authorizations")]


def _is_healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).is_success
    except httpx.TransportError:
        return False


def plpgsql(stage: Stage) -> list[Entry]:
    """Drive the function inside the database by pgbench, in its three ways."""
    cluster = stage.cluster()
    cluster.primary.make_database(_DATABASE)
    pgbench.prepare(cluster.primary, _DATABASE, stage.cards)
    return [_by_pgbench(stage, cluster, way) for way in pgbench.WAYS.values()]


def _by_pgbench(stage: Stage, cluster: Cluster, way: pgbench.Way) -> Entry:
    def measure(seconds: float, rate: int) -> Verdict:
        return pgbench.drive(
            cluster.primary,
            _DATABASE,
            way,
            cards=stage.cards,
            seconds=seconds,
            folder=stage.folder,
            rate=rate,
            seed=stage.seed * 10_000 + next(stage.numbers),
        )

    pids = (cluster.primary.pid,)
    return Entry(f"plpgsql-{way.name}", way.label, way.in_flight, pids, cluster, measure)


def _over_the_wire(
    stage: Stage,
    name: str,
    label: str,
    cluster: Cluster,
    server: Server,
    shape: tuple[int, int] = (16, 64),
    path: str = "",
) -> Entry:
    """Measure a server by our own generator; `shape`: connections, and in flight on each."""
    connections, window = shape
    fastest = 1_000.0

    def measure(seconds: float, rate: int) -> Verdict:
        nonlocal fastest
        pace = Pace(seconds, rate, window, patience_seconds=20)
        while True:
            messages = int(rate * seconds) if rate else int(1.6 * fastest * seconds)
            plan = Plan(messages, connections, stage.cards, stage.seed, run=next(stage.numbers))
            load = Load(server.port, plan, pace, watched=tuple(server.pids), http_path=path)
            verdict = run_apart(load, server)
            fastest = max(fastest, verdict.decisions_per_second)
            # Messages are written before a run: too few, and it ended before its time.
            if not verdict.exhausted:
                return verdict
            fastest *= 2

    return Entry(name, label, connections * window, tuple(server.pids), cluster, measure)


#: Contenders by their name; ours comes first.
FIELD: Final[dict[str, Callable[[Stage], list[Entry]]]] = {
    "zhiwei": ours,
    "fastapi": fastapi,
    "plpgsql": plpgsql,
}

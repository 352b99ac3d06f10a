"""The PostgreSQL peer decides for real: its counters agree with what was answered."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from zhiwei.bench.generator import Pace
from zhiwei.bench.load import Load, run
from zhiwei.bench.postgres.cluster import Cluster
from zhiwei.bench.postgres.programs import programs
from zhiwei.bench.processes import start
from zhiwei.bench.traffic import Plan
from zhiwei.bench.verdict import Verdict

pytestmark = pytest.mark.skipif(programs() is None, reason="no PostgreSQL is installed")
COMMAND = [sys.executable, "-m", "zhiwei.bench.peers.postgres", "--cards", "200"]


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """A server of our own: how to connect to it."""
    with Cluster.make() as cluster:
        yield cluster.primary.dsn()


@pytest.fixture(scope="module")
def verdict(database: str) -> Verdict:
    """What 1,500 messages for 200 cards were answered."""
    server = start("postgres", [*COMMAND, "--dsn", database], r"postgres [\d.]+:(\d+)")
    try:
        return run(Load(server.port, Plan(1_500, 4, 200), Pace(60, window=8)))
    finally:
        server.stop()


def test_it_answers_everything_once(verdict: Verdict) -> None:
    """All messages are answered, repeats as their originals, approvals and refusals both."""
    assert verdict.clean
    assert set(verdict.codes) >= {"00", "01", "62"}


def test_counters_are_what_was_approved(verdict: Verdict, database: str) -> None:
    """For every card the day's counter is the sum of what stands approved, recounted in SQL."""
    import psycopg

    recount = """
    with counted as (
        select card_key, sum(amount) as amount, count(*) as times from decision d
         where counted and mti < '0300' and kind not like '31%%'
           and not exists (select from decision r where r.card_key = d.card_key and r.mti = '0420'
                            and r.amount = d.amount and r.kind = d.kind and r.version > d.version)
         group by card_key)
    select count(*) from card left join counted using (card_key)
     where day_used <> coalesce(amount, 0) or day_count <> coalesce(times, 0)
    """
    with psycopg.connect(database) as connection:
        wrong = connection.execute(recount.encode()).fetchone()
        versions = connection.execute(
            "select count(*) from card c where version <> (select count(*) from decision d "
            "where d.card_key = c.card_key)"
        ).fetchone()
    assert verdict.codes["00"] > 0
    assert versions == (0,)
    assert wrong == (0,)

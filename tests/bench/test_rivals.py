"""The rivals on PostgreSQL decide for real, and the same: by hand, and inside the database."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest

from zhiwei.bench import contenders
from zhiwei.bench.habits import STRIPE_THRESHOLD_MINOR
from zhiwei.bench.message import Framing, offsets_of
from zhiwei.bench.peers import pgbench
from zhiwei.bench.peers.postgres import Desk, card_key, fill, key_of_card
from zhiwei.bench.peers.postgres_rules import Question
from zhiwei.bench.postgres.cluster import Cluster
from zhiwei.bench.postgres.field import Stage, fastapi, ours, plpgsql
from zhiwei.bench.postgres.node import await_that
from zhiwei.bench.postgres.programs import programs
from zhiwei.bench.processes import ServerFailedError
from zhiwei.bench.traffic import Plan, compose

pytestmark = pytest.mark.skipif(programs() is None, reason="no PostgreSQL is installed")
CARDS = 200
COUNTERS = "select card_key, version, day_used, day_count, month_used, atm_day_used from card"
CALL = "select decide(%s, %s, %s, %s, %s, %s::bigint, %s, %s, %s, %s, %s::bigint)"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server with room for several databases."""
    with Cluster.make() as made:
        yield made


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A place for contenders that other users may enter, since PostgreSQL does not run as root."""
    folder = contenders.scratch_folder()
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        yield Stage(folder, CARDS, 1, stack)


def call_of(frame: bytes) -> tuple[object, ...]:
    """A message as the function inside the database takes it."""
    asked = Question.read(frame, offsets_of(frame, 90))
    numbers = (asked.identity, asked.original, asked.mti, asked.processing, asked.amount)
    place = (asked.mcc, asked.country, asked.region, asked.entry)
    return (card_key(asked.pan), *numbers, *place, STRIPE_THRESHOLD_MINOR)


def test_by_hand_and_inside_the_database_decide_the_same(cluster: Cluster) -> None:
    """1,500 messages, repeats and reversals among them: the same answers, the same counters."""
    by_hand, inside = (cluster.primary.make_database(name) for name in ("by_hand", "inside"))
    fill(by_hand, CARDS)
    pgbench.prepare(cluster.primary, "inside", CARDS, key_of_card)
    traffic = compose(Plan(1_500, 4, CARDS))
    frames = [traffic.row(row)[Framing().prefix_bytes :] for row in range(traffic.rows)]
    codes: Counter[str] = Counter()
    with (
        closing(Desk(by_hand)) as desk,
        psycopg.connect(inside, autocommit=True) as connection,
    ):
        for frame in frames:
            answer = desk.answer(frame)
            at = offsets_of(answer, 39)[39]
            told = connection.execute(CALL.encode(), call_of(frame)).fetchone()
            assert told == (answer[at : at + 2].decode(),), call_of(frame)
            codes[told[0]] += 1
    assert set(codes) >= {"00", "01", "45", "62"}
    counters = [sorted(cluster.primary.ask(COUNTERS, database=db)) for db in ("by_hand", "inside")]
    assert counters[0] == counters[1]


def test_a_changed_amount_under_the_same_identity_is_refused(cluster: Cluster) -> None:
    """Both rivals compare what a repeat asks with what was decided."""
    url = cluster.primary.make_database("changed")
    pgbench.prepare(cluster.primary, "changed", 1)
    key = pgbench.key_of_number(0)
    call = (key, "1", "", "0200", "000000", 100, "5411", "156", "", "812", STRIPE_THRESHOLD_MINOR)
    with psycopg.connect(url, autocommit=True) as connection:
        first = connection.execute(CALL.encode(), call).fetchone()
        again = connection.execute(CALL.encode(), call).fetchone()
        changed = connection.execute(CALL.encode(), (*call[:5], 200, *call[6:])).fetchone()
        stranger = connection.execute(CALL.encode(), (b"nobody", *call[1:])).fetchone()
    assert first == again
    assert (changed, stranger) == (("94",), ("14",))


def test_pgbench_draws_the_mix_of_the_bench(stage: Stage) -> None:
    """All three ways decide; what they drew has the parts of the bench's traffic."""
    cluster = stage.cluster()
    cluster.primary.make_database("bench")
    pgbench.prepare(cluster.primary, "bench", CARDS)
    for number, way in enumerate(pgbench.WAYS.values()):
        verdict = pgbench.drive(
            cluster.primary,
            "bench",
            way,
            cards=CARDS,
            seconds=1,
            folder=stage.folder,
            seed=number + 1,
        )
        assert verdict.decisions_per_second > 0
        assert verdict.sent >= sum(verdict.codes.values()) > 0
        assert verdict.codes["00"] > 0.8 * sum(verdict.codes.values())
    ask = cluster.primary.ask
    ((total, inquiries, cash, reversals),) = ask(
        "select count(*), count(*) filter (where kind like '31%'),"
        " count(*) filter (where kind like '01%'), count(*) filter (where mti = '0420')"
        " from decision",
        database="bench",
    )
    assert 0.03 < inquiries / total < 0.09
    assert 0.05 < cash / total < 0.13
    assert 0.005 < reversals / total < 0.025
    wrong = ask(
        "with counted as (select card_key, count(*) filter (where mti < '0300')"
        " - count(*) filter (where mti = '0420') as times from decision"
        " where counted and kind not like '31%' group by card_key)"
        " select count(*) from card left join counted using (card_key)"
        " where day_count <> coalesce(times, 0)",
        database="bench",
    )
    # Of a reversal whose original was refused nothing is given back.
    refused = ask("select count(*) from decision where not counted", database="bench")
    assert wrong[0][0] <= refused[0][0]


def test_the_service_by_hand_answers_everything_once(stage: Stage) -> None:
    """FastAPI under uvicorn, by the HTTP generator: at saturation, and at a rate."""
    (entry,) = fastapi(stage)
    assert entry.in_flight == 64
    full = entry.run(1.5)
    assert full.clean, full
    assert set(full.codes) >= {"00", "62"}
    assert full.decisions_per_second > 0
    steady = entry.run(1.5, 100)
    assert steady.clean, steady
    assert steady.planned_per_second == 100
    assert steady.latency_us["p50"] > 0


def test_who_waits_is_frozen(stage: Stage) -> None:
    """Outside its turn a contender's database stands still, and its turn ends that."""
    entries = plpgsql(stage)
    assert [entry.name.removeprefix("plpgsql-") for entry in entries] == list(pgbench.WAYS)
    entries[0].run(1)
    stat = Path(f"/proc/{entries[0].pids[0]}/stat")
    # A process in the middle of a write stops when that is done.
    await_that("it stands", lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
    assert entries[0].run(1).sent > 0


def test_ours_says_when_it_is_not_there(stage: Stage, tmp_path: Path) -> None:
    """A version without a store on PostgreSQL is told apart from one that failed."""
    package = tmp_path / "zhiwei"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("print('Usage: zhiwei serve --data PATH')")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contenders, "python_path", lambda: {"PYTHONPATH": str(tmp_path)})
        with pytest.raises(ServerFailedError, match="no `zhiwei serve --database`"):
            ours(stage)

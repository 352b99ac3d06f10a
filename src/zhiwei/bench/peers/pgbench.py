"""Peer: the decision as a PL/pgSQL function (`decide.sql`), driven by PostgreSQL's own pgbench.

As near as a client can come to what the database itself can do: prepared statements, one call for
each decision, a driver written in C that decides, checks and understands nothing. It draws cards,
places, amounts, repeats and reversals as the bench's traffic does (`scenes`), and uses three ways:

- `clients`: 64 connections with one call in flight on each, one transaction for each decision;
- `pipelined`: one transaction for each decision too, 32 of them sent before an answer is read;
- `batched`: 32 decisions in one transaction, as a service would do that gathers them. No service
  stands before it that would gather them. Each connection has cards of its own, so that none waits
  for another's, which no service can promise.

What it does not do: it reads no messages and answers nobody (there is no door), its keys are a hash
without a secret, repeats and reversals follow their original at once, and answers are counted in
the tables afterwards, not compared. Its rules are those of the other peers, without what
`decide.sql` says it leaves out.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import psycopg

from zhiwei.bench.cards import PROVINCES
from zhiwei.bench.habits import CHIPLESS_FROM, STRIPE_THRESHOLD_MINOR
from zhiwei.bench.peers.postgres import fill
from zhiwei.bench.postgres.node import Node
from zhiwei.bench.postgres.programs import required_programs
from zhiwei.bench.processes import ServerFailedError, cpu_seconds, stolen_seconds
from zhiwei.bench.scenes import (
    ABROAD,
    ABROAD_PER_MILLE,
    BY_STRIPE,
    ELSEWHERE_PER_MILLE,
    MERCHANTS_A_PLACE,
    REPEATS_PER_MILLE,
    REVERSALS_PER_MILLE,
    SCENES,
    STRIPE_PURCHASE,
)
from zhiwei.bench.verdict import Verdict, quantile

#: Decisions that a pipeline holds.
DEPTH: Final = 32
#: More messages than one client sends in all runs together: the room for its identities.
_NUMBERS_A_CLIENT: Final = 10**12
#: What a run cannot be shorter than: pgbench counts whole seconds.
SHORTEST_SECONDS: Final = 1


@dataclass(frozen=True)
class Way:
    """How pgbench drives the function."""

    name: str
    label: str
    clients: int
    #: Decisions sent together.
    depth: int = 1
    #: Whether what is sent together is one transaction.
    is_batch: bool = False

    @property
    def in_flight(self) -> int:
        """Decisions that are on their way at once."""
        return self.clients * self.depth


WAYS: Final[dict[str, Way]] = {
    one.name: one
    for one in (
        Way("clients", "PL/pgSQL by pgbench, 64 clients", 64),
        Way("pipelined", f"PL/pgSQL by pgbench, {DEPTH} pipelined by 16 clients", 16, DEPTH),
        Way("batched", f"PL/pgSQL by pgbench, {DEPTH} in a transaction", 16, DEPTH, is_batch=True),
    )
}


def key_of_number(card: int) -> bytes:
    """Return the key of a card as pgbench can have it made: a hash of the card's number."""
    return hashlib.sha256(card.to_bytes(8, "big")).digest()


def prepare(
    node: Node, database: str, cards: int, key_of: Callable[[int], bytes] = key_of_number
) -> None:
    """Make tables, cards and function in a database."""
    fill(node.dsn(database), cards, key_of)
    with psycopg.connect(node.dsn(database)) as connection:
        function = files("zhiwei.bench.peers").joinpath("decide.sql").read_text()
        connection.execute(function.encode())


def script_of(way: Way, cards: int) -> str:
    """Write pgbench's script for one turn of one client."""
    lines = [_one_decision(way, cards)] * way.depth
    if way.depth == 1:
        return lines[0]
    return "\\startpipeline\n" + "".join(lines) + "\\endpipeline\n"


def _one_decision(way: Way, cards: int) -> str:
    """Draw one message and send it; what was drawn stays, so that it can be repeated."""
    owned = max(1, cards // way.clients)
    card = (
        f"random(0, {owned - 1}) * {way.clients} + :client_id"
        if way.is_batch
        else f"random(0, {cards - 1})"
    )
    fresh = [
        ("card", card),
        ("n", ":n + 1"),
        ("original", "0"),
        ("number", f":client_id * {_NUMBERS_A_CLIENT} + :n"),
        ("drawn", "random(1, 1000)"),
        *_drawn_scene(),
        ("place", "random(0, 999)"),
        ("home", "((:card * 2654435761) >> 7) % 27"),
        ("place", _case(_places(), ":home")),
        ("mti", "200"),
    ]
    taken_back = [("original", ":number"), ("n", ":n + 1"), ("mti", "420")]
    taken_back += [("number", f":client_id * {_NUMBERS_A_CLIENT} + :n")]
    own = not way.is_batch and way.depth > 1
    return "".join(
        [
            "\\set chance random(1, 1000)\n",
            f"\\if :number = 0 or :chance > {REPEATS_PER_MILLE + REVERSALS_PER_MILLE}\n",
            *_sets(fresh),
            f"\\elif :chance > {REPEATS_PER_MILLE} and :mti = 200 and :amount > 0\n",
            *_sets(taken_back),
            "\\endif\n",
            "begin;\n" if own else "",
            _CALL,
            "commit;\n" if own else "",
        ]
    )


def _drawn_scene() -> list[tuple[str, str]]:
    """Draw what is done, and for how much; a card without a chip is swiped instead of read."""
    highs = list(accumulate(scene.weight for scene in SCENES))
    ranges = [
        (f"(:drawn > {high - scene.weight} and :drawn <= {high})", scene)
        for high, scene in zip(highs, SCENES, strict=True)
    ]
    has_no_chip = f"((:card * 2654435761) >> 15) % 100 >= {CHIPLESS_FROM}"
    wants_chip = " or ".join(test for test, scene in ranges if scene.name in BY_STRIPE)
    swiped = f"({has_no_chip}) and ({wants_chip})"
    choices = [(swiped, STRIPE_PURCHASE), *ranges]

    def told(name: str) -> str:
        return _case([(test, int(getattr(scene, name))) for test, scene in choices], "0")

    return [
        ("mcc", told("mcc")),
        ("kind", told("processing")),
        ("entry", told("entry")),
        ("step", told("step_minor")),
        ("median", told("median_minor")),
        ("amount", "int(:median * exp(0.8 * random_gaussian(-4000, 4000, 4.0) / 1000.0))"),
        ("amount", "least(99999999, greatest(:step, :amount / :step * :step))"),
        ("amount", "case when :median = 0 then 0 else :amount end"),
    ]


def _places() -> list[tuple[str, str]]:
    """Where a card acts: abroad, elsewhere, or (otherwise) at home."""
    other = f"(:home + 1 + random(0, {MERCHANTS_A_PLACE - 1})) % {len(PROVINCES)}"
    return [
        (f":place < {ABROAD_PER_MILLE}", f"{len(PROVINCES)} + random(0, {len(ABROAD) - 1})"),
        (f":place < {ABROAD_PER_MILLE + ELSEWHERE_PER_MILLE}", other),
    ]


def _case(values: list[tuple[str, Any]], otherwise: str) -> str:
    whens = " ".join(f"when {test} then {value}" for test, value in values)
    return f"case {whens} else {otherwise} end"


def _sets(values: list[tuple[str, str]]) -> list[str]:
    return [f"\\set {name} {value}\n" for name, value in values]


def _array(words: list[str]) -> str:
    return "array[" + ", ".join(f"'{word}'" for word in words) + "]"


#: pgbench knows numbers only; texts are made of them by the call. Constant arrays cost next to
#: nothing.
_CALL: Final = (
    "select decide("
    "sha256(int8send(:card)), :number, :original, lpad(:mti, 4, '0'), lpad(:kind, 6, '0'), "
    ":amount, lpad(:mcc, 4, '0'), "
    f"coalesce(({_array(list(ABROAD))})[:place - {len(PROVINCES) - 1}], '156'), "
    f"coalesce(({_array([province for province, _region in PROVINCES])})[:place + 1], ''), "
    f"lpad(:entry, 3, '0'), {STRIPE_THRESHOLD_MINOR});\n"
)


def drive(
    node: Node,
    database: str,
    way: Way,
    *,
    cards: int,
    seconds: float,
    folder: Path,
    rate: int = 0,
    seed: int = 1,
) -> Verdict:
    """Run pgbench once, at saturation or at `rate` decisions a second; return what it showed.

    `folder` takes the script and the log of every turn. Raises `ServerFailedError` with what
    pgbench said where it fails.
    """
    script = folder / f"{way.name}.sql"
    script.write_text(script_of(way, cards))
    log = folder / f"{way.name}-log"
    for old in folder.glob(f"{log.name}.*"):
        old.unlink()
    whole = max(SHORTEST_SECONDS, round(seconds))
    command = [
        *(str(required_programs() / "pgbench"), "-h", str(node.folder), "-U", "bench"),
        *("-n", "-M", "prepared", "-f", str(script), "-D", f"n={seed_number(seed)}"),
        *("-D", "mti=200", "-D", "amount=0", "-D", "number=0", "-D", "card=0"),
        *("-c", str(way.clients), "-j", "1", "-T", str(whole), f"--random-seed={seed}"),
        *("-l", f"--log-prefix={log}"),
    ]
    if rate:
        command.append(f"--rate={rate / way.depth}")
    before = counted(node, database)
    server, load, stolen = cpu_seconds([node.pid]), _children_seconds(), stolen_seconds()
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program
        [*command, database], capture_output=True, text=True, check=False
    )
    server, load = cpu_seconds([node.pid]) - server, _children_seconds() - load
    stolen = stolen_seconds() - stolen
    if done.returncode:
        raise ServerFailedError(f"pgbench failed: {done.stderr[-600:]}")
    told = {code: count - before.get(code, 0) for code, count in counted(node, database).items()}
    turns = _turns(folder, log.name)
    cost = {"load": load, "server": server, "all": load + server}
    return _verdict(turns, way, whole, rate, cost, told, stolen)


def seed_number(seed: int) -> int:
    """Where the numbers of a run's messages begin, so that no two runs share an identity."""
    return 1 + seed * 1_000_000


def counted(node: Node, database: str) -> dict[str, int]:
    """Count what was decided so far, by response code."""
    rows = node.ask("select code, count(*) from decision group by code", database=database)
    return {str(code): int(count) for code, count in rows}


def _children_seconds() -> float:
    """CPU time of the programs that this one started and has waited for."""
    times = os.times()
    return times.children_user + times.children_system


def _turns(folder: Path, prefix: str) -> list[tuple[int, int]]:
    """Read pgbench's log: when each turn ended, and how long it took, in microseconds."""
    turns = []
    for path in folder.glob(f"{prefix}.*"):
        for line in path.read_text().splitlines():
            _client, _number, took, _script, second, micros, *_more = line.split()
            turns.append((int(second) * 1_000_000 + int(micros), int(took)))
    turns.sort()
    return turns


def _verdict(
    turns: list[tuple[int, int]],
    way: Way,
    seconds: int,
    rate: int,
    cost: dict[str, float],
    codes: dict[str, int],
    stolen: float,
) -> Verdict:
    """Put a run into figures as our own generator's are: the first fifth is left out."""
    start = turns[0][0] - turns[0][1] if turns else 0
    first, last = start + seconds * 200_000, start + seconds * 1_000_000
    inside = [took for at, took in turns if first <= at < last]
    counted_seconds = (last - first) / 1e6
    ordered = sorted(inside)
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
    latency = {name: quantile(ordered, share) for name, share in shares.items()}
    latency["max"] = ordered[-1] if ordered else 0
    thousands = max(1, len(turns) * way.depth) / 1000
    return Verdict(
        mode="rate" if rate else "saturation",
        planned_per_second=rate,
        decisions_per_second=round(len(inside) * way.depth / counted_seconds, 1),
        latency_us=latency,
        cpu_per_thousand={whose: round(took / thousands, 6) for whose, took in cost.items()},
        counted_seconds=counted_seconds,
        sent=len(turns) * way.depth,
        answered=len(turns) * way.depth,
        unanswered=0,
        unexpected=0,
        duplicates=0,
        differing_repeats=0,
        connections_lost=0,
        codes={code: count for code, count in codes.items() if count},
        stolen_percent=round(100 * stolen / seconds / (os.cpu_count() or 1), 2),
    )

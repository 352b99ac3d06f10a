"""The comparison on PostgreSQL: ours and its rivals in turn on one machine, round after round.

All have the same settings of PostgreSQL and draw from the same mix. Whoever waits for its turn is
frozen, its database with it. Every run is kept and shown; the order within a round changes.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from zhiwei.bench import contenders
from zhiwei.bench.postgres.cluster import DURABLE
from zhiwei.bench.postgres.field import FIELD, SETTINGS, Entry, Stage
from zhiwei.bench.postgres.programs import required_programs, run_program
from zhiwei.bench.postgres.reaper import reaped
from zhiwei.bench.postgres.standing import Standing
from zhiwei.bench.processes import ServerFailedError, freeze
from zhiwei.bench.report import Series, machine

#: What the report says about every cluster.
_TOLD: Final = (
    *("fsync", "synchronous_commit", "full_page_writes", "shared_buffers"),
    *("min_wal_size", "max_wal_size", "autovacuum"),
)
#: Files of its log (16 MB) that a contender fills in a second of its runs, at most.
_LOG_FILES_A_SECOND: Final = 5
#: Whose latency at half load says nothing, or is not asked for: a turn of 32 is one latency.
_NO_HALF: Final = frozenset({"plpgsql-pipelined", "plpgsql-batched", "zhiwei-two"})


@dataclass(frozen=True)
class Options:
    """How much to measure; the defaults end in about six minutes."""

    rounds: int = 5
    #: Seconds of one run, of which the first fifth is left out.
    seconds: float = 4.0
    cards: int = 10_000
    seed: int = 1
    #: Who takes part, of zhiwei, fastapi, plpgsql.
    contenders: tuple[str, ...] = tuple(FIELD)


#: For a look in between: one round of short runs.
QUICK: Final = Options(rounds=1, seconds=2.0)


class Comparison:
    """One call; `run` gives how everybody stands."""

    def __init__(self, options: Options, say: Callable[[str, int, int], None]) -> None:
        """Plan the work; `say` is told what goes on, how many runs are done, and of how many."""
        self._options: Final = options
        self._say: Final = say
        self._random: Final = random.Random(options.seed)  # noqa: S311 - an order, not a secret
        self._standing: Final = Standing(machine(), dataclasses.asdict(options))
        self._done = 0

    def run(self) -> Standing:
        """Measure everything; cleans up whatever happens."""
        self._standing.settings.update({"PostgreSQL": _version()})
        self._standing.settings.update({key: {**DURABLE, **SETTINGS}[key] for key in _TOLD})
        is_compiled = contenders.is_compiled()
        self._standing.machine["hot modules"] = "compiled" if is_compiled else "plain Python"
        with reaped(contenders.scratch_folder()) as folder, ExitStack() as stack:
            self._standing.machine["disk"] = contenders.file_system_of(str(folder))
            options = self._options
            log_files = round(options.rounds * options.seconds * _LOG_FILES_A_SECOND)
            self._standing.settings["files of the log at hand"] = str(log_files)
            self._measure(Stage(folder, options.cards, options.seed, stack, log_files))
        return self._standing

    def _measure(self, stage: Stage) -> None:
        field = self._enter(stage)
        halves = [entry for entry in field if entry.name not in _NO_HALF]
        total = self._options.rounds * (len(field) + len(halves))
        for entry in self._turns(field, "saturation", total):
            series = _series(self._standing.saturation, entry)
            series.runs.append(entry.run(self._options.seconds))
        for entry in halves:
            rate = max(1, int(self._standing.rate(entry.name) / 2))
            self._standing.half_rates[entry.name] = rate
        for entry in self._turns(halves, "half load", total):
            series = _series(self._standing.half, entry)
            rate = self._standing.half_rates[entry.name]
            series.runs.append(entry.run(self._options.seconds, rate))

    def _enter(self, stage: Stage) -> list[Entry]:
        """Start everybody who can be started, and freeze them."""
        field = []
        for name in self._options.contenders:
            self._say(f"starting {name}", 0, 0)
            try:
                entries = FIELD[name](stage)
            except ServerFailedError as error:
                self._standing.skipped[name] = str(error)
                continue
            for entry in entries:
                freeze(entry.pids)
                _series(self._standing.saturation, entry)
            field += entries
        return field

    def _turns(self, field: list[Entry], what: str, total: int) -> Iterator[Entry]:
        """Everybody's turns, round after round."""
        for number in range(self._options.rounds):
            order = list(field)
            self._random.shuffle(order)
            for entry in order:
                words = f"{what}, round {number + 1} of {self._options.rounds}: {entry.label}"
                self._say(words, self._done, total)
                yield entry
                self._done += 1


def _series(kept: dict[str, Series], entry: Entry) -> Series:
    return kept.setdefault(entry.name, Series(entry.name, entry.label))


def _version() -> str:
    return run_program([str(required_programs() / "postgres"), "--version"]).split()[2]

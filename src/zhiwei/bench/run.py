"""The bench itself: all contenders in turn on one machine, in one go, round after round.

Contenders that wait for their turn are frozen (SIGSTOP), so that their housekeeping costs nobody
else. Every run is kept and shown. The order within a round changes from round to round.
"""

from __future__ import annotations

import dataclasses
import random
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import Progress

from zhiwei.bench import contenders
from zhiwei.bench.contenders import Contender
from zhiwei.bench.generator import Pace
from zhiwei.bench.load import Load, run_apart
from zhiwei.bench.populate import populate
from zhiwei.bench.processes import ServerFailedError, resident_bytes
from zhiwei.bench.report import Report, Series, machine
from zhiwei.bench.traffic import Plan
from zhiwei.bench.verdict import Verdict

#: Messages written for the first run of a contender, whose rate is not known yet.
_FIRST_MESSAGES: Final = 250_000
_SERIES_MESSAGES_MAX: Final = 900_000


@dataclass(frozen=True)
class Options:
    """How much to measure; the defaults end in under ten minutes."""

    rounds: int = 5
    #: Seconds of one run, of which the first fifth is left out.
    seconds: float = 4.0
    cards: int = 10_000
    #: 0 leaves the comparison with many cards out.
    many_cards: int = 1_000_000
    connections: int = 16
    window: int = 64
    seed: int = 1
    #: Peers that take part, of iso8583sim, echo, echo-uvloop, postgres.
    peers: tuple[str, ...] = ("iso8583sim", "echo", "echo-uvloop", "postgres")
    #: Whether the server is also measured without its compiled modules.
    interpreted: bool = True


#: For a look in between: one round of short runs.
QUICK: Final = Options(rounds=1, seconds=2.0, many_cards=0, interpreted=False)


class Bench:
    """One call of the bench; `run` gives its report."""

    def __init__(self, options: Options, progress: Progress) -> None:
        """Plan the work; nothing is started yet."""
        self._options: Final = options
        self._progress: Final = progress
        self._task: Final = progress.add_task("bench", total=None)
        self._run_number = 0
        self._random: Final = random.Random(options.seed)  # noqa: S311 - an order, not a secret
        self._report: Final = Report(machine(), dataclasses.asdict(options))

    def run(self) -> Report:
        """Measure everything that was asked for; cleans up whatever happens."""
        folder = contenders.scratch_folder()
        self._report.machine["disk"] = contenders.file_system_of(str(folder))
        self._report.machine["hot modules"] = (
            "compiled" if contenders.is_compiled() else "plain Python"
        )
        try:
            self._compare(folder)
            if self._options.interpreted and contenders.is_compiled():
                self._run_interpreted(folder)
            if self._options.many_cards:
                self._run_many_cards(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return self._report

    def _compare(self, folder: Path) -> None:
        """Run all contenders in turn at saturation, then ours at half its maximum."""
        options = self._options
        data = folder / "few"
        self._fill(data, options.cards)
        before = _bytes_in(data)
        self._report.sizes["bytes_per_card_on_disk"] = before / options.cards
        with ExitStack() as stack:
            field = self._enter(folder, data, stack)
            for number in range(options.rounds):
                order = list(field)
                self._random.shuffle(order)
                for contender in order:
                    series = self._series(contender)
                    self._say(f"round {number + 1} of {options.rounds}: {contender.label}")
                    series.runs.append(self._saturate(contender, series, options.cards))
            ours = field[0]
            self._at_half(ours)
            self._report.sizes["resident_megabytes"] = resident_bytes(ours.server.process.pid) / 1e6
        decided = sum(run.answered for run in self._our_runs())
        self._report.sizes["bytes_per_decision_on_disk"] = (_bytes_in(data) - before) / decided

    def _our_runs(self) -> list[Verdict]:
        series = [self._report.saturation["zhiwei"], self._report.half]
        return [run for one in series if one is not None for run in one.runs]

    def _enter(self, folder: Path, data: Path, stack: ExitStack) -> list[Contender]:
        """Start ours and every peer that can be started; freeze them all."""
        starts: dict[str, Callable[[], Contender]] = {
            "iso8583sim": lambda: contenders.simulator(folder),
            "echo": contenders.echo,
            "echo-uvloop": lambda: contenders.echo(uvloop=True),
            "postgres": lambda: contenders.postgres(folder, self._options.cards),
        }
        field = [contenders.ours(data)]
        stack.callback(field[0].take_down)
        for name in self._options.peers:
            self._say(f"starting {name}")
            try:
                peer = starts[name]()
            except ServerFailedError as error:
                self._report.skipped[name] = str(error)
                continue
            stack.callback(peer.take_down)
            field.append(peer)
        for contender in field:
            contender.server.freeze()
        return field

    def _series(self, contender: Contender) -> Series:
        return self._report.saturation.setdefault(
            contender.name, Series(contender.name, contender.label)
        )

    def _saturate(self, contender: Contender, series: Series, cards: int) -> Verdict:
        """One run at saturation; again with more messages where they did not last for its time."""
        seconds = self._options.seconds
        messages = _FIRST_MESSAGES
        if series.runs:
            expected = max(run.decisions_per_second for run in series.runs) * seconds * 1.3
            messages = int(min(max(expected, 5_000), _SERIES_MESSAGES_MAX))
        pace = Pace(seconds, window=self._options.window)
        while True:
            run = self._measure(contender, pace, messages, cards)
            if not run.exhausted or messages == _SERIES_MESSAGES_MAX:
                return run
            messages = min(2 * messages, _SERIES_MESSAGES_MAX)

    def _at_half(self, ours: Contender) -> None:
        """Ours at half its own maximum: latency from the planned instant, every run kept."""
        rate = max(1, int(self._series(ours).rate / 2))
        self._report.half_rate = rate
        self._report.half = Series(ours.name, f"{ours.label}, half load")
        for number in range(self._options.rounds):
            self._say(f"half load, {rate:,}/s: run {number + 1} of {self._options.rounds}")
            pace = Pace(self._options.seconds, rate=rate)
            messages = int(rate * self._options.seconds)
            run = self._measure(ours, pace, messages, self._options.cards)
            self._report.half.runs.append(run)

    def _run_interpreted(self, folder: Path) -> None:
        """Ours as plain Python, on a data directory of its own."""
        data = folder / "plain-data"
        self._fill(data, self._options.cards)
        before = _bytes_in(data)
        package = contenders.plain_copy(folder)
        ours = contenders.ours(data, name="zhiwei, plain Python", package=package)
        ours.server.freeze()
        self._report.interpreted = Series(ours.name, "zhiwei, not compiled")
        try:
            for _ in range(min(3, self._options.rounds)):
                self._say("plain Python")
                series = self._report.interpreted
                series.runs.append(self._saturate(ours, series, self._options.cards))
            self._report.sizes["resident_megabytes_plain_python"] = (
                resident_bytes(ours.server.process.pid) / 1e6
            )
        finally:
            ours.take_down()
        decided = sum(run.answered for run in self._report.interpreted.runs)
        self._report.sizes["bytes_per_decision_on_disk_plain_python"] = (
            _bytes_in(data) - before
        ) / decided

    def _run_many_cards(self, folder: Path) -> None:
        """Ours with many cards and with few, in turn."""
        many = self._options.many_cards
        self._fill(folder / "many", many)
        self._report.sizes["bytes_per_card_on_disk_many"] = _bytes_in(folder / "many") / many
        begun = time.monotonic()
        large = contenders.ours(folder / "many", name="many cards")
        self._report.sizes["many_cards_ready_seconds"] = time.monotonic() - begun
        small = contenders.ours(folder / "few", name="few cards")
        pairs = [(small, self._options.cards), (large, many)]
        series = [Series(c.name, f"zhiwei, {cards:,} cards") for c, cards in pairs]
        self._report.few_cards, self._report.many_cards = series
        try:
            for contender, _cards in pairs:
                contender.server.freeze()
            for _ in range(min(3, self._options.rounds)):
                for (contender, cards), one in zip(pairs, series, strict=True):
                    self._say(f"{cards:,} cards")
                    one.runs.append(self._saturate(contender, one, cards))
            few_bytes, many_bytes = (resident_bytes(c.server.process.pid) for c, _cards in pairs)
            sizes = self._report.sizes
            sizes["resident_megabytes_many_cards"] = many_bytes / 1e6
            sizes["resident_bytes_per_card"] = (many_bytes - few_bytes) / (
                many - self._options.cards
            )
        finally:
            for contender, _cards in pairs:
                contender.take_down()

    def _fill(self, data: Path, cards: int) -> None:
        task = self._progress.add_task(f"registering {cards:,} cards", total=cards)
        populate(
            data,
            cards,
            progress=lambda done: self._progress.update(task, completed=done),
        )
        self._progress.remove_task(task)

    def _measure(self, contender: Contender, pace: Pace, messages: int, cards: int) -> Verdict:
        """Run the load generator once, as a program of its own, against one contender."""
        options = self._options
        self._run_number += 1
        plan = Plan(messages, options.connections, cards, options.seed, run=self._run_number)
        load = Load(contender.server.port, plan, pace, watched=tuple(contender.server.pids))
        contender.server.thaw()
        try:
            return run_apart(load, contender.server)
        finally:
            contender.server.freeze()

    def _say(self, what: str) -> None:
        self._progress.update(self._task, description=what)


def bench(options: Options, console: Console) -> Report:
    """Run the bench with a progress display on `console`, and return its report."""
    with Progress(console=console, transient=True) as progress:
        return Bench(options, progress).run()


def _bytes_in(folder: Path) -> int:
    """Add up the sizes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

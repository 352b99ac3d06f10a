"""How the contenders on PostgreSQL stand: every run, medians, ratios, and what is required."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from zhiwei.bench.report import Series

#: What is required of ours, against the medians of one call.
TIMES_FASTAPI: Final = 12.0
TIMES_PIPELINED: Final = 2.0
SHARE_OF_TWO_SERVERS: Final = 0.9
P99_AT_HALF_US: Final = 20_000
#: Columns of a report that is not shown on a terminal.
_WIDTH: Final = 144
#: How many requirements there are when everybody was measured.
_REQUIREMENTS: Final = 7
_QUANTILES: Final = ("p50", "p99", "p99.9", "max")


@dataclass(frozen=True)
class Requirement:
    """One thing that is required: its sentence, what was found, and whether that is enough."""

    wanted: str
    found: float
    unit: str
    is_met: bool


@dataclass
class Standing:
    """Everything that one call found out."""

    machine: dict[str, str]
    options: dict[str, object]
    #: What every cluster is set to, as the servers themselves say.
    settings: dict[str, str] = field(default_factory=dict)
    #: Contenders that could not take part, and why.
    skipped: dict[str, str] = field(default_factory=dict)
    #: Interleaved rounds, by contender: at saturation, and at half of its own median.
    saturation: dict[str, Series] = field(default_factory=dict)
    half: dict[str, Series] = field(default_factory=dict)
    half_rates: dict[str, int] = field(default_factory=dict)

    def rate(self, name: str) -> float:
        """The median of decisions a second of a contender, 0 where it was not measured."""
        series = self.saturation.get(name)
        return series.rate if series is not None else 0.0

    def times(self, name: str, ours: str = "zhiwei") -> float | None:
        """How many times as many decisions a second as another contender ours makes."""
        if not self.rate(ours) or not self.rate(name):
            return None
        return self.rate(ours) / self.rate(name)

    def requirements(self) -> list[Requirement]:
        """List what is required of ours, as far as it was measured."""
        found = []
        for name, times, words in (
            ("fastapi", TIMES_FASTAPI, "FastAPI + psycopg, one transaction each"),
            ("plpgsql-pipelined", TIMES_PIPELINED, "a PL/pgSQL function by pgbench, pipelined"),
        ):
            ratio = self.times(name)
            if ratio is not None:
                wanted = f"decisions/s against {words}: at least {times:g} times"
                found.append(Requirement(wanted, round(ratio, 2), "times", ratio >= times))
        for name, words in (
            ("fastapi", "FastAPI + psycopg"),
            ("plpgsql-clients", "a PL/pgSQL function by pgbench"),
        ):
            ratio = self.times(name, "zhiwei-64")
            if ratio is not None:
                wanted = f"decisions/s with 64 in flight against {words}: more"
                found.append(Requirement(wanted, round(ratio, 2), "times", ratio > 1))
        share = self.times("zhiwei-one", "zhiwei-two")
        if share is not None:
            wanted = f"two servers on one database against one: at least {SHARE_OF_TWO_SERVERS:g}"
            met = share >= SHARE_OF_TWO_SERVERS
            found.append(Requirement(wanted, round(share, 2), "times", met))
        half = self.half.get("zhiwei")
        if half is not None and half.runs:
            wanted = f"p99 at half of its own maximum: at most {P99_AT_HALF_US / 1000:g} ms"
            p99 = half.p99_us
            found.append(Requirement(wanted, p99 / 1000, "ms", p99 <= P99_AT_HALF_US))
        faulty = self._faulty_runs_of_ours()
        if faulty is not None:
            wanted = "runs of ours in which an answer was missing, strange or given twice: none"
            found.append(Requirement(wanted, faulty, "runs", faulty == 0))
        return found

    def _faulty_runs_of_ours(self) -> int | None:
        series = [one for name, one in self._all() if name.startswith("zhiwei")]
        runs = [run for one in series for run in one.runs]
        return sum(not run.clean for run in runs) if runs else None

    @property
    def is_met(self) -> bool:
        """Whether ours was measured and is all that is required."""
        found = self.requirements()
        return len(found) == _REQUIREMENTS and all(one.is_met for one in found)

    def everything(self) -> dict[str, Any]:
        """Return it all as JSON holds it."""
        told = dataclasses.asdict(self)
        told["medians"] = {
            name: {
                "decisions_per_second": series.rate,
                "ours_is_times": self.times(name),
                "half_load_p99_us": self.half[name].p99_us if name in self.half else None,
            }
            for name, series in self.saturation.items()
        }
        told["requirements"] = [dataclasses.asdict(one) for one in self.requirements()]
        told["met"] = self.is_met
        return told

    def _all(self) -> Iterable[tuple[str, Series]]:
        yield from self.saturation.items()
        yield from self.half.items()


def show(standing: Standing, console: Console) -> None:
    """Print everything for people."""
    if not console.is_terminal:
        # A file has no edge; figures must not be cut.
        console.width = max(console.width, _WIDTH)
    console.print(" · ".join(standing.machine.values()), style="dim")
    told = ", ".join(f"{name} {value}" for name, value in standing.settings.items())
    console.print(f"every cluster: {told}", style="dim", markup=False)
    for name, why in standing.skipped.items():
        console.print(f"not measured: {name}: {why}", style="bold yellow", markup=False)
    _show_runs(standing, console)
    _show_medians(standing, console)
    for one in standing.requirements():
        style = "green" if one.is_met else "bold red"
        verdict = "met" if one.is_met else "NOT met"
        line = f"{verdict:8} {one.wanted}: {one.found:g} {one.unit}"
        console.print(line, style=style, markup=False)
    batched = standing.times("plpgsql-batched")
    if batched is not None:
        # No requirement: nobody stands before that function to gather the 32.
        console.print(f"besides: against 32 calls in one transaction: {batched:.2f} times")


def _show_runs(standing: Standing, console: Console) -> None:
    table = Table(title="Every run (the first fifth of each is left out)", title_justify="left")
    table.add_column("contender", no_wrap=True)
    table.add_column("load", no_wrap=True)
    heads = ("run", "decisions/s", *(f"{name} ms" for name in _QUANTILES))
    for head in (*heads, "cpu s/1,000", "host took"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("answers", no_wrap=True)
    shapes = [("saturation", name, one) for name, one in standing.saturation.items()]
    shapes += [
        (f"half: {standing.half_rates[name]:,}/s", name, one) for name, one in standing.half.items()
    ]
    for load, name, series in shapes:
        for number, run in enumerate(series.runs, 1):
            table.add_row(
                *(name, load, str(number), f"{run.decisions_per_second:,.0f}"),
                *(f"{run.latency_us[key] / 1000:,.2f}" for key in _QUANTILES),
                f"{run.cpu_per_thousand['all']:.4f}",
                f"{run.stolen_percent:.1f} %",
                "all once" if run.clean else "faulty",
            )
    console.print(table)


def _show_medians(standing: Standing, console: Console) -> None:
    table = Table(title="Medians", title_justify="left")
    table.add_column("contender", no_wrap=True)
    for head in ("decisions/s", "ours is", "p50 ms", "p99 ms", "p99 ms at half", "cpu s/1,000"):
        table.add_column(head, justify="right", no_wrap=True)
    for name, series in standing.saturation.items():
        times = standing.times(name)
        half = standing.half.get(name)
        table.add_row(
            series.label,
            f"{series.rate:,.0f}",
            "" if times is None or name == "zhiwei" else f"{times:,.3g} x",
            f"{series.p50_us / 1000:,.2f}",
            f"{series.p99_us / 1000:,.2f}",
            "" if half is None else f"{half.p99_us / 1000:,.2f}",
            f"{series.cpu_per_thousand('server'):.4f}",
        )
    console.print(table)

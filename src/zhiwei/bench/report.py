"""The bench's report: every run as it was, medians, ratios, and what was required."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from zhiwei.bench.verdict import Verdict

#: What issue and operators hold the server to.
TIMES_SIMULATOR: Final = 4.0
P99_AT_HALF_US: Final = 10_000
MANY_CARDS_SHARE: Final = 0.8
READY_SECONDS: Final = 10.0
#: Columns of a report that is not shown on a terminal.
WIDTH: Final = 132


@dataclass
class Series:
    """The runs of one contender under one load."""

    name: str
    label: str
    runs: list[Verdict] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """The median of decisions per second."""
        return median(run.decisions_per_second for run in self.runs) if self.runs else 0.0

    @property
    def p50_us(self) -> float:
        """The median of the runs' p50, in microseconds."""
        return median(run.latency_us["p50"] for run in self.runs) if self.runs else 0.0

    @property
    def p99_us(self) -> float:
        """The median of the runs' p99, in microseconds."""
        return median(run.latency_us["p99"] for run in self.runs) if self.runs else 0.0

    def cpu_per_thousand(self, whose: str) -> float:
        """The median of CPU seconds per 1,000 decisions: of `load`, `server` or `all`."""
        return median(run.cpu_per_thousand[whose] for run in self.runs) if self.runs else 0.0


@dataclass
class Report:
    """Everything that one call of the bench found out."""

    machine: dict[str, str]
    options: dict[str, object]
    #: Contenders that could not take part, and why.
    skipped: dict[str, str] = field(default_factory=dict)
    #: Interleaved rounds at saturation, by contender.
    saturation: dict[str, Series] = field(default_factory=dict)
    #: Ours at half its own maximum, open loop.
    half: Series | None = None
    half_rate: int = 0
    #: Ours at saturation with many cards, interleaved with few.
    few_cards: Series | None = None
    many_cards: Series | None = None
    #: Ours without its compiled modules.
    interpreted: Series | None = None
    #: Bytes and seconds that were measured on the way, by name.
    sizes: dict[str, float] = field(default_factory=dict)

    @property
    def ours(self) -> Series | None:
        """Our own runs at saturation."""
        return self.saturation.get("zhiwei")

    def ratio_to(self, name: str) -> float | None:
        """How many times as many decisions per second as another contender ours makes."""
        ours, other = self.ours, self.saturation.get(name)
        if ours is None or other is None or not ours.runs or not other.rate:
            return None
        return ours.rate / other.rate

    def requirements(self) -> list[tuple[str, float, str, bool]]:
        """List what is required: sentence, found value, its unit, whether it is met."""
        found: list[tuple[str, float, str, bool]] = []
        times = self.ratio_to("iso8583sim")
        if times is not None:
            wanted = f"decisions per second against iso8583sim: at least {TIMES_SIMULATOR:g} times"
            found.append((wanted, round(times, 2), "times", times >= TIMES_SIMULATOR))
        if self.half is not None and self.half.runs:
            wanted = (
                f"p99 at half its own maximum: at most {P99_AT_HALF_US / 1000:g} ms, median run"
            )
            p99 = self.half.p99_us
            found.append((wanted, p99 / 1000, "ms", p99 <= P99_AT_HALF_US))
        if self.few_cards and self.many_cards and self.few_cards.rate:
            share = self.many_cards.rate / self.few_cards.rate
            wanted = f"rate with many cards against few: at least {MANY_CARDS_SHARE:g}"
            found.append((wanted, round(share, 3), "", share >= MANY_CARDS_SHARE))
        if "many_cards_ready_seconds" in self.sizes:
            seconds = self.sizes["many_cards_ready_seconds"]
            wanted = f"ready with many cards: in {READY_SECONDS:g} s"
            found.append((wanted, round(seconds, 2), "s", seconds < READY_SECONDS))
        return found

    def everything(self) -> dict[str, Any]:
        """Return the whole report as JSON holds it."""
        told = dataclasses.asdict(self)
        told["medians"] = {
            name: {
                "decisions_per_second": series.rate,
                "p99_us": series.p99_us,
                "cpu_seconds_per_thousand": series.cpu_per_thousand("all"),
                "ours_is_times": self.ratio_to(name),
            }
            for name, series in self.saturation.items()
        }
        told["requirements"] = [
            {"wanted": wanted, "found": value, "unit": unit, "met": met}
            for wanted, value, unit, met in self.requirements()
        ]
        return told


def machine() -> dict[str, str]:
    """Describe the machine, as far as figures depend on it."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123 - a file of the kernel
            model = next(
                (line.partition(":")[2].strip() for line in lines if "model name" in line), model
            )
    except OSError:
        pass
    return {
        "processor": model,
        "cores": str(os.cpu_count() or 0),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def show(report: Report, console: Console) -> None:
    """Print the report for people: every run, then medians, ratios and requirements."""
    if not console.is_terminal:
        # A file has no edge; figures must not be cut.
        console.width = max(console.width, WIDTH)
    console.print(" · ".join(report.machine.values()), style="dim")
    for name, why in report.skipped.items():
        console.print(f"skipped {name}: {why}", style="yellow", markup=False)
    _show_runs(report, console)
    _show_medians(report, console)
    for title, value in report.sizes.items():
        console.print(f"{title.replace('_', ' ')}: {value:,.1f}", markup=False)
    for wanted, value, unit, met in report.requirements():
        style = "green" if met else "bold red"
        verdict = "met" if met else "NOT met"
        console.print(f"{verdict:8} {wanted}: {value:g} {unit}", style=style, markup=False)


def _named_series(report: Report) -> Iterable[tuple[str, Series]]:
    for series in report.saturation.values():
        yield "saturation", series
    if report.half is not None:
        yield f"half: {report.half_rate:,}/s", report.half
    if report.few_cards is not None:
        yield "few cards", report.few_cards
    if report.many_cards is not None:
        yield "many cards", report.many_cards
    if report.interpreted is not None:
        yield "interpreted", report.interpreted


def _show_runs(report: Report, console: Console) -> None:
    table = Table(title="Every run (the first fifth of each is left out)", title_justify="left")
    table.add_column("contender", no_wrap=True)
    table.add_column("load", no_wrap=True)
    heads = ("run", "decisions/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms")
    for head in (*heads, "cpu s/1,000", "host took"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("answers", no_wrap=True)
    faults: list[str] = []
    for load, series in _named_series(report):
        for number, run in enumerate(series.runs, 1):
            latency = [
                f"{run.latency_us[key] / 1000:,.2f}" for key in ("p50", "p99", "p99.9", "max")
            ]
            table.add_row(
                *(series.name, load, str(number), f"{run.decisions_per_second:,.0f}", *latency),
                f"{run.cpu_per_thousand['all']:.4f}",
                f"{run.stolen_percent:.1f} %",
                "all once" if run.clean else "faulty",
            )
            if not run.clean:
                faults.append(f"{series.name}, {load}, run {number}: {_faults(run)}")
    console.print(table)
    for fault in faults:
        console.print(fault)


def _faults(run: Verdict) -> str:
    counts = {
        "unanswered": run.unanswered,
        "unexpected": run.unexpected,
        "duplicates": run.duplicates,
        "repeats that differ": run.differing_repeats,
        "connections lost": run.connections_lost,
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _show_medians(report: Report, console: Console) -> None:
    table = Table(title="Medians at saturation (an echo decides nothing: messages/s)")
    table.title_justify = "left"
    table.add_column("contender", no_wrap=True)
    for head in ("decisions/s", "ours is", "cpu s/1,000: server", "load generator"):
        table.add_column(head, justify="right")
    for name, series in report.saturation.items():
        times = report.ratio_to(name)
        table.add_row(
            series.label,
            f"{series.rate:,.0f}",
            "" if times is None or name == "zhiwei" else f"{times:,.3g} x",
            f"{series.cpu_per_thousand('server'):.4f}",
            f"{series.cpu_per_thousand('load'):.4f}",
        )
    console.print(table)

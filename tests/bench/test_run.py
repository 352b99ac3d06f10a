"""The bench itself, small: all parts run, every run is kept, and the report says what was found."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys

import pytest
from rich.console import Console

from zhiwei.bench import contenders
from zhiwei.bench.report import Report, Series, machine, show
from zhiwei.bench.run import Options, bench
from zhiwei.bench.verdict import Verdict, quantile

SMALL = Options(
    rounds=1, seconds=0.8, cards=200, many_cards=600, connections=4, window=8, peers=("echo",)
)


def verdict(rate: float, p99_us: int = 5_000) -> Verdict:
    """A run that went well."""
    latency = {"p50": 100, "p90": 200, "p99": p99_us, "p99.9": p99_us * 2, "max": p99_us * 3}
    cpu = {"load": 0.002, "server": 0.01, "all": 0.012}
    return Verdict("saturation", 0, rate, latency, cpu, 3.2, 10, 10, 0, 0, 0, 0, 0, {"00": 10})


def report(ours: float, sim: float, *, p99_us: int = 5_000, share: float = 0.9) -> Report:
    """A report with these medians."""
    found = Report(machine(), {}, half_rate=int(ours / 2))
    runs = [verdict(ours * factor) for factor in (0.5, 1, 3)]
    found.saturation["zhiwei"] = Series("zhiwei", "zhiwei, durable", runs)
    found.saturation["iso8583sim"] = Series("iso8583sim", "simulator", [verdict(sim)])
    found.half = Series("zhiwei", "half", [verdict(ours / 2, p99_us)])
    found.few_cards = Series("few", "few", [verdict(ours)])
    found.many_cards = Series("many", "many", [verdict(ours * share)])
    return found


def test_the_whole_bench_runs() -> None:
    """Ours and a peer in turn, half load, few and many cards: every answer came once."""
    found = bench(SMALL, Console(file=io.StringIO()))
    series = [*found.saturation.values(), found.half, found.few_cards, found.many_cards]
    assert set(found.saturation) == {"zhiwei", "echo"}
    assert not found.skipped
    for one in series:
        assert one is not None
        assert len(one.runs) == 1
        assert one.runs[0].clean, one.runs[0]
        assert one.rate > 0
    assert found.sizes["bytes_per_card_on_disk"] > 100
    assert found.sizes["bytes_per_decision_on_disk"] > 100
    assert json.loads(json.dumps(found.everything()))["medians"]["zhiwei"]


def test_medians_and_ratios_are_what_the_runs_say() -> None:
    """The median of the runs is compared, neither the best nor the mean."""
    found = report(40_000, 8_000)
    assert found.ours is not None
    assert found.ours.rate == 40_000
    assert found.ratio_to("iso8583sim") == 5.0
    assert found.ratio_to("postgres") is None


@pytest.mark.parametrize(
    ("found", "met"),
    [
        (report(32_000, 8_000), [True, True, True]),
        (report(31_000, 8_000), [False, True, True]),
        (report(40_000, 8_000, p99_us=10_001), [True, False, True]),
        (report(40_000, 8_000, share=0.79), [True, True, False]),
    ],
)
def test_requirements_are_judged(found: Report, met: list[bool]) -> None:
    """4 times the simulator, 10 ms at half load, 0.8 of the rate with many cards."""
    assert [row[3] for row in found.requirements()] == met


def test_the_report_shows_every_run_and_every_fault() -> None:
    """Nothing that was measured is left out, least of all a fault."""
    found = report(40_000, 8_000)
    found.skipped["postgres"] = "no PostgreSQL is installed"
    faulty = dataclasses.replace(verdict(7_777), unanswered=3, duplicates=1)
    found.saturation["iso8583sim"].runs.append(faulty)
    told = io.StringIO()
    show(found, Console(file=told))
    for text in ("20,000", "40,000", "120,000", "7,777", "3 unanswered, 1 duplicates"):
        assert text in told.getvalue()
    assert "skipped postgres: no PostgreSQL is installed" in told.getvalue()
    assert "met" in told.getvalue()


def test_quantiles_are_ranks() -> None:
    """p99 of a hundred values is the largest but none above it; an empty sample has none."""
    assert quantile(list(range(1, 101)), 0.99) == 100
    assert quantile(list(range(1, 1001)), 0.99) == 991
    assert quantile([5], 0.5) == 5
    assert quantile([], 0.99) == 0


def test_the_scratch_folder_is_on_a_disk() -> None:
    """A commit into memory would prove nothing."""
    folder = contenders.scratch_folder()
    try:
        assert contenders.file_system_of(str(folder)) not in ("tmpfs", "ramfs")
    finally:
        folder.rmdir()


def test_the_command_explains_itself() -> None:
    """`zhiwei bench --help` names its parts."""
    command = [sys.executable, "-m", "zhiwei", "bench", "--help"]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    for word in ("--quick", "--json", "crash", "races"):
        assert word in told

"""How contenders stand: what is required is judged by medians, and what is missing is not met."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from rich.console import Console

from zhiwei.bench.postgres.standing import Standing, show
from zhiwei.bench.report import Series, machine
from zhiwei.bench.verdict import Verdict, together


def verdict(rate: float, p99_us: int = 5_000, *, unanswered: int = 0) -> Verdict:
    """A run."""
    latency = {"p50": 100, "p90": 200, "p99": p99_us, "p99.9": p99_us * 2, "max": p99_us * 3}
    cpu = {"load": 0.002, "server": 0.01, "all": 0.012}
    return Verdict("saturation", 0, rate, latency, cpu, 3.2, 10, 10, unanswered, 0, 0, 0, 0)


def standing(
    ours: float, few: float = 5_000, *, two: float = 9_000, p99_us: int = 15_000, lost: int = 0
) -> Standing:
    """A comparison with these medians of ours, and rivals of 600, 4,000 and 4,500 a second."""
    found = Standing(machine(), {})
    rates = {
        "zhiwei": [ours / 2, ours, ours * 3],
        "zhiwei-64": [few],
        "zhiwei-one": [8_000.0],
        "zhiwei-two": [two],
        "fastapi": [600.0],
        "plpgsql-clients": [4_000.0],
        "plpgsql-pipelined": [4_500.0],
        "plpgsql-batched": [9_000.0],
    }
    for name, values in rates.items():
        runs = [verdict(value, unanswered=lost) for value in values]
        found.saturation[name] = Series(name, name, runs)
    found.half["zhiwei"] = Series("zhiwei", "half", [verdict(ours / 2, p99_us)])
    found.half_rates["zhiwei"] = int(ours / 2)
    return found


@pytest.mark.parametrize(
    ("found", "unmet"),
    [
        (standing(9_000), []),
        (standing(8_999), [1]),
        (standing(7_000), [0, 1]),
        (standing(9_000, 4_000), [3]),
        (standing(9_000, two=7_199), [4]),
        (standing(9_000, p99_us=20_001), [5]),
        (standing(9_000, lost=1), [6]),
    ],
)
def test_requirements_are_judged(found: Standing, unmet: list[int]) -> None:
    """12 times by hand, twice the pipelined function, ahead at 64, two servers, 20 ms, no fault."""
    requirements = found.requirements()
    assert len(requirements) == 7
    assert [number for number, one in enumerate(requirements) if not one.is_met] == unmet
    assert found.is_met is (not unmet)


def test_runs_at_the_same_time_are_one() -> None:
    """Rates and counts add up, the worst latency stands, and one fault is a fault of all."""
    one, other = verdict(1_000), verdict(500, 9_000, unanswered=1)
    both = together([one, other])
    assert both.decisions_per_second == 1_500
    assert both.latency_us["p99"] == 9_000
    assert (both.sent, both.unanswered) == (20, 1)
    assert both.cpu_per_thousand["all"] == pytest.approx(0.012)
    assert not both.clean


def test_what_was_not_measured_is_not_met() -> None:
    """Without ours, or without a rival, nothing is called met."""
    found = standing(9_000)
    del found.saturation["fastapi"]
    assert all(one.is_met for one in found.requirements())
    assert not found.is_met
    assert not Standing(machine(), {}).is_met


def test_everything_is_shown_and_told() -> None:
    """Every run, why somebody is missing, and the verdicts; the same as JSON."""
    found = standing(8_000)
    found.skipped["zhiwei"] = "this version has none"
    told = io.StringIO()
    show(found, Console(file=told))
    for words in ("4,000", "24,000", "not measured: zhiwei: this version has none", "NOT met"):
        assert words in told.getvalue()
    document = json.loads(json.dumps(found.everything()))
    assert document["met"] is False
    assert document["medians"]["fastapi"]["ours_is_times"] == pytest.approx(8_000 / 600)


def test_the_commands_refuse_strangers() -> None:
    """A contender that nobody has is a wrong word, not an empty comparison."""
    command = [sys.executable, "-m", "zhiwei", "bench", "postgres", "--contenders", "oracle"]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert "oracle" in done.stderr

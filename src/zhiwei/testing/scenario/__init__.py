"""Scenarios: tables that a risk officer can read and check, played against the real guardian.

    scenario The start is inside, the end is outside
    card A  night_lock 23:00-05:00  limit all/amount/day 5000.00

    Mon 2026-03-02 22:59  A pays 100.00 pos CN-41 -> approve
    Mon 2026-03-02 23:00  A pays 100.00 pos CN-41 -> refuse night_lock_active
    23:00                 A pays 100.00 online    -> approve   # in person only
    +6h                   A withdraws 100.00      -> approve

A file holds scenarios; each begins with `scenario TITLE` and has its own cards. Times are on the
card's own clock; the date may be left out (the date of the line before), `+10m` is later than the
line before, and a line without a time happens at the same instant. What begins with ` # ` is a
comment.

`card NAME` takes `zone`, `currency`, `no_chip`, `network`, `status`, `since`, and controls as they
are set (see `settings`). `policy` changes the issuer's policy. Card messages are in `messages`,
wishes of people in `changes`, lines that only look in `looks`, what stands after `->` in `expect`.

Unless a line says otherwise a message is in Beijing (`CN-11`), at merchant `M1`, by the usual
medium of its channel; `pays` is at a POS, `withdraws`, `transfers` and `asks_balance` at an ATM.
`as p1` gives it a label by which later lines name it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zhiwei.testing.scenario.lines import Line, ScenarioError, read_lines
from zhiwei.testing.scenario.play import Card, Stage

__all__ = ["Card", "Scenario", "ScenarioError", "Stage", "play", "read_scenarios"]


@dataclass(frozen=True)
class Scenario:
    """One table."""

    title: str
    lines: tuple[Line, ...]


def read_scenarios(path: Path) -> list[Scenario]:
    """The scenarios of a file, in order.

    Raises:
        ScenarioError: the file does not begin with `scenario TITLE`.
    """
    scenarios: list[Scenario] = []
    title = ""
    lines: list[Line] = []
    for line in read_lines(path.read_text("utf-8"), path.name):
        if line.words[:1] == ("scenario",):
            if title:
                scenarios.append(Scenario(title, tuple(lines)))
            title = " ".join(line.words[1:])
            lines = []
        elif not title:
            raise line.error("a file begins with `scenario TITLE`")
        else:
            lines.append(line)
    if title:
        scenarios.append(Scenario(title, tuple(lines)))
    return scenarios


def play(scenario: Scenario) -> Stage:
    """Play a scenario to its end.

    Returns:
        The stage as it was left, to be looked at further.

    Raises:
        ScenarioError: something happened that the scenario does not say; names file and line.
    """
    stage = Stage()
    for line in scenario.lines:
        stage.play(line)
    return stage

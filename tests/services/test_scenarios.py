"""Every scenario file is true of the real guardian."""

from __future__ import annotations

from pathlib import Path

import pytest

from zhiwei.testing.scenario import Scenario, play, read_scenarios

SCENARIOS = [
    pytest.param(scenario, id=f"{path.stem}: {scenario.title}")
    for path in sorted((Path(__file__).parent / "scenarios").glob("*.txt"))
    for scenario in read_scenarios(path)
]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_the_scenario_says_is_what_happens(scenario: Scenario) -> None:
    """Each line of the table does what stands after its arrow."""
    play(scenario)

"""Every scenario file is true of the real guardian."""

from __future__ import annotations

from pathlib import Path

import pytest

from zhiwei.journal.recount import Recount
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


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_counters_at_the_end_equal_a_recount_of_the_journal(scenario: Scenario) -> None:
    """Code that knows nothing of the counters adds up the same from the entries."""
    stage = play(scenario)
    for card in stage.cards.values():
        recount = Recount(lambda _: stage.policy)
        for entry in stage.entries(card):
            recount.observe(card.key, entry)
        assert recount.differences(card.key, stage.state(card)) == []

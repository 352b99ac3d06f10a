"""A scenario that is not true, or cannot be read, says where and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from zhiwei.testing.scenario import ScenarioError, Stage, play, read_scenarios

WRONG_LINES = [
    tuple(row.split("  =>  "))
    for row in (Path(__file__).parent / "wrong_lines.txt").read_text("utf-8").splitlines()
    if "  =>  " in row
]
CARD = "scenario One\ncard A  large_spend_verification 5000.00  night_lock 23:00-05:00\n"


def played(folder: Path, text: str) -> Stage:
    """The stage after the first scenario of a text."""
    path = folder / "table.txt"
    path.write_text(text, encoding="utf-8")
    return play(read_scenarios(path)[0])


@pytest.mark.parametrize(("line", "message"), WRONG_LINES)
def test_a_line_that_is_not_true_is_named(tmp_path: Path, line: str, message: str) -> None:
    """The error has the file, the line's number, what was expected and what happened."""
    with pytest.raises(ScenarioError) as caught:
        played(tmp_path, f"{CARD}{line}\n")
    assert str(caught.value).startswith("table.txt:3: ")
    assert message in str(caught.value)


def test_a_time_that_comes_twice_needs_its_offset(tmp_path: Path) -> None:
    """The interpreter does not guess which of the two is meant."""
    text = "scenario One\ncard A zone Europe/Berlin\n2026-10-25 02:30 A pays 1.00 -> approve\n"
    with pytest.raises(ScenarioError, match="comes twice or never in Europe/Berlin"):
        played(tmp_path, text)


def test_a_file_begins_with_a_scenario(tmp_path: Path) -> None:
    """What stands before the first title belongs to nothing."""
    with pytest.raises(ScenarioError, match=r"table\.txt:1: a file begins with `scenario TITLE`"):
        played(tmp_path, "card A\n")


def test_an_empty_file_has_no_scenarios(tmp_path: Path) -> None:
    """Comments alone say nothing."""
    path = tmp_path / "empty.txt"
    path.write_text("# nothing\n\n", encoding="utf-8")
    assert read_scenarios(path) == []


def test_two_scenarios_of_a_file_do_not_know_each_other(tmp_path: Path) -> None:
    """Each has its own cards and its own policy."""
    path = tmp_path / "two.txt"
    path.write_text("scenario One\ncard A\nscenario Two\ncard B network visa\n", encoding="utf-8")
    stages = [play(scenario) for scenario in read_scenarios(path)]
    assert [list(stage.cards) for stage in stages] == [["A"], ["B"]]

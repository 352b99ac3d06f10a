"""The house rules, asked of every file that git tracks or would track.

The rules themselves are in `tests/house/`, small and readable; `tests/house/test_rules.py` shows
that each of them can fail. What is not checked here or by ruff and mypy is not a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.house import furniture, layers, leftovers, purity, shape
from tests.house.tree import PACKAGE, ROOT, Module, modules, tracked_files

RULES_FOR_CODE: tuple[Callable[[Module], Iterator[str]], ...] = (
    layers.imports_go_one_way,
    layers.neighbours_keep_apart,
    layers.foreign_imports_are_allowed,
    purity.pure_part_stays_pure,
    shape.functions_are_short,
    shape.files_are_short,
    shape.names_say_something,
    shape.inheritance_is_rare,
    shape.hot_modules_can_be_compiled,
    leftovers.exceptions_are_explained,
    leftovers.only_the_command_line_prints,
)
RULES_FOR_TEXT: tuple[Callable[[str, str], Iterator[str]], ...] = (
    leftovers.no_reminders,
    leftovers.no_card_numbers,
    leftovers.no_places,
)
LEDGER = ROOT / "tests" / "house" / "reason_numbers.txt"
REASONS = furniture.enum_members(
    (PACKAGE / "core" / "reason.py").read_text(encoding="utf-8"), "Reason"
)
WORDS = furniture.words_of(PACKAGE)


def name_of(rule: Callable[..., object]) -> str:
    """The name that pytest shows for a rule."""
    return rule.__name__


def is_upheld(complaints: Iterable[str]) -> None:
    """Fail with all complaints at once, one on a line."""
    found = list(complaints)
    if found:
        pytest.fail("\n".join([f"{len(found)} to mend:", *found]), pytrace=False)


@pytest.mark.parametrize("rule", RULES_FOR_CODE, ids=name_of)
def test_every_python_file_keeps(rule: Callable[[Module], Iterator[str]]) -> None:
    """Every Python file of the repository keeps the rule."""
    is_upheld(complaint for module in modules() for complaint in rule(module))


@pytest.mark.parametrize("rule", RULES_FOR_TEXT, ids=name_of)
def test_every_file_keeps(rule: Callable[[str, str], Iterator[str]]) -> None:
    """Every text file of the repository keeps the rule, whatever its kind."""
    complaints: list[str] = []
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        complaints += rule(str(path.relative_to(ROOT)), text)
    is_upheld(complaints)


def test_no_compiled_module_shadows_a_source_file() -> None:
    """No extension module lies in `src/`, where Python would prefer it to the file beside it."""
    is_upheld(str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*.so"))


def test_every_room_has_its_furniture() -> None:
    """A service has a docstring, a page, a scenario file and its name in Chinese and English."""
    is_upheld(furniture.rooms_have_their_furniture(furniture.rooms(PACKAGE), ROOT, WORDS))


def test_a_reason_number_is_never_used_again() -> None:
    """Numbers of reasons are those of the ledger, each once, retired ones kept."""
    ledger = LEDGER.read_text(encoding="utf-8")
    is_upheld(furniture.reasons_keep_their_numbers(REASONS, ledger))


def test_every_reason_has_words() -> None:
    """Each reason has a sentence for the cardholder in Chinese and in English."""
    is_upheld(furniture.reasons_have_words(REASONS, WORDS))


def test_every_reason_has_a_wire_code() -> None:
    """Each reason has its response code in the one table of all doors."""
    codes = (PACKAGE / "gateways" / "response_codes.toml").read_text(encoding="utf-8")
    is_upheld(furniture.reasons_have_a_wire_code(REASONS, codes))

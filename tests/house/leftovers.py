"""What must not be left behind: reminders, unexplained exceptions to rules, card numbers, paths."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.house.tree import Module

REMINDER = re.compile(r"\b(?:FIXM[E]|TOD[O]|HAC[K])\b")
NOQA = re.compile(
    r"#\s*(?:ruff:\s*)?noqa\b(?P<codes>:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?(?P<reason>.*)"
)
TYPE_IGNORE = re.compile(r"#\s*type:\s*ignore(?P<codes>\[[a-z\-, ]+\])?(?P<reason>.*)")
NO_COVER = re.compile(r"#\s*pragma:\s*no (?:cover|branch)(?P<reason>.*)")
#: At least two words after the code are a reason.
REASON = re.compile(r"\w+\W+\w+")
#: 16 to 19 digits, in one piece or in groups of four, that are not part of something longer.
CARD_NUMBER = re.compile(r"(?<![\w.])(?:\d{16,19}|\d{4}(?:[ -]\d{4}){3})(?![\w.])")
#: Folders and hosts of one machine or one workplace. Brackets keep this file from breaking its
#: rule.
PLACES = re.compile(
    r"(?<![\w.])/wor[k]/|/tmp/la[b]|(?<![\w.])/roo[t]/|/opt/(?:pyp[i]|wheel[s])"
    r"|farm-studi[o]|pyp[i]\.org|pythonhoste[d]|registry\.npmj[s]"
)


def no_reminders(path: str, text: str) -> Iterator[str]:
    """A thing is done, or it is written where plans are kept; not in the code."""
    for number, line in enumerate(text.splitlines(), 1):
        found = REMINDER.search(line)
        if found:
            yield f"{path}:{number}: `{found.group()}` is left behind"


def exceptions_are_explained(module: Module) -> Iterator[str]:
    """Whoever switches a rule off for a line says which rule and why."""
    if module.path.startswith("tests/house/"):
        return  # here the words themselves are the subject
    for number, line in enumerate(module.text.splitlines(), 1):
        for pattern, form in (
            (NOQA, "# noqa: CODE - the reason"),
            (TYPE_IGNORE, "# type: ignore[code]  # the reason"),
            (NO_COVER, "# pragma: no cover - the reason"),
        ):
            found = pattern.search(line)
            if found is None:
                continue
            has_code = "codes" not in found.groupdict() or found["codes"]
            if not has_code or not REASON.search(found["reason"]):
                yield f"{module.path}:{number}: write `{form}`"


def only_the_command_line_prints(module: Module) -> Iterator[str]:
    """The program speaks through logs and answers; people are spoken to by `cli/` alone."""
    if not module.name or module.name.partition(".")[0] in {"cli", "__main__"}:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
            yield f"{module.at(node)}: `print(` outside `cli/`"


def no_card_numbers(path: str, text: str) -> Iterator[str]:
    """Digits that could be a card number stand in tests only, even the ones known for tests."""
    if path.startswith("tests/"):
        return
    for number, line in enumerate(text.splitlines(), 1):
        for found in CARD_NUMBER.finditer(line):
            digits = re.sub(r"\D", "", found.group())
            if passes_luhn(digits):
                yield f"{path}:{number}: {len(digits)} digits ending in {digits[-4:]} pass Luhn"


def passes_luhn(digits: str) -> bool:
    """The check digit that card numbers carry (ISO/IEC 7812-1); all zeros are nobody's card."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0 and digits.strip("0") != ""


def no_places(path: str, text: str) -> Iterator[str]:
    """The repository works anywhere, so it names no folder and no host of where it was written."""
    for number, line in enumerate(text.splitlines(), 1):
        found = PLACES.search(line)
        if found:
            yield f"{path}:{number}: `{found.group()}` belongs to one machine"

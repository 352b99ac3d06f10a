"""Expectations: `approve`, `refuse night_lock_active told transaction_declined`, …"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from zhiwei.core.entry import Entry, Flag
from zhiwei.core.finding import Outcome
from zhiwei.core.result import Result
from zhiwei.testing.scenario.lines import Line

_FLAGS: Final = {
    "past_control": Flag.PAST_CONTROL,
    "unmatched": Flag.UNMATCHED,
    "no_effect": Flag.NO_EFFECT,
    "pending": Flag.PENDING,
}
_KEYWORDS: Final = frozenset((*_FLAGS, "repeat", "lifted", "told", "with"))


@dataclass
class Expected:
    """What the right side of a line says."""

    #: `approve`, `challenge`, `refuse`, `done`, `unchanged`, `reject` or `error`.
    outcome: str
    #: Reasons that stand, in order; or the code of a rejection or error.
    reasons: list[str] = field(default_factory=list)
    #: Reasons that a permission lifted.
    lifted: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    is_repeat: bool = False
    #: Events in order; None = not looked at.
    told: list[str] | None = None
    #: Facts that some finding or event carries.
    facts: list[str] = field(default_factory=list)


def read_expected(line: Line) -> Expected:
    """The right side of a line, taken apart."""
    if not line.expected:
        raise line.error("say what is expected: `-> approve`")
    expected = Expected(line.expected[0])
    place = "reasons"
    for word in line.expected[1:]:
        if word in _FLAGS:
            expected.flags.add(word)
        elif word == "repeat":
            expected.is_repeat = True
        elif word in _KEYWORDS:
            place = word
            if word == "told":
                expected.told = []
        elif place == "reasons":
            expected.reasons.append(word)
        elif place == "lifted":
            expected.lifted.append(word)
        elif place == "with":
            expected.facts.append(word)
        elif expected.told is not None and word != "nothing":
            expected.told.append(word)
    return expected


def check_error(line: Line, code: str, message: str) -> None:
    """A setting was not allowed: the line must say so."""
    if line.expected != ("error", code):
        raise line.error(f"expected `{' '.join(line.expected)}`, got `error {code}` ({message})")


def check_result(line: Line, result: Result, *, is_message: bool) -> None:
    """Compare what happened with what the line says."""
    expected = read_expected(line)
    actual = _actual(result, is_message=is_message)
    if expected.told is None:
        actual.told = None
    known_facts = _facts(result)
    missing = [fact for fact in expected.facts if fact not in known_facts]
    expected.facts = []
    if actual != expected:
        raise line.error(f"expected `{' '.join(line.expected)}`, got `{_text(actual, result)}`")
    if missing:
        known = ", ".join(sorted(known_facts)) or "none"
        raise line.error(f"nothing was said of `{missing[0]}`; what was said: {known}")


def _actual(result: Result, *, is_message: bool) -> Expected:
    """What happened, in the words of a scenario."""
    if result.rejection is not None:
        return Expected("reject", [result.rejection.code], told=[])
    entry = result.entry
    if entry is None:
        return Expected("unchanged", told=[])
    actual = Expected("done" if not is_message else entry.outcome.name.lower())
    if is_message:
        actual.reasons = [f.reason.code for f in entry.findings if f.stands]
        actual.lifted = [f.reason.code for f in entry.findings if not f.stands]
        # A report that went past a control is booked: the reasons are told, the outcome is not
        # theirs.
        if entry.outcome is Outcome.APPROVE and entry.flags & Flag.PAST_CONTROL:
            actual.lifted = []
    actual.flags = {name for name, bit in _FLAGS.items() if entry.flags & bit}
    actual.is_repeat = result.is_repeat
    actual.told = [event.kind.word for event in result.events]
    return actual


def _facts(result: Result) -> set[str]:
    """All facts of findings and events, as `name=value`."""
    entry: Entry | None = result.entry
    facts: set[str] = set()
    if entry is not None:
        for finding in entry.findings:
            facts.update(f"{name}={value}" for name, value in finding.facts)
            facts.add(f"control={finding.control}")
        if entry.group is not None:
            facts.add(f"standing={entry.group.approved_minor}")
            facts.add(f"group={entry.group.state.name.lower()}")
    for event in result.events:
        for name, value in event.facts.items():
            text = ",".join(value) if isinstance(value, list) else str(value)
            facts.add(f"{name}={text}")
    return facts


def _text(actual: Expected, result: Result) -> str:
    """What happened, written as a line would say it."""
    words = [actual.outcome, *actual.reasons, *sorted(actual.flags)]
    if actual.is_repeat:
        words.append("repeat")
    if actual.lifted:
        words += ["lifted", *actual.lifted]
    told = [event.kind.word for event in result.events]
    return " ".join([*words, "told", *(told or ["nothing"])])

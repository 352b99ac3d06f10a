"""Sequences: random messages through the guardian, and the counters held against a recount.

Each sequence is a fresh card and 5 to 12 acts. A sequence that breaks a rule is made as small as it
gets while it still breaks the same one, and told in lines that can be read. Its seed plays it
again.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from zhiwei.bench.sequence_acts import Sequence, draw
from zhiwei.bench.sequence_play import Player
from zhiwei.bench.sequence_rules import BrokenRuleError, Happening, numbers, sums_of
from zhiwei.core.controls import LimitChannel
from zhiwei.core.entry import Flag

#: Sequences that one process plays between two words to the caller.
_CHUNK: Final = 500
#: Failing sequences that are made small and told; more are only counted.
_TOLD_MAX: Final = 10
_MARKS: Final = (
    (Flag.PAST_CONTROL, "past a control"),
    (Flag.UNMATCHED, "unmatched"),
    (Flag.NO_EFFECT, "no effect"),
    (Flag.PENDING, "pending"),
)


@dataclass(frozen=True)
class SequenceOptions:
    """How many sequences; the seeds are `seed`, `seed` + 1 and so on."""

    count: int = 100_000
    seed: int = 1
    #: 0 = two where there are two cores.
    processes: int = 0


@dataclass(frozen=True)
class Failure:
    """A sequence that broke a rule."""

    seed: int
    rule: str
    detail: str
    #: The smallest form of it, one line for each step.
    trace: tuple[str, ...] = ()


@dataclass
class SequenceReport:
    """What was played and what broke."""

    sequences: int = 0
    steps: int = 0
    #: Steps by verb and what came of them, so that one sees that everything happened.
    answers: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    failures: list[Failure] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether something was played and nothing broke."""
        return self.sequences > 0 and self.broken == 0

    def lines(self) -> list[str]:
        """The report for eyes."""
        told = [f"sequences: {self.sequences:,}; steps: {self.steps:,}; broken: {self.broken:,}"]
        told += [f"{times:>9,}  {answer}" for answer, times in sorted(self.answers.items())]
        for failure in self.failures:
            told += ["", f"seed {failure.seed}: {failure.rule}: {failure.detail}"]
            told += [f"  {line}" for line in failure.trace]
        return told

    def add(self, other: SequenceReport) -> None:
        """Add another part of the same run."""
        self.sequences += other.sequences
        self.steps += other.steps
        self.answers += other.answers
        self.broken += other.broken
        self.failures = (self.failures + other.failures)[:_TOLD_MAX]


def sequences(
    options: SequenceOptions, say: Callable[[int], None] = lambda _done: None
) -> SequenceReport:
    """Play all sequences, in two processes where there are two cores; `say` is told how many."""
    report = SequenceReport()
    end = options.seed + options.count
    spans = [(first, min(first + _CHUNK, end)) for first in range(options.seed, end, _CHUNK)]
    for part in _parts(spans, options.processes or min(2, os.cpu_count() or 1)):
        report.add(part)
        say(report.sequences)
    report.failures = [smallest(one) for one in report.failures]
    return report


def _parts(spans: list[tuple[int, int]], processes: int) -> Iterator[SequenceReport]:
    if processes == 1 or len(spans) == 1:
        yield from map(_play_span, spans)
        return
    # A fork would copy locks that other threads of the caller may hold.
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(_play_span, spans)


def _play_span(span: tuple[int, int]) -> SequenceReport:
    report = SequenceReport()
    for seed in range(*span):
        failure = broken_by(draw(seed), lambda one: _count(report, one))
        report.sequences += 1
        if failure is not None:
            report.broken += 1
            report.failures = [*report.failures, failure][:_TOLD_MAX]
    return report


def _count(report: SequenceReport, happening: Happening) -> None:
    report.steps += 1
    report.answers[f"{happening.act.verb}: {_answer(happening)}"] += 1


def broken_by(
    sequence: Sequence, judged: Callable[[Happening], object] = lambda _: None
) -> Failure | None:
    """Play a sequence; the rule that it breaks, None where it breaks none."""
    try:
        Player(sequence, judged).play()
    except BrokenRuleError as error:
        return Failure(sequence.seed, error.rule, error.detail)
    return None


def smallest(failure: Failure) -> Failure:
    """The failure of the same rule with as few acts as it takes, and its trace."""
    sequence = draw(failure.seed)
    kept = sequence
    shrinks = True
    while shrinks:
        shrinks = False
        for act in reversed(kept.acts):
            fewer = replace(kept, acts=tuple(one for one in kept.acts if one is not act))
            found = broken_by(fewer)
            if found is not None and found.rule == failure.rule:
                kept, shrinks = fewer, True
    lines = [f"card in {kept.zone}, {kept.currency}, policy {kept.policy.version}"]
    last = broken_by(kept, lambda one: lines.append(line_of(kept, one)))
    assert last is not None, "a sequence breaks the same rule each time"
    return Failure(failure.seed, last.rule, last.detail, tuple(lines))


def line_of(sequence: Sequence, happening: Happening) -> str:
    """One step as people read it: when, what, what came of it, and what is counted now."""
    act = happening.act
    at = datetime.fromtimestamp(act.at_ms / 1000, UTC).astimezone(ZoneInfo(sequence.zone))
    words = [
        f"{at:%a %Y-%m-%d %H:%M:%S}.{act.at_ms % 1000:03} {at:%z}",
        f"#{act.number} {act.verb}",
    ]
    request = happening.command.request
    original = happening.command.original
    if act.of >= 0:
        words.append(f"of #{act.of}")
    if original is not None:
        words.append("by version" if original.version else "by trace")
        if original.replacement_minor >= 0:
            words.append(f"down to {original.replacement_minor}")
    if request is not None:
        words.append(f"{request.kind.name.lower()} {request.message_class.name.lower()}")
        words.append(f"{request.amount_minor} {request.currency}")
        if request.billing_amount_minor >= 0:
            words.append(f"billed {request.billing_amount_minor}")
    elif happening.command.change is not None:
        words.append(repr(happening.command.change)[:120])
    words.append(f"-> {_answer(happening)}")
    group = None if happening.result.entry is None else happening.result.entry.group
    if group is not None:
        held = "{}/{}".format(*sums_of(group))
        words.append(f"group {group.version} {group.state.name.lower()} holds {held}")
    spent = numbers(happening.after.usage.by_channel[LimitChannel.ALL])
    return " ".join([*words, f"; day {spent[0]}/{spent[1]} year {spent[6]}/{spent[7]}"])


def _answer(happening: Happening) -> str:
    result, entry = happening.result, happening.result.entry
    if result.rejection is not None:
        return f"rejected {result.rejection.code}"
    if result.is_repeat or entry is None:
        return "the same answer again"
    marks = [words for flag, words in _MARKS if entry.flags & flag]
    return ", ".join([entry.outcome.name.lower(), *marks])

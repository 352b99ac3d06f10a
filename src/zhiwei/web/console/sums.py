"""Sums: how many decisions of which kind in each minute, for the last day and no longer.

What is counted by is a closed list of short words (outcome, reason, province, network, channel), so
a day holds a bounded number of counters however much is paid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from zhiwei.web.console.rows import DecisionRow

MINUTE_MS: Final = 60_000
#: Minutes that are kept.
KEPT_MINUTES: Final = 24 * 60
#: What decisions are counted by.
DIMENSIONS: Final = ("reason", "place", "network", "channel")

#: Dimension, value, outcome.
Slot: TypeAlias = "tuple[str, str, str]"


@dataclass(frozen=True)
class Sum:
    """How many decisions had a value."""

    value: str
    approve: int
    challenge: int
    decline: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.approve + self.challenge + self.decline

    @property
    def stopped(self) -> int:
        """Declined or asked about."""
        return self.challenge + self.decline


@dataclass(frozen=True)
class Step:
    """One step of a time line."""

    from_ms: int
    by_value: dict[str, int]


@final
class Sums:
    """Counters by minute. Not thread-safe: `Watch` guards it."""

    def __init__(self) -> None:
        self._minutes: Final[dict[int, Counter[Slot]]] = {}

    def add(self, row: DecisionRow) -> None:
        """Count a decision."""
        slots = self._minutes.setdefault(row.at_ms // MINUTE_MS, Counter())
        slots["", "", row.outcome] += 1
        for dimension in DIMENSIONS:
            slots[dimension, str(getattr(row, dimension)), row.outcome] += 1

    def forget(self, now_ms: int) -> None:
        """Drop minutes that are over a day old, and ones that a clock once dreamt of."""
        newest = now_ms // MINUTE_MS
        for minute in [m for m in self._minutes if not newest - KEPT_MINUTES < m <= newest + 1]:
            del self._minutes[minute]

    def outcomes(self, since_ms: int) -> Sum:
        """All decisions since an instant, by outcome."""
        return _sum("", self._slots(since_ms, ""))

    def by(self, dimension: str, since_ms: int) -> list[Sum]:
        """Decisions since an instant by a dimension, the most stopped first."""
        by_value: dict[str, Counter[Slot]] = {}
        for slot, count in self._slots(since_ms, dimension).items():
            by_value.setdefault(slot[1], Counter())[slot] = count
        sums = [_sum(value, slots) for value, slots in by_value.items()]
        return sorted(sums, key=lambda one: (-one.stopped, -one.total, one.value))

    def line(self, since_ms: int, until_ms: int, step_ms: int, dimension: str = "") -> list[Step]:
        """Stopped decisions over time by the values of a dimension, oldest step first.

        Without a dimension all decisions by outcome. Steps without any are there too, empty.
        """
        first = since_ms // step_ms
        steps: dict[int, Counter[str]] = {
            number: Counter() for number in range(first, until_ms // step_ms + 1)
        }
        for minute, slots in self._minutes.items():
            number = minute * MINUTE_MS // step_ms
            if number not in steps:
                continue
            for (name, value, outcome), count in slots.items():
                if name == dimension and (not dimension or outcome != "approve"):
                    steps[number][value if dimension else outcome] += count
        return [Step(number * step_ms, dict(counts)) for number, counts in steps.items()]

    def _slots(self, since_ms: int, dimension: str) -> Counter[Slot]:
        """Counters of a dimension, added up since the minute of an instant."""
        first = since_ms // MINUTE_MS
        total: Counter[Slot] = Counter()
        for minute, slots in self._minutes.items():
            if minute >= first:
                for slot, count in slots.items():
                    if slot[0] == dimension:
                        total[slot] += count
        return total


def _sum(value: str, slots: Counter[Slot]) -> Sum:
    def of(outcome: str) -> int:
        return sum(count for slot, count in slots.items() if slot[2] == outcome)

    return Sum(value, of("approve"), of("challenge"), of("decline"))


def total_of(sums: Iterable[Sum]) -> int:
    """All decisions of some sums."""
    return sum(one.total for one in sums)

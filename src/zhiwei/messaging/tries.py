"""Tries: what is counted of those who write to us, so that guessing and flooding come to nothing.

By number: messages that are answered, wrong references, and neutral sentences to strangers; these
are bounded for a block of numbers and for all as well, or strangers could make the bank pay for
messages. Everything is counted before it is done. `MessageStore` counts durably; where there is
none, `RememberedCounts` counts in memory, within a bound.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Final, Protocol, final

from zhiwei.core.windows import HOUR_MS
from zhiwei.messaging.numbers import prefix_of

#: Messages of one number in an hour that are answered.
MESSAGES_MAX: Final = 20
#: Wrong references of one number in an hour.
TRIES_MAX: Final = 5
#: Neutral sentences to one number in a day, to a block of numbers in an hour, and to all in one.
NEUTRAL_PER_DAY: Final = 1
NEUTRAL_PER_PREFIX: Final = 10
NEUTRAL_PER_HOUR: Final = 100
#: Names that are remembered, and instants of each.
_NAMES_MAX: Final = 10_000
_INSTANTS_MAX: Final = 128
_DAY_MS: Final = 24 * HOUR_MS


class Counts(Protocol):
    """Counts under names, as `MessageStore` does."""

    def spent(self, budget: str, since_ms: int) -> int:
        """How often something was counted under a name since an instant (UTC ms)."""
        ...

    def spend(self, budgets: Sequence[str], at_ms: int) -> None:
        """Count once under each of these names."""
        ...


@final
class RememberedCounts:
    """Counts of this process, gone with it; who was counted longest ago is forgotten first."""

    def __init__(self) -> None:
        self._by_name: Final[OrderedDict[str, deque[int]]] = OrderedDict()

    def spent(self, budget: str, since_ms: int) -> int:
        """How often something was counted under a name since an instant."""
        return sum(1 for at_ms in self._by_name.get(budget, ()) if at_ms >= since_ms)

    def spend(self, budgets: Sequence[str], at_ms: int) -> None:
        """Count once under each of these names."""
        for budget in budgets:
            self._by_name.setdefault(budget, deque(maxlen=_INSTANTS_MAX)).append(at_ms)
            self._by_name.move_to_end(budget)
        while len(self._by_name) > _NAMES_MAX:
            self._by_name.popitem(last=False)


@final
class Bounds:
    """What those who write to us may still do."""

    def __init__(self, counts: Counts) -> None:
        self._counts: Final = counts

    def is_flood(self, number: str, now_ms: int) -> bool:
        """Count a message of a number; whether it is one too many for this hour."""
        return not self._take(((f"inbound|{number}", HOUR_MS, MESSAGES_MAX),), now_ms)

    def may_greet(self, number: str, now_ms: int) -> bool:
        """Whether a stranger may be sent the neutral sentence; it is counted if so."""
        bounds = (
            (f"neutral|{number}", _DAY_MS, NEUTRAL_PER_DAY),
            (f"neutral|{prefix_of(number)}*", HOUR_MS, NEUTRAL_PER_PREFIX),
            ("neutral", HOUR_MS, NEUTRAL_PER_HOUR),
        )
        return self._take(bounds, now_ms)

    def has_guessed_enough(self, number: str, now_ms: int) -> bool:
        """Whether a number has sent too many wrong references."""
        return self._counts.spent(f"wrong|{number}", now_ms - HOUR_MS + 1) >= TRIES_MAX

    def note_wrong(self, number: str, now_ms: int) -> None:
        """One more wrong reference."""
        self._counts.spend((f"wrong|{number}",), now_ms)

    def _take(self, bounds: Sequence[tuple[str, int, int]], now_ms: int) -> bool:
        """Count once under each name, unless one of them has been counted enough in its span."""
        for name, span_ms, most in bounds:
            if self._counts.spent(name, now_ms - span_ms + 1) >= most:
                return False
        self._counts.spend([name for name, _, _ in bounds], now_ms)
        return True

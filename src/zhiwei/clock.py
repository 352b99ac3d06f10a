"""Clocks: the only place where the house asks what time it is."""

from __future__ import annotations

import time
from typing import Protocol, final


class Clock(Protocol):
    """Tells the instant of now."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        ...


@final
class SystemClock:
    """The clock of the machine."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return time.time_ns() // 1_000_000


@final
class ManualClock:
    """A clock that follows the machine until it is set, and then stands still until it is moved.

    Only `--test-mode` and tests have one.
    """

    def __init__(self, now_ms: int | None = None) -> None:
        self._now_ms = now_ms
        self._system = SystemClock()

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return self._system.now_ms() if self._now_ms is None else self._now_ms

    def move_to(self, now_ms: int) -> None:
        """Stand still at an instant, earlier or later than before."""
        self._now_ms = now_ms

    def advance(self, by_ms: int) -> None:
        """Move on by some milliseconds and stand still there."""
        self._now_ms = self.now_ms() + by_ms

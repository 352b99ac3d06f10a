"""Pauses between tries of a message, and the circuit breaker of a channel.

A message that is refused for now waits longer with every try, at most a quarter of an hour. A
channel that is down stops as a whole, and one message at a time tries whether it is back: its
pauses stay short, so that what waits goes out within seconds of its return.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, final

#: Longest pause that a throttling side is granted for all of its channel.
ASKED_PAUSE_MS_MAX: Final = 60_000
#: First pause of a channel that is down; it doubles up to the longest.
_FIRST_BREAK_MS: Final = 250
_DOUBLINGS_MAX: Final = 40


def pause_ms(
    tries: int, first_ms: int, longest_ms: int, asked_ms: int, random: Callable[[], float]
) -> int:
    """How long a message waits after its `tries`-th try (from 1).

    Doubles from `first_ms` up to `longest_ms`; the upper half is jitter, so that what failed
    together does not come back together. Where the other side asked for a pause, it is at least
    that, within `longest_ms`. `random` gives numbers in [0, 1).
    """
    full = min(longest_ms, first_ms << min(max(tries - 1, 0), _DOUBLINGS_MAX))
    half = full // 2
    jittered = half + int((full - half) * random())
    return max(1, jittered, min(asked_ms, longest_ms))


class BreakerState(Enum):
    """Whether a channel is used."""

    #: All messages go.
    CLOSED = "closed"
    #: None go: the other side is down or throttles.
    OPEN = "open"
    #: One goes, to see whether it is back.
    HALF_OPEN = "half_open"


@final
class Breaker:
    """Stops a channel that is down. Instants are the machine's, UTC ms."""

    def __init__(self, failures: int, longest_ms: int, random: Callable[[], float]) -> None:
        """Open after so many channel-down answers in a row, for at most `longest_ms` at a time."""
        self._failures_max: Final = failures
        self._longest_ms: Final = longest_ms
        self._random: Final = random
        self._failures = 0
        self._breaks = 0
        self._until_ms = 0
        self._is_probing = False
        self.state = BreakerState.CLOSED

    def room(self, now_ms: int, on_their_way: int, at_once: int) -> int:
        """How many messages may start now, while so many are on their way."""
        if self.state is BreakerState.OPEN:
            # A clock that was set back must not keep the channel closed.
            self._until_ms = min(self._until_ms, now_ms + max(self._longest_ms, ASKED_PAUSE_MS_MAX))
            if now_ms < self._until_ms:
                return 0
            self.state = BreakerState.HALF_OPEN
            self._is_probing = False
        room = max(0, at_once - on_their_way)
        if self.state is BreakerState.HALF_OPEN:
            # Those that were sent before and still hang do not keep the one from trying.
            return 0 if self._is_probing else min(1, room)
        return room

    def started(self) -> None:
        """A message was sent on its way."""
        self._is_probing = self.state is BreakerState.HALF_OPEN

    def worked(self) -> None:
        """The other side gave an answer that is about a message, not about itself."""
        self.state = BreakerState.CLOSED
        self._failures = self._breaks = 0

    def failed(self, now_ms: int, asked_ms: int) -> None:
        """The channel is down or throttled; it asked for a pause (0 = it did not say)."""
        asked = min(asked_ms, ASKED_PAUSE_MS_MAX)
        if self.state is BreakerState.OPEN:
            # The others that were on their way say the same; only a longer wish is news.
            self._until_ms = max(self._until_ms, now_ms + asked)
            return
        self._failures += 1
        is_closed = self.state is BreakerState.CLOSED
        if is_closed and self._failures < self._failures_max and not asked:
            return
        self._breaks += 1
        pause = pause_ms(
            self._breaks, min(_FIRST_BREAK_MS, self._longest_ms), self._longest_ms, 0, self._random
        )
        self._until_ms = now_ms + max(pause, asked)
        self.state = BreakerState.OPEN

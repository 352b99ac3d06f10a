"""Observer: who is told of what happens to messages, for metrics and logs.

Nothing personal is told: channels, states, numbers, and words of our own.
"""

from __future__ import annotations

from typing import Protocol, final

from zhiwei.messaging.backoff import BreakerState
from zhiwei.messaging.model import Status


class Observer(Protocol):
    """Told on the messaging loop; must return at once and never raise."""

    def planned(self, channel: str, status: Status, count: int) -> None:
        """Messages entered the store: queued, muted, held back, or dead at once."""
        ...

    def sent(self, channel: str, seconds: float) -> None:
        """The other side took a message, so long after its event (house's clock)."""
        ...

    def ended(self, channel: str, status: Status) -> None:
        """A message was not taken and will not be: failed, dead, expired."""
        ...

    def retried(self, channel: str, *, is_channel_down: bool) -> None:
        """A try failed, and there will be another."""
        ...

    def receipt(self, channel: str, status: Status) -> None:
        """A receipt found its message."""
        ...

    def unknown_receipts(self, count: int) -> None:
        """Receipts were dropped, because they belong to no message."""
        ...

    def inbound(self, word: str) -> None:
        """A message came in: `taken`, `repeated`, `answered`, `given_up`, `refused`."""
        ...

    def breaker(self, channel: str, state: BreakerState) -> None:
        """A channel's circuit breaker changed."""
        ...

    def backlog(self, channel: str, waiting: int, oldest_seconds: float) -> None:
        """What waits in a channel, every second or so."""
        ...

    def trouble(self, what: str) -> None:
        """Something of ours failed: `store`, `planning`, `inbound`, `undeliverable`, `loop`."""
        ...


@final
class NoObserver:
    """Is told, and keeps it to itself."""

    def planned(self, channel: str, status: Status, count: int) -> None:
        """Nothing."""

    def sent(self, channel: str, seconds: float) -> None:
        """Nothing."""

    def ended(self, channel: str, status: Status) -> None:
        """Nothing."""

    def retried(self, channel: str, *, is_channel_down: bool) -> None:
        """Nothing."""

    def receipt(self, channel: str, status: Status) -> None:
        """Nothing."""

    def unknown_receipts(self, count: int) -> None:
        """Nothing."""

    def inbound(self, word: str) -> None:
        """Nothing."""

    def breaker(self, channel: str, state: BreakerState) -> None:
        """Nothing."""

    def backlog(self, channel: str, waiting: int, oldest_seconds: float) -> None:
        """Nothing."""

    def trouble(self, what: str) -> None:
        """Nothing."""

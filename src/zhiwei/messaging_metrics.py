"""MessagingMetrics: what monitoring sees of messages. Labels name channels and states, no person.

SMS pumping shows as `held_back`, a side that is down as a breaker that is open and a backlog that
grows old, and forged or broken texts as outcomes of inbound messages.
"""

from __future__ import annotations

from typing import Final, final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from zhiwei.messaging.backoff import BreakerState
from zhiwei.messaging.model import Status

#: Seconds from an event to the other side; the target is a p99 of 0.3.
_SECONDS: Final = (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0, 3_600.0, 86_400.0)


@final
class MessagingMetrics:
    """All series of messaging; implements `messaging.observer.Observer`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry: Final = registry
        self._planned: Final = self._counter(
            "zhiwei_messages",
            "Messages made of events, by channel and state: queued, muted, held_back, dead.",
            ("channel", "status"),
        )
        self._sent: Final = Histogram(
            "zhiwei_messages_sent_seconds",
            "From an event to the other side's having its message, by channel.",
            ("channel",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._ended: Final = self._counter(
            "zhiwei_messages_ended",
            "Messages that will not be sent any more, by state: failed, dead, expired.",
            ("channel", "status"),
        )
        self._retried: Final = self._counter(
            "zhiwei_messages_retried",
            "Tries that failed and will be made again; whether the whole channel was down.",
            ("channel", "channel_down"),
        )
        self._receipts: Final = self._counter(
            "zhiwei_messages_receipts",
            "Delivery receipts, by what they say; `unknown` belong to no message.",
            ("channel", "status"),
        )
        self._inbound: Final = self._counter(
            "zhiwei_messages_inbound",
            "Text messages that came in, by what became of them.",
            ("what",),
        )
        self._up: Final = self._gauge(
            "zhiwei_messages_channel_up",
            "1 = the channel sends; 0 = its other side is down and it looks again soon.",
        )
        self._waiting: Final = self._gauge(
            "zhiwei_messages_waiting", "Messages that wait for their turn or their next try."
        )
        self._oldest: Final = self._gauge(
            "zhiwei_messages_waiting_seconds", "Age of the oldest message that waits."
        )
        self._line: Final = self._counter(
            "zhiwei_messages_smpp",
            "What happens on the line to the SMSC: binds, losses, parts that were dropped ...",
            ("what",),
        )
        self._trouble: Final = self._counter(
            "zhiwei_messages_trouble",
            "Failures of our own while handling messages, by where.",
            ("what",),
        )

    def _counter(self, name: str, what: str, labels: tuple[str, ...]) -> Counter:
        """A series that only grows."""
        return Counter(name, what, labels, registry=self._registry)

    def _gauge(self, name: str, what: str) -> Gauge:
        """A series of each channel that goes up and down."""
        return Gauge(name, what, ("channel",), registry=self._registry)

    def planned(self, channel: str, status: Status, count: int) -> None:
        """Messages entered the store."""
        self._planned.labels(channel, status.word).inc(count)

    def sent(self, channel: str, seconds: float) -> None:
        """The other side took a message, so long after its event."""
        self._sent.labels(channel).observe(seconds)

    def ended(self, channel: str, status: Status) -> None:
        """A message was not taken and will not be."""
        self._ended.labels(channel, status.word).inc()

    def retried(self, channel: str, *, is_channel_down: bool) -> None:
        """A try failed, and there will be another."""
        self._retried.labels(channel, "yes" if is_channel_down else "no").inc()

    def receipt(self, channel: str, status: Status) -> None:
        """A receipt found its message."""
        self._receipts.labels(channel, status.word).inc()

    def unknown_receipts(self, count: int) -> None:
        """Receipts were dropped, because they belong to no message."""
        self._receipts.labels("sms", "unknown").inc(count)

    def inbound(self, word: str) -> None:
        """A message came in, or was carried out."""
        self._inbound.labels(word).inc()

    def breaker(self, channel: str, state: BreakerState) -> None:
        """A channel's circuit breaker changed."""
        self._up.labels(channel).set(0 if state is BreakerState.OPEN else 1)

    def backlog(self, channel: str, waiting: int, oldest_seconds: float) -> None:
        """What waits in a channel."""
        self._waiting.labels(channel).set(waiting)
        self._oldest.labels(channel).set(oldest_seconds)

    def on_the_line(self, what: str) -> None:
        """Something happened on the line to the SMSC; a word of a small set."""
        self._line.labels(what).inc()

    def trouble(self, what: str) -> None:
        """Something of ours failed."""
        self._trouble.labels(what).inc()

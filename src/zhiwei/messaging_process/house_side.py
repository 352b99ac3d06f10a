"""What the serving process does for the messaging process, and shows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, Protocol, final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from zhiwei.clock import Clock
from zhiwei.engine import ThreadEntry
from zhiwei.gateways.http.subscriptions import switched_off_as_gone
from zhiwei.messaging.contacts import settler
from zhiwei.messaging_process.orders import ACTOR
from zhiwei.ports import Reader, RecordOvertakenError, Replacing, Subscription
from zhiwei.process_link.calls import Handler
from zhiwei.process_link.wire import commands_of, metrics_of, results_list


class Watched(Protocol):
    """What is shown of the messaging process (`parent.MessagingProcess`)."""

    @property
    def is_up(self) -> bool:
        """Whether it takes calls."""
        ...

    @property
    def restarts(self) -> int:
        """How often it died and was started again."""
        ...

    def metrics(self) -> list[Any] | None:
        """Its series as values of the wire; None where it does not tell."""
        ...


class ImageReader(Reader, Protocol):
    """A reader that also gives files as they are kept."""

    def image(self, card_key: bytes) -> tuple[bytes, bytes] | None:
        """The card's file: cold part and hot part, sealed."""
        ...


def calls_of(path: ThreadEntry, reader: Reader, clock: Clock) -> dict[str, Handler]:
    """What the messaging process may call."""

    async def submit(rows: list[Any]) -> list[Any]:
        commands = commands_of(rows)
        return results_list(commands, await path.submit(commands))

    async def gone(subscription: str) -> None:
        while True:
            known = reader.record(Subscription, subscription)
            made = None if known is None else switched_off_as_gone(known, clock.now_ms())
            if made is None:
                return
            off, audit = made
            # Overtaken by a new secret, say: that stays, and the address is gone all the same.
            with suppress(RecordOvertakenError):
                await path.keep([Replacing(off, known)], [audit], ACTOR)

    settle = settler(reader, path.keep, clock)

    async def settle_contact(value: list[str]) -> None:
        contact_id, word = value
        await settle(contact_id, word)

    return {"submit": submit, "gone": gone, "settle_contact": settle_contact}


def answers_of(reader: ImageReader, clock: Clock) -> dict[str, Callable[[Any], Any]]:
    """What the messaging process may ask."""
    return {
        "now_ms": lambda _: clock.now_ms(),
        "images": lambda keys: [reader.image(key) for key in keys],
    }


@final
class MessagingSeries(Collector):
    """The messaging process's metrics among those of the house."""

    def __init__(self, process: Watched) -> None:
        self._process: Final = process
        self._last: list[Any] = []

    def collect(self) -> Iterable[Metric]:
        """Its series as it tells them; those told last while it does not."""
        told = self._process.metrics()
        self._last = self._last if told is None else told
        yield from metrics_of(self._last)
        yield GaugeMetricFamily(
            "zhiwei_messaging_up",
            "1 = the messaging process is there; 0 = it is being started again.",
            float(self._process.is_up),
        )
        yield CounterMetricFamily(
            "zhiwei_messaging_restarts",
            "How often the messaging process died and was started again.",
            self._process.restarts,
        )

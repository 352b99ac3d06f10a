"""Subscribers: who wants to hear of events by webhook, read anew now and then.

Hundreds of events a second are planned, and subscriptions change once a month; so what was read is
believed for a second of the machine's time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, final

from zhiwei.ports import Reader, Subscription

#: What was read is believed for so long, by the machine's clock.
KNOWN_FOR_MS: Final = 1_000
_CHUNK: Final = 100


def monotonic_ms() -> int:
    """The machine's clock in ms, from an instant of its own."""
    return int(time.monotonic() * 1000)


@final
class Subscribers:
    """The subscriptions that are neither deleted nor switched off."""

    def __init__(self, reader: Reader, pace_ms: Callable[[], int]) -> None:
        self._reader: Final = reader
        self._pace_ms: Final = pace_ms
        self._known: list[Subscription] = []
        self._known_until_ms: int | None = None

    def of(self, kind: str) -> list[Subscription]:
        """Those who want to hear of a kind of event, in the order of their making."""
        pace_ms = self._pace_ms()
        if self._known_until_ms is None or pace_ms >= self._known_until_ms:
            self._known = sorted(self._read(), key=lambda subscription: subscription.id)
            self._known_until_ms = pace_ms + KNOWN_FOR_MS
        return [s for s in self._known if not s.events or kind in s.events]

    def _read(self) -> Iterator[Subscription]:
        before = ""
        while True:
            chunk = self._reader.records(Subscription, before=before, limit=_CHUNK)
            for subscription in chunk:
                if not subscription.deleted_ms and not subscription.disabled_ms:
                    yield subscription
            if len(chunk) < _CHUNK:
                return
            before = chunk[-1].id

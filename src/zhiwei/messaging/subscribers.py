"""Subscribers: who wants to hear of events by webhook.

They are read anew for each group of events, after these: whoever had subscribed before an event is
told of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, final

from zhiwei.ports import Reader, Subscription

_CHUNK: Final = 100


@final
class Subscribers:
    """The subscriptions that are neither deleted nor switched off."""

    def __init__(self, reader: Reader) -> None:
        self._reader: Final = reader
        self._known: list[Subscription] | None = None

    def look(self) -> bool:
        """Read them anew; whether there are any."""
        self._known = sorted(self._read(), key=lambda subscription: subscription.id)
        return bool(self._known)

    def of(self, kind: str) -> list[Subscription]:
        """Those who want to hear of a kind of event, in the order of their making."""
        if self._known is None:
            self.look()
        return [s for s in self._known or () if not s.events or kind in s.events]

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

"""Endpoints: how each of them has been doing, so that none of them holds up the others.

An endpoint has a share of what may be on its way at once, and one that fails again and again is
left alone for a while (circuit breaker): its messages wait, all others go on.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, final

from zhiwei.gateways.outgoing.sending import Reply

#: Trouble in a row that opens the breaker.
FAILURES: Final = 5
_PAUSE_FIRST_MS: Final = 2_000
_PAUSE_MAX_MS: Final = 60_000
#: A pause that the endpoint asks for holds for all its messages, up to here.
_ASKED_MAX_MS: Final = 5 * 60_000
_CROWDED_PAUSE_MS: Final = 1_000
#: Endpoints that are remembered; one that is forgotten begins anew.
_ENDPOINTS_MAX: Final = 10_000


@dataclass
class _Endpoint:
    on_the_way: int = 0
    failures: int = 0
    #: Nothing is sent before (machine's time, UTC ms); 0 = it is well.
    closed_until_ms: int = 0


@dataclass(frozen=True)
class Wait:
    """Why a message is not sent now, and for how long."""

    detail: str
    pause_ms: int


@final
class Endpoints:
    """All endpoints, by the id of their subscription."""

    def __init__(self, share: int) -> None:
        """`share`: messages that may be on their way to one endpoint at once."""
        self._share: Final = share
        self._by_id: Final[OrderedDict[str, _Endpoint]] = OrderedDict()

    def begin(self, endpoint_id: str, now_ms: int) -> Wait | None:
        """Count a message as on its way; or say why it has to wait (and count nothing)."""
        endpoint = self._by_id.setdefault(endpoint_id, _Endpoint())
        self._by_id.move_to_end(endpoint_id)
        self._forget()
        if endpoint.closed_until_ms > now_ms:
            pause_ms = _with_jitter(endpoint.closed_until_ms - now_ms)
            return Wait("the endpoint has been failing; it is left alone for a while", pause_ms)
        # After a pause a single message feels the way.
        share = 1 if endpoint.closed_until_ms else self._share
        if endpoint.on_the_way >= share:
            pause_ms = _with_jitter(_CROWDED_PAUSE_MS)
            return Wait("the endpoint is slow: enough is on its way to it", pause_ms)
        endpoint.on_the_way += 1
        return None

    def end(self, endpoint_id: str, reply: Reply | None, now_ms: int) -> None:
        """Take a message off the way; `reply` = what came of it, None = the try was broken off."""
        endpoint = self._by_id.get(endpoint_id)
        if endpoint is None:
            return
        endpoint.on_the_way -= 1
        if reply is None:
            return
        if not reply.is_trouble:
            endpoint.failures, endpoint.closed_until_ms = 0, 0
            return
        endpoint.failures += 1
        pause_ms = min(reply.pause_ms, _ASKED_MAX_MS)
        if endpoint.failures >= FAILURES:
            # Shifted by little: the pause is at its longest soon.
            doubled = _PAUSE_FIRST_MS << min(endpoint.failures - FAILURES, 10)
            pause_ms = max(pause_ms, _with_jitter(min(doubled, _PAUSE_MAX_MS)))
        if pause_ms:
            endpoint.closed_until_ms = max(endpoint.closed_until_ms, now_ms + pause_ms)

    def _forget(self) -> None:
        """Forget who was written to longest ago, unless something is on its way there."""
        if len(self._by_id) <= _ENDPOINTS_MAX:
            return
        for endpoint_id, endpoint in self._by_id.items():
            if not endpoint.on_the_way:
                del self._by_id[endpoint_id]
                return


def _with_jitter(pause_ms: int) -> int:
    """Up to a quarter more, so that what waits does not come back in one blow."""
    return pause_ms + random.randrange(pause_ms // 4 + 1)  # noqa: S311 - no secret, only spread

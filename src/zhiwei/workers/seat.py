"""Seat: what a worker is given instead of ports of its own and a messaging process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, Final, final

from prometheus_client import CollectorRegistry

from zhiwei.core.errors import ZhiweiError
from zhiwei.messaging_process.parent import MessagingProcess
from zhiwei.ports import StoreUnavailableError
from zhiwei.process_link.calls import Line
from zhiwei.workers.handing import Handed
from zhiwei.workers.series import AllSeries, shown_by

_CALL_SECONDS: Final = 35.0
#: Longer than the supervisor waits for each worker.
_SERIES_SECONDS: Final = 3.0


@final
class Seat:
    """One worker's; made on the path's loop, which the line to the supervisor is on."""

    def __init__(
        self, number: int, http: socket.socket, handed: Handed, line: Line, *, has_messaging: bool
    ) -> None:
        """Take it.

        Args:
            number: of the worker, from 1.
            http: the HTTP port's socket, which listens.
            handed: gives the lines of the ISO 8583 port.
            line: to the supervisor.
            has_messaging: this worker starts the messaging process; else it asks whoever does.
        """
        self.number: Final = number
        self.http: Final = http
        self.handed: Final = handed
        self.has_messaging: Final = has_messaging
        #: This worker's own series.
        self.own: Final = CollectorRegistry()
        #: The messaging process of another worker.
        self.messaging: Final = RelayedMessaging(line, asyncio.get_running_loop())
        self._own_messaging: MessagingProcess | None = None
        self._line: Final = line
        self._loop: Final = asyncio.get_running_loop()

    def shown(self) -> CollectorRegistry:
        """The series of all workers."""
        return shown_by(AllSeries(self.number, self.own, self._ask_series))

    def relays_to(self, messaging: MessagingProcess) -> None:
        """Have other workers' calls end here."""
        self._own_messaging = messaging

    async def relay(self, name: str, value: Any) -> Any:  # noqa: ANN401 - values of the wire
        """Carry out another worker's call (`RelayedMessaging`).

        Raises:
            StoreUnavailableError: it was not done, or it is not known.
        """
        if self._own_messaging is None:
            raise StoreUnavailableError("messages cannot be handled now; try again")
        return await self._own_messaging.call(name, value)

    def _ask_series(self) -> list[Any] | None:
        """What the supervisor tells; for any thread but the loop's."""
        with contextlib.suppress(ZhiweiError, RuntimeError, TimeoutError):
            work = self._line.call("series", None, _SERIES_SECONDS)
            asked = asyncio.run_coroutine_threadsafe(work, self._loop)
            return list(asked.result(2 * _SERIES_SECONDS))
        return None


@final
class RelayedMessaging:
    """The messaging process of another worker, which the supervisor passes calls on to."""

    def __init__(self, line: Line, loop: asyncio.AbstractEventLoop) -> None:
        self._line: Final = line
        self._loop: Final = loop

    def follow(self, policy: str) -> None:
        """The worker that has the process finds another policy by itself, and tells it."""

    def stop(self) -> None:
        """It is not this worker's to end."""

    async def call(self, name: str, value: object) -> Any:  # noqa: ANN401 - a value of the wire
        """Have it do something (`MessagingCalls`); from any loop.

        Raises:
            StoreUnavailableError: it was not done, or it is not known.
        """
        work = self._line.call("messaging", [name, value], _CALL_SECONDS)
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise StoreUnavailableError("messages cannot be handled now; try again") from None
        return await asyncio.wrap_future(future)

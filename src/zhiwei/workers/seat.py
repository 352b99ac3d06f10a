"""Seat: what a worker is given instead of ports of its own and a messaging process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from typing import Any, Final, final

from prometheus_client import CollectorRegistry

from zhiwei.core.errors import ZhiweiError
from zhiwei.messaging.model import Message
from zhiwei.messaging.reply import Taken
from zhiwei.messaging_process.parent import MessagingProcess
from zhiwei.ports import StoreUnavailableError
from zhiwei.process_link.calls import Line
from zhiwei.process_link.wire import messages_list, messages_of, taken_list, taken_of
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
        messaging = self._own_messaging
        if messaging is None:
            raise StoreUnavailableError("messages cannot be handled now; try again")
        if name == "replay":
            return await messaging.replay(value)
        if name == "queue":
            return await messaging.queue(messages_of(value))
        sender, text, message_id = value
        return taken_list(await messaging.inbound(sender, text, message_id))

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

    async def replay(self, ids: Sequence[str]) -> int:
        """Queue messages that are over again; returns how many were.

        Raises:
            StoreUnavailableError: none was, or it is not known.
        """
        return int(await self._call("replay", list(ids)))

    async def queue(self, messages: Sequence[Message]) -> int:
        """Take in messages that tell no event; returns how many were new.

        Raises:
            StoreUnavailableError: none was, or it is not known.
        """
        return int(await self._call("queue", messages_list(messages)))

    async def inbound(self, sender: str, text: str, message_id: str) -> Taken:
        """Carry out a text message; the reply goes out once, however often it is called.

        Raises:
            StoreUnavailableError: nothing was done, or it is not known.
        """
        return taken_of(await self._call("inbound", [sender, text, message_id]))

    def follow(self, policy: str) -> None:
        """The worker that has the process finds another policy by itself, and tells it."""

    def stop(self) -> None:
        """It is not this worker's to end."""

    async def _call(self, name: str, value: object) -> Any:  # noqa: ANN401 - a value of the wire
        """Have it do something; from any loop."""
        work = self._line.call("messaging", [name, value], _CALL_SECONDS)
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise StoreUnavailableError("messages cannot be handled now; try again") from None
        return await asyncio.wrap_future(future)

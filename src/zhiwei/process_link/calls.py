"""Calls: two event loops in two processes, each of which may have the other do something."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias, final

from zhiwei.ports import StoreUnavailableError
from zhiwei.process_link.frames import FRAME_MAX, LENGTH_BYTES, answered, framed, told
from zhiwei.stores.coding.frame import unpack

#: What a call does: takes a value of the wire and gives one.
Handler: TypeAlias = "Callable[[Any], Awaitable[Any]]"


@final
class Line:
    """One end. Both ends answer in any order; everything happens on the loop that opened it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handlers: Mapping[str, Handler],
    ) -> None:
        self._reader: Final = reader
        self._writer: Final = writer
        self._handlers: Final = handlers
        self._waiting: Final[dict[int, asyncio.Future[Any]]] = {}
        self._doing: Final[set[asyncio.Task[None]]] = set()
        self._number = 0
        self._is_open = True

    async def run(self) -> None:
        """Serve until the other side is gone; then every call that waits fails."""
        try:
            while True:
                size = int.from_bytes(await self._reader.readexactly(LENGTH_BYTES), "big")
                if size > FRAME_MAX:
                    break
                number, name, value = unpack(await self._reader.readexactly(size))
                if name is None:
                    self._settle(number, value)
                    continue
                task = asyncio.create_task(self._do(number, name, value))
                self._doing.add(task)
                task.add_done_callback(self._doing.discard)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._close()

    async def call(self, name: str, value: object, seconds: float) -> Any:  # noqa: ANN401 - whatever the call gives
        """Have the other side do something; what it gives.

        Raises:
            StoreUnavailableError: the other side is not there, or too late; it may still be done.
            ZhiweiError: what the other side raised.
        """
        if not self._is_open:
            raise StoreUnavailableError("the other process is not there; try again")
        self._number += 1
        number = self._number
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._writer.write(framed([number, name, value]))
            async with asyncio.timeout(seconds):
                return answered(await future)
        except TimeoutError:
            message = "the other process does not answer in time; it may still be done, try again"
            raise StoreUnavailableError(message) from None
        finally:
            self._waiting.pop(number, None)

    async def _do(self, number: int, name: str, value: object) -> None:
        answer: list[Any]
        try:
            answer = [await self._handlers[name](value)]
        except Exception as error:  # noqa: BLE001 - it is raised again by who called
            answer = told(error, name)
        if self._is_open:
            self._writer.write(framed([number, None, answer]))

    def _settle(self, number: int, answer: list[Any]) -> None:
        future = self._waiting.get(number)
        if future is not None and not future.done():
            future.set_result(answer)

    def _close(self) -> None:
        self._is_open = False
        self._writer.close()
        for number in self._waiting:
            gone = StoreUnavailableError("the other process has ended; try again")
            self._settle(number, told(gone, "end"))


async def line_over(end: socket.socket, handlers: Mapping[str, Handler]) -> Line:
    """A line over one end of a pair of sockets; its `run` is still to be started."""
    end.settimeout(0)
    reader, writer = await asyncio.open_unix_connection(sock=end)
    return Line(reader, writer, handlers)

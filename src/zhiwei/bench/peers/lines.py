"""A receiver of messages as lines over TCP: slow, forgetful, and sometimes not there.

It notes every message at the moment of its arrival. It answers some with "later", forgets to answer
others and hangs up, tells receipts before, after, or never, and sends messages of its own until it
is told that they were taken. What it speaks: `bench.delivering`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Final, final

_LATER: Final = 0.03
_HANG_UP: Final = 0.004
_EARLY_RECEIPT: Final = 0.05
_RECEIPT: Final = 0.8
_SLOW_SECONDS: Final = 0.004
_INBOUND_SECONDS: Final = 0.02
#: Messages of its own that it has sent and not been thanked for, at most.
_INBOUND_OPEN: Final = 8


@final
class LineReceiver:
    """Listens on a port of 127.0.0.1 from `up` to `down`, always the same one."""

    def __init__(self, rng: random.Random) -> None:
        self._random: Final = rng
        self._server: asyncio.Server | None = None
        self._writers: Final[set[asyncio.StreamWriter]] = set()
        self._works: Final[set[asyncio.Task[None]]] = set()
        #: Id, lane and text of all that arrived and was not put off, in order.
        self.arrivals: Final[list[tuple[str, str, str]]] = []
        self.taken: Final[set[str]] = set()
        self._open: Final[list[str]] = []
        self._inbound = 0
        self._remote = 0
        self.port = 0
        self.has_arrival: Final = asyncio.Event()
        #: Whether it sends messages of its own.
        self.is_talkative = True

    async def up(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Listen no more, and hang up."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.close()
            await asyncio.gather(*self._works, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        talking = asyncio.create_task(self._talk(writer))
        try:
            with contextlib.suppress(OSError):
                while line := await reader.readline():
                    if not line.endswith(b"\n"):
                        break  # half a line of a program that was killed
                    self._understand(line.decode().split(), writer)
        finally:
            talking.cancel()
            self._writers.discard(writer)
            writer.close()

    def _understand(self, words: list[str], writer: asyncio.StreamWriter) -> None:
        match words:
            case ["msg", message_id, lane, text]:
                self._take(message_id, lane, text, writer)
            case ["took", inbound_id]:
                self.taken.add(inbound_id)
                if inbound_id in self._open:
                    self._open.remove(inbound_id)
            case _:
                raise AssertionError(words)

    def _take(self, message_id: str, lane: str, text: str, writer: asyncio.StreamWriter) -> None:
        chance = self._random.random()
        if chance < _LATER:
            _tell(writer, f"later {message_id}")
            return
        self.arrivals.append((message_id, lane, text))
        self.has_arrival.set()
        if chance < _LATER + _HANG_UP:
            writer.close()
            return
        task = asyncio.create_task(self._answer(message_id, writer))
        self._works.add(task)
        task.add_done_callback(self._works.discard)

    async def _answer(self, message_id: str, writer: asyncio.StreamWriter) -> None:
        self._remote += 1
        remote, draw = self._remote, self._random.random
        receipt = f"receipt {remote}"
        answer = f"ok {message_id} {remote}"
        is_early, has_receipt = draw() < _EARLY_RECEIPT, draw() < _RECEIPT
        first, second = draw() * _SLOW_SECONDS, draw() * _SLOW_SECONDS
        await asyncio.sleep(first)
        if is_early:
            _tell(writer, f"{receipt}\n{answer}")
            return
        _tell(writer, answer)
        if has_receipt:
            await asyncio.sleep(second)
            _tell(writer, receipt)

    async def _talk(self, writer: asyncio.StreamWriter) -> None:
        """Send what was not taken yet once more, and now and then something new."""
        for inbound in self._open:
            _tell(writer, f"in {inbound}")
        while True:
            await asyncio.sleep(_INBOUND_SECONDS)
            if self.is_talkative and len(self._open) < _INBOUND_OPEN:
                self._inbound += 1
                inbound = f"in_{self._inbound:06d}"
                self._open.append(inbound)
                _tell(writer, f"in {inbound}")


def _tell(writer: asyncio.StreamWriter, line: str) -> None:
    """Write a line, unless the other side is gone."""
    if not writer.is_closing():
        writer.write(f"{line}\n".encode())

"""Handing: lines that the supervisor accepted and hands to workers, evenly.

Over one pair of sockets for each worker: towards the worker one byte with each line, back one byte
for each that is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final, final

import structlog

_log: Final = structlog.get_logger()

#: Lines that are accepted before the loop does something else.
_AT_ONCE: Final = 64
#: How long nothing is accepted after the system refused to (no descriptors left).
_PAUSE_SECONDS: Final = 1.0
_READ_BYTES: Final = 4096
_LINE: Final = b"+"
_CLOSED: Final = b"-"


@final
class Handing:
    """The supervisor's end of one worker's pair."""

    def __init__(self, end: socket.socket) -> None:
        """`end` stays the caller's to close."""
        end.settimeout(0)
        self._end: Final = end
        #: Lines that were handed over and are open, as far as the worker has told.
        self.lines = 0

    def fileno(self) -> int:
        """To wait for what the worker tells."""
        return self._end.fileno()

    def hand(self, line: socket.socket) -> bool:
        """Hand a line over; False where the worker does not take it."""
        try:
            socket.send_fds(self._end, [_LINE], [line.fileno()])
        except OSError:
            return False
        self.lines += 1
        return True

    def hear(self) -> None:
        """Count lines that were closed."""
        with contextlib.suppress(OSError):
            self.lines -= len(self._end.recv(_READ_BYTES))


@final
class Spreading:
    """Accepts on one listening socket while there is somebody to take lines. For one event loop."""

    def __init__(self, listener: socket.socket) -> None:
        """`listener` stays the caller's to close, after `stop`."""
        listener.settimeout(0)
        self._listener: Final = listener
        self._takers: Final[list[Handing]] = []
        self._again: asyncio.TimerHandle | None = None

    def add(self, taker: Handing) -> None:
        """Hand lines to one more."""
        loop = asyncio.get_running_loop()
        loop.add_reader(taker.fileno(), taker.hear)
        self._takers.append(taker)
        if self._again is None:
            loop.add_reader(self._listener.fileno(), self._accept)

    def remove(self, taker: Handing) -> None:
        """Hand it no more. While there is nobody, lines wait in the queue of the system."""
        if taker in self._takers:
            loop = asyncio.get_running_loop()
            self._takers.remove(taker)
            loop.remove_reader(taker.fileno())
            if not self._takers:
                loop.remove_reader(self._listener.fileno())

    def stop(self) -> None:
        """Accept nothing more."""
        for taker in tuple(self._takers):
            self.remove(taker)
        if self._again is not None:
            self._again.cancel()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                line, _peer = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            with line:
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._spread(line)

    def _spread(self, line: socket.socket) -> None:
        """Whoever has the fewest gets it; where nobody takes it, it is closed."""
        for taker in sorted(self._takers, key=lambda each: each.lines):
            if taker.hand(line):
                return
        _log.error("iso8583_line_not_taken")

    def _pause(self, error: OSError) -> None:
        _log.error("iso8583_not_accepted", error=error.strerror)
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener.fileno())
        self._again = loop.call_later(_PAUSE_SECONDS, self._go_on)

    def _go_on(self) -> None:
        self._again = None
        if self._takers:
            asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)


@final
class Handed:
    """The worker's end: lines that it is given. For one event loop."""

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(0)
        self._end: Final = end
        self._take: Callable[[socket.socket], None] | None = None
        #: Lines that were closed and not told yet.
        self._closed = 0

    def begin(self, take: Callable[[socket.socket], None]) -> None:
        """Have lines taken from now on."""
        self._take = take
        asyncio.get_running_loop().add_reader(self._end.fileno(), self._receive)

    def end(self) -> None:
        """Take no more; who was handed over in this moment finds the line closed."""
        if self._take is not None:
            asyncio.get_running_loop().remove_reader(self._end.fileno())
            self._take = None
        self._end.close()

    def closed(self) -> None:
        """Tell that a line was closed."""
        self._closed += 1
        # What cannot be told now is told with the next.
        with contextlib.suppress(OSError):
            self._closed -= self._end.send(_CLOSED * self._closed)

    def _receive(self) -> None:
        assert self._take is not None, "it has begun"
        try:
            told, descriptors, _, _ = socket.recv_fds(self._end, 1, 1)
        except OSError:
            return
        if not told:
            # The supervisor is gone; its line says so too.
            asyncio.get_running_loop().remove_reader(self._end.fileno())
        for descriptor in descriptors:
            self._take(socket.socket(fileno=descriptor))

"""Server: ISO 8583 over TCP; many connections, many messages in flight on each.

Whole receive buffers go to the door at once, and all answers of a batch leave in one write. Nothing
is without a bound: connections, frames, messages in flight, silence, half frames, unread answers.
Stopping answers what was taken, and takes nothing new.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast, final

import structlog

from zhiwei.core.command import Command
from zhiwei.gateways.iso8583.answers import Answer
from zhiwei.gateways.iso8583.door import Door, OnAnswered, Submit, Waiting
from zhiwei.gateways.iso8583.faults import FrameError
from zhiwei.gateways.iso8583.frame import split

_log: Final = structlog.get_logger()

#: Messages of one buffer that are decided together, so that no line fills a batch alone.
UNIT_MAX: Final = 128


@dataclass(frozen=True)
class Limits:
    """Bounds of one server. Times in seconds."""

    #: Open connections; more are closed as soon as they come.
    connections_max: int = 1024
    #: Messages of one connection that are being decided; past it nothing is read from it.
    in_flight_max: int = 4096
    #: From the first byte of a frame to its last one; longer is a slow loris.
    frame_seconds: float = 10.0
    #: Without a single byte; lines are kept open by echo tests (0800).
    idle_seconds: float = 900.0
    #: With answers that the other side does not take.
    unread_seconds: float = 30.0
    #: Bytes of answers that may wait for the other side before nothing more is read from it.
    unread_bytes: int = 1 << 20
    #: How long stopping waits for what is being decided.
    stop_seconds: float = 30.0
    #: How often the bounds of time are looked at.
    sweep_seconds: float = 1.0


@final
class _Unit:
    """Messages of one receive buffer, which are decided together where nothing parts them."""

    __slots__ = ("_commands", "_connection", "_waiting")

    def __init__(
        self, connection: Connection, commands: list[Command], waiting: list[Waiting]
    ) -> None:
        self._connection: Final = connection
        self._commands: Final = commands
        self._waiting: Final = waiting

    def submit(self) -> None:
        """Hand the commands to the engine."""
        self._connection.server.submit(self._commands, self.answered, self.part)

    def part(self, places: list[int]) -> OnAnswered:
        """Who sends the answers to some of the messages."""
        commands = [self._commands[place] for place in places]
        return _Unit(
            self._connection, commands, [self._waiting[place] for place in places]
        ).answered

    def answered(self, answers: Sequence[Answer]) -> None:
        """Send the answers. A unit that met a bug is tried again one by one: it costs one only."""
        server = self._connection.server
        if len(self._commands) > 1 and answers[0] == server.bug:
            for command, asked in zip(self._commands, self._waiting, strict=True):
                _Unit(self._connection, [command], [asked]).submit()
            return
        self._connection.answered(len(answers), server.door.frames(self._waiting, answers))


@final
class Connection(asyncio.Protocol):
    """One line to an acquirer or a switch."""

    def __init__(self, server: Iso8583Server) -> None:
        self.server: Final = server
        self._transport: asyncio.Transport | None = None
        #: Bytes of a frame that is not whole yet.
        self._rest = b""
        self._in_flight = 0
        self._is_leaving = False
        self._is_reading = True
        #: Instants on the loop's clock; 0 = it is not so.
        self._heard = 0.0
        self._frame_began = 0.0
        self._unread_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A line was opened; one too many is closed again."""
        # uvloop's transport has asyncio.Transport's methods and is not a subclass of it.
        self._transport = cast("asyncio.Transport", transport)
        self._heard = self.server.now()
        if not self.server.admit(self):
            self._is_leaving = True
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=self.server.limits.unread_bytes)

    def data_received(self, data: bytes) -> None:
        """Bytes arrived: whole frames are taken, the rest waits for more."""
        if self._is_leaving:
            return
        self._heard = self.server.now()
        buffer = self._rest + data if self._rest else data
        spans: list[int] = []
        form = self.server.door.framing
        try:
            rest = split(form, buffer, 0, spans)
        except FrameError as error:
            _log.warning("iso8583_stream_unreadable", error=str(error))
            rest = len(buffer)
            self._is_leaving = True
        if spans or not self._rest:
            self._frame_began = self._heard
        self._rest = buffer[rest:]
        if spans:
            self._take(buffer, spans)
        if self._is_leaving:
            self._leave()

    def _take(self, buffer: bytes, spans: list[int]) -> None:
        """Answer what can be answered at once, and have the rest decided."""
        intake = self.server.door.take(buffer, spans)
        if intake.answers:
            self._write(intake.answers)
        commands = intake.commands
        self._in_flight += len(commands)
        self._read_or_wait()
        for start in range(0, len(commands), UNIT_MAX):
            end = start + UNIT_MAX
            _Unit(self, commands[start:end], intake.waiting[start:end]).submit()

    def answered(self, count: int, frames: list[bytes]) -> None:
        """Send answers; the other side may have gone away meanwhile."""
        self._in_flight -= count
        if frames:
            self._write(frames)
        if self._is_leaving:
            self._leave()
        else:
            self._read_or_wait()

    def _write(self, frames: list[bytes]) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def _read_or_wait(self) -> None:
        """Read on, or not: as answers are taken, and as room is for more messages in flight."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        may_read = not self._unread_since and self._in_flight < self.server.limits.in_flight_max
        if may_read and not self._is_reading:
            self._is_reading = True
            # While nothing was read, no frame could become whole.
            self._frame_began = self._heard = self.server.now()
            transport.resume_reading()
        elif not may_read and self._is_reading:
            self._is_reading = False
            transport.pause_reading()

    def pause_writing(self) -> None:
        """The other side does not take its answers."""
        self._unread_since = self.server.now()
        self._read_or_wait()

    def resume_writing(self) -> None:
        """The other side takes its answers again."""
        self._unread_since = 0.0
        self._read_or_wait()

    def eof_received(self) -> bool:
        """The other side sends no more; it still gets the answers to what it sent."""
        self.leave()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The line is closed; what was taken is decided all the same."""
        self._transport = None
        self._is_leaving = True
        self.server.dismiss(self)

    def leave(self) -> None:
        """Take nothing more; close when everything that was taken is answered."""
        self._is_leaving = True
        self._leave()

    def _leave(self) -> None:
        if self._in_flight == 0 and self._transport is not None:
            # What was written is sent before the line is closed.
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def check_times(self, now: float) -> None:
        """Close a line that is silent, sends a frame drop by drop, or does not read."""
        limits = self.server.limits
        why = ""
        if self._unread_since and now - self._unread_since > limits.unread_seconds:
            why = "answers are not read"
        elif self._rest and self._is_reading and now - self._frame_began > limits.frame_seconds:
            why = "a frame takes too long"
        elif self._is_reading and not self._in_flight and now - self._heard > limits.idle_seconds:
            why = "nothing was heard"
        if why:
            _log.info("iso8583_connection_closed", why=why)
            self.abort()


@final
class Iso8583Server:
    """Listens, keeps count of the connections, and stops in good order. For one event loop."""

    def __init__(
        self,
        door: Door,
        submit: Submit,
        *,
        limits: Limits | None = None,
        bug: int = -1,
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        """Make a server that does not listen yet.

        Args:
            door: reads and answers messages.
            submit: has commands carried out, and calls back on this loop.
            limits: bounds; the defaults of `Limits` if none are given.
            bug: number of the answer that stands for a bug; a unit that gets it is tried one by
                one.
            on_closed: is called for each line that was closed.
        """
        self.door: Final = door
        self.submit: Final = submit
        self.limits: Final = limits or Limits()
        self.bug: Final = bug
        self._on_closed: Final = on_closed
        self._connections: Final[set[Connection]] = set()
        self._listener: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._taking: Final[set[asyncio.Task[object]]] = set()
        self._all_gone: Final = asyncio.Event()
        self._all_gone.set()

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._connections)

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; returns the address and the port (0 takes a free one).

        Raises:
            OSError: the address is taken or does not exist.
        """
        self.begin()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Connection(self), host, port)
        address = self._listener.sockets[0].getsockname()
        return str(address[0]), int(address[1])

    def begin(self) -> None:
        """Serve on this loop without a port of its own: lines come by `take`."""
        self._loop = asyncio.get_running_loop()
        self._sweeper = self._loop.call_later(self.limits.sweep_seconds, self._sweep)

    def take(self, line: socket.socket) -> None:
        """Serve a line that somebody else accepted."""
        assert self._loop is not None, "it has begun"
        work = self._loop.connect_accepted_socket(lambda: Connection(self), line)
        task = self._loop.create_task(work)
        self._taking.add(task)
        task.add_done_callback(self._taken)

    def _taken(self, task: asyncio.Task[object]) -> None:
        self._taking.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # It was closed before anything was heard; there is no connection to be lost.
            _log.info("iso8583_line_lost", error=str(task.exception()))
            self._tell_closed()

    async def stop(self) -> None:
        """Take nothing new, answer what was taken, and close all lines."""
        if self._listener is not None:
            self._listener.close()
        if self._taking:
            await asyncio.wait(self._taking)
        for connection in tuple(self._connections):
            connection.leave()
        try:
            await asyncio.wait_for(self._all_gone.wait(), self.limits.stop_seconds)
        except TimeoutError:
            _log.warning("iso8583_stop_cut_short", connections=len(self._connections))
            for connection in tuple(self._connections):
                connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def now(self) -> float:
        """The loop's clock, which never runs back."""
        assert self._loop is not None
        return self._loop.time()

    def admit(self, connection: Connection) -> bool:
        """Count a new connection in, unless there are too many."""
        if len(self._connections) >= self.limits.connections_max:
            _log.warning("iso8583_too_many_connections", limit=self.limits.connections_max)
            return False
        self._connections.add(connection)
        self._all_gone.clear()
        self.door.observer.observe_connections(len(self._connections))
        return True

    def dismiss(self, connection: Connection) -> None:
        """Count a closed connection out."""
        self._connections.discard(connection)
        self.door.observer.observe_connections(len(self._connections))
        self._tell_closed()
        if not self._connections:
            self._all_gone.set()

    def _tell_closed(self) -> None:
        if self._on_closed is not None:
            self._on_closed()

    def _sweep(self) -> None:
        """Look at the bounds of time, now and again."""
        assert self._loop is not None
        now = self._loop.time()
        for connection in tuple(self._connections):
            connection.check_times(now)
        self._sweeper = self._loop.call_later(self.limits.sweep_seconds, self._sweep)

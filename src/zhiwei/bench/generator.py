"""The load generator: one thread, N connections, an open-loop plan or a full window.

Open loop: message k is due at `start + k / rate` whatever the server does, and its latency counts
from that instant, so that a stall is paid by every message that it delays. Saturation: each
connection keeps a window of messages in flight. Messages are encoded before (`traffic`), sent as
slices of one bytearray, received in whole buffers (`answers`), and judged after (`verdict`).
"""

from __future__ import annotations

import select
import socket
import time
from array import array
from dataclasses import dataclass, field
from typing import Final, final

from zhiwei.bench.answers import AnswerBook
from zhiwei.bench.processes import cpu_seconds, stolen_seconds
from zhiwei.bench.traffic import Traffic

_RECEIVE_BYTES: Final = 1 << 18
_SEND_BYTES: Final = 1 << 17
#: The generator looks at its plan this often in open loop, so a message leaves at most this late. A
#: shorter beat costs more (each sleep of a process is about 40 microseconds of CPU time here) and
#: would show less.
_TICK_NS: Final = 1_000_000


@dataclass(frozen=True)
class Pace:
    """How to send: `rate` messages per second, or as many as `window` allows (rate 0)."""

    seconds: float
    rate: int = 0
    #: Messages in flight per connection at saturation.
    window: int = 64
    #: How long answers are awaited after the last message was sent.
    patience_seconds: float = 5.0


@dataclass
class Observation:
    """What one run showed: when each row was due and answered, and the cost meanwhile."""

    due_ns: array[int]
    book: AnswerBook
    #: Rows sent by each connection.
    sent: list[int]
    start_ns: int = 0
    #: When the last message was sent or the time was up.
    end_ns: int = 0
    #: From here on the run counts: a fifth of it has passed.
    counted_ns: int = 0
    #: CPU seconds between `counted_ns` and `end_ns`: the generator's own and the watched
    #: processes'.
    load_cpu_seconds: float = 0.0
    server_cpu_seconds: float = 0.0
    #: CPU seconds of all cores that the machine's host gave to others meanwhile.
    stolen_seconds: float = 0.0
    #: The longest time by which the generator itself looked late at its plan.
    late_ns: int = 0
    closed: int = 0
    #: True where all messages were used up before the time.
    exhausted: bool = False
    marks: dict[str, float] = field(default_factory=dict)


@final
class Line:
    """One connection: its part of the arena, what is sent of it and what has come back."""

    def __init__(self, traffic: Traffic, index: int, address: tuple[str, int]) -> None:
        self.index: Final = index
        self.first: Final = index * traffic.share
        #: Next row to be released, counted from `first`.
        self.released = 0
        self.answered = 0
        self.rest = b""
        self.open = True
        self._next_byte = self.first * traffic.stride
        self._stride: Final = traffic.stride
        self._arena: Final = memoryview(traffic.arena)
        self.socket: Final = socket.create_connection(address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(0)

    def push(self) -> bool:
        """Send what is released and not yet sent; return whether everything is out."""
        limit = (self.first + self.released) * self._stride
        while self._next_byte < limit:
            chunk = self._arena[self._next_byte : min(limit, self._next_byte + _SEND_BYTES)]
            try:
                self._next_byte += self.socket.send(chunk)
            except BlockingIOError:
                return False
            except OSError:
                self.open = False
                return True
        return True

    @property
    def pushed(self) -> int:
        """Rows of which every byte was handed to the kernel."""
        return self._next_byte // self._stride - self.first


@final
class Generator:
    """Drives one run over all its connections, in one thread."""

    def __init__(
        self,
        traffic: Traffic,
        book: AnswerBook,
        address: tuple[str, int],
        pace: Pace,
        watched: tuple[int, ...] = (),
    ) -> None:
        self._traffic: Final = traffic
        self._book: Final = book
        self._pace: Final = pace
        self._watched: Final = watched
        self._lines: Final = [Line(traffic, c, address) for c in range(traffic.connections)]
        self._by_fd: Final = {line.socket.fileno(): line for line in self._lines}
        self._poll: Final = select.epoll()
        for line in self._lines:
            self._poll.register(line.socket.fileno(), select.EPOLLIN)
        self._seen: Final = Observation(array("q", bytes(8 * traffic.rows)), book, [])
        self._counting = False

    def run(self) -> Observation:
        """Send and receive until the plan is done; return everything that was seen."""
        seen = self._seen
        seen.start_ns = time.monotonic_ns()
        seen.counted_ns = seen.start_ns + int(self._pace.seconds * 0.2e9)
        seen.end_ns = seen.start_ns + int(self._pace.seconds * 1e9)
        try:
            if self._pace.rate:
                self._keep_rate()
            else:
                self._keep_full()
            self._stop_counting()
            self._await_answers()
        finally:
            for line in self._lines:
                line.socket.close()
            self._poll.close()
        seen.sent = [line.pushed for line in self._lines]
        seen.closed = sum(not line.open for line in self._lines)
        return seen

    def _keep_rate(self) -> None:
        """Release each message at its instant.

        As many messages as fall due in one look go to one connection, the next as many to the next:
        a plan for 16 connections then costs one system call per look, not 16.
        """
        seen = self._seen
        interval = max(1, 1_000_000_000 // self._pace.rate)
        block = max(1, _TICK_NS // interval)
        turn = block * len(self._lines)
        total = min(self._traffic.rows, (seen.end_ns - seen.start_ns) // interval) // turn * turn
        seen.end_ns = seen.start_ns + total * interval
        self._plan_instants(interval, block, total // len(self._lines))
        next_look = seen.start_ns
        while True:
            now = time.monotonic_ns()
            seen.late_ns = max(seen.late_ns, now - next_look)
            self._mark(now)
            due_count = min(total, (now - seen.start_ns) // interval + 1)
            whole, part = divmod(due_count, turn)
            for line in self._lines:
                released = whole * block + min(block, max(0, part - line.index * block))
                line.released = released
                line.push()
            if due_count >= total or not any(line.open for line in self._lines):
                return
            next_look = max(now, next_look) + _TICK_NS
            # Answers wake the generator earlier, but it looks at its plan at its own beat only:
            # otherwise it would fall into step with the server, one system call for every message.
            while (left := next_look - time.monotonic_ns()) > 0:
                self._receive(left / 1e9)

    def _plan_instants(self, interval: int, block: int, share: int) -> None:
        """Write down when each row is due; row j of a connection is in its block j // block."""
        seen = self._seen
        turn_ns = interval * block * len(self._lines)
        for line in self._lines:
            for place in range(block):
                begin = seen.start_ns + (line.index * block + place) * interval
                instants = range(begin, begin + share // block * turn_ns, turn_ns)
                last = line.first + share
                seen.due_ns[line.first + place : last : block] = array("q", instants)

    def _keep_full(self) -> None:
        """Keep every connection's window full until the time is up or the messages are used up."""
        seen = self._seen
        for line in self._lines:
            self._refill(line, time.monotonic_ns())
        while True:
            now = time.monotonic_ns()
            self._mark(now)
            if now >= seen.end_ns:
                break
            if all(line.released == self._traffic.share or not line.open for line in self._lines):
                seen.exhausted = True
                seen.end_ns = now
                break
            blocked = [line for line in self._lines if not line.push()]
            self._receive(0.001 if blocked else 0.1, refill=True)

    def _refill(self, line: Line, now_ns: int) -> None:
        """Release as many rows as the window allows, due now, and send them."""
        released = min(self._traffic.share, line.answered + self._pace.window)
        fresh = released - line.released
        if fresh > 0:
            row = line.first + line.released
            self._seen.due_ns[row : row + fresh] = array("q", (now_ns,)) * fresh
            line.released = released
            line.push()

    def _receive(self, wait_seconds: float, *, refill: bool = False) -> int:
        """Take what has come, waiting at most so long for it; return the count of answers."""
        if wait_seconds > 0:
            # An epoll descriptor can itself be waited for, with select's finer clock.
            select.select([self._poll.fileno()], [], [], wait_seconds)
        count = 0
        for fd, _event in self._poll.poll(0):
            line = self._by_fd[fd]
            try:
                chunk = line.socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                chunk = b""
            if not chunk:
                line.open = False
                self._poll.unregister(fd)
                continue
            now = time.monotonic_ns()
            data = line.rest + chunk if line.rest else chunk
            answers, used = self._book.absorb(data, now)
            line.rest = data[used:] if used < len(data) else b""
            line.answered += answers
            count += answers
            if refill:
                self._refill(line, now)
        return count

    def _mark(self, now_ns: int) -> None:
        """Begin to count the cost once the first fifth of the run is over."""
        if not self._counting and now_ns >= self._seen.counted_ns:
            self._counting = True
            self._seen.load_cpu_seconds = -time.process_time()
            self._seen.server_cpu_seconds = -cpu_seconds(self._watched)
            self._seen.stolen_seconds = -stolen_seconds()

    def _stop_counting(self) -> None:
        if self._counting:
            self._seen.load_cpu_seconds += time.process_time()
            self._seen.server_cpu_seconds += cpu_seconds(self._watched)
            self._seen.stolen_seconds += stolen_seconds()

    def _await_answers(self) -> None:
        """Give the answers that are still out their time."""
        deadline = time.monotonic() + self._pace.patience_seconds
        while time.monotonic() < deadline:
            if not any(line.open and line.answered < line.released for line in self._lines):
                return
            for line in self._lines:
                line.push()
            self._receive(0.005)

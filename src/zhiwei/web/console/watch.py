"""Watch: reads the journal's tail while somebody looks, and tells everybody who listens.

It reads beside the path, in a thread, by position and in bounded portions: at a thousand decisions
a second a person sees the latest ones, and what was passed over is counted and said. Nothing is
read while nobody looks. All of it is made anew from the journal by the next start.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final, TypeVar, final

import structlog

from zhiwei.core.errors import ZhiweiError
from zhiwei.ports import Positioned, Reader
from zhiwei.web.console.rows import CardNames, DecisionRow, row_of
from zhiwei.web.console.sums import Sums

T = TypeVar("T")

_log: Final = structlog.get_logger()

#: Decisions that are kept as rows.
ROWS_MAX: Final = 1_000
#: Entries that one look reads at most, and how many at a time.
LOOK_MAX: Final = 4_000
_CHUNK: Final = 500
#: Rows that wait for one listener at most; a slower one loses the oldest and is told how many.
WAITING_MAX: Final = 200
#: Listeners at once; each is an open connection of an operator.
LISTENERS_MAX: Final = 64
_LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True)
class News:
    """What a listener is told at once."""

    #: Newest last.
    rows: tuple[DecisionRow, ...]
    #: How many rows it lost since the last time, because it or the watch was too slow.
    lost: int


@dataclass(frozen=True)
class Coverage:
    """What the sums are made of, so that nobody takes a part for the whole."""

    #: Entries that were read, and ones that were passed over since the watch began.
    read: int
    passed_over: int
    #: Instant of the oldest decision that was read; 0 = none was.
    since_ms: int


@final
class Listener:
    """One who is told of new decisions. Lives on the loop of the door."""

    def __init__(self) -> None:
        self._waiting: Final[deque[DecisionRow]] = deque()
        self._lost = 0
        self._wake: Final = asyncio.Event()

    def tell(self, rows: Sequence[DecisionRow], passed_over: int) -> None:
        """Let rows wait for it; past the bound the oldest are lost and counted."""
        self._lost += passed_over
        self._waiting.extend(rows)
        while len(self._waiting) > WAITING_MAX:
            self._waiting.popleft()
            self._lost += 1
        if rows or passed_over:
            self._wake.set()

    def wake(self) -> None:
        """Let it look once more, though there is nothing new."""
        self._wake.set()

    async def next(self, timeout_seconds: float) -> News | None:
        """What is new; None where nothing was for this long."""
        try:
            await asyncio.wait_for(self._wake.wait(), timeout_seconds)
        except TimeoutError:
            return None
        self._wake.clear()
        news = News(tuple(self._waiting), self._lost)
        self._waiting.clear()
        self._lost = 0
        return news


class TooManyListenersError(ZhiweiError):
    """too many people listen already"""


@final
class Watch:
    """The last decisions, their sums, and who listens."""

    def __init__(
        self, reader: Reader, now_ms: Callable[[], int], *, look_seconds: float = _LOOK_SECONDS
    ) -> None:
        """Nothing is read before somebody looks."""
        self.names: Final = CardNames(reader)
        self._reader: Final = reader
        self._now_ms: Final = now_ms
        self._look_seconds: Final = look_seconds
        #: One look at a time; and whoever reads rows or sums.
        self._looking: Final = Lock()
        self._lock: Final = Lock()
        self._rows: Final[deque[DecisionRow]] = deque(maxlen=ROWS_MAX)
        self._sums: Final = Sums()
        self._position = -1
        self._read = 0
        self._passed_over = 0
        self._since_ms = 0
        self._listeners: Final[set[Listener]] = set()
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_over = False

    def look(self) -> tuple[list[DecisionRow], int]:
        """Read what came since the last look; new rows, oldest first, and what was passed over.

        Blocking: for a thread. At most LOOK_MAX entries, the newest ones.
        """
        with self._looking:
            entries, passed_over = self._tail()
            rows = [row for one in entries if (row := row_of(one, self.names)) is not None]
            with self._lock:
                is_first = self._position < 0
                self._position = entries[-1].position if entries else max(self._position, 0)
                self._read += len(entries)
                self._passed_over += 0 if is_first else passed_over
                self._rows.extend(rows)
                for row in rows:
                    self._sums.add(row)
                if rows and not self._since_ms:
                    self._since_ms = rows[0].at_ms
                self._sums.forget(self._now_ms())
            return rows, 0 if is_first else passed_over

    def _tail(self) -> tuple[list[Positioned], int]:
        """Entries after the last one that was read, oldest first; and how many were passed over."""
        after = max(self._position, 0)
        found: list[Positioned] = []
        before = 0
        while len(found) < LOOK_MAX:
            # With an upper bound the newest come first: a burst costs its end, not its beginning.
            bound = before or _NO_BOUND
            chunk = self._reader.recent(before=bound, after=after, limit=_CHUNK)
            found.extend(chunk)
            if len(chunk) < _CHUNK:
                break
            before = chunk[-1].position
        found.reverse()
        return found, found[0].position - after - 1 if found else 0

    def rows(self) -> list[DecisionRow]:
        """The last decisions, newest first."""
        with self._lock:
            return list(self._rows)[::-1]

    def summed(self, ask: Callable[[Sums], T]) -> T:
        """What a question to the sums comes to; the sums stand still meanwhile."""
        with self._lock:
            return ask(self._sums)

    def coverage(self) -> Coverage:
        """What the sums are made of."""
        with self._lock:
            return Coverage(self._read, self._passed_over, self._since_ms)

    @property
    def is_primed(self) -> bool:
        """Whether anything was read yet."""
        return self._position >= 0

    async def refreshed(self) -> None:
        """Look once more, unless the running task has just done so."""
        if self._task is not None and self.is_primed:
            return
        await self._tell_all()

    async def listen(self, keep_alive_seconds: float = 15.0) -> AsyncGenerator[News | None, None]:
        """News for one listener, until it goes; None where a while brought nothing.

        It ends when the house closes.

        Raises:
            TooManyListenersError: LISTENERS_MAX listen already.
        """
        if self.is_full:
            raise TooManyListenersError
        self._loop = asyncio.get_running_loop()
        listener = Listener()
        self._listeners.add(listener)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            while not self._is_over:
                news = await listener.next(keep_alive_seconds)
                if not self._is_over:
                    yield news
        finally:
            self._listeners.discard(listener)
            if not self._listeners and self._task is not None:
                self._task.cancel()
                self._task = None

    def stop(self) -> None:
        """Send every listener home, from any thread: a door that closes waits for nobody then."""
        self._is_over = True
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for listener in self._listeners:
            listener.wake()

    @property
    def is_full(self) -> bool:
        """Whether nobody else can listen now."""
        return len(self._listeners) >= LISTENERS_MAX

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    async def _run(self) -> None:
        """Look and tell, as long as somebody listens."""
        while True:
            try:
                await self._tell_all()
            except ZhiweiError as error:
                _log.warning("console_cannot_read", error=type(error).__name__)
            await asyncio.sleep(self._look_seconds)

    async def _tell_all(self) -> None:
        was_primed = self.is_primed
        rows, passed_over = await asyncio.to_thread(self.look)
        if was_primed:
            for listener in list(self._listeners):
                listener.tell(rows, passed_over)


#: Above every position.
_NO_BOUND: Final = 1 << 62

"""Engine: takes what is waiting as one batch, has it decided and committed, and only then answers.

It never waits for company: a batch is whatever arrived while the last one was being committed, so
batches grow with the load and one flush of the disk pays for all of a batch. The queue is bounded;
past it a command is refused at once instead of being left to hang.

The engine lives on the path's event loop. Doors on that loop call `submit`; the HTTP door, which
has a loop of its own in another thread, goes through `ThreadEntry`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from enum import IntEnum
from time import perf_counter
from typing import Final, Protocol, TypeAlias, final

from zhiwei.core.command import Actor, Command
from zhiwei.core.errors import ZhiweiError
from zhiwei.core.result import Audit, Result
from zhiwei.ports import Record, Step, Store, StoreUnavailableError

#: Commands decided in one transaction, at most.
BATCH_MAX: Final = 512
#: How often the engine looks whether it is idle.
TIDY_EVERY_SECONDS: Final = 0.25
#: Commands that may wait; at full speed this is well under a second of work.
QUEUE_MAX: Final = 8192


class Failure(IntEnum):
    """Why there is no result. Nothing was written in any of these cases."""

    #: The queue is full, or the house is closing; try again.
    BUSY = 1
    #: The store cannot write now (disk full, read-only).
    UNAVAILABLE = 2
    #: A bug; logged and counted.
    BUG = 3


Answer: TypeAlias = "Result | Failure"
#: Called on the path's loop with the answers of a unit, in the order of its commands.
OnAnswered: TypeAlias = "Callable[[Sequence[Answer]], None]"


class Clock(Protocol):
    """Tells the instant of now."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        ...


class Observer(Protocol):
    """Is told of every batch; `metrics.Metrics` is one."""

    def observe_batch(
        self,
        results: Sequence[Result],
        *,
        waited_seconds: float,
        commit_seconds: float,
        queue: int,
    ) -> None:
        """A batch was committed and answered."""
        ...

    def observe_failure(self, failure: Failure, count: int, error: BaseException | None) -> None:
        """`count` commands got no result; `error` says why where an exception did it."""
        ...


class StoppedError(ZhiweiError):
    """the engine has stopped; nothing was written"""


@final
class _Unit:
    """Commands that are carried out all or none, and who waits for them."""

    __slots__ = ("arrived", "commands", "on_answered")

    def __init__(self, commands: list[Command], on_answered: OnAnswered, arrived: float) -> None:
        self.commands: Final = commands
        self.on_answered: Final = on_answered
        self.arrived: Final = arrived


@final
class Engine:
    """The one queue of the house and the one task that empties it."""

    def __init__(
        self,
        store: Store,
        step: Step,
        clock: Clock,
        observer: Observer,
        *,
        batch_max: int = BATCH_MAX,
        queue_max: int = QUEUE_MAX,
    ) -> None:
        self._store: Final = store
        self._step = step
        self._clock: Final = clock
        self._observer: Final = observer
        self._batch_max: Final = batch_max
        self._queue_max: Final = queue_max
        self._units: Final[deque[_Unit]] = deque()
        self._waiting = 0
        self._is_open = True
        self._is_awake = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Commands that wait for the next batch."""
        return self._waiting

    def submit(self, commands: list[Command], on_answered: OnAnswered) -> None:
        """Have commands carried out together; `on_answered` is called once, on this loop."""
        count = len(commands)
        if not self._is_open or self._waiting + count > self._queue_max:
            self._observer.observe_failure(Failure.BUSY, count, None)
            on_answered([Failure.BUSY] * count)
            return
        self._units.append(_Unit(commands, on_answered, perf_counter()))
        self._waiting += count
        if not self._is_awake.is_set():
            self._is_awake.set()

    def decide_by(self, step: Step) -> None:
        """Decide by another step from the next batch on; to be called on this loop."""
        self._step = step

    async def keep(
        self,
        records: Sequence[Record],
        audits: Sequence[Audit],
        actor: Actor,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Keep records that are in no card's file; between two batches, on this loop.

        `then` is called as soon as they are kept, before anything else on this loop.

        Raises:
            StoreUnavailableError: nothing was kept.
        """
        await self._store.keep(records, audits, actor, self._clock.now_ms())
        if then is not None:
            then()

    async def run(self) -> None:
        """Empty the queue until `stop` was called and nothing waits any more."""
        while True:
            await self._is_awake.wait()
            while self._units:
                await self._one_batch()
                # Let the sockets be read and the answers be written before the next batch.
                await asyncio.sleep(0)
            if not self._is_open:
                return
            self._is_awake.clear()

    async def tidy_when_idle(self) -> None:
        """Let the store do what can wait whenever nothing waits; runs until it is cancelled."""
        while True:
            await asyncio.sleep(TIDY_EVERY_SECONDS)
            try:
                more = True
                while more and not self._units:
                    more = await self._store.tidy(self._clock.now_ms())
                    await asyncio.sleep(0)
            except StoreUnavailableError as error:
                self._observer.observe_failure(Failure.UNAVAILABLE, 0, error)

    def stop(self) -> None:
        """Take no more; `run` ends when what was taken is answered."""
        self._is_open = False
        self._is_awake.set()

    async def _one_batch(self) -> None:
        units = self._take()
        commands = [command for unit in units for command in unit.commands]
        started = perf_counter()
        # A batch is decided by one step, whatever is switched while it is being written.
        step = self._step
        try:
            results = await self._store.transact(commands, step, self._clock.now_ms())
        except StoreUnavailableError as error:
            self._fail(units, Failure.UNAVAILABLE, error)
            return
        except Exception as error:  # noqa: BLE001 - a bug must cost its command, not the house
            if len(units) == 1:
                self._fail(units, Failure.BUG, error)
            else:
                await self._one_by_one(units, step)
            return
        finished = perf_counter()
        self._answer(units, results)
        self._observer.observe_batch(
            results,
            waited_seconds=finished - units[0].arrived,
            commit_seconds=finished - started,
            queue=self._waiting,
        )

    async def _one_by_one(self, units: list[_Unit], step: Step) -> None:
        """Carry out the units of a batch that failed each for itself: a bug costs one of them."""
        for unit in units:
            try:
                results = await self._store.transact(unit.commands, step, self._clock.now_ms())
            except StoreUnavailableError as error:
                self._fail([unit], Failure.UNAVAILABLE, error)
            except Exception as error:  # noqa: BLE001 - as above
                self._fail([unit], Failure.BUG, error)
            else:
                unit.on_answered(results)

    def _take(self) -> list[_Unit]:
        """The next batch: whole units of `batch_max` commands at most, but always one unit."""
        units = [self._units.popleft()]
        count = len(units[0].commands)
        while self._units and count + len(self._units[0].commands) <= self._batch_max:
            unit = self._units.popleft()
            units.append(unit)
            count += len(unit.commands)
        self._waiting -= count
        return units

    def _answer(self, units: list[_Unit], results: list[Result]) -> None:
        start = 0
        for unit in units:
            end = start + len(unit.commands)
            unit.on_answered(results[start:end])
            start = end

    def _fail(self, units: list[_Unit], failure: Failure, error: BaseException) -> None:
        count = sum(len(unit.commands) for unit in units)
        self._observer.observe_failure(failure, count, error)
        for unit in units:
            answers: list[Answer] = [failure] * len(unit.commands)
            unit.on_answered(answers)


@final
class ThreadEntry:
    """The engine as another thread's event loop sees it."""

    def __init__(self, engine: Engine, path_loop: asyncio.AbstractEventLoop) -> None:
        self._engine: Final = engine
        self._path_loop: Final = path_loop

    async def submit(self, commands: list[Command]) -> list[Result]:
        """Carry out all commands or none, durably and in order.

        Raises:
            StoreUnavailableError: nothing was done: the queue is full, or the store cannot write.
            StoppedError: nothing was done: the house is closing.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Result]] = loop.create_future()

        def answered(answers: Sequence[Answer]) -> None:
            loop.call_soon_threadsafe(_settle, future, answers)

        try:
            self._path_loop.call_soon_threadsafe(self._engine.submit, commands, answered)
        except RuntimeError:
            raise StoppedError from None
        return await future

    async def keep(
        self,
        records: Sequence[Record],
        audits: Sequence[Audit],
        actor: Actor,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Keep records that are in no card's file; `then` is called on the path's loop at once.

        Raises:
            StoreUnavailableError: nothing was kept.
            StoppedError: nothing was kept: the house is closing.
        """
        keeping = self._engine.keep(records, audits, actor, then)
        try:
            future = asyncio.run_coroutine_threadsafe(keeping, self._path_loop)
        except RuntimeError:
            keeping.close()
            raise StoppedError from None
        await asyncio.wrap_future(future)


def _settle(future: asyncio.Future[list[Result]], answers: Sequence[Answer]) -> None:
    """Hand answers to who waits; the caller may have gone away meanwhile."""
    if future.done():
        return
    results: list[Result] = []
    for answer in answers:
        if isinstance(answer, Failure):
            if answer is Failure.BUG:
                future.set_exception(RuntimeError("the command met a bug; it was logged"))
            else:
                message = (
                    "too much is waiting; nothing was done, try again"
                    if answer is Failure.BUSY
                    else "the store cannot write now; nothing was done"
                )
                future.set_exception(StoreUnavailableError(message))
            return
        results.append(answer)
    future.set_result(results)

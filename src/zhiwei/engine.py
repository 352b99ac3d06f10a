"""Engine: takes what is waiting as one batch, has it decided and committed, and only then answers.

A batch is whatever arrived while the last one was being committed, so batches grow with the load
and one flush of the disk pays for all of a batch. Who comes alone never waits for company; only
behind a batch that had some, the next one keeps a beat. The queue is bounded; past it a command is
refused at once instead of being left to hang.

A store that waits for others (PostgreSQL) gets several batches at once (`lanes`), none of which
share a card. What comes for a card that is being decided is set aside until that batch is over, and
then goes first, so the order of a card's commands is kept and a busy card delays nobody else. A
batch goes on without the cards that another server holds just now; those are tried again with the
next one, and where that does not help they are waited for in lanes of their own.

The engine lives on the path's event loop. Doors on that loop call `submit`; the HTTP door, which
has a loop of its own in another thread, goes through `ThreadEntry`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum
from time import perf_counter, sleep
from typing import Final, Protocol, TypeAlias, final

from zhiwei.core.command import Actor, Command
from zhiwei.core.errors import ZhiweiError
from zhiwei.core.result import Audit, Result
from zhiwei.lanes import HASTE_SECONDS, Course, Lanes, OnAnswered, PartOf, Unit
from zhiwei.ports import (
    Kept,
    OutcomeUnknownError,
    PassOver,
    Step,
    Store,
    StoreUnavailableError,
)

#: Commands decided in one transaction, at most.
BATCH_MAX: Final = 512
#: Behind a batch of so many, the next one begins no sooner than this after it began. Every commit
#: costs the same few tenths of a millisecond however small it is; at half load this saves a
#: twentieth of the processor's time and with it the long waits, for a millisecond of the median.
_COMPANY: Final = 8
BEAT_SECONDS: Final = 0.002
#: How often the engine looks whether it is idle.
TIDY_EVERY_SECONDS: Final = 0.25
#: Commands that may wait; at full speed this is well under a second of work.
QUEUE_MAX: Final = 8192


class Failure(IntEnum):
    """Why there is no result. Nothing was written, but for the last of these."""

    #: The queue is full, or the house is closing; try again.
    BUSY = 1
    #: The store cannot write now (disk full, read-only).
    UNAVAILABLE = 2
    #: A bug; logged and counted.
    BUG = 3
    #: The store cannot find out whether it was written; ask again with the same keys.
    UNKNOWN = 4


Answer: TypeAlias = "Result | Failure"


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


async def _rest(seconds: float) -> None:
    """Stand still for so long, and then let the sockets be read and the answers be written.

    The thread sleeps, not the task: what arrives meanwhile is taken in at one waking instead of one
    by one, which saves a twentieth of the processor's time at half load.
    """
    if seconds > 0.0:
        sleep(seconds)  # noqa: ASYNC251 - that is what it is for
    await asyncio.sleep(0)


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
        lanes: int = 1,
        beat_seconds: float = BEAT_SECONDS,
        haste_seconds: float = HASTE_SECONDS,
        rest: Callable[[float], Awaitable[None]] = _rest,
    ) -> None:
        """Take commands for a store.

        Args:
            store: carries out batches.
            step: decides; may be replaced later.
            clock: tells the instants of decisions.
            observer: is told of every batch.
            batch_max: commands of one batch.
            queue_max: commands that may wait.
            lanes: batches in flight at once.
            beat_seconds: between the begins of two batches, where the first was not a small one.
            haste_seconds: after which a batch begins beside others however few wait for it.
            rest: waits for so many seconds, and lets the loop go on; a test gives another one.
        """
        self._store: Final = store
        self._step = step
        self._clock: Final = clock
        self._observer: Final = observer
        self._batch_max: Final = batch_max
        self._queue_max: Final = queue_max
        self._units: Final[deque[Unit]] = deque()
        self._lanes: Final = Lanes(lanes, haste_seconds)
        self._beat_seconds: Final = beat_seconds
        self._rest: Final = rest
        self._waiting = 0
        self._is_open = True
        self._is_awake = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Commands that wait for the next batch."""
        return self._waiting

    def submit(
        self, commands: list[Command], on_answered: OnAnswered, part_of: PartOf | None = None
    ) -> None:
        """Have commands carried out; `on_answered` is called once, on this loop.

        They are carried out together, all or none, unless `part_of` says whom to call with the
        answers of only some of them.
        """
        count = len(commands)
        if not self._is_open or self._waiting + count > self._queue_max:
            self._observer.observe_failure(Failure.BUSY, count, None)
            on_answered([Failure.BUSY] * count)
            return
        self._units.append(Unit(commands, on_answered, part_of, perf_counter()))
        self._waiting += count
        if not self._is_awake.is_set():
            self._is_awake.set()

    def decide_by(self, step: Step) -> None:
        """Decide by another step from the next batch on; to be called on this loop."""
        self._step = step

    async def keep(
        self,
        records: Sequence[Kept],
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
        if self._lanes.most > 1:
            await self._run_lanes()
            return
        while True:
            await self._is_awake.wait()
            while self._units:
                began = perf_counter()
                had_company = await self._one_batch() >= _COMPANY
                left = self._beat_seconds - (perf_counter() - began) if had_company else 0.0
                await self._rest(max(0.0, left))
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

    async def _one_batch(self) -> int:
        """Carry out what waits, and tell how many commands that was."""
        waiting = self._waiting
        await self._carry_out(Course(self._take()))
        return waiting

    async def _run_lanes(self) -> None:
        """Keep as many batches in flight as there are lanes, until nothing waits any more."""
        lanes = self._lanes
        loop = asyncio.get_running_loop()
        while True:
            self._is_awake.clear()
            lanes.raise_failure()
            while self._units and lanes.may_begin(self._waiting, perf_counter()):
                units = lanes.take(self._units, self._batch_max)
                if units:
                    self._waiting -= sum([len(unit.commands) for unit in units])
                    lanes.begin(units, self._one_lane(units), perf_counter())
                    # Whoever comes while it lasts longer than usual is looked at again then.
                    loop.call_later(lanes.haste_seconds, self._is_awake.set)
            if not self._is_open and lanes.is_idle and not self._units:
                return
            await self._is_awake.wait()

    async def _one_lane(self, units: list[Unit]) -> None:
        """One batch on cards that no other batch has."""
        course = Course(units)
        try:
            await self._carry_out(course, course.without)
            for group in course.held_up:
                # Another server has their cards. Where there is more to do they are tried again
                # with that, else they wait.
                if course.units and self._lanes.set_aside(group):
                    self._waiting += sum([len(unit.commands) for unit in group])
                else:
                    self._lanes.begin_apart(group, self._one_that_waits(group))
        finally:
            self._lanes.end(units, self._units, is_apart=False)
            asyncio.get_running_loop().call_soon(self._is_awake.set)

    async def _one_that_waits(self, units: list[Unit]) -> None:
        """Units whose cards another server holds: they wait for it, and nobody waits for them."""
        try:
            async with self._lanes.patience:
                await self._carry_out(Course(units))
        finally:
            self._lanes.end(units, self._units, is_apart=True)
            asyncio.get_running_loop().call_soon(self._is_awake.set)

    async def _carry_out(self, course: Course, pass_over: PassOver | None = None) -> None:
        """Have a batch carried out and answered, or what the store makes of it by `pass_over`."""
        commands = course.commands
        started = perf_counter()
        # A batch is decided by one step, whatever is switched while it is being written.
        step = self._step
        try:
            results = await self._store.transact(
                commands, step, self._clock.now_ms(), pass_over=pass_over
            )
        except StoreUnavailableError as error:
            self._fail(course.units, _failure_of(error), error)
            return
        except Exception as error:  # noqa: BLE001 - a bug must cost its command, not the house
            if len(course.units) == 1:
                self._fail(course.units, Failure.BUG, error)
            else:
                await self._one_by_one(course.units, step)
            return
        finished = perf_counter()
        if not course.units:
            return
        self._answer(course.units, results)
        self._observer.observe_batch(
            results,
            waited_seconds=finished - course.units[0].arrived,
            commit_seconds=finished - started,
            queue=self._waiting,
        )

    async def _one_by_one(self, units: list[Unit], step: Step) -> None:
        """Carry out the units of a batch that failed each for itself: a bug costs one of them."""
        for unit in units:
            try:
                results = await self._store.transact(unit.commands, step, self._clock.now_ms())
            except StoreUnavailableError as error:
                self._fail([unit], _failure_of(error), error)
            except Exception as error:  # noqa: BLE001 - as above
                self._fail([unit], Failure.BUG, error)
            else:
                unit.on_answered(results)

    def _take(self) -> list[Unit]:
        """The next batch: whole units of `batch_max` commands at most, but always one unit."""
        units = [self._units.popleft()]
        count = len(units[0].commands)
        while self._units and count + len(self._units[0].commands) <= self._batch_max:
            unit = self._units.popleft()
            units.append(unit)
            count += len(unit.commands)
        self._waiting -= count
        return units

    def _answer(self, units: list[Unit], results: list[Result]) -> None:
        start = 0
        for unit in units:
            end = start + len(unit.commands)
            unit.on_answered(results[start:end])
            start = end

    def _fail(self, units: list[Unit], failure: Failure, error: BaseException) -> None:
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
            OutcomeUnknownError: the store cannot find out whether it was done.
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
        records: Sequence[Kept],
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


def _failure_of(error: StoreUnavailableError) -> Failure:
    """What it is to whoever waits."""
    is_unknown = isinstance(error, OutcomeUnknownError)
    return Failure.UNKNOWN if is_unknown else Failure.UNAVAILABLE


def _settle(future: asyncio.Future[list[Result]], answers: Sequence[Answer]) -> None:
    """Hand answers to who waits; the caller may have gone away meanwhile."""
    if future.done():
        return
    results: list[Result] = []
    for answer in answers:
        if isinstance(answer, Failure):
            if answer is Failure.BUG:
                future.set_exception(RuntimeError("the command met a bug; it was logged"))
            elif answer is Failure.UNKNOWN:
                future.set_exception(OutcomeUnknownError())
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

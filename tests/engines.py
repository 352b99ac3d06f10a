"""An engine in the hands of a test: who watches it, what it is asked, and how one waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from tests.stores import cases
from tests.stores.cases import NOON, STAFF, STEP
from zhiwei.core.command import Command
from zhiwei.core.result import Result
from zhiwei.engine import BATCH_MAX, QUEUE_MAX, Answer, Engine, Failure
from zhiwei.ports import Step
from zhiwei.stores.memory import MemoryStore


class Watch:
    """Remembers what the engine tells its observer."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.failures: list[tuple[Failure, int]] = []

    def observe_batch(
        self,
        results: Sequence[Result],
        *,
        waited_seconds: float,
        commit_seconds: float,
        queue: int,
    ) -> None:
        """Note the size."""
        assert waited_seconds >= commit_seconds >= 0
        self.batches.append(len(results))

    def observe_failure(self, failure: Failure, count: int, error: BaseException | None) -> None:
        """Note the failure."""
        self.failures.append((failure, count))


class StandingClock:
    """It is always noon."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return NOON


def registration(number: int) -> Command:
    """A command that registers a card whose key is its number."""
    change = cases.registration(number).change
    return Command(number.to_bytes(16, "big"), change=change, actor=STAFF)


def engine_of(
    store: MemoryStore,
    watch: Watch,
    step: Step = STEP,
    *,
    batch_max: int = BATCH_MAX,
    queue_max: int = QUEUE_MAX,
    lanes: int = 1,
) -> Engine:
    """An engine on a clock that stands still, whose lanes are not sparing."""
    return Engine(
        store,
        step,
        StandingClock(),
        watch,
        batch_max=batch_max,
        queue_max=queue_max,
        lanes=lanes,
        haste_seconds=0,
    )


async def until(is_so: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    for _ in range(10_000):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


def submit(engine: Engine, answers: list[list[int]], *units: list[int]) -> None:
    """Submit units of registrations; each is noted in `answers` when it is answered."""

    def noting(unit: list[int]) -> Callable[[Sequence[Answer]], None]:
        return lambda _answers: answers.append(unit)

    for unit in units:
        engine.submit([registration(number) for number in unit], noting(unit))

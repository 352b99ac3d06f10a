"""The engine: batches, bounds, failures, and the way in from another thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from tests.engines import StandingClock, Watch, engine_of, registration, submit, until
from tests.stores.cases import STAFF, STEP
from zhiwei.core.command import Command
from zhiwei.core.result import Related, Result
from zhiwei.engine import Answer, Engine, Failure, StoppedError, ThreadEntry
from zhiwei.ports import (
    Cardholder,
    OutcomeUnknownError,
    PassOver,
    Step,
    StoreUnavailableError,
)
from zhiwei.stores.memory import MemoryStore


class FullDisk(MemoryStore):  # type: ignore[misc]  # a store that is final for everyone but this test
    """Cannot write."""

    async def transact(
        self,
        batch: Sequence[Command],
        step: Step,
        clock_ms: int,
        *,
        pass_over: PassOver | None = None,
    ) -> list[Result]:
        """Fail as a full disk does."""
        raise StoreUnavailableError("no space is left on the disk")


def run_until_done(engine: Engine, units: list[list[Command]]) -> list[Sequence[Answer]]:
    """Submit units at once, let the engine finish, and give the answers of each."""
    answers: list[Sequence[Answer]] = []

    async def go() -> None:
        for unit in units:
            engine.submit(unit, answers.append)
        engine.stop()
        await engine.run()

    asyncio.run(go())
    return answers


def test_what_is_waiting_becomes_one_batch() -> None:
    """Commands that arrived together are committed together, and each gets its own answer."""
    watch = Watch()
    answers = run_until_done(engine_of(MemoryStore(), watch), [[registration(n)] for n in range(5)])
    assert watch.batches == [5]
    tails = [
        a[0].state.settings.profile.tail for a in answers if isinstance(a[0], Result) and a[0].state
    ]
    assert tails == ["0000", "0001", "0002", "0003", "0004"]


def test_a_batch_is_bounded_and_units_stay_whole() -> None:
    """No batch exceeds its bound, except for a unit that alone is larger."""
    watch = Watch()
    units = [[registration(n)] for n in range(4)]
    units.append([registration(n) for n in range(10, 16)])
    run_until_done(engine_of(MemoryStore(), watch, batch_max=3), units)
    assert watch.batches == [3, 1, 6]


def test_only_behind_a_batch_with_company_the_next_one_keeps_the_beat() -> None:
    """Who comes alone never waits; a busy path begins its batches a beat apart."""
    rests: list[float] = []

    async def go() -> None:
        async def rest(seconds: float) -> None:
            rests.append(seconds)
            await asyncio.sleep(0)

        watch = Watch()
        engine = Engine(MemoryStore(), STEP, StandingClock(), watch, beat_seconds=3_600, rest=rest)
        running = asyncio.create_task(engine.run())
        answers: list[list[int]] = []
        for count in (1, 7, 8, 1):
            submit(engine, answers, *[[number] for number in range(count)])
            await until(lambda: engine.waiting == 0 and len(answers) == sum(watch.batches))
        engine.stop()
        await running
        assert watch.batches == [1, 7, 8, 1]

    asyncio.run(go())
    assert [seconds > 0 for seconds in rests] == [False, False, True, False]
    assert max(rests) <= 3_600


def test_past_the_queue_s_bound_the_answer_is_busy_at_once() -> None:
    """A full queue refuses quickly instead of letting anybody hang; what was taken is answered."""
    watch = Watch()
    units = [[registration(n)] for n in range(5)]
    answers = run_until_done(engine_of(MemoryStore(), watch, queue_max=3), units)
    assert answers[:2] == [[Failure.BUSY], [Failure.BUSY]]
    assert len(answers) == 5
    assert watch.failures == [(Failure.BUSY, 1), (Failure.BUSY, 1)]


def test_a_store_that_cannot_write_fails_the_batch() -> None:
    """Nothing is acknowledged that is not written."""
    watch = Watch()
    answers = run_until_done(engine_of(FullDisk(), watch), [[registration(1)], [registration(2)]])
    assert answers == [[Failure.UNAVAILABLE], [Failure.UNAVAILABLE]]
    assert watch.failures == [(Failure.UNAVAILABLE, 2)]


class Forgetful(MemoryStore):  # type: ignore[misc]  # as above
    """Cannot find out what it wrote."""

    async def transact(
        self,
        batch: Sequence[Command],
        step: Step,
        clock_ms: int,
        *,
        pass_over: PassOver | None = None,
    ) -> list[Result]:
        """Write, and not know it."""
        await super().transact(batch, step, clock_ms)
        raise OutcomeUnknownError


def test_an_unknown_outcome_is_no_answer() -> None:
    """It is told apart from a failure that wrote nothing, to the doors and to another thread."""
    watch = Watch()
    answers = run_until_done(engine_of(Forgetful(), watch), [[registration(1)]])
    assert answers == [[Failure.UNKNOWN]]
    assert watch.failures == [(Failure.UNKNOWN, 1)]

    async def go() -> None:
        engine = engine_of(Forgetful(), watch)
        running = asyncio.create_task(engine.run())
        with pytest.raises(OutcomeUnknownError):
            await ThreadEntry(engine, asyncio.get_running_loop()).submit([registration(1)])
        engine.stop()
        await running

    asyncio.run(go())


def test_a_bug_costs_its_own_command_only() -> None:
    """When one command of a batch meets a bug, its neighbours are carried out all the same."""

    def step(state: object, related: Related, command: Command, clock_ms: int) -> Result:
        if command.card_key[-1] == 2:
            raise ZeroDivisionError
        return STEP(None, related, command, clock_ms)

    watch = Watch()
    answers = run_until_done(
        engine_of(MemoryStore(), watch, step), [[registration(n)] for n in (1, 2, 3)]
    )
    assert [isinstance(a[0], Result) for a in answers] == [True, False, True]
    assert answers[1] == [Failure.BUG]


def test_after_stop_nothing_more_is_taken() -> None:
    """A closing house answers what it took, and refuses the rest."""
    engine = engine_of(MemoryStore(), Watch())
    engine.stop()
    answers: list[Sequence[Answer]] = []
    engine.submit([registration(1)], answers.append)
    assert answers == [[Failure.BUSY]]


def test_another_thread_gets_results_and_errors() -> None:
    """Commands from another thread's loop are carried out on the path's loop."""
    store = MemoryStore()
    started = threading.Event()
    path: list[asyncio.AbstractEventLoop] = []
    engines: list[Engine] = []

    def run_path() -> None:
        async def go() -> None:
            engines.append(engine_of(store, Watch(), queue_max=4))
            path.append(asyncio.get_running_loop())
            started.set()
            await engines[0].run()

        asyncio.run(go())

    thread = threading.Thread(target=run_path)
    thread.start()
    started.wait(10)
    entry = ThreadEntry(engines[0], path[0])

    async def use() -> None:
        results = await entry.submit([registration(1), registration(2)])
        assert [r.rejection for r in results] == [None, None]
        await entry.keep([Cardholder("ch_1", 0, "陈")], [], STAFF)
        with pytest.raises(StoreUnavailableError):
            await entry.submit([registration(n) for n in range(9)])

    asyncio.run(use())
    path[0].call_soon_threadsafe(engines[0].stop)
    thread.join(10)
    assert store.record(Cardholder, "ch_1") == Cardholder("ch_1", 0, "陈")
    with pytest.raises(StoppedError):
        asyncio.run(entry.submit([registration(3)]))
    with pytest.raises(StoppedError):
        asyncio.run(entry.keep([], [], STAFF))

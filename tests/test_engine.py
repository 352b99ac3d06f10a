"""The engine: batches, bounds, failures, and the way in from another thread."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhiwei.core.card_state import CardStatus, Profile
from zhiwei.core.command import Actor, Command, Register, Via
from zhiwei.core.policy import DEFAULT_POLICY
from zhiwei.core.result import Related, Result
from zhiwei.engine import BATCH_MAX, QUEUE_MAX, Answer, Engine, Failure, StoppedError, ThreadEntry
from zhiwei.guardian import Guardian
from zhiwei.guardian.case import Rules
from zhiwei.lanes import Lanes
from zhiwei.ports import (
    Cardholder,
    CardsHeldError,
    OutcomeUnknownError,
    Step,
    StoreUnavailableError,
)
from zhiwei.services import INCREMENT_JUDGES, JUDGES, LOOSENS, NOTICES
from zhiwei.stores.memory import MemoryStore
from zhiwei.zones import load_zone

STAFF = Actor("key_1", Via.HTTP, is_strong=True, is_staff=True)
SHANGHAI = load_zone("Asia/Shanghai") or pytest.fail("no zone database")
STEP = Guardian(DEFAULT_POLICY, Rules(JUDGES, INCREMENT_JUDGES, NOTICES, LOOSENS)).step


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
    """It is always the same instant."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return 1_764_000_000_000


class FullDisk(MemoryStore):  # type: ignore[misc]  # a store that is final for everyone but this test
    """Cannot write."""

    async def transact(
        self, batch: Sequence[Command], step: Step, clock_ms: int, *, waits: bool = True
    ) -> list[Result]:
        """Fail as a full disk does."""
        raise StoreUnavailableError("no space is left on the disk")


def registration(number: int) -> Command:
    """A command that registers card `number`."""
    profile = Profile(
        cardholder="ch_1",
        tail=f"{number:04d}",
        currency="CNY",
        zone=SHANGHAI,
        has_chip=True,
        network="unionpay",
        status=CardStatus.ACTIVE,
        created_ms=0,
    )
    return Command(number.to_bytes(16, "big"), change=Register(profile), actor=STAFF)


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


def test_a_batch_begins_beside_another_for_many_or_after_a_while() -> None:
    """The first begins at once; one beside it needs company or time, and room."""
    lanes = Lanes(2, haste_seconds=0.008)

    async def go() -> None:
        async def work() -> None:
            await asyncio.sleep(0)

        assert lanes.may_begin(1, 0.0)
        lanes.begin([], work(), 5.0)
        assert not lanes.may_begin(31, 5.001)
        assert lanes.may_begin(32, 5.001)
        assert lanes.may_begin(1, 5.008)
        lanes.begin([], work(), 5.008)
        assert not lanes.may_begin(1_000, 99.0)
        lanes.end([], deque(), is_apart=False)
        assert not lanes.may_begin(1, 5.009)
        assert lanes.may_begin(1, 99.0)

    asyncio.run(go())


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
        self, batch: Sequence[Command], step: Step, clock_ms: int, *, waits: bool = True
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


class Shared(MemoryStore):  # type: ignore[misc]  # as above
    """Another server holds some cards until it lets go; some are slow until they may go on."""

    def __init__(self, *held: int, slow: int = 0) -> None:
        super().__init__()
        self.held = {number.to_bytes(16, "big") for number in held}
        self.slow = slow.to_bytes(16, "big")
        self.may_go_on = asyncio.Event()
        self.calls: list[tuple[list[int], bool]] = []

    async def transact(
        self, batch: Sequence[Command], step: Step, clock_ms: int, *, waits: bool = True
    ) -> list[Result]:
        """Take a turn of the loop, or wait, as a database does."""
        self.calls.append(([command.card_key[-1] for command in batch], waits))
        await asyncio.sleep(0)
        cards = frozenset(command.card_key for command in batch)
        held = cards & self.held
        if held and not waits:
            raise CardsHeldError(held)
        if held or self.slow in cards:
            await self.may_go_on.wait()
        return await super().transact(batch, step, clock_ms)


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


def test_cards_that_another_server_holds_wait_apart() -> None:
    """The others are answered first, and each unit once; those that wait keep their order."""

    async def go() -> None:
        store = Shared(2, 4)
        engine = engine_of(store, Watch(), lanes=2)
        answers: list[list[int]] = []
        submit(engine, answers, [1], [2], [3], [2, 5], [5], [4])
        running = asyncio.create_task(engine.run())
        await until(lambda: len(answers) == 2)
        # What comes for them now is set aside, and keeps nobody.
        submit(engine, answers, [2], [6])
        await until(lambda: len(answers) == 3)
        assert answers == [[1], [3], [6]]
        store.held.clear()
        store.may_go_on.set()
        engine.stop()
        await running
        assert sorted(answers[3:]) == [[2], [2], [2, 5], [4], [5]]
        assert answers.index([2]) < answers.index([2, 5]) < answers.index([5])
        assert ([2, 2, 5, 5], True) in store.calls
        assert ([4], True) in store.calls
        assert engine.waiting == 0

    asyncio.run(go())


def test_batches_in_flight_share_no_card() -> None:
    """What comes for a card that is being decided goes next, all of it together."""

    async def go() -> None:
        store = Shared(slow=1)
        engine = engine_of(store, Watch(), lanes=3)
        answers: list[list[int]] = []
        running = asyncio.create_task(engine.run())
        submit(engine, answers, [1])
        await until(lambda: bool(store.calls))
        submit(engine, answers, *[[1]] * 5, [2])
        await until(lambda: bool(answers))
        assert answers == [[2]]
        store.may_go_on.set()
        engine.stop()
        await running
        assert [cards for cards, _ in store.calls] == [[1], [2], [1] * 5]
        assert len(answers) == 7

    asyncio.run(go())


def submit_loosely(engine: Engine, answers: list[list[int]], unit: list[int]) -> None:
    """Submit registrations that need not be carried out together; each part is noted."""

    def noting(places: list[int]) -> Callable[[Sequence[Answer]], None]:
        return lambda _answers: answers.append([unit[place] for place in places])

    commands = [registration(number) for number in unit]
    engine.submit(commands, noting(list(range(len(unit)))), noting)


def test_of_what_came_together_only_busy_cards_wait() -> None:
    """Messages of one buffer are not held up by a neighbour whose card is being decided."""

    async def go() -> None:
        store = Shared(slow=1)
        engine = engine_of(store, Watch(), lanes=3)
        answers: list[list[int]] = []
        running = asyncio.create_task(engine.run())
        submit_loosely(engine, answers, [1])
        await until(lambda: bool(store.calls))
        submit_loosely(engine, answers, [2, 1, 3, 1])
        submit_loosely(engine, answers, [4, 5])
        await until(lambda: len(answers) == 2)
        assert answers == [[2, 3], [4, 5]]
        store.may_go_on.set()
        engine.stop()
        await running
        assert answers[2:] == [[1], [1], [1]]
        assert [cards for cards, _ in store.calls] == [[1], [2, 3, 4, 5], [1, 1]]

    asyncio.run(go())


def test_of_what_came_together_only_cards_of_other_servers_wait_apart() -> None:
    """And whatever comes behind them for the same cards."""

    async def go() -> None:
        store = Shared(2)
        engine = engine_of(store, Watch(), lanes=2)
        answers: list[list[int]] = []
        submit_loosely(engine, answers, [1, 2, 3])
        submit(engine, answers, [2, 4])
        submit_loosely(engine, answers, [4, 5])
        running = asyncio.create_task(engine.run())
        await until(lambda: len(answers) == 2)
        assert answers == [[1, 3], [5]]
        store.held.clear()
        store.may_go_on.set()
        engine.stop()
        await running
        assert answers[2:] == [[2], [2, 4], [4]]

    asyncio.run(go())


class Uneven(MemoryStore):  # type: ignore[misc]  # as above
    """Batches take turns of the loop, some more than others; some cards are held at first."""

    def __init__(self, delays: list[int], held: set[int]) -> None:
        super().__init__()
        self.delays = deque(delays)
        self.held = {number.to_bytes(16, "big") for number in held}
        self.done: list[Command] = []

    async def transact(
        self, batch: Sequence[Command], step: Step, clock_ms: int, *, waits: bool = True
    ) -> list[Result]:
        """Note what was carried out, in the order in which it was."""
        held = frozenset(command.card_key for command in batch) & self.held
        if held and not waits:
            raise CardsHeldError(held)
        for _ in range(self.delays.popleft() if self.delays else 0):
            await asyncio.sleep(0)
        self.held -= held
        self.done += batch
        return await super().transact(batch, step, clock_ms)


@given(
    units=st.lists(
        st.tuples(st.booleans(), st.lists(st.integers(1, 6), min_size=1, max_size=6)), max_size=20
    ),
    delays=st.lists(st.integers(0, 9), max_size=20),
    held=st.sets(st.integers(1, 6)),
    lanes=st.integers(2, 4),
)
def test_a_card_s_commands_keep_their_order(
    units: list[tuple[bool, list[int]]], delays: list[int], held: set[int], lanes: int
) -> None:
    """However they came together, whoever holds their cards; and each is answered once."""
    store = Uneven(delays, held)
    asked: list[Command] = []
    answered: list[Command] = []

    async def go() -> None:
        engine = engine_of(store, Watch(), lanes=lanes, batch_max=8)
        running = asyncio.create_task(engine.run())
        for is_loose, numbers in units:
            commands = [registration(number) for number in numbers]
            asked.extend(commands)

            def noting(
                places: Sequence[int], commands: list[Command] = commands
            ) -> Callable[[Sequence[Answer]], None]:
                return lambda _answers: answered.extend([commands[place] for place in places])

            everyone = noting(range(len(commands)))
            engine.submit(commands, everyone, noting if is_loose else None)
            await asyncio.sleep(0)
        engine.stop()
        await running

    asyncio.run(go())
    assert sorted(map(id, answered)) == sorted(map(id, asked))
    for number in range(1, 7):
        key = number.to_bytes(16, "big")
        mine, carried_out = (
            [id(command) for command in commands if command.card_key == key]
            for commands in (asked, store.done)
        )
        assert carried_out == mine


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

"""Lanes: batches in flight share no card, and none is held up by another's."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from tests.engines import Watch, engine_of, registration, submit, until
from zhiwei.core.command import Command
from zhiwei.core.result import Result
from zhiwei.engine import Answer, Engine
from zhiwei.lanes import Lanes
from zhiwei.ports import PassOver, Step
from zhiwei.stores.memory import MemoryStore


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


class Shared(MemoryStore):  # type: ignore[misc]  # a store that is final for everyone but this test
    """Another server holds some cards until it lets go; some are slow until they may go on."""

    def __init__(self, *held: int, slow: int = 0) -> None:
        super().__init__()
        self.held = {number.to_bytes(16, "big") for number in held}
        self.slow = slow.to_bytes(16, "big")
        self.may_go_on = asyncio.Event()
        self.calls: list[tuple[list[int], bool]] = []

    async def transact(
        self,
        batch: Sequence[Command],
        step: Step,
        clock_ms: int,
        *,
        pass_over: PassOver | None = None,
    ) -> list[Result]:
        """Take a turn of the loop, or wait, as a database does."""
        await asyncio.sleep(0)
        cards = frozenset(command.card_key for command in batch)
        held = cards & self.held
        if pass_over is not None:
            batch = pass_over(held)
            held = frozenset()
        self.calls.append(([command.card_key[-1] for command in batch], pass_over is None))
        if held or self.slow in cards:
            await self.may_go_on.wait()
        return await super().transact(batch, step, clock_ms)


def test_cards_that_another_server_holds_keep_nobody_else() -> None:
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
        assert store.calls[-1] == ([2, 2, 5, 5, 2, 4], False)
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


def test_a_card_of_another_server_is_tried_again_before_it_is_waited_for() -> None:
    """While there is more to do it goes with the next batches, three times; then it waits apart."""

    async def go() -> None:
        store = Shared(2)
        engine = engine_of(store, Watch(), lanes=2)
        answers: list[list[int]] = []
        submit(engine, answers, [1], [2])
        running = asyncio.create_task(engine.run())
        for number in range(3, 7):
            await until(lambda so_far=number - 2: len(answers) == so_far)  # type: ignore[misc]  # the default binds the loop's value
            assert len(store.calls) == number - 2
            submit(engine, answers, [number])
        await until(lambda: ([2], True) in store.calls)
        assert store.calls[:4] == [([number], False) for number in (1, 3, 4, 5)]
        await until(lambda: len(answers) == 5)
        store.held.clear()
        store.may_go_on.set()
        engine.stop()
        await running
        assert answers == [[1], [3], [4], [5], [6], [2]]

    asyncio.run(go())


def test_what_was_divided_can_be_divided_again() -> None:
    """A part of what came together is not held up by one card of another server either."""

    async def go() -> None:
        store = Shared(3, slow=1)
        engine = engine_of(store, Watch(), lanes=3)
        answers: list[list[int]] = []
        running = asyncio.create_task(engine.run())
        submit_loosely(engine, answers, [1])
        await until(lambda: bool(store.calls))
        submit_loosely(engine, answers, [2, 1, 3, 4])
        await until(lambda: bool(answers))
        assert answers == [[2, 4]]
        store.held.clear()
        store.may_go_on.set()
        engine.stop()
        await running
        assert sorted(answers[1:]) == [[1], [1], [3]]

    asyncio.run(go())


class Uneven(MemoryStore):  # type: ignore[misc]  # as above
    """Batches take turns of the loop, some more than others; some cards are held at first.

    `held`: how often a card is still found held.
    """

    def __init__(self, delays: list[int], held: dict[int, int]) -> None:
        super().__init__()
        self.delays = deque(delays)
        self.held = {number.to_bytes(16, "big"): times for number, times in held.items()}
        self.done: list[Command] = []

    async def transact(
        self,
        batch: Sequence[Command],
        step: Step,
        clock_ms: int,
        *,
        pass_over: PassOver | None = None,
    ) -> list[Result]:
        """Note what was carried out, in the order in which it was."""
        cards = {command.card_key for command in batch}
        held = frozenset(card for card in cards if self.held.get(card))
        if pass_over is None:
            await asyncio.sleep(0)
            self.held.clear()
        else:
            batch = pass_over(held)
            for card in held:
                self.held[card] -= 1
        for _ in range(self.delays.popleft() if self.delays else 0):
            await asyncio.sleep(0)
        self.done += batch
        return await super().transact(batch, step, clock_ms)


@given(
    units=st.lists(
        st.tuples(st.booleans(), st.lists(st.integers(1, 6), min_size=1, max_size=6)), max_size=20
    ),
    delays=st.lists(st.integers(0, 9), max_size=20),
    held=st.dictionaries(st.integers(1, 6), st.integers(1, 6)),
    lanes=st.integers(2, 4),
)
def test_a_card_s_commands_keep_their_order(
    units: list[tuple[bool, list[int]]], delays: list[int], held: dict[int, int], lanes: int
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

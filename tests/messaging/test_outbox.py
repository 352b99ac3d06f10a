"""The worker: order, repeats, pauses, dead letters, receipts, answers, and what a kill leaves."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from zhiwei.clock import ManualClock
from zhiwei.core.event import Event, EventKind
from zhiwei.messaging.backoff import BreakerState
from zhiwei.messaging.model import (
    SMS,
    Answer,
    Desk,
    Inbound,
    Message,
    Plan,
    Planned,
    Receipt,
    Status,
    Tracked,
    Verdict,
)
from zhiwei.messaging.outbox import Outbox
from zhiwei.messaging.settings import OutboxSettings
from zhiwei.messaging_thread import MessagingStoppedError, MessagingThread
from zhiwei.ports import EventRow, Reader, StoreUnavailableError
from zhiwei.stores.messages.store import SqliteMessageStore

NOW = 1_763_956_800_000
DAY = 86_400_000
PATIENCE = 20.0
TAKEN = Answer(Verdict.TAKEN)
LATER = Answer(Verdict.TRY_LATER, "busy")
DOWN = Answer(Verdict.TRY_LATER, "down", is_channel_down=True)
REFUSED = Answer(Verdict.REFUSED, "no such number")


class Events:
    """The outbox of a main store, as far as the worker reads it."""

    def __init__(self) -> None:
        self.rows: list[EventRow] = []

    def add(self, card: int = 1, kind: EventKind = EventKind.STOP_PLACED, at: int = NOW) -> str:
        """One more; its id."""
        position = len(self.rows) + 1
        row = EventRow(
            position, f"evt_{position:04d}_0", bytes([card]) * 16, 1, at, Event(kind, {})
        )
        self.rows.append(row)
        return row.id

    def events(self, *, after: int = 0, limit: int = 100) -> list[EventRow]:
        """As `ports.Reader` has it."""
        if after:
            return self.rows[after : after + limit][::-1]
        return self.rows[::-1][:limit] if limit == 1 else self.rows[:limit][::-1]


class Wire:
    """A channel whose other side answers as it is told."""

    def __init__(self, name: str = SMS) -> None:
        self.name = name
        self.at_once = 8
        self.sent: list[str] = []
        self.answer: Callable[[Message], Answer] = lambda _message: TAKEN
        self.gate = asyncio.Event()
        self.gate.set()
        self.most = 0
        self._now = 0
        self.desk: Desk | None = None

    async def start(self, desk: Desk) -> None:
        """Remember who to report to."""
        self.desk = desk

    async def send(self, message: Message) -> Answer:
        """Note it, wait for the gate, answer."""
        self.sent.append(message.id)
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await asyncio.sleep(0)
            await self.gate.wait()
            return self.answer(message)
        finally:
            self._now -= 1

    async def stop(self) -> None:
        """Nothing."""


class Told:
    """Counts what the worker tells its observer."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *values, **named: self.seen.append((name, *values, *named.values()))

    def count(self, *what: object) -> int:
        """How often something was told."""
        return sum(one[: len(what)] == what for one in self.seen)


def plan_one(row: EventRow, _now_ms: int, _spent: Callable[[str, int], int]) -> Plan:
    """One text message for the card's lane."""
    return Plan((Planned(message_of(row)),), ("card",))


def message_of(row: EventRow, tag: str = "sms", **more: Any) -> Message:  # noqa: ANN401 - fields
    """The message of an event."""
    told: dict[str, Any] = {
        "id": f"msg_{row.id[4:]}-{tag}",
        "event_id": row.id,
        "kind": row.event.kind.word,
        "card_key": row.card_key,
        "lane": row.card_key.hex(),
        "channel": SMS,
        "to": "+8613800138000",
        "language": "zh",
        "subject": "",
        "text": "text",
        "created_ms": row.at_ms,
    }
    return Message(**{**told, **more})


class Post:
    """A worker with everything around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events = Events()
        self.wire = Wire()
        self.clock = ManualClock(NOW)
        self.pace = ManualClock(NOW)
        self.told = Told()
        self.plan: Callable[..., Plan] = plan_one
        self.inbound: list[Inbound] = []
        self.on_inbound: Callable[[Inbound], Awaitable[Planned | None]] = self._reply
        self.undeliverable: list[str] = []
        self.settings = OutboxSettings(breaker_failures=3, breaker_pause_ms=400, poll_ms=5)
        self.store: SqliteMessageStore = cast("SqliteMessageStore", None)

    async def _reply(self, inbound: Inbound) -> Planned | None:
        self.inbound.append(inbound)
        row = EventRow(0, "evt_x", b"", 0, NOW, Event(EventKind.STOP_PLACED, {}))
        lane = f"reply:{inbound.sender}"
        return Planned(message_of(row, id=f"msg_{inbound.id}-reply", event_id="", lane=lane))

    async def _undeliverable(self, message: Message) -> None:
        self.undeliverable.append(message.challenge)

    def outbox(self) -> Outbox:
        """The worker, on a store that was just opened."""
        self.store = SqliteMessageStore(self.folder)
        return Outbox(
            cast("Reader", self.events),
            self.store,
            [self.wire],
            planner=self.plan,
            on_inbound=self.on_inbound,
            on_undeliverable=self._undeliverable,
            clock=self.clock,
            pace=self.pace,
            settings=self.settings,
            observer=self.told,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Outbox]:
        """The worker at work."""
        outbox = self.outbox()
        await outbox.start()
        try:
            yield outbox
        finally:
            await outbox.stop()
            self.store.close()

    def stories(self) -> list[Tracked]:
        """All messages, in the order of planning."""
        reader = self.store.reader()
        try:
            return reader.messages(limit=10_000)[::-1]
        finally:
            reader.close()

    def statuses(self) -> list[Status]:
        """What became of each."""
        return [one.status for one in self.stories()]


def on_a_loop(test: Callable[[Post], Coroutine[Any, Any, None]]) -> Callable[[Post], None]:
    """Run a test on an event loop of its own."""

    @functools.wraps(test)
    def run(post: Post) -> None:
        asyncio.run(test(post))

    return run


async def until(is_true: Callable[[], bool]) -> None:
    """Wait for something, with generous patience."""
    async with asyncio.timeout(PATIENCE):
        while not is_true():  # noqa: ASYNC110 - it is about things of all kinds
            await asyncio.sleep(0.005)


@pytest.fixture
def post(tmp_path: Path) -> Post:
    """A worker with everything around it."""
    return Post(tmp_path)


def numbers(sent: Sequence[str]) -> list[int]:
    """Positions of the events that were told."""
    return [int(one[4:8]) for one in sent]


@on_a_loop
async def test_events_become_messages_in_order(post: Post) -> None:
    """Every event is told once; cards beside each other, each in its order; never too many."""
    for n in range(300):
        post.events.add(card=n % 20)
    async with post.running():
        await until(lambda: post.told.count("sent") == 300)
        post.events.add(card=0)
        await until(lambda: post.told.count("sent") == 301)
    order = numbers(post.wire.sent)
    assert sorted(order) == list(range(1, 302))
    for card in range(20):
        assert sorted(mine := [n for n in order if (n - 1) % 20 == card]) == mine
    assert 1 < post.wire.most <= post.wire.at_once
    again = SqliteMessageStore(post.folder)
    assert (again.cursor(), again.spent("card", 0)) == (301, 301)
    again.close()


@on_a_loop
async def test_what_is_on_its_way_holds_its_lane_until_it_is_written_down(post: Post) -> None:
    """The next message of a card goes only when the one before is over."""
    post.wire.gate.clear()
    for card in (1, 1, 2):
        post.events.add(card)
    async with post.running():
        await until(lambda: len(post.wire.sent) == 2)
        await asyncio.sleep(0.05)
        assert numbers(post.wire.sent) == [1, 3]
        post.wire.gate.set()
        await until(lambda: len(post.wire.sent) == 3)


@on_a_loop
async def test_a_try_that_failed_waits_longer_each_time(post: Post) -> None:
    """By the machine's clock; the rest of its lane waits, other lanes go on."""
    for card in (1, 1, 2):
        post.events.add(card)
    post.wire.answer = lambda message: LATER if message.id.startswith("msg_0001") else TAKEN
    async with post.running():
        await until(lambda: post.told.count("retried") == 1)
        await until(lambda: post.told.count("sent") == 1)
        first = post.stories()[0]
        assert (first.status, first.tries, first.detail) == (Status.QUEUED, 1, "busy")
        assert NOW + 500 <= first.next_ms <= NOW + 1_000
        post.pace.move_to(first.next_ms)
        await until(lambda: post.told.count("retried") == 2)
        second = post.stories()[0]
        assert 1_000 <= second.next_ms - first.next_ms <= 2_000
        post.wire.answer = lambda _message: TAKEN
        post.pace.move_to(second.next_ms)
        await until(lambda: post.told.count("sent") == 3)
    assert numbers(post.wire.sent)[-1] == 2
    assert [one.tries for one in post.stories()] == [3, 1, 1]


@on_a_loop
async def test_days_of_tries_end_in_a_dead_letter_that_can_be_replayed(post: Post) -> None:
    """Nothing is lost by it: a replay sends the same message under the same id."""
    post.events.add()
    post.wire.answer = lambda _message: LATER
    async with post.running() as outbox:
        await until(lambda: post.told.count("retried") == 1)
        post.pace.advance(3 * DAY + 1)
        await until(lambda: post.told.count("ended", SMS, Status.DEAD) == 1)
        post.wire.answer = lambda _message: TAKEN
        assert await outbox.replay(["msg_0001_0-sms", "msg_none"]) == 1
        await until(lambda: post.told.count("sent") == 1)
        assert len(set(post.wire.sent)) == 1
        assert post.statuses() == [Status.SENT]


@on_a_loop
async def test_a_refused_message_makes_way(post: Post) -> None:
    """It failed, and the next one of its lane goes."""
    post.events.add()
    post.events.add()
    post.wire.answer = lambda message: REFUSED if "0001" in message.id else TAKEN
    async with post.running():
        await until(lambda: post.told.count("sent") == 1)
        assert post.statuses() == [Status.FAILED, Status.SENT]
        assert post.stories()[0].detail == "no such number"


@on_a_loop
async def test_a_channel_that_is_down_is_left_alone_and_costs_no_patience(post: Post) -> None:
    """A day of outage: single tries, no back-off for messages; all go soon after the return."""
    for n in range(50):
        post.events.add(card=n)
    post.wire.answer = lambda _message: DOWN
    async with post.running():
        await until(lambda: post.told.count("breaker", SMS, BreakerState.OPEN) == 1)
        await asyncio.sleep(0.05)
        tries = len(post.wire.sent)
        assert tries <= post.wire.at_once + 1
        for _ in range(24):
            post.pace.advance(DAY // 24)
            before = len(post.wire.sent)
            await until(lambda before=before: len(post.wire.sent) > before)  # type: ignore[misc]  # bound now
        assert len(post.wire.sent) <= tries + 3 * 24
        assert all((one.tries, one.next_ms) == (0, 0) for one in post.stories())
        post.wire.answer = lambda _message: TAKEN
        post.pace.advance(post.settings.breaker_pause_ms)
        await until(lambda: post.told.count("sent") == 50)
    assert post.told.count("breaker", SMS, BreakerState.CLOSED) == 1


@on_a_loop
async def test_what_waited_for_days_for_a_dead_channel_is_given_up(post: Post) -> None:
    """Not only the one that tries, but all behind it."""
    for n in range(20):
        post.events.add(card=n % 2)
    post.wire.answer = lambda _message: DOWN
    async with post.running():
        await until(lambda: post.told.count("breaker", SMS, BreakerState.OPEN) == 1)
        post.pace.advance(3 * DAY + 1)
        await until(lambda: post.statuses() == [Status.DEAD] * 20)


@on_a_loop
async def test_a_pointless_message_is_not_sent(post: Post) -> None:
    """A question that is over is not asked; by the house's clock."""
    post.plan = lambda row, _now, _spent: Plan((Planned(message_of(row, expires_ms=NOW + 600)),))
    post.wire.answer = lambda _message: LATER
    post.events.add()
    post.events.add()
    async with post.running():
        await until(lambda: post.told.count("retried") == 1)
        assert post.stories()[0].next_ms <= NOW + 600
        post.clock.advance(600)
        post.pace.advance(600)
        await until(lambda: post.statuses() == [Status.EXPIRED] * 2)
    assert len(post.wire.sent) == 1


@on_a_loop
async def test_old_events_are_not_told_as_if_they_were_new(post: Post) -> None:
    """On data that never had messages, what is too old is left out; later it is a dead letter."""
    for n in range(1_000):
        post.events.add(at=NOW - 10 * DAY + n)
    for _ in range(3):
        post.events.add(at=NOW - DAY)
    async with post.running():
        await until(lambda: post.told.count("sent") == 3)
        assert numbers(post.wire.sent) == [1_001, 1_002, 1_003]
        post.events.add(at=NOW - 4 * DAY)
        post.events.add()
        await until(lambda: post.told.count("sent") == 4)
        assert post.statuses()[-2:] == [Status.DEAD, Status.SENT]
    assert len(post.wire.sent) == 4


@on_a_loop
async def test_a_planner_that_fails_does_not_silence_the_others(post: Post) -> None:
    """Its fault is counted; what follows is told, half characters or not."""

    def plan(row: EventRow, now_ms: int, spent: Callable[[str, int], int]) -> Plan:
        if row.position == 2:
            raise ZeroDivisionError
        if row.position == 3:
            return Plan((Planned(message_of(row, text="\ud83d")),))
        return plan_one(row, now_ms, spent)

    post.plan = plan
    for _ in range(4):
        post.events.add()
    async with post.running():
        await until(lambda: post.told.count("sent") == 2)
    assert post.told.count("trouble", "planning") == 2
    assert numbers(post.wire.sent) == [1, 4]


@on_a_loop
async def test_each_event_sees_what_those_before_it_have_spent(post: Post) -> None:
    """A budget holds within one batch too; what is held back is kept."""

    def plan(row: EventRow, now_ms: int, spent: Callable[[str, int], int]) -> Plan:
        if spent("card", now_ms - 3_600_000) >= 3:
            return Plan((Planned(message_of(row), Status.HELD_BACK, "budget"),))
        return plan_one(row, now_ms, spent)

    post.plan = plan
    for _ in range(10):
        post.events.add()
    async with post.running():
        await until(lambda: post.told.count("sent") == 3)
        assert post.statuses() == [Status.SENT] * 3 + [Status.HELD_BACK] * 7


@on_a_loop
async def test_receipts_find_their_messages_even_when_they_are_first(post: Post) -> None:
    """Before the answer to the message itself, in time, and for nobody's."""
    post.events.add(1)
    post.events.add(2)

    def answer(message: Message) -> Answer:
        remote_id = message.id[4:8]
        return Answer(Verdict.TAKEN, remote_id=remote_id)

    post.wire.answer = answer
    post.wire.gate.clear()
    async with post.running() as outbox:
        await until(lambda: len(post.wire.sent) == 2)
        desk = post.wire.desk
        assert desk is not None
        await desk.receipt(Receipt("0001", Status.DELIVERED))
        await desk.receipt(Receipt("nobody", Status.DELIVERED))
        post.wire.gate.set()
        await until(lambda: post.told.count("sent") == 2)
        await outbox.receipt(Receipt("0002", Status.FAILED, "absent\nfor ever"))
        assert post.statuses() == [Status.DELIVERED, Status.FAILED]
        assert post.stories()[1].detail == "absent for ever"
        post.pace.advance(60_001)
        await until(lambda: post.told.count("unknown_receipts", 1) == 1)


@on_a_loop
async def test_a_question_that_nobody_gets_is_told_once(post: Post) -> None:
    """When the last of its messages failed, and only then."""
    post.plan = lambda row, _now, _spent: Plan(
        tuple(Planned(message_of(row, tag, lane=tag, challenge="chg_1")) for tag in ("sms", "sms2"))
    )
    post.wire.answer = lambda message: TAKEN if message.id.endswith("sms2") else REFUSED
    post.events.add()
    async with post.running():
        await until(lambda: set(post.statuses()) == {Status.SENT, Status.FAILED})
        assert post.undeliverable == []
    post.events.add()
    post.plan = lambda row, _now, _spent: Plan((Planned(message_of(row, challenge="chg_2")),))
    async with post.running():
        await until(lambda: post.undeliverable == ["chg_2"])
    async with post.running():
        await until(lambda: post.told.count("backlog") > 3)
    assert post.undeliverable == ["chg_2"]


@on_a_loop
async def test_inbound_messages_are_answered_once_and_in_order(post: Post) -> None:
    """Each sender's in their order; twice is once; the reply goes out."""
    async with post.running() as outbox:
        for n in range(60):
            one = Inbound(f"in_{n:02d}", f"+861380013800{n % 3}", str(n), NOW)
            await outbox.received(one)
            await outbox.received(one)
        await until(lambda: post.told.count("sent") == 60)
    for sender in range(3):
        mine = [int(one.text) for one in post.inbound if one.sender.endswith(str(sender))]
        assert mine == sorted(mine)
    assert len(post.inbound) == 60
    assert post.told.count("inbound", "repeated") == 60


@on_a_loop
async def test_inbound_messages_survive_a_stop_and_a_fault(post: Post) -> None:
    """What was not carried out is carried out later; one that fails holds up its sender only."""

    async def fail(inbound: Inbound) -> Planned | None:
        if inbound.text == "bad":
            raise StoreUnavailableError
        return await post._reply(inbound)

    post.on_inbound = fail
    async with post.running() as outbox:
        await outbox.received(Inbound("in_1", "a", "bad", NOW))
        await outbox.received(Inbound("in_2", "a", "\ud83d good", NOW))
        await outbox.received(Inbound("in_3", "b", "good", NOW))
        await until(lambda: post.told.count("sent") == 1)
        assert [one.id for one in post.inbound] == ["in_3"]
    post.on_inbound = post._reply
    async with post.running():
        await until(lambda: post.told.count("sent") == 3)
    assert [one.id for one in post.inbound] == ["in_3", "in_1", "in_2"]


@on_a_loop
async def test_what_was_on_its_way_when_it_was_killed_goes_again_with_its_id(post: Post) -> None:
    """Nothing was written of it, so it is still the head of its lane."""
    post.wire.gate.clear()
    for _ in range(2):
        post.events.add()
    outbox = post.outbox()
    await outbox.start()
    await until(lambda: len(post.wire.sent) == 1)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()  # as good as a kill: nobody writes anything any more
    await asyncio.sleep(0.01)
    post.store.close()
    post.wire.gate.set()
    async with post.running():
        await until(lambda: post.told.count("sent") == 2)
    assert numbers(post.wire.sent) == [1, 1, 2]


@on_a_loop
async def test_a_store_that_cannot_write_loses_nothing(post: Post) -> None:
    """While another holds the file nothing is planned or noted; then everything is."""
    async with post.running():
        post.store._execute("pragma busy_timeout = 1")
        post.events.add()
        await until(lambda: post.told.count("sent") == 1)
        other = SqliteMessageStore(post.folder)
        with other.together():
            post.events.add()
            await until(lambda: post.told.count("trouble", "store") > 0)
        other.close()
        await until(lambda: post.told.count("sent") == 2)
        await until(lambda: post.statuses() == [Status.SENT] * 2)


@on_a_loop
async def test_a_channel_that_breaks_its_promise_is_borne(post: Post) -> None:
    """An exception is a try that failed; the message goes again."""
    calls = 0

    def answer(_message: Message) -> Answer:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("+8613800138000")
        return TAKEN

    post.wire.answer = answer
    post.events.add()
    async with post.running():
        await until(lambda: post.told.count("retried") == 1)
        assert post.stories()[0].detail == "fault in the channel: RuntimeError"
        post.pace.advance(1_000)
        await until(lambda: post.told.count("sent") == 1)


@on_a_loop
async def test_a_main_store_that_is_older_than_the_messages(post: Post) -> None:
    """After a restore of the main store alone, what happens from then on is told."""
    for _ in range(10):
        post.events.add()
    async with post.running():
        await until(lambda: post.told.count("sent") == 10)
    del post.events.rows[5:]
    async with post.running():
        post.events.rows.append(
            EventRow(6, "evt_new_0", b"\x01" * 16, 1, NOW, Event(EventKind.STOP_PLACED, {}))
        )
        await until(lambda: post.told.count("sent") == 11)


def test_the_thread_starts_wakes_answers_and_stops(post: Post) -> None:
    """Everything on a loop of its own; afterwards it says that it is not running."""
    built: list[Outbox] = []

    def build() -> Outbox:
        post.wire = Wire()
        built.append(post.outbox())
        return built[0]

    thread = MessagingThread(build)
    with pytest.raises(MessagingStoppedError):
        thread.ask(lambda outbox: outbox.replay([]))
    thread.start()
    post.events.add()
    thread.wake()
    inbound = Inbound("in_1", "a", "good", NOW)
    thread.ask(lambda outbox: outbox.received(inbound)).result(PATIENCE)
    assert thread.ask(lambda outbox: outbox.replay(["msg_none"])).result(PATIENCE) == 0
    asyncio.run(until(lambda: post.told.count("sent") == 2))
    thread.stop()
    thread.stop()
    thread.wake()
    with pytest.raises(MessagingStoppedError):
        thread.ask(lambda outbox: outbox.replay([]))
    post.store.close()


def test_what_keeps_the_thread_from_starting_is_told() -> None:
    """The error of the parts comes out of `start`."""

    def build() -> Outbox:
        raise StoreUnavailableError("no room")

    thread = MessagingThread(build)
    with pytest.raises(StoreUnavailableError, match="no room"):
        thread.start()
    thread.stop()

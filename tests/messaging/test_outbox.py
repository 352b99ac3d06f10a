"""The worker: order, pauses, dead letters, breakers, budgets, and what is too old."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.messaging.post import (
    DAY,
    DOWN,
    LATER,
    NOW,
    REFUSED,
    TAKEN,
    Post,
    message_of,
    numbers,
    on_a_loop,
    plan_one,
    until,
)

from zhiwei.messaging.backoff import BreakerState
from zhiwei.messaging.model import (
    SMS,
    Plan,
    Planned,
    Status,
)
from zhiwei.ports import EventRow
from zhiwei.stores.messages.store import SqliteMessageStore


@pytest.fixture
def post(tmp_path: Path) -> Post:
    """A worker with everything around it."""
    return Post(tmp_path)


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
        await until(lambda: post.statuses() == [Status.SENT])
        assert len(set(post.wire.sent)) == 1


@on_a_loop
async def test_a_refused_message_makes_way(post: Post) -> None:
    """It failed, and the next one of its lane goes."""
    post.events.add()
    post.events.add()
    post.wire.answer = lambda message: REFUSED if "0001" in message.id else TAKEN
    async with post.running():
        await until(lambda: post.statuses() == [Status.FAILED, Status.SENT])
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
        opened = ("breaker", SMS, BreakerState.OPEN)
        for hour in range(1, 25):
            post.pace.advance(DAY // 24)
            # Not when the try began: its pause begins when it has failed, by a clock that stands.
            await until(lambda n=1 + hour: post.told.count(*opened) == n)  # type: ignore[misc]  # bound now
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
        await until(lambda: post.statuses()[-2:] == [Status.DEAD, Status.SENT])
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
        # It is told before it is written down.
        wanted = [Status.SENT] * 3 + [Status.HELD_BACK] * 7
        await until(lambda: post.statuses() == wanted)
        assert post.told.count("sent") == 3


@on_a_loop
async def test_while_nobody_is_told_events_are_passed_over(post: Post) -> None:
    """Nothing is planned for them, now or later; from the first listener on everything is."""
    post.look = lambda: False
    for _ in range(50):
        post.events.add()
    async with post.running():
        await until(lambda: post.store.cursor() == 50)
        post.look = lambda: True
        post.events.add()
        await until(lambda: post.told.count("sent") == 1)
        assert [one.message.event_id for one in post.stories()] == ["evt_0051_0"]


def looks_at(post: Post, *, is_heard: bool) -> list[int]:
    """How many events there were at each look for listeners.

    During the first one somebody subscribes, and then something happens; it says `is_heard`.
    """
    looks: list[int] = []

    def look() -> bool:
        looks.append(len(post.events.rows))
        if len(looks) == 1:
            post.events.add()
            return is_heard
        return True

    post.look = look
    return looks


@on_a_loop
async def test_who_begins_to_listen_while_events_are_passed_over_misses_none(post: Post) -> None:
    """Only what was there before it was looked who listens is passed over."""
    looks = looks_at(post, is_heard=False)
    post.events.add()
    async with post.running():
        await until(lambda: post.told.count("sent") == 1)
        assert [one.message.event_id for one in post.stories()] == ["evt_0002_0"]
    assert looks == [1, 2]


@on_a_loop
async def test_what_happens_while_it_is_looked_who_listens_waits_for_the_next_look(
    post: Post,
) -> None:
    """Whoever subscribed before it happened may not be known to this look yet."""
    looks = looks_at(post, is_heard=True)
    post.events.add()
    async with post.running():
        await until(lambda: post.told.count("sent") == 2)
    assert looks == [1, 2]

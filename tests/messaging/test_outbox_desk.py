"""Receipts and inbound messages, and what the worker does when something of ours fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.messaging.post import (
    NOW,
    REFUSED,
    TAKEN,
    Post,
    message_of,
    numbers,
    on_a_loop,
    until,
)

from zhiwei.core.event import Event, EventKind
from zhiwei.messaging.model import (
    Answer,
    Inbound,
    Message,
    Plan,
    Planned,
    Receipt,
    Status,
    Verdict,
)
from zhiwei.ports import EventRow, StoreUnavailableError
from zhiwei.stores.messages.store import SqliteMessageStore


@pytest.fixture
def post(tmp_path: Path) -> Post:
    """A worker with everything around it."""
    return Post(tmp_path)


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

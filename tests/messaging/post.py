"""A worker with everything around it, for its tests; the message store is the real one."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from zhiwei.clock import ManualClock
from zhiwei.core.event import Event, EventKind
from zhiwei.messaging.model import (
    SMS,
    Answer,
    Desk,
    Inbound,
    Message,
    Plan,
    Planned,
    Status,
    Tracked,
    Verdict,
)
from zhiwei.messaging.outbox import Outbox
from zhiwei.messaging.settings import OutboxSettings
from zhiwei.ports import EventRow
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
            first = max(after, 0)
            return self.rows[first : first + limit][::-1]
        return self.rows[::-1][:limit]


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


def message_of(row: EventRow, tag: str = "sms", **more: Any) -> Message:  # noqa: ANN401 - fields of all kinds
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
        self.look: Callable[[], bool] = lambda: True
        self.inbound: list[Inbound] = []
        self.on_inbound: Callable[[Inbound], Awaitable[Planned | None]] = self._reply
        self.undeliverable: list[str] = []
        self.settings = OutboxSettings(breaker_failures=3, breaker_pause_ms=400, poll_ms=5)
        self.store: SqliteMessageStore = cast("SqliteMessageStore", None)
        #: Opens the message store.
        self.new_store: Callable[[], Any] = lambda: SqliteMessageStore(self.folder)

    def _look(self) -> bool:
        """As a test has it now."""
        return self.look()

    async def _reply(self, inbound: Inbound) -> Planned | None:
        self.inbound.append(inbound)
        row = EventRow(0, "evt_x", b"", 0, NOW, Event(EventKind.STOP_PLACED, {}))
        lane = f"reply:{inbound.sender}"
        return Planned(message_of(row, id=f"msg_{inbound.id}-reply", event_id="", lane=lane))

    async def _undeliverable(self, message: Message) -> None:
        self.undeliverable.append(message.challenge)

    def outbox(self) -> Outbox:
        """The worker, on a store that was just opened."""
        self.store = self.new_store()
        return Outbox(
            self.events,
            self.store,
            [self.wire],
            planner=self.plan,
            look=self._look,
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
    """Wait for something, with generous patience.

    It looks at every turn of the loop, so that a test which goes on too early fails every time and
    not once in a thousand.
    """
    async with asyncio.timeout(PATIENCE):
        while not is_true():  # noqa: ASYNC110 - it is about things of all kinds
            await asyncio.sleep(0)


def numbers(sent: Sequence[str]) -> list[int]:
    """Positions of the events that were told."""
    return [int(one[4:8]) for one in sent]

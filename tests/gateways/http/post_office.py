"""The messaging part as the HTTP door meets it: a real store, on a loop of its own in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry
from tests.gateways.http.house import NOON, WORDS, World

from zhiwei.gateways.http.app import build_app
from zhiwei.gateways.http.house import MessageDesk
from zhiwei.messaging.contacts import settler
from zhiwei.messaging.conversation import Conversation
from zhiwei.messaging.entry import MessagingEntry
from zhiwei.messaging.model import SMS, Change, Message, Planned, Status
from zhiwei.services.stop_payment import read_command
from zhiwei.stores.messages.store import SqliteMessageStore

T = TypeVar("T")


class PostOffice:
    """A world with messages; everything that writes them happens on the office's own loop."""

    def __init__(self, world: World, folder: Path, *, sends_replies: bool = True) -> None:
        self.world = world
        self.loop = asyncio.new_event_loop()
        self.store = SqliteMessageStore(folder)
        self.reader = self.store.reader()
        self.planned = 0
        conversation = Conversation(
            reader=world.house.reader,
            submit=world.submit,
            texts=WORDS,
            policy=lambda: world.policy,
            read_command=read_command,
            counts=self.store,
            clock=world.clock,
            settle=settler(world.house.reader, world.house.keep, world.clock),
        )
        entry = MessagingEntry(
            self.store,
            conversation,
            world.clock,
            world.clock,
            sends_replies=sends_replies,
            on_planned=self._wake,
        )
        self.show(
            MessageDesk(
                self.reader,
                lambda ids: self._from_elsewhere(entry.replay(ids)),
                lambda *message: self._from_elsewhere(entry.inbound(*message)),
                lambda messages: self._from_elsewhere(entry.queue(messages)),
                sends_sms=True,
            )
        )
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def show(self, desk: MessageDesk) -> None:
        """This is what the door sees of messages."""
        world = self.world
        world.house = replace(world.house, messages=desk, metrics=CollectorRegistry())
        world.app = build_app(world.house)

    def close(self) -> None:
        """Close the office; the world stays."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        self.reader.close()
        self.store.close()

    def there(self, work: Callable[[], T]) -> T:
        """Do something on the office's loop."""

        async def do() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(do(), self.loop).result()

    def plan(self, message_id: str, status: Status = Status.QUEUED, **fields: Any) -> str:  # noqa: ANN401 - whatever a message has
        """Keep a message in a state; its id."""
        told: dict[str, Any] = {
            "event_id": "",
            "kind": "stop_placed",
            "card_key": b"",
            "lane": "lane",
            "channel": SMS,
            "to": "+8613800138000",
            "language": "zh",
            "subject": "",
            "text": "【智卫】一句话",
            "created_ms": NOON,
        }
        message = Message(id=message_id, **{**told, **fields})
        is_over_at_once = status in (Status.MUTED, Status.HELD_BACK, Status.EXPIRED)
        planned = Planned(message, status if is_over_at_once else Status.QUEUED)
        self.there(lambda: self.store.plan([planned], cursor=-1, now_ms=NOON))
        if not is_over_at_once and status is not Status.QUEUED:
            change = Change(message_id, status, 3, 0, NOON + 1, "remote", "some answer")
            self.there(lambda: self.store.note([change]))
        return message_id

    async def _from_elsewhere(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work gives, done on the office's loop; the caller has another."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    def _wake(self) -> None:
        self.planned += 1

"""MessagingEntry: the messaging part as another thread's event loop sees it.

Store and conversation belong to the messaging loop; whoever is elsewhere has things done there and
waits, as `engine.ThreadEntry` does for the path.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar, final

from zhiwei.messaging.conversation import Conversation
from zhiwei.messaging.model import Clock, Message, MessageStore, Planned
from zhiwei.messaging.reply import Taken, reply_message
from zhiwei.ports import StoreUnavailableError

T = TypeVar("T")

#: Longest that a caller of another thread waits.
_PATIENCE_SECONDS: Final = 30.0


@final
class MessagingEntry:
    """Has things done on the messaging loop; any loop may call."""

    def __init__(
        self,
        loop: Callable[[], asyncio.AbstractEventLoop | None],
        store: MessageStore,
        conversation: Conversation,
        clock: Clock,
        pace: Clock,
        *,
        sends_replies: bool,
        on_planned: Callable[[], object] = lambda: None,
    ) -> None:
        """`loop` says where the messaging part lives, None while it does not.

        `clock` is the house's, `pace` the machine's; `on_planned` wakes the outbox.

        `sends_replies`: replies to messages from web gateways are queued as SMS too; else the
        gateway's answer carries them and that is all.
        """
        self._loop: Final = loop
        self._store: Final = store
        self._conversation: Final = conversation
        self._clock: Final = clock
        self._pace: Final = pace
        self._sends_replies: Final = sends_replies
        self._on_planned: Final = on_planned

    async def replay(self, ids: Sequence[str]) -> int:
        """Queue messages that are over again; returns how many.

        Raises:
            StoreUnavailableError: none was, or the house is closing.
        """
        return await self._there(self._replay(list(ids)))

    async def queue(self, messages: Sequence[Message]) -> int:
        """Take in messages that tell no event (a test of a webhook); returns how many were new.

        Raises:
            StoreUnavailableError: none was, or the house is closing.
        """
        return await self._there(self._queue([Planned(message) for message in messages]))

    async def inbound(self, sender: str, text: str, message_id: str) -> Taken:
        """Carry out a text message; the reply goes out once, however often it is called.

        Raises:
            StoreUnavailableError: nothing was done, or the house is closing.
        """
        return await self._there(self._inbound(sender, text, message_id))

    async def _replay(self, ids: list[str]) -> int:
        count = self._store.replay(ids, self._pace.now_ms())
        self._on_planned()
        return count

    async def _queue(self, planned: list[Planned]) -> int:
        count = self._store.plan(planned, cursor=-1, now_ms=self._pace.now_ms())
        self._on_planned()
        return count

    async def _inbound(self, sender: str, text: str, message_id: str) -> Taken:
        now_ms = self._clock.now_ms()
        reply = await self._conversation.take(sender, text, now_ms=now_ms, message_id=message_id)
        planned = reply_message(message_id, reply, now_ms) if self._sends_replies else None
        if planned is None:
            return Taken(reply)
        self._store.plan([planned], cursor=-1, now_ms=self._pace.now_ms())
        self._on_planned()
        return Taken(reply, planned.message.id)

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work gives, done on the messaging loop."""
        loop = self._loop()
        future = None
        # A loop that closes just now raises.
        with contextlib.suppress(RuntimeError):
            future = None if loop is None else asyncio.run_coroutine_threadsafe(work, loop)
        if future is None:
            work.close()
            raise StoreUnavailableError("messages cannot be handled now; try again")
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), _PATIENCE_SECONDS)
        except TimeoutError:
            message = "messages are not handled in time; it may still be done, try again"
            raise StoreUnavailableError(message) from None

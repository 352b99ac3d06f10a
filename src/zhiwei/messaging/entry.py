"""MessagingEntry: what others may have done with messages: replayed, queued, taken in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, final

from zhiwei.messaging.conversation import Conversation
from zhiwei.messaging.model import Clock, Message, MessageStore, Planned
from zhiwei.messaging.reply import Taken, reply_message


@final
class MessagingEntry:
    """Does it on the messaging loop, to which store and conversation belong."""

    def __init__(
        self,
        store: MessageStore,
        conversation: Conversation,
        clock: Clock,
        pace: Clock,
        *,
        sends_replies: bool,
        on_planned: Callable[[], object] = lambda: None,
    ) -> None:
        """`clock` is the house's, `pace` the machine's; `on_planned` has them sent.

        `sends_replies`: replies to messages from web gateways are queued as SMS too; else the
        gateway's answer carries them and that is all.
        """
        self._store: Final = store
        self._conversation: Final = conversation
        self._clock: Final = clock
        self._pace: Final = pace
        self._sends_replies: Final = sends_replies
        self._on_planned: Final = on_planned

    async def replay(self, ids: Sequence[str]) -> int:
        """Queue messages that are over again; returns how many.

        Raises:
            StoreUnavailableError: none was.
        """
        count = self._store.replay(ids, self._pace.now_ms())
        self._on_planned()
        return count

    async def queue(self, messages: Sequence[Message]) -> int:
        """Take in messages that tell no event (a test of a webhook); returns how many were new.

        Raises:
            StoreUnavailableError: none was.
        """
        planned = [Planned(message) for message in messages]
        count = self._store.plan(planned, cursor=-1, now_ms=self._pace.now_ms())
        self._on_planned()
        return count

    async def inbound(self, sender: str, text: str, message_id: str) -> Taken:
        """Carry out a text message; the reply goes out once, however often it is called.

        Raises:
            StoreUnavailableError: nothing was done.
        """
        now_ms = self._clock.now_ms()
        reply = await self._conversation.take(sender, text, now_ms=now_ms, message_id=message_id)
        planned = reply_message(message_id, reply, now_ms) if self._sends_replies else None
        if planned is None:
            return Taken(reply)
        self._store.plan([planned], cursor=-1, now_ms=self._pace.now_ms())
        self._on_planned()
        return Taken(reply, planned.message.id)

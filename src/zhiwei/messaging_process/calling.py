"""Calling: what the house has the messaging process do, wherever that process is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias, final

from zhiwei.messaging.model import Message
from zhiwei.messaging.reply import Taken
from zhiwei.process_link.wire import messages_list, taken_of

#: Takes the name of a call and a value of the wire, from any loop, and gives one.
Call: TypeAlias = "Callable[[str, object], Awaitable[Any]]"


@final
class MessagingCalls:
    """The calls, over whatever leads to the process. From any loop."""

    def __init__(self, call: Call) -> None:
        self._call: Final = call

    async def replay(self, ids: Sequence[str]) -> int:
        """Queue messages that are over again; returns how many were.

        Raises:
            StoreUnavailableError: none was, or it is not known.
        """
        return int(await self._call("replay", list(ids)))

    async def queue(self, messages: Sequence[Message]) -> int:
        """Take in messages that tell no event; returns how many were new.

        Raises:
            StoreUnavailableError: none was, or it is not known.
        """
        return int(await self._call("queue", messages_list(messages)))

    async def inbound(self, sender: str, text: str, message_id: str) -> Taken:
        """Carry out a text message; the reply goes out once, however often it is called.

        Raises:
            StoreUnavailableError: nothing was done, or it is not known.
        """
        return taken_of(await self._call("inbound", [sender, text, message_id]))

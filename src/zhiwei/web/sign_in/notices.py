"""Notices: what changes who can sign in is told to the phone, so that its owner can object.

A thief who got in once would add a key of their own and come back at leisure. A number that was
replaced in the last 30 days is told too: it may be the owner's.
"""

from __future__ import annotations

from typing import Final, final

import structlog
from starlette.concurrency import run_in_threadpool

from zhiwei.gateways.http.house import Queue
from zhiwei.gateways.http.record_ids import IdMint
from zhiwei.messaging.model import Message
from zhiwei.messaging.planner import remembers_former
from zhiwei.ports import Cardholder, Reader, StoreUnavailableError
from zhiwei.web.sign_in.codes import Text
from zhiwei.web.sign_in.people import Person
from zhiwei.web.sign_in.sessions import Clock
from zhiwei.web.sign_in.texts import text_to

#: Kind of these messages.
PASSKEY_ADDED: Final = "passkey_added"
_LOG: Final = structlog.get_logger("sign_in")


@final
class Notices:
    """Tells people of their own keys. Thread-safe."""

    def __init__(self, reader: Reader, clock: Clock, text: Text, queue: Queue | None) -> None:
        """`queue` None = no text messages can be sent, and nobody is told."""
        self._reader: Final = reader
        self._clock: Final = clock
        self._text: Final = text
        self._queue: Final = queue
        self._mint: Final = IdMint()

    async def passkey_added(self, person: Person) -> None:
        """Tell of a new key. The key is there by now, so a failure goes to the log only."""
        if self._queue is None:
            return
        now_ms = self._clock.now_ms()
        # It reads the store, so off the loop.
        numbers = await run_in_threadpool(self._numbers, person, now_ms)
        messages = [self._message(person, number, now_ms) for number in numbers]
        try:
            await self._queue(messages)
        except StoreUnavailableError as error:
            _LOG.warning("notice_not_sent", kind=PASSKEY_ADDED, why=str(error))

    def _numbers(self, person: Person, now_ms: int) -> list[str]:
        """The number of now, and the one of before for 30 days."""
        numbers = [person.phone]
        holder = self._reader.record(Cardholder, person.subject)
        if holder is not None and remembers_former(holder, now_ms):
            numbers.append(holder.former_phone)
        return [number for number in dict.fromkeys(numbers) if number]

    def _message(self, person: Person, number: str, now_ms: int) -> Message:
        language = person.language
        text = self._text("notice.passkey_added", language, {})
        message_id = self._mint.new("msg_notice", now_ms)
        return text_to(
            number, language, text, kind=PASSKEY_ADDED, message_id=message_id, created_ms=now_ms
        )

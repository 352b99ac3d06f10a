"""Inbox: what the SMSC brings is durable before it is acknowledged.

One deliver_sm after the other: a text or receipt is handed to the desk, and only when that returns
is deliver_sm_resp sent. Parts of a long text are acknowledged together, once the whole is durable.
If the rest does not come within `hold_ms` - some SMSCs send a part only after the one before it was
answered - the part is answered with "temporary error" and stays known here: the SMSC brings it
again, and if the text has become whole meanwhile it is acknowledged then. So a crash at any moment
loses no part, without a store for halves. A half that never becomes whole is given up and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, final

from aiosmpplib.state import SmppCommandStatus

from zhiwei.gateways.sms.assembly import Assembly, Half, PartFate, Repeats, content_of
from zhiwei.gateways.sms.deliver import Delivered, MalformedPduError, Segment, deliver_of
from zhiwei.gateways.sms.encoding import text_of
from zhiwei.gateways.sms.sent_ids import SentIds
from zhiwei.messaging.model import Desk, Inbound

#: deliver_sm that wait for their turn; a further one is turned away, to be brought again.
_WAITING_MAX: Final = 200
#: Parts whose answer is held back at once.
_HELD_MAX: Final = 1_000
_DESK_SECONDS: Final = 15.0
#: How often halves are looked at while there are some.
_LOOK_SECONDS: Final = 1.0
_OK: Final = SmppCommandStatus.ESME_ROK
_LATER: Final = SmppCommandStatus.ESME_RX_T_APPN
_NEVER: Final = SmppCommandStatus.ESME_RX_P_APPN
_FULL: Final = SmppCommandStatus.ESME_RMSGQFUL


@dataclass(frozen=True)
class InboxSettings:
    """Times, ms."""

    #: How long the answer to a part is held back for the others.
    hold_ms: int = 2_000
    #: How long a half waits for its other half.
    half_ms: int = 600_000
    #: Equal texts of one sender within this time are one, on the same line and on a new one.
    repeat_ms: int = 10_000
    redelivery_ms: int = 120_000


class Clock(Protocol):
    """The machine's time."""

    def now_ms(self) -> int:
        """UTC ms."""
        ...


@dataclass(frozen=True)
class _Arrived:
    line: int
    sequence: int
    pdu: bytes


@dataclass(frozen=True)
class _Held:
    line: int
    sequence: int
    due: float
    half: Half


@final
class Inbox:
    """Takes what the SMSC brings, in turn; lives as long as the channel."""

    def __init__(
        self,
        settings: InboxSettings,
        sent_ids: SentIds,
        clock: Clock,
        answer: Callable[[int, int], Awaitable[None]],
        count: Callable[[str], object],
    ) -> None:
        """`answer` sends deliver_sm_resp on the present line: sequence number and status."""
        self._hold_s: Final = settings.hold_ms / 1_000
        self._sent_ids: Final = sent_ids
        self._clock: Final = clock
        self._answer: Final = answer
        self._count: Final = count
        self._assembly: Final = Assembly(settings.half_ms, lambda: count("half_dropped"))
        self._repeats: Final = Repeats(settings.repeat_ms, settings.redelivery_ms)
        self._waiting: Final[asyncio.Queue[_Arrived]] = asyncio.Queue(_WAITING_MAX)
        self._held: Final[deque[_Held]] = deque()
        self._line = 0

    def new_line(self) -> None:
        """The connection is another one: nothing of the old one can be answered any more."""
        self._line += 1
        self._held.clear()
        while not self._waiting.empty():
            self._waiting.get_nowait()

    async def put(self, sequence: int, pdu: bytes) -> None:
        """Take a deliver_sm from the wire; turn it away if too many wait."""
        # What came in one go is read without a pause; the one who handles it must have a turn too.
        await asyncio.sleep(0)
        try:
            self._waiting.put_nowait(_Arrived(self._line, sequence, pdu))
        except asyncio.QueueFull:
            self._count("turned_away")
            await self._answer(sequence, _FULL)

    async def work(self, desk: Desk) -> None:
        """Handle what comes, until cancelled."""
        while True:
            arrived: _Arrived | None = None
            loop = asyncio.get_running_loop()
            wait_s = _LOOK_SECONDS if self._assembly else None
            if self._held:
                wait_s = min(max(self._held[0].due - loop.time(), 0.0), _LOOK_SECONDS)
            try:
                async with asyncio.timeout(wait_s):
                    arrived = await self._waiting.get()
            except TimeoutError:
                pass
            await self._release(loop.time())
            if arrived is not None:
                await self._handle(arrived, desk)

    async def _handle(self, arrived: _Arrived, desk: Desk) -> None:
        try:
            delivered = deliver_of(arrived.pdu)
        except MalformedPduError:
            self._count("malformed")
            await self._reply(arrived.line, arrived.sequence, _NEVER)
            return
        if delivered.notice is not None:
            status = await self._take_receipt(delivered, desk)
        elif delivered.segment is not None:
            await self._take_part(arrived, delivered, delivered.segment, desk)
            return
        else:
            text = text_of(delivered.body, delivered.data_coding)
            content = content_of(delivered)
            status = await self._take_text(desk, delivered.source, text, content, arrived.line)
        await self._reply(arrived.line, arrived.sequence, status)

    async def _take_receipt(self, delivered: Delivered, desk: Desk) -> int:
        assert delivered.notice is not None
        receipt = self._sent_ids.receipt_of(
            delivered.notice, delivered.source, delivered.destination
        )
        if receipt is None:
            self._count("receipt_ignored")
            return _OK
        return await self._told(desk.receipt(receipt), "receipt")

    async def _take_text(
        self, desk: Desk, sender: str, text: str, content: bytes, line: int
    ) -> int:
        now_ms = self._clock.now_ms()
        own_id = self._repeats.id_of(content, line, _now_ms(), now_ms)
        if not own_id:
            self._count("repeated")
            return _OK
        inbound = Inbound(own_id, sender, text, now_ms)
        status = await self._told(desk.received(inbound), "received")
        if status == _OK:
            self._repeats.taken(content, line, _now_ms(), now_ms)
        return status

    async def _take_part(
        self, arrived: _Arrived, delivered: Delivered, segment: Segment, desk: Desk
    ) -> None:
        fate, half = self._assembly.add(delivered, segment, _now_ms())
        if half is None:
            is_hopeless = fate is PartFate.HOPELESS
            self._count("part_refused" if is_hopeless else "repeated")
            await self._reply(arrived.line, arrived.sequence, _NEVER if is_hopeless else _OK)
            return
        if fate is PartFate.WAITS:
            if len(self._held) >= _HELD_MAX:
                await self._reply(arrived.line, arrived.sequence, _LATER)
                return
            due = asyncio.get_running_loop().time() + self._hold_s
            self._held.append(_Held(arrived.line, arrived.sequence, due, half))
            return
        content = b"\n".join(content_of(half.parts[place]) for place in sorted(half.parts))
        status = await self._take_text(desk, half.sender, half.text(), content, arrived.line)
        if status == _OK:
            self._assembly.taken(half, _now_ms())
        mine = [held for held in self._held if held.half is half]
        for held in mine:
            self._held.remove(held)
        for line, sequence in [(held.line, held.sequence) for held in mine] + [
            (arrived.line, arrived.sequence)
        ]:
            await self._reply(line, sequence, status)

    async def _told(self, told: Awaitable[None], word: str) -> int:
        """The status that a report to the desk comes to; the SMSC keeps what was not taken."""
        try:
            async with asyncio.timeout(_DESK_SECONDS):
                await told
        except Exception:  # noqa: BLE001 - whatever keeps it from being durable: not acknowledged
            self._count("desk_failed")
            return _LATER
        self._count(word)
        return _OK

    async def _release(self, now: float) -> None:
        """Answer the parts that were held long enough."""
        self._assembly.give_up(_now_ms())
        while self._held and self._held[0].due <= now:
            held = self._held.popleft()
            await self._reply(held.line, held.sequence, _LATER)

    async def _reply(self, line: int, sequence: int, status: int) -> None:
        """Answer on the line that it came from; on a new one the SMSC brings it again."""
        if line == self._line:
            await self._answer(sequence, status)


def _now_ms() -> int:
    """An instant of a clock that never jumps, for what is waited for."""
    return int(asyncio.get_running_loop().time() * 1_000)

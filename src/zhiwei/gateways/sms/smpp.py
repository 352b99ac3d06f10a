"""SmppChannel: text messages over SMPP 3.4, and what comes back.

`send` takes one message to the SMSC, part by part, and says what became of it within a bounded
time; it is durable in the message store until then. Receipts and texts that come in are durable
before the SMSC is told that we have them (see `inbox.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Final, final

import structlog
from aiosmpplib.protocol import SubmitSm
from aiosmpplib.state import NPI, TON, PhoneNumber

from zhiwei.gateways.outgoing.transport import Resolver
from zhiwei.gateways.sms.broker import Outcome, PartBroker, PartCorrelator, Ticket
from zhiwei.gateways.sms.encoding import Part, parts_of
from zhiwei.gateways.sms.inbox import Clock, Inbox
from zhiwei.gateways.sms.sent_ids import SentIds
from zhiwei.gateways.sms.session import Session
from zhiwei.gateways.sms.settings import SmppSettings
from zhiwei.gateways.sms.statuses import THROTTLES, answer_to
from zhiwei.messaging.model import SMS, Answer, Desk, Message, Verdict
from zhiwei.messaging.numbers import e164
from zhiwei.messaging.parts import Encoding

_log: Final = structlog.get_logger()

_UDHI: Final = 0x40
_OK: Final = 0
_AGAIN_S: Final = 1.0


@final
class SmppChannel:
    """Speaks to one SMSC; lives on one event loop."""

    name: str = SMS

    def __init__(
        self, settings: SmppSettings, clock: Clock, count: Callable[[str], object]
    ) -> None:
        """`clock` is the machine's; `count` is told what happens, in words of a small set."""
        self.at_once = settings.at_once
        self._settings: Final = settings
        self._count: Final = count
        self._resolver: Final = Resolver()
        self._broker: Final = PartBroker()
        sent_ids = SentIds(settings.ids)
        self._correlator: Final = PartCorrelator(sent_ids)
        self._session: Final = Session(
            settings, self._broker, self._correlator, self._resolver, count
        )
        self._inbox: Final = Inbox(
            settings.inbox, sent_ids, clock, self._session.answer_deliver, count
        )
        self._session.on_deliver = self._inbox.put
        self._session.on_new_line = self._inbox.new_line
        self._tasks: Final[list[asyncio.Task[None]]] = []
        self._quiet_until = 0.0

    @property
    def is_up(self) -> bool:
        """Whether the SMSC has bound us."""
        return not self._session.trouble

    async def start(self, desk: Desk) -> None:
        """Begin to connect, and to take in what comes."""
        self._tasks.append(asyncio.create_task(_kept(self._session.start)))
        self._tasks.append(asyncio.create_task(_kept(lambda: self._inbox.work(desk))))

    async def stop(self) -> None:
        """Unbind and let go of everything."""
        await self._session.goodbye()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()
        self._resolver.close()

    async def send(self, message: Message) -> Answer:
        """Hand a message to the SMSC; never raises, and ends within the settings' bounds."""
        try:
            async with asyncio.timeout(self._settings.total_s):
                return await self._send(message)
        except TimeoutError:
            return _down("the SMSC did not answer in time")
        except Exception as error:  # noqa: BLE001 - the outbox must hear of it, whatever it is
            return Answer(Verdict.TRY_LATER, f"could not be sent ({type(error).__name__})")

    async def _send(self, message: Message) -> Answer:
        number = e164(message.to)
        if not number or not message.text:
            return Answer(Verdict.REFUSED, "there is no number, or no text")
        parts = parts_of(message.id, message.text, allow_gsm7=self._settings.gsm7)
        if len(parts) > self._settings.parts_max:
            return Answer(Verdict.REFUSED, f"the text has {len(parts)} parts, which is too many")
        if self._settings.bind == "receiver":
            return _down("bound as a receiver only")
        quiet_ms = int((self._quiet_until - asyncio.get_running_loop().time()) * 1_000)
        if quiet_ms > 0:
            return Answer(Verdict.TRY_LATER, "throttled", pause_ms=quiet_ms, is_channel_down=True)
        if not await self._session.wait_bound(self._settings.line_s):
            return _down(f"the SMSC {self._session.trouble}")
        return await self._submit_all(message, number, parts)

    async def _submit_all(self, message: Message, number: str, parts: list[Part]) -> Answer:
        """Send the parts that the SMSC has not, one after the other."""
        mark = blake2b(f"{message.id}\n{number}\n{message.text}".encode()).digest()
        for place, part in enumerate(parts):
            if place in self._correlator.taken_parts(mark):
                continue
            answer = await self._submit(Ticket(mark, place, self._pdu(number, part)))
            if answer is not None:
                return answer
        remote_id = self._correlator.taken_parts(mark).get(0, "")
        self._correlator.forget(mark)
        detail = "" if len(parts) == 1 else f"{len(parts)} parts"
        return Answer(Verdict.TAKEN, detail, remote_id=remote_id)

    async def _submit(self, ticket: Ticket) -> Answer | None:
        """Send one part; None where the SMSC has it."""
        self._broker.hand_over(ticket)
        try:
            async with asyncio.timeout(self._settings.answer_s):
                outcome: Outcome = await ticket.outcome
        except TimeoutError:
            self._count("unanswered")
            return _down("the SMSC did not answer in time")
        if outcome.status == _OK:
            return None
        if outcome.is_unsendable:
            return Answer(Verdict.REFUSED, "cannot be written as SMPP")
        if outcome.status < 0:
            return _down(f"the SMSC {self._session.trouble or 'ended the line'}")
        answer = answer_to(outcome.status, self._settings.throttle_ms, self._settings.refused)
        if outcome.status in THROTTLES:
            self._count("throttled")
            pause_s = self._settings.throttle_ms / 1_000
            self._quiet_until = asyncio.get_running_loop().time() + pause_s
        if answer.verdict is Verdict.REFUSED:
            self._correlator.forget(ticket.mark)
        return answer

    def _pdu(self, number: str, part: Part) -> SubmitSm:
        settings = self._settings
        submit = SubmitSm(
            short_message=part.text,
            source=PhoneNumber(settings.sender, TON(settings.source_ton), NPI(settings.source_npi)),
            destination=PhoneNumber(
                number.removeprefix("+"),
                TON(settings.destination_ton),
                NPI(settings.destination_npi),
            ),
            service_type=settings.service_type,
            esm_class=_UDHI if part.is_one_of_many else 0,
            registered_delivery=1 if settings.receipts else 0,
            encoding="ucs2" if part.encoding is Encoding.UCS2 else None,
            # With this the library cuts nothing, and as the body is set and short, it makes no
            # message_payload either. Without it, it would cut again, and wrongly.
            auto_message_payload=True,
        )
        submit.set_encoded_message(part.body)
        return submit


def _down(detail: str) -> Answer:
    return Answer(Verdict.TRY_LATER, detail, is_channel_down=True)


async def _kept(work: Callable[[], Awaitable[None]]) -> None:
    """Do a work that never ends; begin it again if it does, which would be a mistake of ours."""
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - a channel must not die of one message
            _log.error("sms_work_ended", error=type(error).__name__)
        await asyncio.sleep(_AGAIN_S)

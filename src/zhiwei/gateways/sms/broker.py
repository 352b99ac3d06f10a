"""Broker and correlator of the library, over what is durable: the message store.

A message stays in the store until `SmppChannel.send` says that it was taken, and its remote id is
kept there for receipts. So what is here may be lost at any moment: the parts that `send` waits for
now, and which parts of a text the SMSC has already, so that another try need not repeat them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final, final

from aiosmpplib.broker import AbstractBroker
from aiosmpplib.correlator import AbstractCorrelator, SegmentStatus
from aiosmpplib.hook import AbstractHook
from aiosmpplib.protocol import DeliverSm, SmppMessage, SubmitSm

from zhiwei.gateways.sms.sent_ids import SentIds, kept_id

#: Numbers of submit_sm that were never answered, kept for late answers.
_UNANSWERED_MAX: Final = 4_096
#: Texts of which some parts were taken, remembered for another try.
_PROGRESS_MAX: Final = 4_096
_OK: Final = 0


@dataclass(frozen=True)
class Outcome:
    """What the SMSC said of one part; `status` is -1 where it said nothing and the line is gone."""

    status: int
    remote_id: str = ""
    #: Says more than the status: the PDU cannot be built.
    is_unsendable: bool = False


LOST: Final = Outcome(-1)


@dataclass
class Ticket:
    """One part of one message on its way."""

    #: The text's own mark, and the part's place in it from 0.
    mark: bytes
    place: int
    message: SubmitSm
    outcome: asyncio.Future[Outcome] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def settle(self, outcome: Outcome) -> bool:
        """Tell who waits; whether somebody still does."""
        if self.outcome.done():
            return False
        self.outcome.set_result(outcome)
        return True


@final
class PartBroker(AbstractBroker):
    """Hands the parts over that wait for the line; those that nobody waits for are left out."""

    def __init__(self) -> None:
        self._parts: Final[deque[Ticket]] = deque()
        self._some: Final = asyncio.Event()
        self.on_wire: Final[dict[int, Ticket]] = {}

    async def enqueue(self, message: SmppMessage) -> None:
        """Not used: `hand_over` is, which says where the answer goes."""
        raise NotImplementedError

    def hand_over(self, ticket: Ticket) -> None:
        """Send this part next."""
        self._parts.append(ticket)
        self._some.set()

    async def dequeue(self) -> SmppMessage:
        """The next part; waits for one."""
        while True:
            while self._parts:
                ticket = self._parts.popleft()
                if not ticket.outcome.done():
                    self.on_wire[id(ticket.message)] = ticket
                    return ticket.message
            self._some.clear()
            await self._some.wait()

    def drop_all(self) -> None:
        """Tell all who wait here that the line is gone."""
        while self._parts:
            self._parts.popleft().settle(LOST)
        for ticket in self.on_wire.values():
            ticket.settle(LOST)
        self.on_wire.clear()


@final
class PartCorrelator(AbstractCorrelator):
    """Finds the part that an answer belongs to, and remembers the parts that were taken."""

    def __init__(self, sent_ids: SentIds) -> None:
        self._sent_ids: Final = sent_ids
        self._unanswered: Final[OrderedDict[int, Ticket]] = OrderedDict()
        self._progress: Final[OrderedDict[bytes, dict[int, str]]] = OrderedDict()

    def sent(self, sequence: int, ticket: Ticket) -> None:
        """A part is about to be written under a sequence number."""
        self._unanswered[sequence] = ticket
        while len(self._unanswered) > _UNANSWERED_MAX:
            self._unanswered.popitem(last=False)[1].settle(LOST)

    def answered(self, sequence: int, outcome: Outcome) -> str:
        """An answer came; the word for what is odd about it, empty where nothing is."""
        ticket = self._unanswered.pop(sequence, None)
        if ticket is None:
            return "unknown_answer"
        if outcome.status == _OK:
            taken = self._progress.setdefault(ticket.mark, {})
            taken[ticket.place] = kept_id(outcome.remote_id)
            self._progress.move_to_end(ticket.mark)
            # At once: its receipt may come with the next bytes.
            number = ticket.message.destination.number
            self._sent_ids.remember(taken[ticket.place], taken.get(0, ""), number)
            while len(self._progress) > _PROGRESS_MAX:
                self._progress.popitem(last=False)
        return "" if ticket.settle(outcome) else "late_answer"

    def drop_all(self) -> None:
        """The line is gone, and no answer can come any more."""
        while self._unanswered:
            self._unanswered.popitem()[1].settle(LOST)

    def taken_parts(self, mark: bytes) -> dict[int, str]:
        """The kept ids of the parts of a text that the SMSC has already, by place."""
        return dict(self._progress.get(mark, {}))

    def forget(self, mark: bytes) -> None:
        """A text is over."""
        self._progress.pop(mark, None)

    # What follows is asked by those ways of the library that we do not take: answers are read by
    # `Session`, receipts and long texts by `Inbox`, and receipts find their message in the store.

    async def put(self, smpp_message: SmppMessage) -> None:
        """Nothing: `sent` was called before the part was written, so no answer comes too early."""

    async def get(self, response: SmppMessage) -> SmppMessage | None:
        """Nothing."""
        return None

    async def get_segmented(
        self, smpp_seq_num: int, remove: bool = False
    ) -> tuple[SegmentStatus | None, int]:
        """Nothing: parts are told apart here."""
        return None, 0

    async def put_delivery(self, smsc_message_id: str, submit_sm: SubmitSm) -> None:
        """Nothing: the store keeps it."""

    async def get_delivery(self, receipt: DeliverSm) -> SubmitSm | None:
        """Nothing: the store finds it."""
        return None

    async def put_delivery_segmented(self, deliver_sm: DeliverSm) -> DeliverSm | None:
        """Nothing: `Assembly` does."""
        return None

    async def expired(self, smpp_message: SmppMessage) -> None:
        """Nothing: `send` has its own bound of time."""

    def get_cumulated_status(self, ref_num: int) -> int:
        """Nothing."""
        return 0


@final
class PartHook(AbstractHook):
    """Told by the library when a part is written, and when it cannot be."""

    def __init__(self, broker: PartBroker, correlator: PartCorrelator) -> None:
        self._broker: Final = broker
        self._correlator: Final = correlator

    async def sending(self, smpp_message: SmppMessage, pdu: bytes, client_id: str) -> None:
        """A PDU is about to be written; its sequence number is set."""
        ticket = self._broker.on_wire.pop(id(smpp_message), None)
        if ticket is not None:
            self._correlator.sent(smpp_message.sequence_num, ticket)

    async def received(self, smpp_message: SmppMessage | None, pdu: bytes, client_id: str) -> None:
        """Nothing: `Session` has read it."""

    async def send_error(self, smpp_message: SmppMessage, error: Exception, client_id: str) -> None:
        """A part could not be built or written."""
        ticket = self._broker.on_wire.pop(id(smpp_message), None)
        if ticket is not None:
            is_unsendable = isinstance(error, ValueError)
            ticket.settle(Outcome(-1, is_unsendable=is_unsendable))

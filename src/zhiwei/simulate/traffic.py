"""Traffic: a stream of doings sent at a pace, with the mishaps of real lines.

Some answers get lost, so the message is repeated; some purchases are taken back, voided or
refunded; hotels complete what they had held. Every answer is counted and handed on.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, TypeAlias, final

from zhiwei.simulate.acquirer import Acquirer, Sent
from zhiwei.simulate.doings import Deed, Doing
from zhiwei.simulate.wire import PATIENCE_SECONDS, Answer, NoAnswerError, Wire

#: Messages that may wait for their answers at once; past it the stream waits.
IN_FLIGHT_MAX: Final = 256
#: An echo test (0800, 301) after so many messages.
ECHO_EVERY: Final = 500
SIGN_ON: Final = "001"
SIGN_OFF: Final = "002"
ECHO: Final = "301"
#: Out of a thousand: answers that get lost, approvals that are taken back, and purchases that are
#: voided or refunded.
LOST_PER_MILLE: Final = 8
REVERSED_PER_MILLE: Final = 10
VOIDED_PER_MILLE: Final = 5
REFUNDED_PER_MILLE: Final = 5
#: A reversal whose own answer gets lost is repeated as well: one in this many.
_REVERSALS_REPEATED: Final = 4


class Role(Enum):
    """What a message is within the stream."""

    NETWORK = "network"
    FIRST = "request"
    REPEAT = "repeat"
    REVERSAL = "reversal"
    FOLLOW_UP = "follow-up"


@dataclass(frozen=True)
class Exchange:
    """One message and what came of it."""

    role: Role
    sent: Sent
    #: None = no answer came.
    answer: Answer | None


Listener: TypeAlias = "Callable[[Exchange], None]"


@dataclass
class Tally:
    """What was sent and what came back."""

    sent: int = 0
    approved: int = 0
    refused: int = 0
    unanswered: int = 0
    #: Repeats of lost answers, and how many of them got the very same answer.
    repeats: int = 0
    repeats_same: int = 0
    reversals: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    #: Milliseconds from sending to answer, of every answered message.
    milliseconds: list[float] = field(default_factory=list)

    def add(self, exchange: Exchange) -> None:
        """Count one exchange."""
        self.sent += 1
        answer = exchange.answer
        if answer is None:
            self.unanswered += 1
            return
        self.codes[answer.code] += 1
        self.milliseconds.append(answer.milliseconds)
        if answer.is_approved:
            self.approved += 1
        else:
            self.refused += 1
        if exchange.role is Role.REVERSAL:
            self.reversals += 1

    def percentile(self, per_mille: int) -> float:
        """Latency that so many in a thousand answers did not exceed, milliseconds."""
        if not self.milliseconds:
            return 0.0
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, len(ordered) * per_mille // 1000)]


@dataclass(frozen=True)
class Pace:
    """How fast: `rate` messages a second, or (0) in the doings' own time."""

    rate: float = 0.0
    #: Doings to send; 0 = as many as there are.
    count: int = 0
    #: No doing later than this is sent; 0 = no bound.
    until_ms: int = 0


@final
class Traffic:
    """Sends doings over one wire and takes care of what follows from them."""

    def __init__(
        self,
        wire: Wire,
        acquirer: Acquirer,
        seed: int,
        listener: Listener,
        *,
        on_time: Callable[[int], Awaitable[None]] | None = None,
        lost_per_mille: int = LOST_PER_MILLE,
    ) -> None:
        self._wire: Final = wire
        self._acquirer: Final = acquirer
        self._rng: Final = random.Random(f"mishaps/{seed}")  # noqa: S311 - seeded on purpose
        self._listener: Final = listener
        #: Told the instant of each doing before it is sent, to move a clock along.
        self._on_time: Final = on_time
        #: Answers out of a thousand that get lost on this line.
        self._lost_per_mille: Final = lost_per_mille
        self._held: Final[dict[int, tuple[Sent, str]]] = {}
        self.tally: Final = Tally()

    async def run(self, doings: Iterable[Doing], pace: Pace) -> None:
        """Sign on, send, and wait for what is still out; ends early when the server hangs up."""
        sending: set[asyncio.Task[None]] = set()
        try:
            await self._send(doings, pace, sending)
        finally:
            # Also when a person interrupts: what was sent is given a moment for its answer.
            if sending:
                await asyncio.wait(sending, timeout=PATIENCE_SECONDS)

    async def _send(
        self, doings: Iterable[Doing], pace: Pace, sending: set[asyncio.Task[None]]
    ) -> None:
        """Send at the pace; the tasks that wait for answers are in `sending`."""
        started = time.monotonic()
        first_ms = 0
        await self._network(SIGN_ON, int(time.time() * 1000))
        for number, doing in enumerate(doings):
            is_over = pace.until_ms and doing.at_ms > pace.until_ms
            if is_over or (pace.count and number >= pace.count) or not self._wire.is_open:
                return
            first_ms = first_ms or doing.at_ms
            due = number / pace.rate if pace.rate else (doing.at_ms - first_ms) / 1000
            await asyncio.sleep(max(0.0, started + due - time.monotonic()))
            if self._on_time is not None:
                await self._on_time(doing.at_ms)
            while len(sending) >= IN_FLIGHT_MAX:
                await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
            # The numbers of mishaps are drawn here, in order, so that a seed is one stream.
            mishap, detail = self._rng.randrange(1000), self._rng.randrange(100)
            task = asyncio.create_task(self._handle(doing, mishap, detail))
            sending.add(task)
            task.add_done_callback(sending.discard)
            if number % ECHO_EVERY == ECHO_EVERY - 1:
                await self._network(ECHO, doing.at_ms)

    async def sign_off(self) -> None:
        """Say goodbye (0800, 002)."""
        await self._network(SIGN_OFF, int(time.time() * 1000))

    async def _handle(self, doing: Doing, mishap: int, detail: int) -> None:
        """One doing: its message, and whatever follows from it."""
        sent = self._request(doing)
        if sent is None:
            return
        answer = await self._exchange(Role.FIRST, sent)
        if answer is None:
            return
        if answer.is_approved and doing.deed is Deed.PREAUTHORIZATION:
            self._held[doing.customer.number] = (sent, answer.auth_code)
        if mishap < self._lost_per_mille:
            await self._repeat(sent, answer)
        elif answer.is_approved and doing.amount_minor:
            await self._take_back(sent, answer, mishap - self._lost_per_mille, detail)

    def _request(self, doing: Doing) -> Sent | None:
        """The message of a doing; None for the completion of what was never held."""
        if doing.deed is not Deed.COMPLETION:
            return self._acquirer.request(doing)
        held = self._held.pop(doing.customer.number, None)
        if held is None:
            return None
        return self._acquirer.request(doing, original=held[0], code=held[1])

    async def _repeat(self, sent: Sent, first: Answer) -> None:
        """The terminal did not see the answer, and asks again."""
        again = await self._exchange(Role.REPEAT, self._acquirer.repeat(sent))
        if again is not None:
            self.tally.repeats += 1
            self.tally.repeats_same += is_same_answer(first, again)

    async def _take_back(self, sent: Sent, answer: Answer, draw: int, detail: int) -> None:
        """Some approvals are reversed, some purchases voided or refunded."""
        doing = sent.doing
        if doing is None or doing.deed is Deed.COMPLETION:
            return
        if draw < REVERSED_PER_MILLE:
            reversal = self._acquirer.reversal(sent)
            first = await self._exchange(Role.REVERSAL, reversal)
            if first is not None and detail % _REVERSALS_REPEATED == 0:
                await self._repeat(reversal, first)
            return
        draw -= REVERSED_PER_MILLE
        if draw < VOIDED_PER_MILLE + REFUNDED_PER_MILLE and doing.deed is Deed.PURCHASE:
            deed = Deed.VOID if draw < VOIDED_PER_MILLE else Deed.REFUND
            later = replace(doing, deed=deed, at_ms=doing.at_ms + 1000)
            follow_up = self._acquirer.request(later, original=sent, code=answer.auth_code)
            await self._exchange(Role.FOLLOW_UP, follow_up)

    async def _network(self, code: str, at_ms: int) -> None:
        await self._exchange(Role.NETWORK, self._acquirer.network(code, at_ms))

    async def _exchange(self, role: Role, sent: Sent) -> Answer | None:
        try:
            answer: Answer | None = await self._wire.ask(sent.message)
        except NoAnswerError:
            answer = None
        exchange = Exchange(role, sent, answer)
        if role is not Role.NETWORK:
            self.tally.add(exchange)
        self._listener(exchange)
        return answer


def is_same_answer(first: Answer, second: Answer) -> bool:
    """Whether a repeat was answered as its first message was, byte for byte."""
    return first.raw == second.raw

"""The stage: on it a story is played against a running server, step by step, and told meanwhile.

A scene sends messages, moves the server's clock where it may, and says what it expects. What is not
in its hands (whose controls are set, whether the clock moves) it does not expect.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final, final

from zhiwei.gateways.http.times import instant_text
from zhiwei.simulate.acquirer import Acquirer, Sent
from zhiwei.simulate.bank import Account, Bank
from zhiwei.simulate.codes import control_name, meaning_of
from zhiwei.simulate.days import beijing
from zhiwei.simulate.doings import Doing
from zhiwei.simulate.phone import Phones
from zhiwei.simulate.reasons import Reasons
from zhiwei.simulate.telling import Audience, Line, Tone
from zhiwei.simulate.wire import Answer, Wire


@dataclass(frozen=True)
class Expectation:
    """One thing that had to be so, and whether it was."""

    text: str
    is_met: bool


@dataclass
class Record:
    """What a scene did, for machines."""

    scene: str
    expectations: list[Expectation] = field(default_factory=list)
    #: One row for each message: what, code, reasons.
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_as_expected(self) -> bool:
        """Nothing that was expected failed."""
        return all(expectation.is_met for expectation in self.expectations)


@final
class Stage:
    """One server, one audience, one story at a time."""

    def __init__(
        self,
        wire: Wire,
        acquirer: Acquirer,
        audience: Audience,
        *,
        bank: Bank | None = None,
        registers: bool = True,
        moves_clock: bool = False,
        beat_seconds: float = 0.0,
        phones: Phones | None = None,
    ) -> None:
        self.wire = wire
        self.acquirer: Final = acquirer
        self.audience: Final = audience
        #: None = the HTTP door is not to be used; then reasons are not known.
        self.bank: Final = bank
        #: The bank registers the cards that appear on stage, with their controls.
        self.registers: Final = registers
        #: The server runs in test mode and its clock may be set.
        self.moves_clock: Final = moves_clock
        #: A pause after each sentence, for people who read along.
        self.beat_seconds: Final = beat_seconds
        #: The phones of the people on stage; None = there are none, and texts come over HTTP.
        self.phones: Final = phones
        #: When the last answer was read (`time.monotonic`).
        self.answered_seconds = 0.0
        self.record = Record("")
        self.reasons: Final = Reasons(None if bank is None else bank.door)

    def open(self, scene: str, title: Line) -> None:
        """Begin a story."""
        self.record = Record(scene)
        self.audience.hear(Tone.TITLE, title)

    async def tell(self, zh: str, en: str, tone: Tone = Tone.STORY) -> None:
        """Say one sentence, and leave time to read it."""
        self.audience.hear(tone, Line(zh, en))
        if self.beat_seconds:
            await asyncio.sleep(self.beat_seconds)

    async def register(self, doing: Doing) -> None:
        """Register the card of a doing, if a bank is at hand; set the clock before.

        A card never lives in an earlier time than that of its registration.
        """
        customer = doing.customer
        is_new = customer.card not in self.reasons.accounts
        if self.bank is not None and self.registers and is_new:
            account = await asyncio.to_thread(self.bank.register, customer)
            self.reasons.accounts[customer.card] = account

    def account_of(self, doing: Doing) -> Account | None:
        """The registered card of a doing; None where this stage did not register it."""
        return self.reasons.accounts.get(doing.customer.card)

    @property
    def knows_controls(self) -> bool:
        """The cards on stage were registered here, so it is known what is switched on."""
        return bool(self.reasons.accounts)

    async def clock(self, at_ms: int) -> None:
        """Make it `at_ms`, for the server too where that is possible."""
        if self.bank is not None and self.moves_clock:
            await asyncio.to_thread(self.bank.move_clock, instant_text(at_ms))
            stamp = f"{beijing(at_ms):%m-%d %H:%M}"
            await self.tell(f"时钟拨到北京时间 {stamp}", f"the clock is set to {stamp} in Beijing")

    async def send(self, doing: Doing) -> tuple[Sent, Answer]:
        """Send the message of a doing, and tell what was sent, what came back and why."""
        sent = self.acquirer.request(doing)
        return sent, await self.deliver(sent)

    async def deliver(self, sent: Sent, note: Line | None = None) -> Answer:
        """Send a message that is already made (a repeat, a reversal), and tell the same of it.

        Raises:
            NoAnswerError: no answer came.
        """
        said = note or (sent.doing.line() if sent.doing is not None else Line("", ""))
        mti = sent.message.mti
        await self.tell(f"{mti} → {said.zh}", f"{mti} → {said.en}", Tone.SENT)
        answer = await self.wire.ask(sent.message)
        self.answered_seconds = time.monotonic()
        reasons = [] if answer.is_approved else await self.reasons.of(sent)
        meaning = meaning_of(answer.code)
        tone = Tone.APPROVED if answer.is_approved else Tone.REFUSED
        if answer.code in ("01", "59"):
            tone = Tone.ASKED
        took = f"{answer.milliseconds:.1f} ms"
        await self.tell(
            f"{answer.message.mti} ← {answer.code} {meaning.zh}（{took}）",
            f"{answer.message.mti} ← {answer.code} {meaning.en} ({took})",
            tone,
        )
        for reason in reasons:
            message, name = reason["message"], control_name(reason["control"])
            await self.tell(f"{name.zh}：{message['zh']}", f"{name.en}: {message['en']}", Tone.WHY)
        self.record.messages.append(
            {
                "mti": mti,
                "stan": sent.stan,
                "what": said.en,
                "code": answer.code,
                "reasons": [reason["code"] for reason in reasons],
            }
        )
        return answer

    def expect(self, is_met: bool, text: str) -> None:
        """Something that must be so whatever is switched on."""
        self.record.expectations.append(Expectation(text, is_met))
        if not is_met:
            line = Line(f"与预期不符：{text}", f"not as expected: {text}")
            self.audience.hear(Tone.WRONG, line)

    def expect_reason(self, code: str) -> None:
        """The last message was refused or questioned for `code`, if we know what is switched on."""
        if self.knows_controls:
            last = self.record.messages[-1]
            found = ", ".join(last["reasons"]) or f"response code {last['code']}"
            self.expect(code in last["reasons"], f"`{code}` is the reason (found: {found})")

    def expect_approved(self, answer: Answer, what: str) -> None:
        """Approved, if we know what is switched on."""
        if self.knows_controls:
            self.expect(answer.is_approved, f"{what} is approved (found: {answer.code})")

"""Inbound: forged and malformed text messages, by both doors; nothing may loosen, tell or break.

After each message the journal is looked at: a message may leave a stop or a "no" and nothing else.
Answers to strangers are held against the one neutral sentence, answers to a forged sender against
the tails of other people's cards, and every refusal must be a clean one. Every hour of the town's
clock the files themselves are compared. A seed sends the same messages again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any, Final, final

import structlog

from zhiwei.bench.inbound_acts import Forgery, broken_call, forged
from zhiwei.bench.inbound_town import Town, tails_of
from zhiwei.core.card_state import CardState, ChallengeState, StopSource
from zhiwei.core.command import AnswerChallenge, PlaceStop
from zhiwei.messaging.model import Inbound
from zhiwei.messaging.numbers import sender_number

#: Messages within one hour of the town; many more than one number may send.
_PER_HOUR: Final = 200
#: One in so many is a call that the HTTP door must refuse.
_BROKEN_EVERY: Final = 10
_TOLD_MAX: Final = 10
_DAY_HOURS: Final = 24
_BAD: Final = ("loosened", "leaks", "crashes")
#: A stop by the holder's number, or by a trusted contact's.
_BY_TEXT: Final = (StopSource.SMS, StopSource.CONTACT)
_FOUR_DIGITS: Final = re.compile(r"(?<!\d)\d{4}(?!\d)")


@dataclass(frozen=True)
class InboundOptions:
    """How many messages; the seed draws them."""

    count: int = 10_000
    seed: int = 1


@dataclass
class InboundReport:
    """What was sent and what went wrong."""

    messages: int = 0
    #: What kind of message met which outcome, so that one sees that everything happened.
    outcomes: Counter[str] = field(default_factory=Counter)
    #: Journal entries that reduce: stops and "no".
    reductions: int = 0
    #: Messages from strangers, and neutral sentences that went back by the SMS door.
    strangers: int = 0
    greetings: int = 0
    loosened: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    #: Median time for strangers who name what there is, and what there is not; for eyes only.
    stranger_known_us: int = 0
    stranger_unknown_us: int = 0
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether something was sent and nothing went wrong."""
        return self.messages > 0 and not (self.loosened or self.leaks or self.crashes)

    def lines(self) -> list[str]:
        """The report for eyes."""
        bad = {name: len(getattr(self, name)) for name in _BAD}
        known, unknown = self.stranger_known_us, self.stranger_unknown_us
        told = [
            f"forged or malformed messages: {self.messages:,} in {self.seconds:.1f} s",
            "; ".join(f"{name}: {number}" for name, number in bad.items()),
            f"cards stopped and questions denied by them: {self.reductions:,}",
            f"strangers' messages: {self.strangers:,}; of those answered: {self.greetings:,}",
            f"median for strangers who name what there is: {known} µs; who do not: {unknown} µs",
        ]
        told += [f"{times:>9,}  {what}" for what, times in sorted(self.outcomes.items())]
        for name in _BAD:
            told += [f"{name}: {one}" for one in getattr(self, name)[:_TOLD_MAX]]
        return told


def inbound(
    options: InboundOptions, say: Callable[[int], None] = lambda _done: None
) -> InboundReport:
    """Send all messages; `say` is told how many are done."""
    started = perf_counter()
    with tempfile.TemporaryDirectory(prefix="zhiwei-inbound-") as folder, _quiet():
        report = asyncio.run(_sent(options, Path(folder), say))
    report.seconds = round(perf_counter() - started, 1)
    return report


async def _sent(options: InboundOptions, folder: Path, say: Callable[[int], None]) -> InboundReport:
    town = Town(folder)
    try:
        await town.populate()
        sender = _Sender(town, Random(options.seed))  # noqa: S311 - a seed must send the same again
        for number in range(options.count):
            if number % _PER_HOUR == 0:
                sender.compare_files()
                await town.next_hour()
                sender.remember_files()
            await sender.send(number)
            say(number + 1)
        sender.compare_files()
        return sender.finished()
    finally:
        await town.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the door's line for each call."""
    before = structlog.get_config()
    silent = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(**{**before, "wrapper_class": silent})
    try:
        yield
    finally:
        structlog.configure(**before)


@final
class _Sender:
    """Sends messages and judges what comes of each."""

    def __init__(self, town: Town, draw: Random) -> None:
        self._town: Final = town
        self._draw: Final = draw
        self._report: Final = InboundReport()
        self._position = 0
        self._files: dict[bytes, CardState] = {}
        #: Hours in which a stranger was sent the neutral sentence by the SMS door.
        self._greeted: Final[dict[str, int]] = {}
        self._hour = 0
        self._times: Final[dict[bool, list[float]]] = {True: [], False: []}

    async def send(self, number: int) -> None:
        """One message, or one call that must be refused."""
        self._report.messages += 1
        try:
            if number % _BROKEN_EVERY == 0:
                await self._send_broken(number)
            else:
                message = forged(self._draw, self._town)
                if self._draw.random() < 0.5:
                    await self._send_over_http(number, message)
                else:
                    await self._send_over_sms(number, message)
        except Exception:  # noqa: BLE001 - whatever comes out of the house is a crash
            self._report.crashes.append(f"message {number}: {traceback.format_exc(limit=-3)}")
        self._look_at_journal(number)

    def finished(self) -> InboundReport:
        """The report."""
        for is_known, name in ((True, "stranger_known_us"), (False, "stranger_unknown_us")):
            times = self._times[is_known]
            setattr(self._report, name, int(median(times) * 1e6) if times else 0)
        return self._report

    def remember_files(self) -> None:
        """Note all files as they are; what comes next is not by message."""
        self._hour += 1
        self._files = {state.card_key: state for state in self._town.reader.cards(limit=1000)}
        newest = self._town.reader.recent(limit=1)
        self._position = newest[0].position if newest else 0

    def compare_files(self) -> None:
        """Hold the files against those of the hour's begin."""
        for state in self._town.reader.cards(limit=1000):
            before = self._files.get(state.card_key)
            wrong = None if before is None else _loosening(before, state)
            if wrong is not None:
                self._report.loosened.append(f"hour {self._hour}: {wrong}")

    async def _send_broken(self, number: int) -> None:
        body, headers = broken_call(self._draw, self._town, number)
        answer = await self._town.post(body, headers)
        self._report.outcomes[f"broken call: {answer.status_code}"] += 1
        if not 400 <= answer.status_code < 500:
            self._report.crashes.append(f"call {number}: status {answer.status_code}")

    async def _send_over_http(self, number: int, message: Forgery) -> None:
        body = json.dumps({"from": message.sender, "text": message.text}).encode()
        answer = await self._town.post(body, self._town.signed(body, f"gw-{number}"))
        if answer.status_code != 200:
            self._report.crashes.append(f"message {number}: status {answer.status_code}")
            return
        done: dict[str, Any] = answer.json()
        self._report.outcomes[f"{message.kind}: {done['outcome']}"] += 1
        shown = (done["outcome"], done["challenge"], done["stops"], done["reply"]["text"])
        if self._is_stranger(message):
            self._report.strangers += 1
            if shown != ("neutral", None, [], self._town.neutral()):
                self._leak(number, message, "a stranger was told something")
        else:
            self._look_for_others(number, message, done["reply"]["text"])

    async def _send_over_sms(self, number: int, message: Forgery) -> None:
        now_ms = self._town.clock.now_ms()
        arrived = Inbound(f"in_{number}", message.sender, message.text, now_ms)
        started = perf_counter()
        planned = await self._town.conversation.on_inbound(arrived)
        took = perf_counter() - started
        what = "silence" if planned is None else "a reply"
        self._report.outcomes[f"{message.kind}: {what} by SMS"] += 1
        claimed = sender_number(message.sender)
        if planned is not None and planned.message.to != claimed:
            self._leak(number, message, "the reply goes elsewhere")
        text = "" if planned is None else planned.message.text
        if not self._is_stranger(message):
            self._look_for_others(number, message, text)
            return
        self._report.strangers += 1
        if message.kind == "stranger":
            self._times[self._names_something(message)].append(took)
        if planned is None:
            return
        self._report.greetings += 1
        if text != self._town.neutral():
            self._leak(number, message, "a stranger was told something")
        if self._hour - self._greeted.get(claimed, -_DAY_HOURS) < _DAY_HOURS:
            self._leak(number, message, "a stranger was written to twice a day")
        self._greeted[claimed] = self._hour

    def _is_stranger(self, message: Forgery) -> bool:
        phones = {person.phone for person in self._town.people}
        return sender_number(message.sender) not in phones

    def _names_something(self, message: Forgery) -> bool:
        known = tails_of(self._town.people) | {
            reference for person in self._town.people for reference in person.references
        }
        return any(digits in known for digits in re.findall(r"\d+", message.text))

    def _look_for_others(self, number: int, message: Forgery, text: str) -> None:
        """The reply to a registered number names no card of anybody else."""
        claimed = sender_number(message.sender)
        people = self._town.people
        mine = tails_of(p for p in people if p.phone == claimed)
        others = tails_of(p for p in people if p.phone != claimed) - mine
        asked = set(_FOUR_DIGITS.findall(message.text))
        if (others - asked) & set(_FOUR_DIGITS.findall(text)):
            self._leak(number, message, "somebody else's card was named")

    def _leak(self, number: int, message: Forgery, what: str) -> None:
        self._report.leaks.append(f"message {number}: {what}: {message.kind} {message.text[:40]!r}")

    def _look_at_journal(self, number: int) -> None:
        """A message leaves stops and "no", and nothing else."""
        for row in self._town.reader.recent(after=self._position, limit=1000):
            change = row.entry.command.change
            is_stop = isinstance(change, PlaceStop) and change.source in _BY_TEXT
            is_no = isinstance(change, AnswerChallenge) and not change.is_yes
            if is_stop or is_no:
                self._report.reductions += 1
            else:
                self._report.loosened.append(f"message {number}: {type(change).__name__}")
            self._position = max(self._position, row.position)


def _loosening(before: CardState, after: CardState) -> str | None:
    """What is looser in a file than it was; None where nothing is."""
    old, new = before.settings, after.settings
    if old.controls != new.controls or old.pending != new.pending:
        return "controls have changed"
    if not set(new.permissions) <= set(old.permissions):
        return "there is a new permission"
    if old.stop is not None and new.stop != old.stop:
        return "a stop has changed"
    if old.profile != new.profile or old.bindings != new.bindings:
        return "profile or bindings have changed"
    answered = (ChallengeState.APPROVED, ChallengeState.USED)
    if any(challenge.state in answered for challenge in new.challenges):
        return "a question was answered with yes"
    return None

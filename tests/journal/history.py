"""A seeded history: some cards, all kinds of messages and their follow-ups, over many days."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from zhiwei.core.card_state import CardStatus, Profile
from zhiwei.core.command import (
    Actor,
    AnswerChallenge,
    Command,
    Original,
    Post,
    Register,
    SetControl,
    Via,
)
from zhiwei.core.controls import (
    BalanceChangeAlert,
    DeclineAlert,
    LargeSpendVerification,
    Limit,
    LimitChannel,
    Limits,
    Measure,
    Period,
)
from zhiwei.core.policy import DEFAULT_POLICY
from zhiwei.core.request import Channel, Kind, Medium, MessageClass, Request
from zhiwei.core.result import Result
from zhiwei.guardian import guardian_under
from zhiwei.ports import Cardholder, Store
from zhiwei.stores.sqlite.store import SqliteStore
from zhiwei.zones import load_zone

STAFF = Actor("key_1", Via.HTTP, is_strong=True, is_staff=True)
STEP = guardian_under(DEFAULT_POLICY).step
START_MS = 1_763_800_000_000
HOUR_MS = 3_600_000
ZONES = ("Asia/Shanghai", "America/New_York", "Europe/Berlin")


class History:
    """Makes commands, one after another, from a seed."""

    def __init__(self, seed: int, cards: int) -> None:
        self.random = random.Random(seed)
        #: Balances and postings have dice of their own.
        self.money = random.Random(seed + 1)
        self.keys = [bytes([number]) * 16 for number in range(1, cards + 1)]
        self.now_ms = START_MS
        self.sent: list[Command] = []
        self.questions: list[Command] = []
        self.number = 0

    def opening(self) -> list[Command]:
        """Registrations, and controls that make all three answers likely."""
        commands: list[Command] = []
        controls: dict[str, Any] = {
            "limits": Limits(
                (
                    Limit(LimitChannel.ALL, Measure.AMOUNT, Period.DAY, 3000),
                    Limit(LimitChannel.POS, Measure.COUNT, Period.WEEK, 20),
                    Limit(LimitChannel.ALL, Measure.AMOUNT, Period.ROLLING, 2500, 7200),
                )
            ),
            "large_spend_verification": LargeSpendVerification(700),
            "decline_alert": DeclineAlert(),
            "balance_change_alert": BalanceChangeAlert(50),
        }
        for number, key in enumerate(self.keys):
            zone = load_zone(ZONES[number % len(ZONES)]) or pytest.fail("no zone database")
            profile = Profile(
                cardholder="holder_1",
                tail="1111",
                currency="CNY",
                zone=zone,
                has_chip=True,
                network="unionpay",
                status=CardStatus.ACTIVE,
                created_ms=START_MS,
            )
            commands.append(self._command(key, change=Register(profile), actor=STAFF))
            commands += [
                self._command(key, change=SetControl(name, control), actor=STAFF)
                for name, control in controls.items()
            ]
        return commands

    def next(self) -> Command:
        """The next command: mostly new requests, some repeats, many follow-ups and answers."""
        self.number += 1
        if self.sent and self.money.random() < 0.15:
            return self._posting(self.money.choice(self.sent[-20:]))
        draw = self.random.random()
        if draw < 0.55 or not self.sent:
            command = self._command(self.random.choice(self.keys), request=self._request())
            self.sent.append(command)
            return command
        if draw < 0.65:
            return self.random.choice(self.sent)
        if draw < 0.7 and self.questions:
            return self.questions.pop()
        return self._follow_up(self.random.choice(self.sent))

    def note(self, command: Command, result: Result) -> None:
        """Remember questions, so that they can be answered."""
        entry = result.entry
        if entry is not None and entry.challenge_id and not result.is_repeat:
            answer = AnswerChallenge(entry.challenge_id, self.random.random() < 0.95)
            self.questions.append(self._command(command.card_key, change=answer, actor=STAFF))

    def _request(self) -> Request:
        choose = self.random.choice
        kinds = [Kind.PURCHASE, Kind.PREAUTHORIZATION, Kind.CASH_WITHDRAWAL, Kind.BALANCE_INQUIRY]
        channels = [Channel.POS, Channel.ATM, Channel.ONLINE, Channel.QUICK_PAY, Channel.UNKNOWN]
        return Request(
            kind=choice_of(kinds, self.random),
            channel=choose(channels),
            medium=choose([Medium.CHIP, Medium.CONTACTLESS]),
            amount_minor=self.random.randrange(1, 900),
            **self._trace("CNY"),
        )

    def _posting(self, first: Command) -> Command:
        """What the core bank posts of a message, sometimes with another amount."""
        asked = first.request
        assert asked is not None
        amount = asked.amount_minor + self.money.choice([0, 0, 0, 5])
        sign = self.money.choice([-1, -1, 1])
        reverses = asked.rrn if sign > 0 else ""
        post = Post(sign * amount, 1000, "消费", reverses=reverses, reference=asked.rrn)
        return self._command(first.card_key, change=post, actor=STAFF)

    def _trace(self, currency: str) -> dict[str, Any]:
        return {
            "currency": currency,
            "merchant_id": f"M{self.number % 3}",
            "country": self.random.choice(["CHN", "CHN", "JPN"]),
            "region": "41",
            "stan": f"{self.number % 1_000_000:06d}",
            "transmitted_at": str(self.now_ms),
            "acquirer": "01020000",
            "terminal": "T1",
            "rrn": str(self.number),
            "balance_minor": self.money.choice([None, 5000]),
        }

    def _follow_up(self, first: Command) -> Command:
        asked = first.request
        assert asked is not None
        trace = self._trace("CNY") | {"merchant_id": asked.merchant_id, "channel": asked.channel}
        original = Original(trace_key=first.trace_key)
        what = self.random.choice(["reversal", "part", "void", "completion", "increment", "refund"])
        amount = asked.amount_minor
        if what == "reversal":
            request = Request(
                kind=asked.kind, message_class=MessageClass.REVERSAL, amount_minor=amount, **trace
            )
        elif what == "part":
            original = Original(trace_key=first.trace_key, replacement_minor=amount // 2)
            request = Request(
                kind=asked.kind, message_class=MessageClass.REVERSAL, amount_minor=amount, **trace
            )
        elif what == "completion":
            message_class = self.random.choice([MessageClass.REQUEST, MessageClass.ADVICE])
            amount = self.random.randrange(1, 1000)
            request = Request(
                kind=Kind.COMPLETION, message_class=message_class, amount_minor=amount, **trace
            )
        elif what == "increment":
            request = Request(
                kind=Kind.PREAUTHORIZATION,
                message_class=MessageClass.INCREMENT,
                amount_minor=self.random.randrange(1, 200),
                **trace,
            )
        else:
            kind = Kind.VOID if what == "void" else Kind.REFUND
            request = Request(kind=kind, amount_minor=amount, **trace)
        return self._command(first.card_key, request=request, original=original)

    def _command(self, card_key: bytes, **parts: Any) -> Command:  # noqa: ANN401 - as Command's own
        return Command(card_key, nonce=self.random.randbytes(8), **parts)


def choice_of(items: list[Kind], source: random.Random) -> Kind:
    """The first item half of the time, any of them otherwise."""
    return items[0] if source.random() < 0.5 else source.choice(items)


async def live_through(store: Store, history: History, batches: int) -> None:
    """Let a store live through a history; the clock goes on, and sometimes back."""
    await store.keep([Cardholder("holder_1", START_MS, "陈")], [], STAFF, START_MS)
    await store.transact(history.opening(), STEP, history.now_ms)
    for _ in range(batches):
        history.now_ms += history.random.randrange(-HOUR_MS, 8 * HOUR_MS)
        batch = [history.next() for _ in range(history.random.randrange(1, 40))]
        results = await store.transact(batch, STEP, history.now_ms)
        for command, result in zip(batch, results, strict=True):
            history.note(command, result)


def data_with_history(directory: Path, *, seed: int = 1, cards: int = 6, batches: int = 30) -> Path:
    """A data directory that has lived through a history and was closed cleanly."""

    async def live() -> None:
        store = SqliteStore(directory)
        await live_through(store, History(seed, cards), batches)
        await store.close()

    asyncio.run(live())
    return directory

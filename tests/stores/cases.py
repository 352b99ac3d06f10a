"""Commands and steps that the tests of the stores share."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import zhiwei.zones  # noqa: F401 - tells the core where zones come from
from zhiwei.core.card_state import CardStatus, Profile
from zhiwei.core.command import Actor, Command, Original, Register, SetControl, Via
from zhiwei.core.controls import (
    Limit,
    LimitChannel,
    Limits,
    Measure,
    Period,
)
from zhiwei.core.policy import DEFAULT_POLICY
from zhiwei.core.request import Channel, Kind, Medium, MessageClass, Request
from zhiwei.core.zone import zone_named
from zhiwei.guardian import guardian_under

T = TypeVar("T")

#: 2025-11-24 12:00 in Shanghai.
NOON: Final = 1_763_956_800_000
DAY: Final = 86_400_000
SHANGHAI: Final = zone_named("Asia/Shanghai")
STAFF: Final = Actor("key_1", Via.HTTP, is_strong=True, is_staff=True)
STEP: Final = guardian_under(DEFAULT_POLICY).step


_loops: list[asyncio.AbstractEventLoop] = []


def done(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns, on the one loop that all stores of a worker live on."""
    if not _loops:
        _loops.append(asyncio.new_event_loop())
        atexit.register(_loops[0].close)
    return _loops[0].run_until_complete(coroutine)


def done_at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine that never waits returns."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    message = "the store waited for something"
    raise AssertionError(message)


def key_of(number: int) -> bytes:
    """A card key, scattered like the real ones."""
    return (number * 0x9E3779B97F4A7C15 % (1 << 128)).to_bytes(16, "big")


def registration(number: int, cardholder: str = "ch_1") -> Command:
    """Open a card's file."""
    profile = Profile(
        cardholder,
        f"{number % 10000:04d}",
        "CNY",
        SHANGHAI,
        has_chip=True,
        network="unionpay",
        status=CardStatus.ACTIVE,
        created_ms=NOON,
    )
    return Command(key_of(number), change=Register(profile), actor=STAFF)


def daily_limit(number: int, amount: int) -> Command:
    """At most so much a day."""
    limit = Limit(LimitChannel.ALL, Measure.AMOUNT, Period.DAY, amount)
    return Command(key_of(number), change=SetControl("limits", Limits((limit,))), actor=STAFF)


def request(stan: int, amount: int = 1000, **more: object) -> Request:
    """A message at a shop at home."""
    told: dict[str, Any] = {
        "kind": Kind.PURCHASE,
        "channel": Channel.POS,
        "medium": Medium.CHIP,
        "amount_minor": amount,
        "currency": "CNY",
        "merchant_id": "898110259990001",
        "merchant_name": "河南小店",
        "mcc": "5411",
        "country": "CHN",
        "region": "41",
        "acquirer": "01020000",
        "terminal": "10000001",
        "rrn": f"{stan:012d}",
        "stan": f"{stan % 1_000_000:06d}",
        "transmitted_at": f"11241{stan // 1_000_000 % 100_000:05d}",
    }
    told.update(more)
    return Request(**told)


def purchase(number: int, stan: int, amount: int = 1000, **more: object) -> Command:
    """A purchase."""
    return Command(key_of(number), request=request(stan, amount, **more))


def reversal(number: int, stan: int, of: Command) -> Command:
    """Take a whole purchase back."""
    assert of.request is not None
    original = Original(trace_key=of.trace_key, rrn=of.request.rrn, terminal=of.request.terminal)
    message = request(stan, of.request.amount_minor, message_class=MessageClass.REVERSAL)
    return Command(key_of(number), request=message, original=original)

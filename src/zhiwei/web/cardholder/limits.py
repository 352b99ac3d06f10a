"""Limits (限额): what may be spent, how much of it is used, and when it begins anew.

All limits of a card are one control. A form changes one of them and sends the ETag of the whole, so
that two open pages cannot undo each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Change
from zhiwei.core.controls import Limit, LimitChannel, Limits, Measure, Period
from zhiwei.core.entry import LimitReport
from zhiwei.core.windows import Moment
from zhiwei.gateways.http.controls import pending_of
from zhiwei.web.cardholder.amounts import (
    amount_in,
    amount_text,
    cancel,
    count_in,
    etag_of,
    one_of,
    remove_as_seen,
    set_as_seen,
)
from zhiwei.web.cardholder.deeds import BadFormError, Fields, Kind, field
from zhiwei.web.cardholder.visit import Home, Visit

_CONTROL: Final = "limits"
_CHANNELS: Final = tuple(channel.name.lower() for channel in LimitChannel)
_MEASURES: Final = tuple(measure.name.lower() for measure in Measure)
_PERIODS: Final = tuple(p.name.lower() for p in Period if p is not Period.ROLLING)
#: Rolling windows that the page offers, in seconds; one that was set elsewhere is shown as well.
_ROLLING: Final = (3_600, 86_400, 604_800, 2_592_000)
_SECONDS_DIGITS: Final = 7

Slot = tuple[int, int, int, int]


@dataclass(frozen=True)
class Row:
    """One limit as the page shows it."""

    report: LimitReport
    #: What the cardholder set; None = only the bank's ceiling holds.
    own: int | None
    #: The bank's ceiling for the same thing; None = it has none.
    ceiling: int | None
    currency: str

    @property
    def channel(self) -> str:
        """Word of the channel."""
        return LimitChannel(self.report.channel).name.lower()

    @property
    def measure(self) -> str:
        """`amount` or `count`."""
        return Measure(self.report.measure).name.lower()

    @property
    def period(self) -> str:
        """Word of the period; of a rolling window with its seconds (`rolling.3600`)."""
        word = Period(self.report.period).name.lower()
        return f"{word}.{self.report.seconds}" if self.report.seconds else word

    @property
    def hours(self) -> str:
        """Length of a rolling window in hours."""
        return hours_text(self.report.seconds)

    @property
    def left(self) -> int:
        """What is left of it."""
        return max(self.report.limit - self.report.used, 0)

    @property
    def shown(self) -> str:
        """The value as it stands in the field."""
        value = self.report.limit if self.own is None else self.own
        return amount_text(value, self.currency) if self.measure == "amount" else str(value)


def limit_routes(home: Home) -> APIRouter:
    """`/me/cards/{card}/limits`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/me/cards/{card}/limits")
    async def look(request: Request, card: str) -> Response:
        visit = await home.pages.visit(request, card=card)
        facts = await run_in_threadpool(_facts, home, visit)
        return home.pages.page(visit, "limits.html", facts)

    return router


def _facts(home: Home, visit: Visit) -> dict[str, Any]:
    """The limits in force, and what a form needs."""
    card = visit.the_card
    moment = Moment(visit.now_ms, card.settings.profile.zone)
    own = {item.slot: item.value for item in _items(card)}
    ceilings = {item.slot: item.value for item in home.house.policy.ceilings}
    code = card.settings.profile.currency
    rows = [
        Row(report, own.get(_slot(report)), ceilings.get(_slot(report)), code)
        for report in home.house.rooms.limits(card, moment)
    ]
    return {
        "card": card,
        "currency": code,
        "rows": rows,
        "etag": etag_of(card, _CONTROL),
        "pending": pending_of(card, _CONTROL),
        "channels": _CHANNELS,
        "measures": _MEASURES,
        "periods": _PERIODS,
        "rolling": [(seconds, hours_text(seconds)) for seconds in _ROLLING],
    }


def hours_text(seconds: int) -> str:
    """`24` for 86,400 seconds, `0.5` for 1,800."""
    return f"{seconds / 3_600:.4g}"


def _items(card: CardState) -> tuple[Limit, ...]:
    """The cardholder's own limits."""
    control = card.settings.controls.limits
    return () if control is None else control.items


def _slot(report: LimitReport) -> Slot:
    return (report.channel, report.measure, report.period, report.seconds)


def _slot_in(fields: Fields) -> Slot:
    """Which limit a form is about.

    Raises:
        BadFormError: there is no such channel, measure or period.
    """
    channel = LimitChannel[one_of(fields, "channel", _CHANNELS).upper()]
    measure = Measure[one_of(fields, "measure", _MEASURES).upper()]
    word, _, text = field(fields, "period").partition(".")
    if word != "rolling":
        if word not in _PERIODS or text:
            raise BadFormError("form.unknown")
        return (int(channel), int(measure), int(Period[word.upper()]), 0)
    if not (text.isascii() and text.isdigit() and len(text) <= _SECONDS_DIGITS):
        raise BadFormError("form.unknown")
    return (int(channel), int(measure), int(Period.ROLLING), int(text))


def _value_in(card: CardState, fields: Fields, slot: Slot) -> int:
    is_amount = Measure(slot[1]) is Measure.AMOUNT
    return amount_in(card, fields, "value") if is_amount else count_in(fields, "value")


def _set(card: CardState, fields: Fields, _now_ms: int) -> Change:
    """All limits as they are, with this one set."""
    slot = _slot_in(fields)
    channel, measure, period, seconds = slot
    value = _value_in(card, fields, slot)
    new = Limit(LimitChannel(channel), Measure(measure), Period(period), value, seconds)
    return _with(card, fields, [*_others(card, slot), new])


def _remove(card: CardState, fields: Fields, _now_ms: int) -> Change:
    """All limits as they are, without this one. Sent twice, it is the same wish again."""
    kept = _others(card, _slot_in(fields))
    return _with(card, fields, kept) if kept else remove_as_seen(_CONTROL, fields)


def _cancel(_card: CardState, _fields: Fields, _now_ms: int) -> Change:
    return cancel(_CONTROL)


def _others(card: CardState, slot: Slot) -> list[Limit]:
    return [item for item in _items(card) if item.slot != slot]


def _with(card: CardState, fields: Fields, items: list[Limit]) -> Change:
    """The whole control with these items; how refunds count stays as it was."""
    control = card.settings.controls.limits
    restores = control is not None and control.refunds_restore
    return set_as_seen(_CONTROL, Limits(tuple(items), restores), fields)


def _told_set(card: CardState, fields: Fields) -> tuple[str, dict[str, Any]]:
    """`刷卡消费 · 每天：5,000.00 CNY`; the value was read before, so it can be read again."""
    slot = _slot_in(fields)
    value = _value_in(card, fields, slot)
    code = card.settings.profile.currency
    is_amount = Measure(slot[1]) is Measure.AMOUNT
    shown = f"{amount_text(value, code)} {code}" if is_amount else str(value)
    return _told("limits.told_set", slot, shown)


def _told_remove(_card: CardState, fields: Fields) -> tuple[str, dict[str, Any]]:
    return _told("limits.told_remove", _slot_in(fields), "")


def _told(key: str, slot: Slot, value: str) -> tuple[str, dict[str, Any]]:
    """The sentence of a channel and measure; the period is part of it as a key."""
    channel, measure, period, seconds = slot
    words = (LimitChannel(channel).name, Measure(measure).name, Period(period).name)
    place = ".".join(word.lower() for word in words)
    return f"{key}.{place}", {"value": value, "hours": hours_text(seconds)}


def _told_cancel(card: CardState, _fields: Fields) -> tuple[str, dict[str, Any]]:
    return "money.told_cancel", {"tail": card.settings.profile.tail}


KINDS: Final = (
    Kind("limit_set", _set, _told_set, "limits.done_set"),
    Kind("limit_remove", _remove, _told_remove, "limits.done_remove"),
    Kind("limit_cancel", _cancel, _told_cancel, "money.done_cancel"),
)

"""Looks: lines that only say what is so: counters, limits, questions, the check-up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import CONTROL_TYPES, LimitChannel, Measure, Period
from zhiwei.core.entry import Entry, LimitReport
from zhiwei.core.money import BY_CODE
from zhiwei.core.policy import Policy
from zhiwei.core.usage import Spent
from zhiwei.core.windows import Moment
from zhiwei.services import security_checkup, spend_limits, stop_payment
from zhiwei.testing.scenario.lines import Words
from zhiwei.testing.scenario.messages import Sent


@dataclass(frozen=True)
class View:
    """What a look may see: the file settled to the moment, its journal, and what labels mean."""

    policy: Policy
    state: CardState
    entries: Sequence[Entry]
    moment: Moment
    sent: dict[str, Sent]


def reads(words: Words) -> list[str]:
    """`reads ZF#1234 -> stop_tail 1234`: how a text message is understood."""
    texts: list[str] = []
    while words:
        texts.append(words.take())
    command = stop_payment.read_command(" ".join(texts))
    return [command.kind.name.lower(), *([command.tail] if command.tail else [])]


def _has_used(view: View, words: Words) -> list[str]:
    """`has_used pos/day -> 100.00 in 2`: the counters, whether a limit is set or not."""
    channel, _, period = words.take("a counter like `pos/day`").partition("/")
    if channel.upper() not in LimitChannel.__members__ or period not in _SPENT:
        raise words.line.error(f"`{channel}/{period}` is not a counter like `pos/day`")
    spent = view.state.usage.by_channel[LimitChannel[channel.upper()]]
    amount, count = _SPENT[period](spent)
    return [_amount(amount, view), "in", str(count)]


def _limit(view: View, words: Words) -> list[str]:
    """`limit atm/amount/day -> 480.00 of 500.00 [resets 2026-03-03 00:00]`."""
    slot = words.take("a limit like `atm/amount/day`")
    for report in spend_limits.reports(
        view.policy, view.state, spend_limits.ALL_CHANNELS, view.moment
    ):
        if _slot(report) == slot:
            is_amount = report.measure == Measure.AMOUNT
            used = _amount(report.used, view) if is_amount else str(report.used)
            limit = _amount(report.limit, view) if is_amount else str(report.limit)
            said = [used, "of", limit]
            if "resets" in words.line.expected:
                said += ["resets", *_local(report.resets_ms, view)]
            return said
    return ["none"]


def _controls(view: View, words: Words) -> list[str]:
    """`controls -> region_lock night_lock`: which are set."""
    controls = view.state.settings.controls
    return [name for name in CONTROL_TYPES if controls.of_type(name) is not None] or ["none"]


def _waits(view: View, words: Words) -> list[str]:
    """`waits -> night_lock`: loosenings that wait."""
    return [change.control_type for change in view.state.settings.pending] or ["none"]


def _stop(view: View, words: Words) -> list[str]:
    """`stop -> sms`: by what the card is stopped."""
    stop = view.state.settings.stop
    return ["none"] if stop is None else [stop.source.name.lower()]


def _question(view: View, words: Words) -> list[str]:
    """`question p1 -> expired`: where the question stands that a message left."""
    label = words.take("a label")
    if label not in view.sent:
        raise words.line.error(f"nothing was sent as `{label}`")
    for challenge in view.state.settings.challenges:
        if challenge.id == view.sent[label].left.get("challenge"):
            return [challenge.state.name.lower()]
    return ["none"]


def _permissions(view: View, words: Words) -> list[str]:
    """`permissions -> pass travel`: which are open."""
    return [p.kind.name.lower() for p in view.state.settings.permissions] or ["none"]


def _holds(view: View, words: Words) -> list[str]:
    """`holds -> 100.00 50.00`: open pre-authorizations, first to lapse first."""
    return [_amount(hold.approved_minor, view) for hold in view.state.holds] or ["none"]


def _examined(view: View, words: Words) -> list[str]:
    """`examined full -> 60 fair next overseas_lock_off overseas_lock_off:10 …`: the check-up."""
    mode = security_checkup.Mode[words.take("quick or full").upper()]
    device = _device(words)
    now_ms = view.moment.now_ms
    history = security_checkup.history_of(view.state, view.entries, now_ms)
    report = security_checkup.examine([view.state], [history], view.policy, now_ms, mode, device)
    said = [str(report.score), report.grade]
    if report.next_step >= 0:
        said += ["next", report.findings[report.next_step].id]
    for finding in report.findings:
        said.append(f"{finding.id}/{finding.sentence}:{finding.points}")
        if finding.fix is None:
            said[-1] += "!"
    return said


def _device(words: Words) -> security_checkup.Device | None:
    """`phone rooted`, `phone safe`."""
    if not words.takes("phone"):
        return None
    word = words.take("rooted, unlocked, old or safe")
    return security_checkup.Device(
        is_rooted=word == "rooted",
        has_screen_lock=word != "unlocked",
        is_system_current=word != "old",
    )


_SPENT: Final[dict[str, Callable[[Spent], tuple[int, int]]]] = {
    "day": lambda spent: (spent.day_amount, spent.day_count),
    "week": lambda spent: (spent.week_amount, spent.week_count),
    "month": lambda spent: (spent.month_amount, spent.month_count),
    "year": lambda spent: (spent.year_amount, spent.year_count),
}
#: Everything that can be looked at.
LOOKS: Final[dict[str, Callable[[View, Words], list[str]]]] = {
    "has_used": _has_used,
    "limit": _limit,
    "controls": _controls,
    "waits": _waits,
    "stop": _stop,
    "question": _question,
    "permissions": _permissions,
    "holds": _holds,
    "examined": _examined,
}


def _slot(report: LimitReport) -> str:
    """A limit as a scenario writes it."""
    parts = (LimitChannel(report.channel), Measure(report.measure), Period(report.period))
    slot = "/".join(part.name.lower() for part in parts)
    return f"{slot}:{report.seconds}s" if report.seconds else slot


def _amount(minor: int, view: View) -> str:
    """An amount in the card's currency, as a scenario writes it."""
    exponent = BY_CODE[view.state.settings.profile.currency].exponent
    if not exponent:
        return str(minor)
    sign = "-" if minor < 0 else ""
    digits = str(abs(minor)).rjust(exponent + 1, "0")
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"


def _local(instant_ms: int, view: View) -> list[str]:
    """Date and time on the card's own clock."""
    zone = ZoneInfo(view.state.settings.profile.zone.name)
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant_ms)
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M").split()

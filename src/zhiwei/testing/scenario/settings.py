"""Settings in a scenario: policies, cards and controls as a risk officer writes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from zhiwei.core.card_state import CardStatus
from zhiwei.core.controls import (
    BalanceChangeAlert,
    BalanceInquiryAlert,
    CardLock,
    CategoryLock,
    Control,
    DeclineAlert,
    LargeSpendVerification,
    Limit,
    LimitChannel,
    Limits,
    MagstripeVerification,
    Measure,
    NightLock,
    OnlineLock,
    OverseasLock,
    OverseasOnlineLock,
    Period,
    RegionLock,
    Scope,
)
from zhiwei.core.documents import time_of_day_ms
from zhiwei.core.policy import BalanceAlertsFrom, OnUnknown, Policy
from zhiwei.core.windows import DailyWindow
from zhiwei.testing.scenario.lines import Words, amount_minor

_SIMPLE: Final[dict[str, type[Any]]] = {
    "overseas_online_lock": OverseasOnlineLock,
    "card_lock": CardLock,
    "balance_inquiry_alert": BalanceInquiryAlert,
    "decline_alert": DeclineAlert,
}
_SPANS: Final = {
    "challenge": "challenge_ms",
    "pass": "pass_ms",
    "hold": "hold_ms",
    "cooling_off": "cooling_off_ms",
    "new_contact_cooling_off": "new_contact_cooling_off_ms",
    "inquiry_alert_every": "inquiry_alert_every_ms",
    "permission_max": "permission_max_ms",
}


def changed_policy(policy: Policy, words: Words) -> Policy:
    """The policy after `policy WORD VALUE …`."""
    while words:
        word = words.take()
        change: dict[str, Any]
        if word in ("on_unknown_location_atm", "on_unknown_location_pos"):
            change = {word: OnUnknown[words.take("decline, allow or challenge").upper()]}
        elif word in _SPANS:
            change = {_SPANS[word]: words.span_ms()}
        elif word == "ceiling":
            change = {"ceilings": (*policy.ceilings, limit(words, "CNY"))}
        elif word == "closed_mcc":
            change = {"closed_mccs": policy.closed_mccs | {words.take("an MCC")}}
        elif word == "flagged_terminal":
            change = {"flagged_terminals": policy.flagged_terminals | {words.take("a terminal")}}
        elif word == "licensed":
            known = policy.licensed_institutions or frozenset()
            change = {"licensed_institutions": known | {words.take("an institution")}}
        elif word == "magstripe_threshold":
            change = {"magstripe_threshold": -1 if words.takes("none") else words.amount("CNY")}
        elif word == "challenges_per_hour":
            change = {"challenges_per_hour": words.number()}
        elif word == "sms_may_not_approve":
            change = {"sms_may_approve": False}
        elif word == "balance_alerts_from":
            source = words.take("postings, authorizations or both")
            change = {"balance_alerts_from": BalanceAlertsFrom[source.upper()]}
        elif word == "approve_when_a_rule_fails":
            change = {"refuse_when_a_rule_fails": False}
        else:
            raise words.line.error(f"`{word}` is not part of a policy")
        policy = replace(policy, **change)
    return policy


def status(words: Words) -> CardStatus:
    """A card's status."""
    word = words.take("active, closed, lost or frozen")
    if word.upper() not in CardStatus.__members__:
        raise words.line.error(f"`{word}` is not active, closed, lost or frozen")
    return CardStatus[word.upper()]


def control(control_type: str, words: Words, currency: str) -> tuple[str, Control]:
    """The control that the next words set, with its type; `limit` gathers all limits that follow.

    Raises:
        NotAllowedValueError: the rules do not allow it.
    """
    if control_type in _SIMPLE:
        return control_type, _SIMPLE[control_type]()
    if control_type == "limit":
        return "limits", _limits(words, currency)
    value = words.take(f"what `{control_type}` is set to")
    match control_type:
        case "region_lock":
            return control_type, RegionLock(_list(value))
        case "overseas_lock":
            return control_type, OverseasLock(_list(value))
        case "night_lock":
            return control_type, _night_lock(value)
        case "online_lock":
            return control_type, OnlineLock(None if value == "always" else _window(value))
        case "category_lock":
            return control_type, CategoryLock(_list(value))
        case "magstripe_verification":
            return control_type, MagstripeVerification(_amount(words, value, currency))
        case "large_spend_verification":
            return control_type, LargeSpendVerification(_amount(words, value, currency))
        case "balance_change_alert":
            return control_type, BalanceChangeAlert(_amount(words, value, currency))
        case _:
            raise words.line.error(f"`{control_type}` is not a control")


def limit(words: Words, currency: str) -> Limit:
    """One limit: `atm/amount/day 5000.00`, `all/count/rolling:60s 3`."""
    slot = words.take("a limit like `atm/amount/day`")
    parts = slot.split("/")
    if len(parts) != 3:
        raise words.line.error(f"`{slot}` is not a limit like `atm/amount/day`")
    channel, measure, period = parts
    period, _, rolling = period.partition(":")
    names = (channel.upper(), measure.upper(), period.upper())
    kinds = (LimitChannel.__members__, Measure.__members__, Period.__members__)
    for name, members in zip(names, kinds, strict=True):
        if name not in members:
            known = ", ".join(members).lower()
            raise words.line.error(f"`{name.lower()}` is not one of {known}")
    seconds = int(rolling.removesuffix("s")) if rolling else 0
    counted = Measure[measure.upper()]
    value = words.amount(currency) if counted is Measure.AMOUNT else words.number()
    return Limit(LimitChannel[channel.upper()], counted, Period[period.upper()], value, seconds)


def _limits(words: Words, currency: str) -> Limits:
    """All limits of a line: `limit … limit … [refunds restore]`."""
    items = [limit(words, currency)]
    restores = False
    while words.peek() in ("limit", "refunds"):
        if words.take() == "limit":
            items.append(limit(words, currency))
        else:
            restores = words.takes("restore")
    return Limits(tuple(items), restores)


def _night_lock(value: str) -> NightLock:
    """`23:00-05:00`, `23:00-05:00/all`, `23:00-05:00@Europe/Berlin`."""
    hours, _, zone = value.partition("@")
    scope = Scope.ALL if hours.endswith("/all") else Scope.DOMESTIC
    return NightLock(_window(hours.removesuffix("/all")), scope, zone)


def _window(value: str) -> DailyWindow:
    """`23:00-05:00`."""
    start, _, end = value.partition("-")
    return DailyWindow(time_of_day_ms(start, "/start"), time_of_day_ms(end, "/end"))


def _list(value: str) -> tuple[str, ...]:
    """`41,61`; `none` is the empty list."""
    return () if value == "none" else tuple(value.split(","))


def _amount(words: Words, value: str, currency: str) -> int:
    """A threshold in the card's currency."""
    return amount_minor(words.line, value, currency)

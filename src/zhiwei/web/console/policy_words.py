"""Policy words: settings of the issuer's policy, their values and what differs, for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TypeAlias

from jinja2 import pass_context
from jinja2.runtime import Context

from zhiwei.core.money import major_units
from zhiwei.gateways.in_force import Difference
from zhiwei.web.frame.shown import plain

Say: TypeAlias = Callable[..., str]

#: Items of a list that are written out; more are counted.
_ITEMS_MAX: Final = 50


class Kind(StrEnum):
    """What a setting holds, and so how it is asked and shown."""

    #: One of some words; `CHOICES` has them.
    CHOICE = "choice"
    YES_NO = "yes_no"
    #: Minor units of CNY; -1 = none.
    MONEY = "money"
    COUNT = "count"
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
    TEXTS = "texts"
    #: A list, or every one.
    TEXTS_OR_ALL = "texts_or_all"
    CEILINGS = "ceilings"


#: Settings by what they are about, in the order of the pages. A test holds them to the policy file.
GROUPS: Final[Mapping[str, Mapping[str, Kind]]] = {
    "unknown": {
        "on_unknown_location_atm": Kind.CHOICE,
        "on_unknown_location_pos": Kind.CHOICE,
        "refuse_when_a_rule_fails": Kind.YES_NO,
    },
    "bounds": {
        "ceilings": Kind.CEILINGS,
        "closed_mccs": Kind.TEXTS,
        "flagged_terminals": Kind.TEXTS,
        "licensed_institutions": Kind.TEXTS_OR_ALL,
    },
    "questions": {
        "magstripe_threshold": Kind.MONEY,
        "challenge_minutes": Kind.MINUTES,
        "pass_minutes": Kind.MINUTES,
        "challenges_per_hour": Kind.COUNT,
        "sms_may_approve": Kind.YES_NO,
    },
    "times": {
        "hold_days": Kind.DAYS,
        "cooling_off_hours": Kind.HOURS,
        "new_contact_cooling_off_hours": Kind.HOURS,
        "permission_max_days": Kind.DAYS,
    },
    "alerts": {
        "inquiry_alert_every_minutes": Kind.MINUTES,
        "balance_alerts_from": Kind.CHOICE,
    },
}
KINDS: Final = {name: kind for group in GROUPS.values() for name, kind in group.items()}
CHOICES: Final[Mapping[str, Sequence[str]]] = {
    "on_unknown_location_atm": ("decline", "challenge", "allow"),
    "on_unknown_location_pos": ("decline", "challenge", "allow"),
    "balance_alerts_from": ("postings", "authorizations", "both"),
}
_CODES: Final = "response_codes"


def name_of(say: Say, setting: str) -> str:
    """Name of a setting, or of a response code: `Visa · card lost`."""
    if setting in KINDS:
        return say(f"policy.setting.{setting}")
    _, network, part, name = setting.split(".", 3)
    what = say(f"policy.answer.{name}" if part == "answers" else f"console.reason.{name}")
    return say("policy.code_of", network=network, what=what)


def value_of(say: Say, setting: str, value: Any) -> list[str]:  # noqa: ANN401 - whatever JSON holds
    """A value in words and with its unit, a line for each of its parts."""
    if setting not in KINDS:
        return [str(value or "–")]
    match KINDS[setting]:
        case Kind.CHOICE:
            return [say(f"policy.choice.{value}")]
        case Kind.YES_NO:
            return [say("policy.yes" if value else "policy.no")]
        case Kind.MONEY:
            if value < 0:
                return [say("policy.no_threshold")]
            return [say("policy.in_cny", amount=major_units(value, "CNY"))]
        case Kind.COUNT:
            return [say("policy.in_times", n=value)]
        case Kind.CEILINGS:
            return [_ceiling(say, one) for one in value] or [say("policy.none")]
        case Kind.TEXTS | Kind.TEXTS_OR_ALL:
            return _items(say, value)
        case kind:
            return [say(f"policy.in_{kind}", n=value)]


def sides_of(say: Say, found: Difference) -> tuple[list[str], list[str]]:
    """Old and new of a difference; of two lists only what went and what came."""
    old, new = found.old, found.new
    is_lists = isinstance(old, list) and isinstance(new, list)
    if not is_lists or KINDS.get(found.setting) is Kind.CEILINGS:
        return value_of(say, found.setting, old), value_of(say, found.setting, new)
    went, came = sorted(set(old) - set(new)), sorted(set(new) - set(old))
    before = [say("policy.items", n=len(old))]
    after = [say("policy.items", n=len(new))]
    if went:
        before.append(say("policy.went", items=_joined(say, went)))
    if came:
        after.append(say("policy.came", items=_joined(say, came)))
    return before, after


def _items(say: Say, value: Sequence[str] | None) -> list[str]:
    if value is None:
        return [say("policy.all")]
    return [_joined(say, value)] if value else [say("policy.none")]


def _joined(say: Say, items: Sequence[str]) -> str:
    text = ", ".join(plain(item, 40) for item in items[:_ITEMS_MAX])
    rest = len(items) - _ITEMS_MAX
    return text if rest <= 0 else say("policy.and_more", items=text, n=rest)


def _ceiling(say: Say, limit: Mapping[str, Any]) -> str:
    """One ceiling, for example `ATM withdrawals, per day: at most 5,000.00`."""
    is_amount = limit["measure"] == "amount"
    most = (
        say("policy.in_currency", amount=major_units(limit["amount"], "CNY"))
        if is_amount
        else say("policy.in_count", n=limit["count"])
    )
    period = say(f"policy.period.{limit['period']}", n=limit.get("seconds", 0))
    return say(
        "policy.ceiling",
        channel=say(f"policy.channel.{limit['channel']}"),
        period=period,
        most=most,
    )


@pass_context
def policy_name(context: Context, setting: str) -> str:
    """`name_of` in the reader's language."""
    return name_of(context["say"], setting)


@pass_context
def policy_value(context: Context, value: Any, setting: str) -> list[str]:  # noqa: ANN401 - whatever JSON holds
    """`value_of` in the reader's language."""
    return value_of(context["say"], setting, value)


@pass_context
def policy_sides(context: Context, found: Difference) -> tuple[list[str], list[str]]:
    """`sides_of` in the reader's language."""
    return sides_of(context["say"], found)


def loosening(found: Iterable[Difference]) -> int:
    """How many of the differences loosen."""
    return sum(each.loosens for each in found)


FILTERS: Final[Mapping[str, Callable[..., object]]] = {
    "policy_name": policy_name,
    "policy_value": policy_value,
    "policy_sides": policy_sides,
    "loosening": loosening,
}

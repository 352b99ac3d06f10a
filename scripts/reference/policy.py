"""`policy.md`: what the issuer decides for all cards, as the policy file says it."""

from __future__ import annotations

from scripts.reference.markdown import code, codes, page, table
from scripts.reference.source import comments_in

from zhiwei.core import policy
from zhiwei.core.controls import LimitChannel, Measure, Period
from zhiwei.core.policy import DEFAULT_POLICY, BalanceAlertsFrom, OnUnknown
from zhiwei.policy_file import POLICY_SETTINGS, field_of

INTRODUCTION = """\
The issuer's policy (发卡行策略) is a TOML file that is named at start-up. What it does not say
stays as in the default policy. An unknown name, or a value outside the rules, is an error that
names its place: a typing error never becomes a default. Every decision records the version of the
policy that it was made under: the `name` in the file and a digest of its text.

How to write, try and change one: [configure the policy](../operating/policy.md)."""

CEILINGS = """\
`ceilings` is a list of tables, each with `channel`, `measure`, `period`, a value under the name
of its measure, and `seconds` where the period is `rolling`:

    [[ceilings]]
    channel = "atm_withdrawal"
    measure = "amount"
    period = "day"
    amount = 2000000

A ceiling holds for every card, in the card's own currency; the smaller of it and the cardholder's
own limit decides."""

#: What the end of a name says of its unit, and how many milliseconds one is.
_UNITS = {"minutes": 60_000, "hours": 3_600_000, "days": 86_400_000}


def policy_page() -> str:
    """The page."""
    comments = comments_in(policy, "Policy")
    rows = []
    for setting in POLICY_SETTINGS:
        field = field_of(setting)
        rows.append((code(setting), _default(setting, field), comments[field]))
    return page(
        "Policy 发卡行策略",
        INTRODUCTION,
        table(("setting", "default", "what it decides"), rows),
        f"`on_unknown_location_…` is one of {codes(each.name.lower() for each in OnUnknown)}.",
        "## Ceilings",
        CEILINGS,
        f"- channels: {codes(each.name.lower() for each in LimitChannel)}\n"
        f"- measures: {codes(each.name.lower() for each in Measure)}\n"
        f"- periods: {codes(each.name.lower() for each in Period)}",
    )


def _default(setting: str, field: str) -> str:
    """The default as the file would say it."""
    value = getattr(DEFAULT_POLICY, field)
    unit = _UNITS.get(setting.rpartition("_")[2])
    if isinstance(value, OnUnknown | BalanceAlertsFrom):
        return code(f'"{value.name.lower()}"')
    if isinstance(value, bool):
        return code(str(value).lower())
    if unit and field.endswith("_ms"):
        return code(value // unit)
    if value is None:
        return "not set"
    if isinstance(value, str):
        return code(f'"{value}"')
    return code(value) if isinstance(value, int) else "none"

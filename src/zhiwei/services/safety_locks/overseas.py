"""Overseas lock (境外锁): in person abroad only in the 0 to 3 countries that were chosen.

An offline transaction in any other country or region is refused; with none chosen, all of them.
Hong Kong, Macao and Taiwan count as abroad (境外); in the Chinese mainland the lock is silent.
Where the country is unknown the issuer's policy decides (refused at an ATM, asked about at a POS).
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import OverseasLock
from zhiwei.core.finding import NO_OPINION, Finding, Findings, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.request import Request
from zhiwei.core.windows import Moment

CONTROL: Final = "overseas_lock"


def judge(policy: Policy, state: CardState, request: Request, moment: Moment) -> Findings:
    """Refuse an offline transaction abroad outside the chosen countries."""
    lock = state.settings.controls.overseas_lock
    if lock is None or not request.may_be_offline or request.is_domestic:
        return NO_OPINION
    source = ("place_source", request.place_source.name.lower())
    if not request.country:
        outcome = policy.outcome_of_unknown_place(request.channel)
        if outcome is Outcome.APPROVE:
            return NO_OPINION
        facts = (source, ("channel", request.channel.name.lower()))
        return (Finding(outcome, Reason.LOCATION_UNKNOWN, CONTROL, facts),)
    if request.country in lock.countries:
        return NO_OPINION
    place = (("country", request.country), source)
    return (Finding(Outcome.REFUSE, Reason.OVERSEAS_LOCK_ACTIVE, CONTROL, place),)


def loosens(old: OverseasLock | None, new: OverseasLock | None) -> bool:
    """Removing the lock loosens, and so does any country that was not open before."""
    if old is None:
        return False
    return new is None or not set(new.countries) <= set(old.countries)

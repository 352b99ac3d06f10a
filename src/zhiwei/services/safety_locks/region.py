"""Region lock (地区锁): in person in China only in the 1 to 3 provinces that were chosen.

A domestic offline transaction in another province is refused. Abroad the lock is silent: that is
the overseas lock's. Where the province is unknown the issuer's policy decides (refused at an ATM,
asked about at a POS). The place is as true as what the acquirer sends; a refusal says which field
told it.
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import RegionLock
from zhiwei.core.finding import NO_OPINION, Finding, Findings, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.request import Request
from zhiwei.core.windows import Moment

CONTROL: Final = "region_lock"


def judge(policy: Policy, state: CardState, request: Request, moment: Moment) -> Findings:
    """Refuse a domestic offline transaction outside the chosen provinces."""
    lock = state.settings.controls.region_lock
    if lock is None or not request.may_be_offline or request.is_abroad:
        return NO_OPINION
    source = ("place_source", request.place_source.name.lower())
    if not request.region:
        outcome = policy.outcome_of_unknown_place(request.channel)
        if outcome is Outcome.APPROVE:
            return NO_OPINION
        facts = (source, ("channel", request.channel.name.lower()))
        return (Finding(outcome, Reason.LOCATION_UNKNOWN, CONTROL, facts),)
    if request.region in lock.regions:
        return NO_OPINION
    place = (("region", request.region), source)
    return (Finding(Outcome.REFUSE, Reason.REGION_LOCK_ACTIVE, CONTROL, place),)


def loosens(old: RegionLock | None, new: RegionLock | None) -> bool:
    """Removing the lock loosens, and so does any province that was not open before."""
    if old is None:
        return False
    return new is None or not set(new.regions) <= set(old.regions)

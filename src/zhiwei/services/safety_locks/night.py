"""Night lock (夜间锁): from 23:00 to 05:00, or other hours, no payments in person.

The start is inside and the end is outside: 22:59:59.999 passes, 23:00:00.000 does not, 05:00:00.000
passes. The clock is the issuer's at the instant the message came, read in the card's zone (or the
lock's own), never the terminal's. The wall clock decides, also on days on which it is put forward
or back: in an hour that comes twice, the lock holds both times, and one hour that is skipped makes
the night shorter.

Scope `domestic` (the default) looks at transactions in the Chinese mainland; `all` looks
everywhere. With scope `domestic`, where the country is unknown the issuer's policy decides.
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import NightLock, Scope
from zhiwei.core.documents import time_text
from zhiwei.core.finding import NO_OPINION, Finding, Findings, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.request import Request
from zhiwei.core.windows import Moment
from zhiwei.core.zone import DAY_MS, zone_named

CONTROL: Final = "night_lock"


def judge(policy: Policy, state: CardState, request: Request, moment: Moment) -> Findings:
    """Refuse an offline transaction during the hours of the night."""
    lock = state.settings.controls.night_lock
    if lock is None or not request.may_be_offline:
        return NO_OPINION
    is_domestic_only = lock.scope is Scope.DOMESTIC
    if is_domestic_only and request.is_abroad:
        return NO_OPINION
    time_of_day_ms = moment.time_of_day_ms
    if lock.time_zone:
        time_of_day_ms = zone_named(lock.time_zone).local_ms(moment.now_ms) % DAY_MS
    if not lock.window.contains(time_of_day_ms):
        return NO_OPINION
    facts = (
        ("local_time", time_text(time_of_day_ms)),
        ("start", time_text(lock.window.start_ms)),
        ("end", time_text(lock.window.end_ms)),
    )
    if is_domestic_only and not request.is_domestic:
        outcome = policy.outcome_of_unknown_place(request.channel)
        if outcome is Outcome.APPROVE:
            return NO_OPINION
        channel = ("channel", request.channel.name.lower())
        return (Finding(outcome, Reason.LOCATION_UNKNOWN, CONTROL, (*facts, channel)),)
    return (Finding(Outcome.REFUSE, Reason.NIGHT_LOCK_ACTIVE, CONTROL, facts),)


def loosens(old: NightLock | None, new: NightLock | None) -> bool:
    """Removing it loosens; so does a window that leaves hours open, a narrower scope, a zone."""
    if old is None:
        return False
    if new is None or new.time_zone != old.time_zone:
        return True
    if old.scope is Scope.ALL and new.scope is Scope.DOMESTIC:
        return True
    return not new.window.covers(old.window)

"""Online and quick-pay lock (线上/快捷支付锁): the card does not pay where it is not there.

While it holds, at all hours or in a daily window of its own, online and quick-pay (快捷支付) debits
are refused, also those that a merchant or payment institution starts under an existing binding, and
so are new bindings. The 2017 locks look only at ATM and POS, so a night debit by a payment
institution went on; this lock closes that gap. Direct debits (代扣) of bills are not touched. The
window may cross midnight; start inside, end outside, in the card's zone.

The cardholder may also shut a single payment institution (支付机构): its debits, and its new
bindings, are then refused at all hours. One that was unlinked is refused its debits until it has
asked to link the card again. Neither is lifted by a temporary permission.
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import OnlineLock
from zhiwei.core.documents import time_text
from zhiwei.core.finding import NO_OPINION, Finding, Findings, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.request import Kind, Request
from zhiwei.core.windows import Moment

CONTROL: Final = "online_lock"
#: The switch of one payment institution is its binding's, not the lock's.
BINDING: Final = "binding"


def judge(policy: Policy, state: CardState, request: Request, moment: Moment) -> Findings:
    """Refuse online and quick-pay debits and new bindings, by lock or institution switch."""
    settings = state.settings
    lock = settings.controls.online_lock
    if lock is None and not settings.bindings:
        return NO_OPINION
    if not request.may_be_card_not_present and request.kind is not Kind.BINDING:
        return NO_OPINION
    findings = NO_OPINION
    if lock is not None:
        findings = _by_the_lock(lock, moment)
    if request.institution and settings.bindings:
        is_binding = request.kind is Kind.BINDING
        for binding in settings.bindings:
            if binding.institution != request.institution or binding.is_open:
                continue
            # An institution that was unlinked may ask to be linked again; one that is shut may not.
            if not (is_binding and binding.removed_ms):
                facts = (("institution", binding.institution),)
                blocked = Finding(Outcome.REFUSE, Reason.INSTITUTION_BLOCKED, BINDING, facts)
                return (*findings, blocked)
    return findings


def _by_the_lock(lock: OnlineLock, moment: Moment) -> Findings:
    """What the lock itself finds at this moment."""
    window = lock.window
    if window is None:
        return (Finding(Outcome.REFUSE, Reason.ONLINE_LOCK_ACTIVE, CONTROL),)
    if not window.contains(moment.time_of_day_ms):
        return NO_OPINION
    facts = (
        ("local_time", time_text(moment.time_of_day_ms)),
        ("start", time_text(window.start_ms)),
        ("end", time_text(window.end_ms)),
    )
    return (Finding(Outcome.REFUSE, Reason.ONLINE_LOCK_ACTIVE, CONTROL, facts),)


def loosens(old: OnlineLock | None, new: OnlineLock | None) -> bool:
    """Removing the lock loosens, and so does a window that leaves hours open that were shut."""
    if old is None:
        return False
    if new is None:
        return True
    if new.window is None:
        return False
    return old.window is None or not new.window.covers(old.window)

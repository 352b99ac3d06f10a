"""Category lock (商户类别锁): the card does not pay at the kinds of merchants its holder named.

Every debit, on every channel, whose merchant category code (MCC, 1 to 100 of them) is named is
refused: 7995 shuts gambling, 6011 cash machines. A message without a category passes, and a
merchant who is filed under a wrong category is not recognised: the lock sees the code that the
acquirer sends, nothing else.
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import CategoryLock
from zhiwei.core.finding import NO_OPINION, Finding, Findings, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.request import Request
from zhiwei.core.windows import Moment

CONTROL: Final = "category_lock"


def judge(policy: Policy, state: CardState, request: Request, moment: Moment) -> Findings:
    """Refuse debits at merchants of the named categories."""
    lock = state.settings.controls.category_lock
    if lock is None or request.mcc not in lock.mccs or not request.is_debit:
        return NO_OPINION
    facts = (("mcc", request.mcc),)
    return (Finding(Outcome.REFUSE, Reason.CATEGORY_LOCK_ACTIVE, CONTROL, facts),)


def loosens(old: CategoryLock | None, new: CategoryLock | None) -> bool:
    """Removing the lock loosens, and so does taking any category off it."""
    if old is None:
        return False
    return new is None or not set(old.mccs) <= set(new.mccs)

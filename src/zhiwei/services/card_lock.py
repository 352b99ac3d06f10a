"""Card lock (整卡锁): one switch that shuts the whole card until its holder opens it again.

While it is on, every debit on every channel is refused (ATM, POS, online, quick pay, direct debit
and counter, whoever started it), and no payment institution can be linked. Balance inquiries,
deposits, refunds, voids, reversals and completions of what was approved earlier pass. It is a lock
(锁), not a stop (止付), a loss report (挂失) or a freeze (冻结). A temporary permission does not
open it: its holder does.
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import CardLock
from zhiwei.core.finding import NO_OPINION, Finding, Findings, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.request import Kind, Request
from zhiwei.core.windows import Moment

CONTROL: Final = "card_lock"


def judge(policy: Policy, state: CardState, request: Request, moment: Moment) -> Findings:
    """Refuse every debit and every new binding while the lock is on."""
    if state.settings.controls.card_lock is None:
        return NO_OPINION
    if not request.is_debit and request.kind is not Kind.BINDING:
        return NO_OPINION
    return (Finding(Outcome.REFUSE, Reason.CARD_LOCK_ACTIVE, CONTROL),)


def loosens(old: CardLock | None, new: CardLock | None) -> bool:
    """Only opening the lock lets something through that was refused."""
    return old is not None and new is None

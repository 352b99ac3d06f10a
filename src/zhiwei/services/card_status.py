"""Card status (卡状态): a card that the issuer closed, or that was lost or frozen, does not pay.

Closed (销卡) and lost (挂失): debits, balance inquiries and new bindings are refused. Frozen (冻结,
by the issuer or by law): debits and new bindings are refused, the balance may still be asked for;
the cardholder cannot lift it. Money that comes in, refunds, voids, reversals and completions of
what was approved earlier pass.
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import CardState, CardStatus
from zhiwei.core.finding import NO_OPINION, Finding, Findings, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.request import Kind, Request
from zhiwei.core.windows import Moment

CONTROL: Final = "card_status"


def judge(policy: Policy, state: CardState, request: Request, moment: Moment) -> Findings:
    """Refuse on a closed, lost or frozen card."""
    status = state.settings.profile.status
    if status is CardStatus.ACTIVE:
        return NO_OPINION
    kind = request.kind
    if not request.is_debit and kind is not Kind.BINDING and kind is not Kind.BALANCE_INQUIRY:
        return NO_OPINION
    if status is CardStatus.FROZEN:
        if kind is Kind.BALANCE_INQUIRY:
            return NO_OPINION
        return (Finding(Outcome.REFUSE, Reason.CARD_FROZEN, CONTROL),)
    reason = Reason.CARD_LOST if status is CardStatus.LOST else Reason.CARD_CLOSED
    return (Finding(Outcome.REFUSE, reason, CONTROL),)

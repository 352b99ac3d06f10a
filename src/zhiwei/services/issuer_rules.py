"""Issuer's rules (发卡行规则): merchant categories that the issuer closed for every card.

Debits there are refused on every channel. No permission of the cardholder lifts it. The issuer's
ceilings on amounts and counts are limits, and are kept with the limits.
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.finding import NO_OPINION, Finding, Findings, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.request import Request
from zhiwei.core.windows import Moment

CONTROL: Final = "issuer"


def judge(policy: Policy, state: CardState, request: Request, moment: Moment) -> Findings:
    """Refuse debits at merchants of closed categories."""
    if request.mcc not in policy.closed_mccs or not request.is_debit:
        return NO_OPINION
    facts = (("mcc", request.mcc),)
    return (Finding(Outcome.REFUSE, Reason.CATEGORY_CLOSED_BY_ISSUER, CONTROL, facts),)

"""Large-spend verification (借记卡大额消费核实): large purchases are asked about first.

A purchase or pre-authorization on any channel whose amount is more than the threshold (exactly the
threshold passes) is refused for the moment and the cardholder is asked. "Yes" leaves a pass for one
retry of the same merchant and currency, of at most the asked amount; "no" stops the card. The
completion of an approved pre-authorization is not asked about again. An amount that cannot be told
in the card's currency is asked about. Cash and transfers are not purchases: limits are for those.
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import LargeSpendVerification
from zhiwei.core.decide import billed_minor
from zhiwei.core.finding import NO_OPINION, Finding, Findings, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.request import Kind, Request
from zhiwei.core.windows import Moment

CONTROL: Final = "large_spend_verification"

#: A completion that reaches a judge has no known original and is a purchase.
_KINDS: Final = frozenset((Kind.PURCHASE, Kind.PREAUTHORIZATION, Kind.COMPLETION))


def judge(policy: Policy, state: CardState, request: Request, moment: Moment) -> Findings:
    """Question a purchase or pre-authorization above the threshold."""
    verification = state.settings.controls.large_spend_verification
    if verification is None or request.kind not in _KINDS:
        return NO_OPINION
    amount_minor = billed_minor(state, request)
    if 0 <= amount_minor <= verification.threshold:
        return NO_OPINION
    facts: tuple[tuple[str, int | str], ...] = (
        ("amount", amount_minor if amount_minor >= 0 else "unknown"),
        ("threshold", verification.threshold),
        ("currency", state.settings.profile.currency),
    )
    return (Finding(Outcome.CHALLENGE, Reason.LARGE_SPEND_VERIFICATION, CONTROL, facts),)


def loosens(old: LargeSpendVerification | None, new: LargeSpendVerification | None) -> bool:
    """Removing it loosens, and so does a higher threshold."""
    if old is None:
        return False
    return new is None or new.threshold > old.threshold

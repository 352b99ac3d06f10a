"""Magstripe verification (磁条卡消费交易附加验证): large stripe purchases are asked about.

A purchase or pre-authorization at a POS, by the stripe of a card that has no chip, is questioned
when its amount is more than the threshold (exactly the threshold passes), or when the terminal is
flagged as non-standard (非标终端), whatever the amount. The threshold is 20,000.00 on CNY cards
[银办发〔2017〕120号] unless the issuer says otherwise; the cardholder may set a lower one, and a
higher one changes nothing. An amount that cannot be told in the card's currency is questioned.
Stripes of chip cards are refused elsewhere (see `medium`).
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import MagstripeVerification
from zhiwei.core.decide import billed_minor
from zhiwei.core.finding import NO_OPINION, Finding, Findings, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.request import Channel, Kind, Medium, Request
from zhiwei.core.windows import Moment

CONTROL: Final = "magstripe_verification"

#: A pre-authorization is asked about as well: its completion is never refused, so this is the last
#: moment. A completion that reaches a judge has no known original and is a purchase.
_KINDS: Final = frozenset((Kind.PURCHASE, Kind.PREAUTHORIZATION, Kind.COMPLETION))


def judge(policy: Policy, state: CardState, request: Request, moment: Moment) -> Findings:
    """Question a purchase by stripe above the threshold or at a flagged terminal."""
    if request.medium is not Medium.MAGSTRIPE or request.kind not in _KINDS:
        return NO_OPINION
    if request.channel is not Channel.POS and request.channel is not Channel.UNKNOWN:
        return NO_OPINION
    if state.settings.profile.has_chip:
        return NO_OPINION
    if policy.has_flagged(request):
        facts: tuple[tuple[str, int | str], ...] = (("flagged_terminal", request.terminal),)
        return (Finding(Outcome.CHALLENGE, Reason.MAGSTRIPE_VERIFICATION, CONTROL, facts),)
    threshold = threshold_of(policy, state)
    if threshold < 0:
        return NO_OPINION
    amount_minor = billed_minor(state, request)
    if 0 <= amount_minor <= threshold:
        return NO_OPINION
    facts = (
        ("amount", amount_minor if amount_minor >= 0 else "unknown"),
        ("threshold", threshold),
        ("currency", state.settings.profile.currency),
    )
    return (Finding(Outcome.CHALLENGE, Reason.MAGSTRIPE_VERIFICATION, CONTROL, facts),)


def threshold_of(policy: Policy, state: CardState) -> int:
    """The threshold in force, in minor units of the card's currency; -1 = none.

    The issuer's default is an amount of CNY and speaks of CNY cards only.
    """
    own = state.settings.controls.magstripe_verification
    issuers = policy.magstripe_threshold if state.settings.profile.currency == "CNY" else -1
    if own is None:
        return issuers
    return own.threshold if issuers < 0 else min(issuers, own.threshold)


def loosens(old: MagstripeVerification | None, new: MagstripeVerification | None) -> bool:
    """Removing it loosens, and so does a higher threshold."""
    if old is None:
        return False
    return new is None or new.threshold > old.threshold

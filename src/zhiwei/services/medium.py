"""Medium (介质): chip cards do not pay by stripe, flagged terminals read no balance.

Fallback (降级): where a chip card is used by its stripe, debits and balance inquiries are refused
outright ("please use the chip"): stripes can be copied, chips cannot, and since 1 May 2017
composite cards have no stripe transactions in China. The card's own file decides whether it has a
chip: a message that calls the stripe of such a card a plain stripe is a fallback all the same. At
the bank's counter the card may be swiped.

Flagged terminals (非标终端): balance inquiries there are closed by the issuer
[银办发〔2017〕120号], since a copied card is usually tried out by asking for its balance.
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.finding import NO_OPINION, Finding, Findings, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.request import Channel, Kind, Medium, Request
from zhiwei.core.windows import Moment

CONTROL: Final = "medium"


def judge(policy: Policy, state: CardState, request: Request, moment: Moment) -> Findings:
    """Refuse a chip card used by its stripe, and a balance inquiry at a flagged terminal."""
    medium = request.medium
    is_inquiry = request.kind is Kind.BALANCE_INQUIRY
    if medium is not Medium.FALLBACK and medium is not Medium.MAGSTRIPE and not is_inquiry:
        return NO_OPINION
    if not is_inquiry and not request.is_debit:
        return NO_OPINION
    findings = NO_OPINION
    if request.channel is not Channel.COUNTER and (
        medium is Medium.FALLBACK
        or (medium is Medium.MAGSTRIPE and state.settings.profile.has_chip)
    ):
        facts = (("medium", medium.name.lower()), ("channel", request.channel.name.lower()))
        findings = (Finding(Outcome.REFUSE, Reason.MAGSTRIPE_FALLBACK, CONTROL, facts),)
    if is_inquiry and policy.has_flagged(request):
        terminal = (("terminal", request.terminal),)
        flagged = Finding(Outcome.REFUSE, Reason.INQUIRY_ON_FLAGGED_TERMINAL, CONTROL, terminal)
        findings = (*findings, flagged)
    return findings

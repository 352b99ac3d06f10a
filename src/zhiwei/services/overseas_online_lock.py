"""Overseas card-not-present lock (境外无卡支付锁): nothing abroad without the card.

Online and quick-pay debits at merchants outside the Chinese mainland are refused, whoever started
them, and institutions known to be abroad cannot be linked. Domestic online payments pass. Where the
merchant's country is unknown the issuer's policy for purchases decides (by default the cardholder
is asked).
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import OverseasOnlineLock
from zhiwei.core.finding import NO_OPINION, Finding, Findings, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.request import Kind, Request
from zhiwei.core.windows import Moment

CONTROL: Final = "overseas_online_lock"


def judge(policy: Policy, state: CardState, request: Request, moment: Moment) -> Findings:
    """Refuse debits without the card, and bindings, abroad."""
    if state.settings.controls.overseas_online_lock is None:
        return NO_OPINION
    is_binding = request.kind is Kind.BINDING
    if not (request.may_be_card_not_present or is_binding) or request.is_domestic:
        return NO_OPINION
    source = ("place_source", request.place_source.name.lower())
    if request.country:
        place = (("country", request.country), source)
        return (Finding(Outcome.REFUSE, Reason.OVERSEAS_ONLINE_LOCK_ACTIVE, CONTROL, place),)
    if is_binding:
        return NO_OPINION
    outcome = policy.outcome_of_unknown_place(request.channel)
    if outcome is Outcome.APPROVE:
        return NO_OPINION
    facts = (source, ("channel", request.channel.name.lower()))
    return (Finding(outcome, Reason.LOCATION_UNKNOWN, CONTROL, facts),)


def loosens(old: OverseasOnlineLock | None, new: OverseasOnlineLock | None) -> bool:
    """Only removing the lock lets something through that was refused."""
    return old is not None and new is None

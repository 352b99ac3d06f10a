"""Decline alert (拒绝交易提醒): every refusal is told, with its control and the remedy.

Told are refused requests and increments of the card. A question (challenge) tells of itself, and a
conflict of two messages is an alert of its own; a repeat of a refused message is no new refusal.
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import DeclineAlert
from zhiwei.core.entry import Entry
from zhiwei.core.event import Event, EventFacts, EventKind
from zhiwei.core.finding import Outcome
from zhiwei.core.notice import SILENT, Noticed
from zhiwei.core.policy import Policy
from zhiwei.core.windows import Moment

CONTROL: Final = "decline_alert"


def notice(policy: Policy, state: CardState, entry: Entry, moment: Moment) -> Noticed:
    """Tell of a refusal."""
    if entry.outcome is not Outcome.REFUSE or state.settings.controls.decline_alert is None:
        return SILENT
    request = entry.command.request
    if request is None or entry.duplicate_of:
        return SILENT
    standing = [finding for finding in entry.findings if finding.stands]
    facts: EventFacts = {
        "tail": state.settings.profile.tail,
        "at_ms": entry.now_ms,
        "kind": request.kind.name.lower(),
        "channel": request.channel.name.lower(),
        "amount": request.amount_minor,
        "currency": request.currency,
        "merchant": request.merchant_name,
        "country": request.country,
        "region": request.region,
        "reasons": [finding.reason.code for finding in standing],
        "controls": [finding.control for finding in standing],
    }
    return Noticed((Event(EventKind.TRANSACTION_DECLINED, facts),))


def loosens(old: DeclineAlert | None, new: DeclineAlert | None) -> bool:
    """Alerts let nothing through and stop nothing."""
    return False

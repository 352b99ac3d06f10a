"""Balance-change alert (账户余额变动提醒): each posting at or above the holder's amount is told.

In or out, with the card's tail, time, kind of business, amount, balance and the other side's tail.
A posting that takes an earlier one back is a message of its own that names the original. The
threshold is inclusive: with 100.00, a posting of 100.00 is told and 99.99 is not; with 0 every
posting is.
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Post
from zhiwei.core.controls import BalanceChangeAlert
from zhiwei.core.entry import Entry
from zhiwei.core.event import Event, EventFacts, EventKind
from zhiwei.core.notice import SILENT, Noticed
from zhiwei.core.policy import Policy
from zhiwei.core.windows import Moment

CONTROL: Final = "balance_change_alert"


def notice(policy: Policy, state: CardState, entry: Entry, moment: Moment) -> Noticed:
    """Tell of a posting at or above the threshold."""
    posting = entry.command.change
    alert = state.settings.controls.balance_change_alert
    if alert is None or not isinstance(posting, Post):
        return SILENT
    amount_minor = abs(posting.amount_minor)
    if amount_minor < alert.threshold:
        return SILENT
    facts: EventFacts = {
        "tail": state.settings.profile.tail,
        "at_ms": entry.now_ms,
        "direction": "in" if posting.amount_minor >= 0 else "out",
        "business": posting.business,
        "amount": amount_minor,
        "currency": state.settings.profile.currency,
        "counterparty_tail": posting.counterparty_tail,
        "counterparty_name": posting.counterparty_name,
        "reference": posting.reference,
        "reverses": posting.reverses,
        "channels": list(alert.channels),
    }
    if posting.balance_minor is not None:
        facts["balance"] = posting.balance_minor
    return Noticed((Event(EventKind.BALANCE_CHANGED, facts),))


def loosens(old: BalanceChangeAlert | None, new: BalanceChangeAlert | None) -> bool:
    """Alerts let nothing through and stop nothing."""
    return False

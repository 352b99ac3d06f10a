"""Balance-change alert (账户余额变动提醒): movements at or above the holder's amount are told.

In or out, with the card's tail, time, kind of business, amount, balance and the other side. Told
are postings of the core bank, and approved card messages that tell a balance (DE54). The threshold
is inclusive: with 100.00, a movement of 100.00 is told and 99.99 is not; with 0 every one is. What
follows a transaction that was told (an increment, a completion for another amount, a reversal) is
told whatever its amount, and what takes it back names it. Refusals are never told here.
"""

from __future__ import annotations

from typing import Final, final

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Post
from zhiwei.core.controls import BalanceChangeAlert
from zhiwei.core.entry import Entry
from zhiwei.core.event import Event, EventFacts, EventKind
from zhiwei.core.ids import entry_id
from zhiwei.core.policy import BalanceAlertsFrom, Policy
from zhiwei.core.request import MessageClass, Request

CONTROL: Final = "balance_change_alert"


@final
class Movement:
    """The money that an approved card message moved, in minor units of the card's currency."""

    __slots__ = ("amount_minor", "is_in", "takes_back", "was_told", "whole_minor")

    def __init__(
        self,
        *,
        is_in: bool,
        amount_minor: int,
        whole_minor: int,
        was_told: bool = False,
        takes_back: Entry | None = None,
    ) -> None:
        #: To the account (money given back too), or from it.
        self.is_in: Final = is_in
        #: At least 0; -1 where nobody told it in the card's currency.
        self.amount_minor: Final = amount_minor
        #: What the transaction moved so far in all, with what came before; -1 where not known.
        self.whole_minor: Final = whole_minor
        #: The holder was told of the transaction before.
        self.was_told: Final = was_told
        #: The entry that is taken back, wholly or in part.
        self.takes_back: Final = takes_back


def tells_posting(policy: Policy, state: CardState, posting: Post) -> bool:
    """Whether a posting is one to tell of."""
    alert = state.settings.controls.balance_change_alert
    if alert is None or policy.balance_alerts_from is BalanceAlertsFrom.AUTHORIZATIONS:
        return False
    return abs(posting.amount_minor) >= alert.threshold


def tells_message(policy: Policy, state: CardState, request: Request, moved: Movement) -> bool:
    """Whether an approved card message is told, or belongs to a transaction that is."""
    alert = state.settings.controls.balance_change_alert
    if alert is None or policy.balance_alerts_from is BalanceAlertsFrom.POSTINGS:
        return False
    if moved.was_told:
        return True
    # An amount that nobody told in the card's currency could be any.
    is_large = moved.whole_minor < 0 or moved.whole_minor >= alert.threshold
    return request.balance_minor is not None and is_large


def posting_event(state: CardState, entry: Entry, posting: Post) -> Event:
    """What is told of a posting."""
    facts: EventFacts = {
        "tail": state.settings.profile.tail,
        "at_ms": entry.now_ms,
        "direction": "in" if posting.amount_minor >= 0 else "out",
        "business": posting.business,
        "amount": abs(posting.amount_minor),
        "currency": state.settings.profile.currency,
        "counterparty_tail": posting.counterparty_tail,
        "counterparty_name": posting.counterparty_name,
        "reference": posting.reference,
        "reverses": posting.reverses,
        "channels": _channels(state),
    }
    if posting.balance_minor is not None:
        facts["balance"] = posting.balance_minor
    return Event(EventKind.BALANCE_CHANGED, facts)


def message_event(
    state: CardState, entry: Entry, request: Request, moved: Movement
) -> Event | None:
    """What is told of a card message; None where it moved nothing that was not told before.

    A transaction that comes to be told late (an increment brings it over the threshold) is told
    as a whole; one that was told before, by what the message changed of it.
    """
    amount_minor = moved.amount_minor if moved.was_told else moved.whole_minor
    if amount_minor == 0:
        return None
    own = state.settings.profile.currency
    facts: EventFacts = {
        "tail": state.settings.profile.tail,
        "at_ms": entry.now_ms,
        "direction": "in" if moved.is_in else "out",
        "business": _business(request),
        "amount": amount_minor if amount_minor > 0 else request.amount_minor,
        "currency": own if amount_minor > 0 else request.currency,
        "counterparty_tail": "",
        "counterparty_name": request.merchant_name,
        "channel": request.channel.name.lower(),
        "country": request.country,
        "region": request.region,
        "terminal": request.terminal,
        "reference": request.rrn,
        "reverses": "",
        "channels": _channels(state),
    }
    if request.balance_minor is not None:
        facts["balance"] = request.balance_minor
    taken = moved.takes_back
    original = None if taken is None else taken.command.request
    if taken is not None and original is not None:
        facts["reverses"] = original.rrn or entry_id("auth", state.card_key, taken.version)
        facts["original_version"] = taken.version
        facts["original_at_ms"] = taken.now_ms
        facts["original_amount"] = original.amount_minor
        facts["original_currency"] = original.currency
    return Event(EventKind.BALANCE_CHANGED, facts)


def loosens(old: BalanceChangeAlert | None, new: BalanceChangeAlert | None) -> bool:
    """Alerts let nothing through and stop nothing."""
    return False


def _channels(state: CardState) -> list[str]:
    """The channels that the holder chose; none = the usual ones."""
    alert = state.settings.controls.balance_change_alert
    assert alert is not None, "nothing is told without the alert"
    return list(alert.channels)


def _business(request: Request) -> str:
    """The kind of business; a reversal (冲正) is one of its own, whatever it takes back."""
    if request.message_class is MessageClass.REVERSAL:
        return "reversal"
    return request.kind.name.lower()

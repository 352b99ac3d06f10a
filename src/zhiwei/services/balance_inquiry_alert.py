"""Balance-inquiry alert (自助渠道余额查询提醒): an inquiry at a machine is told at once.

A copied card is usually tried out with a balance inquiry first. Inquiries at ATM, POS and kiosk
alert, also refused ones, with place and time; those by the holder's own app, online or at the
counter do not. At most one alert per terminal and 10 minutes (policy); the next one says how many
were not told. Counters are untouched.
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import INQUIRIES_MAX, CardState, InquirySeen
from zhiwei.core.controls import BalanceInquiryAlert
from zhiwei.core.entry import Entry
from zhiwei.core.event import Event, EventFacts, EventKind
from zhiwei.core.finding import Outcome
from zhiwei.core.notice import SILENT, Noticed
from zhiwei.core.policy import Policy
from zhiwei.core.request import Channel, Kind, MessageClass, Request
from zhiwei.core.windows import Moment

CONTROL: Final = "balance_inquiry_alert"

#: A kiosk is an ATM or has no channel of its own.
_SELF_SERVICE: Final = frozenset((Channel.ATM, Channel.POS, Channel.UNKNOWN))


def notice(policy: Policy, state: CardState, entry: Entry, moment: Moment) -> Noticed:
    """Tell of a balance inquiry, unless the same terminal was told of a short while ago."""
    request = entry.command.request
    if request is None or request.kind is not Kind.BALANCE_INQUIRY:
        return SILENT
    if state.settings.controls.balance_inquiry_alert is None or entry.duplicate_of:
        return SILENT
    if request.channel not in _SELF_SERVICE or request.message_class is MessageClass.REVERSAL:
        return SILENT
    terminal = f"{request.acquirer}/{request.terminal}"
    seen: InquirySeen | None = None
    others: list[InquirySeen] = []
    for inquiry in state.inquiries:
        if inquiry.terminal == terminal:
            seen = inquiry
        else:
            others.append(inquiry)
    if seen is not None and abs(entry.now_ms - seen.told_ms) < policy.inquiry_alert_every_ms:
        untold = InquirySeen(terminal, seen.told_ms, seen.untold + 1)
        return Noticed(inquiries=(*others, untold))
    told = InquirySeen(terminal, entry.now_ms, 0)
    kept = (*others, told)[-INQUIRIES_MAX:]
    return Noticed((_event(state, entry, request, 0 if seen is None else seen.untold),), kept)


def loosens(old: BalanceInquiryAlert | None, new: BalanceInquiryAlert | None) -> bool:
    """Alerts let nothing through and stop nothing."""
    return False


def _event(state: CardState, entry: Entry, request: Request, untold: int) -> Event:
    """Place, time, and how many inquiries at this terminal were not told before."""
    facts: EventFacts = {
        "tail": state.settings.profile.tail,
        "at_ms": entry.now_ms,
        "channel": request.channel.name.lower(),
        "acquirer": request.acquirer,
        "terminal": request.terminal,
        "merchant": request.merchant_name,
        "country": request.country,
        "region": request.region,
        "untold": untold,
        "refused": 1 if entry.outcome is Outcome.REFUSE else 0,
    }
    return Event(EventKind.BALANCE_INQUIRED, facts)

"""Spend limits (借记卡交易限额个性化定制): how much and how often, by channel and by period.

A limit says: through this channel, in this period, at most this amount or this many. Refused is
what would go beyond it: exactly the limit passes, 0 shuts the channel, no limit means the issuer's
ceiling. Where both are set the smaller holds. Day, week (from Monday), month and year are the
calendar of the card's own zone; a rolling limit looks at the seconds just before the decision.

What counts: purchases, cash, transfers and pre-authorizations, once for each authorization group.
What does not: refusals, balance inquiries, bindings, money that comes in. An increment counts its
difference and no second time. Amounts are in the card's currency; where a message does not tell the
amount in it and an amount limit speaks, the request is refused.

A channel that nobody told counts in every channel that it could be, so that leaving a field out
evades nothing. Of a country that nobody told the counters say nothing; where a limit for
transactions abroad would be exceeded, the issuer's policy for unknown places decides.
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import Limit, LimitChannel, Limits, Measure, Period
from zhiwei.core.decide import billed_minor
from zhiwei.core.entry import Entry, LimitReport
from zhiwei.core.event import Event, EventFacts, EventKind
from zhiwei.core.finding import NO_OPINION, Finding, Findings, Outcome
from zhiwei.core.limit_order import all_implied
from zhiwei.core.notice import SILENT, Noticed
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.request import Channel, Kind, Medium, MessageClass, Request
from zhiwei.core.usage import Usage, rolling_now_ms, rolling_used
from zhiwei.core.windows import Moment, day_number
from zhiwei.core.zone import Zone

CONTROL: Final = "limits"
#: Where the limit is the issuer's ceiling.
ISSUER: Final = "issuer"

_ALL: Final = 1 << LimitChannel.ALL
_ATM: Final = 1 << LimitChannel.ATM
_ATM_WITHDRAWAL: Final = 1 << LimitChannel.ATM_WITHDRAWAL
_ATM_TRANSFER: Final = 1 << LimitChannel.ATM_TRANSFER
_POS: Final = 1 << LimitChannel.POS
_ONLINE: Final = 1 << LimitChannel.ONLINE
_QUICK_PAY: Final = 1 << LimitChannel.QUICK_PAY
_CONTACTLESS_NO_PIN: Final = 1 << LimitChannel.CONTACTLESS_NO_PIN
_OVERSEAS: Final = 1 << LimitChannel.OVERSEAS
#: All limit channels: what `reports` is asked for when a cardholder looks at the limits.
ALL_CHANNELS: Final = (1 << len(LimitChannel)) - 1

_OVER_AMOUNT: Final = {
    Period.TRANSACTION: Reason.OVER_TRANSACTION_LIMIT,
    Period.DAY: Reason.OVER_DAILY_LIMIT,
    Period.WEEK: Reason.OVER_WEEKLY_LIMIT,
    Period.MONTH: Reason.OVER_MONTHLY_LIMIT,
    Period.YEAR: Reason.OVER_YEARLY_LIMIT,
    Period.ROLLING: Reason.OVER_ROLLING_LIMIT,
}
_OVER_COUNT: Final = {
    Period.DAY: Reason.OVER_DAILY_COUNT,
    Period.WEEK: Reason.OVER_WEEKLY_COUNT,
    Period.MONTH: Reason.OVER_MONTHLY_COUNT,
    Period.YEAR: Reason.OVER_YEARLY_COUNT,
    Period.ROLLING: Reason.OVER_ROLLING_COUNT,
}
_NO_SLOT: Final = (-1, -1, -1, -1)
#: The holder is told once when this share of a period's limit is used.
_NEARLY: Final = (4, 5)


def judge(policy: Policy, state: CardState, request: Request, moment: Moment) -> Findings:
    """Refuse what would exceed a limit of the cardholder or a ceiling of the issuer."""
    own = state.settings.controls.limits
    if own is None and not policy.ceilings:
        return NO_OPINION
    if not request.is_debit:
        return NO_OPINION
    channels = channels_of(request, state)
    amount_minor = billed_minor(state, request)
    found: list[tuple[Limit, Finding]] = []
    if own is not None:
        for limit in own.items:
            _judge_one(
                limit, CONTROL, channels, amount_minor, policy, state, request, moment, found
            )
    for ceiling in policy.ceilings:
        _judge_one(ceiling, ISSUER, channels, amount_minor, policy, state, request, moment, found)
    if not found:
        return NO_OPINION
    return _smallest_of_each_slot(found)


def over_in_one_transaction(
    policy: Policy, state: CardState, request: Request, standing_minor: int
) -> Findings:
    """What an increment would exceed of the limits for one transaction, with what stands approved.

    The limit is one for the whole transaction; what exceeds it by the difference alone is found by
    `judge`, and not told again.
    """
    own = state.settings.controls.limits
    if own is None and not policy.ceilings:
        return NO_OPINION
    channels = channels_of(request, state)
    adds = max(billed_minor(state, request), 0)
    rows = [] if own is None else [(limit, CONTROL) for limit in own.items]
    rows.extend([(ceiling, ISSUER) for ceiling in policy.ceilings])
    found: list[tuple[Limit, Finding]] = []
    for limit, control in rows:
        if limit.period is not Period.TRANSACTION or not channels >> limit.channel & 1:
            continue
        if adds <= limit.value < standing_minor + adds:
            facts = _facts(limit, standing_minor, adds, state.settings.profile.currency)
            reason = Reason.OVER_TRANSACTION_LIMIT
            found.append((limit, Finding(Outcome.REFUSE, reason, control, facts)))
    return _smallest_of_each_slot(found)


def channels_of(request: Request, state: CardState) -> int:
    """The limit channels in which a debit counts: bit n = LimitChannel n; 0 for the rest."""
    if not request.is_debit:
        return 0
    channel = request.channel
    kind = request.kind
    is_unknown = channel is Channel.UNKNOWN
    mask = _ALL
    if channel is Channel.ATM or (
        is_unknown and (kind is Kind.CASH_WITHDRAWAL or kind is Kind.TRANSFER_OUT)
    ):
        mask |= _ATM
        if kind is Kind.CASH_WITHDRAWAL:
            mask |= _ATM_WITHDRAWAL
        elif kind is Kind.TRANSFER_OUT:
            mask |= _ATM_TRANSFER
    if channel is Channel.ONLINE or (is_unknown and kind is not Kind.CASH_WITHDRAWAL):
        mask |= _ONLINE
    if channel is Channel.QUICK_PAY or (is_unknown and kind is not Kind.CASH_WITHDRAWAL):
        mask |= _QUICK_PAY
    if channel is Channel.POS or (is_unknown and kind is not Kind.TRANSFER_OUT):
        mask |= _POS
        if request.medium is Medium.CONTACTLESS and not request.pin_entered:
            mask |= _CONTACTLESS_NO_PIN
    if request.is_abroad:
        mask |= _OVERSEAS
    return mask


def reports(
    policy: Policy,
    state: CardState,
    channels: int,
    moment: Moment,
    request: Request | None = None,
) -> tuple[LimitReport, ...]:
    """How full the limits of these channels are; each with the smaller of limit and ceiling.

    `state` is settled. For a limit of one transaction, `used` is the amount of `request` if one is
    given.
    """
    own = state.settings.controls.limits
    if (own is None and not policy.ceilings) or not channels:
        return ()
    amount_minor = 0 if request is None else max(billed_minor(state, request), 0)
    rows: list[LimitReport] = []
    items = () if own is None else own.items
    for limit in items:
        if channels >> limit.channel & 1:
            value = limit.value
            for ceiling in policy.ceilings:
                if ceiling.slot == limit.slot and ceiling.value < value:
                    value = ceiling.value
            rows.append(_report(limit, value, state, moment, amount_minor))
    for ceiling in policy.ceilings:
        if channels >> ceiling.channel & 1 and all(ceiling.slot != i.slot for i in items):
            report = _report(ceiling, ceiling.value, state, moment, amount_minor)
            rows.append(report)
    return tuple(rows)


def notice(policy: Policy, state: CardState, entry: Entry, moment: Moment) -> Noticed:
    """Tell when an approval brings a period to four fifths of a limit; for own limits only."""
    request = entry.command.request
    if not entry.limits or request is None or entry.outcome is not Outcome.APPROVE:
        return SILENT
    group = entry.group
    if group is None or state.settings.controls.limits is None:
        return SILENT
    is_increment = request.message_class is MessageClass.INCREMENT
    is_first = request.message_class is MessageClass.REQUEST and group.version == entry.version
    if not (is_increment or is_first):
        return SILENT
    amount_minor = max(billed_minor(state, request), 0)
    events: list[Event] = []
    for report in entry.limits:
        if not report.resets_ms:
            continue
        added = amount_minor if report.measure == Measure.AMOUNT else (0 if is_increment else 1)
        mark = report.limit * _NEARLY[0]
        if (report.used - added) * _NEARLY[1] < mark <= report.used * _NEARLY[1]:
            facts: EventFacts = {
                "tail": state.settings.profile.tail,
                "channel": LimitChannel(report.channel).name.lower(),
                "measure": Measure(report.measure).name.lower(),
                "period": Period(report.period).name.lower(),
                "used": report.used,
                "limit": report.limit,
                "resets_ms": report.resets_ms,
            }
            events.append(Event(EventKind.LIMIT_NEARLY_REACHED, facts))
    return Noticed(tuple(events)) if events else SILENT


def resets_ms(period: int, usage: Usage, moment: Moment, zone: Zone) -> int:
    """When the current window of a calendar period ends (UTC ms); 0 for the other periods.

    The counters may be in a later window than the moment, where the clock was set back.
    """
    if period == Period.DAY:
        day = max(usage.day, moment.day) + 1
    elif period == Period.WEEK:
        day = (max(usage.week, moment.week) + 1) * 7 - 3
    elif period == Period.MONTH:
        month = max(usage.month, moment.month) + 1
        day = day_number(month // 12, month % 12 + 1, 1)
    elif period == Period.YEAR:
        day = day_number(max(usage.year, moment.year) + 1, 1, 1)
    else:
        return 0
    return zone.first_instant_of_day(day)


def loosens(old: Limits | None, new: Limits | None) -> bool:
    """Whether any old limit is no longer held by the new ones, or refunds begin to give back.

    A limit may be replaced by a stricter one of a wider channel or a longer period: that tightens.
    """
    if new is not None and new.refunds_restore and (old is None or not old.refunds_restore):
        return True
    if old is None:
        return False
    if new is None:
        return True
    return not all_implied(new.items, old.items)


def _judge_one(
    limit: Limit,
    control: str,
    channels: int,
    amount_minor: int,
    policy: Policy,
    state: CardState,
    request: Request,
    moment: Moment,
    found: list[tuple[Limit, Finding]],
) -> None:
    """Add to `found` what one limit finds."""
    is_place_unknown = False
    if not channels >> limit.channel & 1:
        if limit.channel is not LimitChannel.OVERSEAS or request.is_domestic:
            return
        is_place_unknown = True
    is_amount = limit.measure is Measure.AMOUNT
    if not is_amount:
        # An increment is part of a transaction that was counted.
        adds = 0 if request.message_class is MessageClass.INCREMENT else 1
    elif amount_minor < 0:
        adds = 0
    else:
        adds = amount_minor
    used = used_of(limit, state.usage, moment)
    if is_amount and amount_minor < 0:
        outcome, reason = Outcome.REFUSE, Reason.BILLING_AMOUNT_MISSING
    elif used + adds <= limit.value or (not is_amount and adds == 0):
        return
    else:
        reasons = _OVER_AMOUNT if is_amount else _OVER_COUNT
        outcome, reason = Outcome.REFUSE, reasons[limit.period]
    if is_place_unknown:
        outcome, reason = policy.outcome_of_unknown_place(request.channel), Reason.LOCATION_UNKNOWN
        if outcome is Outcome.APPROVE:
            return
    facts = _facts(limit, used, adds, state.settings.profile.currency)
    found.append((limit, Finding(outcome, reason, control, facts)))


def _facts(limit: Limit, used: int, adds: int, currency: str) -> tuple[tuple[str, int | str], ...]:
    """The numbers that prove a finding about a limit."""
    facts: tuple[tuple[str, int | str], ...] = (
        ("channel", limit.channel.name.lower()),
        ("period", limit.period.name.lower()),
        ("measure", limit.measure.name.lower()),
        ("used", used),
        ("limit", limit.value),
        ("amount" if limit.measure is Measure.AMOUNT else "count", adds),
    )
    if limit.measure is Measure.AMOUNT:
        facts = (*facts, ("currency", currency))
    if limit.period is Period.ROLLING:
        facts = (*facts, ("seconds", limit.seconds))
    return facts


def used_of(limit: Limit, usage: Usage, moment: Moment) -> int:
    """What is used of a limit in its current window; 0 for limits of one transaction."""
    period = limit.period
    is_amount = limit.measure is Measure.AMOUNT
    if period is Period.TRANSACTION:
        return 0
    if period is Period.ROLLING:
        ends_ms = rolling_now_ms(usage, moment.now_ms)
        amount, count = rolling_used(usage, limit.channel, ends_ms - limit.seconds * 1000)
        return amount if is_amount else count
    spent = usage.by_channel[limit.channel]
    if period is Period.DAY:
        return spent.day_amount if is_amount else spent.day_count
    if period is Period.MONTH:
        return spent.month_amount if is_amount else spent.month_count
    if period is Period.WEEK:
        return spent.week_amount if is_amount else spent.week_count
    return spent.year_amount if is_amount else spent.year_count


def _smallest_of_each_slot(found: list[tuple[Limit, Finding]]) -> Findings:
    """One finding for each slot: where limit and ceiling are both exceeded, the smaller is told."""
    best: dict[tuple[int, int, int, int], tuple[Limit, Finding]] = {}
    for limit, finding in found:
        # That an amount is missing is said once.
        slot = limit.slot if finding.reason is not Reason.BILLING_AMOUNT_MISSING else _NO_SLOT
        known = best.get(slot)
        if known is None or limit.value < known[0].value:
            best[slot] = (limit, finding)
    return tuple([finding for _, finding in best.values()])


def _report(
    limit: Limit, value: int, state: CardState, moment: Moment, amount_minor: int
) -> LimitReport:
    """One line of `reports`."""
    used = used_of(limit, state.usage, moment)
    if limit.period is Period.TRANSACTION:
        used = amount_minor
    return LimitReport(
        int(limit.channel),
        int(limit.measure),
        int(limit.period),
        limit.seconds,
        used,
        value,
        resets_ms(limit.period, state.usage, moment, state.settings.profile.zone),
    )

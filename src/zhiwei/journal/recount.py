"""Recount: what every card has spent, counted again from its journal by other code.

It knows nothing of windows as numbers, bookings or usage: it keeps a list of what was spent on
which calendar day (by the standard library's own calendar and zones), takes away what was given
back, and adds up at the end. It is slow and plain on purpose; `verify` holds the stored counters
against it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final, final
from zoneinfo import ZoneInfo

from zhiwei.core.card_state import HOLDS_MAX, CardState
from zhiwei.core.command import Register
from zhiwei.core.controls import LimitChannel
from zhiwei.core.entry import Entry, Flag, Group, GroupState
from zhiwei.core.finding import Outcome
from zhiwei.core.policy import DEFAULT_POLICY, Policy
from zhiwei.core.request import Channel, Kind, Medium, MessageClass, Request

_SPENDING: Final = (
    Kind.PURCHASE,
    Kind.CASH_WITHDRAWAL,
    Kind.TRANSFER_OUT,
    Kind.PREAUTHORIZATION,
    Kind.COMPLETION,
)
#: What was spent longer ago than this can be in no current window.
_KEPT_DAYS: Final = 380
#: Day 0 of bookings, 1970-01-01, as the standard library counts days.
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_PERIODS: Final = ("day", "week", "month", "year")


@dataclass
class _Spend:
    """What one group spent on one day."""

    group: int
    day: date
    channels: frozenset[str]
    amount: int
    count: int


@dataclass
class _Account:
    """One card."""

    zone: ZoneInfo
    currency: str
    spends: list[_Spend] = field(default_factory=list)
    #: Instant at which each open pre-authorization lapses.
    lapses: dict[int, int] = field(default_factory=dict)
    #: The same for those that were completed or voided, should that be taken back.
    ended: dict[int, int] = field(default_factory=dict)
    #: The day that is counted in: none before the first spend, and from then on none that is
    #: earlier.
    day: date | None = None
    #: What stands approved of each group; a refund gives back what was spent and not this.
    approved: dict[int, int] = field(default_factory=dict)

    def of_group(self, group: int) -> list[_Spend]:
        """What a group spent, the latest first."""
        return [spend for spend in reversed(self.spends) if spend.group == group]

    def forget_before(self, ordinal: int) -> None:
        """Forget the groups of which nothing was spent since a day."""
        kept = {spend.group for spend in self.spends if spend.day.toordinal() >= ordinal}
        self.spends = [spend for spend in self.spends if spend.group in kept]
        self.approved = {g: minor for g, minor in self.approved.items() if g in kept}

    def end_hold(self, group: int) -> None:
        """A pre-authorization is not open any more."""
        if group in self.lapses:
            self.ended[group] = self.lapses.pop(group)

    def reduce(self, group: int, amount: int, count: int) -> None:
        """Give back at most `amount` and `count` of a group, the latest first."""
        for spend in self.of_group(group):
            back = min(amount, spend.amount)
            times = min(count, spend.count)
            spend.amount -= back
            spend.count -= times
            amount -= back
            count -= times


@final
class Recount:
    """Counts all cards of a journal; show it the entries in order."""

    def __init__(self, policy_of: Callable[[str], Policy | None] | None = None) -> None:
        self._policy_of: Final = policy_of or {DEFAULT_POLICY.version: DEFAULT_POLICY}.get
        self._accounts: Final[dict[bytes, _Account]] = {}

    def observe(self, card_key: bytes, entry: Entry) -> None:
        """Take in the card's next entry."""
        change = entry.command.change
        if isinstance(change, Register):
            profile = change.profile
            self._accounts[card_key] = _Account(ZoneInfo(profile.zone.name), profile.currency)
            return
        account = self._accounts.get(card_key)
        if account is None:
            return
        _lapse(account, entry.now_ms)
        if account.day is not None:
            account.day = max(account.day, _day(account, entry.now_ms))
        request = entry.command.request
        if request is not None and entry.outcome is Outcome.APPROVE:
            self._count(account, entry, request)
        oldest = account.day.toordinal() - _KEPT_DAYS if account.day is not None else 0
        if account.spends and account.spends[0].day.toordinal() < oldest:
            account.forget_before(oldest)

    def differences(self, card_key: bytes, state: CardState) -> list[str]:
        """How the counters of a file differ from this count, in words; empty = they agree."""
        account = self._accounts.get(card_key)
        if account is None:
            return ["no entry opened it"]
        counted = _totals(account, account.day or _day(account, state.last_ms))
        found: list[str] = []
        for channel in LimitChannel:
            name = channel.name.lower()
            spent = state.usage.by_channel[channel]
            stored = (
                (spent.day_amount, spent.day_count),
                (spent.week_amount, spent.week_count),
                (spent.month_amount, spent.month_count),
                (spent.year_amount, spent.year_count),
            )
            for period, pair in zip(_PERIODS, stored, strict=True):
                amount, count = counted.get((name, period), (0, 0))
                if (amount, count) != pair:
                    found.append(
                        f"its {name} {period} counter says amount {pair[0]} count {pair[1]},"
                        f" the journal adds up to {amount} and {count}"
                    )
        return found

    def _count(self, account: _Account, entry: Entry, request: Request) -> None:
        """Add or give back what an approved card message says."""
        group = entry.group
        if group is None or entry.flags & (Flag.NO_EFFECT | Flag.UNMATCHED):
            return
        is_reversal = request.message_class is MessageClass.REVERSAL
        if is_reversal or request.kind in (Kind.VOID, Kind.REFUND):
            _align(account, group)
        elif request.kind in _SPENDING:
            self._spend(account, entry, request)

    def _spend(self, account: _Account, entry: Entry, request: Request) -> None:
        group = entry.group
        assert group is not None
        billed = _billed(account, request)
        known = account.of_group(group.version)
        today = account.day or _day(account, entry.now_ms)
        account.day = today
        before = account.approved.get(group.version, 0)
        is_increment = request.message_class is MessageClass.INCREMENT
        account.approved[group.version] = before + billed if is_increment else billed
        if not known and group.version != entry.version:
            _recall(account, group)
            return
        if not known:
            account.spends.append(_Spend(group.version, today, _channels(request), billed, 1))
            if group.state is GroupState.HELD:
                policy = self._policy_of(entry.policy_version)
                hold_ms = DEFAULT_POLICY.hold_ms if policy is None else policy.hold_ms
                account.lapses[group.version] = entry.now_ms + hold_ms
                if len(account.lapses) > HOLDS_MAX:
                    # A file remembers no more; what it forgets never lapses, and stays counted.
                    del account.lapses[min(account.lapses, key=account.lapses.__getitem__)]
            return
        # A completion, or an advice of what was approved, says what is taken in all; what a refund
        # gave back before stays given back.
        more = billed if is_increment else billed - before
        if request.kind is Kind.COMPLETION and not is_increment:
            account.end_hold(group.version)
        if more < 0:
            account.reduce(group.version, -more, 0)
        elif more > 0:
            first = known[-1]
            account.spends.append(_Spend(group.version, today, first.channels, more, 0))


def _recall(account: _Account, group: Group) -> None:
    """Follow up a group that was spent too long ago to be kept: only what it spent today counts."""
    for booking in group.bookings:
        day = date.fromordinal(booking.day + _EPOCH_ORDINAL)
        names = [c.name.lower() for c in LimitChannel if booking.channels >> c & 1]
        spend = _Spend(group.version, day, frozenset(names), booking.amount_minor, booking.count)
        account.spends.append(spend)


def _align(account: _Account, group: Group) -> None:
    """Follow a void, refund or reversal: the group holds what its entry says, no more and no less.

    What is given back goes from the latest spend first; what stands again stands where it began.
    """
    known = account.of_group(group.version)
    if not known:
        return
    account.approved[group.version] = group.approved_minor
    first = known[-1]
    amount = sum(booking.amount_minor for booking in group.bookings)
    count = sum(booking.count for booking in group.bookings)
    more = amount - sum(spend.amount for spend in known)
    more_count = count - sum(spend.count for spend in known)
    account.reduce(group.version, max(-more, 0), max(-more_count, 0))
    first.amount += max(more, 0)
    first.count += max(more_count, 0)
    if group.state is not GroupState.HELD:
        account.end_hold(group.version)
    elif group.version in account.ended:
        account.lapses[group.version] = account.ended.pop(group.version)


def _lapse(account: _Account, now_ms: int) -> None:
    """Give back what lapsed pre-authorizations held."""
    for group, at_ms in list(account.lapses.items()):
        if at_ms <= now_ms:
            del account.lapses[group]
            account.spends = [spend for spend in account.spends if spend.group != group]


def _totals(account: _Account, today: date) -> dict[tuple[str, str], tuple[int, int]]:
    """Amount and count by channel and period, in the periods that hold `today`."""
    totals: dict[tuple[str, str], tuple[int, int]] = {}
    for spend in account.spends:
        for period in _PERIODS:
            if _label(spend.day, period) != _label(today, period):
                continue
            for channel in spend.channels:
                amount, count = totals.get((channel, period), (0, 0))
                totals[channel, period] = (amount + spend.amount, count + spend.count)
    return totals


def _label(day: date, period: str) -> str:
    """The name of the period that holds a day."""
    if period == "day":
        return day.isoformat()
    if period == "week":
        year, week, _ = day.isocalendar()
        return f"{year}-W{week}"
    return day.isoformat()[: 7 if period == "month" else 4]


def _day(account: _Account, at_ms: int) -> date:
    """The calendar day of an instant on the card's own clocks."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(account.zone).date()


def _billed(account: _Account, request: Request) -> int:
    """The amount in the card's own currency; 0 where nobody told it."""
    if request.billing_currency == account.currency and request.billing_amount_minor >= 0:
        return request.billing_amount_minor
    return request.amount_minor if request.currency == account.currency else 0


def _channels(request: Request) -> frozenset[str]:
    """The limit channels in which a spend counts, by name."""
    names = {"all"}
    cash, transfer = Kind.CASH_WITHDRAWAL, Kind.TRANSFER_OUT
    unknown = request.channel is Channel.UNKNOWN
    if request.channel is Channel.ATM or (unknown and request.kind in (cash, transfer)):
        names.add("atm")
        names |= {"atm_withdrawal"} if request.kind is cash else set()
        names |= {"atm_transfer"} if request.kind is transfer else set()
    if request.channel is Channel.POS or (unknown and request.kind is not transfer):
        names.add("pos")
        if request.medium is Medium.CONTACTLESS and not request.pin_entered:
            names.add("contactless_no_pin")
    if request.channel is Channel.ONLINE or (unknown and request.kind is not cash):
        names.add("online")
    if request.channel is Channel.QUICK_PAY or (unknown and request.kind is not cash):
        names.add("quick_pay")
    if request.country not in ("", "CHN"):
        names.add("overseas")
    return frozenset(names)

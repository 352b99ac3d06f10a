"""Usage: what a card has spent in the windows of now; the only code that adds to it or takes back.

Only the current day, week, month and year are kept: giving back goes to the window of the original,
and a window that is over is never asked again. All windows of a card share its zone, so four
numbers name them. Values are never changed, only replaced.
"""

from __future__ import annotations

from typing import Final, final

from zhiwei.core.controls import LimitChannel
from zhiwei.core.windows import Moment

CHANNELS: Final = len(LimitChannel)
#: A rolling window remembers at most this many spends; older ones are merged into their successor,
#: which can only make the count last longer, never shorter.
ROLLING_SPENDS_MAX: Final = 256


@final
class Spent:
    """Amount (minor units) and count that one limit channel used in its four current periods."""

    __slots__ = (
        "day_amount",
        "day_count",
        "month_amount",
        "month_count",
        "week_amount",
        "week_count",
        "year_amount",
        "year_count",
    )

    def __init__(
        self,
        day_amount: int,
        day_count: int,
        week_amount: int,
        week_count: int,
        month_amount: int,
        month_count: int,
        year_amount: int,
        year_count: int,
    ) -> None:
        self.day_amount: Final = day_amount
        self.day_count: Final = day_count
        self.week_amount: Final = week_amount
        self.week_count: Final = week_count
        self.month_amount: Final = month_amount
        self.month_count: Final = month_count
        self.year_amount: Final = year_amount
        self.year_count: Final = year_count


NOTHING_SPENT: Final = Spent(0, 0, 0, 0, 0, 0, 0, 0)


@final
class RollingSpend:
    """One spend that rolling windows still see.

    When it was, through which channels, how much and how many.
    """

    __slots__ = ("amount_minor", "at_ms", "channels", "count", "group")

    def __init__(
        self, at_ms: int, channels: int, amount_minor: int, count: int, group: int
    ) -> None:
        self.at_ms: Final = at_ms
        #: Bit n = LimitChannel n.
        self.channels: Final = channels
        self.amount_minor: Final = amount_minor
        self.count: Final = count
        #: Version of the authorization group that spent it; a give-back finds its spend by it.
        self.group: Final = group


@final
class Booking:
    """What an authorization group holds in the counters, and in which windows.

    It is all that can be given back.
    """

    __slots__ = ("amount_minor", "channels", "count", "day", "month", "week", "year")

    def __init__(
        self,
        amount_minor: int,
        count: int,
        channels: int,
        day: int,
        week: int,
        month: int,
        year: int,
    ) -> None:
        #: Minor units of the card's currency that are booked now.
        self.amount_minor: Final = amount_minor
        #: 1 while the group counts as a transaction, 0 after it was given back.
        self.count: Final = count
        #: Bit n = LimitChannel n.
        self.channels: Final = channels
        #: Windows in which the original was booked (see `Moment`).
        self.day: Final = day
        self.week: Final = week
        self.month: Final = month
        self.year: Final = year


@final
class Usage:
    """The counters of one card at one moment."""

    __slots__ = ("by_channel", "day", "month", "rolling", "week", "year")

    def __init__(
        self,
        day: int,
        week: int,
        month: int,
        year: int,
        by_channel: tuple[Spent, ...],
        rolling: tuple[RollingSpend, ...],
    ) -> None:
        #: The current windows: local day, week, month, year numbers as in `Moment`; all 0 until
        #: something was counted.
        self.day: Final = day
        self.week: Final = week
        self.month: Final = month
        self.year: Final = year
        #: Index = LimitChannel.
        self.by_channel: Final = by_channel
        #: Oldest first; kept only while some rolling limit is set.
        self.rolling: Final = rolling


UNUSED: Final = Usage(0, 0, 0, 0, (NOTHING_SPENT,) * CHANNELS, ())


def begun(usage: Usage, moment: Moment) -> Usage:
    """The counters with windows to book in: those of `moment` where nothing was ever counted."""
    if usage.day:
        return usage
    return Usage(
        moment.day, moment.week, moment.month, moment.year, usage.by_channel, usage.rolling
    )


def rolled(usage: Usage, moment: Moment) -> Usage:
    """The counters as of `moment`: periods that are over are empty again.

    Once something was counted, windows never roll back: a clock that is set back restores no limit
    (SEMANTICS 8). Until then there is nothing to restore, and the counters have no windows yet.
    """
    if moment.day <= usage.day or not usage.day:
        return usage
    new_week = moment.week > usage.week
    new_month = moment.month > usage.month
    new_year = moment.year > usage.year
    by_channel = tuple(
        NOTHING_SPENT
        if spent is NOTHING_SPENT
        else Spent(
            0,
            0,
            0 if new_week else spent.week_amount,
            0 if new_week else spent.week_count,
            0 if new_month else spent.month_amount,
            0 if new_month else spent.month_count,
            0 if new_year else spent.year_amount,
            0 if new_year else spent.year_count,
        )
        for spent in usage.by_channel
    )
    return Usage(moment.day, moment.week, moment.month, moment.year, by_channel, usage.rolling)


def moved(usage: Usage, booking: Booking, amount_minor: int, count: int) -> Usage:
    """The counters after adding (or, negative, giving back) to the windows of `booking`.

    A window of the booking that is no longer the current one is over, and nothing is done to it.
    """
    in_day = booking.day == usage.day
    in_week = booking.week == usage.week
    in_month = booking.month == usage.month
    in_year = booking.year == usage.year
    if not (in_day or in_week or in_month or in_year):
        return usage
    channels: list[Spent] = []
    bit = 1
    for spent in usage.by_channel:
        if booking.channels & bit:
            channels.append(
                Spent(
                    spent.day_amount + amount_minor if in_day else spent.day_amount,
                    spent.day_count + count if in_day else spent.day_count,
                    spent.week_amount + amount_minor if in_week else spent.week_amount,
                    spent.week_count + count if in_week else spent.week_count,
                    spent.month_amount + amount_minor if in_month else spent.month_amount,
                    spent.month_count + count if in_month else spent.month_count,
                    spent.year_amount + amount_minor if in_year else spent.year_amount,
                    spent.year_count + count if in_year else spent.year_count,
                )
            )
        else:
            channels.append(spent)
        bit <<= 1
    return Usage(usage.day, usage.week, usage.month, usage.year, tuple(channels), usage.rolling)


def rolling_added(usage: Usage, spend: RollingSpend, keep_after_ms: int) -> Usage:
    """The counters with one more spend in the rolling windows.

    What no window can see any more is forgotten.
    """
    kept = [old for old in usage.rolling if old.at_ms > keep_after_ms]
    kept.append(spend)
    while len(kept) > ROLLING_SPENDS_MAX:
        kept[0:2] = [_merged(kept[0], kept[1])]
    return Usage(usage.day, usage.week, usage.month, usage.year, usage.by_channel, tuple(kept))


def rolling_given_back(usage: Usage, group: int, amount_minor: int, count: int) -> Usage:
    """The counters after a group gave back `amount_minor` and `count` to the rolling windows."""
    if not usage.rolling:
        return usage
    left = amount_minor
    count_left = count
    spends: list[RollingSpend] = []
    for spend in usage.rolling:
        if spend.group == group and (left > 0 or count_left > 0):
            back = min(left, spend.amount_minor)
            back_count = min(count_left, spend.count)
            left -= back
            count_left -= back_count
            spends.append(
                RollingSpend(
                    spend.at_ms,
                    spend.channels,
                    spend.amount_minor - back,
                    spend.count - back_count,
                    spend.group,
                )
            )
        else:
            spends.append(spend)
    return Usage(usage.day, usage.week, usage.month, usage.year, usage.by_channel, tuple(spends))


def rolling_now_ms(usage: Usage, now_ms: int) -> int:
    """The instant at which rolling windows end; not before the latest spend they hold."""
    rolling = usage.rolling
    return max(rolling[-1].at_ms, now_ms) if rolling else now_ms


def rolling_used(usage: Usage, channel: int, after_ms: int) -> tuple[int, int]:
    """Amount and count that `channel` spent after an instant."""
    amount = 0
    count = 0
    bit = 1 << channel
    for spend in usage.rolling:
        if spend.at_ms > after_ms and spend.channels & bit:
            amount += spend.amount_minor
            count += spend.count
    return amount, count


def _merged(older: RollingSpend, newer: RollingSpend) -> RollingSpend:
    """Two spends as one at the later instant, in all channels of both: it can only count more."""
    return RollingSpend(
        newer.at_ms,
        older.channels | newer.channels,
        older.amount_minor + newer.amount_minor,
        older.count + newer.count,
        newer.group,
    )

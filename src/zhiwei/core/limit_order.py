"""Which of two limits holds the other: what a limit covers, by channel and by period."""

from __future__ import annotations

from typing import Final

from zhiwei.core.controls import Limit, LimitChannel, Period

#: Channels whose limits cover those of another: what counts in the key counts in the values too.
_COVERED_BY: Final = {
    LimitChannel.ATM_WITHDRAWAL: LimitChannel.ATM,
    LimitChannel.ATM_TRANSFER: LimitChannel.ATM,
}
#: Calendar periods that hold the whole of another: a year holds its months and days, never a whole
#: week.
_WITHIN: Final = {
    Period.DAY: frozenset((Period.DAY, Period.WEEK, Period.MONTH, Period.YEAR)),
    Period.WEEK: frozenset((Period.WEEK,)),
    Period.MONTH: frozenset((Period.MONTH, Period.YEAR)),
    Period.YEAR: frozenset((Period.YEAR,)),
}


def implies(new: Limit, old: Limit) -> bool:
    """Whether whatever `old` refuses is refused by `new` as well."""
    if new.measure is not old.measure or new.value > old.value:
        return False
    is_wider = (
        new.channel is old.channel
        or new.channel is LimitChannel.ALL
        or _COVERED_BY.get(old.channel) is new.channel
    )
    if not is_wider:
        return False
    if old.period is Period.TRANSACTION:
        return True
    if old.period is Period.ROLLING:
        return new.period is Period.ROLLING and new.seconds >= old.seconds
    return new.period in _WITHIN[old.period]


def all_implied(new: tuple[Limit, ...], old: tuple[Limit, ...]) -> bool:
    """Whether each old limit is still held by one of the new ones."""
    return all(any(implies(other, limit) for other in new) for limit in old)

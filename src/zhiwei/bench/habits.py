"""What the bench's cardholders have switched on: one table for every server that decides for them.

Our own store and the PostgreSQL peer are filled from the same habits, so both decide the same
questions. Amounts are minor units of the card's currency (CNY).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from zhiwei.bench.cards import PROVINCES, home_of, profile_of

#: Purchases by stripe above this are asked about (the regulation's 20,000.00 CNY).
STRIPE_THRESHOLD_MINOR: Final = 2_000_000
#: Merchant categories that careful cardholders close: gambling, quasi-cash.
CLOSED_CATEGORIES: Final = ("6051", "7995")
#: Profiles from this number on have cards without a chip: four in a hundred.
CHIPLESS_FROM: Final = 96


@dataclass(frozen=True)
class Habits:
    """The controls of one card."""

    has_chip: bool
    #: 止付: every debit is refused.
    is_stopped: bool
    #: 地区锁: provinces (GB/T 2260), empty = not locked.
    regions: tuple[str, ...]
    #: 境外锁: countries that stay open (ISO 3166-1 alpha-3), None = not locked.
    countries: tuple[str, ...] | None
    #: 夜间锁 over the hours that `night_hours` names.
    night_lock: bool
    transaction_limit_minor: int
    atm_day_limit_minor: int
    day_limit_minor: int
    month_limit_minor: int
    day_count_limit: int
    #: 大额消费核实: purchases above this are asked about; 0 = not set.
    large_spend_threshold_minor: int
    category_lock: bool
    #: 余额查询提醒 and 余额变动提醒.
    inquiry_alert: bool
    change_alert: bool


def habits_of(card: int) -> Habits:
    """Return the controls of a card: most cards have a few, a few have all, all have limits."""
    return _habits(profile_of(card), home_of(card))


@cache
def _habits(habit: int, home: int) -> Habits:
    """Return the controls of all cards with this profile and home; they share one value."""
    near = tuple(PROVINCES[(home + step) % len(PROVINCES)][0] for step in range(3))
    return Habits(
        has_chip=habit < CHIPLESS_FROM,
        is_stopped=habit == 0,
        regions=near if habit % 3 == 0 else (),
        countries=(("HKG", "MAC") if habit % 4 == 0 else ()) if habit % 2 == 0 else None,
        night_lock=habit % 2 == 1,
        transaction_limit_minor=5_000_000,
        atm_day_limit_minor=10_000_000,
        day_limit_minor=50_000_000,
        month_limit_minor=500_000_000,
        day_count_limit=5_000,
        large_spend_threshold_minor=500_000 if habit % 2 == 0 else 0,
        category_lock=habit % 5 == 0,
        inquiry_alert=habit % 3 != 2,
        change_alert=habit % 2 == 1,
    )


def has_chip(card: int) -> bool:
    """Say whether the card has a chip; four in a hundred still have not."""
    return profile_of(card) < CHIPLESS_FROM


def night_hours(hour_now: int) -> tuple[int, int]:
    """Choose the night lock's hours (start, end) so that no run of the bench falls into them.

    All cards have their zone's clock asked at every decision; whether the bench runs by day or by
    night must not change how many are refused. `hour_now` is the hour in the cards' zone.
    """
    return (hour_now + 8) % 24, (hour_now + 14) % 24

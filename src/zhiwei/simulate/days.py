"""Days: what the whole population does, in order of time, for as many days as are asked for.

A customer's day follows from the seed, the customer and the date alone, so a stream can begin at
any instant and is the same each time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from zhiwei.simulate.doings import ATM, Deed, Doing, How
from zhiwei.simulate.habits import DEPARTMENT_STORE, GAMES, HABITS, HOTEL, Habit
from zhiwei.simulate.people import Customer, Trade
from zhiwei.simulate.places import ABROAD, CITIES, City

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
#: All customers live by Beijing time, which has no summer time.
BEIJING_MS: Final = 8 * 3_600_000
#: Shops of one kind in a city; regulars go to the same few.
_SHOPS: Final = 40
#: Saturday is the fifth day of a week that begins on Monday.
_SATURDAY: Final = 5
#: Weeks in a thousand in which somebody is away, and for a traveller.
_AWAY: Final = 40
_TRAVELLER_AWAY: Final = 600
#: Trips in a thousand that go abroad.
_GOES_ABROAD: Final = 350
#: A night in a hotel, in fen.
_HOTEL_MINOR: Final = 68_000
#: Customers in a thousand whose card somebody else uses on a given day.
_STOLEN_PER_MILLE: Final = 30


@dataclass(frozen=True)
class Trip:
    """A few days away: Friday to Sunday; a traveller leaves on Tuesday."""

    city: City
    #: Days since 1970-01-01, first and last.
    first: int
    last: int


def local_day(at_ms: int) -> int:
    """Day number (0 = 1970-01-01) by Beijing time."""
    return (at_ms + BEIJING_MS) // DAY_MS


def instant(day: int, minute: int) -> int:
    """UTC ms of a minute after Beijing midnight; minutes past 1440 lie on the next day."""
    return day * DAY_MS - BEIJING_MS + minute * MINUTE_MS


def beijing(at_ms: int) -> datetime:
    """The instant as a clock in Beijing shows it (without a zone, to be formatted)."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at_ms + BEIJING_MS)


def stream(seed: int, customers: Sequence[Customer], from_ms: int) -> Iterator[Doing]:
    """Everything that the customers do from an instant on, in order of time, without end."""
    day = local_day(from_ms) - 1
    carried: list[Doing] = []
    while True:
        doings = carried
        for customer in customers:
            doings.extend(day_of(seed, customer, day))
        end_ms = instant(day + 1, 0)
        doings.sort(key=lambda doing: (doing.at_ms, doing.customer.number))
        # Nights belong to the day on which they began, so the last doings wait for the next day.
        yield from (d for d in doings if from_ms <= d.at_ms < end_ms)
        carried = [d for d in doings if d.at_ms >= end_ms]
        day += 1


def day_of(seed: int, customer: Customer, day: int) -> Iterator[Doing]:
    """What one customer does on one day, in no particular order."""
    rng = random.Random(f"day/{seed}/{customer.number}/{day}")  # noqa: S311 - seeded on purpose
    # 1970-01-01 was a Thursday.
    is_weekend = (day + 3) % 7 >= _SATURDAY
    trip = trip_of(seed, customer, day)
    city = customer.home if trip is None else trip.city
    for habit in HABITS[customer.trade]:
        chance = habit.weekend if is_weekend else habit.workday
        if rng.randrange(1000) < chance:
            yield _doing(rng, customer, habit, day, city)
    if rng.randrange(1000) < _STOLEN_PER_MILLE:
        yield from _thief(rng, customer, day)
    if trip is not None:
        yield from _hotel(rng, customer, trip, day)
    elif datetime.fromtimestamp(instant(day, 720) / 1000, UTC).day == customer.payday:
        yield from _payday(rng, customer, day)


def trip_of(seed: int, customer: Customer, day: int) -> Trip | None:
    """Where the customer is on this day, None at home."""
    week = (day + 3) // 7
    rng = random.Random(f"trip/{seed}/{customer.number}/{week}")  # noqa: S311 - seeded on purpose
    is_traveller = customer.trade is Trade.TRAVELLER
    if rng.randrange(1000) >= (_TRAVELLER_AWAY if is_traveller else _AWAY):
        return None
    elsewhere = [city for city in CITIES if city.province != customer.home.province]
    city = rng.choice(ABROAD if rng.randrange(1000) < _GOES_ABROAD else elsewhere)
    monday = week * 7 - 3
    first = monday + (1 if is_traveller else 4)
    trip = Trip(city, first, monday + 6 if not is_traveller else monday + 4)
    return trip if trip.first <= day <= trip.last else None


def _doing(rng: random.Random, customer: Customer, habit: Habit, day: int, city: City) -> Doing:
    at_ms = instant(day, 0) + rng.randrange(habit.first * MINUTE_MS, habit.last * MINUTE_MS)
    how = habit.how
    if not customer.has_chip and how in (How.CHIP, How.CONTACTLESS):
        how = How.STRIPE
    # Web shops and payment institutions stay at home when the customer travels.
    place = customer.home if how in (How.ONLINE, How.QUICK_PAY) else city
    shop = replace(habit.shop, number=1 + rng.randrange(_SHOPS))
    amount = 0
    if habit.median_minor:
        fen = int(habit.median_minor * rng.lognormvariate(0, 0.45))
        amount = place.local_minor(fen, habit.step_minor)
    return Doing(at_ms, customer, habit.deed, how, shop, place, amount)


def _thief(rng: random.Random, customer: Customer, day: int) -> Iterator[Doing]:
    """Somebody else's hands: a copied card elsewhere at night, or a stolen number online."""
    minute = rng.randrange(1290, 1500)
    how = How.CHIP if customer.has_chip else How.STRIPE
    draw = rng.randrange(3)
    if draw == 0:
        city = rng.choice([one for one in CITIES if one.province != customer.home.province])
        machine = replace(ATM, number=1 + rng.randrange(_SHOPS))
        yield Doing(instant(day, minute), customer, Deed.INQUIRY, how, machine, city)
        cash = rng.randrange(200_000, 1_000_000, 10_000)
        yield Doing(instant(day, minute + 1), customer, Deed.CASH, how, machine, city, cash)
    elif draw == 1:
        city = rng.choice(ABROAD)
        amount = city.local_minor(rng.randrange(200_000, 900_000), 100)
        yield Doing(
            instant(day, minute), customer, Deed.PURCHASE, how, DEPARTMENT_STORE, city, amount
        )
    else:
        for attempt in range(3):
            amount = rng.randrange(50_000, 400_000)
            at_ms = instant(day, minute + attempt)
            yield Doing(at_ms, customer, Deed.PURCHASE, How.QUICK_PAY, GAMES, customer.home, amount)


def _hotel(rng: random.Random, customer: Customer, trip: Trip, day: int) -> Iterator[Doing]:
    """A hotel holds an amount on the first day and takes it on the last."""
    how = How.CHIP if customer.has_chip else How.STRIPE
    shop = replace(HOTEL, number=1 + customer.number % _SHOPS)
    nights = trip.last - trip.first
    amount = trip.city.local_minor(_HOTEL_MINOR * nights, 1)
    if day == trip.first:
        at_ms = instant(day, rng.randrange(900, 1300))
        yield Doing(at_ms, customer, Deed.PREAUTHORIZATION, how, shop, trip.city, amount)
    elif day == trip.last:
        at_ms = instant(day, rng.randrange(480, 660))
        spent = amount * rng.randrange(70, 101) // 100
        yield Doing(at_ms, customer, Deed.COMPLETION, how, shop, trip.city, spent)


def _payday(rng: random.Random, customer: Customer, day: int) -> Iterator[Doing]:
    """On payday people look whether the money came, and take some out."""
    how = How.CHIP if customer.has_chip else How.STRIPE
    shop = replace(ATM, number=1 + customer.number % _SHOPS)
    minute = rng.randrange(540, 1200)
    yield Doing(instant(day, minute), customer, Deed.INQUIRY, how, shop, customer.home)
    cash = max(10_000, customer.income_minor // 5 // 10_000 * 10_000)
    yield Doing(
        instant(day, minute + 1), customer, Deed.CASH, how, shop, customer.home, min(cash, 300_000)
    )

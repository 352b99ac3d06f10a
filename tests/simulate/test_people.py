"""The simulated customers and their days: seeded, believable, and never issued card numbers."""

from __future__ import annotations

from itertools import islice

import pytest
from tests.house.leftovers import passes_luhn

from zhiwei.core.documents import control_from
from zhiwei.core.place import COUNTRY_BY_NUMBER, PROVINCES
from zhiwei.simulate.days import beijing, day_of, instant, stream, trip_of
from zhiwei.simulate.doings import Deed, How
from zhiwei.simulate.people import CUSTOMERS_MAX, Trade, card_number, population
from zhiwei.simulate.places import ABROAD, CITIES

#: Monday 2026-11-23, a day number.
MONDAY = 20_780


def test_the_same_seed_gives_the_same_people() -> None:
    """A population follows from its seed alone, and a larger one begins with the smaller."""
    assert population(7, 40) == population(7, 40)
    assert population(7, 40)[:10] == population(7, 10)
    assert [c.pan for c in population(7, 10)] != [c.pan for c in population(8, 10)]


def test_card_numbers_are_of_the_test_range() -> None:
    """Every card begins with the reserved 62 0000, has its check digit, and is unlike others."""
    cards = [customer.pan for seed in (1, 2, 3999) for customer in population(seed, 200)]
    assert all(pan.startswith("620000") and len(pan) == 16 for pan in cards)
    assert all(passes_luhn(pan) for pan in cards)
    assert len(set(cards)) == len(cards)
    assert card_number(1, CUSTOMERS_MAX - 1) < card_number(2, 0)


def test_no_repr_shows_a_card_number() -> None:
    """Neither the number nor what it is made from is in the text of a customer."""
    customer = population(3, 1)[0]
    assert customer.pan not in repr(customer)
    assert str(customer.card) not in repr(customer)


@pytest.mark.parametrize("count", [0, -1, CUSTOMERS_MAX + 1])
def test_a_population_has_bounds(count: int) -> None:
    """Nobody, and more people than a seed has cards for, is an error."""
    with pytest.raises(ValueError, match="customers"):
        population(1, count)


def test_every_control_is_one_that_may_be_set() -> None:
    """What people have switched on is what the core accepts."""
    kinds = set()
    for customer in population(5, 300):
        for kind, document in customer.controls:
            control_from(kind, document)
            kinds.add(kind)
    assert {"region_lock", "overseas_lock", "night_lock", "online_lock", "limits"} <= kinds


def test_cities_are_where_they_say() -> None:
    """Provinces and countries exist, and abroad the region is a zero and the country's number."""
    assert all(city.province in PROVINCES and not city.is_abroad for city in CITIES)
    for city in ABROAD:
        assert city.region == f"0{city.country}"
        assert COUNTRY_BY_NUMBER[city.country].alpha2 == city.letters


def test_money_abroad_comes_back_as_it_went() -> None:
    """An amount turned into local money and billed again differs by less than its rounding."""
    for city in (*CITIES, *ABROAD):
        billed = city.billed_minor(city.local_minor(100_000))
        assert abs(billed - 100_000) <= 1_000, city.en


def test_a_stream_is_in_order_and_seeded() -> None:
    """Doings come in order of time, none before the beginning, the same each time."""
    people = population(11, 30)
    begin = instant(MONDAY, 7 * 60)
    first = list(islice(stream(11, people, begin), 600))
    assert first == list(islice(stream(11, people, begin), 600))
    instants = [doing.at_ms for doing in first]
    assert instants == sorted(instants)
    assert instants[0] >= begin


def test_a_stream_may_begin_at_any_instant() -> None:
    """Beginning later gives the rest of the same stream."""
    people = population(11, 20)
    whole = list(islice(stream(11, people, instant(MONDAY, 0)), 400))
    later = whole[150].at_ms
    rest = list(islice(stream(11, people, later), 100))
    assert rest == [doing for doing in whole if doing.at_ms >= later][:100]


def test_a_day_is_believable() -> None:
    """By day there is more than by night; commuters ride, machines give whole notes."""
    people = population(2, 400)
    doings = [doing for customer in people for doing in day_of(2, customer, MONDAY)]
    night = [doing for doing in doings if beijing(doing.at_ms).hour in (2, 3)]
    evening = [doing for doing in doings if beijing(doing.at_ms).hour in (17, 18)]
    assert len(evening) > 5 * len(night) > 0
    for doing in doings:
        if doing.deed is Deed.CASH and not doing.city.is_abroad:
            assert doing.amount_minor % 10_000 == 0
        assert (doing.amount_minor == 0) == (doing.deed is Deed.INQUIRY)
        if not doing.customer.has_chip:
            assert doing.how not in (How.CHIP, How.CONTACTLESS)


def test_travellers_travel_and_hotels_complete() -> None:
    """Whoever is away acts there, holds a hotel on the first day and completes it on the last."""
    traveller = next(c for c in population(4, 20) if c.trade is Trade.TRAVELLER)
    week = next(
        first for first in range(MONDAY, MONDAY + 700, 7) if trip_of(4, traveller, first + 1)
    )
    trip = trip_of(4, traveller, week + 1)
    assert trip is not None
    days = [list(day_of(4, traveller, day)) for day in range(trip.first, trip.last + 1)]
    assert any(doing.deed is Deed.PREAUTHORIZATION for doing in days[0])
    assert any(doing.deed is Deed.COMPLETION for doing in days[-1])
    present = [d for day in days for d in day if d.how in (How.CHIP, How.CONTACTLESS)]
    assert present
    assert {doing.city for doing in present} == {trip.city}
    assert trip_of(4, traveller, trip.last + 1) is None

"""Windows, calendars and zones agree with the standard library's own."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.strategies import ZONES, windows

from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.windows import (
    HOUR_MS,
    NIGHT,
    DailyWindow,
    Moment,
    day_number,
    year_and_month,
)
from zhiwei.core.zone import DAY_MS, Zone, zone_named, zones_come_from
from zhiwei.zones import load_zone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: 2000 to 2100, the years that zone tables know.
FIRST_MS = 946_684_800_000
LAST_MS = 4_102_444_800_000


def local(instant_ms: int, zone: Zone) -> datetime:
    """The wall clock by the standard library."""
    return (EPOCH + timedelta(milliseconds=instant_ms)).astimezone(ZoneInfo(zone.name))


@given(st.integers(-700_000, 2_900_000))
def test_the_calendar_is_that_of_the_standard_library(day: int) -> None:
    """Year and month of a day number, and the day number of a date."""
    known = date(1970, 1, 1).toordinal() + day
    if known < 1:
        return
    on = date.fromordinal(known)
    assert year_and_month(day) == (on.year, on.month)
    assert day_number(on.year, on.month, on.day) == day


@given(st.sampled_from(ZONES), st.integers(FIRST_MS, LAST_MS))
def test_a_moment_is_what_the_cards_wall_clock_shows(zone: Zone, now_ms: int) -> None:
    """Day, week from Monday, month, year and time of day."""
    moment = Moment(now_ms, zone)
    wall = local(now_ms, zone)
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    assert moment.day == wall.date().toordinal() - date(1970, 1, 1).toordinal()
    assert moment.month == wall.year * 12 + wall.month - 1
    assert moment.year == wall.year
    since_midnight = wall.replace(tzinfo=None) - midnight
    assert moment.time_of_day_ms == since_midnight // timedelta(milliseconds=1)
    monday = wall.date() - timedelta(days=wall.weekday())
    assert moment.week * 7 - 3 == monday.toordinal() - date(1970, 1, 1).toordinal()


def agrees(name: str, instants: list[int]) -> None:
    """The table of a zone says what the standard library says."""
    zone = load_zone(name)
    assert zone is not None, name
    info = ZoneInfo(name)
    for start in zone.starts_ms[1:60]:
        instants += [start - 1, start, start + HOUR_MS]
    for instant in instants:
        known = (EPOCH + timedelta(milliseconds=instant)).astimezone(info).utcoffset()
        assert known is not None
        assert zone.offset_ms(instant) == known // timedelta(milliseconds=1), (name, instant)


def test_zones_are_read_as_the_standard_library_reads_them() -> None:
    """Every tenth name, on days spread over a century, and around changes."""
    for name in sorted(available_timezones())[::10]:
        agrees(name, [FIRST_MS + n * 97 * 12 * HOUR_MS for n in range(300)])


@pytest.mark.slow
def test_no_zone_changes_twice_within_the_stride_of_the_table() -> None:
    """Every zone on every day of the years that matter most."""
    for name in sorted(available_timezones()):
        agrees(name, list(range(FIRST_MS, FIRST_MS + 40 * 366 * DAY_MS, DAY_MS)))


@given(
    st.sampled_from(
        [*ZONES, *(z for n in ("America/Santiago", "Pacific/Apia") if (z := load_zone(n)))]
    ),
    st.integers(11_000, 47_000),
)
def test_the_first_instant_of_a_day_is_its_first(zone: Zone, day: int) -> None:
    """One millisecond before, it was an earlier day; also where midnight itself is skipped."""
    first = zone.first_instant_of_day(day)
    # Samoa had no 30 December 2011: its first instant is then that of the day after.
    assert zone.local_ms(first) // DAY_MS >= day
    assert zone.local_ms(first - 1) // DAY_MS < day


def test_the_day_that_samoa_left_out_begins_with_the_next() -> None:
    """30 December 2011 did not happen in Apia."""
    zone = load_zone("Pacific/Apia")
    assert zone is not None
    missing = day_number(2011, 12, 30)
    assert zone.first_instant_of_day(missing) == zone.first_instant_of_day(missing + 1)


def test_instants_before_the_table_have_its_first_offset() -> None:
    """The database is read from the year 2000 on; earlier, the first offset holds."""
    berlin = ZONES[1]
    assert berlin.offset_ms(0) == HOUR_MS
    assert Zone("Fixed", [1000], [HOUR_MS]).local_ms(0) == HOUR_MS
    assert Zone("Two", [1000, 2000], [0, HOUR_MS]).first_instant_of_day(-30_000) == -30_000 * DAY_MS


def test_a_zone_is_known_by_name_and_loaded_once() -> None:
    """The same value for the same name; an unknown name is an error that says so."""
    zones_come_from(load_zone)
    assert zone_named("Asia/Tokyo") is zone_named("Asia/Tokyo")
    with pytest.raises(NotAllowedValueError, match="`Mars/Olympus` is not a time zone") as caught:
        zone_named("Mars/Olympus")
    assert (caught.value.pointer, caught.value.code) == ("/time_zone", "unknown_time_zone")


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../zoneinfo/Asia/Tokyo", "America", "x\0y"])
def test_what_is_no_zone_is_not_loaded(name: str) -> None:
    """Paths and folders of the database are not zones."""
    assert load_zone(name) is None


@given(windows(), windows(), st.lists(st.integers(0, DAY_MS - 1), min_size=8, max_size=8))
def test_a_window_that_covers_another_holds_all_its_times(
    one: DailyWindow, other: DailyWindow, times: list[int]
) -> None:
    """Checked at random times and at every hour and its last millisecond."""
    probes = times + [h * HOUR_MS for h in range(24)] + [h * HOUR_MS - 1 for h in range(1, 25)]
    inside = [t for t in probes if other.contains(t)]
    assert one.covers(other) == all(one.contains(t) for t in inside)


def test_the_night_is_from_23_to_5() -> None:
    """Its start is inside and its end is outside."""
    assert (NIGHT.start_ms, NIGHT.end_ms) == (23 * HOUR_MS, 5 * HOUR_MS)
    inside = [23 * HOUR_MS, DAY_MS - 1, 0, 5 * HOUR_MS - 1]
    outside = [23 * HOUR_MS - 1, 5 * HOUR_MS, 12 * HOUR_MS]
    assert [NIGHT.contains(t) for t in inside] == [True] * 4
    assert [NIGHT.contains(t) for t in outside] == [False] * 3


@pytest.mark.parametrize(
    ("start", "end", "pointer"),
    [
        (-1, 5, "/start"),
        (DAY_MS, 5, "/start"),
        (0, -1, "/end"),
        (0, DAY_MS + 1, "/end"),
        (7, 7, "/end"),
    ],
)
def test_a_window_lies_within_a_day_and_is_not_empty(start: int, end: int, pointer: str) -> None:
    """The error names the field at fault."""
    with pytest.raises(NotAllowedValueError) as caught:
        DailyWindow(start, end)
    assert caught.value.pointer == pointer

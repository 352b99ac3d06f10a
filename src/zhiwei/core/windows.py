"""Windows of time in the card's own zone: days, weeks, months, years, and hours of the night.

Midnight belongs to the card's zone. A calendar period is named by one whole number (its ordinal),
so that two instants lie in the same period exactly when their numbers are equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.zone import DAY_MS, Zone

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000


def year_and_month(day: int) -> tuple[int, int]:
    """Civil year and month (1-12) of a day number (0 = 1970-01-01), proleptic Gregorian.

    The calendar is counted in eras of 400 years that begin on 1 March, which puts the leap day
    last.
    """
    shifted = day + 719_468
    era = shifted // 146_097
    day_of_era = shifted - era * 146_097
    year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    return year, month


def day_number(year: int, month: int, day_of_month: int) -> int:
    """Day number (0 = 1970-01-01) of a civil date; the inverse of `year_and_month`."""
    shifted_year = year - 1 if month <= 2 else year
    era = shifted_year // 400
    year_of_era = shifted_year - era * 400
    shifted_month = month - 3 if month > 2 else month + 9
    day_of_year = (153 * shifted_month + 2) // 5 + day_of_month - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - 719_468


@final
class Moment:
    """One instant as the card sees it.

    UTC ms, and the local day, week, month, year and time of day.
    """

    __slots__ = ("day", "month", "now_ms", "time_of_day_ms", "week", "year")

    def __init__(self, now_ms: int, zone: Zone) -> None:
        local = zone.local_ms(now_ms)
        day = local // DAY_MS
        year, month = year_and_month(day)
        #: The instant, UTC epoch milliseconds.
        self.now_ms: Final = now_ms
        #: Local milliseconds since local midnight, by the wall clock.
        self.time_of_day_ms: Final = local - day * DAY_MS
        #: Local day number, 0 = 1970-01-01.
        self.day: Final = day
        #: Week number; weeks begin on Monday. Day 0 was a Thursday.
        self.week: Final = (day + 3) // 7
        #: Month number: year * 12 + month - 1.
        self.month: Final = year * 12 + month - 1
        #: Civil year.
        self.year: Final = year


@dataclass(frozen=True)
class DailyWindow:
    """Hours of each day, `[start, end)` by the wall clock; may cross midnight.

    A window that crosses midnight belongs to the day on which it starts.
    """

    #: Milliseconds after local midnight at which the window opens (inside it).
    start_ms: int
    #: Milliseconds after local midnight at which the window closes (outside it); up to 24:00.
    end_ms: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_ms < DAY_MS:
            raise NotAllowedValueError("/start", "bad_time", "start must lie in 00:00-23:59:59")
        if not 0 <= self.end_ms <= DAY_MS:
            raise NotAllowedValueError("/end", "bad_time", "end must lie in 00:00-24:00")
        if self.start_ms == self.end_ms:
            raise NotAllowedValueError("/end", "empty_window", "start and end must differ")

    def contains(self, time_of_day_ms: int) -> bool:
        """Whether a wall-clock time lies inside: the start does, the end does not."""
        if self.start_ms < self.end_ms:
            return self.start_ms <= time_of_day_ms < self.end_ms
        return time_of_day_ms >= self.start_ms or time_of_day_ms < self.end_ms

    def covers(self, other: DailyWindow) -> bool:
        """Whether every time of `other` lies in this window too."""
        return all(any(a <= c and d <= b for a, b in self._arcs()) for c, d in other._arcs())

    def _arcs(self) -> list[tuple[int, int]]:
        """The window as stretches of one day that do not cross midnight."""
        if self.start_ms < self.end_ms:
            return [(self.start_ms, self.end_ms)]
        arcs = [(self.start_ms, DAY_MS)]
        if self.end_ms > 0:
            arcs.append((0, self.end_ms))
        return arcs


#: The night of the source: 23:00:00 inside, 05:00:00 outside [ICBC 2017: 23:00 to 5:00 the next
#: day].
NIGHT: Final = DailyWindow(23 * HOUR_MS, 5 * HOUR_MS)

"""Zones: the IANA database as tables for the core, which reads no files itself.

Importing this module tells the core where zones come from.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from zhiwei.core.zone import Zone, zones_come_from

#: Offsets are known between these years; outside them the nearest one holds.
FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2100
#: No zone has changed its offset twice within this time since FIRST_YEAR (tests/core walks all of
#: them).
_STRIDE: Final = timedelta(days=4)
_MILLISECOND: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def load_zone(name: str) -> Zone | None:
    """The table of a zone, None where the database has none of that name."""
    try:
        info = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
    instant = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
    end = datetime(LAST_YEAR, 1, 1, tzinfo=UTC)
    offset = _offset(instant, info)
    starts = [instant]
    offsets = [offset]
    while instant < end:
        later = instant + _STRIDE
        if _offset(later, info) != offset:
            change = _change_between(instant, later, info)
            starts.append(change)
            offset = _offset(change, info)
            offsets.append(offset)
        instant = later
    return Zone(
        name, [(s - _EPOCH) // _MILLISECOND for s in starts], [o // _MILLISECOND for o in offsets]
    )


def _change_between(before: datetime, after: datetime, info: ZoneInfo) -> datetime:
    """The first whole second after `before` at which the offset differs."""
    offset = _offset(before, info)
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(before + timedelta(seconds=middle), info) == offset:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)


def _offset(instant: datetime, info: ZoneInfo) -> timedelta:
    """Offset east of UTC at an instant."""
    offset = instant.astimezone(info).utcoffset()
    assert offset is not None, "a ZoneInfo always knows its offset"
    return offset


zones_come_from(load_zone)

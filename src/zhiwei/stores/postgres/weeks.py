"""Weeks: the partitions of what is only appended. An old week is dropped, not deleted row by row.

A week begins on Thursday at midnight UTC, since that is how the epoch began.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

WEEK_MS: Final = 7 * 86_400_000
#: Tables that are partitioned.
PARTITIONED: Final = ("journal", "event")
#: Beyond these no week has a name (years 1000 to 9999).
_FIRST: Final = -50_600
_LAST: Final = 418_980


def week_of(instant_ms: int) -> int:
    """Number of the week of an instant, counted from the epoch."""
    return instant_ms // WEEK_MS


def is_nameable(week: int) -> bool:
    """Whether the week lies in the years that a calendar has."""
    return _FIRST <= week <= _LAST


def partition_name(table: str, week: int) -> str:
    """Name of a table's partition: that of the table and its first day, `journal_from_20251120`."""
    first_day = datetime.fromtimestamp(week * WEEK_MS // 1000, UTC)
    return f"{table}_from_{first_day:%Y%m%d}"


def week_named(name: str) -> int | None:
    """The week of a partition's name; None where it is none of ours."""
    table, _, day = name.rpartition("_from_")
    if table not in PARTITIONED or not (day.isascii() and day.isdigit() and len(day) == 8):
        return None
    try:
        first_day = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return week_of(int(first_day.timestamp()) * 1000)


def statements_to_make(table: str, week: int) -> tuple[str, str]:
    """Make the partition and attach it.

    Attaching a finished table waits for nobody and keeps nobody; making it in place would lock the
    whole table, and a dump that runs for an hour would hold up every decision behind it.
    """
    name = partition_name(table, week)
    first, after = week * WEEK_MS, (week + 1) * WEEK_MS
    return (
        f"create table {name} (like {table} including defaults including constraints)",
        f"alter table {table} attach partition {name} for values from ({first}) to ({after})",
    )

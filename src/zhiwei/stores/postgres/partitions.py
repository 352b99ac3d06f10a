"""Partitions: which weeks the database has room for, and making more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, final

from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.postgres import asks
from zhiwei.stores.postgres.line import Line
from zhiwei.stores.postgres.weeks import (
    PARTITIONED,
    is_nameable,
    partition_name,
    statements_to_make,
    week_of,
)


@final
class Partitions:
    """The weeks that are known to be there."""

    def __init__(self) -> None:
        self._weeks: Final[set[int]] = set()

    def missing(self, instants_ms: Iterable[int]) -> set[int]:
        """Weeks of these instants that are not known to be there."""
        return {week_of(instant_ms) for instant_ms in instants_ms} - self._weeks

    def missing_soon(self, clock_ms: int) -> set[int]:
        """The week of now and the next one, as far as they are missing."""
        week = week_of(clock_ms)
        return {week, week + 1} - self._weeks

    def forget(self) -> None:
        """Somebody dropped a week: look again."""
        self._weeks.clear()

    async def make(self, line: Line, weeks: set[int], seconds: float) -> None:
        """Make what is missing; another server may do the same.

        Raises:
            StoreUnavailableError: a clock is out of its mind.
            LineLostError, StatementError: it did not succeed.
        """
        if not all(is_nameable(week) for week in weeks):
            raise StoreUnavailableError("the clock is centuries away; set it right")
        _, _, there = await line.trip([asks.BEGIN, asks.ONE_AT_A_TIME, asks.PARTITIONS], seconds)
        names = {row[0].decode() for row in there.rows() if row[0] is not None}
        statements: list[str] = []
        for week in sorted(weeks):
            for table in PARTITIONED:
                if partition_name(table, week) not in names:
                    statements.extend(statements_to_make(table, week))
        await line.run([*statements, "commit"], seconds)
        self._weeks.update(weeks)

"""A time zone as data: when its offset changed, and to what.

The zone database is a file, and the core reads no files; the assembly builds these tables once and
hands them in. China has no daylight saving, but the card of a customer abroad may live in a zone
that has.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Final, final

from zhiwei.core.errors import NotAllowedValueError

DAY_MS: Final = 86_400_000


@final
class Zone:
    """An IANA zone.

    `local_ms` turns an instant (UTC epoch ms) into wall-clock ms since 1970-01-01.
    """

    __slots__ = ("name", "offsets_ms", "starts_ms")

    def __init__(self, name: str, starts_ms: list[int], offsets_ms: list[int]) -> None:
        #: IANA name, for example `Asia/Shanghai`.
        self.name: Final = name
        #: Instants (UTC ms, ascending) from which the offset of the same index holds.
        self.starts_ms: Final = starts_ms
        #: Offsets east of UTC in ms; the first one holds before the first instant as well.
        self.offsets_ms: Final = offsets_ms

    def offset_ms(self, instant_ms: int) -> int:
        """Offset east of UTC in force at the instant."""
        if instant_ms >= self.starts_ms[-1]:
            return self.offsets_ms[-1]
        index = bisect_right(self.starts_ms, instant_ms) - 1
        return self.offsets_ms[max(0, index)]

    def local_ms(self, instant_ms: int) -> int:
        """Wall-clock milliseconds since 1970-01-01T00:00 on this zone's own clocks."""
        return instant_ms + self.offset_ms(instant_ms)

    def first_instant_of_day(self, day: int) -> int:
        """The first instant (UTC ms) whose local day number is `day`.

        Where a change of offset skips midnight, the day begins at the change.
        """
        midnight = day * DAY_MS
        if midnight - 2 * DAY_MS >= self.starts_ms[-1]:
            # Nothing changes any more; so it is for most zones, on every day of now.
            return midnight - self.offsets_ms[-1]
        # Offsets lie within a day of UTC, so every change that can matter lies near this guess.
        guess = midnight - self.offset_ms(midnight)
        first = bisect_right(self.starts_ms, guess - DAY_MS) - 1
        last = bisect_right(self.starts_ms, guess + DAY_MS)
        index = max(first, 0)
        if last - index <= 1:
            return midnight - self.offsets_ms[index]
        candidates = [guess]
        while index < last:
            candidates.append(self.starts_ms[index])
            candidates.append(midnight - self.offsets_ms[index])
            index += 1
        return min([c for c in candidates if self.local_ms(c) // DAY_MS >= day])


_known: Final[dict[str, Zone]] = {}
_sources: Final[list[Callable[[str], Zone | None]]] = []


def zones_come_from(source: Callable[[str], Zone | None]) -> None:
    """Say where zones come from.

    Called once when the house is put together, before any name is asked.
    """
    _sources[:] = [source]


def zone_named(name: str) -> Zone:
    """The zone of an IANA name; the same value for the same name.

    Raises:
        NotAllowedValueError: there is no such zone.
    """
    found = _known.get(name)
    if found is not None:
        return found
    for source in _sources:
        zone = source(name)
        if zone is not None:
            _known[name] = zone
            return zone
    message = f"`{name[:40]}` is not a time zone like `Asia/Shanghai`"
    raise NotAllowedValueError("/time_zone", "unknown_time_zone", message)

"""Tiles: the 34 provincial units of China as a grid of equal squares.

Every unit is equally visible, and there is no boundary to be drawn. Columns count from the west,
rows from the north; neighbours are near each other, as far as squares allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from zhiwei.core.place import PROVINCES
from zhiwei.web.console.sums import Sum

#: GB/T 2260 code: column, row; both count from 1.
CELLS: Final[dict[str, tuple[int, int]]] = {
    "23": (9, 1),
    "15": (7, 2),
    "22": (9, 2),
    "65": (1, 3),
    "62": (4, 3),
    "64": (5, 3),
    "14": (6, 3),
    "11": (7, 3),
    "21": (9, 3),
    "63": (3, 4),
    "61": (5, 4),
    "13": (7, 4),
    "12": (8, 4),
    "41": (6, 5),
    "37": (8, 5),
    "54": (2, 5),
    "51": (4, 5),
    "50": (5, 5),
    "42": (6, 6),
    "34": (7, 6),
    "32": (8, 6),
    "31": (9, 6),
    "53": (4, 7),
    "52": (5, 7),
    "43": (6, 7),
    "36": (7, 7),
    "33": (8, 7),
    "45": (5, 8),
    "44": (6, 8),
    "35": (7, 8),
    "71": (9, 8),
    "46": (5, 9),
    "82": (6, 9),
    "81": (7, 9),
}
#: Units that are 境外 for the locks; their decisions are counted by the letters of ISO 3166.
_OUTSIDE: Final = {
    "71": ("台湾", "Taiwan", "TWN"),
    "81": ("香港", "Hong Kong", "HKG"),
    "82": ("澳门", "Macao", "MAC"),
}
#: Steps of shade; the number in the tile says it exactly.
SHADES: Final = 5


@dataclass(frozen=True)
class Tile:
    """One square."""

    code: str
    zh: str
    en: str
    column: int
    row: int
    total: int
    stopped: int
    #: 0 = none was stopped, up to SHADES.
    shade: int
    #: Query value by which its decisions are found.
    place: str


def tiles(by_place: Sequence[Sum]) -> list[Tile]:
    """All 34, north first."""
    known = {one.value: one for one in by_place}
    nothing = Sum("", 0, 0, 0)
    places = {*PROVINCES, *(letters for _, _, letters in _OUTSIDE.values())}
    most = max((one.stopped for one in by_place if one.value in places), default=0)
    made: list[Tile] = []
    for code, (column, row) in sorted(CELLS.items(), key=lambda item: (item[1][1], item[1][0])):
        if code in _OUTSIDE:
            zh, en, place = _OUTSIDE[code]
        else:
            zh, en, place = PROVINCES[code].zh, PROVINCES[code].en, code
        found = known.get(place, nothing)
        shade = -(-SHADES * found.stopped // most) if most else 0
        made.append(Tile(code, zh, en, column, row, found.total, found.stopped, shade, place))
    return made

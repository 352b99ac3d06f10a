"""Ledger: decisions as a filtered list, page by page, newest first.

The journal has no index but its order, so a filter that finds little must walk; a page walks a
bounded stretch, says how far it came, and the next page goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from zhiwei.core.ids import card_key_of
from zhiwei.ports import Positioned, Reader
from zhiwei.web.console.filters import DecisionFilter
from zhiwei.web.console.rows import CardNames, DecisionRow, row_of

#: Entries that one page walks at most.
WALK_MAX: Final = 400
_CHUNK: Final = 200


@dataclass(frozen=True)
class LedgerPage:
    """A stretch of the list."""

    rows: tuple[DecisionRow, ...]
    #: Where the next page goes on: a position, or for one card a version; 0 = this is the end.
    next_before: int
    #: Entries that were looked at for this page.
    walked: int


def ledger_page(
    reader: Reader,
    names: CardNames,
    wanted: DecisionFilter,
    now_ms: int,
    *,
    before: int = 0,
    limit: int = 50,
    walk_max: int = WALK_MAX,
) -> LedgerPage:
    """Decisions that a filter wants, below a bound. Blocking: for a thread."""
    card_key = card_key_of(wanted.card) if wanted.card else b""
    if card_key is None:
        return LedgerPage((), 0, 0)
    since_ms = wanted.since_ms(now_ms)
    rows: list[DecisionRow] = []
    walked = 0
    place = 0
    for one in journal_from(reader, card_key, before):
        place = one.entry.version if card_key else one.position
        if one.entry.filed_ms < since_ms and one.entry.now_ms < since_ms:
            return LedgerPage(tuple(rows), 0, walked)
        walked += 1
        row = row_of(one, names)
        if row is not None and wanted.wants(row):
            rows.append(row)
        if len(rows) == limit or walked == walk_max:
            return LedgerPage(tuple(rows), place if place > 1 else 0, walked)
    return LedgerPage(tuple(rows), 0, walked)


def journal_from(reader: Reader, card_key: bytes, before: int) -> Iterator[Positioned]:
    """Entries of one card (their versions as positions) or of all, newest first, below a bound."""
    while before != 1:
        if card_key:
            entries = reader.entries(card_key, before=before, limit=_CHUNK)
            chunk = [Positioned(entry.version, card_key, entry) for entry in entries]
        else:
            chunk = reader.recent(before=before, limit=_CHUNK)
        yield from chunk
        if len(chunk) < _CHUNK:
            return
        before = chunk[-1].position

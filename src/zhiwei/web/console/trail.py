"""Trail: the audit trail with filters, and the lines that the console itself adds to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Final

from zhiwei.core.ids import card_id, card_key_of
from zhiwei.core.result import Audit
from zhiwei.ports import AuditRow, Reader
from zhiwei.web.console.filters import AuditFilter

#: Lines that one page walks at most, and one export holds.
WALK_MAX: Final = 5_000
EXPORT_MAX: Final = 20_000
PAGE: Final = 50
_CHUNK: Final = 500
#: The desk's own clock (北京时间): days of the filter begin by it.
BEIJING: Final = timezone(timedelta(hours=8))


@dataclass(frozen=True)
class TrailPage:
    """A stretch of the trail."""

    rows: tuple[AuditRow, ...]
    #: Where the next page goes on; 0 = this is the end.
    next_before: int
    walked: int


def trail_page(
    reader: Reader,
    wanted: AuditFilter,
    *,
    before: int = 0,
    limit: int = PAGE,
    walk_max: int = WALK_MAX,
) -> TrailPage:
    """Audit lines that a filter wants, newest first. Blocking: for a thread."""
    since_ms, until_ms = day_ms(wanted.since), day_ms(wanted.until, is_end=True)
    rows: list[AuditRow] = []
    walked = 0
    for row in _walk(reader, wanted.card, before):
        walked += 1
        if since_ms and row.at_ms < since_ms:
            return TrailPage(tuple(rows), 0, walked)
        if (not until_ms or row.at_ms < until_ms) and _wants(wanted, row):
            rows.append(row)
        if len(rows) == limit or walked == walk_max:
            return TrailPage(tuple(rows), row.position if row.position > 1 else 0, walked)
    return TrailPage(tuple(rows), 0, walked)


def day_ms(text: str, *, is_end: bool = False) -> int:
    """Begin (or end) of a day `2026-11-25` in Beijing, UTC ms; 0 where the text is no day."""
    try:
        day = date.fromisoformat(text)
        moment = datetime.combine(day, time(), BEIJING) + timedelta(days=int(is_end))
        return max(0, int(moment.timestamp() * 1000))
    except (ValueError, OverflowError):
        return 0


def looked_at_card(card_key: bytes, page: str) -> Audit:
    """An operator looked at what a card did: which page of it."""
    return Audit("card.viewed", card_id(card_key), "", page)


def looked_at_customer(cardholder: str) -> Audit:
    """An operator looked at a customer."""
    return Audit("cardholder.viewed", cardholder, "", "")


def exported(what: str, query: str, rows: int) -> Audit:
    """An operator took a list out of the house."""
    told = {"filter": query, "rows": rows}
    return Audit("console.exported", what, "", json.dumps(told))


def _walk(reader: Reader, card: str, before: int) -> Iterator[AuditRow]:
    card_key = card_key_of(card) if card else b""
    while card_key is not None and before != 1:
        chunk = reader.audits(card_key=card_key, before=before, limit=_CHUNK)
        yield from chunk
        if len(chunk) < _CHUNK:
            return
        before = chunk[-1].position


def _wants(wanted: AuditFilter, row: AuditRow) -> bool:
    return (
        wanted.action in ("", row.audit.action)
        and wanted.who in ("", row.actor.who)
        and wanted.via in ("", row.actor.via.name.lower())
    )

"""Sheets: lists as CSV, in a form that no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from zhiwei.core.ids import card_id
from zhiwei.gateways.http.times import instant_text
from zhiwei.ports import AuditRow
from zhiwei.vault import text_without_numbers
from zhiwei.web.console.rows import DecisionRow

#: A spreadsheet reads a cell that begins with one of these as a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
#: Programs on Windows take a file for UTF-8 by this mark.
_MARK: Final = "\ufeff"

DECISION_COLUMNS: Final = (
    "id",
    "decided_at",
    "decision",
    "reason",
    "message",
    "kind",
    "channel",
    "place",
    "country",
    "amount_minor",
    "currency",
    "merchant",
    "card",
    "tail",
    "network",
    "rrn",
    "stan",
    "authorization_code",
)
AUDIT_COLUMNS: Final = ("id", "at", "action", "subject", "card", "who", "via", "old", "new")


def decisions_sheet(rows: Iterable[DecisionRow]) -> str:
    """Decisions, one line each."""
    return _sheet(
        DECISION_COLUMNS,
        (
            (
                row.id,
                instant_text(row.at_ms),
                row.outcome,
                row.reason,
                row.message,
                row.kind,
                row.channel,
                row.place,
                row.country,
                str(row.amount_minor),
                row.currency,
                row.merchant,
                card_id(row.card_key),
                row.tail,
                row.network,
                row.rrn,
                row.stan,
                row.auth_code,
            )
            for row in rows
        ),
    )


def audits_sheet(rows: Iterable[AuditRow]) -> str:
    """Audit lines, one line each."""
    return _sheet(
        AUDIT_COLUMNS,
        (
            (
                f"aud_{row.position}",
                instant_text(row.at_ms),
                row.audit.action,
                row.audit.subject,
                card_id(row.card_key) if row.card_key else "",
                row.actor.who,
                row.actor.via.name.lower(),
                row.audit.old,
                row.audit.new,
            )
            for row in rows
        ),
    )


def _sheet(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([safe(cell) for cell in row] for row in rows)
    return _MARK + text.getvalue()


def safe(cell: str) -> str:
    """A cell that stays text, without card numbers."""
    words = text_without_numbers(cell)
    return f"'{words}" if words.startswith(_FORMULA) else words

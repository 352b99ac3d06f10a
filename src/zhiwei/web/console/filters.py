"""Filters: what a list is narrowed by, read from the address and written back into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final
from urllib.parse import urlencode

from zhiwei.web.console.rows import DecisionRow

#: Longer values in an address are nobody's filter.
_VALUE_MAX: Final = 80
#: Spans that a look back may have, by their word in the address, in milliseconds.
SPANS: Final[dict[str, int]] = {
    "15m": 15 * 60_000,
    "1h": 3_600_000,
    "6h": 6 * 3_600_000,
    "24h": 24 * 3_600_000,
}


@dataclass(frozen=True)
class DecisionFilter:
    """Which decisions are wanted; empty = any."""

    outcome: str = ""
    reason: str = ""
    place: str = ""
    network: str = ""
    channel: str = ""
    #: `card_` id.
    card: str = ""
    #: One of SPANS, counted back from now.
    span: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> DecisionFilter:
        """The filter of an address; names that it does not know are left alone."""
        told = {f.name: query.get(f.name, "").strip()[:_VALUE_MAX] for f in fields(cls)}
        found = cls(**told)
        return found if found.span in SPANS else replace(found, span="")

    @property
    def is_empty(self) -> bool:
        """Whether everything is wanted."""
        return self == DecisionFilter()

    def query(self, **changes: str) -> str:
        """The filter as the query of an address, with some of it changed; `before` may be added."""
        told = {f.name: str(getattr(self, f.name)) for f in fields(self)} | changes
        return urlencode({name: value for name, value in told.items() if value})

    def since_ms(self, now_ms: int) -> int:
        """From when on decisions are wanted; 0 = from the first one."""
        return now_ms - SPANS[self.span] if self.span else 0

    def wants(self, row: DecisionRow) -> bool:
        """Whether a row belongs to the list; card and span are looked at where rows are read."""
        return (
            self.outcome in ("", row.outcome)
            and self.reason in ("", row.reason)
            and self.place in ("", row.place)
            and self.network in ("", row.network)
            and self.channel in ("", row.channel)
        )


@dataclass(frozen=True)
class AuditFilter:
    """Which lines of the audit trail are wanted; empty = any."""

    action: str = ""
    who: str = ""
    via: str = ""
    #: `card_` id.
    card: str = ""
    #: RFC 3339 days `2026-11-25`, the first and the last one that are wanted, Beijing time.
    since: str = ""
    until: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> AuditFilter:
        """The filter of an address."""
        return cls(**{f.name: query.get(f.name, "").strip()[:_VALUE_MAX] for f in fields(cls)})

    def query(self, **changes: str) -> str:
        """The filter as the query of an address, with some of it changed."""
        told = {f.name: str(getattr(self, f.name)) for f in fields(self)} | changes
        return urlencode({name: value for name, value in told.items() if value})

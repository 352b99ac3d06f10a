"""Instants as the API writes them: RFC 3339, UTC, milliseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from zhiwei.core.errors import NotAllowedValueError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def instant_text(instant_ms: int) -> str:
    """For example `2026-11-23T15:00:00.000Z`."""
    whole = _EPOCH + timedelta(milliseconds=instant_ms)
    return whole.strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant_ms % 1000:03}Z"


def instant_ms(text: str, pointer: str) -> int:
    """UTC epoch milliseconds of an RFC 3339 time; finer digits than milliseconds are dropped.

    Raises:
        NotAllowedValueError: not a time with its offset, or before 1970; `pointer` names the field.
    """
    match = _RFC3339.fullmatch(text)
    milliseconds = -1 if match is None else _since_epoch(*match.groups())
    if milliseconds < 0:
        message = "not an RFC 3339 time with an offset, such as `2026-11-23T15:00:00.000Z`"
        raise NotAllowedValueError(pointer, "bad_time", message)
    return milliseconds


def _since_epoch(day: str, clock: str, fraction: str | None, offset: str) -> int:
    """Milliseconds since 1970; -1 where no calendar has such a time."""
    zone = "+00:00" if offset in "Zz" else offset
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{zone}")
    except ValueError:
        return -1
    return (whole - _EPOCH) // _MILLISECOND + int(f"{fraction or '0':0<3}"[:3])

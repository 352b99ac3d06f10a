"""DatabaseClock: the database's clock, which is the same for every server."""

from __future__ import annotations

from time import monotonic
from typing import Final, final

_SECOND_MS: Final = 1_000


@final
class DatabaseClock:
    """Goes on by itself from when it was set last; the machine's own hour does not matter."""

    def __init__(self, now_ms: int) -> None:
        """`now_ms` is the database's instant of now."""
        self._set_ms = now_ms
        self._set_at = monotonic()

    def set(self, now_ms: int) -> None:
        """The database has just said that it is this instant."""
        self._set_ms = now_ms
        self._set_at = monotonic()

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return self._set_ms + int((monotonic() - self._set_at) * _SECOND_MS)

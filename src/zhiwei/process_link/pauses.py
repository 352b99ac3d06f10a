"""Pauses: how long nobody is started again after one that died; they grow while it goes badly."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, final

_FIRST_SECONDS: Final = 0.2
_MOST_SECONDS: Final = 30.0
#: Who lived so long had begun well.
_WELL_SECONDS: Final = 60.0


@final
class Pauses:
    """Of one place where processes follow each other."""

    def __init__(self) -> None:
        self._next = _FIRST_SECONDS

    def after(self, lived_seconds: float) -> float:
        """The pause after one that lived so long, in seconds."""
        pause = _FIRST_SECONDS if lived_seconds > _WELL_SECONDS else self._next
        self._next = min(2 * pause, _MOST_SECONDS)
        return pause


async def rest(seconds: float, until: asyncio.Event) -> None:
    """Wait for so long, or until the event."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await until.wait()

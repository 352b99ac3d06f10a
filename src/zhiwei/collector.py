"""Collector: the interpreter's collector of cycles kept off the path."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: The HTTP thread may hold the interpreter this long before the path gets it; longer turns of
#: another thread were seen in the path's latency (at 0.5 ms its median was a quarter higher).
_SWITCH_SECONDS: Final = 0.00005
#: How often the youngest objects are looked through for cycles, which next to nobody makes. It
#: costs in proportion to the files that moved since the last time (about 5 objects for each
#: decision): half a minute at once stopped the path for 150 to 220 ms, this often for about one.
_COLLECT_SECONDS: Final = 0.05


def quieten_collector() -> None:
    """Keep the collector of cycles off the path, where it cost a fifth of the time.

    What is here now stays, and decisions make no cycles; HTTP makes a few
    (`collect_now_and_then`).
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.disable()


@contextmanager
def without_collector() -> Iterator[None]:
    """Make many objects that stay, which the collector would walk through again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


async def collect_now_and_then() -> None:
    """Collect the youngest objects, a few at a time; runs until it is cancelled."""
    while True:
        await asyncio.sleep(_COLLECT_SECONDS)
        gc.collect(0)

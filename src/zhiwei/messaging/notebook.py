"""Notebook: everything that must be durable soon, written in one commit for all that wait.

Who writes waits until it is on the disk. Nothing is written twice, and what the store refuses is
told to the one who asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar, final

from zhiwei.messaging.model import MessageStore
from zhiwei.ports import StoreUnavailableError

#: Bound on what waits for one commit; more is refused.
_WAITING_MAX: Final = 10_000

T = TypeVar("T")
_Job: TypeAlias = "tuple[Callable[[], Any], asyncio.Future[Any]]"


@final
class Notebook:
    """Commits in groups. One loop, one task that runs `run`."""

    def __init__(self, store: MessageStore) -> None:
        self._store: Final = store
        self._waiting: list[_Job] = []
        self._is_to_flush = False
        self._is_wanted: Final = asyncio.Event()

    async def write(self, job: Callable[[], T], *, is_flushed: bool = False) -> T:
        """Do something with the store; returns its result when it is durable.

        `is_flushed`: a power cut cannot take it back either (see `MessageStore`).

        Raises:
            StoreUnavailableError: nothing was written, or too much waits.
        """
        if len(self._waiting) >= _WAITING_MAX:
            raise StoreUnavailableError("too much waits to be written")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, future))
        self._is_to_flush = self._is_to_flush or is_flushed
        self._is_wanted.set()
        return await future

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._is_wanted.wait()
            # Whoever is ready in this turn of the loop comes along.
            await asyncio.sleep(0)
            self.flush()

    def flush(self) -> None:
        """Write what waits, now."""
        self._is_wanted.clear()
        group, self._waiting = self._waiting, []
        is_flushed, self._is_to_flush = self._is_to_flush, False
        if group and not self._write_all(group, is_flushed=is_flushed) and len(group) > 1:
            # One of them met a bug; the others must not suffer for it.
            for one in group:
                self._write_all([one], is_flushed=is_flushed)

    def _write_all(self, group: list[_Job], *, is_flushed: bool) -> bool:
        """Write a group as one; False where it is to be tried one by one."""
        try:
            with self._store.together(is_flushed=is_flushed):
                results = [job() for job, _ in group]
        except Exception as error:  # noqa: BLE001 - it is told to those who asked
            if len(group) > 1 and not isinstance(error, StoreUnavailableError):
                return False
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            return True
        for (_, future), result in zip(group, results, strict=True):
            if not future.done():
                future.set_result(result)
        return True

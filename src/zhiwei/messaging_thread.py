"""MessagingThread: the outbox on an event loop and a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Final, final

import uvloop

from zhiwei.core.errors import ZhiweiError
from zhiwei.messaging.outbox import Outbox

_START_SECONDS: Final = 30.0
#: The outbox bounds its own end; this is for what hangs in spite of it.
_STOP_SECONDS: Final = 60.0


class MessagingError(ZhiweiError):
    """messaging did not start"""


@final
class MessagingThread:
    """Runs an outbox until it is stopped. Start and stop it from another thread, once."""

    def __init__(self, build: Callable[[], Outbox]) -> None:
        """`build` makes the outbox on the thread and loop on which it will live."""
        self._build: Final = build
        self._loop: asyncio.AbstractEventLoop | None = None
        self._has_begun: Final[Future[None]] = Future()
        self._is_to_stop: Final = asyncio.Event()
        self._thread: Final = threading.Thread(target=self._run, name="messaging", daemon=True)
        self._outbox: Outbox | None = None

    def start(self) -> None:
        """Start, and wait until the channels were started.

        Raises:
            MessagingError: it did not start in time.
            Exception: what `build` or the start of the outbox raised.
        """
        self._thread.start()
        try:
            self._has_begun.result(_START_SECONDS)
        except TimeoutError:
            self.stop()
            raise MessagingError from None

    def stop(self) -> None:
        """Let what is on its way end within a bound, and wait for the thread."""
        if self._loop is not None and self._thread.is_alive():
            # A loop that ended by itself just now cannot be told, and need not be.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._is_to_stop.set)
            self._thread.join(_STOP_SECONDS)

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop on which the outbox lives; None while it does not."""
        return None if self._outbox is None else self._loop

    def wake(self) -> None:
        """There are new events. From any thread; does nothing when messaging is not running."""
        outbox, loop = self._outbox, self._loop
        if outbox is not None and loop is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(outbox.wake)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            self._loop = runner.get_loop()
            runner.run(self._live())

    async def _live(self) -> None:
        outbox: Outbox | None = None
        try:
            outbox = self._build()
            await outbox.start()
        except BaseException as error:  # noqa: BLE001 - it is raised again in `start`
            if outbox is not None:
                await outbox.stop()
            self._has_begun.set_exception(error)
            return
        self._outbox = outbox
        self._has_begun.set_result(None)
        await self._is_to_stop.wait()
        self._outbox = None
        await outbox.stop()

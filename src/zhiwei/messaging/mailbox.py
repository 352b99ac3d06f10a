"""Mailbox: messages that came in, kept before they are acknowledged, carried out once each.

Those of one sender are carried out in their order, those of several beside each other. What was not
answered when the process ended is carried out again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, final

import structlog

from zhiwei.messaging.faults import fault, storable
from zhiwei.messaging.model import Clock, Inbound, MessageStore, Planned
from zhiwei.messaging.notebook import Notebook
from zhiwei.messaging.observer import Observer
from zhiwei.ports import StoreUnavailableError

_log: Final = structlog.get_logger()
#: Messages that may wait to be carried out; past it the other side keeps them.
_WAITING_MAX: Final = 20_000
#: Carried out beside each other, and looked at to find those.
_AT_ONCE: Final = 16
_WINDOW: Final = 256
_ANSWER_SECONDS: Final = 30.0
#: Failed tries of one message before it is set aside (a quarter of an hour, about).
_TRIES_MAX: Final = 20
_PAUSE_SECONDS_MAX: Final = 60.0
_LOOK_SECONDS: Final = 1.0


@final
class Mailbox:
    """Takes messages in, and has them answered."""

    def __init__(
        self,
        store: MessageStore,
        notebook: Notebook,
        on_inbound: Callable[[Inbound], Awaitable[Planned | None]],
        on_reply: Callable[[], None],
        *,
        pace: Clock,
        observer: Observer,
    ) -> None:
        """`on_inbound` carries one out and makes the reply; it must bear being asked twice."""
        self._store: Final = store
        self._notebook: Final = notebook
        self._on_inbound: Final = on_inbound
        self._on_reply: Final = on_reply
        self._pace: Final = pace
        self._observer: Final = observer
        #: Senders whose turn it is, and when (loop's time) those may go on whose turn failed.
        self._senders: Final[set[str]] = set()
        self._rests: Final[dict[str, float]] = {}
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._tries: Final[dict[str, int]] = {}
        self._waiting = 0
        self._is_poked: Final = asyncio.Event()

    async def received(self, inbound: Inbound) -> None:
        """Durably taken when it returns; twice is once.

        Raises:
            StoreUnavailableError: not taken; too many wait, or the store cannot write.
        """
        if self._waiting >= _WAITING_MAX:
            self._observer.inbound("refused")
            raise StoreUnavailableError("too many messages wait to be answered")
        inbound = replace(inbound, sender=storable(inbound.sender), text=storable(inbound.text))
        self._waiting += 1
        is_new = False
        try:
            is_new = await self._notebook.write(
                lambda: self._store.take_in(inbound), is_flushed=True
            )
        finally:
            if not is_new:
                self._waiting -= 1
        self._observer.inbound("taken" if is_new else "repeated")
        self._is_poked.set()

    async def run(self) -> None:
        """Have messages answered until cancelled."""
        while True:
            # Other servers answer some of what was taken in here.
            self._waiting = self._store.waiting_inbound()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._work()

    async def _work(self) -> None:
        """Have messages answered until it is time to count again."""
        while True:
            self._is_poked.clear()
            self._start_some()
            await self._is_poked.wait()

    async def drain(self, seconds: float) -> None:
        """Let what is being carried out end, for a bounded time."""
        tasks = set(self._tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()

    def _start_some(self) -> None:
        if len(self._tasks) >= _AT_ONCE:
            return
        now = asyncio.get_running_loop().time()
        for sender in [one for one, until in self._rests.items() if until <= now]:
            del self._rests[sender]
        # A sender whose first message has its turn, or rests, keeps the later ones waiting.
        for inbound in self._store.unanswered(_WINDOW):
            if len(self._tasks) >= _AT_ONCE:
                return
            if inbound.sender not in self._senders and inbound.sender not in self._rests:
                self._senders.add(inbound.sender)
                task = asyncio.create_task(self._handle(inbound))
                self._tasks.add(task)
                task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._is_poked.set()

    async def _handle(self, inbound: Inbound) -> None:
        try:
            is_answered = await self._answer(inbound)
            if not is_answered:
                tries = self._tries.get(inbound.id, 1)
                pause = min(_PAUSE_SECONDS_MAX, 2.0 ** min(tries - 1, 10))
                self._rests[inbound.sender] = asyncio.get_running_loop().time() + pause
        finally:
            self._senders.discard(inbound.sender)

    async def _answer(self, inbound: Inbound) -> bool:
        """Carry one out and note it; whether that is done."""
        reply: Planned | None = None
        word = "answered"
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                reply = await self._on_inbound(inbound)
        except StoreUnavailableError:
            self._observer.trouble("store")
            return False
        except Exception as error:  # noqa: BLE001 - one message must not hold up the others
            _log.error("inbound_failed", inbound=inbound.id, **fault(error))
            self._observer.trouble("inbound")
            self._tries[inbound.id] = self._tries.get(inbound.id, 0) + 1
            if self._tries[inbound.id] < _TRIES_MAX:
                return False
            word = "given_up"
        now_ms = self._pace.now_ms()
        try:
            await self._notebook.write(lambda: self._store.answered(inbound.id, reply, now_ms))
        except StoreUnavailableError:
            self._observer.trouble("store")
            return False
        self._tries.pop(inbound.id, None)
        self._waiting -= 1
        self._observer.inbound(word)
        if reply is not None:
            self._on_reply()
        return True

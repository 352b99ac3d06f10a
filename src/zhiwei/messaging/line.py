"""Line: one channel's messages on their way, in order within each lane.

A message leaves its lane only when what became of it is on the disk; a crash in between sends it
again with the same id. A channel that is down is left alone by its breaker and costs its messages
no patience.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, final

import structlog

from zhiwei.messaging.backoff import Breaker, BreakerState, pause_ms
from zhiwei.messaging.faults import fault, few_words, storable
from zhiwei.messaging.model import (
    Answer,
    Change,
    Channel,
    Clock,
    Message,
    MessageStore,
    Receipt,
    Status,
    Tracked,
    Verdict,
)
from zhiwei.messaging.notebook import Notebook
from zhiwei.messaging.observer import Observer
from zhiwei.messaging.settings import OutboxSettings
from zhiwei.ports import StoreUnavailableError

_log: Final = structlog.get_logger()
#: How often it is looked whether a pause is over.
_LOOK_SECONDS: Final = 0.1
#: A channel that does not answer in this time breaks its promise; the try counts as failed.
_SEND_SECONDS: Final = 120.0
#: Pause before writing again what could not be written.
_STORE_PAUSE_SECONDS: Final = 0.5
_FAULT_SECONDS: Final = 1.0
_OVERDUE_AT_ONCE: Final = 500


@final
class Line:
    """Sends the heads of the lanes of one channel."""

    def __init__(
        self,
        channel: Channel,
        store: MessageStore,
        notebook: Notebook,
        *,
        clock: Clock,
        pace: Clock,
        settings: OutboxSettings,
        observer: Observer,
        random: Callable[[], float],
    ) -> None:
        """`clock` decides what is pointless, `pace` when to try; see the outbox."""
        self.channel: Final = channel
        self.name: Final = channel.name
        self._store: Final = store
        self._notebook: Final = notebook
        self._clock: Final = clock
        self._pace: Final = pace
        self._settings: Final = settings
        self._observer: Final = observer
        self._random: Final = random
        self._at_once: Final = max(1, min(channel.at_once, settings.at_once))
        self._breaker: Final = Breaker(settings.breaker_failures, settings.breaker_pause_ms, random)
        self._told_state = BreakerState.CLOSED
        self._busy: Final[set[str]] = set()
        self._on_their_way: Final[set[asyncio.Task[None]]] = set()
        self._is_poked: Final = asyncio.Event()

    @property
    def state(self) -> BreakerState:
        """State of the channel's circuit breaker."""
        return self._breaker.state

    def poke(self) -> None:
        """There may be something to send."""
        self._is_poked.set()

    async def run(self) -> None:
        """Send until cancelled; what is on its way goes on (see `drain`)."""
        while True:
            self._is_poked.clear()
            self._start_some()
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._is_poked.wait()
            except TimeoutError:
                pass

    async def drain(self, seconds: float) -> None:
        """Let what is on its way arrive, for a bounded time; give up the rest, which stays queued.

        Call it when `run` has been cancelled.
        """
        tasks = set(self._on_their_way)
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1.0)

    def give_up_old(self) -> None:
        """While the channel is down: what was to be sent days ago is a dead letter."""
        if self._breaker.state is BreakerState.CLOSED:
            return
        now_ms = self._pace.now_ms()
        before_ms = now_ms - self._settings.dead_after_ms
        changes = [
            Change(one.message.id, Status.DEAD, one.tries, 0, now_ms, detail=one.detail)
            for one in self._store.overdue(self.name, before_ms, _OVERDUE_AT_ONCE)
            if one.message.lane not in self._busy
        ]
        if changes:
            self._store.note(changes)
            for _ in changes:
                self._observer.ended(self.name, Status.DEAD)

    async def receipt(self, receipt: Receipt) -> None:
        """Note what the other side says of a message of this channel.

        Raises:
            StoreUnavailableError: it could not be written.
        """
        now_ms = self._pace.now_ms()
        short = Receipt(storable(receipt.remote_id), receipt.status, few_words(receipt.detail))
        found = await self._notebook.write(
            lambda: self._store.note_receipt(self.name, short, now_ms)
        )
        if found is not None:
            self._observer.receipt(self.name, receipt.status)

    def _start_some(self) -> None:
        """Send as many as may be on their way."""
        now_ms = self._pace.now_ms()
        room = self._breaker.room(now_ms, len(self._on_their_way), self._at_once)
        self._tell_state()
        if room == 0:
            return
        for tracked in self._store.due(self.name, now_ms, room, frozenset(self._busy)):
            message = tracked.message
            self._busy.add(message.lane)
            is_pointless = 0 < message.expires_ms <= self._clock.now_ms()
            if not is_pointless:
                self._breaker.started()
            task = asyncio.create_task(self._handle(tracked, is_pointless=is_pointless))
            self._on_their_way.add(task)
            task.add_done_callback(self._arrived)

    def _arrived(self, task: asyncio.Task[None]) -> None:
        """There is room again. Only now, or it would be looked for too early."""
        self._on_their_way.discard(task)
        self.poke()

    async def _handle(self, tracked: Tracked, *, is_pointless: bool) -> None:
        message = tracked.message
        try:
            if is_pointless:
                now_ms = self._pace.now_ms()
                change = Change(message.id, Status.EXPIRED, tracked.tries, 0, now_ms)
                await self._write_down(change)
                self._observer.ended(self.name, Status.EXPIRED)
                return
            answer = await self._send(message)
            change = self._change(tracked, answer)
            self._tell_state()
            if change.status is Status.SENT:
                late_ms = max(0, self._clock.now_ms() - message.created_ms)
                self._observer.sent(self.name, late_ms / 1_000)
            await self._write_down(change)
            if change.status is Status.QUEUED:
                self._observer.retried(self.name, is_channel_down=answer.is_channel_down)
            elif change.status is not Status.SENT:
                self._observer.ended(self.name, change.status)
        except Exception as error:  # noqa: BLE001 - a bug; the message stays the head of its lane
            _log.error("message_not_handled", channel=self.name, message=message.id, **fault(error))
            self._observer.trouble("loop")
            await asyncio.sleep(_FAULT_SECONDS)
        finally:
            self._busy.discard(message.lane)

    async def _send(self, message: Message) -> Answer:
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                return await self.channel.send(message)
        except TimeoutError:
            return Answer(Verdict.TRY_LATER, "the channel gave no answer in time")
        except Exception as error:  # noqa: BLE001 - whatever it is, the message stays
            _log.error("channel_failed", channel=self.name, **fault(error))
            return Answer(Verdict.TRY_LATER, f"fault in the channel: {type(error).__name__}")

    def _change(self, tracked: Tracked, answer: Answer) -> Change:
        """What an answer makes of a message; tells the breaker."""
        now_ms = self._pace.now_ms()
        message, detail = tracked.message, few_words(answer.detail)
        is_down = answer.verdict is Verdict.TRY_LATER and answer.is_channel_down
        if is_down:
            self._breaker.failed(now_ms, answer.pause_ms)
        else:
            self._breaker.worked()
        tries = tracked.tries + (0 if is_down else 1)
        if answer.verdict is Verdict.TAKEN:
            return Change(
                message.id, Status.SENT, tries, 0, now_ms, storable(answer.remote_id), detail
            )
        if answer.verdict is Verdict.REFUSED:
            return Change(message.id, Status.FAILED, tries, 0, now_ms, detail=detail)
        if now_ms - tracked.planned_ms > self._settings.dead_after_ms:
            return Change(message.id, Status.DEAD, tries, 0, now_ms, detail=detail)
        next_ms = 0 if is_down else now_ms + self._pause_ms(message, tries, answer.pause_ms)
        return Change(message.id, Status.QUEUED, tries, next_ms, now_ms, detail=detail)

    def _pause_ms(self, message: Message, tries: int, asked_ms: int) -> int:
        settings = self._settings
        pause = pause_ms(
            tries, settings.first_pause_ms, settings.longest_pause_ms, asked_ms, self._random
        )
        left_ms = message.expires_ms - self._clock.now_ms()
        # What becomes pointless in between makes way for the rest of its lane then.
        return min(pause, left_ms) if left_ms > 0 else pause

    async def _write_down(self, change: Change) -> None:
        """Note a change, however long the store takes; its lane waits for it."""
        while True:
            try:
                await self._notebook.write(lambda: self._store.note([change]))
                return
            except StoreUnavailableError:
                self._observer.trouble("store")
                await asyncio.sleep(_STORE_PAUSE_SECONDS)

    def _tell_state(self) -> None:
        if self._breaker.state is not self._told_state:
            self._told_state = self._breaker.state
            _log.warning("channel_breaker", channel=self.name, state=self._told_state.value)
            self._observer.breaker(self.name, self._told_state)

"""Outbox: from events to messages, and from messages to people; the worker of messaging.

New events are planned in order, in one transaction with the place where the next ones begin; what
became of each message is written before the next one of its lane goes. A kill at any moment loses
nothing and repeats only with the same id.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from random import SystemRandom
from typing import Final, Protocol, final

import structlog

from zhiwei.messaging.faults import fault
from zhiwei.messaging.line import Line
from zhiwei.messaging.mailbox import Mailbox
from zhiwei.messaging.model import (
    SMS,
    Channel,
    Clock,
    Desk,
    Inbound,
    Message,
    MessageStore,
    Plan,
    Planned,
    Receipt,
    Status,
)
from zhiwei.messaging.notebook import Notebook
from zhiwei.messaging.observer import NoObserver, Observer
from zhiwei.messaging.settings import OutboxSettings
from zhiwei.ports import EventRow, StoreUnavailableError

_log: Final = structlog.get_logger()
#: Events that are planned in one transaction; few, since nothing is sent meanwhile.
_BATCH: Final = 16
#: A position before the first one; 0 would ask for the newest events.
_BEFORE_ALL: Final = -1
#: How often events are looked for while nobody may be told of them. Who has just subscribed waits
#: for the first one no longer than this, and is told it.
_UNHEARD_SECONDS: Final = 0.5
_TIDY_SECONDS: Final = 1.0
#: Who is silent for many times this long is taken for dead (`MessageStore.renew`).
_RENEW_SECONDS: Final = 1.0
#: Every so many tidy rounds, old rows are forgotten.
_FORGET_ROUNDS: Final = 10
_FORGET_AT_ONCE: Final = 500
#: A receipt that finds no message in this time belongs to none.
_RECEIPT_WAITS_MS: Final = 60_000
#: The longest time that budgets look back is a day; a bit more.
_SPENDING_KEPT_MS: Final = 49 * 3_600_000
_STOP_SECONDS: Final = 10.0
_TELL_SECONDS: Final = 30.0
#: Pause after a fault of ours.
_FAULT_SECONDS: Final = 1.0

Planner = Callable[[EventRow, int, Callable[[str, int], int]], Plan]


class EventReader(Protocol):
    """The part of `ports.Reader` that shows what there is to tell."""

    def events(self, *, after: int = 0, limit: int = 100) -> list[EventRow]:
        """Events by position in the outbox, newest first; see `ports.Reader`."""
        ...


@final
class _ChannelDesk:
    """The desk as one channel sees it: receipts are about its own messages."""

    def __init__(self, line: Line, mailbox: Mailbox) -> None:
        self.receipt: Final = line.receipt
        self.received: Final = mailbox.received


@final
class Outbox:
    """The worker. Everything runs on one event loop, from `start` to `stop`."""

    def __init__(
        self,
        reader: EventReader,
        store: MessageStore,
        channels: Sequence[Channel],
        *,
        planner: Planner,
        look: Callable[[], bool] = lambda: True,
        on_inbound: Callable[[Inbound], Awaitable[Planned | None]],
        on_undeliverable: Callable[[Message], Awaitable[None]],
        clock: Clock,
        pace: Clock,
        settings: OutboxSettings | None = None,
        observer: Observer | None = None,
        random: Callable[[], float] | None = None,
    ) -> None:
        """Put the parts together; nothing happens before `start`.

        Args:
            reader: of the main store, for its events.
            store: keeps the messages.
            channels: at most one of each name.
            planner: makes the messages of an event at an instant of the house; the third argument
                is what was spent under a budget's name since an instant.
            look: is called when it is known how far the events go, before they are planned; whether
                anybody may be told anything. While nobody is, events are passed over.
            on_inbound: carries out an inbound message and makes the reply; twice must be once.
            on_undeliverable: is told of a challenge that no message can bring (with the last one);
                twice must be once.
            clock: the house's; decides what is too old or pointless.
            pace: the machine's; decides on tries and dead letters.
            settings: see `OutboxSettings`.
            observer: is told of everything that happens.
            random: numbers in [0, 1) for jitter.
        """
        self._reader: Final = reader
        self._store: Final = store
        self._planner: Final = planner
        self._look: Final = look
        self._on_undeliverable: Final = on_undeliverable
        self._clock: Final = clock
        self._pace: Final = pace
        self._settings: Final = settings or OutboxSettings()
        self._observer: Final = observer or NoObserver()
        self._notebook: Final = Notebook(store)
        self._lines: Final = {
            channel.name: Line(
                channel,
                store,
                self._notebook,
                clock=clock,
                pace=pace,
                settings=self._settings,
                observer=self._observer,
                random=random or SystemRandom().random,
            )
            for channel in channels
        }
        assert len(self._lines) == len(channels), "two channels have the same name"
        self._mailbox: Final = Mailbox(
            store, self._notebook, on_inbound, self.poke, pace=pace, observer=self._observer
        )
        self._tasks: Final[list[asyncio.Task[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        #: Between two looks for events, when there were no more.
        self._pause_seconds = self._settings.poll_ms / 1_000
        self._cursor = 0
        self._rounds = 0

    async def start(self) -> None:
        """Find the place in the outbox, start the channels, and begin.

        Raises:
            StoreUnavailableError: a store cannot be read.
        """
        self._store.renew()
        self._cursor = self._first_cursor()
        self._writing = asyncio.create_task(self._forever(self._notebook.run))
        for line in self._lines.values():
            await line.channel.start(self.desk(line.name))
        works = [self._plan_for_ever, self._tidy_for_ever, self._renew_for_ever, self._mailbox.run]
        works += [line.run for line in self._lines.values()]
        self._tasks.extend(asyncio.create_task(self._forever(work)) for work in works)

    async def stop(self) -> None:
        """Begin nothing more, let what is on its way end within a bound, stop the channels."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        lines = self._lines.values()
        await asyncio.gather(
            self._mailbox.drain(_STOP_SECONDS), *(line.drain(_STOP_SECONDS) for line in lines)
        )
        await asyncio.gather(*(self._stop_channel(line.channel) for line in lines))
        if self._writing is not None:
            self._notebook.flush()
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    def poke(self) -> None:
        """There are new messages; call it on the loop."""
        for line in self._lines.values():
            line.poke()

    def desk(self, channel: str) -> Desk:
        """Who a channel reports to."""
        return _ChannelDesk(self._lines[channel], self._mailbox)

    async def receipt(self, receipt: Receipt) -> None:
        """Note a receipt for a text message; see `Desk`. One where there is no SMS is dropped."""
        if SMS in self._lines:
            await self._lines[SMS].receipt(receipt)
        else:
            self._observer.unknown_receipts(1)

    async def received(self, inbound: Inbound) -> None:
        """Take an inbound message; see `Desk`."""
        await self._mailbox.received(inbound)

    async def replay(self, ids: Sequence[str]) -> int:
        """Queue messages that are over again; returns how many were.

        Raises:
            StoreUnavailableError: nothing was changed.
        """
        now_ms = self._pace.now_ms()
        count = await self._notebook.write(lambda: self._store.replay(ids, now_ms), is_flushed=True)
        self.poke()
        return count

    def _first_cursor(self) -> int:
        """Where planning goes on. On data that never had messages, what is too old is left out."""
        cursor = self._store.cursor()
        last = self._newest()
        if cursor > last:
            # The main store is an older copy than ours: what happens from now on is told.
            _log.warning("outbox_shorter_than_before", cursor=cursor, last=last)
        elif cursor:
            return cursor
        if cursor <= last:
            last = self._last_too_old(last)
        if last == cursor:
            return cursor
        with self._store.together():
            if self._store.take_cursor() == cursor:
                self._store.plan((), cursor=last, now_ms=self._pace.now_ms())
        # Another server may have begun at the same moment.
        return self._store.cursor()

    def _last_too_old(self, last: int) -> int:
        """Position of the last event that is too old to be told; 0 = none is."""
        since_ms = self._clock.now_ms() - self._settings.too_old_ms
        low, high = 0, last
        while low < high:
            middle = (low + high) // 2
            rows = self._reader.events(after=middle, limit=1)
            if rows and rows[0].at_ms < since_ms:
                low = rows[0].position
            else:
                high = middle
        return low

    async def _plan_for_ever(self) -> None:
        while True:
            has_more = self._plan_some()
            await asyncio.sleep(0 if has_more else self._pause_seconds)

    def _plan_some(self) -> bool:
        """Plan the next events, or leave out what nobody is told; whether there may be more."""
        rows = self._reader.events(after=self._cursor or _BEFORE_ALL, limit=_BATCH)[::-1]
        if not rows:
            return False
        is_full = len(rows) == _BATCH
        cursor = rows[-1].position
        newest = self._newest() if is_full else cursor
        # After they were read: whoever had asked to be told before these happened is to be told.
        is_heard = self._look()
        self._pause_seconds = self._settings.poll_ms / 1_000 if is_heard else _UNHEARD_SECONDS
        if not is_heard:
            # All of them at once.
            rows, cursor = [], newest
        now_ms = self._clock.now_ms()
        planned = Counter[tuple[str, Status]]()
        with self._store.together():
            at = self._store.take_cursor()
            if at != self._cursor:
                return self._follow(at)
            # One after the other, so that each sees what those before it have spent.
            for row in rows:
                for one in self._plan_one(row, now_ms):
                    planned[one.message.channel, one.status] += 1
            self._store.plan((), cursor=cursor, now_ms=now_ms)
        self._cursor = cursor
        for (channel, status), count in planned.items():
            self._observer.planned(channel, status, count)
        self.poke()
        return is_heard and is_full

    def _newest(self) -> int:
        """Position of the newest event; 0 = there is none."""
        newest = self._reader.events(limit=1)
        return newest[0].position if newest else 0

    def _follow(self, cursor: int | None) -> bool:
        """Go on where another server has planned to; whether there may be more.

        None: it plans just now.
        """
        if cursor is None:
            return False
        self._cursor = cursor
        return True

    def _plan_one(self, row: EventRow, now_ms: int) -> Sequence[Planned]:
        """Write the messages of one event, within the transaction that is open."""
        try:
            plan = self._planner(row, now_ms, self._store.spent)
        except StoreUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug must not silence all that follows
            _log.error(
                "event_not_planned", event_id=row.id, kind=row.event.kind.word, **fault(error)
            )
            self._observer.trouble("planning")
            return ()
        messages = plan.messages
        is_too_old = now_ms - row.at_ms > self._settings.too_old_ms
        if is_too_old:
            messages = tuple(
                replace(one, status=Status.DEAD, detail="too old when its turn came")
                if one.status is Status.QUEUED
                else one
                for one in messages
            )
        try:
            self._store.plan(messages, cursor=-1, now_ms=self._pace.now_ms())
        except (ValueError, OverflowError) as error:
            # Half a character, a number out of range: no store can take it, today or later.
            _log.error("event_not_storable", event_id=row.id, **fault(error))
            self._observer.trouble("planning")
            return ()
        if plan.budgets and not is_too_old:
            self._store.spend(plan.budgets, now_ms)
        return messages

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            self._store.renew()
            # Others plan too; and a database that lost its last moments may not be as far as we.
            self._cursor = self._store.cursor()

    async def _tidy_for_ever(self) -> None:
        while True:
            await self._tell_undeliverable()
            self._tidy()
            await asyncio.sleep(_TIDY_SECONDS)

    async def _tell_undeliverable(self) -> None:
        for message in self._store.undeliverable(_BATCH):
            challenge = message.challenge
            try:
                async with asyncio.timeout(_TELL_SECONDS):
                    await self._on_undeliverable(message)
            except Exception as error:  # noqa: BLE001 - it is told again later
                _log.error("undeliverable_not_told", message=message.id, **fault(error))
                self._observer.trouble("undeliverable")
                continue
            self._store.told_undeliverable(challenge)

    def _tidy(self) -> None:
        """Count what waits, and now and then give up and forget what is old."""
        now_ms = self._pace.now_ms()
        for line in self._lines.values():
            count, oldest_ms = self._store.waiting(line.name)
            waits_ms = max(0, now_ms - oldest_ms) if oldest_ms else 0
            self._observer.backlog(line.name, count, waits_ms / 1_000)
            line.give_up_old()
        dropped = self._store.forget_receipts(now_ms - _RECEIPT_WAITS_MS)
        if dropped:
            self._observer.unknown_receipts(dropped)
        self._rounds += 1
        if self._rounds % _FORGET_ROUNDS == 1:
            self._store.hurry(now_ms + self._settings.longest_pause_ms)
            self._store.forget_before(now_ms - self._settings.kept_ms, _FORGET_AT_ONCE)
            since_ms = self._clock.now_ms() - _SPENDING_KEPT_MS
            self._store.forget_spending(since_ms, _FORGET_AT_ONCE)

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run one of our loops; a fault in it is told, and it goes on after a pause."""
        while True:
            try:
                await work()
            except StoreUnavailableError as error:
                _log.error("messages_store_unavailable", error=str(error))
                self._observer.trouble("store")
            except Exception as error:  # noqa: BLE001 - whatever it is, messages go on
                _log.error("messaging_failed", **fault(error))
                self._observer.trouble("loop")
            await asyncio.sleep(_FAULT_SECONDS)

    async def _stop_channel(self, channel: Channel) -> None:
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await channel.stop()
        except Exception as error:  # noqa: BLE001 - the others are to be stopped too
            _log.error("channel_not_stopped", channel=channel.name, **fault(error))

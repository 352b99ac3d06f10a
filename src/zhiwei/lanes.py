"""Lanes: several batches in flight, none of which share a card.

What comes for a card that is being decided is set aside until that batch is over, and then goes
first. So the order of a card's commands is kept, and a busy card delays nobody else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, TypeAlias, final

from zhiwei.core.command import Command

#: A batch begins beside others when so many commands wait for it,
_COMPANY: Final = 32
#: or when the last one began so long ago. Sooner, four small batches would be in flight where one
#: would do, and each costs PostgreSQL its transaction and a flush.
HASTE_SECONDS: Final = 0.008
_TIMER_SECONDS: Final = 0.001  # a timer of the loop may be early by so much
#: Is called with the answers of a unit, in the order of its commands.
OnAnswered: TypeAlias = "Callable[[Sequence[Any]], None]"


@final
class Unit:
    """Commands that are carried out all or none, and who waits for them."""

    __slots__ = ("arrived", "commands", "on_answered")

    def __init__(self, commands: list[Command], on_answered: OnAnswered, arrived: float) -> None:
        self.commands: Final = commands
        self.on_answered: Final = on_answered
        #: Seconds of `perf_counter`.
        self.arrived: Final = arrived

    @property
    def cards(self) -> frozenset[bytes]:
        """Keys of the cards that it is about."""
        return frozenset([command.card_key for command in self.commands])


@final
class Lanes:
    """Which cards are in flight, what waits for them, and the tasks that carry them out."""

    def __init__(self, most: int, haste_seconds: float = HASTE_SECONDS) -> None:
        #: Batches at once.
        self.most: Final = most
        self.haste_seconds: Final = haste_seconds
        #: How many batches that wait for other servers may do so at once.
        self.patience: Final = asyncio.Semaphore(most)
        #: By card: how many batches in flight are about it; mostly one.
        self._busy: Final[dict[bytes, int]] = {}
        #: By card that is busy: what was set aside until it is free.
        self._aside: Final[dict[bytes, deque[Unit]]] = {}
        #: By any card of what was set aside: the busy card under which it stands. What comes for
        #: that card later may not overtake.
        self._behind: Final[dict[bytes, bytes]] = {}
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._running = 0
        self._began = 0.0
        self._failure: BaseException | None = None

    def may_begin(self, waiting: int, now: float) -> bool:
        """Whether another batch may begin for so many commands, now (seconds of `perf_counter`)."""
        if not self._running:
            return True
        if self._running == self.most:
            return False
        return waiting >= _COMPANY or now - self._began >= self.haste_seconds - _TIMER_SECONDS

    @property
    def is_idle(self) -> bool:
        """Nothing is in flight, so nothing is set aside."""
        return not self._tasks

    def take(self, waiting: deque[Unit], batch_max: int) -> list[Unit]:
        """The next batch out of what waits: whole units on cards that are free.

        Those on other cards are set aside.
        """
        units: list[Unit] = []
        count = 0
        while waiting and (not units or count + len(waiting[0].commands) <= batch_max):
            unit = waiting.popleft()
            if not self._sets_aside(unit):
                units.append(unit)
                count += len(unit.commands)
        return units

    def begin(self, units: list[Unit], work: Coroutine[Any, Any, None], now: float) -> None:
        """Begin a batch that counts as one of the lanes, now (seconds of `perf_counter`)."""
        self._running += 1
        self._began = now
        self._start(units, work)

    def begin_apart(self, units: list[Unit], work: Coroutine[Any, Any, None]) -> None:
        """Begin a batch that waits for another server, besides the lanes."""
        self._start(units, work)

    def end(self, units: Iterable[Unit], waiting: deque[Unit], *, is_apart: bool) -> None:
        """A batch is over; what waited for its cards goes to the front of what waits."""
        if not is_apart:
            self._running -= 1
        for card_key in _cards_of(units):
            left = self._busy[card_key] - 1
            if left:
                self._busy[card_key] = left
                continue
            del self._busy[card_key]
            aside = self._aside.pop(card_key, None)
            if aside is not None:
                waiting.extendleft(reversed(aside))
                for key in _cards_of(aside):
                    if self._behind.get(key) == card_key:
                        del self._behind[key]

    def raise_failure(self) -> None:
        """Raise what a batch raised: it answers for everything that a store may raise itself."""
        if self._failure is not None:
            raise self._failure

    def _sets_aside(self, unit: Unit) -> bool:
        """Whether a unit must wait for a card; then it is set aside."""
        cards = unit.cards
        busy = next((key for key in cards if key in self._busy), None)
        if busy is None:
            busy = next((self._behind[key] for key in cards if key in self._behind), None)
        if busy is None:
            return False
        self._aside.setdefault(busy, deque()).append(unit)
        for key in cards:
            self._behind.setdefault(key, busy)
        return True

    def _start(self, units: list[Unit], work: Coroutine[Any, Any, None]) -> None:
        for card_key in _cards_of(units):
            self._busy[card_key] = self._busy.get(card_key, 0) + 1
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()


def parted(units: Iterable[Unit], held: frozenset[bytes]) -> tuple[list[Unit], list[list[Unit]]]:
    """Units that can go on, and groups of those that wait for cards that are held.

    Who comes behind a unit that waits, and is about one of its cards, waits too, in its group, so
    that none overtakes another.
    """
    free: list[Unit] = []
    groups: list[tuple[set[bytes], list[Unit]]] = []
    for unit in units:
        cards = set(unit.cards)
        mine = [group for group in groups if not group[0].isdisjoint(cards)]
        if not mine and held.isdisjoint(cards):
            free.append(unit)
            continue
        waiting: list[Unit] = []
        for group in mine:
            cards |= group[0]
            waiting += group[1]
            groups.remove(group)
        groups.append((cards, [*waiting, unit]))
    return free, [group for _, group in groups]


def _cards_of(units: Iterable[Unit]) -> set[bytes]:
    return {command.card_key for unit in units for command in unit.commands}

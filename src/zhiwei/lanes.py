"""Lanes: several batches in flight, none of which share a card.

What comes for a card that is being decided is set aside until that batch is over, and then goes
first. So the order of a card's commands is kept, and a busy card delays nobody else: a unit whose
commands need not be carried out together is divided, and only those of busy cards wait.
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
#: So often a unit is passed over because another server holds a card; then it waits for that.
_PASSED_OVER_MAX: Final = 3
#: Is called with the answers of a unit, in the order of its commands.
OnAnswered: TypeAlias = "Callable[[Sequence[Any]], None]"
#: Who is called with the answers of some of a unit's commands, by their places in it.
PartOf: TypeAlias = "Callable[[list[int]], OnAnswered]"


@final
class Unit:
    """Commands that came together, and who waits for them."""

    __slots__ = ("arrived", "commands", "on_answered", "part_of", "passed_over")

    def __init__(
        self,
        commands: list[Command],
        on_answered: OnAnswered,
        part_of: PartOf | None,
        arrived: float,
        passed_over: int = 0,
    ) -> None:
        self.commands: Final = commands
        self.on_answered: Final = on_answered
        #: None: they are carried out all or none.
        self.part_of: Final = part_of
        #: Seconds of `perf_counter`.
        self.arrived: Final = arrived
        #: How often a batch went on without it, since another server held a card.
        self.passed_over = passed_over

    @property
    def cards(self) -> frozenset[bytes]:
        """Keys of the cards that it is about."""
        return frozenset([command.card_key for command in self.commands])

    def divided(self, waits: Callable[[bytes], bool]) -> tuple[Unit | None, list[Unit]]:
        """What of it can go on, if anything, and what must wait for cards.

        That is each command by itself; all of them where they are carried out all or none.
        """
        going: list[int] = []
        waiting: list[int] = []
        for place, command in enumerate(self.commands):
            if waits(command.card_key):
                waiting.append(place)
            else:
                going.append(place)
        if not waiting:
            return self, []
        part_of = self.part_of
        if part_of is None or len(self.commands) == 1:
            return None, [self]
        free = self._part(part_of, going) if going else None
        return free, [self._part(part_of, [place]) for place in waiting]

    def _part(self, part_of: PartOf, places: list[int]) -> Unit:
        commands = [self.commands[place] for place in places]

        def part_of_part(inner: list[int]) -> OnAnswered:
            return part_of([places[place] for place in inner])

        return Unit(commands, part_of(places), part_of_part, self.arrived, self.passed_over)


@final
class Course:
    """A batch on its way: what of it goes on, and what waits for cards of other servers."""

    __slots__ = ("_units", "commands", "held_up", "units")

    def __init__(self, units: list[Unit]) -> None:
        self._units: Final = units
        #: What goes on.
        self.units = units
        self.commands = _commands_of(units)
        #: Groups of units that wait, none of which share a card.
        self.held_up: list[list[Unit]] = []

    def without(self, held: frozenset[bytes]) -> list[Command]:
        """Go on without what is about these cards; the commands that are left."""
        if held or self.held_up:
            self.units, self.held_up = parted(self._units, held)
            self.commands = _commands_of(self.units)
        return self.commands


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
        #: What was set aside until a batch is over, in the order in which it came, and its cards:
        #: what comes for those later may not overtake.
        self._aside: Final[deque[Unit]] = deque()
        self._behind: Final[set[bytes]] = set()
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
        """The next batch out of what waits: units, or parts of them, on cards that are free.

        What is about other cards is set aside.
        """
        units: list[Unit] = []
        count = 0
        while waiting and (not units or count + len(waiting[0].commands) <= batch_max):
            going, held_up = waiting.popleft().divided(self._is_taken)
            if going is not None:
                units.append(going)
                count += len(going.commands)
            for unit in held_up:
                self._aside.append(unit)
                self._behind.update(unit.cards)
        return units

    def begin(self, units: list[Unit], work: Coroutine[Any, Any, None], now: float) -> None:
        """Begin a batch that counts as one of the lanes, now (seconds of `perf_counter`)."""
        self._running += 1
        self._began = now
        self._start(units, work)

    def begin_apart(self, units: list[Unit], work: Coroutine[Any, Any, None]) -> None:
        """Begin a batch that waits for another server, besides the lanes."""
        self._start(units, work)

    def set_aside(self, group: list[Unit]) -> bool:
        """Put a group that another server holds up before what was set aside for its cards.

        It goes with a batch that begins when this one is over. False where it should wait for
        the other server instead, because that was tried often enough.
        """
        if group[0].passed_over >= _PASSED_OVER_MAX:
            return False
        for unit in group:
            unit.passed_over += 1
        self._aside.extendleft(reversed(group))
        return True

    def end(self, units: Iterable[Unit], waiting: deque[Unit], *, is_apart: bool) -> None:
        """A batch is over; what was set aside goes back to the front of what waits, in its order.

        All of it is looked at again: a unit of several cards may have waited for several batches.
        """
        if not is_apart:
            self._running -= 1
        for card_key in _cards_of(units):
            left = self._busy[card_key] - 1
            if left:
                self._busy[card_key] = left
            else:
                del self._busy[card_key]
        waiting.extendleft(reversed(self._aside))
        self._aside.clear()
        self._behind.clear()

    def raise_failure(self) -> None:
        """Raise what a batch raised: it answers for everything that a store may raise itself."""
        if self._failure is not None:
            raise self._failure

    def _is_taken(self, card_key: bytes) -> bool:
        return card_key in self._busy or card_key in self._behind

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


def parted(units: Sequence[Unit], held: frozenset[bytes]) -> tuple[list[Unit], list[list[Unit]]]:
    """Units, or parts of them, that can go on, and groups of those that wait for cards held.

    Who comes before or behind a unit that waits, and is about one of its cards, waits too, in its
    group, so that none overtakes another.
    """
    waiting_cards = _with_neighbours(units, held)
    free: list[Unit] = []
    groups: list[tuple[set[bytes], list[Unit]]] = []
    for whole in units:
        going, held_up = whole.divided(waiting_cards.__contains__)
        if going is not None:
            free.append(going)
        for unit in held_up:
            cards = set(unit.cards)
            mine = [group for group in groups if not group[0].isdisjoint(cards)]
            waiting: list[Unit] = []
            for group in mine:
                cards |= group[0]
                waiting += group[1]
                groups.remove(group)
            groups.append((cards, [*waiting, unit]))
    return free, [group for _, group in groups]


def _with_neighbours(units: Iterable[Unit], held: frozenset[bytes]) -> set[bytes]:
    """Cards that are held, and those that units are about which cannot go on without them."""
    waiting = set(held)
    whole = [unit.cards for unit in units if unit.part_of is None and len(unit.commands) > 1]
    known = 0
    while known < len(waiting):
        known = len(waiting)
        for cards in whole:
            if not waiting.isdisjoint(cards):
                waiting |= cards
    return waiting


def _commands_of(units: Iterable[Unit]) -> list[Command]:
    return [command for unit in units for command in unit.commands]


def _cards_of(units: Iterable[Unit]) -> set[bytes]:
    return {command.card_key for unit in units for command in unit.commands}

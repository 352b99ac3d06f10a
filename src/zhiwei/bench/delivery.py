"""The delivery test: the worker is killed at random points, and its receiver is away for a day.

A real program with both stores (`bench.delivering`) tells the events of its decisions to a real
receiver over TCP, and is killed and started again, round after round. Then the receiver is down for
24 hours of the worker's clock, in which decisions go on and the worker is killed once more. After
the receiver's return everything must have arrived: nothing lost, each card's messages in their
order, repeats only under the same id, and every message that was taken in answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from zhiwei.bench import contenders
from zhiwei.bench.peers.lines import LineReceiver
from zhiwei.bench.populate import reading
from zhiwei.messaging.model import Status
from zhiwei.ports import EventRow, Reader
from zhiwei.stores.messages.store import SqliteMessageStore

_HOUR_MS: Final = 3_600_000
_PATIENCE_SECONDS: Final = 120.0
#: Every so many rounds the kill comes at any instant of the start.
_EARLY_EVERY: Final = 6
_PAGE: Final = 1_000


@dataclass(frozen=True)
class DeliveryOptions:
    """How often to kill, and how long the receiver is away."""

    rounds: int = 200
    seed: int = 1
    cards: int = 24
    #: The kill comes so many seconds after the round's first message at the latest.
    seconds: float = 0.5
    down_hours: int = 24
    #: How many seconds these hours take.
    down_seconds: float = 4.0


@dataclass
class DeliveryReport:
    """What was to be told, and what arrived."""

    kills: int = 0
    down_hours: int = 0
    #: Events of decisions that were committed.
    events: int = 0
    #: Messages that arrived, with and without repeats.
    arrivals: int = 0
    distinct: int = 0
    repeats: int = 0
    #: Events whose message never arrived.
    lost: list[str] = field(default_factory=list)
    #: Messages that arrived before an earlier one of their card, or again after a later one.
    out_of_order: list[str] = field(default_factory=list)
    #: Messages that say something else under a known id, or belong to no event.
    strange: list[str] = field(default_factory=list)
    #: Messages that came in and were taken, and those whose answer never arrived.
    taken: int = 0
    unanswered: list[str] = field(default_factory=list)
    #: What the store says became of all messages, by word.
    statuses: dict[str, int] = field(default_factory=dict)
    #: How many were counted under a budget; the same as there are events.
    counted: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, everything kept its order, and nobody was told two things."""
        faults = (self.lost, self.out_of_order, self.strange, self.unanswered)
        is_over = set(self.statuses) <= {Status.SENT.word, Status.DELIVERED.word}
        return not any(faults) and is_over and self.counted == self.events > 0

    def lines(self) -> list[str]:
        """The report in words."""
        rows = [
            f"kills: {self.kills}; receiver down for {self.down_hours} simulated hours",
            f"events: {self.events:,}; messages that arrived: {self.distinct:,}",
            f"repeats, all under the same id: {self.repeats:,}",
            f"inbound messages taken: {self.taken:,}",
            f"in the store: {', '.join(f'{k} {v:,}' for k, v in sorted(self.statuses.items()))}",
            f"counted under a budget: {self.counted:,}",
        ]
        for what in ("lost", "out_of_order", "strange", "unanswered"):
            ids = getattr(self, what)
            rows.append(f"{what.replace('_', ' ')}: {len(ids)} {ids[:5] if ids else ''}".rstrip())
        return rows


def delivery(
    options: DeliveryOptions, say: Callable[[int], None] = lambda _done: None
) -> DeliveryReport:
    """Run the test in a folder of its own, and remove it; `say` is told of each round's end."""
    folder = contenders.scratch_folder()
    try:
        return DeliveryTest(options, folder, say).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class DeliveryTest:
    """Kills and restarts on one data directory, and then the questions."""

    def __init__(
        self,
        options: DeliveryOptions,
        folder: Path,
        say: Callable[[int], None] = lambda _done: None,
        meanwhile: Callable[[Path], None] = lambda _data: None,
    ) -> None:
        """Plan the work.

        `meanwhile` may do something to the data before the end (a test does harm there, to see
        that it is noticed).
        """
        self._options: Final = options
        self._data: Final = folder / "delivery"
        self._say: Final = say
        self._meanwhile: Final = meanwhile
        self._random: Final = random.Random(options.seed)  # noqa: S311 - a schedule, not a secret
        self._receiver: Final = LineReceiver(random.Random(options.seed + 1))  # noqa: S311 - a schedule, no secret
        self._report: Final = DeliveryReport(down_hours=options.down_hours)

    def run(self) -> DeliveryReport:
        """Kill `rounds` times, take the receiver away for a day, let all arrive, and compare."""
        self._data.mkdir(mode=0o700)
        asyncio.run(self._play())
        self._examine()
        return self._report

    async def _play(self) -> None:
        await self._receiver.up()
        try:
            for number in range(1, self._options.rounds + 1):
                await self._round(is_early=number % _EARLY_EVERY == 0)
                self._say(number)
            ahead_ms = await self._outage()
            self._receiver.is_talkative = False
            self._meanwhile(self._data)
            await self._end(await self._start("--drain", "--ahead-ms", str(ahead_ms)))
        finally:
            await self._receiver.down()

    async def _round(self, *, is_early: bool) -> None:
        """Start the program, and kill it at a random instant."""
        self._receiver.has_arrival.clear()
        process = await self._start()
        if not is_early:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._receiver.has_arrival.wait()
        await asyncio.sleep(self._random.uniform(0, self._options.seconds * (1 + is_early)))
        await self._kill(process)

    async def _outage(self) -> int:
        """The receiver is away; how far the worker's clock has gone on meanwhile (ms)."""
        whole_ms = self._options.down_hours * _HOUR_MS
        if not whole_ms:
            return 0
        await self._receiver.down()
        speed = max(1, int(whole_ms / (self._options.down_seconds * 1_000)))
        first_ms = self._random.randrange(whole_ms // 4, whole_ms * 3 // 4)
        for ahead_ms, for_ms in ((0, first_ms), (first_ms, whole_ms - first_ms)):
            process = await self._start(
                *("--speed", str(speed), "--ahead-ms", str(ahead_ms), "--for-ms", str(for_ms))
            )
            await self._end(process)
        process = await self._start("--ahead-ms", str(whole_ms))
        await asyncio.sleep(self._random.uniform(0.5, 1.5))
        await self._kill(process)
        await self._receiver.up()
        return whole_ms

    async def _start(self, *more: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "zhiwei.bench.delivering", str(self._data)),
            *(str(self._receiver.port), "--cards", str(self._options.cards), *more),
            env={**contenders.python_path(), "PATH": ""},
            stdout=asyncio.subprocess.DEVNULL,
        )

    async def _kill(self, process: asyncio.subprocess.Process) -> None:
        assert process.returncode is None, "the program ended by itself"
        process.kill()
        await process.wait()
        self._report.kills += 1

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Wait until a program ends by itself."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            return
        assert code == 0, f"the program ended with {code}"

    def _examine(self) -> None:
        """Hold what arrived against the events and the message store."""
        report, receiver = self._report, self._receiver
        with reading(self._data) as reader:
            events = {_message_id(row): row for row in all_events(reader)}
        arrived: Counter[str] = Counter(message_id for message_id, _, _ in receiver.arrivals)
        report.events = len(events)
        report.arrivals, report.distinct = arrived.total(), len(arrived)
        report.repeats = report.arrivals - report.distinct
        report.lost = sorted(events.keys() - arrived.keys())
        last: dict[str, int] = {}
        for message_id, lane, text in receiver.arrivals:
            if message_id.endswith("-reply"):
                continue
            row = events.get(message_id)
            if row is None or text != str(row.position) or lane != row.card_key.hex():
                report.strange.append(message_id)
            elif row.position < last.get(lane, 0):
                report.out_of_order.append(message_id)
            else:
                last[lane] = row.position
        report.taken = len(receiver.taken)
        report.unanswered = sorted(
            one for one in receiver.taken if f"msg_{one}-reply" not in arrived
        )
        self._ask_the_store()

    def _ask_the_store(self) -> None:
        messages = SqliteMessageStore(self._data)
        reader = messages.reader()
        try:
            for (_, status), amount in reader.backlog().items():
                word = status.word
                self._report.statuses[word] = self._report.statuses.get(word, 0) + amount
            self._report.counted = messages.spent("all", 0)
        finally:
            reader.close()
            messages.close()


def _message_id(row: EventRow) -> str:
    return f"msg_{row.id.removeprefix('evt_')}-sms"


def all_events(reader: Reader) -> list[EventRow]:
    """All events of an outbox, oldest first."""
    found: list[EventRow] = []
    # Without a lower bound the newest come first, so the first one is looked for from above.
    before = 0
    while rows := reader.events(before=before, limit=_PAGE):
        found += rows
        before = rows[-1].position
        if before == 1:
            break
    return found[::-1]

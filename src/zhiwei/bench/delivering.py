"""The delivery test's program under test: decisions, their events, and the worker that tells them.

`python -m zhiwei.bench.delivering DATA PORT ...` opens both stores, lets cards be stopped and
opened again as fast as told, and has the outbox tell every event to the receiver at PORT. It is
killed at any moment and started again on the same data. With `--drain` it makes no more events,
and ends when nothing waits.

One line a message: `msg ID LANE POSITION` is answered by `ok ID REMOTE` or `later ID`; `receipt
REMOTE` comes some time after; `in ID` is an inbound message and is answered by `took ID`, when it
is on the disk, and later by a message.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, final

import zhiwei.zones  # noqa: F401 - tells the core where zones come from
from zhiwei.clock import SystemClock
from zhiwei.core.card_state import CardStatus, Profile, StopSource
from zhiwei.core.command import Actor, Command, LiftStop, PlaceStop, Register, Via
from zhiwei.core.policy import DEFAULT_POLICY
from zhiwei.core.zone import zone_named
from zhiwei.guardian import guardian_under
from zhiwei.messaging.model import (
    SMS,
    Answer,
    Desk,
    Inbound,
    Message,
    Plan,
    Planned,
    Receipt,
    Status,
    Verdict,
)
from zhiwei.messaging.outbox import Outbox
from zhiwei.messaging.settings import OutboxSettings
from zhiwei.ports import EventRow
from zhiwei.stores.messages.store import SqliteMessageStore
from zhiwei.stores.sqlite.store import SqliteStore

_BANK: Final = Actor("bench", Via.CLI, is_strong=True, is_staff=True)
_ANSWER_SECONDS: Final = 2.0
_CONNECT_PAUSE_SECONDS: Final = 0.02
#: How often the program looks whether anything still waits.
_LOOK_SECONDS: Final = 0.02


@final
class FastClock:
    """The machine's clock, moved ahead and made faster, so that days pass in seconds."""

    def __init__(self, ahead_ms: int, speed: int) -> None:
        self._begun_ms: Final = time.time_ns() // 1_000_000
        self._ahead_ms: Final = ahead_ms
        self._speed: Final = speed

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        passed = time.time_ns() // 1_000_000 - self._begun_ms
        return self._begun_ms + self._ahead_ms + passed * self._speed


@final
class LineChannel:
    """Text messages as lines over TCP, to a side that may be down, slow, or forget to answer."""

    def __init__(self, port: int) -> None:
        self.name = SMS
        self.at_once = 32
        self._port: Final = port
        self._desk: Desk | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._answers: Final[dict[str, asyncio.Future[Answer]]] = {}
        self._works: Final[set[asyncio.Task[None]]] = set()
        self._connection: asyncio.Task[None] | None = None

    async def start(self, desk: Desk) -> None:
        """Begin to connect."""
        self._desk = desk
        self._connection = asyncio.create_task(self._connect_for_ever())

    async def send(self, message: Message) -> Answer:
        """One line there, one line back, within a bound."""
        if self._writer is None or self._writer.is_closing():
            return Answer(Verdict.TRY_LATER, "no connection", is_channel_down=True)
        future = asyncio.get_running_loop().create_future()
        self._answers[message.id] = future
        self._writer.write(f"msg {message.id} {message.lane} {message.text}\n".encode())
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer: Answer = await future
            return answer
        except TimeoutError:
            return Answer(Verdict.TRY_LATER, "no answer", is_channel_down=True)
        finally:
            self._answers.pop(message.id, None)

    async def stop(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.cancel()
            await asyncio.gather(self._connection, *self._works, return_exceptions=True)

    async def _connect_for_ever(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    while line := await reader.readline():
                        self._understand(line.decode().split())
                finally:
                    self._writer.close()
                    self._writer = None
                    down = Answer(Verdict.TRY_LATER, "hung up", is_channel_down=True)
                    for future in self._answers.values():
                        if not future.done():
                            future.set_result(down)
            await asyncio.sleep(_CONNECT_PAUSE_SECONDS)

    def _understand(self, words: list[str]) -> None:
        assert self._desk is not None
        match words:
            case ["ok", message_id, remote_id]:
                self._answer(message_id, Answer(Verdict.TAKEN, remote_id=remote_id))
            case ["later", message_id]:
                self._answer(message_id, Answer(Verdict.TRY_LATER, "busy"))
            case ["receipt", remote_id]:
                self._work(self._desk.receipt(Receipt(remote_id, Status.DELIVERED)))
            case ["in", inbound_id]:
                self._work(self._take(Inbound(inbound_id, inbound_id[-1], "?", 0)))
            case _:
                pass

    def _answer(self, message_id: str, answer: Answer) -> None:
        future = self._answers.get(message_id)
        if future is not None and not future.done():
            future.set_result(answer)

    async def _take(self, inbound: Inbound) -> None:
        assert self._desk is not None
        await self._desk.received(inbound)
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(f"took {inbound.id}\n".encode())

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)


def plan(row: EventRow, _now_ms: int, _spent: Callable[[str, int], int]) -> Plan:
    """One message for each event, which says the event's position."""
    message = Message(
        id=f"msg_{row.id.removeprefix('evt_')}-sms",
        event_id=row.id,
        kind=row.event.kind.word,
        card_key=row.card_key,
        lane=row.card_key.hex(),
        channel=SMS,
        to="",
        language="en",
        subject="",
        text=str(row.position),
        created_ms=row.at_ms,
    )
    return Plan((Planned(message),), ("all",))


async def reply(inbound: Inbound) -> Planned:
    """One message for each that came in."""
    message = Message(
        id=f"msg_{inbound.id}-reply",
        event_id="",
        kind="reply",
        card_key=b"",
        lane=f"reply-{inbound.sender}",
        channel=SMS,
        to="",
        language="en",
        subject="",
        text="0",
        created_ms=0,
    )
    return Planned(message)


async def nobody(_message: Message) -> None:
    """No challenge is open here."""


async def decide(store: SqliteStore, cards: int, pause_seconds: float) -> None:
    """Stop cards and open them again, until cancelled: two events for each turn."""
    guardian = guardian_under(DEFAULT_POLICY)
    clock = SystemClock()
    keys = [number.to_bytes(16, "big") for number in range(1, cards + 1)]
    reader = store.reader()
    if reader.card(keys[-1]) is None:
        zone = zone_named("Asia/Shanghai")
        profiles = [
            Profile(
                cardholder="bench",
                tail=f"{number:04d}",
                currency="CNY",
                zone=zone,
                has_chip=True,
                network="unionpay",
                status=CardStatus.ACTIVE,
                created_ms=0,
            )
            for number in range(cards)
        ]
        opening = [
            Command(key, change=Register(profile), actor=_BANK)
            for key, profile in zip(keys, profiles, strict=True)
        ]
        await store.transact(opening, guardian.step, clock.now_ms())
    turn = 0
    while True:
        batch = [
            Command(key, change=change, actor=_BANK)
            for key in keys[turn % 4 :: 4]
            for change in (PlaceStop(StopSource.ISSUER), LiftStop())
        ]
        await store.transact(batch, guardian.step, clock.now_ms())
        turn += 1
        await asyncio.sleep(pause_seconds)


async def deliver(told: argparse.Namespace) -> None:
    """Decide and tell until killed; or tell what is left, and end."""
    store = SqliteStore(told.data)
    messages = SqliteMessageStore(told.data)
    pace = FastClock(told.ahead_ms, told.speed)
    settings = OutboxSettings(first_pause_ms=20, longest_pause_ms=200, poll_ms=5)
    outbox = Outbox(
        store.reader(),
        messages,
        [LineChannel(told.port)],
        planner=plan,
        on_inbound=reply,
        on_undeliverable=nobody,
        clock=SystemClock(),
        pace=pace,
        settings=settings,
    )
    await outbox.start()
    deciding = None
    if not told.drain:
        deciding = asyncio.create_task(decide(store, told.cards, told.pause_ms / 1_000))
    end_ms = told.ahead_ms + told.for_ms + SystemClock().now_ms()
    newest = store.reader().events(limit=1)
    while not told.drain or not _is_quiet(messages, newest[0].position if newest else 0):
        await asyncio.sleep(_LOOK_SECONDS)
        if deciding is not None and deciding.done():
            deciding.result()
        if told.for_ms and pace.now_ms() >= end_ms:
            break
    if deciding is not None:
        deciding.cancel()
    await outbox.stop()
    messages.close()
    await store.close()


def _is_quiet(messages: SqliteMessageStore, last: int) -> bool:
    """Whether everything was planned and nothing waits."""
    is_planned = messages.cursor() >= last
    return is_planned and not messages.waiting(SMS)[0] and not messages.unanswered(1)


def main(arguments: list[str]) -> None:
    """Read what to do, and do it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--cards", type=int, default=24)
    parser.add_argument("--pause-ms", type=int, default=20)
    parser.add_argument("--drain", action="store_true")
    parser.add_argument("--ahead-ms", type=int, default=0)
    parser.add_argument("--speed", type=int, default=1)
    parser.add_argument("--for-ms", type=int, default=0)
    asyncio.run(deliver(parser.parse_args(arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])

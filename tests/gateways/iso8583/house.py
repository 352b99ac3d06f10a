"""A whole house behind a real socket, for the tests of the server: door, engine, memory store."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from zhiwei.core.card_state import CardState, CardStatus, Profile
from zhiwei.core.command import Actor, Command, Register, SetControl, Via
from zhiwei.core.controls import Control
from zhiwei.core.policy import DEFAULT_POLICY
from zhiwei.core.result import Related, Result
from zhiwei.engine import Engine, Failure
from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.gateways.iso8583.answers import Answers
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.door import Door
from zhiwei.gateways.iso8583.frame import Framing, header_end, split, wrap
from zhiwei.gateways.iso8583.message import Message
from zhiwei.gateways.iso8583.server import Iso8583Server, Limits
from zhiwei.gateways.iso8583.translate import Translator
from zhiwei.gateways.response_codes import load
from zhiwei.guardian import guardian_under
from zhiwei.ports import Step
from zhiwei.stores.memory import MemoryStore
from zhiwei.vault import Vault
from zhiwei.zones import load_zone

#: 2026-11-23 12:00 in Shanghai.
NOON = 1_795_406_400_000
STAFF = Actor("key_1", Via.HTTP, is_strong=True, is_staff=True)
STEP = guardian_under(DEFAULT_POLICY).step
VAULT = Vault(bytes(32))
NO_RESULT = {1: "issuer_late", 2: "issuer_late", 3: "system"}


class Watch:
    """Remembers what the door and the engine tell."""

    def __init__(self) -> None:
        self.faults: list[tuple[str, int, int, str, str]] = []
        self.connections = 0
        self.batches: list[int] = []

    def observe_format_error(
        self, fault: str, field: int, position: int, mti: str, stan: str
    ) -> None:
        """Note the fault."""
        self.faults.append((fault, field, position, mti, stan))

    def observe_connections(self, count: int) -> None:
        """Note how many."""
        self.connections = count

    def observe_batch(self, results: Sequence[Result], **_: object) -> None:
        """Note the size."""
        self.batches.append(len(results))

    def observe_failure(self, failure: Failure, count: int, error: BaseException | None) -> None:
        """Nothing is noted: the answers tell."""

    def observe_tidy(self, *_: object, **__: object) -> None:
        """Nothing is noted."""


class Noon:
    """It is always noon."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return NOON


@dataclasses.dataclass
class House:
    """What a test can reach."""

    server: Iso8583Server
    engine: Engine
    watch: Watch
    port: int

    async def register(self, pan: str, *, has_chip: bool = False, **controls: Control) -> None:
        """Open a card's file and set controls."""
        zone = load_zone("Asia/Shanghai")
        assert zone is not None
        profile = Profile(
            cardholder="ch_1",
            tail=pan[-4:],
            currency="CNY",
            zone=zone,
            has_chip=has_chip,
            network="unionpay",
            status=CardStatus.ACTIVE,
            created_ms=NOON,
        )
        key = VAULT.card_key(pan)
        await self.carry_out(Command(key, change=Register(profile), actor=STAFF))
        for name, control in controls.items():
            change = SetControl(name, control, if_none_match=True)
            await self.carry_out(Command(key, change=change, actor=STAFF))

    async def carry_out(self, command: Command) -> None:
        """Have a change made."""
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self.engine.submit([command], lambda answers: done.set_result(answers[0]))
        answer = await done
        assert isinstance(answer, Result)
        assert answer.rejection is None, answer.rejection


@contextlib.asynccontextmanager
async def open_house(
    dialect: str = "unionpay-ascii",
    *,
    limits: Limits | None = None,
    form: Framing | None = None,
    step: Step = STEP,
    queue_max: int = 8192,
) -> AsyncIterator[House]:
    """A server on a free port, closed in good order at the end."""
    table = dialects.named(dialect)
    watch = Watch()
    engine = Engine(MemoryStore(), step, Noon(), watch, queue_max=queue_max)
    door = Door(
        Codec(table),
        form or table.framing,
        Translator(table, VAULT.card_key, lambda: b"12345678"),
        Answers(table, load(), NO_RESULT),
        watch,
    )
    server = Iso8583Server(door, engine.submit, limits=limits, bug=int(Failure.BUG))
    _, port = await server.start("127.0.0.1", 0)
    working = asyncio.create_task(engine.run())
    try:
        yield House(server, engine, watch, port)
    finally:
        await server.stop()
        engine.stop()
        await working


class Line:
    """An acquirer's line to the house."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        dialect: str,
        form: Framing | None,
        header: bytes,
    ) -> None:
        table = dialects.named(dialect)
        self.codec = Codec(dataclasses.replace(table, withheld=frozenset()))
        self.form = form or table.framing
        self.header = header
        self.reader = reader
        self.writer = writer
        self._received = b""

    def frame(self, mti: str, fields: dict[int, str | bytes]) -> bytes:
        """The bytes of one message."""
        return wrap(self.form, self.header, self.codec.encode(Message.of(mti, fields)))

    async def ask(self, mti: str, fields: dict[int, str | bytes]) -> Message:
        """Send a message and wait for the next answer."""
        self.writer.write(self.frame(mti, fields))
        return await self.answer()

    async def answer(self) -> Message:
        """The next answer."""
        frame = await self.answer_frame()
        lead = self.form.length_size + self.form.reserved
        begin = header_end(self.form, frame, lead, len(frame))
        return self.codec.decode(frame, begin, len(frame))

    async def answer_frame(self) -> bytes:
        """The bytes of the next answer, length and all."""
        while True:
            spans: list[int] = []
            split(self.form, self._received, 0, spans)
            if spans:
                frame, self._received = self._received[: spans[1]], self._received[spans[1] :]
                return frame
            chunk = await asyncio.wait_for(self.reader.read(65536), 20)
            assert chunk, "the server hung up"
            self._received += chunk

    async def is_closed(self) -> bool:
        """Wait until the server hangs up, and say whether it did so without another byte."""
        try:
            return await asyncio.wait_for(self.reader.read(), 20) == b""
        except ConnectionResetError:
            return True


@contextlib.asynccontextmanager
async def line_to(
    house: House,
    dialect: str = "unionpay-ascii",
    *,
    form: Framing | None = None,
    header: bytes = b"",
) -> AsyncIterator[Line]:
    """A line that is closed at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    try:
        yield Line(reader, writer, dialect, form, header)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a story on uvloop, as the server does; no story takes longer than a minute."""
    import uvloop

    async def bounded() -> None:
        await asyncio.wait_for(story(), 60)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())


async def come_true(condition: Callable[[], bool]) -> None:
    """Wait for something that tells nobody when it happens."""
    while not condition():  # noqa: ASYNC110 - a test must not ask the server for an event of its own
        await asyncio.sleep(0.001)


def buggy_step(marked: bytes) -> Step:
    """A step with a bug that meets one card only."""

    def step(state: CardState | None, related: Related, command: Command, clock_ms: int) -> Result:
        if command.request is not None and command.card_key == marked:
            raise ZeroDivisionError
        return STEP(state, related, command, clock_ms)

    return step

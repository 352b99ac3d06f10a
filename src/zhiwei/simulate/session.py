"""A session: one simulation from its first connection to its last answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, final

from zhiwei.gateways.http.times import instant_text
from zhiwei.gateways.iso8583.dialect import Dialect, named
from zhiwei.simulate.acquirer import Acquirer
from zhiwei.simulate.bank import Bank
from zhiwei.simulate.days import stream
from zhiwei.simulate.http_door import HttpDoor
from zhiwei.simulate.people import population
from zhiwei.simulate.reasons import Reasons
from zhiwei.simulate.scenes import SCENES, play
from zhiwei.simulate.stage import Record, Stage
from zhiwei.simulate.telling import Audience
from zhiwei.simulate.traffic import Listener, Pace, Tally, Traffic
from zhiwei.simulate.wire import Wire, connect

#: The server's clock is moved along in steps of this many milliseconds of the story.
CLOCK_STEP_MS: Final = 5 * 60_000
DEFAULT_PACE: Final = Pace(rate=5.0)


@dataclass(frozen=True)
class Options:
    """What is simulated, and against which server."""

    host: str = "127.0.0.1"
    port: int = 8583
    dialect: str = "unionpay-ascii"
    seed: int = 1
    customers: int = 40
    #: When the story begins, UTC ms.
    begin_ms: int = 0
    pace: Pace = DEFAULT_PACE
    #: The HTTP door and an issuer key; empty = it is not used.
    http: str = ""
    key: str = field(default="", repr=False)
    #: Register cards and controls first.
    registers: bool = False
    #: Move the server's clock along with the story (its test mode only).
    moves_clock: bool = False


@final
class Session:
    """A connection, an acquirer, and the bank behind them if there is one."""

    def __init__(self, options: Options, dialect: Dialect, wire: Wire, bank: Bank | None) -> None:
        self.options: Final = options
        self.wire: Final = wire
        self.bank: Final = bank
        #: Traces begin elsewhere for every seed, so that two sessions do not share identities.
        self.acquirer: Final = Acquirer(dialect, 1 + options.seed * 7919 % 900_000)
        self.reasons: Final = Reasons(None if bank is None else bank.door)
        self.people: Final = population(options.seed, options.customers)

    async def register(self, on_done: Callable[[int], object] = lambda _: None) -> None:
        """Register all people; `on_done` is told how many are done.

        Raises:
            HttpDoorError: the server refuses.
        """
        assert self.bank is not None, "whoever registers has a bank"
        for account in await self.bank.register_all(self.people, on_done):
            self.reasons.accounts[account.customer.card] = account

    async def stream(self, listener: Listener) -> Tally:
        """Send what people do, until it is enough or the server hangs up."""
        follower = ClockFollower(self.bank) if self.options.moves_clock else None
        on_time = None if follower is None else follower.follow
        traffic = Traffic(self.wire, self.acquirer, self.options.seed, listener, on_time=on_time)
        doings = stream(self.options.seed, self.people, self.options.begin_ms)
        try:
            await traffic.run(doings, self.options.pace)
            if self.wire.is_open:
                await traffic.sign_off()
        except asyncio.CancelledError:
            # Interrupted by a person, which is how an endless stream ends.
            return traffic.tally
        return traffic.tally

    async def scene(self, name: str, audience: Audience, beat_seconds: float = 0.0) -> Record:
        """Play one scene by its name."""
        stage = Stage(
            self.wire,
            self.acquirer,
            audience,
            bank=self.bank,
            registers=self.options.registers,
            moves_clock=self.options.moves_clock,
            beat_seconds=beat_seconds,
        )
        await play(SCENES[name], stage, self.options.seed, self.options.begin_ms)
        return stage.record


@final
class ClockFollower:
    """Moves a server's clock along with a story, in steps, and never back."""

    def __init__(self, bank: Bank | None, step_ms: int = CLOCK_STEP_MS) -> None:
        assert bank is not None, "whoever moves the clock has a bank"
        self._bank: Final = bank
        self._step_ms: Final = step_ms
        self.now_ms = 0

    async def follow(self, at_ms: int) -> None:
        """The story has come to `at_ms`.

        Raises:
            HttpDoorError: the server has no clock that can be set.
        """
        if at_ms - self.now_ms >= self._step_ms:
            self.now_ms = at_ms
            await asyncio.to_thread(self._bank.move_clock, instant_text(at_ms))


@asynccontextmanager
async def session(options: Options) -> AsyncIterator[Session]:
    """Connect to a server; hangs up at the end.

    Raises:
        WireError: nobody listens.
        DialectError: there is no such dialect.
        HttpDoorError: the address is none.
    """
    dialect = named(options.dialect)
    bank = Bank(HttpDoor(options.http, options.key)) if options.http and options.key else None
    wire = await connect(options.host, options.port, dialect)
    try:
        yield Session(options, dialect, wire, bank)
    finally:
        await wire.close()
        if bank is not None:
            bank.door.close()

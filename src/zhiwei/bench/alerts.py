"""Alerts: how long it takes from a decision to the text message on the wire.

A real server with its messages on, a real SMSC beside it, and requests over ISO 8583 at an even
rate, each refused and so each an alert. A text finds its request by the number it goes to and its
order there, since messages of one card keep their order. Two times are told: from the planned
sending of the request, which is more than was asked for, and from its answer, which leaves
the server just after the commit.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import uvloop

from zhiwei.bench import contenders
from zhiwei.bench.message import offsets_of
from zhiwei.bench.peers.smsc import ACCOUNT
from zhiwei.bench.populate import vault_of
from zhiwei.bench.processes import Server, start
from zhiwei.bench.races import frames_of
from zhiwei.bench.registration import Registrar
from zhiwei.core.command import Actor, Command, Register, SetControl, Via
from zhiwei.core.controls import CardLock, DeclineAlert
from zhiwei.core.policy import DEFAULT_POLICY
from zhiwei.guardian import guardian_under
from zhiwei.ports import Cardholder
from zhiwei.stores.sqlite.store import SqliteStore

_BANK: Final = Actor("bench", Via.CLI, is_strong=True, is_staff=True)
_BATCH: Final = 500
_PATIENCE_SECONDS: Final = 60.0
#: What was asked for: from the commit to the wire, 99 of 100.
P99_MS_MAX: Final = 300.0
#: And after the SMSC was killed and is back.
BACK_SECONDS_MAX: Final = 10.0
_OUTAGE_SECONDS: Final = 15.0
_OUTAGE_ALERTS: Final = 20
#: The response code of a refusal by a lock.
_REFUSED: Final = b"62"

#: Texts of a real night are few for each card; here all of them are wanted.
_MESSAGES: Final = """
[sms]
kind = "smpp"
host = "127.0.0.1"
port = {port}
system_id = "{system_id}"
password = "{password}"
sender = "95588"

[budgets]
sms_per_card_hour = 1000000
sms_per_number_hour = 1000000
sms_per_prefix_hour = 1000000
"""


@dataclass(frozen=True)
class AlertOptions:
    """How many alerts, how fast."""

    rate: int = 500
    seconds: float = 20.0
    cards: int = 2_000


@dataclass
class AlertReport:
    """What was sent, what arrived, and after how long (milliseconds)."""

    rate: int = 0
    requests: int = 0
    answers: int = 0
    refused: int = 0
    texts: int = 0
    seconds: float = 0.0
    #: From the return of an SMSC that was killed to the first message that had waited for it.
    back_after_seconds: float = 0.0
    #: From the planned sending of the request to submit_sm on the wire.
    from_request_ms: list[float] = field(default_factory=list)
    #: From the request's answer, which leaves just after the commit.
    from_answer_ms: list[float] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether every refusal had its one text."""
        return self.refused == self.requests == self.texts > 0

    @property
    def is_in_time(self) -> bool:
        """Whether 99 of 100 texts were on the wire in time, and soon after an outage."""
        return self._is_quick and self._is_soon_back

    @property
    def _is_quick(self) -> bool:
        return 0 < percentile(self.from_request_ms, 990) <= P99_MS_MAX

    @property
    def _is_soon_back(self) -> bool:
        return 0 < self.back_after_seconds <= BACK_SECONDS_MAX

    def lines(self) -> list[str]:
        """The report in words."""
        sent = f"requests: {self.requests:,} at {self.rate:,}/s; refused: {self.refused:,}"
        rows = [f"{sent}; texts on the wire: {self.texts:,} ({self.seconds:.1f} s)"]
        for name, values in (
            ("request planned", self.from_request_ms),
            ("answer received", self.from_answer_ms),
        ):
            p50, p99, p999 = (percentile(values, at) for at in (500, 990, 999))
            rows.append(
                f"from {name} to submit_sm: p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
                f"p99.9 {p999:.1f} ms, max {max(values, default=0.0):.1f} ms"
            )
        rows.append(f"{'met' if self._is_quick else 'NOT met'}: p99 at most {P99_MS_MAX:.0f} ms")
        back = f"first message {self.back_after_seconds:.1f} s after the SMSC's return"
        rows.append(f"{'met' if self._is_soon_back else 'NOT met'}: {back}, at most 10 s")
        return rows


def percentile(values: list[float], per_mille: int) -> float:
    """The value that so many out of a thousand do not exceed; 0 where there are none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * per_mille // 1000)]


def alerts(options: AlertOptions, say: Callable[[int], None] = lambda _done: None) -> AlertReport:
    """Measure in a folder of our own, and remove it."""
    folder = contenders.scratch_folder()
    try:
        return _alerts(options, folder, say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def number_of(card: int) -> str:
    """The phone number of a card: one for each, in blocks far apart."""
    return f"+86138{(card * 10_007) % 100_000_000:08d}"


def _alerts(options: AlertOptions, folder: Path, say: Callable[[int], None]) -> AlertReport:
    data = folder / "alerts"
    data.mkdir(mode=0o700)
    asyncio.run(_register(data, options.cards))
    arrived = folder / "arrived"
    smsc = _smsc(arrived, 0)
    server: Server | None = None
    try:
        messages = folder / "messages.toml"
        account = {"system_id": ACCOUNT.system_id, "password": ACCOUNT.password}
        messages.write_text(_MESSAGES.format(port=smsc.port, **account))
        server = contenders.ours(data, more=("--messages", str(messages))).server
        report, sent = uvloop.run(_send(options, server.port, 1, say))
        _wait_for(arrived, report.requests)
        _match(report, sent, arrived)
        smsc.kill()
        few = AlertOptions(_OUTAGE_ALERTS, 1.0, _OUTAGE_ALERTS)
        uvloop.run(_send(few, server.port, 2, say))
        # Long enough for pauses between tries to have grown as far as they do.
        time.sleep(_OUTAGE_SECONDS)
        back = folder / "back"
        smsc = _smsc(back, smsc.port)
        back_ns = time.monotonic_ns()
        _wait_for(back, _OUTAGE_ALERTS)
        times = [int(line.split()[1]) for line in back.read_text().splitlines()]
        if len(times) == _OUTAGE_ALERTS:
            report.back_after_seconds = (min(times) - back_ns) / 1e9
    finally:
        if server is not None:
            server.stop()
        smsc.stop()
    return report


def _smsc(arrived: Path, port: int) -> Server:
    """An SMSC in a process of its own."""
    command = [sys.executable, "-m", "zhiwei.bench.peers.smsc", str(arrived), str(port)]
    listening = r"smsc [\d.]+:(\d+)"
    return start("smsc", command, listening, environment=contenders.python_path())


async def _register(data: Path, cards: int) -> None:
    """Cards that refuse everything and tell of it, each with a holder and a number of its own."""
    registrar = Registrar(vault_of(data), (23, 5), None)
    step = guardian_under(DEFAULT_POLICY).step
    store = SqliteStore(data)
    try:
        now_ms = time.time_ns() // 1_000_000
        for first in range(0, cards, _BATCH):
            commands: list[Command] = []
            holders: list[Cardholder] = []
            for card in range(first, min(first + _BATCH, cards)):
                opening = registrar.register(card, now_ms)
                assert isinstance(opening.change, Register)
                holder = Cardholder(f"holder_{card:08d}", now_ms, phone=number_of(card))
                profile = replace(opening.change.profile, cardholder=holder.id)
                key = opening.card_key
                commands.append(Command(key, change=Register(profile), actor=_BANK))
                commands.append(_set(key, "decline_alert", DeclineAlert()))
                commands.append(_set(key, "card_lock", CardLock()))
                holders.append(holder)
            await store.transact(commands, step, now_ms)
            await store.keep(holders, [], _BANK, now_ms)
    finally:
        await store.close()


def _set(key: bytes, control_type: str, control: DeclineAlert | CardLock) -> Command:
    return Command(key, change=SetControl(control_type, control), actor=_BANK)


@dataclass
class _Sent:
    """One request: for which card, and when it was to leave and was answered."""

    card: int
    planned_ns: int
    answered_ns: int = 0


async def _send(
    options: AlertOptions, port: int, run: int, say: Callable[[int], None]
) -> tuple[AlertReport, list[_Sent]]:
    """Send at an even rate, whatever the answers do, and note when each one came."""
    count = int(options.rate * options.seconds)
    rounds = -(-count // options.cards)
    frames = {card: frames_of(card, rounds, run) for card in range(min(options.cards, count))}
    report = AlertReport(rate=options.rate, requests=count)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    waiting: dict[bytes, _Sent] = {}
    listening = asyncio.create_task(_listen(reader, waiting, report))
    sent: list[_Sent] = []
    begun_ns = time.monotonic_ns()
    for number in range(count):
        planned_ns = begun_ns + number * 1_000_000_000 // options.rate
        pause = (planned_ns - time.monotonic_ns()) / 1e9
        if pause > 0:
            await asyncio.sleep(pause)
        card = number % options.cards
        frame = frames[card][number // options.cards]
        one = _Sent(card, planned_ns)
        sent.append(one)
        at = offsets_of(frame[2:], 37)[37] + 2
        waiting[frame[at : at + 12]] = one
        writer.write(frame)
        if number % options.rate == 0:
            say(number)
    await asyncio.wait([listening], timeout=0 if not waiting else _PATIENCE_SECONDS)
    listening.cancel()
    writer.close()
    report.seconds = (time.monotonic_ns() - begun_ns) / 1e9
    return report, sent


async def _listen(
    reader: asyncio.StreamReader, waiting: dict[bytes, _Sent], report: AlertReport
) -> None:
    """Take answers until all are there, or the line is closed."""
    while report.answers < report.requests:
        size = int.from_bytes(await reader.readexactly(2), "big")
        body = await reader.readexactly(size)
        at = offsets_of(body, 39)
        one = waiting.pop(body[at[37] : at[37] + 12], None)
        if one is not None:
            one.answered_ns = time.monotonic_ns()
            report.answers += 1
            report.refused += body[at[39] : at[39] + 2] == _REFUSED


def _match(report: AlertReport, sent: list[_Sent], arrived: Path) -> None:
    """Give each text to its request: the nth to a number is the nth of its card."""
    by_number: dict[str, list[int]] = defaultdict(list)
    for line in arrived.read_text().splitlines():
        number, at_ns = line.split()
        by_number["+" + number.lstrip("+")].append(int(at_ns))
    report.texts = sum(len(times) for times in by_number.values())
    for one in sent:
        times = by_number[number_of(one.card)]
        if times:
            wire_ns = times.pop(0)
            report.from_request_ms.append((wire_ns - one.planned_ns) / 1e6)
            report.from_answer_ms.append((wire_ns - one.answered_ns) / 1e6)


def _wait_for(arrived: Path, count: int) -> None:
    """Wait until so many texts are there, or nothing comes any more."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if arrived.exists() and arrived.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.2)

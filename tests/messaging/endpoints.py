"""Endpoints for the tests: real servers on this machine that answer well, badly or not at all."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from zhiwei.messaging.model import Inbound, Message, Receipt

T = TypeVar("T")
#: For a whole test; nothing waits so long unless something is broken.
PATIENCE_S: Final = 60.0
#: Key and certificate of `hook.example`, `mail.example` and `localhost`, for tests alone.
PEM: Final = Path(__file__).parents[1] / "data" / "tls" / "endpoint.pem"


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a scenario on a loop of its own, with patience, but not for ever."""

    async def bounded() -> T:
        async with asyncio.timeout(PATIENCE_S):
            return await scenario

    return asyncio.run(bounded())


@dataclass
class Heard:
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes


Behaviour: TypeAlias = (
    "Callable[[Heard, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]"
)


@dataclass
class Endpoint:
    """A server: what it heard, and what it does with each request."""

    behave: Behaviour
    port: int = 0
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def has_heard(self, count: int) -> None:
        """Wait until so many requests have arrived."""
        while len(self.heard) < count:
            self._news.clear()
            await self._news.wait()

    @property
    def url(self) -> str:
        """An address at it, with a secret in its path."""
        return f"http://127.0.0.1:{self.port}/hook/s3cret-path"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        try:
            while True:
                heard = await _request(reader)
                self.heard.append(heard)
                self._news.set()
                await self.behave(heard, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, ValueError):
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _request(reader: asyncio.StreamReader) -> Heard:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {}
    for line in head[1:]:
        name, _, value = line.partition(":")
        if name:
            headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Heard(head[0], headers, body)


@asynccontextmanager
async def endpoint(behave: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[Endpoint]:
    """A server on a free port of this machine."""
    made = Endpoint(behave)
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        await made.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def answers(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """A well-behaved answer, always the same."""

    async def behave(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        await writer.drain()

    return behave


async def hangs(heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the request and never answer."""
    await reader.read(1)


async def hangs_up(
    heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Take the request and close the connection."""
    raise OSError


def says(raw: bytes) -> Behaviour:
    """Write these bytes and close."""

    async def behave(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(raw)
        await writer.drain()
        raise OSError

    return behave


def drips(start: bytes, pause_s: float = 0.02) -> Behaviour:
    """Write a beginning, and then a byte now and then, without end."""

    async def behave(
        heard: Heard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(start)
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(pause_s)

    return behave


@asynccontextmanager
async def silent_port(greeting: bytes = b"") -> AsyncIterator[int]:
    """A port that takes connections, says at most a greeting, and then nothing."""
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            writer.write(greeting)
            while await reader.read(65_536):
                pass
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def server_tls() -> ssl.SSLContext:
    """TLS as the tests' servers speak it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context


def message(**changes: Any) -> Message:  # noqa: ANN401 - fields of Message
    """A message of the tests."""
    values: dict[str, Any] = {
        "id": "msg_abc-sub_1",
        "event_id": "evt_abc",
        "kind": "stop_placed",
        "card_key": bytes(16),
        "lane": "lane",
        "channel": "webhook",
        "to": "sub_1",
        "language": "zh",
        "subject": "",
        "text": '{"type":"stop_placed","data":{"说":"止付"}}',
        "created_ms": 1_763_956_800_000,
        **changes,
    }
    return Message(**values)


class NoDesk:
    """A desk that nobody reports to."""

    async def receipt(self, receipt: Receipt) -> None:
        """Never called by these channels."""
        raise AssertionError(receipt)

    async def received(self, inbound: Inbound) -> None:
        """Never called by these channels."""
        raise AssertionError(inbound)


@contextmanager
def everything_logged(
    caplog: Any,  # noqa: ANN401 - pytest's
) -> Iterator[list[str]]:
    """What is logged by us (structlog) and by libraries, at every level that they have."""
    import structlog

    lines: list[str] = []
    with caplog.at_level("NOTSET"), structlog.testing.capture_logs() as ours:
        yield lines
    lines.extend(str(entry) for entry in ours)
    lines.extend(record.getMessage() for record in caplog.records)

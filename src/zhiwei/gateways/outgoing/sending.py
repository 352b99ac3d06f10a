"""Sending: one POST to somebody else's endpoint, with a bound on everything, and what came of it.

Redirects are not followed, answers are read a little and thrown away, nothing waits longer than the
bounds say, and what is told to operators holds neither the address nor anything that was sent:
URLs may carry secrets.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import h11

import zhiwei
from zhiwei.core.errors import ZhiweiError
from zhiwei.gateways.outgoing.addresses import Reach
from zhiwei.gateways.outgoing.lines import Line, Lines, Target, target_of
from zhiwei.gateways.outgoing.transport import Resolve, Resolver
from zhiwei.messaging.model import Answer, Verdict

GONE: Final = 410
#: These say "later", and may say how much later.
_LATER: Final = frozenset((429, 502, 503, 504))
_PAUSE_MAX_MS: Final = 6 * 3_600_000
_SECONDS_DIGITS_MAX: Final = 9
_READ_BYTES: Final = 16_384


@dataclass(frozen=True)
class Bounds:
    """How long and how much; seconds and bytes."""

    connect_s: float = 5.0
    #: Between two pieces of the answer.
    read_s: float = 10.0
    #: Everything together: look-up, connection, sending, answer.
    total_s: float = 15.0
    #: For the rest of an answer once its status is known.
    rest_s: float = 1.0
    answer_bytes_max: int = 65_536
    #: Kept for the next message, at most.
    connections: int = 128
    #: How long a connection is kept for the next message.
    kept_s: float = 30.0


@dataclass(frozen=True)
class Reply:
    """What came of a POST."""

    #: HTTP status; 0 = no answer.
    status: int
    #: A few words for operators, without the address.
    detail: str
    #: How long the other side asked us to wait, ms; 0 = it did not say.
    pause_ms: int = 0

    @property
    def is_taken(self) -> bool:
        """Whether the other side has it."""
        return 200 <= self.status < 300

    @property
    def is_trouble(self) -> bool:
        """Whether the endpoint as a whole is in trouble, rather than this message."""
        return self.status == 0 or self.status >= 500 or self.status in _LATER


def answer_of(reply: Reply, *, is_channel_down: bool = False) -> Answer:
    """What a channel says of a reply: taken, or another try; refusals are the channel's to tell."""
    if reply.is_taken:
        return Answer(Verdict.TAKEN, reply.detail)
    return Answer(
        Verdict.TRY_LATER,
        reply.detail,
        pause_ms=reply.pause_ms,
        is_channel_down=is_channel_down and reply.is_trouble,
    )


def machine_ms() -> int:
    """The machine's time, UTC ms."""
    return time.time_ns() // 1_000_000


class Sender:
    """Sends requests to endpoints; lives on one event loop."""

    def __init__(
        self,
        reach: Reach,
        bounds: Bounds | None = None,
        *,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._bounds: Final = bounds or Bounds()
        self._own_resolver: Final = Resolver() if resolve is None else None
        self._lines: Final = Lines(
            reach,
            resolve or self._own_resolver or Resolver(),
            tls or ssl.create_default_context(),
            idle_max=self._bounds.connections,
            kept_s=self._bounds.kept_s,
        )

    async def post(self, url: str, body: str, headers: Mapping[str, str]) -> Reply:
        """Post a JSON body; never raises, and ends within `Bounds.total_s`."""
        sent = {"Content-Type": "application/json", **headers}
        reply, _ = await self.exchange("POST", url, body.encode(), sent)
        return reply

    async def exchange(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[Reply, bytes]:
        """Send a request, and give what of its answer came within the bounds; never raises."""
        heard = _Heard()
        line: Line | None = None
        try:
            async with asyncio.timeout(self._bounds.total_s):
                target = target_of(url)
                request = method, target, body, headers
                line = await self._lines.take(target, self._bounds.connect_s)
                try:
                    heard.reply = await self._asked(line, *request)
                except (h11.RemoteProtocolError, OSError) as error:
                    is_late = isinstance(error, TimeoutError)
                    if is_late or line.has_heard or not line.is_used:
                        raise
                    # It was being closed, as servers do with what nobody uses, when we wrote.
                    line.drop()
                    line = await self._lines.take(target, self._bounds.connect_s, anew=True)
                    heard.reply = await self._asked(line, *request)
                if await self._read_rest(line, heard.rest):
                    self._lines.give_back(line)
                    line = None
        except Exception as error:  # noqa: BLE001 - whatever a stranger's endpoint does is an answer
            return heard.reply or Reply(0, _words_for(error)), bytes(heard.rest)
        finally:
            # In an unknown state, also when we were cancelled in the middle.
            if line is not None:
                line.drop()
        return heard.reply, bytes(heard.rest)

    async def close(self) -> None:
        """Close all connections."""
        self._lines.close()
        if self._own_resolver is not None:
            self._own_resolver.close()

    async def _asked(
        self, line: Line, method: str, target: Target, body: bytes, headers: Mapping[str, str]
    ) -> Reply:
        """Send a request, and wait for the head of its answer."""
        line.writer.write(_request(line, method, target, body, headers))
        await line.writer.drain()
        return _reply_of(await self._head(line))

    async def _event(self, line: Line) -> h11.Event | type[h11.PAUSED]:
        """The next piece of the answer."""
        while True:
            event = line.talk.next_event()
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]  # the other sentinel is left
            async with asyncio.timeout(self._bounds.read_s):
                data = await line.reader.read(_READ_BYTES)
            line.has_heard = line.has_heard or bool(data)
            line.talk.receive_data(data)

    async def _head(self, line: Line) -> h11.Response:
        """Status and headers; what comes before them (100 Continue) is passed over."""
        while True:
            event = await self._event(line)
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise h11.RemoteProtocolError("no answer")

    async def _read_rest(self, line: Line, rest: bytearray) -> bool:
        """Read the little that is left; whether it came whole, so that the line is good."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._bounds.rest_s):
                while len(rest) <= self._bounds.answer_bytes_max:
                    event = await self._event(line)
                    if not isinstance(event, h11.Data):
                        return isinstance(event, h11.EndOfMessage)
                    rest += event.data
        return False


@dataclass
class _Heard:
    """What of an answer has come so far."""

    reply: Reply | None = None
    rest: bytearray = field(default_factory=bytearray)


def _request(
    line: Line, method: str, target: Target, body: bytes, headers: Mapping[str, str]
) -> bytes:
    """A whole request, as it goes over the line."""
    told = {
        "Host": target.host_header,
        "User-Agent": f"zhiwei/{zhiwei.__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        **headers,
    }
    if body or method != "GET":
        told["Content-Length"] = str(len(body))
    named = [(name.encode(), value.encode()) for name, value in told.items()]
    parts = [line.talk.send(h11.Request(method=method, target=target.path, headers=named))]
    if body:
        parts.append(line.talk.send(h11.Data(data=body)))
    parts.append(line.talk.send(h11.EndOfMessage()))
    return b"".join(part for part in parts if part)


def host_of(url: str) -> str:
    """The host of a URL, for logs; its path may hold a secret."""
    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"


def _reply_of(response: h11.Response) -> Reply:
    status = response.status_code
    detail = f"answered {status}"
    if 300 <= status < 400:
        detail = f"answered {status}: a redirect, which is not followed; give the new address"
    asked = next((value for name, value in response.headers if name == b"retry-after"), b"")
    pause_ms = _pause_ms(asked.decode("latin-1")) if status in _LATER else 0
    return Reply(status, detail, pause_ms)


def _pause_ms(text: str) -> int:
    """What Retry-After asks for: seconds or a date; 0 where it cannot be read."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:_SECONDS_DIGITS_MAX]) * 1_000, _PAUSE_MAX_MS)
    try:
        at_ms = int(parsedate_to_datetime(text).timestamp() * 1_000)
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0
    return min(max(at_ms - machine_ms(), 0), _PAUSE_MAX_MS)


def _words_for(error: Exception) -> str:
    """What happened, in our own words: those of the libraries may hold the address."""
    if isinstance(error, ZhiweiError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its TLS certificate cannot be trusted"
    if isinstance(error, ssl.SSLError):
        return "TLS cannot be agreed on"
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    if isinstance(error, h11.RemoteProtocolError | OSError):
        return "hung up, or its answer is not HTTP"
    return f"could not be sent ({type(error).__name__})"

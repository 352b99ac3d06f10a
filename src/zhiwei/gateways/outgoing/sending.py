"""Sending: one POST to somebody else's endpoint, with a bound on everything, and what came of it.

Redirects are not followed, answers are read a little and thrown away, nothing waits longer than the
bounds say, and what is told to operators holds neither the address nor anything that was sent:
URLs may carry secrets.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import httpx

import zhiwei
from zhiwei.core.errors import ZhiweiError
from zhiwei.gateways.outgoing.addresses import Reach
from zhiwei.gateways.outgoing.transport import CheckedTransport, Resolve, Resolver
from zhiwei.messaging.model import Answer, Verdict

GONE: Final = 410
#: These say "later", and may say how much later.
_LATER: Final = frozenset((429, 502, 503, 504))
_PAUSE_MAX_MS: Final = 6 * 3_600_000
_SECONDS_DIGITS_MAX: Final = 9


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
    """Posts to endpoints; lives on one event loop."""

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
        # The libraries write whole URLs at their lower levels.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        limits = httpx.Limits(
            max_connections=self._bounds.connections,
            max_keepalive_connections=self._bounds.connections,
            keepalive_expiry=self._bounds.kept_s,
        )
        self._client: Final = httpx.AsyncClient(
            transport=CheckedTransport(
                reach=reach,
                resolve=resolve or self._own_resolver or Resolver(),
                tls=tls or ssl.create_default_context(),
                limits=limits,
            ),
            timeout=httpx.Timeout(
                self._bounds.read_s, connect=self._bounds.connect_s, pool=self._bounds.connect_s
            ),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": f"zhiwei/{zhiwei.__version__}", "Accept-Encoding": "identity"},
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
        reply: Reply | None = None
        rest = bytearray()
        try:
            async with asyncio.timeout(self._bounds.total_s):
                request = self._client.build_request(
                    method, url, content=body or None, headers=dict(headers)
                )
                response = await self._client.send(request, stream=True)
                reply = _reply_of(response)
                try:
                    await self._read_rest(response, rest)
                finally:
                    await response.aclose()
        except Exception as error:  # noqa: BLE001 - whatever a stranger's endpoint does is an answer
            return reply or Reply(0, _words_for(error)), bytes(rest)
        return reply, bytes(rest)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()
        if self._own_resolver is not None:
            self._own_resolver.close()

    async def _read_rest(self, response: httpx.Response, rest: bytearray) -> None:
        """Read the little that is left, so that the connection can be used again; not more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._bounds.rest_s):
                async for piece in response.aiter_raw():
                    rest += piece
                    if len(rest) > self._bounds.answer_bytes_max:
                        return


def host_of(url: str) -> str:
    """The host of a URL, for logs; its path may hold a secret."""
    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"


def _reply_of(response: httpx.Response) -> Reply:
    status = response.status_code
    detail = f"answered {status}"
    if response.is_redirect or 300 <= status < 400:
        detail = f"answered {status}: a redirect, which is not followed; give the new address"
    pause_ms = _pause_ms(response.headers.get("retry-after", "")) if status in _LATER else 0
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
    if isinstance(error, httpx.ConnectTimeout):
        return "cannot be connected to in time"
    if isinstance(error, httpx.PoolTimeout):
        return "too much is on its way"
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return "did not answer in time"
    for cause in _causes(error):
        if isinstance(cause, ZhiweiError):
            return str(cause)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its TLS certificate cannot be trusted"
        if isinstance(cause, ssl.SSLError):
            return "TLS cannot be agreed on"
    if isinstance(error, httpx.ConnectError):
        return "cannot be connected to"
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError):
        return "hung up, or its answer is not HTTP"
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return "the address is not an HTTP address"
    return f"could not be sent ({type(error).__name__})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, at most a few steps back."""
    found: BaseException | None = error
    for _ in range(8):
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__

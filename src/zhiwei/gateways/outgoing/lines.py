"""Lines: connections to other people's servers, used again while they are good.

Each is made to an address that was checked; TLS checks the certificate against the name. Finding
one costs the same however many there are: with the pool of httpx, which looks through all of them
for each request, a hundred connections were measured at a tenth of the rate of one.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from dataclasses import dataclass
from typing import Final, final
from urllib.parse import quote, urlsplit

import h11

from zhiwei.core.errors import ZhiweiError
from zhiwei.gateways.outgoing.addresses import Reach
from zhiwei.gateways.outgoing.transport import Resolve, checked_addresses

_PORTS: Final = {"http": 80, "https": 443}
_HEAD_BYTES_MAX: Final = 65_536
#: What may stand in a path or query as it is; everything else goes as %XX.
_URL_SAFE: Final = "/%:@!$&'()*+,;=~-._?"


class BadUrlError(ZhiweiError):
    """the address is not an HTTP address"""


class ConnectTimeoutError(ZhiweiError):
    """cannot be connected to in time"""


class ConnectError(ZhiweiError):
    """cannot be connected to"""


@dataclass(frozen=True)
class Target:
    """Where a request goes."""

    host: str
    port: int
    is_tls: bool
    #: Path and query.
    path: str

    @property
    def host_header(self) -> str:
        """As HTTP names it: without the port that everybody knows."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_known = self.port == _PORTS["https" if self.is_tls else "http"]
        return host if is_known else f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """What a URL says.

    Raises:
        BadUrlError: it is no http or https address with a host, or has a user.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if host is not None and not host.isascii():
            host = host.encode("idna").decode("ascii")
    except (ValueError, UnicodeError):
        raise BadUrlError from None
    if parts.scheme not in _PORTS or not host or parts.username is not None or port == 0:
        raise BadUrlError
    path = quote(parts.path or "/", safe=_URL_SAFE)
    if parts.query:
        path += "?" + quote(parts.query, safe=_URL_SAFE)
    return Target(host, port or _PORTS[parts.scheme], parts.scheme == "https", path)


@final
class Line:
    """One connection; `talk` is where HTTP stands on it."""

    def __init__(
        self, key: tuple[str, int, bool], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.key: Final = key
        self.reader: Final = reader
        self.writer: Final = writer
        self.talk: Final = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES_MAX)
        #: Whether it was used before, and whether anything came since the request went out.
        self.is_used = False
        self.has_heard = False
        #: When it was last used, and whether it waits to be used again.
        self.used_at = 0.0
        self.is_idle = False

    @property
    def is_good(self) -> bool:
        """Whether it is open, and nobody said anything on it out of turn."""
        return not (self.writer.is_closing() or self.reader.at_eof() or self.reader.exception())

    def drop(self) -> None:
        """Close it at once."""
        self.is_idle = False
        self.writer.transport.abort()


@final
class Lines:
    """All connections of a sender; lives on one event loop."""

    def __init__(
        self, reach: Reach, resolve: Resolve, tls: ssl.SSLContext, *, idle_max: int, kept_s: float
    ) -> None:
        self._reach: Final = reach
        self._resolve: Final = resolve
        self._tls: Final = tls
        self._idle_max: Final = idle_max
        self._kept_s: Final = kept_s
        self._idle: Final[dict[tuple[str, int, bool], list[Line]]] = {}
        #: Lines with the instant at which they became idle, oldest first; a line that was taken
        #: since stands in it still, with an instant that is no more its own.
        self._by_age: Final[deque[tuple[float, Line]]] = deque()
        self._idle_count = 0
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, target: Target, within_s: float, *, anew: bool = False) -> Line:
        """A line that waits, or (`anew`: always) a new one.

        Raises:
            HostNotFoundError, HostRefusedError: as `checked_addresses` says.
            ConnectError, ConnectTimeoutError: nobody took the connection.
            ssl.SSLError: TLS could not be agreed on.
        """
        key = (target.host, target.port, target.is_tls)
        waiting = self._idle.get(key, [])
        while waiting and not anew:
            line = waiting.pop()
            self._left(line)
            if line.is_good and time.monotonic() - line.used_at < self._kept_s:
                return line
            line.drop()
        try:
            async with asyncio.timeout(within_s):
                return await self._connected(target, key, within_s)
        except TimeoutError:
            raise ConnectTimeoutError from None

    def give_back(self, line: Line) -> None:
        """Keep a line for the next request, if it is good for one."""
        is_done = line.talk.our_state is h11.DONE and line.talk.their_state is h11.DONE
        if not is_done or not line.is_good or line.talk.trailing_data[0]:
            line.drop()
            return
        line.talk.start_next_cycle()
        line.is_used, line.has_heard = True, False
        line.used_at, line.is_idle = time.monotonic(), True
        self._idle.setdefault(line.key, []).append(line)
        self._by_age.append((line.used_at, line))
        self._idle_count += 1
        self._sweep()
        if self._timer is None:
            # What nobody uses any more is closed too where there is no further traffic.
            self._timer = asyncio.get_running_loop().call_later(self._kept_s, self._swept_later)

    def close(self) -> None:
        """Close all lines that wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiting in self._idle.values():
            for line in waiting:
                line.drop()
        self._idle.clear()
        self._by_age.clear()
        self._idle_count = 0

    async def _connected(self, target: Target, key: tuple[str, int, bool], within_s: float) -> Line:
        """A new line to the first checked address that answers."""
        addresses = await checked_addresses(target.host, target.port, self._reach, self._resolve)
        tls = {"ssl": self._tls, "server_hostname": target.host} if target.is_tls else {}
        for place, address in enumerate(addresses, 1):
            try:
                async with asyncio.timeout(within_s / len(addresses)):
                    reader, writer = await asyncio.open_connection(address, target.port, **tls)  # type: ignore[arg-type]  # the two of TLS
                return Line(key, reader, writer)
            except ssl.SSLError:
                raise
            except TimeoutError:
                if place == len(addresses):
                    raise
            except OSError:
                if place == len(addresses):
                    raise ConnectError from None
        raise ConnectError

    def _swept_later(self) -> None:
        self._timer = None
        self._sweep()
        if self._idle_count:
            self._timer = asyncio.get_running_loop().call_later(self._kept_s, self._swept_later)

    def _left(self, line: Line) -> None:
        line.is_idle = False
        self._idle_count -= 1

    def _sweep(self) -> None:
        """Drop what has waited too long, and the oldest of too many."""
        oldest_s = time.monotonic() - self._kept_s
        while self._by_age:
            used_at, line = self._by_age[0]
            is_waiting = line.is_idle and line.used_at == used_at
            if is_waiting and used_at > oldest_s and self._idle_count <= self._idle_max:
                return
            self._by_age.popleft()
            if is_waiting:
                waiting = self._idle[line.key]
                waiting.remove(line)
                if not waiting:
                    del self._idle[line.key]
                self._left(line)
                line.drop()

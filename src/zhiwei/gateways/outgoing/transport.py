"""Transport: connections that are made only to addresses that were checked.

A name is looked up once for each connection, every address that it has must be allowed, and the
connection goes to one of those very addresses: a name that answers otherwise the second time (DNS
rebinding) gains nothing. TLS still checks the certificate against the name.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeAlias

import httpcore
import httpx

from zhiwei.core.errors import ZhiweiError
from zhiwei.gateways.outgoing.addresses import Reach, why_not

#: Host and port → numeric addresses, best first.
Resolve: TypeAlias = "Callable[[str, int], Awaitable[list[str]]]"
#: Addresses of one host that are tried before giving up.
_ADDRESSES_TRIED_MAX: Final = 3
_ADDRESSES_MAX: Final = 64
#: A name server that hangs holds a thread for a while; there are enough for the others.
_RESOLVER_THREADS: Final = 32


class HostRefusedError(ZhiweiError):
    """the host must not be connected to"""


class HostNotFoundError(ZhiweiError):
    """the host has no address"""


class Resolver:
    """Looks names up with the system's resolver, in threads of its own."""

    def __init__(self) -> None:
        self._threads: Final = ThreadPoolExecutor(_RESOLVER_THREADS, "resolve")

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of a host, each once.

        Raises:
            HostNotFoundError: there is none, or the resolver is in trouble.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _look_up, host, port)
        except (OSError, UnicodeError):
            raise HostNotFoundError from None
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def close(self) -> None:
        """Let the threads go; one that hangs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


async def checked_addresses(host: str, port: int, reach: Reach, resolve: Resolve) -> list[str]:
    """The addresses of a host, if every one of them is allowed.

    Raises:
        HostNotFoundError: there is none.
        HostRefusedError: one of them is not allowed.
    """
    addresses = await resolve(host, port)
    if not addresses:
        raise HostNotFoundError
    # One that is not allowed among good ones is a trick, or a mistake that must not be hidden.
    for address in addresses[:_ADDRESSES_MAX]:
        why = why_not(address, reach)
        if why:
            raise HostRefusedError(why)
    return addresses[:_ADDRESSES_TRIED_MAX]


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections for httpcore; TLS and everything above is left to it."""

    def __init__(self, reach: Reach, resolve: Resolve) -> None:
        self._reach: Final = reach
        self._resolve: Final = resolve
        self._sockets: Final = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Look up, check, and connect to the first checked address that answers."""
        try:
            async with asyncio.timeout(timeout):
                addresses = await checked_addresses(host, port, self._reach, self._resolve)
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        share = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            try:
                return await self._sockets.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._sockets.connect_tcp(
            addresses[-1], port, share, local_address, socket_options
        )

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never: no URL leads here."""
        raise HostRefusedError

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class CheckedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport with checked connections; takes no proxy from the environment."""

    def __init__(
        self, *, reach: Reach, resolve: Resolve, tls: ssl.SSLContext, limits: httpx.Limits
    ) -> None:
        super().__init__(verify=tls, trust_env=False, limits=limits)
        # httpx does not pass a backend on, so the pool that it made is replaced by one that has it;
        # a test that registers a private address would fail if this ceased to be so.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_CheckedBackend(reach, resolve),
        )

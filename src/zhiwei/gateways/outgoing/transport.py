"""Transport: which addresses a name has, and whether they may be connected to.

A name is looked up once for each connection, every address that it has must be allowed, and the
connection goes to one of those very addresses: a name that answers otherwise the second time (DNS
rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeAlias

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
    if len(addresses) > _ADDRESSES_MAX:
        raise HostRefusedError("the host has too many addresses")
    # One that is not allowed among good ones is a trick, or a mistake that must not be hidden.
    for address in addresses:
        why = why_not(address, reach)
        if why:
            raise HostRefusedError(why)
    return addresses[:_ADDRESSES_TRIED_MAX]

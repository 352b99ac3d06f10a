"""Peer (c): a bare asyncio echo. It decides and keeps nothing: the floor of what sockets cost.

`python -m zhiwei.bench.peers.echo [--uvloop]` prints `echo 127.0.0.1:PORT` once it listens.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import cast


class Echo(asyncio.Protocol):
    """Sends back every buffer as it came."""

    def __init__(self) -> None:
        """Wait for a connection."""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        # uvloop's transport is no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer with the same bytes."""
        assert self._transport is not None
        self._transport.write(data)


async def serve() -> None:
    """Echo on a free port until SIGTERM."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, done.set)
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"echo 127.0.0.1:{port}\n")
    sys.stdout.flush()
    await done.wait()


def main() -> None:
    """Run on asyncio's own loop, or on uvloop where asked."""
    if "--uvloop" in sys.argv[1:]:
        import uvloop  # noqa: PLC0415 - only where asked

        uvloop.run(serve())
    else:
        asyncio.run(serve())


if __name__ == "__main__":
    main()

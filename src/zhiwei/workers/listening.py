"""Listening: both ports as the supervisor opens them, before there is a worker."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from zhiwei.http_thread import listening


@dataclass(frozen=True)
class Ports:
    """Sockets that listen."""

    http: socket.socket
    iso8583: socket.socket

    def close(self) -> None:
        """Listen no more, as far as this process is concerned."""
        self.http.close()
        self.iso8583.close()


def ports_at(http: tuple[str, int], iso8583: tuple[str, int]) -> Ports:
    """Both ports, listening.

    Raises:
        OSError: an address is taken or does not exist.
    """
    first = listening(*http)
    try:
        return Ports(first, listening(*iso8583))
    except OSError:
        first.close()
        raise


def address_of(listener: socket.socket) -> tuple[str, int]:
    """Where it listens."""
    name = listener.getsockname()
    return str(name[0]), int(name[1])

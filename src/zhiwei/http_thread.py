"""HttpThread: the HTTP door on an event loop and a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any, Final, final

import uvicorn
from fastapi import FastAPI

from zhiwei.core.errors import ZhiweiError
from zhiwei.gateways.http.connections import PatientConnection

_BACKLOG: Final = 512
_START_SECONDS: Final = 30.0
#: Calls that are under way may take this long to end when the house closes.
_STOP_SECONDS: Final = 10


class HttpDoorError(ZhiweiError):
    """the HTTP door did not open"""


class _Server(uvicorn.Server):
    """Uvicorn's server, which tells when it listens. Signals are the main thread's business."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_listening: Final = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self.is_listening.set()


@final
class HttpThread:
    """Runs an application until it is stopped."""

    def __init__(
        self,
        app_at: Callable[[str, int], FastAPI],
        host: str,
        port: int,
        *,
        listener: socket.socket | None = None,
    ) -> None:
        """Make a door that is not open yet.

        Args:
            app_at: makes the application, which may want to know where it listens.
            host: address to listen on.
            port: port to listen on; 0 takes a free one.
            listener: a socket that listens already, instead of these two.
        """
        self._app_at: Final = app_at
        self._address: Final = (host, port)
        self._listener: Final = listener
        self._server: _Server | None = None
        self._thread: Final = threading.Thread(target=self._run, name="http", daemon=True)
        self._socket: socket.socket | None = None
        self._error: BaseException | None = None

    def start(self) -> tuple[str, int]:
        """Listen; returns the address and the port (0 takes a free one).

        Raises:
            OSError: the address is taken or does not exist.
            HttpDoorError: the application did not start.
        """
        listener = self._listener or listening(*self._address)
        self._socket = listener
        name: Any = listener.getsockname()
        found = str(name[0]), int(name[1])
        self._server = server = _Server(_config(self._app_at(*found)))
        self._thread.start()
        if not server.is_listening.wait(_START_SECONDS):
            raise HttpDoorError(f"the HTTP door did not open: {self._error}")
        return found

    def stop(self) -> None:
        """Take no more calls, let those under way end, and wait for the thread."""
        if self._server is not None and self._thread.is_alive():
            self._server.should_exit = True
            self._thread.join(_STOP_SECONDS * 2)

    def _run(self) -> None:
        assert self._server is not None, "it was made before the thread began"
        assert self._socket is not None, "so was its socket"
        try:
            self._server.run(sockets=[self._socket])
        except BaseException as error:
            self._error = error
            raise


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one.

    Raises:
        OSError: the address is taken or does not exist.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=PatientConnection,
        ws="none",
        lifespan="off",
        proxy_headers=False,
        # Uvicorn's own access log shows paths with ids; ours is the application's.
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_STOP_SECONDS,
        h11_max_incomplete_event_size=16_384,
    )

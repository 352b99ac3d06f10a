"""The server of the door: uvicorn in a thread of its own, with an event loop of its own.

The path (ISO 8583, engine, writer) has another thread, so nothing that a web client does holds up a
decision. Beside uvicorn's own bounds: connections are counted, and one that does not get its
request line and headers out in time is closed (slow loris).
"""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import dataclass
from typing import Any, Final, final

import uvicorn
import uvloop
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from zhiwei.core.errors import ZhiweiError
from zhiwei.gateways.http.problems import MEDIA_TYPE, Problem
from zhiwei.gateways.http.replies import text_of


class ListenError(ZhiweiError):
    """the HTTP door cannot listen there"""


@dataclass(frozen=True)
class Bounds:
    """What one server lets its callers have."""

    connections: int = 2048
    #: Seconds for request line and headers.
    headers_seconds: float = 10.0
    #: Seconds that an idle connection is kept.
    idle_seconds: int = 75
    #: Bytes of request line and headers.
    headers_max: int = 32_768
    #: Seconds that running calls get when the door closes.
    closing_seconds: int = 5


DEFAULT_BOUNDS: Final = Bounds()


@final
class HttpServer:
    """Serves an application on one address until it is stopped."""

    def __init__(self, app: ASGIApp, host: str, port: int, bounds: Bounds = DEFAULT_BOUNDS) -> None:
        self._app: Final = app
        self._host: Final = host
        self._port: Final = port
        self._bounds: Final = bounds
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None
        self._is_up: Final = threading.Event()

    @property
    def address(self) -> str:
        """Where it listens, for example `http://127.0.0.1:8080`."""
        assert self._socket is not None, "the server was started"
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Listen, and serve from a thread; port 0 takes a free one.

        Raises:
            ListenError: the address is taken, not ours, or not allowed.
        """
        self._socket = _listening(self._host, self._port)
        self._server = uvicorn.Server(self._config())
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()
        self._is_up.wait(timeout=30)

    def stop(self) -> None:
        """Take no more calls, let the running ones finish, and come back when all is done."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(timeout=self._bounds.closing_seconds + 5)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        assert self._server is not None
        assert self._socket is not None
        asyncio.get_running_loop().call_soon(self._is_up.set)
        await self._server.serve(sockets=[self._socket])

    def _config(self) -> uvicorn.Config:
        bounds = self._bounds

        class Protocol(PatientProtocol):
            """With the bounds of this server."""

            headers_seconds = bounds.headers_seconds
            connections_max = bounds.connections

        return uvicorn.Config(
            self._app,
            http=Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=False,
            timeout_keep_alive=bounds.idle_seconds,
            timeout_graceful_shutdown=bounds.closing_seconds,
            h11_max_incomplete_event_size=bounds.headers_max,
            backlog=1024,
        )


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that waits so long for headers and no longer, and answers garbage with a problem."""

    headers_seconds: float
    connections_max: int
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn's own signature
        """Begin to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > self.connections_max:
            transport.close()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take bytes; once headers are whole there is nothing to wait for."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._wait_no_more()
        elif self._patience is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._wait_no_more()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """From here on uvicorn's own idle timer runs; a half request starts ours again."""
        self._wait_no_more()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, in the shape of every error; what was sent is not repeated."""
        problem = Problem("bad_http", "the request line or headers cannot be read")
        body = text_of(problem.document("")).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\n"
            "cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _wait(self) -> None:
        self._patience = self.loop.call_later(self.headers_seconds, self._lose_patience)

    def _wait_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose_patience(self) -> None:
        self._patience = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ListenError: the address cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1024)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        message = f"the HTTP door cannot listen on `{host}:{port}`: {error.strerror}"
        raise ListenError(message) from None
    listener.setblocking(False)
    return listener

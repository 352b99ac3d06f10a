"""Connections of the HTTP door: uvicorn's HTTP/1.1, made patient only so long.

Uvicorn bounds the size of a request's head and how long an idle connection is kept; what it lacks
is a bound for a head that dribbles in (slow loris), a bound for connections, and our shape for what
is not HTTP at all. Bodies are bounded by `door.Door`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from zhiwei.gateways.http.problems import MEDIA_TYPE, Problem
from zhiwei.gateways.http.replies import text_of

#: Seconds for request line and headers.
HEAD_SECONDS: Final = 10.0
CONNECTIONS_MAX: Final = 2048


class PatientConnection(H11Protocol):
    """One connection: waits for a head so long, and answers garbage with a problem."""

    head_seconds = HEAD_SECONDS
    connections_max = CONNECTIONS_MAX
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn's own signature
        """Begin to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > self.connections_max:
            transport.close()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take bytes; once a head is whole there is nothing to wait for."""
        super().data_received(data)
        if self._is_answering():
            self._wait_no_more()
        elif self._patience is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._wait_no_more()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """From here on uvicorn's own idle timer runs; ours if half a head is here already."""
        self._wait_no_more()
        super().on_response_complete()
        if self.conn.trailing_data[0] and not self._is_answering():
            self._wait()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, in the shape of every error; what was sent is not repeated."""
        problem = Problem("bad_http", "the request line or headers cannot be read")
        body = text_of(problem.document("")).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\n"
            "cache-control: no-store\r\n"
            "x-content-type-options: nosniff\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _wait(self) -> None:
        self._patience = self.loop.call_later(self.head_seconds, self._lose_patience)

    def _wait_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose_patience(self) -> None:
        self._patience = None
        if not self._is_answering():
            self.transport.close()

    def _is_answering(self) -> bool:
        """Whether the head of a request is whole and its answer is not."""
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

"""The wire: one TCP connection to a server's ISO 8583 door, with many messages in flight.

An answer finds its question by the trace number (DE11), which no two messages in flight share;
answers may come in any order.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import Final, final

from zhiwei.core.errors import ZhiweiError
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.dialect import Dialect
from zhiwei.gateways.iso8583.faults import DecodeError, FrameError
from zhiwei.gateways.iso8583.frame import Framing, header_end, split, wrap
from zhiwei.gateways.iso8583.message import Message

#: How long a terminal waits for its answer, in seconds.
PATIENCE_SECONDS: Final = 10.0
_RECEIVE_BYTES: Final = 1 << 16


class WireError(ZhiweiError):
    """the connection cannot be made"""


class NoAnswerError(ZhiweiError):
    """no answer came; whether it was decided is not known, so it must be sent again"""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    message: Message
    #: The whole message as received, to compare repeats byte for byte.
    raw: bytes
    #: From sending to receiving, milliseconds.
    milliseconds: float

    @property
    def code(self) -> str:
        """Response code (DE39)."""
        return self.message.text(39)

    @property
    def is_approved(self) -> bool:
        """DE39 is 00."""
        return self.code == "00"

    @property
    def auth_code(self) -> str:
        """Authorization code (DE38); empty where there is none."""
        return self.message.text(38).strip()


@final
class Wire:
    """A connection. Made by `connect`, ended by `close`."""

    def __init__(
        self, dialect: Dialect, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._framing: Final = dialect.framing
        self._codec: Final = Codec(dialect)
        self._reader: Final = reader
        self._writer: Final = writer
        self._waiting: Final[dict[str, tuple[asyncio.Future[Answer], float]]] = {}
        self._listening: Final = asyncio.create_task(self._listen())
        self._header: Final = _request_header(dialect.framing)

    @property
    def is_open(self) -> bool:
        """The other side has not hung up."""
        return not self._listening.done()

    @property
    def in_flight(self) -> int:
        """Messages that wait for their answer."""
        return len(self._waiting)

    def frame(self, message: Message) -> bytes:
        """The bytes of one message as they go on the wire."""
        return wrap(self._framing, self._header, self._codec.encode(message))

    async def ask(self, message: Message, patience: float = PATIENCE_SECONDS) -> Answer:
        """Send a message and wait for its answer.

        Raises:
            NoAnswerError: none came in `patience` seconds, or the connection broke.
        """
        trace = _trace(message)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if not self.is_open:
            raise NoAnswerError("the connection is closed")
        self._waiting[trace] = (answer, time.perf_counter())
        try:
            self._writer.write(self.frame(message))
            await self._writer.drain()
            return await asyncio.wait_for(answer, patience)
        except TimeoutError:
            raise NoAnswerError(f"no answer in {patience:g} s") from None
        except OSError as error:
            raise NoAnswerError(f"the connection broke: {error.strerror}") from None
        finally:
            if self._waiting.get(trace, (None, 0.0))[0] is answer:
                del self._waiting[trace]

    async def close(self) -> None:
        """Hang up."""
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return

    async def _listen(self) -> None:
        """Take answers until the other side hangs up; then nobody waits any more."""
        rest = b""
        try:
            while chunk := await self._reader.read(_RECEIVE_BYTES):
                rest = self._absorb(rest + chunk)
        except (OSError, FrameError):
            return
        finally:
            for answer, _ in self._waiting.values():
                if not answer.done():
                    answer.set_exception(NoAnswerError("the server hung up"))

    def _absorb(self, buffer: bytes) -> bytes:
        """Hand out every whole answer; returns the bytes that are left over."""
        spans: list[int] = []
        used = split(self._framing, buffer, 0, spans)
        now = time.perf_counter()
        for start, end in zip(spans[::2], spans[1::2], strict=True):
            try:
                at = header_end(self._framing, buffer, start, end)
                message = self._codec.decode(buffer, at, end)
            except DecodeError:
                # Its question stays without an answer, which its patience then says.
                continue
            waiting = self._waiting.get(_trace(message))
            if waiting is not None and not waiting[0].done():
                waiting[0].set_result(
                    Answer(message, bytes(buffer[at:end]), (now - waiting[1]) * 1000)
                )
        return buffer[used:]


async def connect(host: str, port: int, dialect: Dialect, patience: float = 5.0) -> Wire:
    """A connection to a server's ISO 8583 door.

    Raises:
        WireError: nobody listens there, or not in `patience` seconds.
    """
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        raise WireError(f"nobody answers at {host}:{port} within {patience:g} s") from None
    except OSError as error:
        number = error.errno or 0
        reason = os.strerror(number).lower() if number > 0 else "no such address"
        raise WireError(f"cannot connect to {host}:{port}: {reason}") from None
    return Wire(dialect, reader, writer)


def _request_header(form: Framing) -> bytes:
    """A header of the right size with no addresses in it; Visa's begins with its own length."""
    size = form.header.size
    if form.header.tells_own_size:
        return bytes([size]) + bytes(size - 1)
    return bytes(size)


def _trace(message: Message) -> str:
    return message.text(11)

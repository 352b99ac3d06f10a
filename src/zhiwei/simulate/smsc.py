"""A small SMSC (短信中心): takes texts over SMPP 3.4, gives receipts, brings answers back.

It stands for the operator's message centre in the demo and in measurements: real sockets, real
PDUs, nothing of it shared with the client that the house uses.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from zhiwei.simulate import pdu
from zhiwei.simulate.pdu import BadPduError, Part, Pdu

_BINDS: Final = (pdu.BIND_RECEIVER, pdu.BIND_TRANSMITTER, pdu.BIND_TRANSCEIVER)
#: Texts of which some parts are missing, remembered at most.
_HALVES_MAX: Final = 10_000


@dataclass(frozen=True)
class Arrived:
    """A text that has arrived whole."""

    destination: str
    source: str
    text: str
    #: When its first part was read from the wire: `time.monotonic_ns`, the same clock in every
    #: process of the machine.
    at_ns: int
    parts: int


@dataclass(frozen=True)
class Account:
    """Who may bind."""

    system_id: str
    password: str


@final
class Smsc:
    """Listens on loopback; one bound line at a time gets what people write."""

    def __init__(
        self,
        account: Account,
        on_arrived: Callable[[Arrived], None],
        *,
        gives_receipts: bool = True,
    ) -> None:
        """`on_arrived` is called for each whole text, on the loop."""
        self._account: Final = account
        self._on_arrived: Final = on_arrived
        self._gives_receipts: Final = gives_receipts
        self._server: asyncio.Server | None = None
        self._lines: Final[list[_Line]] = []
        self._halves: Final[dict[tuple[str, str, int], dict[int, tuple[Part, int]]]] = {}
        self._ids = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; returns the port (0 takes a free one)."""
        self._server = await asyncio.start_server(self._serve, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Hang up on everybody."""
        if self._server is not None:
            self._server.close()
            for line in list(self._lines):
                line.close()
            await self._server.wait_closed()

    @property
    def is_bound(self) -> bool:
        """Whether somebody is there to hear what people write."""
        return any(line.is_listening for line in self._lines)

    def say(self, sender: str, destination: str, text: str) -> bool:
        """Bring a person's text (70 characters at most); False where nobody listens."""
        for line in self._lines:
            if line.is_listening:
                line.send(pdu.delivered(line.next_sequence(), sender, destination, text))
                return True
        return False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(writer)
        self._lines.append(line)
        try:
            while True:
                length, command, _, sequence = pdu.header(
                    await reader.readexactly(pdu.HEADER_BYTES)
                )
                body = await reader.readexactly(length - pdu.HEADER_BYTES)
                if command & pdu.RESPONSE:
                    continue
                answer = self._answered(line, command, sequence, body)
                line.send(answer)
                await writer.drain()
                if command == pdu.UNBIND:
                    return
        except (asyncio.IncompleteReadError, ConnectionError, BadPduError):
            return
        finally:
            self._lines.remove(line)
            line.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def _answered(self, line: _Line, command: int, sequence: int, body: bytes) -> Pdu:
        """The answer to one command."""
        response = command | pdu.RESPONSE
        try:
            if command in _BINDS:
                if pdu.credentials(body) != (self._account.system_id, self._account.password):
                    return Pdu(response, pdu.BAD_PASSWORD, sequence)
                line.is_bound = True
                line.is_listening = command != pdu.BIND_TRANSMITTER
                return Pdu(response, pdu.OK, sequence, pdu.text_body("smsc"))
            if command == pdu.SUBMIT_SM:
                if not line.is_bound:
                    return Pdu(response, pdu.NOT_BOUND, sequence)
                return Pdu(response, pdu.OK, sequence, pdu.text_body(self._take(line, body)))
        except BadPduError:
            return Pdu(response, pdu.BAD_LENGTH, sequence)
        if command in (pdu.ENQUIRE_LINK, pdu.UNBIND):
            return Pdu(response, pdu.OK, sequence)
        return Pdu(pdu.GENERIC_NACK, pdu.BAD_COMMAND, sequence)

    def _take(self, line: _Line, body: bytes) -> str:
        """Take a part, tell of the text once it is whole, and give the part's message id."""
        at_ns = time.monotonic_ns()
        part = pdu.submitted(body)
        self._ids += 1
        message_id = f"{self._ids:08x}"
        if part.wants_receipt and self._gives_receipts:
            told = pdu.receipt(line.next_sequence(), part, message_id)
            # After the answer that tells the id.
            asyncio.get_running_loop().call_soon(line.send, told)
        if part.parts == 1:
            self._on_arrived(Arrived(part.destination, part.source, part.text, at_ns, 1))
            return message_id
        key = (part.source, part.destination, part.reference)
        halves = self._halves.setdefault(key, {})
        halves[part.place] = (part, at_ns)
        if len(halves) == part.parts:
            del self._halves[key]
            text = "".join(halves[place][0].text for place in sorted(halves))
            first_ns = min(at for _, at in halves.values())
            self._on_arrived(Arrived(part.destination, part.source, text, first_ns, part.parts))
        elif len(self._halves) > _HALVES_MAX:
            del self._halves[next(iter(self._halves))]
        return message_id


@final
class _Line:
    """One connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer: Final = writer
        self._sequence = 0
        self.is_bound = False
        self.is_listening = False

    def next_sequence(self) -> int:
        """A number for a command of ours."""
        self._sequence += 1
        return self._sequence

    def send(self, told: Pdu) -> None:
        """Write a PDU, unless the line is gone."""
        if not self._writer.is_closing():
            self._writer.write(told.encoded())

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

"""Hostile lines: what a connection to the ISO 8583 door does, and what it hears.

Every line hangs up its sending half when it has said everything. The server then answers what it
took and closes, so a line that hears no end within the bound is a hang.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from zhiwei.bench.fuzz_frames import FrameMaker
from zhiwei.core.errors import ZhiweiError
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.faults import DecodeError, FrameError
from zhiwei.gateways.iso8583.frame import header_end, split

#: What lines do, and how often.
_HABITS: Final = (
    *("frames",) * 8,
    *("burst", "burst", "tiny", "noise", "foreign", "foreign", "dropped", "slow", "repeated"),
)
#: Closes with a reset instead of a goodbye.
_RESET: Final = struct.pack("ii", 1, 0)
_TAKE_BYTES: Final = 1 << 16


class NoEndError(ZhiweiError):
    """a line was not answered and closed in time"""


@dataclass
class Heard:
    """What was sent and what came back."""

    connections: int = 0
    frames: int = 0
    bytes_sent: int = 0
    #: Answers by code (DE39), of all that could be read.
    answers: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    #: Approvals on lines that speak of cards nobody has.
    wrongly_approved: int = 0
    #: Lines that heard no end in time.
    hangs: int = 0


class Caller:
    """Opens lines to one server and books what they hear."""

    def __init__(
        self, port: int, dice: random.Random, patience_seconds: float, heard: Heard
    ) -> None:
        self._port: Final = port
        self._dice: Final = dice
        self._patience: Final = patience_seconds
        self._heard: Final = heard

    async def line(self, maker: FrameMaker, codec: Codec, *, has_cards: bool) -> None:
        """One connection from its opening to its end. `maker` makes what it says."""
        habit = self._dice.choice(_HABITS)
        pieces = self._pieces(maker, habit)
        self._heard.connections += 1
        self._heard.bytes_sent += sum(map(len, pieces))
        try:
            async with asyncio.timeout(self._patience + 2 * len(pieces)):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                hearing = asyncio.create_task(_all_of(reader))
                try:
                    await self._say(writer, habit, pieces)
                    raw = b"" if habit == "dropped" else await hearing
                finally:
                    hearing.cancel()
                    await _closed(writer)
        except TimeoutError:
            self._heard.hangs += 1
        except OSError:
            # It was closed while there was more to say: a length over the limit does that.
            return
        else:
            self._book(codec, raw, has_cards=has_cards)

    def _pieces(self, maker: FrameMaker, habit: str) -> list[bytes]:
        """What a line of this habit says, in the pieces in which it is sent."""
        dice = self._dice
        if habit == "noise":
            return [dice.randbytes(dice.randrange(1, 4000)) for _ in range(3)]
        if habit == "tiny":
            self._heard.frames += 3000
            return [b"".join(maker.framed(dice.randbytes(dice.randrange(3))) for _ in range(3000))]
        if habit == "repeated":
            self._heard.frames += 300
            return [maker.framed(maker.message()) * 300]
        count = 600 if habit == "burst" else dice.randrange(1, 60)
        self._heard.frames += count
        frames = [maker.hostile() for _ in range(count)]
        if habit == "slow":
            whole = b"".join(frames[:3])
            return [whole[:5], whole[5:6], whole[6:-1]]
        return [b"".join(frames)]

    async def _say(self, writer: asyncio.StreamWriter, habit: str, pieces: list[bytes]) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if habit == "slow":
                await asyncio.sleep(0.3)
        if habit == "dropped":
            line: socket.socket = writer.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        elif writer.can_write_eof():
            writer.write_eof()

    def _book(self, codec: Codec, raw: bytes, *, has_cards: bool) -> None:
        """Read the answers; each must be a message of the server's dialect."""
        form = codec.dialect.framing
        spans: list[int] = []
        try:
            rest = split(form, raw, 0, spans)
        except FrameError:
            rest = -1
        self._heard.unreadable += rest != len(raw)
        for start, end in zip(spans[::2], spans[1::2], strict=True):
            try:
                message = codec.decode(raw, header_end(form, raw, start, end), end)
            except DecodeError:
                self._heard.unreadable += 1
                continue
            code = message.text(39)
            is_answer = message.mti[2] in "13" and bool(code)
            self._heard.unreadable += not is_answer
            self._heard.answers[code] += 1
            is_of_a_card = message.mti[1] != "8"
            if code == "00" and is_of_a_card and not has_cards:
                self._heard.wrongly_approved += 1


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    """Everything until the other side hangs up."""
    pieces: list[bytes] = []
    while piece := await reader.read(_TAKE_BYTES):
        pieces.append(piece)
    return b"".join(pieces)


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Close a line, whatever the other side makes of it."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def asked(port: int, frame: bytes, patience_seconds: float) -> bytes:
    """Ask one thing on a fresh connection; its answer with its length.

    Raises:
        NoEndError: no answer came in time.
    """
    try:
        async with asyncio.timeout(patience_seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(frame)
                writer.write_eof()
                raw = await _all_of(reader)
            finally:
                await _closed(writer)
    except (TimeoutError, OSError) as error:
        raise NoEndError(f"no answer in {patience_seconds:g} s: {type(error).__name__}") from None
    return raw

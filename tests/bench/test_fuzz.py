"""Hostile bytes at a real server for a few seconds; and that what goes wrong would be noticed."""

from __future__ import annotations

import asyncio
import random

import pytest

from zhiwei.bench.fuzz import FuzzOptions, FuzzReport, fuzz
from zhiwei.bench.fuzz_codec import STRANGERS, fuzz_codec
from zhiwei.bench.fuzz_frames import FrameMaker
from zhiwei.bench.fuzz_lines import Caller, Heard, NoEndError, asked
from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.message import Message


def test_a_real_server_stays_well() -> None:
    """Alive, quick and small; every answer readable; a clean end and clean data."""
    report = fuzz(FuzzOptions(minutes=0.05, seed=11, connections=8, cards=20))
    assert report.is_clean, "\n".join(report.lines())
    assert report.heard.connections >= 8
    assert report.heard.answers["30"] > 0
    assert report.heard.answers["00"] > 0
    assert report.codec.decoded > 0


@pytest.mark.parametrize("name", dialects.names())
def test_what_is_not_spoiled_can_be_read(name: str) -> None:
    """The messages that are spoiled are right before, so that the fields behind are reached."""
    maker = FrameMaker(name, random.Random(5), STRANGERS)
    codec = Codec(maker.dialect)
    for _ in range(20):
        raw = maker.new_message()
        assert codec.decode(raw, 0, len(raw)).mti


def test_an_error_of_another_type_in_the_codec_is_noticed() -> None:
    """A codec that raises something else than DecodeError is broken, and the bytes are told."""

    def read(codec: Codec, raw: bytes) -> Message:
        raise IndexError(len(raw))

    report = fuzz_codec(0.2, 1, read)
    assert report.broken
    assert "IndexError" in report.broken[0]


def test_an_approval_of_a_card_nobody_has_is_noticed() -> None:
    """A server that approves whatever it is sent is caught, and one that talks nonsense too."""
    codec = Codec(dialects.named("unionpay-ascii"))
    maker = FrameMaker("unionpay-ascii", random.Random(5), STRANGERS)
    answer = maker.framed(codec.encode(Message.of("0210", {11: "000001", 39: "00"})))

    async def heard_of(reply: bytes) -> Heard:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.write(reply)
            writer.close()

        heard = Heard()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        caller = Caller(port, random.Random(1), 5.0, heard)
        for _ in range(4):
            await caller.line(maker, codec, has_cards=False)
        server.close()
        await server.wait_closed()
        return heard

    assert asyncio.run(heard_of(answer)).wrongly_approved > 0
    assert asyncio.run(heard_of(b"\x00\x05nonse")).unreadable > 0


def test_a_server_that_does_not_answer_is_a_hang() -> None:
    """The bound is kept, and its breach is told."""

    async def ask_the_silent() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            await asyncio.sleep(0.3)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            await asked(port, b"\x00\x00", 0.1)
        finally:
            server.close()
            # The other half hangs up, too.
            await asyncio.sleep(0.4)

    with pytest.raises(NoEndError):
        asyncio.run(ask_the_silent())


def test_memory_that_grows_is_not_clean() -> None:
    """Every account counts: memory, exit code, probes."""
    fine = FuzzReport(probes=2, exit_code=0, verify_code=0)
    assert fine.is_clean
    assert not FuzzReport(probes=2, exit_code=0, verify_code=0, rss_end_bytes=1 << 30).is_clean
    assert not FuzzReport(probes=2, exit_code=1, verify_code=0).is_clean
    assert not FuzzReport(probes=2, exit_code=0, verify_code=0, failed_probes=1).is_clean

"""The wire to a server: answers find their questions, silence and hanging up are told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.dialect import named
from zhiwei.gateways.iso8583.frame import split, wrap
from zhiwei.gateways.iso8583.message import Message
from zhiwei.simulate.acquirer import Acquirer
from zhiwei.simulate.wire import NoAnswerError, Wire, WireError, connect

DIALECT = named("unionpay-ascii")
Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def against(peer: Peer, talk: Callable[[Wire], Awaitable[None]]) -> None:
    """Talk to a peer over a real connection."""

    async def run() -> None:
        server = await asyncio.start_server(peer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            wire = await connect("127.0.0.1", port, DIALECT)
            try:
                await talk(wire)
            finally:
                await wire.close()

    asyncio.run(run())


async def frames(reader: asyncio.StreamReader, count: int) -> list[Message]:
    """The next messages that a peer reads."""
    codec = Codec(DIALECT)
    messages: list[Message] = []
    buffer = b""
    while len(messages) < count:
        buffer += await reader.read(65_536)
        spans: list[int] = []
        used = split(DIALECT.framing, buffer, 0, spans)
        for start, end in zip(spans[::2], spans[1::2], strict=True):
            messages.append(codec.decode(buffer, start, end))
        buffer = buffer[used:]
    return messages


def answer(question: Message) -> bytes:
    """An approval of a network message, framed."""
    fields = {7: question.text(7), 11: question.text(11), 39: "00", 70: question.text(70)}
    body = Codec(DIALECT).encode(Message.of("0810", fields))
    return wrap(DIALECT.framing, b"", body)


def test_answers_out_of_order_find_their_questions() -> None:
    """The peer answers backwards and in small pieces; every question gets its own answer."""

    async def backwards(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        questions = await frames(reader, 5)
        for byte in b"".join(answer(question) for question in reversed(questions)):
            writer.write(bytes([byte]))
            await writer.drain()
        writer.close()

    async def talk(wire: Wire) -> None:
        acquirer = Acquirer(DIALECT)
        sent = [acquirer.network("301", 0) for _ in range(5)]
        answers = await asyncio.gather(*(wire.ask(one.message) for one in sent))
        assert [one.message.text(11) for one in answers] == [one.stan for one in sent]
        assert all(one.is_approved and one.milliseconds > 0 for one in answers)
        assert wire.in_flight == 0

    against(backwards, talk)


def test_silence_is_no_answer() -> None:
    """A peer that says nothing is waited for as long as patience lasts, and no longer."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def talk(wire: Wire) -> None:
        with pytest.raises(NoAnswerError, match="no answer in"):
            await wire.ask(Acquirer(DIALECT).network("301", 0).message, patience=0.05)
        assert wire.in_flight == 0
        assert wire.is_open

    against(silent, talk)


def test_hanging_up_is_no_answer() -> None:
    """A peer that goes leaves every question unanswered at once, and later ones too."""

    async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await frames(reader, 3)
        writer.close()

    async def talk(wire: Wire) -> None:
        acquirer = Acquirer(DIALECT)
        asked = (wire.ask(acquirer.network("301", 0).message) for _ in range(3))
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(result, NoAnswerError) for result in results)
        with pytest.raises(NoAnswerError):
            await wire.ask(acquirer.network("301", 0).message)
        assert not wire.is_open

    against(gone, talk)


def test_nobody_there_is_said_plainly() -> None:
    """A port where nobody listens gives an error that names it."""
    with pytest.raises(WireError, match=r"cannot connect to 127\.0\.0\.1:9: connection refused"):
        asyncio.run(connect("127.0.0.1", 9, DIALECT))

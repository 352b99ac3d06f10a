"""The small SMSC against the channel that the house sends with (aiosmpplib), and raw PDUs."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from tests.gateways.sms.smscs import PASSWORD, TO, Desk, channel, sms
from tests.messaging.endpoints import run

from zhiwei.messaging.model import Status, Verdict
from zhiwei.simulate import pdu
from zhiwei.simulate.pdu import Pdu
from zhiwei.simulate.smsc import Account, Arrived, Smsc

SHORT = "【智卫】尾号1234的卡于23:41被查询余额。非本人请回复ZF#1234止付。"
LONG = "【智卫】" + "尾号1234在周大福珠宝深圳店大额消费，是您吗？𠮷野家。" * 8
ENGLISH = "[Zhiwei] Card 1234: EUR {12.00} €~ at ÄÖÜ ^ shop. Reply ZF#1234 to stop the card."


@dataclass
class Standing:
    """An SMSC that listens, and what arrived at it."""

    smsc: Smsc
    port: int
    arrived: list[Arrived] = field(default_factory=list)


@asynccontextmanager
async def an_smsc(*, gives_receipts: bool = True) -> AsyncIterator[Standing]:
    """One on a free port."""
    arrived: list[Arrived] = []
    smsc = Smsc(Account("zhiwei", PASSWORD), arrived.append, gives_receipts=gives_receipts)
    port = await smsc.start()
    try:
        yield Standing(smsc, port, arrived)
    finally:
        await smsc.stop()


@pytest.mark.parametrize(("text", "parts"), [(SHORT, 1), (LONG, 4), (ENGLISH, 1)])
def test_a_text_arrives_whole(text: str, parts: int) -> None:
    """Chinese or not, in one part or several, with its sender and number."""

    async def scenario() -> None:
        desk = Desk()
        async with an_smsc() as it, channel(it.port, desk) as sms_channel:
            answer = await sms_channel.send(sms(text))
            assert answer.verdict is Verdict.TAKEN
            [arrived] = it.arrived
            assert arrived.text == text
            assert arrived.parts == parts
            assert (arrived.source, arrived.destination) == ("95588", TO[1:])

    run(scenario())


def test_each_part_is_given_a_receipt_that_the_house_understands() -> None:
    """The receipt comes after the id that it speaks of."""

    async def scenario() -> None:
        desk = Desk()
        async with an_smsc() as it, channel(it.port, desk) as sms_channel:
            answer = await sms_channel.send(sms(SHORT))
            await desk.until(lambda: bool(desk.receipts))
            [receipt] = desk.receipts
            assert (receipt.remote_id, receipt.status) == (answer.remote_id, Status.DELIVERED)

    run(scenario())


def test_it_can_be_told_to_give_no_receipts() -> None:
    """For measurements that are not about them: the text that came later is heard first."""

    async def scenario() -> None:
        desk = Desk()
        async with an_smsc(gives_receipts=False) as it, channel(it.port, desk) as sms_channel:
            await sms_channel.send(sms(SHORT))
            assert it.smsc.say(TO[1:], "95588", "ZF")
            await desk.until(lambda: bool(desk.inbound))
            assert not desk.receipts

    run(scenario())


def test_what_people_write_is_heard_by_who_is_bound() -> None:
    """With the writer's number; while nobody is bound it is said so."""

    async def scenario() -> None:
        desk = Desk()
        async with an_smsc() as it:
            assert not it.smsc.say(TO[1:], "95588", "ZF#1234")
            async with channel(it.port, desk) as sms_channel:
                await sms_channel.send(sms(SHORT))
                assert it.smsc.is_bound
                assert it.smsc.say(TO[1:], "95588", "止付1234 是")
                await desk.until(lambda: bool(desk.inbound))
                [inbound] = desk.inbound
                assert inbound.text == "止付1234 是"
                assert inbound.sender.lstrip("+") == TO[1:]

    run(scenario())


def test_a_house_that_was_gone_binds_again() -> None:
    """The SMSC goes on; the second house is heard as the first was."""

    async def scenario() -> None:
        desk = Desk()
        async with an_smsc() as it:
            for place in (1, 2):
                async with channel(it.port, desk) as sms_channel:
                    answer = await sms_channel.send(sms(SHORT, f"msg_{place}-sms"))
                    assert answer.verdict is Verdict.TAKEN
                while it.smsc.is_bound:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.001)
            assert len(it.arrived) == 2

    run(scenario())


# Raw PDUs.


def bind(password: str, command: int = pdu.BIND_TRANSCEIVER) -> Pdu:
    """A bind request."""
    body = b"zhiwei\0" + password.encode() + b"\0" + b"\0" + b"\x34\0\0" + b"\0"
    return Pdu(command, 0, 1, body)


def submit(content: bytes, *, esm_class: int = 0, coding: int = 8, tail: bytes = b"") -> Pdu:
    """A submit_sm from 95588 to a phone, without the wish for a receipt."""
    body = b"\0" + b"\0\1" + b"95588\0" + b"\1\1" + b"8613800138000\0"
    body += bytes((esm_class, 0, 0)) + b"\0\0" + bytes((0, 0, coding, 0))
    return Pdu(pdu.SUBMIT_SM, 0, 7, body + bytes((len(content),)) + content + tail)


async def said(port: int, *requests: Pdu | bytes) -> list[tuple[int, int, int]]:
    """Command, status and sequence of each answer, until the line is closed or all is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers: list[tuple[int, int, int]] = []
    try:
        for request in requests:
            writer.write(request if isinstance(request, bytes) else request.encoded())
            head = await reader.readexactly(pdu.HEADER_BYTES)
            length, command, status, sequence = struct.unpack(">IIII", head)
            await reader.readexactly(length - pdu.HEADER_BYTES)
            answers.append((command, status, sequence))
    except asyncio.IncompleteReadError:
        pass
    finally:
        writer.close()
        await writer.wait_closed()
    return answers


def test_nobody_sends_who_is_not_bound_and_nobody_is_bound_with_a_wrong_password() -> None:
    """The answers have the statuses of the standard."""

    async def scenario() -> None:
        async with an_smsc() as it:
            response = pdu.RESPONSE
            refused = await said(it.port, bind("wrong"), submit(b""))
            assert refused == [
                (pdu.BIND_TRANSCEIVER | response, pdu.BAD_PASSWORD, 1),
                (pdu.SUBMIT_SM | response, pdu.NOT_BOUND, 7),
            ]
            assert not it.arrived

    run(scenario())


def test_the_link_is_alive_and_ends_when_it_is_told_to() -> None:
    """enquire_link and unbind are answered, then the line is closed."""

    async def scenario() -> None:
        async with an_smsc() as it:
            alive = Pdu(pdu.ENQUIRE_LINK, 0, 5)
            over = Pdu(pdu.UNBIND, 0, 6)
            answers = await said(it.port, bind(PASSWORD), alive, over, alive)
            assert [(command & 0xFF, status) for command, status, _ in answers] == [
                (pdu.BIND_TRANSCEIVER, 0),
                (pdu.ENQUIRE_LINK, 0),
                (pdu.UNBIND, 0),
            ]

    run(scenario())


def test_a_line_that_only_sends_hears_nothing() -> None:
    """A transmitter is no place to bring texts to."""

    async def scenario() -> None:
        async with an_smsc() as it:
            reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
            writer.write(bind(PASSWORD, pdu.BIND_TRANSMITTER).encoded())
            await reader.readexactly(pdu.HEADER_BYTES)
            assert not it.smsc.is_bound
            assert not it.smsc.say("8613800138000", "95588", "ZF")
            writer.close()

    run(scenario())


def test_parts_are_put_together_in_any_order_and_by_any_header() -> None:
    """8-bit and 16-bit references, the later part first, a payload in its own field."""
    parts = [
        submit(b"\5\0\3\x09\2\2" + "止付".encode("utf-16-be"), esm_class=0x40),
        submit(b"\5\0\3\x09\2\1" + "回复".encode("utf-16-be"), esm_class=0x40),
        submit(b"\6\x08\4\1\2\2\1" + b"one ", esm_class=0x40, coding=0),
        submit(b"\6\x08\4\1\2\2\2" + b"two", esm_class=0x40, coding=0),
        submit(b"", coding=0, tail=struct.pack(">HH", 0x0424, 4) + b"\x1b\x65 x"),
    ]

    async def scenario() -> None:
        async with an_smsc() as it:
            answers = await said(it.port, bind(PASSWORD), *parts)
            assert [status for _, status, _ in answers] == [0] * 6
            assert [arrived.text for arrived in it.arrived] == ["回复止付", "one two", "€ x"]

    run(scenario())


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        (Pdu(0x00000103, 0, 9), (pdu.GENERIC_NACK, pdu.BAD_COMMAND, 9)),
        (Pdu(pdu.SUBMIT_SM, 0, 9, b"\0"), (pdu.SUBMIT_SM | pdu.RESPONSE, pdu.BAD_LENGTH, 9)),
        (struct.pack(">IIII", 15, pdu.ENQUIRE_LINK, 0, 9), None),
        (struct.pack(">IIII", 0x7FFFFFFF, pdu.ENQUIRE_LINK, 0, 9), None),
    ],
)
def test_what_is_no_pdu_is_refused(raw: Pdu | bytes, answer: tuple[int, int, int] | None) -> None:
    """With a status where there is one; a length that is none ends the line, and no other."""

    async def scenario() -> None:
        async with an_smsc() as it:
            answers = await said(it.port, bind(PASSWORD), raw)
            assert answers[1:] == ([] if answer is None else [answer])
            assert len(await said(it.port, bind(PASSWORD))) == 1

    run(scenario())

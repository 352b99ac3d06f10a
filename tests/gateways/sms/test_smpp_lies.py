"""An SMSC that lies, stammers, floods or says nothing: the channel survives and loses nothing."""

from __future__ import annotations

import asyncio
import random
import resource
from struct import pack

import pytest
import structlog
from tests.gateways.sms.smscs import (
    BIND_TRANSCEIVER,
    DELIVER_SM,
    ENQUIRE_LINK,
    PASSWORD,
    RESPONSE,
    SUBMIT_SM,
    TO,
    UNBIND,
    Desk,
    Lie,
    Pdu,
    Wire,
    channel,
    deliver_body,
    lying_smsc,
    sms,
)
from tests.messaging.endpoints import everything_logged, run

from zhiwei.gateways.sms.deliver import MalformedPduError, deliver_of
from zhiwei.messaging.model import Answer, Verdict

TEXT = "【智卫】是本人请回1，不是回0。"
GENERIC_NACK = RESPONSE
_STREAM = 15_000


async def _honest(wire: Wire) -> None:
    """Bind, and take everything."""
    await wire.bind()
    while True:
        asked = await wire.read()
        if not asked.command & RESPONSE:
            body = b"7\0" if asked.command == SUBMIT_SM else b""
            wire.write(asked.command | RESPONSE, asked.sequence, body)


def _then_honest(lie: Lie) -> Lie:
    """Lie on the first line, and be honest on those after it."""
    lines = 0

    async def both(wire: Wire) -> None:
        nonlocal lines
        lines += 1
        await (lie if lines == 1 else _honest)(wire)

    return both


async def _sent_at_last(lie: Lie, desk: Desk, **settings: object) -> list[Answer]:
    """What `send` says until the message is taken, as the outbox would try it."""
    answers: list[Answer] = []
    async with (
        lying_smsc(_then_honest(lie)) as port,
        channel(port, desk, answer_seconds=1, **settings) as sms_channel,
    ):
        while not answers or answers[-1].verdict is Verdict.TRY_LATER:
            answers.append(await sms_channel.send(sms(TEXT)))
    assert answers[-1].verdict is Verdict.TAKEN
    return answers


async def _garbage(wire: Wire) -> None:
    await wire.bind()
    wire.writer.write(random.Random(7).randbytes(4_096))
    await wire.read()


async def _huge_length(wire: Wire) -> None:
    await wire.bind()
    wire.writer.write(pack("!IIII", 0xFFFF_FFF0, DELIVER_SM, 0, 1) + bytes(1_000))
    await wire.read()


async def _tiny_length(wire: Wire) -> None:
    await wire.bind()
    wire.writer.write(pack("!IIII", 3, DELIVER_SM, 0, 1))
    await wire.read()


async def _half_a_pdu(wire: Wire) -> None:
    await wire.bind()
    wire.writer.write(pack("!IIII", 200, DELIVER_SM, 0, 1) + b"half")
    await wire.writer.drain()


async def _garbage_for_a_bind(wire: Wire) -> None:
    await wire.read()
    wire.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def _wrong_answer_to_a_bind(wire: Wire) -> None:
    asked = await wire.read()
    wire.write(SUBMIT_SM | RESPONSE, asked.sequence, b"7\0")
    await asyncio.sleep(60)


async def _already_bound(wire: Wire) -> None:
    asked = await wire.read()
    wire.write(asked.command | RESPONSE, asked.sequence, status=0x05)
    await asyncio.sleep(60)


async def _nacked_bind(wire: Wire) -> None:
    asked = await wire.read()
    wire.write(GENERIC_NACK, asked.sequence)
    await asyncio.sleep(60)


async def _wrong_sequence(wire: Wire) -> None:
    await wire.bind()
    asked = await wire.read()
    for sequence in (asked.sequence + 1, 0, 0xFFFF_FFFF):
        wire.write(SUBMIT_SM | RESPONSE, sequence, b"13\0")
        wire.write(GENERIC_NACK, sequence, status=0x0B)
    await asyncio.sleep(1.5)


async def _nack(wire: Wire) -> None:
    await wire.bind()
    asked = await wire.read()
    wire.write(GENERIC_NACK, asked.sequence)
    await asyncio.sleep(60)


async def _unbinds(wire: Wire) -> None:
    await wire.bind()
    wire.write(UNBIND, 1)
    assert (await wire.read()).command in (UNBIND | RESPONSE, SUBMIT_SM)


async def _unknown_commands(wire: Wire) -> None:
    await wire.bind()
    for command in (0x0102, 0x0103, 0x7777, 0x8000_7777, SUBMIT_SM, BIND_TRANSCEIVER):
        wire.write(command, 99, b"\0\xff\0")
    answers = [await wire.read() for _ in range(4)]
    assert {one.command for one in answers if one.sequence == 99} == {GENERIC_NACK}


async def _hangs_up_on_submit(wire: Wire) -> None:
    await wire.bind()
    await wire.read()


@pytest.mark.parametrize(
    "lie",
    [
        _garbage,
        _huge_length,
        _tiny_length,
        _half_a_pdu,
        _garbage_for_a_bind,
        _wrong_answer_to_a_bind,
        _already_bound,
        _nacked_bind,
        _wrong_sequence,
        _unbinds,
        _unknown_commands,
        _hangs_up_on_submit,
    ],
)
def test_a_lie_ends_the_line_at_most_and_the_message_goes_out_later(lie: Lie) -> None:
    """Whatever the first line brings, the message is taken on the second, and said so once."""

    async def scenario() -> None:
        answers = await _sent_at_last(lie, Desk())
        assert all(answer.is_channel_down for answer in answers[:-1])
        assert answers[-1].remote_id == "7"

    run(scenario())


def test_a_nack_is_an_answer_and_the_line_goes_on() -> None:
    """Even one that says "no error" is no promise."""

    async def scenario() -> None:
        desk = Desk()
        async with lying_smsc(_nack) as port, channel(port, desk) as sms_channel:
            answer = await sms_channel.send(sms(TEXT))
            assert answer.verdict is Verdict.TRY_LATER
            assert answer.detail == "ESME_RUNKNOWNERR"
            assert sms_channel.is_up

    run(scenario())


@pytest.mark.parametrize(
    ("status", "verdict", "detail"),
    [
        (0x045C, Verdict.REFUSED, "status 0x0000045c"),
        (0x0499, Verdict.TRY_LATER, "status 0x00000499"),
        (0x45, Verdict.TRY_LATER, "ESME_RSUBMITFAIL"),
        (0x65, Verdict.REFUSED, "ESME_RX_P_APPN"),
    ],
)
def test_statuses_of_an_smscs_own_do_not_end_the_line(
    status: int, verdict: Verdict, detail: str
) -> None:
    """The library would hang up; some of them are refusals where the settings say so."""

    async def lie(wire: Wire) -> None:
        await wire.bind()
        while True:
            asked = await wire.read()
            wire.write(SUBMIT_SM | RESPONSE, asked.sequence, status=status)

    async def scenario() -> None:
        desk = Desk()
        settings = {"refused_statuses": ["0x045c"]}
        async with lying_smsc(lie) as port, channel(port, desk, **settings) as sms_channel:
            for _ in range(2):
                answer = await sms_channel.send(sms(TEXT))
                assert (answer.verdict, answer.detail) == (verdict, detail)
            assert desk.counts["bound"] == 1

    run(scenario())


def test_a_silent_smsc_is_left_after_enquire_link() -> None:
    """One that binds and never says anything again is given up, and another line is made."""

    async def silent(wire: Wire) -> None:
        await wire.bind()
        asked = await wire.read()
        assert asked.command == ENQUIRE_LINK
        await asyncio.sleep(60)

    async def scenario() -> None:
        desk = Desk()
        settings = {"enquire_seconds": 1, "enquire_answer_seconds": 1}
        async with lying_smsc(_then_honest(silent)) as port, channel(port, desk, **settings):
            await desk.until(lambda: desk.counts.get("bound") == 2)
            assert desk.counts["silent"] == 1

    run(scenario())


def test_an_smsc_that_does_not_even_bind_is_told_apart_in_time() -> None:
    """A port that takes connections and says nothing."""

    async def silent(wire: Wire) -> None:
        await asyncio.sleep(60)

    async def scenario() -> None:
        desk = Desk()
        settings = {"connect_seconds": 1}
        async with lying_smsc(silent) as port, channel(port, desk, **settings) as sms_channel:
            answer = await sms_channel.send(sms(TEXT))
            assert answer.verdict is Verdict.TRY_LATER
            assert answer.detail == "the SMSC did not answer in time"

    run(scenario())


async def _flood(wire: Wire, bodies: list[bytes]) -> list[Pdu]:
    """Send deliver_sm without end until the answers come; what they were."""
    for sequence, body in enumerate(bodies, 1):
        wire.write(DELIVER_SM, sequence, body)
    await wire.writer.drain()
    return [await wire.read() for _ in bodies]


def test_malformed_deliver_sm_are_refused_and_the_next_one_is_heard() -> None:
    """No bytes of a PDU end the line, let alone the channel."""
    good = deliver_body("是".encode("utf-16-be"))
    dice = random.Random(11)
    bad = [good[:place] for place in range(len(good))]
    for _ in range(2_000):
        mutant = bytearray(good)
        for _ in range(dice.randint(1, 6)):
            mutant[dice.randrange(len(mutant))] = dice.randrange(256)
        bad.append(bytes(mutant))
    bad += [dice.randbytes(dice.randrange(300)) for _ in range(500)]
    last = deliver_body("不是本人".encode("utf-16-be"))

    async def scenario() -> None:
        desk = Desk()
        done: asyncio.Future[list[Pdu]] = asyncio.get_running_loop().create_future()

        async def lie(wire: Wire) -> None:
            await wire.bind()
            answers: list[Pdu] = []
            for place in range(0, len(bad), 100):
                answers += await _flood(wire, bad[place : place + 100])
            answers += await _flood(wire, [last])
            done.set_result(answers)
            await asyncio.sleep(60)

        settings = {"part_hold_ms": 0}
        async with lying_smsc(lie) as port, channel(port, desk, **settings):
            answers = await done
            assert {one.command for one in answers} == {DELIVER_SM | RESPONSE}
            assert {one.status for one in answers} <= {0, 0x64, 0x65}
            assert desk.inbound[-1].text == "不是本人"
            assert desk.counts["bound"] == 1
            assert desk.counts["malformed"] > 100

    run(scenario())


def test_what_cannot_be_read_is_said_to_be_malformed() -> None:
    """The reader raises one error and no other."""
    dice = random.Random(13)
    good = bytes(16) + deliver_body(
        b"\5\0\3\1\2\1" + b"x" * 20, esm_class=0x40, tlvs=b"\4\x24\0\1x"
    )
    for _ in range(20_000):
        mutant = bytearray(good[: dice.randrange(len(good) + 1)])
        for _ in range(dice.randint(0, 5)):
            if mutant:
                mutant[dice.randrange(len(mutant))] = dice.randrange(256)
        try:
            found = deliver_of(bytes(mutant))
        except MalformedPduError:
            continue
        assert found.segment is None or 1 <= found.segment.place <= found.segment.total


def test_an_endless_stream_stays_within_bounds() -> None:
    """Texts, first halves and receipts for unknown ids, faster than the desk: memory is bounded."""

    async def scenario() -> None:
        desk = Desk(is_slow=True)
        sent = 0

        async def lie(wire: Wire) -> None:
            nonlocal sent
            await wire.bind()
            answered = asyncio.create_task(_count_answers(wire))
            while sent < _STREAM:
                for _ in range(500):
                    sent += 1
                    wire.write(DELIVER_SM, sent & 0x7FFF_FFFF, _stream_body(sent))
                await wire.writer.drain()
            await answered

        answers: dict[int, int] = {}

        async def _count_answers(wire: Wire) -> None:
            while sum(answers.values()) < _STREAM:
                pdu = await wire.read()
                if pdu.command == DELIVER_SM | RESPONSE:
                    answers[pdu.status] = answers.get(pdu.status, 0) + 1
                elif pdu.command == SUBMIT_SM:
                    wire.write(SUBMIT_SM | RESPONSE, pdu.sequence, b"7\0")
            desk.count("all_answered")

        settings = {"part_hold_ms": 0}
        async with lying_smsc(lie) as port, channel(port, desk, **settings) as sms_channel:
            await desk.until(lambda: desk.counts.get("received", 0) > 10)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            # What goes out is answered behind what comes in, so it may take another try.
            while (await sms_channel.send(sms(TEXT))).verdict is not Verdict.TAKEN:
                pass
            await desk.until(lambda: "all_answered" in desk.counts)
            grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert grown_kb < 100_000
            assert sum(answers.values()) == _STREAM
            assert set(answers) == {0, 0x14, 0x64}
            assert desk.counts["turned_away"] == answers[0x14]
            assert desk.counts["half_dropped"] > 0

    with structlog.testing.capture_logs():
        run(scenario())


def _stream_body(number: int) -> bytes:
    source = b"86138%08d" % (number % 5_000)
    if number % 3 == 0:
        return deliver_body(b"id:%d stat:DELIVRD" % number, source=source, esm_class=4)
    if number % 3 == 1:
        head = bytes((5, 0, 3, number & 0xFF, 2, 1))
        return deliver_body(head + b"\x66\x2f" * 60, source=source, esm_class=0x40)
    return deliver_body(str(number).encode("utf-16-be"), source=source)


def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """No number, text or password in any log of ours or the library's, at any level."""
    inbound = "ZF#1234机密"

    async def lie(wire: Wire) -> None:
        await wire.bind()
        wire.write(DELIVER_SM, 1, deliver_body(inbound.encode("utf-16-be")))
        wire.write(DELIVER_SM, 2, b"\0\1\1" + TO[1:].encode())
        wire.write(DELIVER_SM, 3, deliver_body(b"id:7 stat:DELIVRD text:secret", esm_class=4))
        for _ in range(4):
            asked = await wire.read()
            if asked.command == SUBMIT_SM:
                wire.write(asked.command | RESPONSE, asked.sequence, b"\xff\xfe" * 99)
        raise OSError

    async def scenario() -> None:
        desk = Desk()
        async with lying_smsc(lie) as port, channel(port, desk) as sms_channel:
            answer = await sms_channel.send(sms(TEXT))
            await desk.until(lambda: desk.counts.get("line_down", 0) > 0)
            await sms_channel.send(sms(TEXT))
            assert TEXT not in repr(answer)
            assert PASSWORD not in repr(sms_channel.__dict__)

    with everything_logged(caplog) as lines:
        run(scenario())
    assert any("sms_line" in line for line in lines)
    for secret in (PASSWORD, TO[1:], TO[4:], TEXT, "智卫", "机密", "ZF#1234", "secret"):
        assert not any(secret in line for line in lines)

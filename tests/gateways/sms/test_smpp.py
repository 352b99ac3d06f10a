"""SMPP against smpp34's server, which runs in this process and is nothing of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import smpp34
from tests.gateways.sms.smscs import TO, Desk, RustSmsc, channel, rust_smsc, sms
from tests.messaging.endpoints import run

from zhiwei.messaging.model import Status, Verdict

# Its types do not name them.
TLV_RECEIPTED_MESSAGE_ID = 0x001E
TLV_MESSAGE_STATE = 0x0427
TLV_SAR_MSG_REF_NUM = 0x020C
TLV_SAR_TOTAL_SEGMENTS = 0x020E
TLV_SAR_SEGMENT_SEQNUM = 0x020F
TLV_MESSAGE_PAYLOAD = 0x0424
ESME_RTHROTTLED = 0x0058
ESME_RMSGQFUL = 0x0014
ESME_RINVDSTADR = 0x000B
ESME_RINVMSGLEN = 0x0001
ESME_RUNKNOWNERR = 0x00FF
ESME_RSYSERR = 0x0008
ESME_RINVSRCADR = 0x000A

SHORT = "【智卫】您尾号1234的卡于23:41在境外消费。是本人请回1，不是回0。"
LONG = "【智卫】" + "您尾号1234的卡被拒绝：境外线上锁已开，𠮷野家。" * 8


def joined(parts: list[smpp34.SubmitSmEvent]) -> str:
    """The text of parts with 8-bit references, as a phone puts it together."""
    bodies = {}
    for part in parts:
        assert part.esm_class & 0x40
        assert part.short_message[:3] == b"\5\0\3"
        assert part.short_message[4] == len(parts)
        bodies[part.short_message[5]] = part.short_message[6:]
    assert sorted(bodies) == list(range(1, len(parts) + 1))
    return "".join(bodies[place].decode("utf-16-be") for place in sorted(bodies))


def test_a_short_chinese_text_arrives_as_one_part() -> None:
    """70 characters of UCS-2 go as they are, with sender, number and the wish for a receipt."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk) as sms_channel:
            answer = await sms_channel.send(sms(SHORT))
            assert answer.verdict is Verdict.TAKEN
            assert answer.remote_id == "1"
            [part] = smsc.submitted
            assert part.short_message.decode("utf-16-be") == SHORT
            assert (part.data_coding, part.esm_class, part.registered_delivery) == (8, 0, 1)
            assert (part.source_addr, part.destination_addr) == ("95588", TO[1:])
            assert (part.dest_addr_ton, part.dest_addr_npi) == (1, 1)
            assert part.tlvs == []

    run(scenario())


def test_a_long_chinese_text_arrives_in_parts_of_67_characters() -> None:
    """Each part has its header and whole characters; the id is the first part's."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk) as sms_channel:
            answer = await sms_channel.send(sms(LONG))
            assert answer.verdict is Verdict.TAKEN
            assert answer.remote_id == "1"
            assert len(smsc.submitted) >= 3
            assert joined(smsc.submitted) == LONG
            for part in smsc.submitted:
                assert len(part.short_message) <= 6 + 2 * 67
                # Whole characters: no half of a surrogate pair.
                part.short_message[6:].decode("utf-16-be")

    run(scenario())


@pytest.mark.parametrize(
    ("text", "gsm7", "codings"),
    [
        ("Zhiwei: your card 1234 is locked.", True, [0]),
        ("Zhiwei: your card 1234 is locked.", False, [8]),
        ("a" * 161, True, [0, 0]),
        ("{" * 81, True, [0, 0]),
        ("a" * 71, False, [8, 8]),
    ],
)
def test_texts_of_the_gsm_alphabet_go_in_it_where_allowed(
    text: str, gsm7: bool, codings: list[int]
) -> None:
    """160 septets a part and 153 in several, an extension character counting two."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk, gsm7=gsm7) as sms_channel:
            answer = await sms_channel.send(sms(text))
            assert answer.verdict is Verdict.TAKEN
            assert [part.data_coding for part in smsc.submitted] == codings
            assert all(len(part.short_message) <= 160 for part in smsc.submitted)

    run(scenario())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("{:d}".format, "{:d}".format),
        ("{:d}".format, "{:010d}".format),
        ("{:08X}".format, "{:d}".format),
        ("{:x}".format, "{:010d}".format),
        ("{:d}".format, "{:X}".format),
        ("0000{:d}".format, "{:08x}".format),
        ("0x{:X}".format, "{:x}".format),
    ],
)
def test_receipts_find_their_message_in_hex_and_decimal(
    given: Callable[[int], str], told: Callable[[int], str]
) -> None:
    """An id that comes back in another spelling is the same; another number's id is another."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk) as sms_channel:
            # 16, 22, 100, 256: each is the hex or decimal spelling of another one.
            numbers = [10, 16, 22, 100, 256, 598]
            smsc.id_of = lambda place: given(numbers[place - 1])
            sent = {}
            for place, number in enumerate(numbers):
                to = f"+861380013{8000 + place}"
                answer = await sms_channel.send(sms(SHORT, f"msg_{place}-sms", to))
                sent[number] = (answer.remote_id, to)
            for number, (_, to) in sent.items():
                text = f"id:{told(number)} sub:001 dlvrd:001 stat:DELIVRD err:000 text:"
                status = await smsc.deliver(
                    "", body=text.encode(), esm_class=4, data_coding=0, source_addr=to[1:]
                )
                assert status == 0
            assert [one.remote_id for one in desk.receipts] == [kept for kept, _ in sent.values()]
            assert {one.status for one in desk.receipts} == {Status.DELIVERED}

    run(scenario())


def test_receipts_for_unknown_ids_and_odd_receipts_are_passed_on_or_dropped() -> None:
    """They are acknowledged, and the desk hears of every id: it knows what it does not know."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk):
            for text in (
                "id:4711 stat:UNDELIV err:027",
                "id:4712 stat:MK:0012",
                "id:4713 stat:ENROUTE sub:x dlvrd:y submit date:never",
                "nothing of a receipt",
                "",
            ):
                body = text.encode()
                assert await smsc.deliver("", body=body, esm_class=4, data_coding=0) == 0
            state = [smpp34.Tlv(TLV_RECEIPTED_MESSAGE_ID, b"4714\0")]
            state.append(smpp34.Tlv(TLV_MESSAGE_STATE, b"\5"))
            assert await smsc.deliver("", body=b"x", tlvs=state) == 0
            found = [(one.remote_id, one.status, one.detail) for one in desk.receipts]
            assert found == [
                ("4711", Status.FAILED, "UNDELIV, error 027"),
                ("4712", Status.FAILED, "MK:0012"),
                ("4713", Status.SENT, "ENROUTE"),
                ("4714", Status.FAILED, "UNDELIV"),
            ]
            assert desk.inbound == []

    run(scenario())


def test_nobody_writes_a_receipt_on_a_phone() -> None:
    """A text that looks like a receipt is a text."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk):
            await smsc.deliver("id:1 sub:001 dlvrd:001 stat:DELIVRD err:000")
            assert desk.receipts == []
            assert len(desk.inbound) == 1

    run(scenario())


def test_a_text_of_which_a_later_part_did_not_arrive_has_failed() -> None:
    """Receipts of later parts only count when they say no."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk) as sms_channel:
            smsc.id_of = "part{:d}".format
            answer = await sms_channel.send(sms(LONG))
            for place, word in ((2, "DELIVRD"), (3, "UNDELIV"), (1, "DELIVRD")):
                body = f"id:part{place} stat:{word} err:000".encode()
                assert await smsc.deliver("", body=body, esm_class=4, data_coding=0) == 0
            assert {one.remote_id for one in desk.receipts} == {answer.remote_id}
            assert [one.status for one in desk.receipts] == [Status.FAILED, Status.FAILED]
            assert desk.counts["receipt_ignored"] == 1

    run(scenario())


def test_what_is_throttled_is_taken_later_without_repeating_parts() -> None:
    """The pause is asked of the outbox; the parts that were taken are not sent twice."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk) as sms_channel:
            smsc.statuses = [0, ESME_RTHROTTLED, ESME_RMSGQFUL]
            for _ in range(2):
                answer = await sms_channel.send(sms(LONG))
                assert answer.verdict is Verdict.TRY_LATER
                assert answer.is_channel_down
                assert 0 < answer.pause_ms <= 50
                at_once = await sms_channel.send(sms(SHORT, "msg_other-sms"))
                assert at_once.detail == "throttled"
                await asyncio.sleep(answer.pause_ms / 1_000 + 0.01)
            answer = await sms_channel.send(sms(LONG))
            assert answer.verdict is Verdict.TAKEN
            assert answer.remote_id == "1"
            assert joined(smsc.submitted) == LONG

    run(scenario())


@pytest.mark.parametrize(
    ("status", "verdict", "is_down"),
    [
        (ESME_RINVDSTADR, Verdict.REFUSED, False),
        (ESME_RINVMSGLEN, Verdict.REFUSED, False),
        (ESME_RUNKNOWNERR, Verdict.TRY_LATER, False),
        (ESME_RSYSERR, Verdict.TRY_LATER, True),
        (ESME_RINVSRCADR, Verdict.TRY_LATER, True),
    ],
)
def test_what_a_status_means(status: int, verdict: Verdict, is_down: bool) -> None:
    """Only what speaks of this one message for good refuses it."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk) as sms_channel:
            smsc.status = status
            answer = await sms_channel.send(sms(SHORT))
            assert (answer.verdict, answer.is_channel_down) == (verdict, is_down)
            # The line is still there.
            smsc.status = 0
            assert (await sms_channel.send(sms(SHORT))).verdict is Verdict.TAKEN

    run(scenario())


@pytest.mark.parametrize("to", ["", "alice", "+86138", "13800138000;13900139000"])
def test_what_is_no_number_is_refused_here(to: str) -> None:
    """Nothing of it reaches the wire."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk) as sms_channel:
            answer = await sms_channel.send(sms(SHORT, to=to))
            assert answer.verdict is Verdict.REFUSED
            assert smsc.submitted == []

    run(scenario())


def test_replies_come_in_before_they_are_acknowledged() -> None:
    """What the desk cannot make durable is told "later", and comes in when brought again."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk):
            desk.failures = 1
            assert await smsc.deliver("是") == 0x64
            assert desk.inbound == []
            for text in ("是", "不是本人", "ZF#1234", "ＺＦ＃１２３４"):
                assert await smsc.deliver(text) == 0
            assert [one.text for one in desk.inbound] == [
                "是",
                "不是本人",
                "ZF#1234",
                "ＺＦ＃１２３４",
            ]
            assert {one.sender for one in desk.inbound} == {TO[1:]}
            assert len({one.id for one in desk.inbound}) == 4

    run(scenario())


def test_the_same_deliver_sm_twice_is_one_text() -> None:
    """Also on another line; the same words of another person are another text."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk):
            for source in (TO[1:], TO[1:], "8613900139000"):
                assert await smsc.deliver("是", source_addr=source) == 0
            assert [one.sender for one in desk.inbound] == [TO[1:], "8613900139000"]
            line = await smsc.bound()
            smsc.line = None
            await line.unbind()
            assert await smsc.deliver("是") == 0
            assert len(desk.inbound) == 2
            assert desk.counts["repeated"] == 2

    run(scenario())


def test_an_smsc_that_never_answers_makes_the_channel_down() -> None:
    """`send` ends in time; an answer that comes late is not forgotten, so nothing is sent twice."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk, answer_seconds=1) as sms_channel:
            smsc.status = None
            answer = await sms_channel.send(sms(SHORT))
            assert answer.verdict is Verdict.TRY_LATER
            assert answer.is_channel_down
            [event] = smsc.kept
            assert isinstance(event, smpp34.SubmitSmEvent)
            smsc.status = 0
            event.accept("77")
            await desk.until(lambda: desk.counts.get("late_answer") == 1)
            answer = await sms_channel.send(sms(SHORT))
            assert (answer.verdict, answer.remote_id) == (Verdict.TAKEN, "77")
            assert not smsc.submitted

    run(scenario())


def test_the_same_words_written_again_are_another_text() -> None:
    """Where the SMSC knows that we have the first; its id is another one then."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk, repeat_seconds=0):
            for _ in range(3):
                assert await smsc.deliver("是") == 0
            assert [one.text for one in desk.inbound] == ["是"] * 3
            assert len({one.id for one in desk.inbound}) == 3

    run(scenario())


@pytest.mark.parametrize("count", [2, 3])
def test_parts_of_a_long_reply_come_in_any_order_as_one_text(count: int) -> None:
    """8-bit and 16-bit references and SAR parameters; all parts are answered with the whole."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk):
            for kind in ("8", "16", "sar"):
                text = f"{kind}：不是本人，" * (7 * count)
                order = [*range(count, 1, -1), 1]
                parts = [_part(text, kind, place, count) for place in order]
                statuses = await asyncio.gather(*(smsc.deliver("", **part) for part in parts))
                assert statuses == [0] * count
                assert desk.inbound[-1].text == text
            assert len(desk.inbound) == 3

    run(scenario())


def _part(text: str, kind: str, place: int, count: int) -> dict[str, object]:
    """One part of a text, as fields of deliver_sm; a character may be cut in two."""
    raw = text.encode("utf-16-be")
    size = -(-len(raw) // count) | 1
    body = raw[(place - 1) * size : place * size]
    if kind == "sar":
        values = ((TLV_SAR_MSG_REF_NUM, b"\x12\x34"), (TLV_SAR_TOTAL_SEGMENTS, count))
        tlvs = [smpp34.Tlv(tag, bytes([v]) if isinstance(v, int) else v) for tag, v in values]
        tlvs.append(smpp34.Tlv(TLV_SAR_SEGMENT_SEQNUM, bytes([place])))
        return {"body": body, "tlvs": tlvs}
    head = b"\5\0\3\x7f" if kind == "8" else b"\6\x08\4\x12\x34"
    return {"body": head + bytes((count, place)) + body, "esm_class": 0x40}


def test_parts_of_an_smsc_that_sends_one_at_a_time_come_together() -> None:
    """The first is told "later", stays known, and is acknowledged once the text is whole."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk, part_hold_ms=50):
            first, second = (_part("不是本人，" * 20, "8", place, 2) for place in (1, 2))
            assert await smsc.deliver("", **first) == 0x64
            assert desk.inbound == []
            assert await smsc.deliver("", **second) == 0
            assert [one.text for one in desk.inbound] == ["不是本人，" * 20]
            assert await smsc.deliver("", **first) == 0
            assert len(desk.inbound) == 1

    run(scenario())


def test_half_a_message_is_given_up_and_counted() -> None:
    """Its part was never acknowledged, and is refused for good when it comes after that."""

    async def scenario() -> None:
        desk = Desk()
        settings = {"part_hold_ms": 20, "half_message_seconds": 1}
        async with rust_smsc() as smsc, channel(smsc.port, desk, **settings):
            first = _part("不是本人，" * 20, "8", 1, 2)
            assert await smsc.deliver("", **first) == 0x64
            await desk.until(lambda: desk.counts.get("half_dropped") == 1)
            assert await smsc.deliver("", **first) == 0x65
            assert desk.inbound == []
            assert await smsc.deliver("是") == 0

    run(scenario())


def test_a_long_reply_in_message_payload_is_one_text() -> None:
    """No cut, no header, no limit of 254 bytes."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk):
            raw = ("不是本人，" * 60).encode("utf-16-be")
            tlv = smpp34.Tlv(TLV_MESSAGE_PAYLOAD, raw)
            assert await smsc.deliver("", body=b"", tlvs=[tlv]) == 0
            assert desk.inbound[0].text == "不是本人，" * 60

    run(scenario())


def test_many_messages_at_once_each_get_their_own_answer() -> None:
    """The window is `at_once`; answers may come in any order."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk) as sms_channel:
            smsc.id_of = "id-{:d}".format
            messages = [sms(f"第{n}条", f"msg_{n}-sms", f"+86138{n:08d}") for n in range(200)]
            answers = await asyncio.gather(*(sms_channel.send(one) for one in messages))
            by_id = dict(zip([one.remote_id for one in answers], messages, strict=True))
            assert len(by_id) == 200
            for place, part in enumerate(smsc.submitted, 1):
                assert by_id[f"id-{place}"].to == "+" + part.destination_addr
                assert by_id[f"id-{place}"].text == part.short_message.decode("utf-16-be")

    run(scenario())


def test_a_channel_that_nobody_started_answers_too() -> None:
    """`send` before `start` and after `stop` says "later"."""

    async def scenario() -> None:
        desk = Desk()
        async with rust_smsc() as smsc, channel(smsc.port, desk) as sms_channel:
            await smsc.bound()
        answer = await sms_channel.send(sms(SHORT))
        assert answer.verdict is Verdict.TRY_LATER
        assert isinstance(smsc, RustSmsc)

    run(scenario())

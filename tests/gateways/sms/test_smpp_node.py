"""SMPP against npm's smpp, a second opinion in a process of its own."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest
from tests.gateways.sms.smscs import TO, Desk, channel, free_port, node, node_smsc, sms
from tests.messaging.endpoints import PEM, everything_logged, run

from zhiwei.messaging.model import Status, Verdict

SHORT = "【智卫】您尾号1234的卡于23:41在境外消费。是本人请回1，不是回0。"
LONG = "【智卫】" + "您尾号1234的卡被拒绝：境外线上锁已开，请核对。" * 8

needs_node = pytest.mark.skipif(
    not node() and os.environ.get("CI") != "true",
    reason="the second SMSC is not installed; scripts/setup.sh does it where npm can be had",
)
pytestmark = needs_node


@pytest.mark.parametrize("ids", ["hex", "decimal"])
def test_texts_arrive_and_their_receipts_find_them(ids: str) -> None:
    """Ids in hex with receipts in decimal, and the other way round."""

    async def scenario() -> None:
        desk = Desk()
        async with (
            node_smsc(ids=ids, receipts=True) as smsc,
            channel(smsc.port, desk) as sms_channel,
        ):
            answers = [await sms_channel.send(sms(text, text)) for text in (SHORT, LONG)]
            assert [answer.verdict for answer in answers] == [Verdict.TAKEN] * 2
            events = await smsc.heard("submit", 5)
            assert events[0]["text"] == SHORT
            assert (events[0]["to"], events[0]["from"]) == (TO[1:], "95588")
            assert (events[0]["coding"], events[0]["udh"], events[0]["receipt"]) == (8, [], 1)
            parts = events[1:]
            assert "".join(part["text"] for part in parts) == LONG
            assert max(len(part["text"]) for part in parts) == 67
            [reference] = {part["udh"][0][:6] for part in parts}
            assert [part["udh"] for part in parts] == [
                [f"{reference}04{place:02x}"] for place in range(1, 5)
            ]
            assert all(one["status"] == 0 for one in await smsc.heard("receipt_answered", 5))
            told = [(one.remote_id, one.status) for one in desk.receipts]
            assert told == [(answer.remote_id, Status.DELIVERED) for answer in answers]

    run(scenario())


def test_throttled_then_taken_and_refused_for_good() -> None:
    """An answer with an error has no body in this SMSC."""

    async def scenario() -> None:
        desk = Desk()
        async with node_smsc() as smsc, channel(smsc.port, desk) as sms_channel:
            smsc.order(do="rules", rules={"throttle": 1, "refuse": ["8613900139000"]})
            await smsc.heard("ruled")
            answer = await sms_channel.send(sms(SHORT))
            assert (answer.verdict, answer.detail) == (Verdict.TRY_LATER, "ESME_RTHROTTLED")
            await asyncio.sleep(answer.pause_ms / 1_000)
            assert (await sms_channel.send(sms(SHORT))).verdict is Verdict.TAKEN
            answer = await sms_channel.send(sms(SHORT, to="+8613900139000"))
            assert (answer.verdict, answer.detail) == (Verdict.REFUSED, "ESME_RINVDSTADR")

    run(scenario())


def test_killed_and_back_the_waiting_message_goes_out_within_seconds() -> None:
    """Killed with SIGKILL; what waits is tried again as the outbox does, and goes out once."""

    async def scenario() -> None:
        desk = Desk()
        port = free_port()
        async with channel(port, desk) as sms_channel:
            async with node_smsc(port=port) as smsc:
                assert (await sms_channel.send(sms(SHORT))).verdict is Verdict.TAKEN
                await smsc.kill()
                await desk.until(lambda: not sms_channel.is_up)
                answer = await sms_channel.send(sms(SHORT, "msg_two-sms"))
                assert answer.verdict is Verdict.TRY_LATER
                assert answer.is_channel_down
            # Long enough for the pauses to have grown to the longest.
            await desk.until(lambda: desk.counts["line_down"] >= 4)
            async with node_smsc(port=port) as smsc:
                back = asyncio.get_running_loop().time()
                while (await sms_channel.send(sms(SHORT, "msg_two-sms"))).verdict != Verdict.TAKEN:
                    pass
                assert asyncio.get_running_loop().time() - back < 10
                assert len(await smsc.heard("submit")) == 1

    run(scenario())


def test_replies_come_in_whole_whatever_the_order_of_parts() -> None:
    """Two long texts with their parts mixed, and short ones between."""

    async def scenario() -> None:
        desk = Desk()
        async with node_smsc() as smsc, channel(smsc.port, desk):
            await smsc.heard("bound")
            texts = [{"from": TO[1:], "text": text} for text in ("是", "不是本人", "ZF#1234")]
            for source, reference in (("8613700137000", "07"), ("8613600136000", "07")):
                texts += [
                    {"from": source, "text": f"{source}第{n}段", "udh": f"050003{reference}030{n}"}
                    for n in (3, 1, 2)
                ]
            smsc.order(do="deliver", texts=texts[::2] + texts[1::2])
            answers = await smsc.heard("answered", len(texts))
            assert {answer["status"] for answer in answers} == {0}
            assert Counter(one.text for one in desk.inbound) == Counter(
                ["是", "不是本人", "ZF#1234"]
                + [
                    "".join(f"{s}第{n}段" for n in (1, 2, 3))
                    for s in ("8613700137000", "8613600136000")
                ]
            )

    run(scenario())


def test_a_wrong_password_is_told_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """The operator sees that the SMSC refused the bind; nobody sees with what."""

    async def scenario() -> None:
        desk = Desk()
        async with node_smsc() as smsc, channel(smsc.port, desk, password="wr0ng") as sms_channel:
            await smsc.heard("not_bound")
            await desk.until(lambda: desk.counts.get("line_down", 0) == 1)
            answer = await sms_channel.send(sms(SHORT))
            assert answer.verdict is Verdict.TRY_LATER
            assert answer.is_channel_down
            assert answer.detail == "the SMSC refused the bind: ESME_RINVPASWD"
            assert not sms_channel.is_up

    with everything_logged(caplog) as lines:
        run(scenario())
    assert any("ESME_RINVPASWD" in line for line in lines)
    assert not any("wr0ng" in line for line in lines)


def test_over_tls_with_a_certificate_that_is_trusted(tmp_path: Path) -> None:
    """Bound and sent through TLS; a certificate that nobody trusts is refused."""

    async def scenario() -> None:
        desk = Desk()
        tls = {"tls": True, "ca_file": str(PEM), "host": "localhost"}
        async with node_smsc(tls=str(PEM)) as smsc:
            async with channel(smsc.port, desk, **tls) as sms_channel:
                assert (await sms_channel.send(sms(SHORT))).verdict is Verdict.TAKEN
            async with channel(smsc.port, desk, tls=True, host="localhost") as sms_channel:
                answer = await sms_channel.send(sms(SHORT))
                assert answer.verdict is Verdict.TRY_LATER
                assert answer.is_channel_down

    run(scenario())


@pytest.mark.parametrize("bind", ["transmitter", "receiver"])
def test_one_way_lines(bind: str) -> None:
    """A transmitter sends; a receiver only hears, and says so."""

    async def scenario() -> None:
        desk = Desk()
        async with node_smsc() as smsc, channel(smsc.port, desk, bind=bind) as sms_channel:
            assert (await smsc.heard("bound"))[0]["kind"] == f"bind_{bind}"
            answer = await sms_channel.send(sms(SHORT))
            if bind == "transmitter":
                assert answer.verdict is Verdict.TAKEN
            else:
                assert answer.verdict is Verdict.TRY_LATER
                smsc.order(do="deliver", texts=[{"from": TO[1:], "text": "否"}])
                assert (await smsc.heard("answered"))[0]["status"] == 0
                assert desk.inbound[0].text == "否"

    run(scenario())


def test_stop_says_goodbye() -> None:
    """The SMSC is told, so that it does not believe in the line any more."""

    async def scenario() -> None:
        async with node_smsc() as smsc:
            async with channel(smsc.port, Desk()):
                await smsc.heard("bound")
            await smsc.heard("unbind")

    run(scenario())

"""The server over real sockets: what is sent is answered, and nothing is left hanging."""

from __future__ import annotations

import asyncio

from tests.gateways.iso8583.house import VAULT, buggy_step, come_true, line_to, open_house, run
from tests.gateways.iso8583.messages import PANS, purchase

from zhiwei.core.controls import NightLock, RegionLock
from zhiwei.gateways.iso8583.frame import framing
from zhiwei.gateways.iso8583.server import Limits

ECHOED = (2, 3, 4, 7, 11, 12, 13, 32, 33, 37, 41, 42, 49)
#: Bounds that tests can reach; no test depends on how long they are.
QUICK = Limits(frame_seconds=0.05, idle_seconds=0.05, sweep_seconds=0.01)


def test_a_purchase_is_approved_and_its_fields_come_back() -> None:
    """0210 with 00, an authorization code, and the request's fields as they were sent."""

    async def story() -> None:
        async with open_house() as house, line_to(house) as line:
            await house.register(PANS[0])
            answer = await line.ask("0200", purchase())
            assert (answer.mti, answer.text(39), len(answer.text(38))) == ("0210", "00", 6)
            for number in ECHOED:
                assert answer.text(number) == purchase()[number], number

    run(story)


def test_a_repeat_gets_the_same_bytes() -> None:
    """0200 again, and 0201, are answered with the very bytes of the first answer."""

    async def story() -> None:
        async with open_house() as house, line_to(house) as line:
            await house.register(PANS[0])
            answers = []
            for mti in ("0200", "0200", "0201"):
                line.writer.write(line.frame(mti, purchase()))
                answers.append(await line.answer_frame())
            assert answers[0] == answers[1] == answers[2]

    run(story)


def test_the_same_identity_with_another_amount_is_a_conflict() -> None:
    """94."""

    async def story() -> None:
        async with open_house() as house, line_to(house) as line:
            await house.register(PANS[0])
            assert (await line.ask("0200", purchase())).text(39) == "00"
            assert (await line.ask("0200", purchase(de4="000000000001"))).text(39) == "94"

    run(story)


def test_a_lock_refuses_with_62() -> None:
    """A region lock on 陕西 refuses a purchase in 洛阳 and lets one in 西安 pass."""

    async def story() -> None:
        async with open_house() as house, line_to(house) as line:
            await house.register(PANS[0], region_lock=RegionLock(("61",)))
            answer = await line.ask("0200", purchase())
            assert (answer.text(39), answer.has(38)) == ("62", False)
            there = purchase(de32="01027910", de42="898791054110001", de11="123457")
            assert (await line.ask("0200", there)).text(39) == "00"

    run(story)


def test_an_unknown_card_is_answered_14() -> None:
    """A number that nobody registered, and one that is no card number at all."""

    async def story() -> None:
        async with open_house() as house, line_to(house) as line:
            assert (await line.ask("0200", purchase())).text(39) == "14"
            assert (await line.ask("0200", purchase(de2="123"))).text(39) == "14"

    run(story)


def test_a_reversal_is_accepted_and_gives_back() -> None:
    """0420 for a purchase, its repeat, and one for a purchase that never came: all 00."""

    async def story() -> None:
        async with open_house() as house, line_to(house) as line:
            await house.register(PANS[0])
            assert (await line.ask("0200", purchase())).text(39) == "00"
            original = "0200" + "123456" + "1123120000" + "00001024930" + "00000010000"
            back = purchase(de11="123457", de7="1123120010", de39="98", de90=original)
            answers = [await line.ask(mti, back) for mti in ("0420", "0421")]
            assert [(a.mti, a.text(39)) for a in answers] == [("0430", "00"), ("0430", "00")]
            unknown = original.replace("123456", "999999", 1)
            other = purchase(de11="123458", de39="98", de90=unknown)
            assert (await line.ask("0420", other)).text(39) == "00"
            late = await line.ask("0200", purchase(de11="999999"))
            assert late.text(39) == "22"

    run(story)


def test_network_management_is_answered_at_once() -> None:
    """0800 is answered by 0810 with 00 and its own fields, whoever sends it."""

    async def story() -> None:
        async with open_house() as house, line_to(house) as line:
            echo: dict[int, str | bytes] = {7: "1123120000", 11: "000301", 70: "301"}
            answer = await line.ask("0800", echo)
            assert (answer.mti, answer.fields) == ("0810", {**echo, 39: "00"})
            assert house.watch.batches == []

    run(story)


def test_a_message_that_cannot_be_read_is_answered_30_and_the_line_goes_on() -> None:
    """Where type and trace were legible; without them nothing is answered. The next one is."""

    async def story() -> None:
        async with open_house() as house, line_to(house) as line:
            await house.register(PANS[0])
            whole = line.frame("0200", purchase())
            body = whole[2:]
            broken = body[:-20]
            unreadable = body[:20]
            for part in (broken, unreadable, body):
                line.writer.write(len(part).to_bytes(2, "big") + part)
            first, second = await line.answer(), await line.answer()
            assert (first.mti, first.text(39), first.text(11)) == ("0210", "30", "123456")
            assert (second.mti, second.text(39)) == ("0210", "00")
            faults = [(fault, mti, stan) for fault, _, _, mti, stan in house.watch.faults]
            assert faults == [("truncated", "0200", "123456"), ("truncated", "0200", "")]

    run(story)


def test_a_message_without_what_its_kind_needs_is_answered_30() -> None:
    """No amount, no currency, an unknown currency, an unknown processing code, no card number."""

    async def story() -> None:
        async with open_house() as house, line_to(house) as line:
            await house.register(PANS[0])
            for change in (
                {"de4": None},
                {"de49": None},
                {"de49": "000"},
                {"de3": "990000"},
                {"de3": None},
                {"de2": None},
                {"de51": "000"},
            ):
                answer = await line.ask("0200", purchase(**change))
                assert answer.text(39) == "30", change
            assert (await line.ask("0302", purchase())).text(39) == "30"

    run(story)


def test_an_answer_that_arrives_is_not_answered() -> None:
    """Two houses that are connected by mistake do not talk to each other for ever."""

    async def story() -> None:
        async with open_house() as house, line_to(house) as line:
            line.writer.write(line.frame("0210", purchase(de39="00")))
            answer = await line.ask("0800", {7: "1123120000", 11: "000301", 70: "301"})
            assert answer.mti == "0810"
            assert house.watch.faults[0][0] == "unexpected_answer"

    run(story)


def test_pipelined_messages_in_any_pieces_are_all_answered() -> None:
    """A hundred messages on one line, sent in pieces of a few bytes."""

    async def story() -> None:
        async with open_house() as house, line_to(house) as line:
            await house.register(PANS[0])
            stream = b"".join(
                line.frame("0200", purchase(de11=f"{n:06d}", de4=f"{n:012d}")) for n in range(100)
            )
            for at in range(0, len(stream), 7):
                line.writer.write(stream[at : at + 7])
                if at % 70 == 0:
                    await line.writer.drain()
            answers = [await line.answer() for _ in range(100)]
            assert {a.text(11) for a in answers} == {f"{n:06d}" for n in range(100)}
            assert {a.text(39) for a in answers} == {"00"}

    run(story)


def test_many_lines_are_served_beside_each_other() -> None:
    """Fifty lines, each with its own messages, all get their own answers."""

    async def story() -> None:
        async with open_house() as house:
            await house.register(PANS[0])

            async def one(number: int) -> None:
                async with line_to(house) as line:
                    for turn in range(5):
                        fields = purchase(de11=f"{number:03d}{turn:03d}", de4=f"{turn:012d}")
                        answer = await line.ask("0200", fields)
                        assert answer.text(11) == f"{number:03d}{turn:03d}"

            await asyncio.gather(*(one(number) for number in range(50)))

    run(story)


def test_a_bug_costs_one_message_and_not_its_neighbours() -> None:
    """Messages of one buffer are decided together; a bug in one is answered 96, the rest 00."""

    async def story() -> None:
        async with open_house(step=buggy_step(VAULT.card_key(PANS[1]))) as house:
            await house.register(PANS[0])
            await house.register(PANS[1])
            async with line_to(house) as line:
                stream = [line.frame("0200", purchase(de11=f"{n:06d}")) for n in range(9)]
                stream[4] = line.frame("0200", purchase(de11="000004", de2=PANS[1]))
                line.writer.write(b"".join(stream))
                answers = [await line.answer() for _ in range(9)]
                codes = {a.text(11): a.text(39) for a in answers}
                assert codes == {f"{n:06d}": "96" if n == 4 else "00" for n in range(9)}

    run(story)


def test_past_the_queue_s_bound_the_answer_is_91_at_once() -> None:
    """Nothing is left hanging when too much waits."""

    async def story() -> None:
        async with open_house(queue_max=4) as house, line_to(house) as line:
            await house.register(PANS[0])
            frames = [line.frame("0200", purchase(de11=f"{n:06d}")) for n in range(9)]
            line.writer.write(b"".join(frames))
            codes = [(await line.answer()).text(39) for _ in range(9)]
            assert codes == ["91"] * 9

    run(story)


def test_a_frame_over_the_limit_ends_the_line_after_what_was_taken() -> None:
    """The stream cannot be cut any more, but what came before it is answered."""

    async def story() -> None:
        form = framing("binary2", frame_max=400)
        async with open_house(form=form) as house, line_to(house) as line:
            await house.register(PANS[0])
            line.writer.write(line.frame("0200", purchase()) + b"\x01\x91" + bytes(401))
            assert (await line.answer()).text(39) == "00"
            assert await line.is_closed()

    run(story)


def test_a_length_that_is_no_number_ends_the_line() -> None:
    """With decimal lengths."""

    async def story() -> None:
        form = framing("ascii4")
        async with open_house(form=form) as house, line_to(house, form=form) as line:
            echo: dict[int, str | bytes] = {7: "1123120000", 11: "000301", 70: "301"}
            assert (await line.ask("0800", echo)).text(39) == "00"
            line.writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert await line.is_closed()

    run(story)


def test_a_frame_that_comes_drop_by_drop_ends_the_line() -> None:
    """A slow loris does not hold a line for ever, though it never falls silent."""

    async def story() -> None:
        limits = Limits(frame_seconds=0.1, idle_seconds=600, sweep_seconds=0.01)
        async with open_house(limits=limits) as house, line_to(house) as line:
            await house.register(PANS[0])
            frame = line.frame("0200", purchase())

            async def drip() -> None:
                for byte in frame[:-1]:
                    line.writer.write(bytes([byte]))
                    await asyncio.sleep(0.02)

            dripping = asyncio.create_task(drip())
            assert await line.is_closed()
            dripping.cancel()

    run(story)


def test_a_silent_line_is_closed() -> None:
    """Lines are kept open by echo tests."""

    async def story() -> None:
        async with open_house(limits=QUICK) as house, line_to(house) as line:
            assert await line.is_closed()
            assert house.watch.connections == 0

    run(story)


def test_lines_past_the_bound_are_closed_and_the_others_served() -> None:
    """The bound holds, and a place that becomes free is given away again."""

    async def story() -> None:
        limits = Limits(connections_max=2)
        echo: dict[int, str | bytes] = {7: "1123120000", 11: "000301", 70: "301"}
        async with open_house(limits=limits) as house, line_to(house) as one:
            async with line_to(house) as two:
                assert (await one.ask("0800", echo)).text(39) == "00"
                assert (await two.ask("0800", echo)).text(39) == "00"
                async with line_to(house) as three:
                    assert await three.is_closed()
            await come_true(lambda: house.server.connections == 1)
            async with line_to(house) as four:
                assert (await four.ask("0800", echo)).text(39) == "00"

    run(story)


def test_who_hangs_up_after_asking_is_still_answered() -> None:
    """A half-closed line gets the answers to what it sent, and is then closed."""

    async def story() -> None:
        async with open_house() as house, line_to(house) as line:
            await house.register(PANS[0])
            line.writer.write(line.frame("0200", purchase()))
            line.writer.write_eof()
            assert (await line.answer()).text(39) == "00"
            assert await line.is_closed()

    run(story)


def test_who_is_gone_before_the_answer_does_no_harm() -> None:
    """The decision stands; the repeat on a new line gets it."""

    async def story() -> None:
        async with open_house() as house:
            await house.register(PANS[0])
            async with line_to(house) as line:
                line.writer.write(line.frame("0200", purchase()))
                await line.writer.drain()
                line.writer.transport.abort()
            async with line_to(house) as line:
                assert (await line.ask("0201", purchase())).text(39) == "00"

    run(story)


def test_who_does_not_read_stops_being_read_and_is_closed() -> None:
    """Answers that nobody takes do not fill the memory."""

    async def story() -> None:
        limits = Limits(unread_bytes=1000, unread_seconds=0.2, sweep_seconds=0.05)
        async with open_house(limits=limits) as house, line_to(house) as line:
            line.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio has it, its stub not
            echo = line.frame("0800", {7: "1123120000", 11: "000301", 70: "301"})
            try:
                for _ in range(2000):
                    line.writer.write(echo * 1000)
                    await line.writer.drain()
            except ConnectionError:
                pass
            await come_true(lambda: house.server.connections == 0)

    run(story)


def test_a_line_with_too_much_in_flight_is_read_on_later() -> None:
    """Past the bound nothing is read; every message is answered in the end."""

    async def story() -> None:
        limits = Limits(in_flight_max=3, sweep_seconds=0.01)
        async with open_house(limits=limits) as house, line_to(house) as line:
            await house.register(PANS[0])
            for number in range(200):
                line.writer.write(line.frame("0200", purchase(de11=f"{number:06d}")))
                if number % 10 == 0:
                    await line.writer.drain()
                    await asyncio.sleep(0)
            answers = [await line.answer() for _ in range(200)]
            assert {a.text(11) for a in answers} == {f"{n:06d}" for n in range(200)}

    run(story)


def test_stopping_answers_what_was_taken_and_takes_nothing_new() -> None:
    """Every message that was taken is answered before the line is closed."""

    async def story() -> None:
        async with open_house() as house, line_to(house) as line:
            await house.register(PANS[0], night_lock=NightLock())
            for number in range(50):
                line.writer.write(line.frame("0200", purchase(de11=f"{number:06d}")))
            await line.writer.drain()
            first = await line.answer()
            stopping = asyncio.create_task(house.server.stop())
            await asyncio.sleep(0)
            codes = [first.text(39)] + [(await line.answer()).text(39) for _ in range(49)]
            assert codes == ["00"] * 50
            assert await line.is_closed()
            await stopping
            try:
                async with line_to(house) as late:
                    assert await late.is_closed()
            except ConnectionRefusedError:
                pass

    run(story)


def test_terminals_are_answered_with_their_header_turned_round() -> None:
    """TPDU with sender and receiver exchanged, the terminal's six bytes as they came."""

    async def story() -> None:
        header = bytes.fromhex("6000030001602200000000")
        fields: dict[int, str | bytes] = {
            2: PANS[0],
            3: "000000",
            4: "000000012345",
            11: "000123",
            22: "021",
            25: "00",
            41: "49300001",
            42: "898493054110001",
            49: "156",
            60: "22000001000500",
        }
        name = "unionpay-terminal"
        async with open_house(name) as house, line_to(house, name, header=header) as line:
            await house.register(PANS[0])
            line.writer.write(line.frame("0200", fields))
            frame = await line.answer_frame()
            assert frame[2:13].hex() == "6000010003602200000000"
            answer = line.codec.decode(frame, 13, len(frame))
            assert (answer.mti, answer.text(39), answer.text(11)) == ("0210", "00", "000123")
            back = {**fields, 39: "98", 61: "0000010001231123"}
            assert (await line.ask("0400", back)).text(39) == "00"

    run(story)

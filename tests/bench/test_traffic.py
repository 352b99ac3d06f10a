"""The bench's messages are readable by the real codec, unique, and the same each time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from iso8583sim.wire import decode_message

from zhiwei.bench.cards import choose_cards, pan_of
from zhiwei.bench.message import Framing, encode, offsets_of
from zhiwei.bench.scenes import SCENES
from zhiwei.bench.traffic import Plan, Traffic, compose
from zhiwei.gateways.iso8583 import dialect
from zhiwei.gateways.iso8583.codec import Codec

NOON = datetime(2026, 11, 23, 4, 0, 0, tzinfo=UTC)
PLAN = Plan(messages=4_000, connections=4, cards=500, seed=3, run=42)


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    """A run of 4,000 messages."""
    return compose(PLAN, NOON)


def luhn_sum(digits: str) -> int:
    """Add the digits up as ISO/IEC 7812-1 says, digit by digit."""
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(digits)]
    return sum(value - 9 if value > 9 else value for value in doubled)


def test_every_card_number_passes_luhn() -> None:
    """Card numbers of the whole range carry their check digit, and no two are the same."""
    cards = [*range(3_000), 10**6 - 1, 10**6, 123_456_789, 10**9 - 1]
    pans = [pan_of(card) for card in cards]
    assert all(len(pan) == 16 and luhn_sum(pan) % 10 == 0 for pan in pans)
    assert len(set(pans)) == len(cards)


def test_the_same_plan_gives_the_same_bytes() -> None:
    """Traffic follows from its plan and instant alone; another seed gives other traffic."""
    again = compose(PLAN, NOON)
    other = compose(Plan(messages=4_000, connections=4, cards=500, seed=4, run=42), NOON)
    assert compose(PLAN, NOON).arena == again.arena
    assert other.arena != again.arena


def test_every_message_is_read_alike_by_two_codecs(traffic: Traffic) -> None:
    """Our codec and the foreign one read every row, and agree on the fields that matter."""
    codec = Codec(dialect.named("unionpay-ascii"))
    for row in range(traffic.rows):
        frame = traffic.row(row)
        assert int.from_bytes(frame[:2], "big") == len(frame) - 2
        ours = codec.decode(frame, 2, len(frame))
        theirs = decode_message(frame[2:])
        assert ours.mti == theirs.mti
        for number in (3, 4, 7, 11, 12, 13, 18, 19, 22, 25, 32, 33, 37, 41, 42, 49):
            assert ours.text(number).strip() == theirs.fields[number].strip(), number


def test_numbers_name_the_row(traffic: Traffic) -> None:
    """RRN is run and row, STAN its last six digits; a repeat keeps those of its original."""
    repeats = {row: original for original, row in traffic.repeat_of.items()}
    seen = set()
    for row in range(traffic.rows):
        offsets = offsets_of(traffic.row(row)[2:], 42)
        rrn = traffic.row(row)[2 + offsets[37] :][:12].decode()
        stan = traffic.row(row)[2 + offsets[11] :][:6].decode()
        assert rrn == f"0042{repeats.get(row, row):08d}"
        assert stan == rrn[-6:]
        seen.add(rrn)
    assert len(seen) == traffic.rows - len(repeats)


def test_the_list_of_cards_says_whose_message_it_is(traffic: Traffic) -> None:
    """The card number in each row is that of the card that the list names, retries included."""
    for row in range(traffic.rows):
        offset = 2 + offsets_of(traffic.row(row)[2:], 2)[2]
        assert traffic.row(row)[offset : offset + 16].decode() == pan_of(traffic.cards[row])


def test_every_scene_and_both_retries_occur(traffic: Traffic) -> None:
    """All kinds of requests are in the mix, with repeats and reversals after their originals."""
    processing = {traffic.row(row)[2 + 30 + 0 : 2 + 36] for row in range(traffic.rows)}
    assert {scene.processing.encode() for scene in SCENES} <= processing
    assert traffic.repeat_of
    assert traffic.reversal_of
    pairs = [*traffic.repeat_of.items(), *((b, a) for a, b in traffic.reversal_of.items())]
    for original, later in pairs:
        assert original < later
        assert original // traffic.share == later // traffic.share
        assert traffic.cards[original] == traffic.cards[later]


def test_a_reversal_names_its_original(traffic: Traffic) -> None:
    """DE90 holds the original's MTI, STAN, time and institutions; card and amount are its own."""
    for row, original in traffic.reversal_of.items():
        taken_back = decode_message(traffic.row(row)[2:])
        first = decode_message(traffic.row(original)[2:])
        told = taken_back.fields[90]
        assert taken_back.mti == "0420"
        assert told[:4] == first.mti
        assert told[4:10] == first.fields[11]
        assert told[10:20] == first.fields[7]
        assert int(told[20:31]) == int(first.fields[32])
        assert taken_back.fields[2] == first.fields[2]
        assert taken_back.fields[4] == first.fields[4]
        assert taken_back.fields[11] != first.fields[11]


@pytest.mark.parametrize("framing", [Framing("4a"), Framing("2b", bytes.fromhex("6000010000"))])
def test_other_headers_carry_the_same_messages(framing: Framing) -> None:
    """Four digits or a TPDU before the message change nothing behind them."""
    plain = compose(PLAN, NOON)
    framed = compose(Plan(4_000, 4, 500, 3, run=42, framing=framing), NOON)
    prefix = framing.prefix_bytes
    for row in range(0, plain.rows, 37):
        assert framed.row(row)[prefix:] == plain.row(row)[2:]


def test_zipf_prefers_few_cards_and_stays_in_range() -> None:
    """Under Zipf the most popular card is drawn far more often than chance; all cards exist."""
    import random
    from collections import Counter

    drawn = Counter(choose_cards(random.Random(1), 20_000, 1_000, "zipf"))
    assert set(drawn) <= set(range(1_000))
    assert drawn.most_common(1)[0][1] > 20_000 / 1_000 * 20


def test_an_unknown_skew_and_too_many_messages_are_refused() -> None:
    """A plan that cannot be carried out says so."""
    with pytest.raises(ValueError, match="`bursts` is not a way"):
        compose(Plan(10, 1, skew="bursts"), NOON)
    with pytest.raises(ValueError, match="too many for one run"):
        compose(Plan(200_000_000, 1), NOON)


def test_a_value_of_the_wrong_length_is_refused() -> None:
    """The writer does not shift the rest of a message by a short field."""
    with pytest.raises(ValueError, match="field 11 has 6 characters, not 5"):
        encode("0200", {11: b"12345"})
    with pytest.raises(ValueError, match="not a length header"):
        Framing("3x")

"""The codec's promises: any bytes give a message or a typed error, and secrets go no further."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gateways.iso8583.messages import (
    DIALECTS,
    PANS,
    attempt,
    codec_that_keeps_all,
    dialect_that_keeps_all,
    messages,
    purchase,
    reader_of,
)

from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.faults import DecodeError, EncodeError, Fault
from zhiwei.gateways.iso8583.message import Message
from zhiwei.gateways.iso8583.tables import PLANS_MAX

UNIONPAY = Codec(dialects.named("unionpay-ascii"))
TERMINAL = Codec(dialects.named("unionpay-terminal"))

TRACK_2 = f"{PANS[0]}=28122010000012300000"
PIN_BLOCK = b"\x12\x34\x56\x78\x9a\xbc\xde\xf0"


def _decoded(raw: bytes, codec: Codec = UNIONPAY) -> Message:
    return codec.decode(raw, 0, len(raw))


def _fault(raw: bytes, codec: Codec = UNIONPAY) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        codec.decode(raw, 0, len(raw))
    return caught.value


@pytest.mark.parametrize("name", DIALECTS)
@given(data=st.data())
def test_what_is_written_is_read_back(name: str, data: st.DataObject) -> None:
    """A message of any bytes comes back with the same fields, wherever it stands in a buffer."""
    codec = codec_that_keeps_all(name)
    message = data.draw(messages(name))
    before, after = data.draw(st.binary(max_size=9)), data.draw(st.binary(max_size=9))
    raw = codec.encode(message)
    read = codec.decode(before + raw + after, len(before), len(before) + len(raw))
    assert (read.mti, read.fields) == (message.mti, message.fields)
    assert codec.encode(read) == raw


@pytest.mark.parametrize("name", DIALECTS)
@given(raw=st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_decode_error(name: str, raw: bytes) -> None:
    """Nothing else ever comes out of decoding, and what is read can be written again."""
    codec = codec_that_keeps_all(name)
    result = attempt(codec, raw)
    if isinstance(result, DecodeError):
        assert 0 <= result.position <= len(raw)
        assert result.mti == "" or len(result.mti) == 4
    else:
        assert codec.decode(codec.encode(result), 0, len(raw)).fields == result.fields


@pytest.mark.parametrize("name", DIALECTS)
@given(data=st.data())
def test_a_damaged_message_gives_a_message_or_a_decode_error(
    name: str, data: st.DataObject
) -> None:
    """Bytes changed, lost or added deep inside a good message are found or harmless."""
    codec = codec_that_keeps_all(name)
    raw = codec.encode(data.draw(messages(name)))
    at = data.draw(st.integers(0, len(raw)))
    lost = data.draw(st.integers(0, 3))
    damaged = raw[:at] + data.draw(st.binary(max_size=3)) + raw[at + lost :]
    result = attempt(codec, damaged)
    if isinstance(result, DecodeError):
        before = result.partial.fields
        assert all(number < result.field for number in before) or result.field == 0
        if result.mti:
            assert codec.encode(result.partial)
    else:
        assert codec.decode(codec.encode(result), 0, len(damaged)).fields == result.fields


@pytest.mark.parametrize("name", DIALECTS)
@given(data=st.data())
def test_a_message_cut_short_anywhere_is_truncated(name: str, data: st.DataObject) -> None:
    """A proper beginning of a message is never a message, and says so."""
    codec = codec_that_keeps_all(name)
    raw = codec.encode(data.draw(messages(name)))
    cut = data.draw(st.integers(0, len(raw) - 1))
    assert _fault(raw[:cut], codec).fault is Fault.TRUNCATED


@given(raw=st.binary(max_size=60), tail=st.integers(0, 2**52 - 1))
def test_a_fault_tells_type_and_trace_once_they_were_read(raw: bytes, tail: int) -> None:
    """The door can answer 30 to a message that breaks after DE11."""
    head = UNIONPAY.encode(Message.of("0200", {2: PANS[0], 3: "000000", 11: "654321"}))
    bitmap = int.from_bytes(head[4:12], "big") | tail
    broken = head[:4] + bitmap.to_bytes(8, "big") + head[12:] + raw
    result = attempt(UNIONPAY, broken)
    partial = result.partial if isinstance(result, DecodeError) else result
    assert (partial.mti, partial.text(3), partial.text(11)) == ("0200", "000000", "654321")


MALFORMED = [
    ("empty", "", Fault.TRUNCATED, 0),
    ("half a message type", "3032", Fault.TRUNCATED, 0),
    ("letters in the message type", "30324130" + "00" * 8, Fault.BAD_MTI, 0),
    ("superscript in the message type", "303230b2" + "00" * 8, Fault.BAD_MTI, 0),
    ("the edition of 1993", "31323030" + "00" * 8, Fault.OTHER_VERSION, 0),
    ("no bitmap", "30323030", Fault.TRUNCATED, 1),
    ("half a second bitmap", "30323030" + "80" + "00" * 10, Fault.TRUNCATED, 1),
    ("a third bitmap", "30323030" + "80" + "00" * 7 + "80" + "00" * 7, Fault.TERTIARY_BITMAP, 65),
    ("a length of letters", "30323030" + "40" + "00" * 7 + "3158", Fault.BAD_LENGTH, 2),
    ("a length over the maximum", "30323030" + "40" + "00" * 7 + "3230", Fault.TOO_LONG, 2),
    ("a length over the end", "30323030" + "40" + "00" * 7 + "313631", Fault.TRUNCATED, 2),
    ("letters in a card number", "30323030" + "40" + "00" * 7 + "303241", Fault.TRUNCATED, 2),
    ("letters in an amount", "30323030" + "10" + "00" * 7 + "41" * 12, Fault.NOT_DIGITS, 4),
    ("superscripts in an amount", "30323030" + "10" + "00" * 7 + "b2" * 12, Fault.NOT_DIGITS, 4),
    ("bytes left over", "30323030" + "00" * 8 + "00", Fault.TRAILING_BYTES, 0),
]


@pytest.mark.parametrize(("what", "raw", "fault", "field"), MALFORMED)
def test_each_malformation_has_its_own_error(what: str, raw: str, fault: Fault, field: int) -> None:
    """Truncated, over-long, not digits, third bitmap, trailing bytes: all told apart."""
    error = _fault(bytes.fromhex(raw))
    assert (error.fault, error.field) == (fault, field), what


PACKED_MALFORMED = [
    ("letters in a packed amount", "0200" + "10" + "00" * 7 + "a0" * 6, Fault.NOT_DIGITS, 4),
    ("a length that is no number", "0200" + "40" + "00" * 7 + "1a", Fault.BAD_LENGTH, 2),
    ("a card number of half bytes", "0200" + "40" + "00" * 7 + "02fa", Fault.NOT_DIGITS, 2),
    ("a filler in a fixed field", "0200" + "0000040000000000" + "0215", Fault.BAD_PADDING, 22),
    (
        "a filler in a variable field",
        "0200" + "40" + "00" * 7 + "0312" + "35",
        Fault.BAD_PADDING,
        2,
    ),
    ("a message type of letters", "02a0" + "00" * 8, Fault.BAD_MTI, 0),
]


@pytest.mark.parametrize(("what", "raw", "fault", "field"), PACKED_MALFORMED)
def test_each_packed_malformation_has_its_own_error(
    what: str, raw: str, fault: Fault, field: int
) -> None:
    """The same for digits in half bytes, where the filler is looked at too."""
    error = _fault(bytes.fromhex(raw), TERMINAL)
    assert (error.fault, error.field) == (fault, field), what


def test_a_filler_may_be_zero_or_f() -> None:
    """Terminals differ in what they fill an odd number of digits up with; both are read."""
    for filler in "0fF":
        raw = bytes.fromhex("0200" + "0000040000000000" + "021" + filler)
        assert _decoded(raw, TERMINAL).text(22) == "021"


def test_a_bitmap_that_should_be_hexadecimal_and_is_not() -> None:
    """The form of the bitmap is part of the dialect."""
    codec = Codec(dialects.named("iso87-ascii-hex"))
    assert _fault(b"0200" + b"G" * 16, codec).fault is Fault.BAD_BITMAP
    assert _fault(b"0200" + b"000000000000 000", codec).fault is Fault.BAD_BITMAP


def test_a_binary_field_that_should_be_hexadecimal_and_is_not() -> None:
    """A PIN block in hexadecimal has sixteen of its digits."""
    codec = Codec(dialects.named("iso87-ascii-hex"))
    assert _fault(b"0200" + b"0000000000001000" + b"+" * 16, codec).fault is Fault.NOT_HEXADECIMAL
    odd = b"0200" + b"0000000000000200" + b"003abc"
    assert _fault(odd, codec).fault is Fault.NOT_HEXADECIMAL


def test_an_ascii_message_shows_which_bitmap_it_has_and_is_answered_alike() -> None:
    """`iso87-ascii` reads both forms of bitmap and writes the one that it read."""
    codec = Codec(dialects.named("iso87-ascii"))
    for name in ("iso87-ascii", "iso87-ascii-hex"):
        writer = Codec(dataclasses.replace(dialect_that_keeps_all(name), hex_twin=""))
        raw = writer.encode(Message.of("0200", purchase(de128=bytes(8))))
        message = _decoded(raw, codec)
        assert message.text(11) == "123456"
        answer = Message("0210", message.layout, message.values, hex_form=message.hex_form)
        assert writer.decode(codec.encode(answer), 0, len(raw)).text(11) == "123456"


def test_a_fault_in_the_other_form_is_answered_in_that_form() -> None:
    """The partial message of an error remembers the form of the bitmap."""
    codec = Codec(dialects.named("iso87-ascii"))
    raw = b"0200" + b"3020000000000000" + b"000000" + b"000000000001"
    error = _fault(raw, codec)
    assert (error.field, error.partial.hex_form) == (11, True)
    assert codec.encode(error.partial).startswith(b"02003000000000000000")


def test_secrets_are_dropped_while_reading() -> None:
    """Tracks, PIN block, chip data and MAC are noted as present and are nowhere in the message."""
    writer = Codec(dialect_that_keeps_all("unionpay-ascii"))
    secret = purchase(de35=TRACK_2, de36="9" * 40, de45="B1^X^2", de48="CVN2 123", de61="CV 456")
    fields = {**secret, 52: PIN_BLOCK, 55: b"\x57\x13" + PIN_BLOCK, 128: b"MACMACMA"}
    message = _decoded(writer.encode(Message.of("0200", fields)))
    for number in (35, 36, 45, 48, 52, 55, 61, 128):
        assert message.has(number)
        assert number not in message.fields
        assert f"{number}=<withheld>" in repr(message)
    kept = repr(message.values) + repr(message.binaries)
    for trace in ("CVN2", "CV 456", "9999", "28122", repr(PIN_BLOCK)):
        assert trace not in kept
    assert message.fields == purchase()


@pytest.mark.parametrize("track", [TRACK_2, TRACK_2.replace("=", "D")])
def test_of_a_track_only_the_service_code_is_kept(track: str) -> None:
    """DE2 is there, so the number on the track is not looked at."""
    writer = Codec(dialect_that_keeps_all("unionpay-ascii"))
    message = _decoded(writer.encode(Message.of("0200", purchase(de35=track))))
    assert (message.service_code, message.track_pan, message.pan) == ("201", "", PANS[0])


@pytest.mark.parametrize("name", ["unionpay-ascii", "unionpay-terminal", "visa-base1"])
def test_without_de2_the_card_number_comes_from_the_track(name: str) -> None:
    """Terminals that swipe send the track alone, in characters or in half bytes."""
    writer = Codec(dialect_that_keeps_all(name))
    raw = writer.encode(Message.of("0200", {3: "000000", 35: TRACK_2}))
    message = _decoded(raw, Codec(dialects.named(name)))
    assert (message.service_code, message.pan) == ("201", PANS[0])
    assert PANS[0] not in repr(message)


def test_without_de2_and_track_2_the_card_number_comes_from_track_1() -> None:
    """Track 1 has it too, with spaces in it on some cards."""
    writer = Codec(dialect_that_keeps_all("unionpay-ascii"))
    track_1 = "B6212 3456 7890 1232^ZHANG/SAN^28121200000000"
    message = _decoded(writer.encode(Message.of("0200", {3: "000000", 45: track_1})))
    assert (message.service_code, message.pan) == ("120", PANS[0])


@pytest.mark.parametrize("track", ["", "=", "=2812", "12=2812201", PANS[0], "^^^^", "==========="])
def test_a_track_that_cannot_be_read_tells_nothing(track: str) -> None:
    """A worn stripe is no format error."""
    writer = Codec(dialect_that_keeps_all("unionpay-ascii"))
    for number in (35, 45):
        message = _decoded(writer.encode(Message.of("0200", {3: "000000", number: track})))
        assert message.pan == ""
        assert message.service_code in ("", "201")


@pytest.mark.parametrize("name", DIALECTS)
@given(data=st.data())
def test_neither_repr_nor_error_shows_a_card_number(name: str, data: st.DataObject) -> None:
    """Wherever a card number is put, whole or in pieces of a field, it is not shown."""
    dialect = dialects.named(name)
    pan = data.draw(st.sampled_from(PANS))
    numbers = [n for n, field in dialect.fields.items() if field.size >= len(pan)]
    number = data.draw(st.sampled_from(numbers))
    field = dialect.fields[number]
    value: str | bytes = pan
    if not field.length_digits:
        value = pan.rjust(field.size, "0") if field.is_numeric else pan.ljust(field.size)
    if field.is_binary:
        value = pan.encode().ljust(0 if field.length_digits else field.size)
    fields: dict[int, str | bytes] = {number: value}
    raw = codec_that_keeps_all(name).encode(Message.of(dialect.version + "200", fields))
    damaged = raw + data.draw(st.binary(max_size=2))
    cut = data.draw(st.integers(0, len(damaged)))
    for given_bytes in (raw, damaged, damaged[:cut]):
        result = attempt(reader_of(name), given_bytes)
        shown = f"{result!r} {result}"
        if isinstance(result, DecodeError):
            shown += repr(result.partial)
        assert pan not in shown
        assert pan[:6] not in shown
        assert pan[-8:] not in shown


def test_a_card_number_is_shown_by_its_tail() -> None:
    """The four digits that cardholders know their cards by."""
    assert "2=************1232" in repr(Message.of("0200", purchase()))


@pytest.mark.parametrize("name", DIALECTS)
def test_hostile_bitmaps_do_not_fill_the_memory(name: str) -> None:
    """However many bitmaps arrive, sound or not, the plans stay bounded."""
    dialect = dialect_that_keeps_all(name)
    codec = Codec(dialect)
    fixed = [n for n, f in dialect.fields.items() if not f.length_digits and not f.is_binary]
    for chosen in range(PLANS_MAX + 5):
        fields = {n: "0" for place, n in enumerate(fixed[:12]) if chosen >> place & 1}
        raw = codec.encode(Message.of(dialect.version + "200", fields))
        codec.decode(raw, 0, len(raw))
        with pytest.raises(DecodeError):
            codec.decode(raw + b"?", 0, len(raw) + 1)
    assert len(codec.reader.plans) == PLANS_MAX
    assert len(codec.writer.plans) == PLANS_MAX


def test_a_bitmap_is_remembered_only_after_a_sound_message() -> None:
    """Noise leaves no plan behind."""
    codec = Codec(dialects.named("unionpay-ascii"))
    for bits in range(1000):
        raw = b"0200" + (bits << 20).to_bytes(8, "big") + b"\xff"
        with pytest.raises(DecodeError):
            codec.decode(raw, 0, len(raw))
    assert not codec.reader.plans


UNWRITABLE: list[tuple[int, str | bytes, Fault]] = [
    (2, "6" * 20, Fault.TOO_LONG),
    (4, "1234567890123", Fault.TOO_LONG),
    (4, "12.00", Fault.NOT_DIGITS),
    (4, "¹", Fault.NOT_DIGITS),
    (43, "洛阳", Fault.NOT_TEXT),
    (52, b"1234567", Fault.WRONG_LENGTH),
    (65, "1", Fault.UNKNOWN_FIELD),
]


@pytest.mark.parametrize(("number", "value", "fault"), UNWRITABLE)
@pytest.mark.parametrize("name", ["unionpay-ascii", "iso87-bcd"])
def test_what_a_field_cannot_hold_is_not_written(
    name: str, number: int, value: str | bytes, fault: Fault
) -> None:
    """A typed error that names the field and does not repeat the value."""
    with pytest.raises(EncodeError) as caught:
        Codec(dialects.named(name)).encode(Message.of("0200", {number: value}))
    assert (caught.value.fault, caught.value.field) == (fault, number)
    assert str(value) not in str(caught.value)


def test_a_message_type_of_letters_is_not_written() -> None:
    """The message type is four digits when written, too."""
    for mti in ("", "02OO", "02000"):
        with pytest.raises(EncodeError):
            UNIONPAY.encode(Message.of(mti, {}))


def test_short_values_are_filled_up() -> None:
    """Numbers with zeros before them, texts with spaces after them."""
    raw = UNIONPAY.encode(Message.of("0200", {4: "1", 41: "T1"}))
    assert _decoded(raw).fields == {4: "000000000001", 41: "T1      "}

"""Bytes that nobody here wrote: real and public messages, read and written back byte for byte."""

from __future__ import annotations

import pytest
from tests.gateways.iso8583.messages import (
    DIALECTS,
    attempt,
    dialect_that_keeps_all,
    starkbank_frames,
)

from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.faults import DecodeError
from zhiwei.gateways.iso8583.frame import header_end, split, wrap
from zhiwei.gateways.iso8583.message import Message

#: A sign-on (签到) of a UnionPay terminal, public since 2019.
SIGN_ON = bytes.fromhex(
    "003B 6000060000 602200000000 0800 0020000000C00012 001247 3538443031313135"
    "383837353844303438313635353535 0011000000010030 00023031"
)


@pytest.mark.parametrize(("name", "frame"), starkbank_frames())
def test_a_foreign_message_is_read_and_written_back_byte_for_byte(name: str, frame: bytes) -> None:
    """Frame, header, message and back give the bytes of the 18 public messages."""
    form = dialects.named(name).framing
    spans: list[int] = []
    assert split(form, frame, 0, spans) == len(frame)
    start, end = spans
    begin = header_end(form, frame, start, end)
    codec = Codec(dialect_that_keeps_all(name))
    message = codec.decode(frame, begin, end)
    assert codec.encode(message) == frame[begin:end]
    assert wrap(form, frame[start:begin], codec.encode(message)) == frame


def test_there_are_eighteen_foreign_messages() -> None:
    """The package has not lost messages, so that the test above tests what it says."""
    assert len(starkbank_frames()) == 18


def test_a_visa_authorization_is_understood() -> None:
    """The fields of a public Visa message have the values that their positions say."""
    frame = starkbank_frames()[6][1]
    message = Codec(dialects.named("visa-base1")).decode(frame, 26, len(frame))
    assert message.mti == "0100"
    assert message.text(4) == "000000004200"
    assert message.text(11) == "000011"
    assert message.text(18) == "5999"
    assert message.text(49) == "840"
    assert message.text(37) == "322817000011"
    assert message.service_code == "201"


def test_a_rejected_visa_message_has_two_headers() -> None:
    """The header of a reject notice has the header of the rejected message behind it."""
    frame = starkbank_frames()[17][1]
    form = dialects.named("visa-base1").framing
    assert header_end(form, frame, 4, len(frame)) == 4 + 26 + 22


def test_the_public_sign_on_is_read_as_its_finders_describe_it() -> None:
    """Trace, terminal, merchant, batch and network code of the public packet."""
    dialect = dialects.named("unionpay-terminal")
    spans: list[int] = []
    assert split(dialect.framing, SIGN_ON, 0, spans) == len(SIGN_ON)
    start, end = spans
    begin = header_end(dialect.framing, SIGN_ON, start, end)
    message = Codec(dialect).decode(SIGN_ON, begin, end)
    assert SIGN_ON[start:begin].hex() == "6000060000602200000000"
    assert message.mti == "0800"
    assert message.fields == {
        11: "001247",
        41: "58D01115",
        42: "88758D048165555",
        60: "00000001003",
        63: "01",
    }


def test_the_public_sign_on_is_written_byte_for_byte() -> None:
    """From its fields alone the packet comes out as it was published."""
    dialect = dialects.named("unionpay-terminal")
    fields = {11: "001247", 41: "58D01115", 42: "88758D048165555", 60: "00000001003", 63: "01"}
    body = Codec(dialect).encode(Message.of("0800", fields))
    assert wrap(dialect.framing, bytes.fromhex("6000060000602200000000"), body) == SIGN_ON


@pytest.mark.parametrize("name", DIALECTS)
def test_no_foreign_message_breaks_a_dialect_that_is_not_its_own(name: str) -> None:
    """A message in the wrong dialect is a Message or a DecodeError, like any other bytes."""
    codec = Codec(dialects.named(name))
    for _, frame in starkbank_frames():
        assert isinstance(attempt(codec, frame[2:]), Message | DecodeError)

"""Frames: a stream of bytes is cut where its messages end, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhiwei.gateways.iso8583.faults import DecodeError, Fault, FrameError
from zhiwei.gateways.iso8583.frame import (
    HEADERS,
    LENGTHS,
    answer_header,
    framing,
    header_end,
    split,
    wrap,
)


def _cut(length: str, stream: bytes, chunks: list[int], reserved: int = 0) -> list[bytes]:
    """The messages of a stream that arrives in chunks of these sizes."""
    form = framing(length, reserved=reserved)
    found, waiting = [], b""
    for size in [*chunks, len(stream)]:
        waiting, stream = waiting + stream[:size], stream[size:]
        spans: list[int] = []
        rest = split(form, waiting, 0, spans)
        found += [waiting[s:e] for s, e in zip(spans[::2], spans[1::2], strict=True)]
        waiting = waiting[rest:]
    assert waiting == b""
    return found


@pytest.mark.parametrize("length", LENGTHS)
@given(
    messages=st.lists(st.binary(min_size=1, max_size=99), max_size=8),
    chunks=st.lists(st.integers(1, 50), max_size=12),
    reserved=st.sampled_from([0, 2]),
)
def test_messages_come_out_as_they_went_in(
    length: str, messages: list[bytes], chunks: list[int], reserved: int
) -> None:
    """However the stream is cut into chunks, the same messages are found in the same order."""
    form = framing(length, reserved=reserved)
    stream = b"".join([wrap(form, b"", message) for message in messages])
    assert _cut(length, stream, chunks, reserved) == messages


@given(noise=st.binary(max_size=300), length=st.sampled_from(sorted(LENGTHS)))
def test_any_bytes_are_cut_or_refused(noise: bytes, length: str) -> None:
    """Noise gives frames inside the buffer or a FrameError, never anything else."""
    spans: list[int] = []
    try:
        rest = split(framing(length, frame_max=200), noise, 0, spans)
    except FrameError:
        rest = len(noise)
    assert all(0 <= at <= len(noise) for at in spans)
    assert rest <= len(noise)


def test_an_empty_frame_is_a_keep_alive() -> None:
    """A length of zero has no message behind it and is passed over."""
    assert _cut("binary2", b"\0\0" + b"\0\1A" + b"\0\0", []) == [b"A"]


def test_a_frame_over_the_limit_ends_the_stream() -> None:
    """The frames before it are still given."""
    form = framing("binary2", frame_max=4)
    spans: list[int] = []
    with pytest.raises(FrameError, match="over the limit of 4"):
        split(form, b"\0\4ABCD" + b"\0\5ABCDE", 0, spans)
    assert spans == [2, 6]


def test_a_frame_of_the_limit_is_within_it() -> None:
    """The limit itself is allowed."""
    assert split(framing("binary2", frame_max=4), b"\0\4ABCD", 0, []) == 6


def test_a_length_that_is_no_number_ends_the_stream() -> None:
    """Signs, spaces and letters are no digits."""
    for lead in (b"+001A", b" 001A", b"00x1A", b"1_00A"):
        with pytest.raises(FrameError, match="not decimal digits"):
            split(framing("ascii4"), lead, 0, [])


def test_a_message_too_long_for_its_length_is_not_sent() -> None:
    """Two bytes say no more than 65535, four digits no more than 9999."""
    with pytest.raises(FrameError):
        wrap(framing("binary2"), b"", bytes(65536))
    with pytest.raises(FrameError):
        wrap(framing("ascii4"), b"", bytes(10000))
    assert len(wrap(framing("ascii4"), b"", bytes(9999))) == 10003


def test_sender_and_receiver_change_places_in_the_answer() -> None:
    """In a TPDU, behind which the terminal's own six bytes are echoed."""
    form = framing("binary2", "tpdu-terminal")
    header = bytes.fromhex("6000030001602200000000")
    assert answer_header(form, header).hex() == "6000010003602200000000"
    assert answer_header(framing("binary2"), b"") == b""


def test_a_visa_answer_has_its_own_length_and_its_stations_swapped() -> None:
    """Destination and source of the header change places, and the total length is told anew."""
    form = framing("binary2", "visa", reserved=2)
    header = bytes.fromhex("16010200ff111111222222" + "00" * 11)
    answer = wrap(form, answer_header(form, header), bytes(10))
    assert answer.hex() == "00200000" + "1601020020222222111111" + "00" * 11 + "00" * 10


@pytest.mark.parametrize("name", HEADERS)
@given(body=st.binary(max_size=60))
def test_a_header_ends_inside_its_frame_or_is_an_error(name: str, body: bytes) -> None:
    """No header leads out of the frame it stands in."""
    form = framing("binary2", name)
    try:
        end = header_end(form, body, 0, len(body))
    except DecodeError as error:
        end = error.position
    assert 0 <= end <= len(body)


def test_a_frame_shorter_than_its_header_is_an_error() -> None:
    """Ten bytes are no TPDU and terminal header."""
    with pytest.raises(DecodeError) as caught:
        header_end(framing("binary2", "tpdu-terminal"), bytes(10), 0, 10)
    assert (caught.value.fault, caught.value.mti) == (Fault.BAD_HEADER, "")


def test_unknown_names_are_told_with_those_there_are() -> None:
    """A slip in the configuration is answered with what would be right."""
    with pytest.raises(FrameError, match="binary2, binary4, ascii2, ascii4"):
        framing("binary3")
    with pytest.raises(FrameError, match="none, tpdu, tpdu-terminal, visa"):
        framing("binary2", "tdpu")

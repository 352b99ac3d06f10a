"""Frames: where one message ends and the next begins in a stream of bytes.

A frame is a length, then perhaps bytes that nobody counts, then a header, then the message. What
differs between networks is a `Framing` value. Whole receive buffers are cut at once; nothing is
copied here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from zhiwei.gateways.iso8583.faults import DecodeError, Fault, FrameError
from zhiwei.gateways.iso8583.message import Message

#: The longest frame that is accepted unless the operator says otherwise, in bytes without its
#: length.
FRAME_MAX_DEFAULT: Final = 8192


@dataclass(frozen=True)
class Swap:
    """Two addresses in a header that change places in the answer: sender becomes receiver."""

    left: int
    right: int
    size: int


@dataclass(frozen=True)
class Header:
    """Bytes between the length and the message type."""

    #: Bytes of the header; where `tells_own_size`, the fewest it can have.
    size: int = 0
    #: The first byte is the header's own length (Visa).
    tells_own_size: bool = False
    #: A header longer than this has the header of the rejected message behind it; 0 = never (Visa).
    stacked_over: int = 0
    #: Offset of a 2-byte total length of header and message; -1 = none (Visa).
    total_length_at: int = -1
    swaps: tuple[Swap, ...] = ()


#: Transport header of terminal concentrators: id, destination, source (TPDU).
TPDU: Final = Header(size=5, swaps=(Swap(1, 3, 2),))
#: TPDU and the six bytes of a UnionPay terminal (报文头): application, version, state, request.
TPDU_AND_TERMINAL: Final = Header(size=11, swaps=(Swap(1, 3, 2),))
#: Visa's 22 bytes: own length, flags, format, total length, destination, source, and more.
VISA: Final = Header(
    size=22, tells_own_size=True, stacked_over=22, total_length_at=3, swaps=(Swap(5, 8, 3),)
)

#: Headers by the name that a dialect or the operator gives them.
HEADERS: Final[dict[str, Header]] = {
    "none": Header(),
    "tpdu": TPDU,
    "tpdu-terminal": TPDU_AND_TERMINAL,
    "visa": VISA,
}

#: Length forms by name: bytes, and whether they are decimal text.
LENGTHS: Final[dict[str, tuple[int, bool]]] = {
    "binary2": (2, False),
    "binary4": (4, False),
    "ascii2": (2, True),
    "ascii4": (4, True),
}


@dataclass(frozen=True)
class Framing:
    """How messages are delimited on one connection."""

    #: Bytes of the length that leads every frame.
    length_size: int = 2
    #: The length is decimal ASCII digits; else big-endian binary.
    length_is_text: bool = False
    #: Zero bytes after the length that it does not count (Visa: 2).
    reserved: int = 0
    header: Header = field(default_factory=Header)
    #: The longest frame accepted, in bytes without its length.
    frame_max: int = FRAME_MAX_DEFAULT


def framing(
    length: str, header: str = "none", reserved: int = 0, frame_max: int = FRAME_MAX_DEFAULT
) -> Framing:
    """The framing of these names. Raises FrameError for a name that does not exist."""
    if length not in LENGTHS:
        raise FrameError(f"no length form `{length}`; there are: {', '.join(LENGTHS)}")
    if header not in HEADERS:
        raise FrameError(f"no header `{header}`; there are: {', '.join(HEADERS)}")
    size, is_text = LENGTHS[length]
    return Framing(size, is_text, reserved, HEADERS[header], frame_max)


def split(form: Framing, buffer: bytes, start: int, spans: list[int]) -> int:
    """Appends start and end of every whole frame from `start` on; returns where the rest begins.

    Empty frames (keep-alives) are skipped. Raises FrameError for a length that is no number or over
    the limit; the frames before it are in `spans` then, and the stream cannot be read on.
    """
    available = len(buffer)
    lead = form.length_size + form.reserved
    while available - start >= lead:
        size = _length(form, buffer, start)
        if size > form.frame_max:
            raise FrameError(f"a frame of {size} bytes is over the limit of {form.frame_max}")
        end = start + lead + size
        if end > available:
            break
        if size > 0:
            spans.append(start + lead)
            spans.append(end)
        start = end
    return start


def _length(form: Framing, buffer: bytes, start: int) -> int:
    """The length that leads a frame."""
    if not form.length_is_text:
        if form.length_size == 2:
            return (buffer[start] << 8) | buffer[start + 1]
        return int.from_bytes(buffer[start : start + form.length_size], "big")
    digits = buffer[start : start + form.length_size]
    if not digits.isdigit():
        raise FrameError("the length of a frame is not decimal digits")
    return int(digits)


def header_end(form: Framing, buffer: bytes, start: int, end: int) -> int:
    """Where the message begins in the frame `start` to `end`. Raises DecodeError(BAD_HEADER)."""
    header = form.header
    position = start
    if not header.tells_own_size:
        position += header.size
    else:
        stacked = True
        while stacked and position < end:
            size = buffer[position]
            if size < header.size:
                break
            stacked = size > header.stacked_over > 0
            position += size
        if stacked:
            position = end + 1
    if position > end:
        raise DecodeError(Fault.BAD_HEADER, 0, 0, Message.of("", {}))
    return position


def answer_header(form: Framing, header: bytes) -> bytes:
    """The header of the answer: the request's, with sender and receiver in each other's place."""
    if not form.header.swaps or not header:
        return header
    answer = bytearray(header)
    for swap in form.header.swaps:
        left, right, size = swap.left, swap.right, swap.size
        answer[left : left + size] = header[right : right + size]
        answer[right : right + size] = header[left : left + size]
    return bytes(answer)


def wrap(form: Framing, header: bytes, message: bytes) -> bytes:
    """One frame to be sent. Raises FrameError where the length form cannot say so much."""
    size = len(header) + len(message)
    if form.header.total_length_at >= 0 and header:
        at = form.header.total_length_at
        header = header[:at] + size.to_bytes(2, "big") + header[at + 2 :]
    if form.length_is_text:
        lead = b"%0*d" % (form.length_size, size)
        if len(lead) > form.length_size:
            raise FrameError(f"a message of {size} bytes is too long for its length form")
    elif size >> (8 * form.length_size):
        raise FrameError(f"a message of {size} bytes is too long for its length form")
    else:
        lead = size.to_bytes(form.length_size, "big")
    if form.reserved:
        lead += bytes(form.reserved)
    return lead + header + message

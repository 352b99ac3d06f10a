"""What can be wrong with the bytes of a message, and the errors that say so without repeating them.

No error here ever carries the content of a field: card numbers travel in these bytes, and errors
end in logs. An error names the fault, the field and the position, and holds the part of the message
that was read before it, so that the door can still answer with a format error (DE39 30).
"""

from __future__ import annotations

from enum import StrEnum

from zhiwei.core.errors import ZhiweiError
from zhiwei.gateways.iso8583.message import Message


class Fault(StrEnum):
    """Why bytes are not a message of the dialect, or a message cannot be written in it."""

    TRUNCATED = "truncated"
    TRAILING_BYTES = "trailing_bytes"
    BAD_HEADER = "bad_header"
    BAD_MTI = "bad_mti"
    OTHER_VERSION = "other_version"
    BAD_BITMAP = "bad_bitmap"
    TERTIARY_BITMAP = "tertiary_bitmap"
    UNKNOWN_FIELD = "unknown_field"
    BAD_LENGTH = "bad_length"
    TOO_LONG = "too_long"
    NOT_DIGITS = "not_digits"
    BAD_PADDING = "bad_padding"
    NOT_HEXADECIMAL = "not_hexadecimal"
    NOT_TEXT = "not_text"
    WRONG_LENGTH = "wrong_length"


_SENTENCES: dict[Fault, str] = {
    Fault.TRUNCATED: "the message ends inside",
    Fault.TRAILING_BYTES: "bytes are left over after the last field",
    Fault.BAD_HEADER: "the header is shorter than its dialect says",
    Fault.BAD_MTI: "the message type is not four digits",
    Fault.OTHER_VERSION: "the message type is of another ISO 8583 version",
    Fault.BAD_BITMAP: "the bitmap is not hexadecimal",
    Fault.TERTIARY_BITMAP: "a third bitmap is not supported",
    Fault.UNKNOWN_FIELD: "the dialect does not know",
    Fault.BAD_LENGTH: "the length is not a number in",
    Fault.TOO_LONG: "the length is over the maximum in",
    Fault.NOT_DIGITS: "something other than digits stands in",
    Fault.BAD_PADDING: "the filler digit is neither 0 nor F in",
    Fault.NOT_HEXADECIMAL: "something other than hexadecimal digits stands in",
    Fault.WRONG_LENGTH: "the value does not have the length of",
    Fault.NOT_TEXT: "a character that the dialect cannot write stands in",
}


def _sentence(fault: Fault, field: int) -> str:
    """The safe message: the fault, and the field where one is at fault."""
    return f"{_SENTENCES[fault]} DE{field}" if field > 0 else _SENTENCES[fault]


class DecodeError(ZhiweiError):
    """the bytes are not a message of this dialect"""

    def __init__(self, fault: Fault, field: int, position: int, partial: Message) -> None:
        super().__init__(f"{_sentence(fault, field)} (byte {position})")
        self.fault = fault
        #: The data element at fault; 0 = before the first field, or after the last.
        self.field = field
        #: Offset of the fault from the start of the message, in bytes.
        self.position = position
        #: What was read before the fault; its MTI is empty where not even that was legible.
        self.partial = partial

    @property
    def mti(self) -> str:
        """The message type, empty where it was not legible."""
        return self.partial.mti

    @property
    def stan(self) -> str:
        """The system trace audit number (DE11), empty where it was not reached."""
        return self.partial.text(11)


class EncodeError(ZhiweiError):
    """the message cannot be written in this dialect"""

    def __init__(self, fault: Fault, field: int) -> None:
        super().__init__(_sentence(fault, field))
        self.fault = fault
        #: The data element at fault.
        self.field = field


class FrameError(ZhiweiError):
    """the stream cannot be cut into frames; the connection is of no more use"""


class DialectError(ZhiweiError):
    """there is no such dialect, or its table does not make sense"""

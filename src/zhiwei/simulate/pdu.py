"""SMPP 3.4 as an SMSC needs it: PDUs in and out, and the text of a message.

Only what an ESME that sends and receives texts uses (bind, submit_sm, deliver_sm, enquire_link,
unbind). SMPP 3.4 Issue 1.2, sections 3.2, 4 and 5.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

HEADER_BYTES: Final = 16
#: The longest PDU that an SMSC takes; a longer one is nobody's.
PDU_BYTES_MAX: Final = 70_000

GENERIC_NACK: Final = 0x80000000
BIND_RECEIVER: Final = 0x00000001
BIND_TRANSMITTER: Final = 0x00000002
BIND_TRANSCEIVER: Final = 0x00000009
SUBMIT_SM: Final = 0x00000004
DELIVER_SM: Final = 0x00000005
UNBIND: Final = 0x00000006
ENQUIRE_LINK: Final = 0x00000015
#: The answer to a command has this bit.
RESPONSE: Final = 0x80000000

OK: Final = 0x00000000
BAD_LENGTH: Final = 0x00000002
BAD_COMMAND: Final = 0x00000003
NOT_BOUND: Final = 0x00000004
BAD_PASSWORD: Final = 0x0000000E

_UDH: Final = 0x40
_RECEIPT: Final = 0x04
_MESSAGE_PAYLOAD: Final = 0x0424
_UCS2: Final = 8
#: GSM 03.38, the default alphabet; `\x1b` leads to the few in `_GSM_MORE`.
_GSM: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_MORE: Final = {10: "\f", 20: "^", 40: "{", 41: "}", 47: "\\", 60: "[", 61: "~", 62: "]"} | {
    64: "|",
    101: "€",
}


class BadPduError(ValueError):
    """A PDU does not say what its header promises."""


@dataclass(frozen=True)
class Pdu:
    """One PDU: header and body."""

    command: int
    status: int
    sequence: int
    body: bytes = b""

    def encoded(self) -> bytes:
        """As it goes on the wire."""
        length = HEADER_BYTES + len(self.body)
        return struct.pack(">IIII", length, self.command, self.status, self.sequence) + self.body


@dataclass(frozen=True)
class Part:
    """A submit_sm as understood: one part of a text, or the whole."""

    source: str
    destination: str
    text: str
    wants_receipt: bool
    #: Concatenation (3GPP TS 23.040, 9.2.3.24.1): reference, number of parts, place from 1.
    reference: int = 0
    parts: int = 1
    place: int = 1


def header(raw: bytes) -> tuple[int, int, int, int]:
    """Length, command, status and sequence number of a PDU.

    Raises:
        BadPduError: the length is none.
    """
    length, command, status, sequence = struct.unpack(">IIII", raw)
    if not HEADER_BYTES <= length <= PDU_BYTES_MAX:
        raise BadPduError(length)
    return length, command, status, sequence


def credentials(body: bytes) -> tuple[str, str]:
    """System id and password of a bind."""
    reader = _Reader(body)
    return reader.text(), reader.text()


def submitted(body: bytes) -> Part:
    """What a submit_sm carries.

    Raises:
        BadPduError: it is shorter than it says.
    """
    reader = _Reader(body)
    reader.text()  # service_type
    reader.octets(2)
    source = reader.text()
    reader.octets(2)
    destination = reader.text()
    esm_class = reader.octets(3)[0]
    reader.text()  # schedule_delivery_time
    reader.text()  # validity_period
    registered, _, coding, _ = reader.octets(4)
    content = reader.octets(reader.octets(1)[0])
    content = reader.tlvs().get(_MESSAGE_PAYLOAD, content)
    reference, parts, place = 0, 1, 1
    if esm_class & _UDH:
        size = content[0] + 1 if content else 0
        reference, parts, place = _concatenation(content[1:size])
        content = content[size:]
    text = content.decode("utf-16-be", "replace") if coding == _UCS2 else _gsm_text(content)
    return Part(source, destination, text, bool(registered & 1), reference, parts, place)


def delivered(sequence: int, source: str, destination: str, text: str) -> Pdu:
    """A deliver_sm with a person's text."""
    content = text.encode("utf-16-be")
    return _deliver(sequence, source, destination, 0, _UCS2, content)


def receipt(sequence: int, part: Part, message_id: str, state: str = "DELIVRD") -> Pdu:
    """A deliver_sm with a delivery receipt (appendix B)."""
    told = (
        f"id:{message_id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 "
        f"stat:{state} err:000 text:"
    )
    return _deliver(sequence, part.destination, part.source, _RECEIPT, 0, told.encode("ascii"))


def text_body(text: str) -> bytes:
    """A C-octet string, as in the answers to bind and submit_sm."""
    return text.encode("ascii", "replace") + b"\0"


def _deliver(  # a deliver_sm has these fields, and they have no other home
    sequence: int, source: str, destination: str, esm_class: int, coding: int, content: bytes
) -> Pdu:
    body = b"\0" + b"\1\1" + text_body(source) + b"\1\1" + text_body(destination)
    body += bytes((esm_class, 0, 0)) + b"\0\0" + bytes((0, 0, coding, 0))
    body += bytes((len(content),)) + content
    return Pdu(DELIVER_SM, OK, sequence, body)


def _concatenation(elements: bytes) -> tuple[int, int, int]:
    """Reference, number of parts and place of a user data header's elements."""
    at = 0
    while at + 2 <= len(elements):
        kind, size = elements[at], elements[at + 1]
        value = elements[at + 2 : at + 2 + size]
        if (kind, len(value)) == (0x00, 3):
            return value[0], value[1], value[2]
        if (kind, len(value)) == (0x08, 4):
            return int.from_bytes(value[:2], "big"), value[2], value[3]
        at += 2 + size
    return 0, 1, 1


def _gsm_text(content: bytes) -> str:
    """Text of the default alphabet, one septet an octet; ASCII where it is no GSM."""
    found: list[str] = []
    is_extended = False
    for octet in content:
        if is_extended:
            found.append(_GSM_MORE.get(octet, "?"))
            is_extended = False
        elif octet == 0x1B:
            is_extended = True
        else:
            found.append(_GSM[octet] if octet < len(_GSM) else "?")
    return "".join(found)


class _Reader:
    """Reads the fields of a body one after the other."""

    def __init__(self, body: bytes) -> None:
        self._body: Final = body
        self._at = 0

    def text(self) -> str:
        """A C-octet string."""
        end = self._body.find(b"\0", self._at)
        if end < 0:
            message = "a string without its end"
            raise BadPduError(message)
        found = self._body[self._at : end].decode("ascii", "replace")
        self._at = end + 1
        return found

    def octets(self, count: int) -> bytes:
        """So many octets."""
        found = self._body[self._at : self._at + count]
        if len(found) != count:
            message = "fewer octets than it says"
            raise BadPduError(message)
        self._at += count
        return found

    def tlvs(self) -> dict[int, bytes]:
        """The optional parameters that are left."""
        found: dict[int, bytes] = {}
        while self._at + 4 <= len(self._body):
            tag, size = struct.unpack(">HH", self.octets(4))
            found[tag] = self.octets(size)
        return found

"""deliver_sm read from its bytes: what a phone sent, or what became of a message of ours.

The library's own reader refuses a whole PDU for one odd field; here only what is needed is read,
and everything else is tolerated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from struct import unpack_from
from typing import Final

from zhiwei.core.errors import ZhiweiError
from zhiwei.messaging.model import Status

HEADER_BYTES: Final = 16
_TON_INTERNATIONAL: Final = 1
_UDHI: Final = 0x40
#: Bits of esm_class that tell the kind of message, and the two kinds that speak of ours.
_KIND_BITS: Final = 0x3C
_RECEIPT: Final = 0x04
_INTERMEDIATE: Final = 0x20
_TLV_RECEIPTED_ID: Final = 0x001E
_TLV_SAR_REFERENCE: Final = 0x020C
_TLV_SAR_TOTAL: Final = 0x020E
_TLV_SAR_PLACE: Final = 0x020F
_TLV_PAYLOAD: Final = 0x0424
_TLV_STATE: Final = 0x0427
_IE_8BIT: Final = 0x00
_IE_16BIT: Final = 0x08
_ADDRESS_MAX: Final = 64
_ID: Final = re.compile(r"\bid:\s*([!-~]{1,64})", re.IGNORECASE)
_STAT: Final = re.compile(r"\bstat:\s*([A-Za-z]{2,10}(?::\d{1,5})?)", re.IGNORECASE)
_ERROR: Final = re.compile(r"\berr:\s*([A-Za-z0-9]{1,8})", re.IGNORECASE)
#: Codes of networks (`MK:0012`) are given where the message did not arrive.
_NETWORK_CODE: Final = re.compile(r"[A-Za-z]{2}:\d+")
_STATES: Final = {
    "DELIVRD": Status.DELIVERED,
    "EXPIRED": Status.FAILED,
    "DELETED": Status.FAILED,
    "UNDELIV": Status.FAILED,
    "REJECTD": Status.FAILED,
    "REJECT": Status.FAILED,
}
#: message_state (SMPP 3.4, 5.2.28) in the words of receipts.
_STATE_WORDS: Final = {
    1: "ENROUTE",
    2: "DELIVRD",
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIV",
    6: "ACCEPTD",
    7: "UNKNOWN",
    8: "REJECTD",
}


class MalformedPduError(ZhiweiError):
    """a PDU whose parts do not fit together"""


@dataclass(frozen=True)
class Segment:
    """Where a part belongs."""

    #: `8`, `16` or `sar`: references of different kinds are different.
    kind: str
    reference: int
    total: int
    #: From 1 to `total`.
    place: int


@dataclass(frozen=True)
class Notice:
    """A delivery receipt."""

    #: As the SMSC writes its message id here; several spellings where it gives several.
    ids: tuple[str, ...]
    status: Status
    detail: str


@dataclass(frozen=True)
class Delivered:
    """A deliver_sm."""

    #: As the network tells it, with `+` where it says that it is international.
    source: str
    destination: str
    data_coding: int
    #: Without its user data header.
    body: bytes
    segment: Segment | None
    notice: Notice | None


def deliver_of(pdu: bytes) -> Delivered:
    """Read a deliver_sm with its header.

    Raises:
        MalformedPduError: it ends too early, or lengths in it are wrong.
    """
    try:
        return _read(pdu)
    except (ValueError, IndexError) as error:
        raise MalformedPduError from error


def _read(pdu: bytes) -> Delivered:
    _, at = _c_octets(pdu, HEADER_BYTES)  # service_type
    source, at = _address(pdu, at)
    destination, at = _address(pdu, at)
    esm_class = pdu[at]
    at += 3  # with protocol_id and priority_flag
    _, at = _c_octets(pdu, at)  # schedule_delivery_time
    _, at = _c_octets(pdu, at)  # validity_period
    data_coding, length = pdu[at + 2], pdu[at + 4]
    at += 5
    body = pdu[at : at + length]
    if len(body) != length:
        raise MalformedPduError
    tlvs = _tlvs(pdu, at + length)
    body = body or tlvs.get(_TLV_PAYLOAD, b"")
    notice = _notice(esm_class, body, tlvs)
    segment = None
    if notice is None and esm_class & _UDHI:
        segment, body = _without_header(body)
    return Delivered(
        source=source,
        destination=destination,
        data_coding=data_coding,
        body=body,
        segment=segment or _sar(tlvs),
        notice=notice,
    )


def _c_octets(pdu: bytes, at: int) -> tuple[str, int]:
    end = pdu.index(0, at)
    return pdu[at:end].decode("latin-1"), end + 1


def _address(pdu: bytes, at: int) -> tuple[str, int]:
    ton = pdu[at]
    number, end = _c_octets(pdu, at + 2)
    if len(number) > _ADDRESS_MAX or not number.isprintable():
        raise MalformedPduError
    is_bare = number.isascii() and number.isdigit()
    return ("+" + number if ton == _TON_INTERNATIONAL and is_bare else number), end


def _tlvs(pdu: bytes, at: int) -> dict[int, bytes]:
    """The optional parameters; what is cut off at the end is left out."""
    found: dict[int, bytes] = {}
    while at + 4 <= len(pdu):
        tag, length = unpack_from("!HH", pdu, at)
        value = pdu[at + 4 : at + 4 + length]
        if len(value) == length:
            found.setdefault(tag, value)
        at += 4 + length
    return found


def _without_header(body: bytes) -> tuple[Segment | None, bytes]:
    """Take the user data header off; a body whose header cannot be one stays whole."""
    if not body or body[0] + 1 > len(body):
        return None, body
    end = body[0] + 1
    at = 1
    segment: Segment | None = None
    while at + 2 <= end:
        element, length = body[at], body[at + 1]
        value = body[at + 2 : min(at + 2 + length, end)]
        if element == _IE_8BIT and len(value) == 3:
            segment = _segment("8", value[0], value[1], value[2])
        elif element == _IE_16BIT and len(value) == 4:
            segment = _segment("16", value[0] << 8 | value[1], value[2], value[3])
        at += 2 + length
    return segment, body[end:]


def _sar(tlvs: dict[int, bytes]) -> Segment | None:
    found = [tlvs.get(tag) for tag in (_TLV_SAR_REFERENCE, _TLV_SAR_TOTAL, _TLV_SAR_PLACE)]
    numbers = [int.from_bytes(value) for value in found if value is not None and len(value) <= 4]
    return _segment("sar", *numbers) if len(numbers) == len(found) else None


def _segment(kind: str, reference: int, total: int, place: int) -> Segment | None:
    """A place among several; one of one, or a place outside, is no segment."""
    is_part = total > 1 and 1 <= place <= total
    return Segment(kind, reference, total, place) if is_part else None


def _notice(esm_class: int, body: bytes, tlvs: dict[int, bytes]) -> Notice | None:
    """The receipt, where the SMSC says that it is one.

    Its text alone never makes one: anybody can write `id:1 stat:DELIVRD` on a phone.
    """
    kind = esm_class & _KIND_BITS
    state = tlvs.get(_TLV_STATE, b"")
    told_id = tlvs.get(_TLV_RECEIPTED_ID, b"")
    if kind not in (_RECEIPT, _INTERMEDIATE) and not (state and told_id):
        return None
    text = body.decode("latin-1")
    in_text = _ID.search(text)
    stat = _STAT.search(text)
    word = stat[1].upper() if stat else _STATE_WORDS.get(int.from_bytes(state[:4]), "UNKNOWN")
    error = _ERROR.search(text)
    told = told_id.split(b"\0")[0].decode("latin-1")
    ids = [found for found in (told, in_text[1] if in_text else "") if found]
    status = _STATES.get(word, Status.FAILED if _NETWORK_CODE.fullmatch(word) else Status.SENT)
    # Only the last word counts, not what is told on the way.
    status = Status.SENT if kind == _INTERMEDIATE else status
    detail = f"{word}, error {error[1]}" if error and error[1].strip("0") else word
    return Notice(tuple(dict.fromkeys(ids)), status, detail)

"""From a text to the parts that go out, and from the bytes that come in to a text.

Parts are cut here and not by the library: its own cut counts characters of the GSM extension table
as one, and its `message_payload` reaches some phones as garbage. What comes in is read as its data
coding says, unless it plainly cannot be that: SMSCs are often set up wrongly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from aiosmpplib.codec import GSM7BitCodec

from zhiwei.messaging.parts import Encoding, encoding_of, split

#: Longest text that is passed on; nobody answers with a longer one.
TEXT_MAX: Final = 4_096
_BASIC_PLANE_LAST: Final = "\uffff"
_GSM7: Final = GSM7BitCodec()
#: What people write in Chinese and English, with the punctuation of both.
_USUAL: Final = re.compile(
    r"[\r\n\t -~\u00a0-\u00ff\u2010-\u203b\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uff00-\uffef]*"
)
#: In text of the GSM alphabet only these are below the space; others are Greek or nothing.
_CONTROLS: Final = re.compile(rb"[\x03-\x09\x0b\x0c\x0e-\x1a\x1c-\x1f]")
_GB2312: Final = re.compile(rb"(?:[\x00-\x7f]|[\xa1-\xf7][\xa1-\xfe])*")
#: GB 18030, as gateways of the mainland number it.
_GB18030_CODING: Final = 15
_ASCII: Final = 1
_LATIN_1: Final = 3
_STRANGE_IN_LATIN: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")
_UTF16_BOMS: Final = (b"\xfe\xff", b"\xff\xfe")


@dataclass(frozen=True)
class Part:
    """One segment as it goes into short_message."""

    text: str
    #: With its user data header where the text has several parts.
    body: bytes
    encoding: Encoding
    is_one_of_many: bool


def parts_of(message_id: str, text: str, *, allow_gsm7: bool) -> list[Part]:
    """Cut a text into segments of one radio message each.

    The 8-bit reference follows from the message's id, so that a repeated part replaces its earlier
    copy on the phone. At most 255 parts make sense; the caller bounds them.
    """
    encoding = encoding_of(text) if allow_gsm7 else Encoding.UCS2
    pieces = split(text) if encoding is encoding_of(text) else _split_ucs2(text)
    if len(pieces) == 1:
        return [Part(text, _encoded(text, encoding), encoding, is_one_of_many=False)]
    reference = crc32(message_id.encode()) & 0xFF
    return [
        Part(
            piece,
            bytes((5, 0, 3, reference, len(pieces), place)) + _encoded(piece, encoding),
            encoding,
            is_one_of_many=True,
        )
        for place, piece in enumerate(pieces, 1)
    ]


def text_of(body: bytes, data_coding: int) -> str:
    """The text that a phone sent, of at most `TEXT_MAX` characters; never raises."""
    text = _decoded(body, data_coding)
    # Half a surrogate pair cannot be stored; zeros are what some gateways append.
    return text.encode("utf-8", "replace").decode().replace("\0", "")[:TEXT_MAX]


def _encoded(text: str, encoding: Encoding) -> bytes:
    if encoding is Encoding.UCS2:
        # A lone surrogate is no character; nothing of ours makes one.
        return text.encode("utf-16-be", "replace")
    encoded: bytes = _GSM7.encode(text)[0]
    return encoded


def _split_ucs2(text: str) -> list[str]:
    """Cut a text that would fit the GSM alphabet, but must not go in it, for UCS-2."""
    units = [2 if character > _BASIC_PLANE_LAST else 1 for character in text]
    if sum(units) <= Encoding.UCS2.single:
        return [text]
    pieces: list[str] = []
    begin = used = 0
    for place, size in enumerate(units):
        if used + size > Encoding.UCS2.concatenated:
            pieces.append(text[begin:place])
            begin, used = place, 0
        used += size
    return [*pieces, text[begin:]]


def _decoded(body: bytes, data_coding: int) -> str:
    if not body:
        return ""
    if body[:2] in _UTF16_BOMS and len(body) % 2 == 0:
        return body.decode("utf-16", "replace")
    if _is_ucs2(data_coding):
        return _read_ucs2(body)
    if data_coding == _GB18030_CODING:
        return _tried(body, "gb18030") or _guessed(body)
    if data_coding == _LATIN_1 and not _STRANGE_IN_LATIN.search(body):
        # Pairs of accented capitals are Chinese in GB 2312; nobody writes them in a row.
        text = _tried(body, "utf-8") or (_GB2312.fullmatch(body) and _tried(body, "gb2312")) or ""
        return text or body.decode("latin-1")
    is_seven_bit = not any(byte > 0x7F for byte in body)
    if not is_seven_bit or _looks_like_ucs2(body):
        return _guessed(body)
    if data_coding in (_ASCII, _LATIN_1):
        return body.decode("latin-1")
    return str(_GSM7.decode(body, "replace")[0])


def _is_ucs2(data_coding: int) -> bool:
    """8, and its forms with a message class (3GPP TS 23.038, section 4)."""
    return data_coding == 8 or (data_coding & 0xC0 == 0 and data_coding & 0x1C == 0x18)


def _read_ucs2(body: bytes) -> str:
    """UCS-2 as declared, unless it cannot be that and is good UTF-8."""
    text = _tried(body, "utf-16-be")
    if text and _USUAL.fullmatch(text):
        return text
    # Three bytes to a character, and the wrong number or characters that nobody types.
    other = _tried(body, "utf-8")
    if other and _USUAL.fullmatch(other) and (not text or not other.isascii()):
        return other
    return text or body.decode("utf-16-be", "replace")


def _looks_like_ucs2(body: bytes) -> bool:
    """Seven-bit bytes with zeros where UTF-16 has them, or controls that no alphabet has.

    Two letters of ASCII are a Chinese character too, so nothing else is taken for one.
    """
    if len(body) % 2:
        return False
    text = _tried(body, "utf-16-be")
    is_strange = 0 in body[::2] or _CONTROLS.search(body) is not None
    return bool(text) and is_strange and _USUAL.fullmatch(text) is not None


def _guessed(body: bytes) -> str:
    """Bytes whose data coding is wrong: the first reading that makes sense."""
    text = _tried(body, "utf-8")
    if text and _USUAL.fullmatch(text) and not _looks_like_ucs2(body):
        return text
    if len(body) % 2 == 0 and not (_GB2312.fullmatch(body) and 0 not in body):
        text = _tried(body, "utf-16-be")
        if text and _USUAL.fullmatch(text):
            return text
    if _GB2312.fullmatch(body):
        text = _tried(body, "gb2312")
        if text:
            return text
    return body.decode("latin-1")


def _tried(body: bytes, codec: str) -> str:
    """The text in a codec; empty where it is none."""
    try:
        return body.decode(codec)
    except UnicodeDecodeError:
        return ""

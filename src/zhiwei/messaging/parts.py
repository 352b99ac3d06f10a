"""Parts: how a text travels as SMS, and in how many pieces.

A text whose characters are all of the GSM 7-bit alphabet (3GPP TS 23.038) takes 160 septets, or 153
in each of several parts; characters of its extension table take two septets. Any other text goes as
UCS-2: 70 UTF-16 units, or 67 in each part. Neither an extension character nor a surrogate pair is
ever split.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

GSM7_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: Behind an escape, so two septets each.
GSM7_EXTENSION: Final = frozenset("\f^{}\\[~]|€")
_GSM7: Final = GSM7_BASIC | GSM7_EXTENSION
_BASIC_PLANE_LAST: Final = "\uffff"


class Encoding(Enum):
    """How the characters are written on the wire."""

    GSM7 = "gsm-7"
    UCS2 = "ucs-2"

    @property
    def single(self) -> int:
        """Units that a text of one part may have: septets, or UTF-16 units."""
        return 160 if self is Encoding.GSM7 else 70

    @property
    def concatenated(self) -> int:
        """Units in each part of a longer text; the header takes the rest."""
        return 153 if self is Encoding.GSM7 else 67


@dataclass(frozen=True)
class Size:
    """How big a text is as SMS."""

    encoding: Encoding
    #: Septets, or UTF-16 units.
    units: int
    #: 1 also for the empty text.
    parts: int


def encoding_of(text: str) -> Encoding:
    """GSM 7-bit where every character is in it, else UCS-2."""
    return Encoding.GSM7 if _GSM7.issuperset(text) else Encoding.UCS2


def size_of(text: str) -> Size:
    """Encoding, units and number of parts of a text."""
    encoding = encoding_of(text)
    units = _units(text, encoding)
    return Size(encoding, units, 1 if units <= encoding.single else len(split(text)))


def split(text: str) -> list[str]:
    """The text as it is cut into parts; one part for a text that fits."""
    encoding = encoding_of(text)
    if _units(text, encoding) <= encoding.single:
        return [text]
    weight = _septets if encoding is Encoding.GSM7 else _utf16_units
    parts: list[str] = []
    begin = used = 0
    for place, character in enumerate(text):
        units = weight(character)
        if used + units > encoding.concatenated:
            parts.append(text[begin:place])
            begin, used = place, 0
        used += units
    return [*parts, text[begin:]]


def _units(text: str, encoding: Encoding) -> int:
    """Septets, or UTF-16 units; half a pair, which no network takes, counts as one."""
    if encoding is Encoding.GSM7:
        return len(text) + sum([text.count(c) for c in GSM7_EXTENSION])
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _septets(character: str) -> int:
    return 2 if character in GSM7_EXTENSION else 1


def _utf16_units(character: str) -> int:
    return 2 if character > _BASIC_PLANE_LAST else 1

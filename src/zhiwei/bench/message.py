"""The bench's own ISO 8583 writer: ASCII with a binary bitmap, just enough to build templates.

It is written apart from `gateways.iso8583` on purpose: a measuring instrument must not share its
faults with what it measures. A test decodes every message of the bench with the real codec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: Fields of a fixed length, in characters (ISO 8583:1987).
FIXED: Final[dict[int, int]] = {
    3: 6, 4: 12, 5: 12, 6: 12, 7: 10, 8: 8, 9: 8, 10: 8, 11: 6, 12: 6, 13: 4, 14: 4, 15: 4, 16: 4,
    17: 4, 18: 4, 19: 3, 20: 3, 21: 3, 22: 3, 23: 3, 24: 3, 25: 2, 26: 2, 27: 1, 28: 9, 29: 9,
    30: 9, 31: 9, 37: 12, 38: 6, 39: 2, 40: 3, 41: 8, 42: 15, 43: 40, 49: 3, 50: 3, 51: 3, 52: 8,
    53: 16, 64: 8, 70: 3, 90: 42, 95: 42,
}  # fmt: skip
#: Fields that carry their length first, and how many digits that length has.
VARIABLE: Final[dict[int, int]] = {
    2: 2, 32: 2, 33: 2, 34: 2, 35: 2, 36: 3, 44: 2, 45: 2, 46: 3, 47: 3, 48: 3, 54: 3, 55: 3,
    56: 3, 57: 3, 58: 3, 59: 3, 60: 3, 61: 3, 62: 3, 63: 3, 100: 2, 102: 2, 103: 2,
}  # fmt: skip


@dataclass(frozen=True)
class Framing:
    """How a message is delimited on the wire: a length header and, where wanted, a TPDU.

    `header` is `2b` (two bytes, big-endian) or `4a` (four ASCII digits); the length covers
    everything after it. `tpdu` is five bytes or none.
    """

    header: str = "2b"
    tpdu: bytes = b""

    def __post_init__(self) -> None:
        """Refuse a header that the bench cannot write."""
        if self.header not in ("2b", "4a"):
            raise ValueError(f"`{self.header}` is not a length header of the bench: use 2b or 4a")
        if len(self.tpdu) not in (0, 5):
            raise ValueError(f"a tpdu has 5 bytes, not {len(self.tpdu)}")

    @property
    def prefix_bytes(self) -> int:
        """Bytes of a frame that come before its MTI."""
        return (2 if self.header == "2b" else 4) + len(self.tpdu)

    def frame(self, body: bytes) -> bytes:
        """Put the length and the TPDU before a message."""
        length = len(body) + len(self.tpdu)
        if self.header == "2b":
            return length.to_bytes(2, "big") + self.tpdu + body
        return b"%04d" % length + self.tpdu + body


def encode(mti: str, fields: Mapping[int, bytes]) -> tuple[bytes, dict[int, int]]:
    """Write a message; return it with the offset of each field's content inside it.

    Raises `ValueError` where a value does not have its field's length.
    """
    bits = 0
    for number in fields:
        bits |= 1 << (128 - number)
    width = 8
    if any(number > 64 for number in fields):
        bits |= 1 << 127
        width = 16
    out = bytearray(mti.encode())
    out += bits.to_bytes(16, "big")[:width]
    offsets: dict[int, int] = {}
    for number in sorted(fields):
        value = fields[number]
        digits = VARIABLE.get(number)
        if digits is not None:
            out += str(len(value)).zfill(digits).encode()
        elif len(value) != FIXED[number]:
            raise ValueError(f"field {number} has {FIXED[number]} characters, not {len(value)}")
        offsets[number] = len(out)
        out += value
    return bytes(out), offsets


def offsets_of(body: bytes, last: int) -> dict[int, int]:
    """Find where the fields up to number `last` begin in a message that starts at its MTI.

    Raises `ValueError` for a field that the bench does not know, or a length that is no number.
    """
    width = 16 if body[4] & 0x80 else 8
    bits = int.from_bytes(body[4 : 4 + width], "big")
    at = 4 + width
    found: dict[int, int] = {}
    for number in range(2, min(last, 8 * width) + 1):
        if not bits >> (8 * width - number) & 1:
            continue
        digits = VARIABLE.get(number)
        if digits is not None:
            length = int(body[at : at + digits])
            at += digits
        elif number in FIXED:
            length = FIXED[number]
        else:
            raise ValueError(f"field {number} is not known to the bench")
        found[number] = at
        at += length
    return found

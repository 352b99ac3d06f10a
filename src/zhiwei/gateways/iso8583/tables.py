"""Tables that reading and writing share, worked out once: character sets and lengths."""

from __future__ import annotations

from typing import Final, final

from zhiwei.gateways.iso8583.dialect import Dialect, Form
from zhiwei.gateways.iso8583.message import bit

#: Plans kept for each direction. Real traffic knows a few dozen bitmaps; more are an attack on our
#: memory.
PLANS_MAX: Final = 512

#: Greatest length that a binary length prefix can announce.
BINARY_LENGTH_MAX: Final = 2047

HEX_DIGITS: Final = frozenset("0123456789ABCDEFabcdef")


@final
class Tables:
    """One dialect, ready for use."""

    __slots__ = (
        "bitmap_size",
        "dialect",
        "from_latin",
        "is_hex",
        "is_long",
        "length_base",
        "length_binary",
        "length_digits",
        "length_packed",
        "length_sizes",
        "length_texts",
        "mti_packed",
        "mti_size",
        "to_latin",
        "version",
    )

    def __init__(self, dialect: Dialect) -> None:
        self.dialect: Final = dialect
        self.version: Final[str] = dialect.version
        same = dialect.charset == "latin-1"
        to_latin = bytes(range(256)).decode(dialect.charset).encode("latin-1")
        #: From the dialect's characters to Latin-1 and back, None where they are the same.
        self.to_latin: Final[bytes | None] = None if same else to_latin
        self.from_latin: Final[bytes | None] = (
            None if same else bytes([to_latin.index(code) for code in range(256)])
        )
        self.mti_packed: Final[bool] = dialect.mti_form is Form.PACKED
        self.mti_size: Final[int] = 2 if self.mti_packed else 4
        self.is_hex: Final[bool] = dialect.bitmap_form is Form.HEX
        self.bitmap_size: Final[int] = 16 if self.is_hex else 8
        #: Lengths are seen as half bytes (packed or binary), not as characters.
        self.length_packed: Final[bool] = dialect.length_form is not Form.TEXT
        self.length_binary: Final[bool] = dialect.length_form is Form.BINARY
        #: For each first byte of a bitmap: does it announce a second one?
        self.is_long: Final[list[bool]] = [_announces_second(dialect, code) for code in range(256)]
        #: By number of length digits: bytes of the prefix, and the look of each length.
        self.length_sizes: Final[list[int]] = [0, 0] + [_length_size(dialect, n) for n in (2, 3, 4)]
        used = {field.length_digits for field in dialect.fields.values()}
        self.length_texts: Final[list[list[str]]] = [
            _length_texts(dialect, digits) if digits in used and digits > 0 else []
            for digits in range(5)
        ]
        #: One byte of a length: what it is worth (-1 = not a digit), and what the one before it is
        #: multiplied by. Text counts in tens, packed digits in hundreds, binary in 256.
        self.length_base: Final[int] = (
            256 if self.length_binary else 100 if self.length_packed else 10
        )
        self.length_digits: Final[list[int]] = [_length_digit(dialect, code) for code in range(256)]

    def bitmap_bytes(self, bitmap: int) -> bytes:
        """The bitmap as it goes on the wire, with the second half only where it is needed."""
        if bitmap & ((1 << 64) - 1):
            raw = (bitmap | bit(1)).to_bytes(16, "big")
        else:
            raw = (bitmap >> 64).to_bytes(8, "big")
        if self.is_hex:
            return raw.hex().upper().encode(self.dialect.charset)
        return raw


def _announces_second(dialect: Dialect, code: int) -> bool:
    """A bitmap whose first byte is this one has a second half."""
    if dialect.bitmap_form is Form.HEX:
        return bytes([code]).decode(dialect.charset) in "89ABCDEFabcdef"
    return code >= 128


def _length_digit(dialect: Dialect, code: int) -> int:
    """What a byte of a length is worth, -1 where it cannot stand in one."""
    if dialect.length_form is Form.BINARY:
        return code
    if dialect.length_form is Form.PACKED:
        return -1 if code >> 4 > 9 or code & 15 > 9 else 10 * (code >> 4) + (code & 15)
    return "0123456789".find(bytes([code]).decode(dialect.charset))


def _length_size(dialect: Dialect, digits: int) -> int:
    """Bytes of a length prefix that the notation writes with so many dots."""
    if dialect.length_form is Form.TEXT:
        return digits
    return 1 if digits == 2 else 2


def _length_texts(dialect: Dialect, digits: int) -> list[str]:
    """Every length as its prefix shows it: characters, or half bytes where packed or binary."""
    size = _length_size(dialect, digits)
    if dialect.length_form is Form.BINARY:
        return [f"{n:0{2 * size}x}" for n in range(min(256**size, BINARY_LENGTH_MAX + 1))]
    width = digits if dialect.length_form is Form.TEXT else 2 * size
    return [f"{n:0{width}d}" for n in range(10**digits)]

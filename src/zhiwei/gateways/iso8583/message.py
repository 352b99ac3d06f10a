"""Message: what was read from the wire, or is to be written to it; field numbers and their values.

It never holds a track, a PIN block, chip data or a card verification value: the codec drops these
while it reads and only notes that they were there. The card number (DE2) is held until the door has
turned it into a card key; `repr` shows its tail, and hides whatever is not known to be harmless.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, final

#: The most fields a message can have; a third bitmap is refused.
FIELDS_MAX: Final = 128

#: Position of a field that is not there.
_ABSENT: Final = 255

#: Fields that `repr` may show: codes, times, traces and institution numbers of at most twelve
#: characters. A list of what may be seen, so that a field nobody thought of stays hidden.
_SHOWN: Final = frozenset(
    (3, 4, 5, 6, 7, 11, 12, 13, 15, 18, 19, 22, 25, 32, 33, 37, 38, 39, 41, 49, 50, 51, 70)
)
_SHOWN_LENGTH_MAX: Final = 12
_SHOWN_CHARACTERS: Final = frozenset(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz -"
)


def bit(number: int) -> int:
    """The bit of one field in a bitmap: DE128 is the lowest, as on the wire."""
    return 1 << (FIELDS_MAX - number)


def numbers_in(bitmap: int) -> list[int]:
    """The field numbers of a bitmap, ascending."""
    return [number for number in range(1, FIELDS_MAX + 1) if bitmap & bit(number)]


def all_digits(text: str) -> bool:
    """Decimal digits 0 to 9 and nothing else; at least one."""
    # `isdigit` alone takes the superscripts of Latin-1 for digits. Both are fast when compiled.
    return text.isdigit() and text.isascii()


def masked_pan(pan: str) -> str:
    """A card number as it may be shown: its last four digits; what is none is hidden whole."""
    if 12 <= len(pan) <= 19 and all_digits(pan):
        return "*" * (len(pan) - 4) + pan[-4:]
    return f"<{len(pan)} hidden>"


@final
class Layout:
    """Which fields a message has, and where their values stand; one for all of a bitmap."""

    __slots__ = ("bitmap", "numbers", "positions")

    def __init__(self, bitmap: int) -> None:
        #: One bit for each field that has a value (see `bit`).
        self.bitmap: Final = bitmap
        self.numbers: Final[list[int]] = numbers_in(bitmap)
        places = bytearray([_ABSENT] * (FIELDS_MAX + 1))
        for position, number in enumerate(self.numbers):
            places[number] = position
        #: By field number: its position among the values.
        self.positions: Final[bytes] = bytes(places)


@final
class Message:
    """One ISO 8583 message."""

    __slots__ = (
        "binaries",
        "hex_form",
        "layout",
        "mti",
        "service_code",
        "track_pan",
        "values",
        "withheld",
    )

    def __init__(
        self,
        mti: str,
        layout: Layout,
        values: list[str],
        binaries: dict[int, bytes] | None = None,
        withheld: int = 0,
        service_code: str = "",
        track_pan: str = "",
        hex_form: bool = False,
    ) -> None:
        #: Message type, four digits, for example `0200`.
        self.mti: Final = mti
        self.layout: Final = layout
        #: In the order of the layout, at least as many; one character a byte (Latin-1), as they
        #: came. Binary fields have an empty place here.
        self.values: Final = values
        #: Values of binary fields by number, None where there are none.
        self.binaries: Final = binaries
        #: Bits of the fields that were there and were dropped because they hold secrets.
        self.withheld: Final = withheld
        #: Three digits from the track; the first is 2 or 6 where the card has a chip. Empty = not
        #: told.
        self.service_code: Final = service_code
        #: Card number from the track, only where DE2 is absent.
        self.track_pan: Final = track_pan
        #: It came in its dialect's other form (hexadecimal bitmap) and is answered so.
        self.hex_form: Final = hex_form

    @staticmethod
    def of(mti: str, fields: Mapping[int, str | bytes], hex_form: bool = False) -> Message:
        """A message from its type and its fields by number (2 to 128)."""
        values: list[str] = []
        binaries: dict[int, bytes] = {}
        bitmap = 0
        for number in sorted(fields):
            bitmap |= bit(number)
            value = fields[number]
            if isinstance(value, str):
                values.append(value)
            else:
                values.append("")
                binaries[number] = value
        return Message(mti, Layout(bitmap), values, binaries or None, hex_form=hex_form)

    def text(self, number: int) -> str:
        """The value of a field of characters, empty where it is absent."""
        position = self.layout.positions[number]
        return "" if position == _ABSENT else self.values[position]

    def binary(self, number: int) -> bytes:
        """The value of a field of bytes, empty where it is absent."""
        binaries = self.binaries
        return b"" if binaries is None else binaries.get(number, b"")

    def has(self, number: int) -> bool:
        """The field was on the wire, kept or withheld."""
        return ((self.layout.bitmap | self.withheld) & bit(number)) != 0

    @property
    def pan(self) -> str:
        """The card number from DE2, else from the track, else empty."""
        return self.text(2) or self.track_pan

    @property
    def fields(self) -> dict[int, str | bytes]:
        """Every kept field by number, in the clear."""
        binaries = self.binaries or {}
        return {number: binaries.get(number, self.text(number)) for number in self.layout.numbers}

    def __repr__(self) -> str:
        parts = [f"Message {self.mti if all_digits(self.mti) else '????'}"]
        present = self.layout.bitmap | self.withheld
        parts.extend([f"{number}={self._shown(number)}" for number in numbers_in(present)])
        if self.track_pan:
            parts.append(f"track={masked_pan(self.track_pan)}")
        return "<" + " ".join(parts) + ">"

    def _shown(self, number: int) -> str:
        """One field as it may be seen in a log."""
        if self.withheld & bit(number):
            return "<withheld>"
        if self.binaries is not None and number in self.binaries:
            return f"<{len(self.binaries[number])} bytes>"
        value = self.text(number)
        if number == 2:
            return masked_pan(value)
        harmless = number in _SHOWN and len(value) <= _SHOWN_LENGTH_MAX
        if harmless and _SHOWN_CHARACTERS.issuperset(value):
            return value
        return f"<{len(value)} hidden>"

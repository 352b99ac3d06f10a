"""Hostile bytes: valid frames of every dialect, and what can be done to them, from a seed."""

from __future__ import annotations

import random
from typing import Final

from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.dialect import Dialect, Field
from zhiwei.gateways.iso8583.frame import wrap
from zhiwei.gateways.iso8583.message import Message

#: Message types and processing codes that the door knows, and some that it does not.
_MTIS: Final = ("100", "200", "200", "220", "400", "420", "421", "800", "210", "820", "302", "999")
_PROCESSING: Final = ("000000", "010000", "200000", "310000", "460000", "030000", "990000")
_CONDITIONS: Final = ("00", "06", "59", "08", "99")
#: Absurd and unknown: all nines, none, and currencies that nobody uses.
_AMOUNTS: Final = ("000000000000", "000000000001", "000000012345", "999999999999")
_CURRENCIES: Final = ("156", "156", "156", "840", "392", "000", "999", "123")
#: Messages of a dialect that are kept, and how often one of them is replaced.
_KEPT: Final = 24
_NEW: Final = 0.08
#: What a byte is replaced with: ends of ranges, digits, letters, separators, half bytes.
_BAD_BYTES: Final = b"\x00\xff\x80\x7f0129AFf =D^\x0d\xf0"


class FrameMaker:
    """Makes the frames of one dialect; one for each seed."""

    def __init__(self, name: str, dice: random.Random, pans: tuple[str, ...]) -> None:
        """Take the card numbers that valid messages are about."""
        self.dialect: Final[Dialect] = dialects.named(name)
        self._codec: Final = Codec(self.dialect)
        self._dice: Final = dice
        self._pans: Final = pans
        header = self.dialect.framing.header
        lead = bytes([header.size]) if header.tells_own_size else b""
        self._header: Final = lead + bytes(header.size - len(lead))
        self._earlier: Final[list[bytes]] = []
        #: To write a message costs much more than to spoil one, so most are used again.
        self._messages: Final[list[bytes]] = []
        self._number = 0

    def fill(self) -> None:
        """Write the messages to begin with."""
        while len(self._messages) < _KEPT:
            self._messages.append(self.new_message())

    def message(self) -> bytes:
        """A message that the dialect can write, often one that was used before."""
        self.fill()
        if self._dice.random() < _NEW:
            self._messages[self._dice.randrange(_KEPT)] = self.new_message()
        return self._dice.choice(self._messages)

    def new_message(self) -> bytes:
        """A message with a trace of its own; most of it makes sense."""
        dice = self._dice
        self._number += 1
        wanted = {2, 3, 4, 7, 11, 12, 13, 22, 25, 32, 37, 41, 42, 49}
        others = [n for n in self.dialect.fields if n not in wanted]
        if dice.random() < 0.4:
            wanted |= set(dice.sample(others, dice.randrange(min(12, len(others)))))
        if dice.random() < 0.2:
            wanted -= set(dice.sample(sorted(wanted), 2))
        fields = {
            number: self._value(self.dialect.fields[number])
            for number in sorted(wanted)
            if number in self.dialect.fields
        }
        return self._codec.encode(Message.of(self.dialect.version + dice.choice(_MTIS), fields))

    def framed(self, message: bytes) -> bytes:
        """A frame with a right length."""
        return wrap(self.dialect.framing, self._header, message)

    def hostile(self) -> bytes:
        """A frame of which nobody knows what it will be."""
        dice = self._dice
        draw = dice.random()
        if draw < 0.1 and self._earlier:
            return dice.choice(self._earlier)
        if draw < 0.2:
            return self._bad_length()
        if draw < 0.35:
            return self.framed(self._bad_bitmap())
        message = self.message()
        if draw < 0.85:
            message = self._mutated(message)
        frame = self.framed(message)
        if len(self._earlier) < 64:
            self._earlier.append(frame)
        return frame

    def _value(self, field: Field) -> str | bytes:
        """A value that fits its field; of the fields that decide, one that means something."""
        dice = self._dice
        known = {
            2: dice.choice(self._pans),
            3: dice.choice(_PROCESSING),
            4: dice.choice(_AMOUNTS),
            7: f"{dice.randrange(10**10):010}",
            11: f"{self._number % 10**6:06}",
            22: dice.choice(("051", "072", "021", "812")),
            25: dice.choice(_CONDITIONS),
            32: "01024930",
            37: f"{self._number:012}",
            49: dice.choice(_CURRENCIES),
        }.get(field.number)
        if known is not None and (len(known) == field.size or field.length_digits):
            return known
        size = field.size if not field.length_digits else dice.randrange(min(field.size, 40) + 1)
        if field.is_binary:
            return dice.randbytes(size)
        letters = "0123456789" if field.is_numeric or field.number in (35, 36) else "09AZ az=^"
        return "".join(dice.choices(letters, k=size))

    def _mutated(self, message: bytes) -> bytes:
        """Some bytes changed, cut out, doubled or put elsewhere."""
        dice = self._dice
        raw = bytearray(message)
        for _ in range(dice.choice((1, 1, 2, 3, 8))):
            at = dice.randrange(len(raw) + 1)
            match dice.randrange(6):
                case 0:
                    raw[at:at] = dice.randbytes(dice.randrange(4))
                case 1:
                    del raw[at : at + dice.randrange(1, 9)]
                case 2:
                    raw[at:at] = raw[at : at + dice.randrange(1, 30)]
                case 3:
                    del raw[at:]
                case 4 if at < len(raw):
                    raw[at] ^= 1 << dice.randrange(8)
                case _ if at < len(raw):
                    raw[at] = dice.choice(_BAD_BYTES)
        return bytes(raw)

    def _bad_bitmap(self) -> bytes:
        """Every field, none, a third bitmap, or any; with little or much behind it."""
        dice = self._dice
        message = self.message()
        at = 2 if self.dialect.mti_form is dialects.Form.PACKED else 4
        bitmap = dice.choice(
            (b"\xff" * 16, bytes(8), b"\x80" + bytes(7) + b"\x80" + bytes(7), dice.randbytes(16))
        )
        if self.dialect.bitmap_form is dialects.Form.HEX:
            bitmap = bitmap.hex().upper().encode(self.dialect.charset)
        return message[:at] + bitmap + dice.randbytes(dice.choice((0, 1, 200, 2000)))

    def _bad_length(self) -> bytes:
        """A frame whose length says something else than what follows."""
        dice = self._dice
        frame = bytearray(self.framed(self.message()))
        size = self.dialect.framing.length_size
        wrong = dice.choice((0, 1, len(frame) // 2, len(frame) + 40, 8192, 8193, 0xFFFF))
        if self.dialect.framing.length_is_text:
            frame[:size] = b"%0*d" % (size, min(wrong, 10**size - 1))
        else:
            frame[:size] = wrong.to_bytes(size, "big")
        return bytes(frame)

"""ISO 8583 frames that carry canaries: good ones, stuffed ones, and damaged ones."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.canary import cards
from tests.gateways.iso8583.messages import dialect_that_keeps_all

from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.dialect import Dialect, Field
from zhiwei.gateways.iso8583.frame import split, wrap
from zhiwei.gateways.iso8583.message import Message

Fields = dict[int, "str | bytes"]

#: A header as each kind of framing wants it, by its size.
_HEADERS = {
    0: b"",
    11: bytes.fromhex("6000010002602200000000"),
    22: bytes.fromhex("16010200000012345600000100000000000000000000"),
}
#: Damaged copies of one frame.
_DAMAGED = 150


class FrameMaker:
    """Makes frames of one dialect; traces are counted, so that no two are the same message."""

    def __init__(self, dialect_name: str) -> None:
        self.dialect: Dialect = dialect_that_keeps_all(dialect_name)
        self._codec = Codec(self.dialect)
        self._trace = 0

    def frame(self, mti: str, fields: Fields) -> bytes:
        """One frame; fields that the dialect does not have are left out."""
        known = {n: v for n, v in fields.items() if n in self.dialect.fields}
        message = Message.of(self.dialect.version + mti[1:], known)
        header = _HEADERS[self.dialect.framing.header.size]
        return wrap(self.dialect.framing, header, self._codec.encode(message))

    def purchase(self, pan: str, **changes: str | bytes | None) -> Fields:
        """A purchase by stripe with everything that a terminal sends; None takes a field away."""
        self._trace += 1
        fields: Fields = {
            2: pan,
            3: "000000",
            4: "000000012345",
            7: "1123120000",
            11: f"{self._trace:06}",
            12: "200000",
            13: "1123",
            14: "2812",
            18: "5411",
            22: "021",
            25: "00",
            32: "01024930",
            33: "00010000",
            35: cards.track_2(pan),
            36: cards.track_3(pan),
            37: f"{self._trace:012}",
            41: "00000001",
            42: "898493054110001",
            43: "LUOYANG TEST STORE".ljust(40),
            45: cards.track_1(pan),
            48: cards.VERIFICATION_VALUE,
            49: "156",
            52: cards.PIN_BLOCK,
            55: cards.chip_data(pan),
            64: cards.PIN_BLOCK,
        }
        for key, value in changes.items():
            fields.pop(int(key.removeprefix("de")), None)
            if value is not None:
                fields[int(key.removeprefix("de"))] = value
        return self._fitting(fields)

    def good(self, pan: str) -> Iterator[bytes]:
        """Every kind of message that a network sends about a card."""
        asked = self.purchase(pan)
        yield self.frame("0200", asked)
        yield self.frame("0201", asked)
        yield self.frame("0200", self.purchase(pan, de2=None))
        yield self.frame("0200", self.purchase(pan, de3="310000", de4=None))
        yield self.frame("0200", self.purchase(pan, de3="010000", de18="6011"))
        yield self.frame("0100", self.purchase(pan, de3="030000", de25="06"))
        yield self.frame("0220", self.purchase(pan))
        yield self.frame("0220", self.purchase(pan, de3="200000"))
        original = f"0200{asked[11]!s}{asked[7]!s}" + "01024930".zfill(11) + "00010000".zfill(11)
        yield self.frame("0420", self.purchase(pan, de90=original))
        yield self.frame("0400", asked)
        yield self.frame("0800", {7: "1123120000", 11: "999999", 70: "301"})
        yield self.frame("0210", asked)
        for change in ({"de49": "000"}, {"de4": None}, {"de3": "990000"}, {"de11": None}):
            yield self.frame("0200", self.purchase(pan, **change))

    def stuffed(self, pan: str, own: str = "") -> Iterator[bytes]:
        """The number in every field that has room for it: one at a time, and all at once.

        The message is about the card `own`, if it is given, and else about the number itself.
        """
        roomy = [
            (number, stuffing)
            for number, field in self.dialect.fields.items()
            if number > 2 and (stuffing := _with_number(field, pan)) is not None
        ]
        assert len(roomy) > 10, "a dialect has many fields with room for a card number"
        for number, stuffing in roomy:
            yield self.frame("0200", self.purchase(own or pan) | {number: stuffing})
        everything = self.purchase(own or pan) | dict(roomy)
        while (frame := self._if_it_fits(everything)) is None:
            everything.popitem()
        yield frame

    def damaged(self, pan: str, seed: int) -> Iterator[bytes]:
        """Frames that break off, have a byte or a length changed, or say another length."""
        chance = random.Random(seed)
        whole = self.frame("0200", self.purchase(pan))
        lead = self.dialect.framing.length_size + self.dialect.framing.reserved
        body = whole[lead:]
        header = _HEADERS[self.dialect.framing.header.size]
        message = body[len(header) :]
        for size in chance.sample(range(1, len(message)), 40):
            yield wrap(self.dialect.framing, header, message[:size])
        for _ in range(_DAMAGED):
            changed = bytearray(message)
            for place in chance.sample(range(len(changed)), chance.randint(1, 4)):
                changed[place] = chance.randrange(256)
            yield wrap(self.dialect.framing, header, bytes(changed))
        yield wrap(self.dialect.framing, header, message + pan.encode())
        yield wrap(self.dialect.framing, header, pan.encode())

    def unframed(self, pan: str) -> Iterator[bytes]:
        """What ends a connection: another protocol, a length out of bounds, a frame cut short."""
        yield f"GET /?pan={pan} HTTP/1.1\r\nHost: {pan}\r\n\r\n".encode()
        yield b"\xff" * 4 + pan.encode() * 10
        yield self.frame("0200", self.purchase(pan))[:-20]

    def messages_in(self, answers: bytes) -> list[Message]:
        """The answers in what came back."""
        spans: list[int] = []
        rest = split(self.dialect.framing, answers, 0, spans)
        assert rest == len(answers), "answers are whole frames"
        header = self.dialect.framing.header.size
        return [
            self._codec.decode(answers, start + header, end)
            for start, end in zip(spans[::2], spans[1::2], strict=True)
        ]

    def _if_it_fits(self, fields: Fields) -> bytes | None:
        frame = self.frame("0200", fields)
        return frame if len(frame) <= self.dialect.framing.frame_max else None

    def _fitting(self, fields: Fields) -> Fields:
        """The fields in the sizes of this dialect."""
        found: Fields = {}
        for number, value in fields.items():
            field = self.dialect.fields.get(number)
            if field is not None:
                found[number] = _in_form(value, field)
        return found


def _in_form(value: str | bytes, field: Field) -> str | bytes:
    """A value as the field can hold it, cut or filled up to its size."""
    formed = value
    if field.is_binary and isinstance(formed, str):
        formed = formed.encode()
    elif not field.is_binary and isinstance(formed, bytes):
        formed = formed.hex()
    if field.is_numeric and isinstance(formed, str):
        formed = "".join(c for c in formed if c.isdigit())
    return formed[: field.size] if field.length_digits else _padded(formed, field)


def _padded(value: str | bytes, field: Field) -> str | bytes:
    """A value in the size of a fixed field."""
    if isinstance(value, bytes):
        return value.ljust(field.size, b"\0")[: field.size]
    filled = value.rjust(field.size, "0") if field.is_numeric else value.ljust(field.size)
    return filled[: field.size]


def _with_number(field: Field, pan: str) -> str | bytes | None:
    """A value of the field that holds the number, None where there is no room."""
    if field.is_binary:
        packed = bytes.fromhex(pan)
        if field.size < len(packed):
            return None
        return packed if field.length_digits else packed.ljust(field.size, b"\0")
    if field.size < len(pan):
        return None
    return pan if field.length_digits else str(_padded(pan.ljust(field.size, "0"), field))

"""What the tests of the ISO 8583 door share: ways to make messages, and messages made by others."""

from __future__ import annotations

import base64
import dataclasses
import importlib.metadata
import re
from functools import cache

from hypothesis import strategies as st

from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.dialect import Dialect, Field
from zhiwei.gateways.iso8583.faults import DecodeError
from zhiwei.gateways.iso8583.message import Message

#: Every dialect that comes with the house.
DIALECTS = dialects.names()

#: Card numbers that everyone may know; tests look for them where they must not be.
PANS = ("6212345678901232", "4111111111111111", "5555555555554444", "378282246310005")

#: What a `Request` tells; written out, because a compiled class does not list its own fields.
REQUEST_FIELDS = (
    "acquirer",
    "amount_minor",
    "auth_code",
    "balance_minor",
    "billing_amount_minor",
    "billing_currency",
    "channel",
    "country",
    "currency",
    "forwarder",
    "initiator",
    "institution",
    "kind",
    "local_time",
    "mcc",
    "medium",
    "merchant_id",
    "merchant_name",
    "message_class",
    "pin_entered",
    "place_source",
    "region",
    "rrn",
    "stan",
    "terminal",
    "terminal_flagged",
    "transmitted_at",
    "was_declined",
)

_PRINTABLE = st.characters(min_codepoint=32, max_codepoint=126)
_ANY_BYTE = st.characters(min_codepoint=0, max_codepoint=255)


@cache
def dialect_that_keeps_all(name: str) -> Dialect:
    """The dialect without its promise to drop secrets, so that whole messages can be compared."""
    return dataclasses.replace(dialects.named(name), withheld=frozenset())


@cache
def reader_of(name: str) -> Codec:
    """A codec as the door has it. Shared: plans that it remembers change no outcome."""
    return Codec(dialects.named(name))


@cache
def codec_that_keeps_all(name: str) -> Codec:
    """A codec that can write and read whole messages."""
    return Codec(dialect_that_keeps_all(name))


def values(field: Field, *, printable: bool) -> st.SearchStrategy[str | bytes]:
    """Every value that a field can have; texts of printable characters, or of any byte."""
    least = 0 if field.length_digits else field.size
    most = min(field.size, 40) if field.length_digits else field.size
    if field.is_binary:
        return st.binary(min_size=least, max_size=most)
    if field.is_numeric or field.number in (35, 36):
        return st.text("0123456789", min_size=least, max_size=most)
    return st.text(_PRINTABLE if printable else _ANY_BYTE, min_size=least, max_size=most)


@st.composite
def messages(draw: st.DrawFn, name: str, *, printable: bool = False) -> Message:
    """A message that the dialect can write, with any of its fields in it."""
    dialect = dialects.named(name)
    numbers = draw(st.lists(st.sampled_from(sorted(dialect.fields)), unique=True, max_size=30))
    fields = {n: draw(values(dialect.fields[n], printable=printable)) for n in sorted(numbers)}
    mti = dialect.version + draw(st.text("0123456789", min_size=3, max_size=3))
    return Message.of(mti, fields)


def purchase(**changes: str | bytes | None) -> dict[int, str | bytes]:
    """The fields of a purchase in 洛阳; `de3="310000"` changes one, None takes one away."""
    fields: dict[int, str | bytes] = {
        2: PANS[0],
        3: "000000",
        4: "000000012345",
        7: "1123120000",
        11: "123456",
        12: "200000",
        13: "1123",
        14: "2812",
        18: "5411",
        22: "021",
        25: "00",
        32: "01024930",
        33: "00010000",
        37: "112312345678",
        41: "00000001",
        42: "898493054110001",
        43: "LUOYANG TEST STORE".ljust(40),
        49: "156",
    }
    for key, value in changes.items():
        number = int(key.removeprefix("de"))
        fields.pop(number, None)
        if value is not None:
            fields[number] = value
    return fields


def attempt(codec: Codec, raw: bytes) -> Message | DecodeError:
    """What decoding gives: a message, or the error. Any other exception is a failure."""
    try:
        return codec.decode(raw, 0, len(raw))
    except DecodeError as error:
        return error


@cache
def starkbank_frames() -> tuple[tuple[str, bytes], ...]:
    """The Mastercard and Visa messages that come with `starkbank-iso8583`: dialect and frame."""
    files = importlib.metadata.files("starkbank-iso8583") or []
    (source,) = [path for path in files if path.name == "testIsoMessage.py"]
    text = source.read_text(encoding="utf-8")
    frames = [base64.b64decode(found) for found in re.findall(r'"([A-Za-z0-9+/=]{60,})"', text)]
    names = ["mastercard-ebcdic"] * 5 + ["mastercard-clearing"] + ["visa-base1"] * 12
    return tuple(zip(names, frames, strict=True))

"""Dialects as data: how one network writes ISO 8583, as a table and a few choices of form.

A dialect is a TOML file in `dialects/`. Its field table uses the notation of the standard: `n 6`
six digits, `an 12` twelve characters, `n ..19` up to 19 with two length digits, `ans ...999` with
three, `b 8` eight bytes, `z ..37` a track. One or two words may follow: `text`, `packed`, `raw` or
`hex` where a field differs from the dialect's own form, `left` or `right` where its odd digit
stands otherwise. There is no code for any one dialect.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib import resources
from typing import Any, Final

from zhiwei.gateways.iso8583.faults import DialectError
from zhiwei.gateways.iso8583.frame import Framing, framing


class Form(IntEnum):
    """How a value lies on the wire."""

    #: One byte a character, in the dialect's character set.
    TEXT = 0
    #: Two digits a byte (BCD).
    PACKED = 1
    #: Bytes as they are.
    RAW = 2
    #: Bytes as two hexadecimal characters each.
    HEX = 3
    #: An unsigned number, big-endian (lengths only).
    BINARY = 4


@dataclass(frozen=True)
class Field:
    """One row of the table: how one data element (域) is written."""

    number: int
    #: The value is decimal digits.
    is_numeric: bool
    #: The value is bytes, not characters.
    is_binary: bool
    #: Length, or greatest length: characters, digits or bytes.
    size: int
    #: Digits of the length that leads a variable field; 0 = fixed.
    length_digits: int
    form: Form
    #: An odd number of packed digits begins in the left half byte; the filler is at the right end.
    is_left_aligned: bool

    @property
    def is_hex(self) -> bool:
        """Bytes that are written as two hexadecimal characters each."""
        return self.form is Form.HEX


@dataclass(frozen=True)
class Meaning:
    """What a network means by what it sends, where networks differ."""

    #: Table of response codes for cards that are not known.
    network: str
    #: Fields of a request that come back in its answer as they were sent.
    echo: tuple[int, ...]
    #: DE32 and DE42 are UnionPay's numbers, which carry a region; digits of others do not.
    has_unionpay_numbers: bool
    #: A request (not an advice) with processing code 20 is a refund; else it undoes a purchase.
    credit_is_refund: bool
    #: DE25 of a request that raises an earlier pre-authorization; empty = there is no such request.
    increment_condition: str
    #: Pieces of fields by name: data element, first character, number of characters.
    parts: dict[str, tuple[int, int, int]]


@dataclass(frozen=True)
class Dialect:
    """One network's way of writing ISO 8583."""

    name: str
    title: str
    #: First digit of the message type: 0 = the 1987 edition, 1 = 1993.
    version: str
    #: TEXT or PACKED.
    mti_form: Form
    #: RAW or HEX.
    bitmap_form: Form
    #: Python's name of the character set: one byte a character.
    charset: str
    #: TEXT, PACKED or BINARY.
    length_form: Form
    fields: dict[int, Field]
    #: Fields whose content is dropped while reading, since it holds secrets.
    withheld: frozenset[int]
    framing: Framing
    meaning: Meaning
    #: Dialect that reads (and answers) a message whose bitmap is hexadecimal text; empty = none.
    hex_twin: str = ""


_NOTATION: Final = re.compile(
    r"(?P<content>n|a|an|ans|as|x\+n|z|b) (?P<dots>\.{2,4})?(?P<size>[1-9][0-9]*)"
    r"(?: (?P<form>text|packed|raw|hex))?(?: (?P<align>left|right))?"
)
_FORMS: Final[dict[str, Form]] = {form.name.lower(): form for form in Form}
_CHARSETS: Final[dict[str, str]] = {"ascii": "latin-1", "ebcdic": "cp500"}


def names() -> tuple[str, ...]:
    """The dialects that come with the house, sorted."""
    tables = resources.files(__package__) / "dialects"
    found = (entry.name.removesuffix(".toml") for entry in tables.iterdir())
    return tuple(sorted(name for name in found if not name.startswith(("_", "."))))


@cache
def named(name: str) -> Dialect:
    """The dialect of this name. Raises DialectError, naming those there are, if there is none."""
    if name not in names():
        raise DialectError(f"no dialect `{name}`; there are: {', '.join(names())}")
    return from_table(name, _table(name))


def from_table(name: str, table: dict[str, Any]) -> Dialect:
    """A dialect from its parsed TOML. Raises DialectError for a table that does not make sense."""
    try:
        return _assembled(name, table)
    except (KeyError, TypeError, ValueError) as cause:
        raise DialectError(f"the table of dialect `{name}` is wrong at {cause}") from cause


def _assembled(name: str, table: dict[str, Any]) -> Dialect:
    layout: dict[str, Any] = table["layout"]
    numeric, binary = _FORMS[layout["digits"]], _FORMS[layout["binary"]]
    left = layout.get("align", "right") == "left"
    rows: dict[int, Field] = {}
    for number, notation in _rows(table).items():
        if notation != "absent":
            rows[number] = _field(number, notation, numeric, binary, left)
    return Dialect(
        name=name,
        title=table["title"],
        version=layout.get("version", "0"),
        mti_form=_FORMS[layout["mti"]],
        bitmap_form=_FORMS[layout["bitmap"]],
        charset=_CHARSETS[layout["charset"]],
        length_form=_FORMS[layout["length"]],
        fields=dict(sorted(rows.items())),
        withheld=frozenset(table["withheld"]),
        framing=framing(**table.get("frame", {"length": "binary2"})),
        meaning=_meaning(table),
        hex_twin=layout.get("hex_twin", ""),
    )


def _meaning(table: dict[str, Any]) -> Meaning:
    """What the network means; tables that extend another one take over what they do not say."""
    merged: dict[str, Any] = {}
    for section in _sections(table, "meaning"):
        merged.update(section)
    parts: dict[str, tuple[int, int, int]] = {}
    for section in _sections(table, "parts"):
        parts |= {part: (number, start, size) for part, (number, start, size) in section.items()}
    return Meaning(
        network=merged["network"],
        echo=tuple(merged["echo"]),
        has_unionpay_numbers=merged["has_unionpay_numbers"],
        credit_is_refund=merged["credit_is_refund"],
        increment_condition=merged["increment_condition"],
        parts=parts,
    )


def _sections(table: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A section of the table and of those that it extends, the furthest first."""
    before = _sections(_table(table["extends"]), name) if "extends" in table else []
    return [*before, table.get(name, {})]


def _table(name: str) -> dict[str, Any]:
    """A table that comes with the house."""
    return tomllib.loads(
        (resources.files(__package__) / f"dialects/{name}.toml").read_text("utf-8")
    )


def _rows(table: dict[str, Any]) -> dict[int, str]:
    """Field notations by number: those of the table it extends, with its own over them."""
    rows = _rows(_table(table["extends"])) if "extends" in table else {}
    rows.update({int(number): notation for number, notation in table.get("fields", {}).items()})
    return rows


def _field(number: int, notation: str, numeric: Form, binary: Form, left: bool) -> Field:
    """One row, read from its notation."""
    found = _NOTATION.fullmatch(notation)
    if found is None or not 2 <= number <= 128:
        raise ValueError(f"field {number}: `{notation}`")
    content, dots = found["content"], found["dots"] or ""
    is_numeric, is_binary = content == "n", content == "b"
    form = numeric if content in ("n", "z") else binary if is_binary else Form.TEXT
    if found["form"] is not None:
        form = _FORMS[found["form"]]
    return Field(
        number=number,
        is_numeric=is_numeric,
        is_binary=is_binary,
        size=int(found["size"]),
        length_digits=len(dots),
        form=form,
        is_left_aligned=left if found["align"] is None else found["align"] == "left",
    )

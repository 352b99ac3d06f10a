"""A second opinion: `pyiso8583` and our codec agree on every byte, in all our dialects."""

from __future__ import annotations

from typing import Any

import iso8583
import pytest
from hypothesis import given
from hypothesis import strategies as st
from iso8583.specs import default_ascii
from tests.gateways.iso8583.messages import (
    DIALECTS,
    codec_that_keeps_all,
    dialect_that_keeps_all,
    messages,
)

from zhiwei.gateways.iso8583.dialect import Dialect, Field, Form
from zhiwei.gateways.iso8583.message import Message

_CODEC_NAMES = {Form.TEXT: "{charset}", Form.PACKED: "bcd", Form.BINARY: "b"}


def _row(dialect: Dialect, field: Field) -> dict[str, Any]:
    """One row of a table in the notation of `pyiso8583`."""
    length_size = field.length_digits
    if dialect.length_form is not Form.TEXT and length_size:
        length_size = 1 if length_size == 2 else 2
    row: dict[str, Any] = {
        "data_enc": dialect.charset if field.form in (Form.TEXT, Form.HEX) else "b",
        "len_enc": _CODEC_NAMES[dialect.length_form].format(charset=dialect.charset),
        "len_type": length_size,
        "max_len": field.size * 2 if field.form is Form.HEX else field.size,
        "desc": "",
    }
    if field.form is Form.HEX and field.length_digits:
        row["max_len"] = min(row["max_len"], 999)
    if field.form is Form.PACKED:
        row["len_count"] = "nibbles"
        row["right_pad" if field.is_left_aligned else "left_pad"] = "0"
    return row


def _specification(dialect: Dialect) -> dict[str, dict[str, Any]]:
    """The dialect in the notation of `pyiso8583`."""
    binary = dialect.bitmap_form is Form.RAW
    bitmap = {
        "data_enc": "b" if binary else dialect.charset,
        "len_enc": "ascii",
        "len_type": 0,
        "max_len": 8 if binary else 16,
        "desc": "",
    }
    mti = dict(bitmap, data_enc=dialect.charset, max_len=4)
    if dialect.mti_form is Form.PACKED:
        mti = dict(bitmap, data_enc="b", max_len=2)
    specification = {"h": dict(bitmap, max_len=0), "t": mti, "p": bitmap, "1": bitmap}
    for number in range(2, 129):
        field = dialect.fields.get(number)
        specification[str(number)] = bitmap if field is None else _row(dialect, field)
    return specification


def _as_theirs(message: Message, dialect: Dialect) -> dict[str, str]:
    """A message as the dictionary that `pyiso8583` takes."""
    theirs = {"t": message.mti}
    for number, value in message.fields.items():
        text = value.hex().upper() if isinstance(value, bytes) else value
        theirs[str(number)] = text
    return theirs


@pytest.mark.parametrize("name", DIALECTS)
@given(data=st.data())
def test_both_write_the_same_bytes_and_read_them_alike(name: str, data: st.DataObject) -> None:
    """Any message is written to the same bytes by both, and read back to the same values."""
    dialect = dialect_that_keeps_all(name)
    message = data.draw(messages(name, printable=True))
    specification = _specification(dialect)
    raw, _ = iso8583.encode(_as_theirs(message, dialect), specification)
    codec = codec_that_keeps_all(name)
    assert codec.encode(message) == bytes(raw)
    read, _ = iso8583.decode(raw, specification)
    ours = _as_theirs(codec.decode(bytes(raw), 0, len(raw)), dialect)
    assert ours == {key: value for key, value in read.items() if key not in ("h", "p", "1")}


def test_our_field_table_is_the_one_of_the_standard() -> None:
    """Lengths and kinds of all fields agree with the table that `pyiso8583` ships.

    Two are wider there: DE54 (240, later editions) and DE55 (255 bytes in hexadecimal), and DE65
    is the third bitmap, which we refuse.
    """
    fields = dialect_that_keeps_all("iso87-ascii-hex").fields
    differing = set()
    for number in range(2, 129):
        field = fields.get(number)
        theirs = default_ascii[str(number)]
        if field is None:
            differing.add(number)
            continue
        width = field.size * 2 if field.is_binary and not field.length_digits else field.size
        if (field.length_digits, width) != (theirs["len_type"], theirs["max_len"]):
            differing.add(number)
    assert differing == {54, 55, 65}

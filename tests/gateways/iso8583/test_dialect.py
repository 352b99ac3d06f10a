"""Dialects: tables, found by name, and checked when they are loaded."""

from __future__ import annotations

from typing import Any

import pytest
from tests.gateways.iso8583.messages import DIALECTS

from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.gateways.iso8583.dialect import Form, from_table
from zhiwei.gateways.iso8583.faults import DialectError

LAYOUT = {
    "mti": "text",
    "bitmap": "raw",
    "charset": "ascii",
    "digits": "text",
    "length": "text",
    "binary": "raw",
}


MEANING = {
    "network": "unionpay",
    "echo": [11],
    "has_unionpay_numbers": True,
    "credit_is_refund": False,
    "increment_condition": "",
}


def _table(**changes: object) -> dict[str, Any]:
    right = {"title": "", "withheld": [], "layout": LAYOUT, "meaning": MEANING}
    return {**right, "fields": {"3": "n 6"}, **changes}


def test_the_promised_dialects_are_there() -> None:
    """The names that the documentation gives."""
    promised = {"unionpay-ascii", "iso87-ascii", "iso87-bcd", "visa-base1", "mastercard-ebcdic"}
    assert promised | {"unionpay-terminal"} <= set(DIALECTS)


def test_an_unknown_dialect_is_told_with_those_there_are() -> None:
    """The error lists every name, and looks at no file outside the house's own."""
    for name in ("unionpay", "", "_iso87", "../dialects/iso87-bcd"):
        with pytest.raises(DialectError, match="there are: iso87-ascii, iso87-ascii-hex"):
            dialects.named(name)


@pytest.mark.parametrize("name", DIALECTS)
def test_no_dialect_keeps_what_is_secret(name: str) -> None:
    """Tracks, PIN block, chip data, and the fields where card verification values are sent."""
    assert {35, 36, 45, 52, 55} <= dialects.named(name).withheld


@pytest.mark.parametrize("name", DIALECTS)
def test_no_dialect_knows_a_third_bitmap(name: str) -> None:
    """DE1 and DE65 are bitmaps, not fields."""
    assert not {0, 1, 65} & set(dialects.named(name).fields)


def test_a_table_that_makes_sense_is_accepted() -> None:
    """The one that the wrong ones below differ from."""
    assert from_table("home", _table()).name == "home"


def test_a_notation_says_how_a_field_is_written() -> None:
    """Kind, dots, length, form and alignment."""
    rows = {"22": "n 3 packed left", "35": "z ..37", "55": "b ...255 hex", "41": "ans 8"}
    fields = from_table("x", _table(fields=rows)).fields
    assert (fields[22].form, fields[22].is_left_aligned, fields[22].size) == (Form.PACKED, True, 3)
    assert (fields[35].length_digits, fields[35].is_numeric) == (2, False)
    assert (fields[55].form, fields[55].is_binary, fields[55].length_digits) == (Form.HEX, True, 3)
    assert (fields[41].form, fields[41].length_digits) == (Form.TEXT, 0)


WRONG = [
    ("a field that is none", _table(fields={"129": "n 6"})),
    ("a bitmap as a field", _table(fields={"1": "n 6"})),
    ("a number that is none", _table(fields={"three": "n 6"})),
    ("a kind that is none", _table(fields={"3": "q 6"})),
    ("no length", _table(fields={"3": "n"})),
    ("a form that is none", _table(fields={"3": "n 6 ebcdic"})),
    ("no layout", _table(layout={})),
    ("no list of secrets", _table(withheld=None)),
    ("no meaning", _table(meaning={})),
    ("a part that is none", _table(parts={"name": [43]})),
    ("a charset that is none", _table(layout={**LAYOUT, "charset": "gbk"})),
    ("a framing that is none", _table(frame={"size": "2"})),
]


@pytest.mark.parametrize(("what", "table"), WRONG)
def test_a_table_that_makes_no_sense_is_refused(what: str, table: dict[str, Any]) -> None:
    """At start, not at the first message; the error names the dialect."""
    with pytest.raises(DialectError, match="`home`"):
        from_table("home", table)

"""Golden frames: bytes on the wire, their fields, and what the core is asked; both directions."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from tests.gateways.iso8583.messages import REQUEST_FIELDS

from zhiwei.core.command import Command
from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.frame import header_end, split, wrap
from zhiwei.gateways.iso8583.message import Message
from zhiwei.gateways.iso8583.translate import Translator

FOLDER = Path(__file__).resolve().parent.parent / "golden"


def _cases() -> list[Any]:
    """One case for each frame of each file."""
    cases = []
    for path in sorted(FOLDER.glob("*.json")):
        book = json.loads(path.read_text(encoding="utf-8"))
        for row in book["frames"]:
            title = f"{book['dialect']}: {row['name']}"
            cases.append(pytest.param(book["dialect"], row, id=title))
    return cases


def _normal_form(command: Command) -> dict[str, Any]:
    """What is told of a request, as the files write it."""
    request = command.request
    assert request is not None
    form: dict[str, Any] = {}
    for name in REQUEST_FIELDS:
        value = getattr(request, name)
        if isinstance(value, Enum):
            value = value.name.lower()
        if name == "amount_minor" or value not in ("", -1, False, None, 0):
            form[name] = value
    original = command.original
    if original is not None:
        form["original"] = {
            "trace_key": original.trace_key.hex(),
            "replacement_minor": original.replacement_minor,
        }
    return form


@pytest.mark.parametrize(("name", "row"), _cases())
def test_a_golden_frame_is_read_as_it_says(name: str, row: dict[str, Any]) -> None:
    """Frame to type and fields, and on to the request in normal form."""
    dialect = dialects.named(name)
    frame = bytes.fromhex(row["frame"])
    spans: list[int] = []
    assert split(dialect.framing, frame, 0, spans) == len(frame)
    begin = header_end(dialect.framing, frame, *spans)
    message = Codec(dialect).decode(frame, begin, len(frame))
    assert message.mti == row["mti"]
    assert {str(number): value for number, value in message.fields.items()} == row["fields"]
    if "request" in row:
        translator = Translator(dialect, lambda _: bytes(16), lambda: bytes(8))
        assert _normal_form(translator.command(message)) == row["request"]


@pytest.mark.parametrize(("name", "row"), _cases())
def test_a_golden_frame_is_written_as_it_stands(name: str, row: dict[str, Any]) -> None:
    """From type and fields to the bytes of the frame."""
    dialect = dialects.named(name)
    frame = bytes.fromhex(row["frame"])
    spans: list[int] = []
    split(dialect.framing, frame, 0, spans)
    header = frame[spans[0] : header_end(dialect.framing, frame, *spans)]
    fields = {int(number): value for number, value in row["fields"].items()}
    body = Codec(dialect).encode(Message.of(row["mti"], fields))
    assert wrap(dialect.framing, header, body) == frame

"""`iso8583.md`: the dialects as the door reads and writes them, field by field."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from scripts.reference.markdown import bullets, code, page, table
from scripts.reference.source import PACKAGE, comments_in

from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.gateways.iso8583 import frame
from zhiwei.gateways.iso8583.dialect import Dialect, Form
from zhiwei.gateways.iso8583.faults import EncodeError, Fault

FOLDER = PACKAGE / "gateways" / "iso8583" / "dialects"

INTRODUCTION = """\
A dialect (报文方言) is how one network writes ISO 8583: a table of fields and a few choices of
form, as a TOML file in `src/zhiwei/gateways/iso8583/dialects/`. It is chosen with `zhiwei serve
--dialect NAME`."""

NOTATION = """\
The notation is the standard's. `n 6`: six digits. `an 12`, `ans 40`: so many characters. `n
..19`: up to 19, after a length of two digits; `ans ...999`: of three. `b 8`: so many bytes. `x+n
9`: `C` or `D` and eight digits. `z ..37`: a track. A word behind it says where a field has
another form than its dialect (`text`, `packed`, `raw`, `hex`), or where its odd digit stands
(`left`, `right`). An empty cell: as in the standard. `–`: the dialect has no such field.
**dropped**: the content is a secret (a track, a PIN block, chip data, a verification value) and
is forgotten while the message is read; only that it was there is known."""

FRAMES = """\
A frame is a length, then perhaps bytes that the length does not count, then a header, then the
message. The longest frame that is accepted is {frame_max:,} bytes. A length that is no number, or
over that bound, ends the connection: the stream cannot be cut any further."""

CODES = """\
*Codes* is the table of [response codes](reasons.md) for cards that are not known; a known card's
own network chooses its table."""

PIECES = """\
Where a dialect keeps something in a part of a field: data element, first character (from 0) and
number of characters."""

FAULTS = """\
A message that cannot be read is logged and counted (`zhiwei_format_errors_total`) without its
content, and answered with `format_error` (DE39 `30`) where its type and its trace number (DE11)
could be read. The connection goes on."""


def iso8583_page() -> str:
    """The page."""
    names = dialects.names()
    known = [dialects.named(name) for name in names]
    return page(
        "ISO 8583: dialects and fields 报文方言与域",
        INTRODUCTION,
        table(("dialect", "what it is"), ((code(each.name), each.title) for each in known)),
        "## Forms",
        table(
            ("dialect", "type", "bitmap", "characters", "digits", "lengths", "frame", "codes"),
            [_form(each) for each in known],
        ),
        CODES,
        "## Frames",
        FRAMES.format(frame_max=frame.FRAME_MAX_DEFAULT),
        table(("length", "bytes", "written as"), _lengths()),
        table(("header", "bytes", "what it is"), _headers()),
        "## Fields",
        NOTATION,
        table(("DE", "what it is", "standard", *names), _fields(known)),
        "## Pieces of fields",
        PIECES,
        table(("dialect", "pieces"), [(code(each.name), _parts(each)) for each in known]),
        "## What comes back",
        "An answer repeats these fields of its request as they were sent, and adds DE38 and DE39:",
        bullets(f"{code(each.name)}: {_echo(each)}" for each in known),
        "## Faults",
        FAULTS,
        table(
            ("fault", "what is said, with the field behind it"),
            ((code(f.value), EncodeError(f, 0)) for f in Fault),
        ),
    )


def _form(dialect: Dialect) -> tuple[str, ...]:
    layout = _table(dialect.name)["layout"]
    framing = _table(dialect.name).get("frame", {"length": "binary2"})
    words = [code(framing["length"])]
    if framing.get("header"):
        words.append(f"header {code(framing['header'])}")
    if framing.get("reserved"):
        words.append(f"{framing['reserved']} zero bytes")
    return (
        code(dialect.name),
        Form(dialect.mti_form).name.lower(),
        Form(dialect.bitmap_form).name.lower(),
        str(layout["charset"]),
        str(layout["digits"]),
        Form(dialect.length_form).name.lower(),
        ", ".join(words),
        code(dialect.meaning.network),
    )


def _lengths() -> list[tuple[str, int, str]]:
    return [
        (code(name), size, "decimal digits" if is_text else "binary, big-endian")
        for name, (size, is_text) in frame.LENGTHS.items()
    ]


def _headers() -> list[tuple[str, int, str]]:
    comments = comments_in(frame)
    values = {
        id(getattr(frame, name)): comment
        for name, comment in comments.items()
        if isinstance(getattr(frame, name, None), frame.Header)
    }
    return [
        (code(name), header.size, values.get(id(header), ""))
        for name, header in frame.HEADERS.items()
    ]


def _fields(known: list[Dialect]) -> list[tuple[str, ...]]:
    """One row for each field: its name, the standard's notation, and what each dialect changes."""
    standard = _notations("_iso87")
    names = _names("_iso87")
    written = {each.name: _notations(each.name) for each in known}
    rows = []
    for number in sorted(set(standard).union(*written.values())):
        cells = []
        for each in known:
            notation = written[each.name].get(number, "absent")
            words = [] if notation == standard.get(number) else [code(notation)]
            if notation == "absent":
                words = ["–"]
            elif number in each.withheld:
                words.append("**dropped**")
            cells.append(" ".join(words))
        about = names.get(number) or next(
            (found for each in known if (found := _names(each.name).get(number))), ""
        )
        rows.append((str(number), about, code(standard.get(number, "")), *cells))
    return rows


def _parts(dialect: Dialect) -> str:
    parts = dialect.meaning.parts.items()
    return ", ".join(f"{name} DE{de} {start}+{size}" for name, (de, start, size) in parts)


def _echo(dialect: Dialect) -> str:
    return ", ".join(str(number) for number in dialect.meaning.echo)


def _table(name: str) -> dict[str, Any]:
    """The TOML of a dialect."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def _notations(name: str) -> dict[int, str]:
    """The notations of a dialect by field, with those of the table that it extends below them."""
    found = _table(name)
    before = _notations(found["extends"]) if "extends" in found else {}
    return before | {int(number): text for number, text in found.get("fields", {}).items()}


def _names(name: str) -> dict[int, str]:
    """What the table says of its fields, in the comments beside them."""
    text = (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    rows = re.findall(r'^(\d+) = "[^"]*"\s*# (.+)$', text, flags=re.MULTILINE)
    return {int(number): about for number, about in rows}

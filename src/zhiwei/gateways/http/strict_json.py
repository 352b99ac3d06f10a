"""JSON as RFC 8259 writes it and nothing beside it: one meaning for one text.

Python's reader takes `NaN`, lets the last of two equal names win and follows any nesting; a payment
message must not mean two things to two readers, so all of these are errors here.
"""

from __future__ import annotations

import json
from typing import Any, Final

from zhiwei.gateways.http.masking import masked
from zhiwei.gateways.http.problems import Fault, Problem

#: Arrays and objects inside each other.
DEPTH_MAX: Final = 16


def document_in(body: bytes) -> Any:  # noqa: ANN401 - JSON is anything until a model has read it
    """The document of a request body.

    Raises:
        Problem: `malformed_json` (400), with what is wrong and nothing of the content.
    """
    try:
        document = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_no_constant,
        )
    except UnicodeDecodeError:
        raise _malformed("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise _malformed(f"nested deeper than {DEPTH_MAX}") from None
    except ValueError:
        # A whole number of more than 4,300 digits.
        raise _malformed("a number is too long") from None
    _check_depth(document, DEPTH_MAX)
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are all different."""
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _malformed(f"the name `{masked(name, 40)}` stands twice in one object")
            seen.add(name)
    return members


def _no_constant(name: str) -> None:
    raise _malformed(f"`{name}` is not JSON")


def _check_depth(value: object, left: int) -> None:
    """Raise unless arrays and objects are nested at most `left` deep."""
    if isinstance(value, dict):
        children = list(value.values())
        for name in value:
            if not name.isprintable():
                _check_text(name)
    elif isinstance(value, list):
        children = value
    else:
        if isinstance(value, str) and not value.isprintable():
            _check_text(value)
        return
    if left == 0:
        raise _malformed(f"nested deeper than {DEPTH_MAX}")
    for child in children:
        _check_depth(child, left - 1)


def _check_text(text: str) -> None:
    r"""Raise for half a surrogate pair (`"\ud800"`), which no store or peer can keep as UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise _malformed("a text holds half of a surrogate pair") from None


def _malformed(detail: str) -> Problem:
    return Problem("malformed_json", detail, errors=(Fault("", "malformed_json", detail),))

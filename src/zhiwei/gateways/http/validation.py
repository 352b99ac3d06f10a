"""Validation: what the models found wrong, as faults with a place and without the value.

A field that is missing, unknown or of another type makes the request malformed (400); a value of
the right type that is not allowed is 422.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from zhiwei.gateways.http.problems import Fault, Problem

_CODES: Final = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "json_invalid": "malformed_json",
    "literal_error": "unknown_value",
    "enum": "unknown_value",
    "string_pattern_mismatch": "bad_format",
    "string_too_long": "too_long",
    "string_too_short": "too_short",
    "too_long": "too_many",
    "too_short": "too_few",
    "greater_than_equal": "too_small",
    "less_than_equal": "too_large",
    "int_parsing_size": "too_large",
}
_MALFORMED: Final = frozenset(("missing", "extra_forbidden", "json_invalid"))
#: More faults than this say nothing more.
FAULTS_MAX: Final = 50


def problem_of_errors(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """One problem with every fault; malformed if any of them is."""
    faults = tuple(_fault(error) for error in errors[:FAULTS_MAX])
    code = "malformed_request" if any(map(_is_malformed, errors)) else "not_allowed"
    place = faults[0].pointer or "the request"
    return Problem(code, f"{place}: {faults[0].detail}", errors=faults)


def _is_malformed(error: Mapping[str, Any]) -> bool:
    """Whether the shape is wrong, and not only the value."""
    kind = str(error["type"])
    if kind == "literal_error":
        return not isinstance(error.get("input"), str)
    return (
        kind in _MALFORMED
        or kind.endswith(("_type", "_parsing", "_attributes_type"))
        or kind in ("int_from_float", "none_required")
    )


def _fault(error: Mapping[str, Any]) -> Fault:
    kind = str(error["type"])
    where, *path = error["loc"] or ("body",)
    code = _CODES.get(kind, "wrong_type" if _is_malformed(error) else kind)
    detail = str(error["msg"])[:1].lower() + str(error["msg"])[1:]
    if where != "body":
        name = "/".join(str(part) for part in path)
        return Fault("", code, f"`{name}` ({where}): {detail}")
    return Fault(_pointer(path), code, detail)


def _pointer(path: Sequence[int | str]) -> str:
    """JSON pointer (RFC 6901)."""
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in path]
    return "".join(f"/{part}" for part in parts)

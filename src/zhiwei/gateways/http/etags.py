"""ETags: nobody overwrites what they have not seen (RFC 9110, section 13).

A control's ETag is a digest of its document. A change says which state it starts from: `If-Match`
with the ETag that was read, or `If-None-Match: *` for a control that is not set yet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from fastapi import Request

from zhiwei.core.controls import Control
from zhiwei.core.documents import etag
from zhiwei.gateways.http.problems import Problem

_TAGS: Final = re.compile(r'(?:W/)?"[!#-~]*"(?:\s*,\s*(?:W/)?"[!#-~]*")*', re.ASCII)
_TAG: Final = re.compile(r'(?:W/)?"[!#-~]*"', re.ASCII)
#: Matches no control: its precondition has failed already.
_NOTHING: Final = '""'


@dataclass(frozen=True)
class Precondition:
    """Which state a change starts from."""

    #: The ETag that the control must have.
    if_match: str = ""
    #: The control must not be set.
    if_none_match: bool = False


def precondition_in(request: Request, current: Control | None) -> Precondition:
    """What the call says; `current` is the control as it stands.

    Raises:
        Problem: `bad_precondition`, `precondition_required`, or `precondition_failed` for
        `If-Match: *`
            on a control that is not set.
    """
    match = ", ".join(request.headers.getlist("if-match")).strip()
    none_match = ", ".join(request.headers.getlist("if-none-match")).strip()
    if match and none_match:
        raise Problem("bad_precondition", "send `If-Match` or `If-None-Match`, not both")
    if none_match:
        if none_match != "*":
            raise Problem("bad_precondition", "a change knows `If-None-Match: *` only")
        return Precondition(if_none_match=True)
    if not match:
        detail = "send the control's ETag in `If-Match`, or `If-None-Match: *` if it is not set yet"
        raise Problem("precondition_required", detail)
    known = "" if current is None else etag(current)
    if match == "*":
        if not known:
            raise Problem("precondition_failed")
        return Precondition(if_match=known)
    if _TAGS.fullmatch(match) is None:
        raise Problem("bad_precondition", "an ETag stands in double quotes")
    tags: list[str] = _TAG.findall(match)
    # Only strong tags match here; whatever was sent, the core compares it once more as it writes.
    chosen = known if known in tags else next((t for t in tags if not t.startswith("W/")), _NOTHING)
    return Precondition(if_match=chosen)


def is_known(request: Request, tag: str) -> bool:
    """Whether a reader says that it has this state already (`If-None-Match`)."""
    told = ", ".join(request.headers.getlist("if-none-match")).strip()
    return told == "*" or tag in [t.removeprefix("W/") for t in _TAG.findall(told)]

"""Replies: how a document becomes an answer, always in the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Response

from zhiwei.gateways.http.problems import MEDIA_TYPE, Problem

#: Says that the answer is one that was given before to the same Idempotency-Key.
REPLAYED = "Idempotent-Replayed"


def text_of(document: Mapping[str, Any]) -> str:
    """The document in the one way that this door writes JSON."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def reply(
    document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A success."""
    return reply_text(text_of(document), status, headers)


def reply_text(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A success whose text is known already."""
    return Response(
        text.encode(), status, headers=dict(headers or {}), media_type="application/json"
    )


def reply_problem(problem: Problem, request_id: str) -> Response:
    """An answer that is not a success."""
    text = text_of(problem.document(request_id))
    return Response(text.encode(), problem.status_code, dict(problem.headers or {}), MEDIA_TYPE)


def replayed(is_replay: bool) -> dict[str, str]:
    """The header that tells a replay."""
    return {REPLAYED: "true"} if is_replay else {}

"""Idempotency: a POST that is sent again with its `Idempotency-Key` gets the same answer again.

The key belongs to one API key and one operation; for calls about a card, to that card too. What
moves a card's file is recognized by the core, in the very transaction that it wrote (kept 7 days).
Everything else is recognized here: the answer is kept with what it made, in one step, for 24 hours.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from fastapi import Request, Response

from zhiwei.core.identity import idempotency_key
from zhiwei.core.result import Audit, Rejection
from zhiwei.gateways.http.caller import Caller
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.problems import Fault, Problem, problem_of_rejection
from zhiwei.gateways.http.replies import REPLAYED, reply_text, text_of
from zhiwei.ports import (
    ANSWER_STANDS_MS,
    Kept,
    RecordOvertakenError,
    RecordStandsError,
    StoredAnswer,
)

KEY_MAX = 255


@dataclass(frozen=True)
class Made:
    """What a POST made: the answer, and what is to be kept with it."""

    answer: Document
    records: Sequence[Kept] = ()
    audits: Sequence[Audit] = ()
    status: int = 201


def key_in(request: Request) -> str:
    """The caller's Idempotency-Key, empty where none was sent.

    Raises:
        Problem: `bad_idempotency_key`.
    """
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return ""
    key = keys[0]
    is_visible = key.isascii() and key.isprintable() and " " not in key
    if len(keys) > 1 or not 1 <= len(key) <= KEY_MAX or not is_visible:
        raise Problem("bad_idempotency_key")
    return key


def digest_for(request: Request, caller: Caller, operation: str) -> bytes:
    """Digest by which the core recognizes a command that is sent again; empty without a key."""
    key = _keyed(request, key_in(request))
    return idempotency_key(f"{caller.key.id}|{operation}", key) if key else b""


async def once(
    request: Request,
    house: House,
    caller: Caller,
    operation: str,
    work: Callable[[], Awaitable[Made]],
    own_key: str = "",
) -> Response:
    """Do the work and keep what it made, or give the answer that was kept.

    `own_key` stands in for the Idempotency-Key where the call is recognized by something else.

    Raises:
        Problem: `same_key_other_body`, `same_key_in_progress`, and whatever the work raises; a
            failure is not kept, so it can be tried again with the same key.
    """
    key = _keyed(request, own_key or key_in(request))
    if not key:
        made = await work()
        await _keep(house, caller, made, ())
        return reply_text(text_of(made.answer), made.status)
    record_id = "idem_" + idempotency_key(f"{caller.key.id}|{operation}", key).hex()
    body_hash = _body_hash(house, await request.body())
    stored = house.reader.record(StoredAnswer, record_id)
    if stored is not None and house.clock.now_ms() - stored.created_ms < ANSWER_STANDS_MS:
        return _again(stored, body_hash)
    running: set[str] = request.app.state.running
    if record_id in running:
        raise Problem("same_key_in_progress", errors=(Fault("", "same_key_in_progress", ""),))
    running.add(record_id)
    try:
        made = await work()
        text = text_of(made.answer)
        answer = StoredAnswer(record_id, house.clock.now_ms(), body_hash, made.status, text)
        await _keep(house, caller, made, (answer,))
    except (RecordStandsError, RecordOvertakenError):
        # Mostly the same call came to another server at the same time, and that was the first.
        stored = house.reader.record(StoredAnswer, record_id)
        if stored is None:
            raise
        return _again(stored, body_hash)
    finally:
        running.discard(record_id)
    return reply_text(text, made.status)


def _again(stored: StoredAnswer, body_hash: str) -> Response:
    """The answer that was kept, if the call is the same one."""
    if not hmac.compare_digest(stored.body_hash, body_hash):
        raise problem_of_rejection(Rejection.SAME_KEY_OTHER_BODY)
    return reply_text(stored.answer, stored.status, {REPLAYED: "true"})


async def _keep(house: House, caller: Caller, made: Made, extra: tuple[Any, ...]) -> None:
    """Keep everything in one step."""
    records = (*made.records, *extra)
    if records or made.audits:
        await house.keep(records, made.audits, caller.actor)


def _keyed(request: Request, key: str) -> str:
    """A digest of the caller's key under ours; empty where there is none.

    Callers make keys of anything, a card number among it, which a plain digest would give away.
    """
    house: House = request.app.state.house
    secret = house.vault.derived_secret("idempotency-key")
    return hmac.new(secret, key.encode(), sha256).hexdigest() if key else ""


def _body_hash(house: House, body: bytes) -> str:
    """Keyed digest of a body: it may hold a card number, which a plain digest would give away."""
    return hmac.new(house.vault.derived_secret("idempotency"), body, sha256).hexdigest()

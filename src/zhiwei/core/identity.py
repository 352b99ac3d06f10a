"""Identity of a card message: what makes a repeat a repeat.

STAN alone wraps within a day at a busy terminal. The trace key is what every follow-up message
repeats of its original (DE90: transmission time, STAN, acquirer, forwarder); entries are found by
it, and the full identity (terminal, RRN and message class as well) is then compared field by field.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from zhiwei.core.request import Request

KEY_BYTES: Final = 16


def trace_key(
    transmitted_at: str, stan: str, acquirer: str, forwarder: str, terminal: str, rrn: str
) -> bytes:
    """Digest by which an entry is found; empty where the message has no trace of its own.

    Messages of terminals have no transmission time; for them the terminal and its RRN stand in.
    """
    if not stan:
        return b""
    if transmitted_at:
        text = f"t|{transmitted_at}|{stan}|{acquirer}|{forwarder}"
    elif terminal or rrn:
        text = f"p|{stan}|{terminal}|{rrn}"
    else:
        return b""
    return blake2b(text.encode(), digest_size=KEY_BYTES).digest()


def request_trace_key(request: Request) -> bytes:
    """Trace key of a request."""
    return trace_key(
        request.transmitted_at,
        request.stan,
        request.acquirer,
        request.forwarder,
        request.terminal,
        request.rrn,
    )


def is_same_message(first: Request, second: Request) -> bool:
    """Whether two requests with the same trace key are the same message, sent again."""
    return (
        first.message_class is second.message_class
        and first.stan == second.stan
        and first.transmitted_at == second.transmitted_at
        and first.acquirer == second.acquirer
        and first.forwarder == second.forwarder
        and first.terminal == second.terminal
        and first.rrn == second.rrn
    )


def has_same_body(first: Request, second: Request) -> bool:
    """Whether the repeat asks for the same thing: kind, amounts, currencies and merchant."""
    return (
        first.kind is second.kind
        and first.amount_minor == second.amount_minor
        and first.currency == second.currency
        and first.billing_amount_minor == second.billing_amount_minor
        and first.billing_currency == second.billing_currency
        and first.merchant_id == second.merchant_id
    )


def idempotency_key(scope: str, key: str) -> bytes:
    """Digest of a caller's Idempotency-Key within its scope (who calls, and which operation)."""
    return blake2b(f"i|{scope}|{key}".encode(), digest_size=KEY_BYTES).digest()


def movement_key(reference: str) -> bytes:
    """Digest under which a movement of money that was told is found by its reference (RRN)."""
    return blake2b(f"m|{reference}".encode(), digest_size=KEY_BYTES).digest()


def undone_key(version: int) -> bytes:
    """Digest under which the reversal of a card's entry `version` is found again."""
    return blake2b(f"u|{version}".encode(), digest_size=KEY_BYTES).digest()

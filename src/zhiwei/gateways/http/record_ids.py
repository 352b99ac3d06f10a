"""Ids of what is not in a card's journal: cardholders, keys, check-ups, subscriptions, messages."""

from __future__ import annotations

import secrets
from base64 import b32hexencode
from threading import Lock
from typing import Final, final

_LETTERS: Final = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


def request_id() -> str:
    """`req_` and 24 random letters; without digits, so that no log takes it for a card number."""
    return "req_" + secrets.token_hex(12).translate(_LETTERS)


@final
class IdMint:
    """Makes ids that sort by their time, within one millisecond and after a step back too."""

    __slots__ = ("_last", "_lock")

    def __init__(self) -> None:
        self._lock: Final = Lock()
        # 48 bits of milliseconds and 16 bits that count up.
        self._last = 0

    def new(self, prefix: str, now_ms: int) -> str:
        """For example `holder_` and 26 letters: 64 bits of time and order, 64 random ones."""
        with self._lock:
            self._last = max(self._last + 1, now_ms << 16)
            time_and_order = self._last
        raw = time_and_order.to_bytes(8, "big") + secrets.token_bytes(8)
        return f"{prefix}_{b32hexencode(raw).decode().rstrip('=').lower()}"

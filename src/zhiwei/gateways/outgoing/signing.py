"""Signatures by Standard Webhooks: id, time and body under every secret that is valid now."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from standardwebhooks import Webhook

PREFIX: Final = "whsec_"
#: The standard asks for 24 to 64 bytes; shorter ones could be guessed, longer ones gain nothing.
_BYTES: Final = range(24, 65)


def secret_text(secret: bytes) -> str:
    """A secret as Standard Webhooks writes it: `whsec_…`."""
    return PREFIX + b64encode(secret).decode()


def is_secret(text: str) -> bool:
    """Whether a text is a secret as the standard writes it, of 24 to 64 bytes."""
    return secret_bytes(text) is not None


def secret_bytes(text: str) -> bytes | None:
    """The bytes of a secret as the standard writes it; None where it is none."""
    try:
        raw = b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) in _BYTES else None


def signed_headers(
    message_id: str, body: str, secrets: Sequence[str], now_ms: int
) -> dict[str, str]:
    """The three headers of a message.

    Args:
        message_id: the same for each try, so that the receiver can drop repeats.
        body: exactly what is sent.
        secrets: all that are valid, the newest first; the receiver accepts any of them.
        now_ms: the machine's time of this try (UTC ms): receivers refuse what is 5 minutes off.
    """
    at = datetime.fromtimestamp(now_ms // 1_000, UTC)
    signatures = [Webhook(secret).sign(message_id, at, body) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(now_ms // 1_000),
        "webhook-signature": " ".join(signatures),
    }

"""Public ids: a prefix and the card's key and version, so that an id needs no lookup.

`auth_`, `chg_`, `exc_`, `bind_`, `stop_` and `evt_` ids name an entry of a card's journal; `card_`
ids name the card. The letters are base32hex in lower case (RFC 4648), which sorts as the bytes do.
"""

from __future__ import annotations

from base64 import b32hexdecode, b32hexencode
from typing import Final

CARD_KEY_BYTES: Final = 16
_VERSION_BYTES: Final = 5


def card_id(card_key: bytes) -> str:
    """`card_` and 26 letters."""
    return "card_" + _letters(card_key)


def entry_id(prefix: str, card_key: bytes, version: int) -> str:
    """For example `auth_` and 34 letters."""
    return f"{prefix}_{_letters(card_key + version.to_bytes(_VERSION_BYTES, 'big'))}"


def card_key_of(text: str) -> bytes | None:
    """The card key of a `card_` id; None where the text is not one."""
    raw = _bytes(text, "card")
    return raw if raw is not None and len(raw) == CARD_KEY_BYTES else None


def entry_of(prefix: str, text: str) -> tuple[bytes, int] | None:
    """Card key and version of an entry id; None where the text is not one of this prefix."""
    raw = _bytes(text, prefix)
    if raw is None or len(raw) != CARD_KEY_BYTES + _VERSION_BYTES:
        return None
    version = int.from_bytes(raw[CARD_KEY_BYTES:], "big")
    return (raw[:CARD_KEY_BYTES], version) if version > 0 else None


def _letters(raw: bytes) -> str:
    return b32hexencode(raw).decode().rstrip("=").lower()


def _bytes(text: str, prefix: str) -> bytes | None:
    """What the letters after `prefix_` say; None unless they say it in exactly one way."""
    head, _, letters = text.partition("_")
    if head != prefix or len(letters) > 64 or not letters.isascii() or letters != letters.lower():
        return None
    try:
        raw = b32hexdecode(letters.upper() + "=" * (-len(letters) % 8))
    except ValueError:
        return None
    # Spare bits at the end would give one entry several ids.
    return raw if _letters(raw) == letters else None

"""Keys of the HTTP door: made once, shown once, kept as a hash.

A key reads `zw_<id>_<secret>`. The secret has 256 random bits, so one round of SHA-256 keeps it
safe; the comparison takes the same time whatever is wrong.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from zhiwei.core.errors import ZhiweiError
from zhiwei.gateways.http.record_ids import IdMint
from zhiwei.ports import ApiKey

ISSUER: Final = "issuer"
OPERATOR: Final = "operator"
CARDHOLDER: Final = "cardholder"
SCOPES: Final = (ISSUER, OPERATOR, CARDHOLDER)

_KEY: Final = re.compile(r"zw_([0-9a-v]{26})_([A-Za-z0-9_-]{43})", re.ASCII)
_NO_HASH: Final = "0" * 64


class BadScopeError(ZhiweiError):
    """a scope is `issuer`, `operator` or `cardholder:<id>`"""


def scope_and_subject(text: str) -> tuple[str, str]:
    """Scope and cardholder id of `issuer`, `operator` or `cardholder:<id>`.

    Raises:
        BadScopeError: the text is none of these.
    """
    scope, _, subject = text.partition(":")
    if scope not in SCOPES or (scope == CARDHOLDER) != bool(subject):
        raise BadScopeError
    return scope, subject


def new_key(
    scope: str, subject: str, label: str, now_ms: int, mint: IdMint | None = None
) -> tuple[ApiKey, str]:
    """A record to keep and the key to print once; the key cannot be had from the record."""
    key_id = (mint or IdMint()).new("key", now_ms)
    secret = secrets.token_urlsafe(32)
    text = f"zw_{key_id.removeprefix('key_')}_{secret}"
    return ApiKey(key_id, now_ms, hashed(text), scope, subject, label), text


def hashed(text: str) -> str:
    """SHA-256 of a whole key, hex."""
    return sha256(text.encode()).hexdigest()


def key_named(text: str, find: Callable[[str], ApiKey | None]) -> ApiKey | None:
    """The key that this text is, None where it is none or was revoked."""
    match = _KEY.fullmatch(text)
    if match is None:
        return None
    found = find(f"key_{match[1]}")
    known = _NO_HASH if found is None else found.secret_hash
    if not hmac.compare_digest(known, hashed(text)) or found is None or found.revoked_ms:
        return None
    return found

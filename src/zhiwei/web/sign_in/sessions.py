"""Sessions: who a cookie belongs to, how long, and the tokens that its forms carry.

The cookie's value is 256 random bits; the store keeps its SHA-256 only, so a stolen copy of the
file opens no session. Every sign-in makes a new one, so that nobody can be made to use a session
that somebody else knows (fixation).

A CSRF token is the session's secret under a mask of its own (BREACH: what is compressed together
with what an attacker chose must not repeat from page to page).
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import replace
from hashlib import sha256
from typing import Final, Protocol, final

from zhiwei.web.sign_in.model import SESSION_MS, Face, FaceStore, Proof, Role, Session

#: A session that is not used for so long is over.
IDLE_MS: Final = {
    Face.CARDHOLDER: 15 * 60_000,
    Face.CONTACT: 15 * 60_000,
    Face.OPERATOR: 30 * 60_000,
}
#: That it is used is written down once in so long.
TOUCH_MS: Final = 60_000
_BYTES: Final = 32
#: 256 bits in base64url.
_COOKIE: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_TOKEN: Final = re.compile(r"[0-9a-f]{128}", re.ASCII)


class Clock(Protocol):
    """The house's clock."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        ...


@final
class Sessions:
    """Opens, finds and ends sessions. Thread-safe; it reads and writes a file, so off the loop."""

    def __init__(self, store: FaceStore, clock: Clock) -> None:
        self._store: Final = store
        self._clock: Final = clock

    def open(
        self, face: Face, subject: str, cardholder: str, role: Role, proof: Proof
    ) -> tuple[str, Session]:
        """A new session: the value of its cookie, which is kept nowhere, and the session.

        Raises:
            StoreUnavailableError: it cannot be kept.
        """
        cookie = secrets.token_urlsafe(_BYTES)
        now_ms = self._clock.now_ms()
        session = Session(
            id=hashed(cookie),
            face=face,
            subject=subject,
            cardholder=cardholder,
            role=role,
            proof=proof,
            created_ms=now_ms,
            seen_ms=now_ms,
            csrf=secrets.token_hex(_BYTES),
        )
        self._store.add_session(session)
        return cookie, session

    def session_of(self, cookie: str) -> Session | None:
        """The session of a cookie; None where there is none, or it is over.

        Its `seen_ms` moves on with it, at most once in `TOUCH_MS`.

        Raises:
            StoreUnavailableError: it cannot be looked up.
        """
        if not _COOKIE.fullmatch(cookie):
            return None
        session = self._store.session(hashed(cookie))
        if session is None:
            return None
        now_ms = self._clock.now_ms()
        if is_over(session, now_ms):
            self._store.end_sessions(session_id=session.id)
            return None
        if now_ms - session.seen_ms >= TOUCH_MS:
            self._store.touch_session(session.id, now_ms)
            return replace(session, seen_ms=now_ms)
        return session

    def end(self, cookie: str) -> None:
        """End the session of a cookie, if there is one.

        Raises:
            StoreUnavailableError: it goes on.
        """
        if _COOKIE.fullmatch(cookie):
            self._store.end_sessions(session_id=hashed(cookie))

    def end_all(self, subject: str) -> int:
        """End all sessions of a person; returns how many there were.

        Raises:
            StoreUnavailableError: they go on.
        """
        return self._store.end_sessions(subject=subject)


def is_over(session: Session, now_ms: int) -> bool:
    """Whether a session has ended by itself: unused for too long, or too old."""
    is_idle = now_ms - session.seen_ms >= IDLE_MS[session.face]
    return is_idle or now_ms - session.created_ms >= SESSION_MS


def hashed(secret: str) -> str:
    """SHA-256 of a random secret, hex; 256 bits need no slow hash."""
    return sha256(secret.encode()).hexdigest()


def csrf_token(session: Session) -> str:
    """A token for a form of this session; another one each time, all of them valid."""
    return masked(session.csrf)


def is_csrf_token(session: Session, text: str) -> bool:
    """Whether a form was made for this session; takes the same time whatever is wrong."""
    return is_mask_of(session.csrf, text)


def masked(secret: str) -> str:
    """32 bytes (hex) under a fresh mask: the mask, then both combined, 128 hex digits."""
    mask = secrets.token_bytes(_BYTES)
    return (mask + _combined(mask, bytes.fromhex(secret))).hex()


def is_mask_of(secret: str, text: str) -> bool:
    """Whether a text is what `masked` makes of this secret."""
    if not _TOKEN.fullmatch(text):
        return False
    raw = bytes.fromhex(text)
    told = _combined(raw[:_BYTES], raw[_BYTES:])
    return hmac.compare_digest(told, bytes.fromhex(secret))


def _combined(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))

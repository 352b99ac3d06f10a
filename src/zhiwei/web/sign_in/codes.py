"""Codes and links: six digits to a phone, and addresses that let somebody in once.

A code is for one purpose: to sign in, in the browser that asked for it, or to prove one change. It
has five tries and five minutes. How many are sent is bounded for each number, known to the house or
not, so that neither the answer nor the bound tells who is a customer; and for each block of
numbers, so that nobody earns money with our messages (SMS pumping).

Guessing: at most 10 codes of 5 tries a day, of a million; that is 1 in 20,000 a day.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, final

from starlette.concurrency import run_in_threadpool

from zhiwei.gateways.http.house import Queue
from zhiwei.gateways.http.record_ids import IdMint
from zhiwei.messaging.model import ONE_TIME_CODE, Message
from zhiwei.messaging.numbers import prefix_of
from zhiwei.web.sign_in.model import Code, Face, FaceStore
from zhiwei.web.sign_in.sessions import Clock, hashed
from zhiwei.web.sign_in.texts import text_to
from zhiwei.words.sentences import FactMap

#: A code and a link live for so long.
CODE_MS: Final = 5 * 60_000
LINK_MS: Final = 15 * 60_000
TRIES: Final = 5
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
#: What a text says of the change that it proves is cut here, so that it stays one part.
WHAT_MAX: Final = {"zh": 20, "en": 60}
_DIGITS: Final = 6
_CODE: Final = re.compile(r"\d{6}", re.ASCII)
_LINK: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_SPACES: Final = re.compile(r"[\s-]")


@dataclass(frozen=True)
class CodeBounds:
    """How many codes are sent."""

    per_number_hour: int = 5
    per_number_day: int = 10
    #: Numbers that begin alike, of all people together.
    per_prefix_hour: int = 120


class Asked(StrEnum):
    """What became of a wish for a code."""

    #: If the number is known, a code is on its way.
    TAKEN = "taken"
    #: Too many were asked for; later.
    TOO_MANY = "too_many"


class Text(Protocol):
    """The catalogue's sentences (`Words.text`)."""

    def __call__(self, key: str, language: str, facts: FactMap) -> str:
        """A sentence in one language."""
        ...


def sign_in_purpose(visit: str, face: Face, subject: str) -> str:
    """A code that signs somebody in, in the browser of this visit (`visits.visit_id`) only."""
    return f"enter|{visit}|{int(face)}|{subject}"


def deed_purpose(deed_id: str) -> str:
    """A code that proves one change; a deed belongs to one session."""
    return f"deed|{deed_id}"


@final
class Codes:
    """Sends one-time codes and knows them again. Thread-safe."""

    def __init__(
        self,
        store: FaceStore,
        clock: Clock,
        text: Text,
        queue: Queue | None,
        secret: bytes,
        bounds: CodeBounds | None = None,
    ) -> None:
        """`queue` None = no text messages can be sent; `secret` is kept out of the store."""
        self._store: Final = store
        self._clock: Final = clock
        self._text: Final = text
        self._queue: Final = queue
        self._secret: Final = secret
        self._bounds: Final = bounds if bounds is not None else CodeBounds()
        self._mint: Final = IdMint()

    @property
    def is_on(self) -> bool:
        """Whether codes can be sent at all."""
        return self._queue is not None

    def may_ask(self, number: str, scope: str = "enter") -> Asked:
        """Count a wish for a code to a number; call it for unknown numbers too.

        `scope` is `enter` or `deed`: a stranger who asks for codes to sign in cannot keep somebody
        from proving a change.

        Raises:
            StoreUnavailableError: it could not be counted, so nothing may be sent.
        """
        now_ms = self._clock.now_ms()
        # Numbers are counted by a digest, so that the file is no list of who was here.
        one = f"{scope}|{self._digest('number', number)}"
        count = self._store.count
        if count(one, now_ms, now_ms - DAY_MS) > self._bounds.per_number_day:
            return Asked.TOO_MANY
        if count(f"{one}|hour", now_ms, now_ms - HOUR_MS) > self._bounds.per_number_hour:
            return Asked.TOO_MANY
        block = f"{scope}|{self._digest('prefix', prefix_of(number))}"
        if count(block, now_ms, now_ms - HOUR_MS) > self._bounds.per_prefix_hour:
            return Asked.TOO_MANY
        return Asked.TAKEN

    async def send(self, purpose: str, number: str, language: str, what: str = "") -> None:
        """Make a code and queue its message; the code before of the same purpose is over.

        `what` = the change that it proves, in the person's language; empty = to sign in.

        Raises:
            StoreUnavailableError: nothing was sent.
        """
        assert self._queue is not None, "no text messages can be sent"
        code = f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}d}"
        now_ms = self._clock.now_ms()
        kept = Code(purpose, self._digest(purpose, code), now_ms, now_ms + CODE_MS, TRIES)
        await run_in_threadpool(self._store.add_code, kept)
        await self._queue((self._message(number, language, code, what, now_ms),))

    def is_right(self, purpose: str, code: str) -> bool:
        """Whether this is the code of the purpose; right once, and each wrong one costs a try.

        Raises:
            StoreUnavailableError: the try could not be written down, so it does not count as right.
        """
        plain = _SPACES.sub("", code[:20])
        if not _CODE.fullmatch(plain):
            # What cannot be a code is a slip of the hand, not a guess.
            return False
        return self._store.try_code(purpose, self._digest(purpose, plain), self._clock.now_ms())

    def _digest(self, purpose: str, text: str) -> str:
        """Under a key that is not in the file: a million codes are tried in no time."""
        return hmac.digest(self._secret, f"{purpose}\n{text}".encode(), "sha256").hex()

    def _message(self, number: str, language: str, code: str, what: str, now_ms: int) -> Message:
        facts = {"code": code, "what": what[: WHAT_MAX[language]]}
        text = self._text("code.deed" if what else "code.sign_in", language, facts)
        message_id = self._mint.new("msg_code", now_ms)
        return text_to(
            number,
            language,
            text,
            kind=ONE_TIME_CODE,
            message_id=message_id,
            created_ms=now_ms,
            expires_ms=now_ms + CODE_MS,
        )


def new_link(store: FaceStore, face: Face, subject: str, now_ms: int) -> str:
    """The path of a link that lets somebody in once, within `LINK_MS`; a link before is over.

    Raises:
        StoreUnavailableError: it could not be kept.
    """
    token = secrets.token_urlsafe(32)
    purpose = f"link|{int(face)}|{subject}"
    store.add_code(Code(purpose, _link_hash(token), now_ms, now_ms + LINK_MS, 1))
    return f"/enter/{token}"


def link_of(store: FaceStore, token: str, now_ms: int) -> tuple[Face, str] | None:
    """Face and subject of a link that is still valid; looking does not use it up.

    Raises:
        StoreUnavailableError: it cannot be looked up.
    """
    if not _LINK.fullmatch(token):
        return None
    code = store.code_of(_link_hash(token), now_ms)
    if code is None or not code.purpose.startswith("link|"):
        return None
    _, face, subject = code.purpose.split("|", 2)
    return Face(int(face)), subject


def take_link(store: FaceStore, token: str, now_ms: int) -> tuple[Face, str] | None:
    """The same, and it is used up: of two who take it at once, one gets it.

    Raises:
        StoreUnavailableError: it is not used up.
    """
    found = link_of(store, token, now_ms)
    if found is None:
        return None
    face, subject = found
    is_taken = store.try_code(f"link|{int(face)}|{subject}", _link_hash(token), now_ms)
    return found if is_taken else None


def _link_hash(token: str) -> str:
    return hashed(f"link|{token}")

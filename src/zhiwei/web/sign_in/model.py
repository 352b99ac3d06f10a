"""What is known of those who look at pages, and what the house asks of the store that keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

#: Every session is over after so long, used or not.
SESSION_MS: Final = 12 * 3_600_000
#: Things that are counted (`FaceStore.count`) are remembered for so long.
COUNTED_MS: Final = 24 * 3_600_000
#: Deeds that wait at once in one session; past it the oldest are dropped.
DEEDS_MAX: Final = 20
#: Passkeys of one person, at most.
PASSKEYS_MAX: Final = 20


class Face(IntEnum):
    """Which of the faces a session is for. Numbers are stored, never reused."""

    #: A cardholder, for the own cards.
    CARDHOLDER = 0
    #: A trusted contact (信任联系人) of a cardholder: may tighten, never loosen.
    CONTACT = 1
    #: An operator of the issuer.
    OPERATOR = 2


class Role(IntEnum):
    """What an operator may do. Numbers are stored, never reused."""

    #: Looks at everything, changes nothing.
    VIEWER = 0
    #: Tightens, sets a card's status, works on cases, replays dead letters.
    AGENT = 1
    #: An agent who may also propose and approve changes of the issuer's policy.
    OFFICER = 2


class Proof(IntEnum):
    """How somebody showed who they are. Numbers are stored, never reused."""

    PASSKEY = 0
    #: A one-time code by text message.
    CODE = 1
    #: The issuer's own sign-in (OpenID Connect).
    OIDC = 2
    #: A one-time link that an operator made (`zhiwei enter`), for a first visit and the demo.
    LINK = 3


@dataclass(frozen=True)
class Session:
    """A visit. The cookie's value is kept nowhere; its SHA-256 is the key."""

    #: SHA-256 of the cookie's value, hex.
    id: str
    face: Face
    #: Cardholder id, contact id or operator id.
    subject: str
    #: The cardholder whose cards are shown; empty for an operator.
    cardholder: str
    #: VIEWER unless an operator.
    role: Role
    proof: Proof
    created_ms: int
    #: When it was used last; it ends some minutes later (`Sessions`).
    seen_ms: int
    #: Secret from which the CSRF tokens of its forms are made, hex.
    csrf: str


@dataclass(frozen=True)
class Passkey:
    """A public key that a device of a person holds the private half of."""

    #: Credential id, base64url.
    id: str
    face: Face
    subject: str
    public_key: bytes
    sign_count: int
    label: str
    created_ms: int
    used_ms: int = 0


@dataclass(frozen=True)
class Operator:
    """A person at the issuer's desk."""

    id: str
    name: str
    role: Role
    created_ms: int
    #: Name by which the issuer's identity provider knows them; empty = not by OIDC.
    oidc_subject: str = ""
    disabled_ms: int = 0


@dataclass(frozen=True)
class Code:
    """A one-time code or link that was given out; only its hash is kept."""

    #: What it is for, and who may use it: `enter|<visit>|<face>|<subject>`, `deed|<deed id>`,
    #: `link|<face>|<subject>`, `passkey|<...>`, `oidc|<...>` (questions to a device, a provider).
    purpose: str
    #: Digest over purpose and code, hex; of a link over the token alone.
    hash: str
    created_ms: int
    expires_ms: int
    tries_left: int


@dataclass(frozen=True)
class Deed:
    """A change that a person asked for and that waits for proof of who they are."""

    id: str
    #: `Session.id` of who asked; nobody else can prove it.
    session: str
    #: Name of the deed in the table of deeds, card id, and the form as it came, JSON.
    name: str
    card: str
    form: str
    created_ms: int
    expires_ms: int


class FaceStore(Protocol):
    """Keeps sessions, passkeys, codes, operators and deeds. Every call is one transaction.

    `tests/stores/faces` defines what "supported" means. All raise StoreUnavailableError where the
    store cannot be read or written.
    """

    def close(self) -> None:
        """Let go of what is open."""
        ...

    def add_session(self, session: Session) -> None:
        """Keep a new session."""
        ...

    def session(self, session_id: str) -> Session | None:
        """A session by the hash of its cookie."""
        ...

    def touch_session(self, session_id: str, seen_ms: int) -> None:
        """It was used."""
        ...

    def end_sessions(self, *, session_id: str = "", subject: str = "") -> int:
        """End one session, or all of a subject; returns how many."""
        ...

    def add_passkey(self, passkey: Passkey) -> bool:
        """Keep a new passkey; False where its id is taken, or there are `PASSKEYS_MAX` of them."""
        ...

    def rename_passkey(self, passkey_id: str, label: str) -> bool:
        """Give a passkey another label; False where there was none."""
        ...

    def passkey(self, passkey_id: str) -> Passkey | None:
        """A passkey by its credential id."""
        ...

    def passkeys(self, face: Face, subject: str) -> Sequence[Passkey]:
        """All passkeys of somebody, oldest first."""
        ...

    def use_passkey(self, passkey_id: str, sign_count: int, used_ms: int) -> bool:
        """Note a use; False where the count did not grow (a copy of the key: refuse).

        A device that does not count says 0 each time, and that is no sign of a copy.
        """
        ...

    def remove_passkey(self, passkey_id: str) -> bool:
        """Forget a passkey; False where there was none."""
        ...

    def add_code(self, code: Code) -> None:
        """Keep a code; it replaces one of the same purpose."""
        ...

    def try_code(self, purpose: str, code_hash: str, now_ms: int) -> bool:
        """Use a code up: True once, within its time and tries; a wrong one costs a try."""
        ...

    def code_of(self, code_hash: str, now_ms: int) -> Code | None:
        """A code that is still valid, by its hash alone; only links are found so."""
        ...

    def count(self, name: str, now_ms: int, since_ms: int) -> int:
        """Count something under a name, and return how often it was counted since an instant.

        This time is among them. What is older than `COUNTED_MS` may be forgotten.
        """
        ...

    def add_operator(self, operator: Operator) -> None:
        """Keep a new operator or replace one."""
        ...

    def operator(self, operator_id: str) -> Operator | None:
        """An operator, disabled or not."""
        ...

    def operators(self) -> Sequence[Operator]:
        """All operators, oldest first."""
        ...

    def add_deed(self, deed: Deed) -> None:
        """Keep a deed until it is proved; of a session, the newest `DEEDS_MAX` are kept."""
        ...

    def deed(self, deed_id: str, session_id: str, now_ms: int) -> Deed | None:
        """A deed that still waits, for who asked only."""
        ...

    def take_deed(self, deed_id: str, session_id: str, now_ms: int) -> Deed | None:
        """The same, and it waits no more: of two who take it at once, one gets it."""
        ...

    def forget(self, now_ms: int) -> None:
        """Delete what is over: sessions, codes, counts and deeds."""
        ...

"""Passkeys (通行密钥): registration, sign-in and proof of a change, by WebAuthn.

Keys are resident (no name is asked first), and the device must verify its user by finger, face or
PIN. A question (challenge) is asked of one session or browser, for one thing, and answered once; in
the question for a change stands a digest of that change, so that a signature given for one change
proves no other.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final, final

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from zhiwei.core.errors import ZhiweiError
from zhiwei.web.sign_in.model import Code, Deed, Face, FaceStore, Passkey, Session
from zhiwei.web.sign_in.people import Person
from zhiwei.web.sign_in.sessions import Clock, hashed
from zhiwei.web.sign_in.site import Site

QUESTION_MS: Final = 5 * 60_000
#: An answer that is longer is none.
ANSWER_MAX: Final = 16_384
LABEL_MAX: Final = 40
_NAME: Final = "智卫 zhiwei"
_BYTES: Final = 32
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class BadPasskeyError(ZhiweiError):
    """the passkey's answer does not fit the question"""


class TooManyPasskeysError(ZhiweiError):
    """the key is known already, or there are too many"""


@final
class Passkeys:
    """Asks devices and checks what they answer. Thread-safe; reads and writes a file."""

    def __init__(self, store: FaceStore, clock: Clock, site: Site) -> None:
        self._store: Final = store
        self._clock: Final = clock
        self._site: Final = site

    def ask_for_new(self, session: Session, person: Person) -> str:
        """What the browser is to make a new key with, JSON (`parseCreationOptionsFromJSON`)."""
        challenge = secrets.token_bytes(_BYTES)
        known = self._store.passkeys(person.face, person.subject)
        options = generate_registration_options(
            rp_id=self._site.rp_id,
            rp_name=_NAME,
            user_id=user_handle(person.face, person.subject),
            user_name=person.name or person.subject,
            user_display_name=person.name or person.subject,
            challenge=challenge,
            timeout=QUESTION_MS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                require_resident_key=True,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.id)) for one in known
            ],
        )
        self._keep(f"passkey|new|{session.id}", challenge)
        return options_to_json(options)

    def add(self, session: Session, person: Person, answer: str, label: str) -> Passkey:
        """Keep the key that the browser made.

        Raises:
            BadPasskeyError: it does not answer this session's question.
            TooManyPasskeysError: it is known, or there are too many.
        """
        challenge = self._asked(f"passkey|new|{session.id}", answer)
        made = _checked(
            lambda: verify_registration_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._site.rp_id,
                expected_origin=self._site.origin,
                require_user_verification=True,
            )
        )
        passkey = Passkey(
            id=bytes_to_base64url(made.credential_id),
            face=person.face,
            subject=person.subject,
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            label=label_of(label),
            created_ms=self._clock.now_ms(),
        )
        if not self._store.add_passkey(passkey):
            raise TooManyPasskeysError
        return passkey

    def ask_who(self, visit: str) -> str:
        """A question to whatever key the device has for us, JSON; `visit` is `visits.visit_id`."""
        challenge = secrets.token_bytes(_BYTES)
        self._keep(f"passkey|enter|{visit}", challenge)
        return self._question(challenge, ())

    def who(self, visit: str, answer: str) -> Passkey:
        """Whose key answered.

        Raises:
            BadPasskeyError: none of ours did, or not to this browser's question.
        """
        challenge = self._asked(f"passkey|enter|{visit}", answer)
        return self._verified(answer, challenge)

    def ask_for(self, session: Session, deed: Deed) -> str:
        """A question about one change to the keys of who asked for it, JSON."""
        challenge = secrets.token_bytes(_BYTES) + deed_digest(deed)
        self._keep(f"passkey|deed|{session.id}|{deed.id}", challenge)
        known = self._store.passkeys(session.face, session.subject)
        return self._question(challenge, tuple(one.id for one in known))

    def prove(self, session: Session, deed: Deed, answer: str) -> Passkey:
        """The key by which who asked for the change proved it.

        Raises:
            BadPasskeyError: it is another's key, another question's answer, or of another change.
        """
        challenge = self._asked(f"passkey|deed|{session.id}|{deed.id}", answer)
        if not hmac.compare_digest(challenge[_BYTES:], deed_digest(deed)):
            raise BadPasskeyError
        passkey = self._verified(answer, challenge)
        if (passkey.face, passkey.subject) != (session.face, session.subject):
            raise BadPasskeyError
        return passkey

    def _question(self, challenge: bytes, ids: tuple[str, ...]) -> str:
        options = generate_authentication_options(
            rp_id=self._site.rp_id,
            challenge=challenge,
            timeout=QUESTION_MS,
            allow_credentials=[
                PublicKeyCredentialDescriptor(id=base64url_to_bytes(one)) for one in ids
            ],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json(options)

    def _verified(self, answer: str, challenge: bytes) -> Passkey:
        document = _document(answer)
        passkey = self._store.passkey(str(document.get("id", ""))[:1024])
        if passkey is None:
            raise BadPasskeyError
        found = _checked(
            lambda: verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._site.rp_id,
                expected_origin=self._site.origin,
                credential_public_key=passkey.public_key,
                # The store checks the count and notes it in one step; two answers at once with one
                # count cannot both pass.
                credential_current_sign_count=0,
                require_user_verification=True,
            )
        )
        handle = document.get("response", {}).get("userHandle")
        ours = bytes_to_base64url(user_handle(passkey.face, passkey.subject))
        if handle is not None and handle != ours:
            raise BadPasskeyError
        now_ms = self._clock.now_ms()
        if not self._store.use_passkey(passkey.id, found.new_sign_count, now_ms):
            raise BadPasskeyError("the passkey's counter went back: it may have been copied")
        return passkey

    def _keep(self, purpose: str, challenge: bytes) -> None:
        now_ms = self._clock.now_ms()
        kept = Code(purpose, _hash(purpose, challenge), now_ms, now_ms + QUESTION_MS, 1)
        self._store.add_code(kept)

    def _asked(self, purpose: str, answer: str) -> bytes:
        """The challenge that the answer names, if it was asked for this; it is used up."""
        response = _document(answer).get("response")
        if not isinstance(response, dict):
            raise BadPasskeyError
        told = _checked(
            lambda: parse_client_data_json(base64url_to_bytes(str(response["clientDataJSON"])))
        )
        challenge: bytes = told.challenge
        now_ms = self._clock.now_ms()
        if not self._store.try_code(purpose, _hash(purpose, challenge), now_ms):
            raise BadPasskeyError
        return challenge


def user_handle(face: Face, subject: str) -> bytes:
    """What the device knows its user by; says nothing to who reads it (WebAuthn asks for that)."""
    return sha256(f"user|{int(face)}|{subject}".encode()).digest()


def deed_digest(deed: Deed) -> bytes:
    """32 bytes over everything that a change says."""
    told = json.dumps([deed.id, deed.name, deed.card, deed.form], ensure_ascii=True)
    return sha256(told.encode()).digest()


def label_of(text: str) -> str:
    """What a person calls a key, in one short line; `passkey` where nothing is left of it."""
    return " ".join(_CONTROLS.sub(" ", text).split())[:LABEL_MAX] or "passkey"


def _hash(purpose: str, challenge: bytes) -> str:
    return hashed(f"{purpose}\n{challenge.hex()}")


def _document(answer: str) -> dict[str, Any]:
    """The answer as a JSON object.

    Raises:
        BadPasskeyError: it is none, or too long.
    """
    if len(answer) > ANSWER_MAX:
        raise BadPasskeyError
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        raise BadPasskeyError from None
    if not isinstance(document, dict) or not isinstance(document.get("response"), dict):
        raise BadPasskeyError
    return document


def _checked(check: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the library finds
    """What the library finds; whatever it cannot read or believe is one error.

    Raises:
        BadPasskeyError: it refused.
    """
    try:
        return check()
    except (WebAuthnException, ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise BadPasskeyError from None
    except Exception as error:
        # Parsers of CBOR and keys below the library have errors of their own.
        if type(error).__module__.partition(".")[0] in {"cbor2", "_cbor2", "cryptography"}:
            raise BadPasskeyError from None
        raise

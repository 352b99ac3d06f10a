"""A device with passkeys, in software: makes keys and signs as an authenticator does (WebAuthn)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

USER_PRESENT = 0x01
USER_VERIFIED = 0x04
KEY_FOLLOWS = 0x40


@dataclass
class Device:
    """A device of one person."""

    origin: str = "http://localhost:8080"
    flags: int = USER_PRESENT | USER_VERIFIED
    #: None = a device that does not count.
    counter: int | None = None
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    id: bytes = b"credential-number-1"
    handle: str = ""

    def make(self, options: str) -> str:
        """The answer to a question for a new key."""
        asked = json.loads(options)
        self.handle = asked["user"]["id"]
        numbers = self.key.public_key().public_numbers()
        public = cbor2.dumps(
            {
                1: 2,
                3: -7,
                -1: 1,
                -2: numbers.x.to_bytes(32, "big"),
                -3: numbers.y.to_bytes(32, "big"),
            }
        )
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + public
        data = self._data(asked["rp"]["id"], KEY_FOLLOWS) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer(
            {
                "clientDataJSON": self._client("webauthn.create", asked["challenge"]),
                "attestationObject": bytes_to_base64url(attestation),
            }
        )

    def sign(self, options: str, **changed: Any) -> str:  # noqa: ANN401 - parts of an answer
        """The answer to a question for a signature."""
        asked = json.loads(options)
        if self.counter is not None:
            self.counter += 1
        client = self._client("webauthn.get", asked["challenge"])
        data = self._data(asked["rpId"], 0)
        signed = data + sha256(base64url_to_bytes(client)).digest()
        signature = self.key.sign(signed, ec.ECDSA(SHA256()))
        return self._answer(
            {
                "clientDataJSON": client,
                "authenticatorData": bytes_to_base64url(data),
                "signature": bytes_to_base64url(signature),
                "userHandle": self.handle,
                **changed,
            }
        )

    def _client(self, kind: str, challenge: str) -> str:
        document = {"type": kind, "challenge": challenge, "origin": self.origin}
        return bytes_to_base64url(json.dumps(document).encode())

    def _data(self, rp_id: str, more: int) -> bytes:
        count = self.counter or 0
        flags = bytes([self.flags | more])
        return sha256(rp_id.encode()).digest() + flags + count.to_bytes(4, "big")

    def _answer(self, response: dict[str, Any]) -> str:
        credential = bytes_to_base64url(self.id)
        return json.dumps(
            {
                "id": credential,
                "rawId": credential,
                "type": "public-key",
                "response": response,
                "clientExtensionResults": {},
            }
        )

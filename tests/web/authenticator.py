"""A passkey holder without a finger: the browser's own virtual authenticator."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import CDPSession, Page


@dataclass(frozen=True)
class Authenticator:
    """Built into the device, keeps passkeys, and has always just seen its owner."""

    session: CDPSession
    id: str

    def count(self) -> int:
        """How many passkeys it holds."""
        answer = self.session.send("WebAuthn.getCredentials", {"authenticatorId": self.id})
        return len(answer["credentials"])

    def refuse(self) -> None:
        """From now on the owner is not recognized, as with a wet finger."""
        self._verify(is_verified=False)

    def recognize(self) -> None:
        """From now on the owner is recognized again."""
        self._verify(is_verified=True)

    def _verify(self, *, is_verified: bool) -> None:
        told = {"authenticatorId": self.id, "isUserVerified": is_verified}
        self.session.send("WebAuthn.setUserVerified", told)


def add_authenticator(page: Page) -> Authenticator:
    """Give the page's device an authenticator; it is gone with the page."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    added = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return Authenticator(session, added["authenticatorId"])

"""Oidc: signing in with the issuer's own identity provider (authorization code with PKCE).

State, nonce and PKCE's verifier follow from one random value under a key of ours; the store keeps
only that such a way was begun, in which browser, and that it was not ended yet. The id_token is
believed where its signature, issuer, audience, time and nonce are right; nothing else is asked for.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import threading
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any, Final, final
from urllib.parse import urlsplit

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from zhiwei.core.errors import ZhiweiError
from zhiwei.web.sign_in.model import Code, FaceStore
from zhiwei.web.sign_in.sessions import Clock, hashed
from zhiwei.web.sign_in.settings import Provider

#: A way through the provider takes at most so long.
WAY_MS: Final = 10 * 60_000
#: Clocks of two houses may differ by so much.
LEEWAY_SECONDS: Final = 60
_SECONDS: Final = 5.0
_ANSWER_MAX: Final = 1 << 18
#: Discovery and keys are read again after so long.
_KEPT_MS: Final = 3_600_000
#: Signatures with a public key only: with `HS256` the client's secret would be a signing key.
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
_STATE: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_CODE_MAX: Final = 4_096


class OidcError(ZhiweiError):
    """the identity provider cannot be used, or did not say who this is"""


@dataclass(frozen=True)
class _Known:
    """What the provider says of itself."""

    authorize: str
    token: str
    keys: KeySet
    read_ms: int


@final
class Oidc:
    """A client of one provider. Thread-safe; it waits for the network, so off the loop."""

    def __init__(
        self, provider: Provider, redirect_uri: str, store: FaceStore, clock: Clock, secret: bytes
    ) -> None:
        """`redirect_uri` = where the provider sends people back to, as it is registered there."""
        self._provider: Final = provider
        self._redirect_uri: Final = redirect_uri
        self._store: Final = store
        self._clock: Final = clock
        self._secret: Final = secret
        self._lock: Final = threading.Lock()
        self._known: _Known | None = None

    def begin(self, visit: str) -> str:
        """The provider's address for a browser (`visits.visit_id`) that wants to sign in.

        Raises:
            OidcError: the provider does not answer.
            StoreUnavailableError: the way could not be noted.
        """
        known = self._discovered()
        state = secrets.token_urlsafe(32)
        now_ms = self._clock.now_ms()
        purpose = self._purpose(visit)
        self._store.add_code(Code(purpose, hashed(state), now_ms, now_ms + WAY_MS, 1))
        uri: str = prepare_grant_uri(
            known.authorize,
            self._provider.client_id,
            "code",
            redirect_uri=self._redirect_uri,
            scope="openid",
            state=state,
            nonce=self._derived("nonce", state),
            code_challenge=create_s256_code_challenge(self._derived("verifier", state)),
            code_challenge_method="S256",
        )
        return uri

    def finish(self, visit: str, state: str, code: str) -> str:
        """Who the provider says this is: the claim of its id_token.

        Raises:
            OidcError: this browser began no such way, or the provider's answer cannot be believed.
            StoreUnavailableError: the way could not be looked up.
        """
        if not _STATE.fullmatch(state) or not 0 < len(code) <= _CODE_MAX:
            raise OidcError("the way through the identity provider was not begun here")
        if not self._store.try_code(self._purpose(visit), hashed(state), self._clock.now_ms()):
            raise OidcError("the way through the identity provider was not begun here, or is over")
        known = self._discovered()
        provider = self._provider
        answer = _call(
            "POST",
            known.token,
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._redirect_uri,
                "code_verifier": self._derived("verifier", state),
            },
            auth=httpx.BasicAuth(provider.client_id, provider.client_secret),
        )
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise OidcError("the identity provider gave no id_token")
        claims = self._claims(token, known, self._derived("nonce", state))
        found = claims.get(provider.claim)
        if not isinstance(found, str) or not 0 < len(found) <= 200:
            raise OidcError(f"the id_token has no text in the claim `{provider.claim}`")
        return found

    def _claims(self, token: str, known: _Known, nonce: str) -> dict[str, Any]:
        """The claims of an id_token that is for us, from now, and from this very way."""
        provider = self._provider
        options = {
            "iss": {"essential": True, "value": provider.issuer},
            "aud": {"essential": True, "value": provider.client_id},
        }
        # Authlib wants the nonce where it is told which one was sent.
        params = {"nonce": nonce, "client_id": provider.client_id}
        try:
            decoded = self._decoded(token, known)
            claims = CodeIDToken(decoded.claims, decoded.header, options, params)
            claims.validate(now=self._clock.now_ms() // 1000, leeway=LEEWAY_SECONDS)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            message = f"the id_token cannot be believed: {type(error).__name__}"
            raise OidcError(message) from None
        return dict(claims)

    def _decoded(self, token: str, known: _Known) -> jwt.Token:
        try:
            return jwt.decode(token, known.keys, algorithms=_ALGORITHMS)
        except (JoseError, ValueError):
            # The provider may have changed its keys; they are read again, once.
            return jwt.decode(token, self._read().keys, algorithms=_ALGORITHMS)

    def _discovered(self) -> _Known:
        known = self._known
        if known is None or self._clock.now_ms() - known.read_ms >= _KEPT_MS:
            return self._read()
        return known

    def _read(self) -> _Known:
        issuer = self._provider.issuer
        document = _call("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise OidcError("the discovery document is of another issuer")
        addresses = [
            document.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
        ]
        scheme = urlsplit(issuer).scheme
        for address in addresses:
            if not isinstance(address, str) or urlsplit(address).scheme not in {scheme, "https"}:
                raise OidcError("the discovery document lacks an address")
        authorize, token, jwks = map(str, addresses)
        try:
            keys = KeySet.import_key_set(_call("GET", jwks))  # type: ignore[arg-type]  # checked inside
        except (JoseError, ValueError, KeyError, TypeError):
            raise OidcError("the identity provider's keys cannot be read") from None
        known = _Known(authorize, token, keys, self._clock.now_ms())
        with self._lock:
            self._known = known
        return known

    def _purpose(self, visit: str) -> str:
        return f"oidc|{hashed(self._redirect_uri)}|{visit}"

    def _derived(self, what: str, state: str) -> str:
        """43 letters that nobody else can know, and that need not be kept."""
        raw = hmac.digest(self._secret, f"{what}|{state}".encode(), "sha256")
        return urlsafe_b64encode(raw).decode().rstrip("=")


def _call(method: str, url: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever httpx takes
    """The JSON object that an address of the provider answers with.

    Raises:
        OidcError: it does not answer, with another status than 200, or with something else.
    """
    try:
        # A connection for each call: people sign in now and then, and nothing has to be kept open.
        # Proxies of the environment are not asked: a secret goes to the provider alone.
        with (
            httpx.Client(timeout=_SECONDS, trust_env=False) as client,
            client.stream(method, url, **more) as response,
        ):
            if response.status_code != 200:
                message = f"the identity provider answered {response.status_code}"
                raise OidcError(message)
            raw = b""
            for piece in response.iter_bytes():
                raw += piece
                if len(raw) > _ANSWER_MAX:
                    raise OidcError("the identity provider's answer is too long")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        message = f"the identity provider does not answer: {type(error).__name__}"
        raise OidcError(message) from None
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise OidcError("the identity provider's answer is not JSON") from None
    if not isinstance(document, dict):
        raise OidcError("the identity provider's answer is no object")
    return document

"""A small identity provider on a real socket: discovery, keys, authorize, token."""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Mapping
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT = "zhiwei"
SECRET = "s3cret: of/the client"


class IdentityProvider:
    """Signs `who` in without asking; tests change what it does."""

    def __init__(self, now_ms: int) -> None:
        self.now_seconds = now_ms // 1000
        self.who: dict[str, Any] = {"sub": "wang@bank", "cardholder_id": "holder_1"}
        #: Claims of the id_token that are changed; None takes one away.
        self.changed: dict[str, Any] = {}
        self.algorithm = "RS256"
        self.key = RSAKey.generate_key(2048, {"kid": "1"})
        self.signing_key: Any = self.key
        self.token_answer: bytes | None = None
        self.discovery: dict[str, Any] = {}
        #: Codes that wait: what was asked with them.
        self.codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.answer_get(self)

            def do_POST(self) -> None:
                provider.answer_post(self)

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def new_key(self) -> None:
        """Change the key that it signs with and publishes."""
        self.key = self.signing_key = RSAKey.generate_key(2048, {"kid": "2"})

    def answer_get(self, handler: BaseHTTPRequestHandler) -> None:
        """Discovery, keys and the page that signs in."""
        parts = urlsplit(handler.path)
        if parts.path == "/.well-known/openid-configuration":
            document = {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                **self.discovery,
            }
            _send(handler, 200, json.dumps(document).encode())
        elif parts.path == "/jwks":
            keys = KeySet([self.key]).as_dict(private=False)
            _send(handler, 200, json.dumps(keys).encode())
        elif parts.path == "/authorize":
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            code = secrets.token_hex(8)
            self.codes[code] = asked
            back = urlencode({"code": code, "state": asked["state"]})
            _send(handler, 302, b"", {"Location": f"{asked['redirect_uri']}?{back}"})
        else:
            _send(handler, 404, b"")

    def answer_post(self, handler: BaseHTTPRequestHandler) -> None:
        """The id_token for a code, for the client that proves itself and its way (PKCE)."""
        length = int(handler.headers["Content-Length"])
        form = {name: v[0] for name, v in parse_qs(handler.rfile.read(length).decode()).items()}
        if self.token_answer is not None:
            _send(handler, 200, self.token_answer)
            return
        asked = self.codes.pop(form["code"], None)
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        challenge = base64.urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest())
        if (
            asked is None
            or handler.headers["Authorization"] != f"Basic {basic}"
            or asked["code_challenge"] != challenge.decode().rstrip("=")
            or asked["code_challenge_method"] != "S256"
            or asked["redirect_uri"] != form["redirect_uri"]
        ):
            _send(handler, 400, b'{"error":"invalid_grant"}')
            return
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "nonce": asked["nonce"],
            "iat": self.now_seconds,
            "exp": self.now_seconds + 300,
            **self.who,
            **self.changed,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": self.algorithm, "kid": self.key.kid}
        token = jwt.encode(header, kept, self.signing_key, algorithms=[self.algorithm])
        answer = {"access_token": "x", "token_type": "Bearer", "id_token": token}
        _send(handler, 200, json.dumps(answer).encode())


def _send(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    headers: Mapping[str, str] | None = None,
) -> None:
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)

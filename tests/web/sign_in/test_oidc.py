"""Signing in with the issuer's identity provider, against one on a real socket."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import OctKey, RSAKey
from tests.web.sign_in.provider import CLIENT, SECRET, IdentityProvider

from zhiwei.clock import ManualClock
from zhiwei.stores.faces import SqliteFaceStore
from zhiwei.web.sign_in.oidc import WAY_MS, Oidc, OidcError
from zhiwei.web.sign_in.settings import FacesFileError, Provider, load_faces

NOW = 1_763_956_800_000
BACK = "http://localhost:8080/console/sign-in/back"


class Desk:
    """A client with its provider."""

    def __init__(self, folder: Path, claim: str = "sub") -> None:
        self.clock = ManualClock(NOW)
        self.store = SqliteFaceStore(folder)
        self.provider = IdentityProvider(NOW)
        settings = Provider(self.provider.issuer, CLIENT, SECRET, claim)
        self.oidc = Oidc(settings, BACK, self.store, self.clock, b"k" * 32)

    def way(self, visit: str = "visit_1") -> tuple[str, str]:
        """Go to the provider and come back: state and code."""
        answer = httpx.get(self.oidc.begin(visit), trust_env=False)
        back = answer.headers["Location"]
        assert back.startswith(f"{BACK}?")
        asked = parse_qs(urlsplit(back).query)
        return asked["state"][0], asked["code"][0]

    def close(self) -> None:
        """Let go of everything."""
        self.store.close()
        self.provider.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk."""
    one = Desk(tmp_path)
    yield one
    one.close()


def test_the_provider_says_who_it_is(desk: Desk) -> None:
    """By code, PKCE and a checked id_token."""
    assert desk.oidc.finish("visit_1", *desk.way()) == "wang@bank"


def test_another_claim_may_say_it(tmp_path: Path) -> None:
    """For cardholders the issuer's own claim holds the id."""
    desk = Desk(tmp_path, "cardholder_id")
    assert desk.oidc.finish("visit_1", *desk.way()) == "holder_1"
    desk.provider.changed = {"cardholder_id": 7}
    with pytest.raises(OidcError, match="cardholder_id"):
        desk.oidc.finish("visit_1", *desk.way())
    desk.close()


def test_a_way_is_ended_once_by_the_browser_that_began_it(desk: Desk) -> None:
    """Not by another browser, not again, not later, and not with a state of one's own."""
    state, code = desk.way()
    with pytest.raises(OidcError, match="not begun here"):
        desk.oidc.finish("visit_2", state, code)
    assert desk.oidc.finish("visit_1", state, code) == "wang@bank"
    with pytest.raises(OidcError, match="not begun here"):
        desk.oidc.finish("visit_1", state, code)
    state, code = desk.way()
    desk.clock.advance(WAY_MS)
    with pytest.raises(OidcError, match="not begun here"):
        desk.oidc.finish("visit_1", state, code)
    for wrong in ("", "x", "a" * 43, "é" * 43):
        with pytest.raises(OidcError, match="not begun here"):
            desk.oidc.finish("visit_1", wrong, "code")


def test_a_code_of_another_way_is_refused(desk: Desk) -> None:
    """PKCE and nonce: a code that was given to somebody else's browser does not work in mine."""
    _, stolen = desk.way("visit_2")
    state, _ = desk.way()
    with pytest.raises(OidcError, match="answered 400"):
        desk.oidc.finish("visit_1", state, stolen)


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another", "third"]},
        {"aud": None},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": NOW // 1000 - 61},
        {"exp": None},
        {"iat": NOW // 1000 + 3_600},
        {"nbf": NOW // 1000 + 3_600},
        {"sub": None},
        {"sub": ""},
        {"azp": "another"},
    ],
)
def test_a_token_that_is_not_ours_is_refused(desk: Desk, changed: dict[str, Any]) -> None:
    """Issuer, audience, time, nonce and subject are each looked at."""
    desk.provider.changed = changed
    with pytest.raises(OidcError):
        desk.oidc.finish("visit_1", *desk.way())


def _by_another_key(provider: IdentityProvider) -> None:
    provider.signing_key = RSAKey.generate_key(2048, {"kid": "1"})


def _by_our_secret(provider: IdentityProvider) -> None:
    provider.algorithm, provider.signing_key = "HS256", OctKey.import_key(SECRET * 3)


def _unsigned(provider: IdentityProvider) -> None:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    token = f"{part({'alg': 'none'})}.{part({'iss': provider.issuer, 'sub': 'boss'})}."
    provider.token_answer = json.dumps({"id_token": token}).encode()


@pytest.mark.parametrize("forge", [_by_another_key, _by_our_secret, _unsigned])
def test_a_forged_token_is_refused(desk: Desk, forge: Callable[[IdentityProvider], None]) -> None:
    """Signed by somebody else, by a shared secret, or not at all."""
    forge(desk.provider)
    with pytest.raises(OidcError, match="cannot be believed"):
        desk.oidc.finish("visit_1", *desk.way())


def test_a_new_key_of_the_provider_is_found(desk: Desk) -> None:
    """Its keys are read again where the signature is by none that is known."""
    assert desk.oidc.finish("visit_1", *desk.way()) == "wang@bank"
    desk.provider.new_key()
    assert desk.oidc.finish("visit_1", *desk.way()) == "wang@bank"


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b'{"id_token":7}', b'{"id_token":"a.b.c"}', b"x" * 300_000]
)
def test_whatever_the_provider_answers_is_one_error(desk: Desk, answer: bytes) -> None:
    """Nothing else comes of it."""
    desk.provider.token_answer = answer
    with pytest.raises(OidcError):
        desk.oidc.finish("visit_1", *desk.way())


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": 7},
    ],
)
def test_a_wrong_discovery_document_is_refused(desk: Desk, discovery: dict[str, Any]) -> None:
    """Nobody is sent anywhere."""
    desk.provider.discovery = discovery
    with pytest.raises(OidcError):
        desk.oidc.begin("visit_1")


def test_a_provider_that_is_down_is_an_error(desk: Desk) -> None:
    """Nobody waits for long."""
    desk.provider.close()
    with pytest.raises(OidcError, match="does not answer"):
        desk.oidc.begin("visit_1")
    desk.provider = IdentityProvider(NOW)


def test_the_file_says_who_signs_in(tmp_path: Path) -> None:
    """Secrets may be in a file of their own, and are never shown."""
    (tmp_path / "oidc.secret").write_text("hush\n")
    path = tmp_path / "faces.toml"
    path.write_text(
        'public_url = "https://card.bank.example"\n[operators]\nissuer = "https://login.example"\n'
        'client_id = "zhiwei"\nclient_secret_file = "oidc.secret"\n'
    )
    found = load_faces(path)
    assert found.site is not None
    assert found.site.rp_id == "card.bank.example"
    assert found.operators == Provider("https://login.example", "zhiwei", "hush", "sub")
    assert found.cardholders is None
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x = 1", "`x` is not known"),
        ("[operators", "not TOML"),
        ('[operators]\nissuer = "http://login.example"\n', "operators.issuer"),
        ('[operators]\nissuer = "https://l.example"\n', "operators.client_id"),
        ("operators = 1", "is a table"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, text: str, why: str) -> None:
    """The message says where."""
    path = tmp_path / "faces.toml"
    path.write_text(text)
    with pytest.raises(FacesFileError, match=why):
        load_faces(path)
    with pytest.raises(FacesFileError, match="cannot be read"):
        load_faces(tmp_path / "other.toml")

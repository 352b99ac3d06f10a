"""Inbound messages that are signed instead of sent with a key (Standard Webhooks)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook
from tests.gateways.http.house import PAN, World, memory_world

from zhiwei.gateways.http.signatures import PURPOSE

PHONE = "13800138000"
PATH = "/v1/inbound_messages"


def signed(
    world: World,
    body: object,
    message_id: str = "gw-1",
    *,
    secret: bytes | None = None,
    age: timedelta = timedelta(0),
) -> tuple[bytes, dict[str, str]]:
    """A body and its headers, as a gateway with the reference library sends them."""
    content = json.dumps(body, ensure_ascii=False).encode()
    at = datetime.now(tz=UTC) - age
    key = world.house.vault.derived_secret(PURPOSE) if secret is None else secret
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(key).sign(message_id, at, content.decode()),
    }
    return content, headers


def send(world: World, content: bytes, headers: dict[str, str], path: str = PATH) -> httpx.Response:
    """One call without a key."""
    return world.run(world.send("POST", path, content, headers))


@pytest.fixture
def card(world: World) -> str:
    """The only card of the person with this phone."""
    return world.card(PAN, cardholder=world.cardholder(phone=PHONE))


ZF: dict[str, Any] = {"from": PHONE, "text": "ＺＦ＃１２３２"}


def test_a_signed_message_is_taken(world: World, card: str) -> None:
    """No key is needed; who did it is in the journal as the cardholder by SMS."""
    answer = send(world, *signed(world, ZF))
    assert answer.status_code == 200, answer.text
    assert answer.json()["outcome"] == "stopped"
    assert answer.json()["stops"][0]["card"] == card
    assert world.issuer.get(f"/v1/cards/{card}/stop").json()["source"] == "sms"


def test_a_message_is_done_once_by_its_id(world: World, card: str) -> None:
    """The same answer again, also signed anew, and after the stop was lifted it stays lifted."""
    content, headers = signed(world, ZF)
    first = send(world, content, headers)
    world.strong.delete(f"/v1/cards/{card}/stop")
    again = send(world, content, headers)
    anew = send(world, *signed(world, ZF, age=timedelta(seconds=20)))
    for repeat in (again, anew):
        assert repeat.content == first.content
        assert repeat.headers["Idempotent-Replayed"] == "true"
    assert world.issuer.get(f"/v1/cards/{card}/stop").status_code == 404
    other = send(world, *signed(world, {**ZF, "text": "?"}))
    assert (other.status_code, other.json()["code"]) == (409, "same_key_other_body")


Spoil = Callable[[dict[str, str]], dict[str, str]]


def without(name: str) -> Spoil:
    """Headers without one."""
    return lambda headers: {n: v for n, v in headers.items() if n != name}


def with_value(name: str, value: str) -> Spoil:
    """Headers with another value of one."""
    return lambda headers: {**headers, name: value}


@pytest.mark.parametrize(
    "spoil",
    [
        without("webhook-id"),
        without("webhook-timestamp"),
        without("webhook-signature"),
        with_value("webhook-id", "gw-2"),
        with_value("webhook-id", ""),
        with_value("webhook-id", "x" * 256),
        with_value("webhook-timestamp", "0"),
        with_value("webhook-timestamp", "nan"),
        with_value("webhook-timestamp", "1e9"),
        with_value("webhook-timestamp", "9" * 400),
        with_value("webhook-timestamp", "-1"),
        with_value("webhook-signature", ""),
        with_value("webhook-signature", "v1"),
        with_value("webhook-signature", "v1,"),
        with_value("webhook-signature", "v1,%%%"),
        with_value("webhook-signature", "v1,a,b"),
        with_value("webhook-signature", "v2,AAAA v1a,BBBB"),
        with_value("webhook-signature", "v1,AAAA " * 1000),
    ],
)
def test_what_is_not_rightly_signed_is_unauthorized(memory: World, spoil: Spoil) -> None:
    """Whatever is wrong, the answer is the same."""
    card = memory.card(PAN, cardholder=memory.cardholder(phone=PHONE))
    content, headers = signed(memory, ZF)
    answer = send(memory, content, spoil(headers))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert memory.issuer.get(f"/v1/cards/{card}/stop").status_code == 404


def test_another_body_secret_or_time_is_unauthorized(memory: World) -> None:
    """The signature covers the body; a call of six minutes ago, or from then, is no call of now."""
    content, headers = signed(memory, ZF)
    wrong = [
        (content + b" ", headers),
        (content + b"\xff", headers),
        signed(memory, ZF, secret=bytes(32)),
        signed(memory, ZF, secret=memory.house.vault.derived_secret("inbound|other")),
        signed(memory, ZF, age=timedelta(minutes=6)),
        signed(memory, ZF, age=-timedelta(minutes=6)),
    ]
    details = set()
    for body, sent in wrong:
        answer = send(memory, body, sent)
        assert answer.status_code == 401
        details.add(answer.json()["detail"])
    assert len(details) == 1


def test_a_secret_of_the_operators_own_and_its_successor() -> None:
    """Any of the configured secrets will do; the vault's own does not any more."""
    world = memory_world(inbound_secrets=(b"old" * 11, b"new" * 11))
    for number, secret in enumerate((b"old" * 11, b"new" * 11)):
        answer = send(world, *signed(world, ZF, f"gw-{number}", secret=secret))
        assert (answer.status_code, answer.json()["outcome"]) == (200, "neutral")
    assert send(world, *signed(world, ZF)).status_code == 401
    world.close()


def test_a_wrong_key_is_not_saved_by_a_signature(memory: World) -> None:
    """Who sends a key is judged by it."""
    content, headers = signed(memory, ZF)
    answer = send(memory, content, {**headers, "Authorization": "Bearer x"})
    assert answer.status_code == 401


def test_a_signature_opens_nothing_else(memory: World) -> None:
    """No other call takes one."""
    card = memory.card()
    for path in ("/v1/cardholders", f"/v1/cards/{card}/stop", "/v1/message_replays"):
        content, headers = signed(memory, {})
        assert send(memory, content, headers, path).status_code == 401


def test_a_signed_body_is_read_as_strictly_as_any(memory: World) -> None:
    """A right signature does not make a wrong body right."""
    wrong: list[object] = [{}, {"from": 1, "text": "ZF"}, {"from": PHONE}, {**ZF, "x": 1}, [], "ZF"]
    for body in wrong:
        answer = send(memory, *signed(memory, body))
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")

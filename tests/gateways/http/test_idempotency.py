"""Idempotency of the calls that are about no card, and the rules of the key itself."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from tests.gateways.http.house import DAY, PAN, World

#: Calls that make something, with two bodies.
MAKERS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("/v1/cardholders", {"name": "甲"}, {"name": "乙"}),
    ("/v1/cards", {"pan": PAN}, {"pan": PAN, "has_chip": False}),
    (
        "/v1/event_subscriptions",
        {"url": "https://a.example"},
        {"url": "https://b.example"},
    ),
    ("/v1/security_checkups", {"cardholder": "{h}"}, {"cardholder": "{h}", "mode": "quick"}),
    (
        "/v1/inbound_messages",
        {"from": "+8613800138000", "text": "ZF"},
        {"from": "+8613800138000", "text": "?"},
    ),
]


def with_holder(body: dict[str, Any], holder: str) -> dict[str, Any]:
    """The body with the cardholder's id filled in."""
    return {
        name: value.format(h=holder) if name == "cardholder" else value
        for name, value in body.items()
    }


@pytest.mark.parametrize(("path", "body", "other"), MAKERS)
def test_the_same_key_makes_one_thing(
    world: World, path: str, body: dict[str, Any], other: dict[str, Any]
) -> None:
    """The same answer again with the header; another body is 409; another key is another call."""
    holder = world.cardholder()
    body, other = with_holder(body, holder), with_holder(other, holder)
    first = world.issuer.post(path, body, Idempotency_Key="k")
    world.clock.advance(1000)
    again = world.issuer.post(path, body, Idempotency_Key="k")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    conflict = world.issuer.post(path, other, Idempotency_Key="k")
    assert (conflict.status_code, conflict.json()["code"]) == (409, "same_key_other_body")
    new = world.issuer.post(path, body, Idempotency_Key="k2")
    assert new.status_code in (200, 201)
    assert "Idempotent-Replayed" not in new.headers


def test_a_key_belongs_to_its_caller_and_operation(world: World) -> None:
    """Two systems of a bank may use the same words."""
    first = world.issuer.post("/v1/cardholders", {"name": "甲"}, Idempotency_Key="k").json()
    second = world.operator.post("/v1/cardholders", {"name": "甲"}, Idempotency_Key="k").json()
    assert first["id"] != second["id"]
    subscription = {"url": "https://a.example"}
    other = world.issuer.post("/v1/event_subscriptions", subscription, Idempotency_Key="k")
    assert other.status_code == 201


def test_a_key_is_forgotten_after_a_day(world: World) -> None:
    """24 hours; then the same words make a new thing."""
    first = world.issuer.post("/v1/cardholders", {}, Idempotency_Key="k").json()
    world.clock.advance(DAY - 1)
    assert world.issuer.post("/v1/cardholders", {}, Idempotency_Key="k").json() == first
    world.clock.advance(1)
    assert world.issuer.post("/v1/cardholders", {}, Idempotency_Key="k").json() != first


def test_a_failure_is_not_kept(world: World) -> None:
    """What was refused did nothing, so the key is free for the corrected call."""
    bad = world.issuer.post("/v1/cards", {"pan": "1"}, Idempotency_Key="k")
    assert bad.status_code == 422
    assert world.issuer.post("/v1/cards", {"pan": PAN}, Idempotency_Key="k").status_code == 201


def test_of_two_at_once_one_is_told_to_wait(memory: World) -> None:
    """409 while the first is still running."""
    running = memory.app.state.running
    memory.issuer.post("/v1/cardholders", {}, Idempotency_Key="k")

    class Busy(set[str]):
        def __contains__(self, name: object) -> bool:
            return True

    memory.app.state.running = Busy()
    second = memory.issuer.post("/v1/cardholders", {}, Idempotency_Key="other")
    assert (second.status_code, second.json()["code"]) == (409, "same_key_in_progress")
    memory.app.state.running = running
    assert not running


def test_many_at_once_with_one_key_make_one_thing(world: World) -> None:
    """Sixteen registrations of a person at once: one made, the others replayed or told to wait."""

    async def all_at_once() -> list[int]:
        headers = {
            "Authorization": f"Bearer {world.issuer.key}",
            "Content-Type": "application/json",
            "Idempotency-Key": "k",
        }
        calls = [world.send("POST", "/v1/cardholders", b"{}", headers) for _ in range(16)]
        return [answer.status_code for answer in await asyncio.gather(*calls)]

    assert set(world.run(all_at_once())) <= {201, 409}
    assert len(world.issuer.get("/v1/cardholders").json()["data"]) == 1


@pytest.mark.parametrize(("path", "body", "other"), [MAKERS[0], MAKERS[2], MAKERS[3]])
@pytest.mark.parametrize("is_same", [True, False])
def test_of_two_servers_one_makes_it(
    world: World, path: str, body: dict[str, Any], other: dict[str, Any], *, is_same: bool
) -> None:
    """While one server works, another gets the same call and is done first: its answer counts."""
    holder = world.cardholder()
    first = with_holder(body, holder)
    trail = world.store.reader().audits
    answers: list[httpx.Response] = []
    known: list[int] = []

    async def quicker() -> None:
        answers.append(await world.call_at(world.app, "POST", path, first, Idempotency_Key="k"))
        known.append(len(trail()))

    content = first if is_same else with_holder(other, holder)
    late = world.beside(quicker)
    again = world.run(world.call_at(late, "POST", path, content, Idempotency_Key="k"))
    (made,) = answers
    assert made.status_code in (200, 201)
    if is_same:
        assert (again.status_code, again.content) == (made.status_code, made.content)
        assert again.headers["Idempotent-Replayed"] == "true"
    else:
        assert (again.status_code, again.json()["code"]) == (409, "same_key_other_body")
    assert [len(trail())] == known, "nothing of the second one was written"


@pytest.mark.parametrize("key", [b"", b" ", b"a b", b"x" * 256, b"\xc3\xa9", b"\xff", b"a\tb"])
def test_a_key_is_visible_ascii(memory: World, key: bytes) -> None:
    """1 to 255 characters; for calls about a card and for others."""
    card = memory.card()
    for path, body in (
        ("/v1/cardholders", {}),
        (f"/v1/cards/{card}/stop", {}),
        ("/v1/authorizations", {"card": card, "kind": "balance_inquiry"}),
    ):
        answer = memory.run(
            memory.send(
                "POST",
                path,
                b"{}" if not body else b'{"card":"%s","kind":"balance_inquiry"}' % card.encode(),
                {
                    "Authorization": f"Bearer {memory.issuer.key}",
                    "Content-Type": "application/json",
                    "Idempotency-Key": key,
                },
            )
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_idempotency_key")
    longest = memory.issuer.post("/v1/cardholders", {}, Idempotency_Key="x" * 255)
    assert longest.status_code == 201


def test_no_card_number_is_kept_with_an_answer(memory: World) -> None:
    """The digest of a body that held a number needs the vault's key to be tried out."""
    from hashlib import sha256

    from zhiwei.ports import StoredAnswer

    body = b'{"pan": "%s"}' % PAN.encode()
    memory.issuer.post("/v1/cards", body, Idempotency_Key="k")
    (kept,) = memory.house.reader.records(StoredAnswer)
    assert PAN not in repr(kept)
    assert kept.body_hash != sha256(body).hexdigest()

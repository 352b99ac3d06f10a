"""The HTTP door over real sockets: the whole program, and its connections alone."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.gateways.http.house import OTHER_PAN, PAN, memory_world

from zhiwei.demo.server import Server
from zhiwei.gateways.http.connections import PatientConnection
from zhiwei.http_thread import HttpThread


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`zhiwei serve --test-mode` as a program of its own."""
    folder = tmp_path_factory.mktemp("serve")
    made = Server(folder / "data", folder / "log")
    made.start()
    yield made
    assert made.stop() == 0


@pytest.fixture(scope="module")
def issuer(server: Server) -> Iterator[httpx.Client]:
    """A client with an issuer key that the command line made."""
    headers = {"Authorization": f"Bearer {server.key('issuer')}"}
    with httpx.Client(base_url=server.http, headers=headers, timeout=30) as client:
        yield client


def asked(card: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON is anything
    """A purchase."""
    return {
        "card": card,
        "kind": "purchase",
        "channel": "pos",
        "medium": "chip",
        "amount": 100,
        "currency": "CNY",
        "merchant": {"id": "M1", "country": "CHN", "region": "44"},
        **more,
    }


def test_a_card_is_guarded_over_http_from_end_to_end(issuer: httpx.Client) -> None:
    """Register, lock, decline, explain, lift, approve; as an issuer's engineer would try it."""
    holder = issuer.post("/v1/cardholders", json={"name": "王小明"}).json()["id"]
    made = issuer.post("/v1/cards", json={"pan": PAN, "cardholder": holder})
    assert made.status_code == 201
    card = made.json()["id"]
    lock = f"/v1/cards/{card}/controls/region_lock"
    first = issuer.put(lock, json={"regions": ["11"]}, headers={"If-None-Match": "*"})
    assert first.status_code == 200
    declined = issuer.post("/v1/authorizations", json=asked(card)).json()
    assert (declined["decision"], declined["response_code"]) == ("decline", "62")
    path = f"/v1/authorizations/{declined['id']}/evaluations"
    assert issuer.get(path).json()["data"][0]["control"] == "region_lock"
    strong = {"If-Match": first.headers["ETag"], "Authentication-Strength": "strong"}
    assert issuer.delete(lock, headers=strong).status_code == 200
    assert issuer.post("/v1/authorizations", json=asked(card)).json()["decision"] == "approve"
    assert issuer.get("/readyz").json() == {"status": "ready"}
    metrics = issuer.get("/metrics").text
    assert "zhiwei_decisions" in metrics
    assert "zhiwei_http_calls" in metrics


def test_a_clock_and_a_night_over_http(issuer: httpx.Client) -> None:
    """The test clock moves, and decisions follow it."""
    card = issuer.post("/v1/cards", json={"pan": OTHER_PAN}).json()["id"]
    path = f"/v1/cards/{card}/controls/night_lock"
    issuer.put(path, json={}, headers={"If-None-Match": "*"})
    for now, decision in (
        ("2030-01-01T14:59:59.999Z", "approve"),
        ("2030-01-01T15:00:00.000Z", "decline"),
        ("2030-01-01T21:00:00.000Z", "approve"),
    ):
        assert issuer.put("/v1/test_helpers/clock", json={"now": now}).json()["now"] == now
        decided = issuer.post("/v1/authorizations", json=asked(card)).json()
        assert (decided["decision"], decided["decided_at"]) == (decision, now)


def test_64_at_once_against_room_for_one(issuer: httpx.Client) -> None:
    """Exactly one approval, over 16 connections."""
    card = issuer.post("/v1/cards", json={"token": "t-64"}).json()["id"]
    items = [{"channel": "all", "measure": "count", "period": "year", "count": 1}]
    path = f"/v1/cards/{card}/controls/limits"
    issuer.put(path, json={"items": items}, headers={"If-None-Match": "*"})

    def ask(number: int) -> str:
        body = asked(card, stan=f"{number:06d}", terminal="T1")
        answer = issuer.post("/v1/authorizations", json=body)
        return str(answer.json()["decision"])

    with ThreadPoolExecutor(16) as pool:
        decisions = list(pool.map(ask, range(64)))
    assert sorted(decisions) == ["approve"] + ["decline"] * 63


def test_repeats_are_known_after_a_crash(tmp_path: Path) -> None:
    """`kill -9` and a new start: the same bytes for the same message and for the same key."""
    server = Server(tmp_path / "data", tmp_path / "log")
    server.start()
    headers = {"Authorization": f"Bearer {server.key('issuer')}"}
    with httpx.Client(base_url=server.http, headers=headers, timeout=30) as client:
        card = client.post("/v1/cards", json={"token": "t-1"}).json()["id"]
        trace = {"stan": "000001", "terminal": "T1", "rrn": "1", "acquirer": "04184930"}
        key = {"Idempotency-Key": "k"}
        first = client.post("/v1/authorizations", json=asked(card, **trace))
        second = client.post("/v1/authorizations", json=asked(card), headers=key)
        person = client.post("/v1/cardholders", json={}, headers=key)
        server.kill()
        server.start()
        again = client.post("/v1/authorizations", json=asked(card, **trace))
        assert again.content == first.content
        by_key = client.post("/v1/authorizations", json=asked(card), headers=key)
        assert by_key.content == second.content
        assert client.post("/v1/cardholders", json={}, headers=key).content == person.content
        rows = client.get(f"/v1/authorizations?card={card}").json()["data"]
        assert len(rows) == 2
    assert server.stop() == 0


def test_a_revoked_key_is_refused_by_the_running_server(server: Server) -> None:
    """The command line revokes; the next call is 401."""
    key = server.key("operator")
    headers = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{server.http}/v1/cards", headers=headers).status_code == 200
    key_id = f"key_{key.split('_')[1]}"
    server.command("keys", "revoke", key_id, "--data", str(server.data))
    assert httpx.get(f"{server.http}/v1/cards", headers=headers).status_code == 401


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """Address of the door alone on a socket, with room for four connections."""
    monkeypatch.setattr(PatientConnection, "connections_max", 4)
    world = memory_world()
    thread = HttpThread(lambda _host, _port: world.app, "127.0.0.1", 0)
    yield thread.start()
    thread.stop()
    world.close()


@pytest.fixture
def impatient_door(door: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    """The same, which waits a second for a head."""
    monkeypatch.setattr(PatientConnection, "head_seconds", 1.0)
    return door


def spoken(address: tuple[str, int], sent: bytes) -> bytes:
    """What comes back for some bytes, until the server closes."""
    with socket.create_connection(address, timeout=10) as line:
        line.sendall(sent)
        return b"".join(iter(lambda: line.recv(65536), b""))


def head_and_document(answer: bytes) -> tuple[str, dict[str, Any]]:
    """Status line and headers, and the JSON behind them."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode(), json.loads(body)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"0200 not http at all\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /v1/cards HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"6212345678901232" * 1_100,
    ],
)
def test_what_is_not_http_gets_the_one_shape(door: tuple[str, int], sent: bytes) -> None:
    """A problem document, and the line is closed; nothing of what came is repeated."""
    answer = spoken(door, sent)
    head, document = head_and_document(answer)
    assert head.startswith("HTTP/1.1 400")
    assert "application/problem+json" in head
    assert "connection: close" in head.lower()
    assert document["code"] == "bad_http"
    assert b"6212345678901232" not in answer


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_head_that_dribbles_in_is_hung_up_on(
    impatient_door: tuple[str, int], sent: bytes
) -> None:
    """Slow loris: the line is closed without an answer, whether it said something or nothing."""
    assert spoken(impatient_door, sent) == b""


def test_a_second_request_may_not_dribble_either(impatient_door: tuple[str, int]) -> None:
    """After a good answer the next head has its time too."""
    sent = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HT"
    answer = spoken(impatient_door, sent)
    assert answer.count(b"HTTP/1.1 200") == 1


def test_a_quiet_connection_is_kept_for_the_next_call(impatient_door: tuple[str, int]) -> None:
    """Keep-alive: the impatience is for heads only."""
    with socket.create_connection(impatient_door, timeout=10) as line:
        for _ in range(2):
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in line.recv(65536)
            line.settimeout(1.5)
            with pytest.raises(TimeoutError):
                line.recv(1)
            line.settimeout(10)


def test_past_the_bound_new_connections_are_closed(door: tuple[str, int]) -> None:
    """The ones inside are served."""
    lines = [socket.create_connection(door, timeout=10) for _ in range(4)]
    for line in lines:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in line.recv(65536)
    with socket.create_connection(door, timeout=10) as fifth:
        assert fifth.recv(1) == b""
    for line in lines:
        line.close()


def test_answers_do_not_name_the_server(door: tuple[str, int]) -> None:
    """No software and no version; the request id is there."""
    head, _ = head_and_document(
        spoken(door, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    )
    assert "server:" not in head.lower()
    assert "x-request-id: req_" in head.lower()

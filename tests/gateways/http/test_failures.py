"""What the door says when the house cannot: store down, files damaged, bugs, too much at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

import httpx
import pytest
import structlog
from tests.gateways.http.house import World
from tests.test_error_shape import is_problem

from zhiwei.core.command import Command
from zhiwei.core.errors import ZhiweiError
from zhiwei.core.result import Result, unreadable
from zhiwei.gateways.http.house import Settings
from zhiwei.ports import CorruptFileError, OutcomeUnknownError, StoreUnavailableError


class ClosedError(ZhiweiError):
    """the house is closing"""


@pytest.mark.parametrize("error", [StoreUnavailableError(), ClosedError()])
def test_a_house_that_cannot_write_says_so_and_does_nothing(
    memory: World, error: Exception
) -> None:
    """503 with Retry-After for whatever would write; reading goes on."""
    card = memory.card()
    memory.fails = error
    for answer in (
        memory.ask(card),
        memory.issuer.post(f"/v1/cards/{card}/stop"),
        memory.issuer.set(card, "night_lock"),
        memory.issuer.post("/v1/cardholders", {}, Idempotency_Key="k"),
    ):
        assert is_problem(answer, 503)["code"] == "unavailable"
        assert answer.headers["Retry-After"] == "1"
    assert memory.issuer.get(f"/v1/cards/{card}").status_code == 200
    memory.fails = None
    assert memory.issuer.get("/v1/authorizations").json()["data"] == []
    again = memory.issuer.post("/v1/cardholders", {}, Idempotency_Key="k")
    assert again.status_code == 201


def test_an_unknown_outcome_is_told_as_what_it_is(memory: World) -> None:
    """503 that does not say "nothing was done"; the same call again gets its answer."""
    card = memory.card()
    memory.fails = OutcomeUnknownError()
    answer = memory.ask(card)
    assert is_problem(answer, 503)["code"] == "outcome_unknown"
    assert answer.headers["Retry-After"] == "1"


def test_readiness_and_health_are_told_apart(memory: World) -> None:
    """A house that takes no work is alive and not ready."""
    assert memory.issuer.get("/healthz").json() == {"status": "ok"}
    assert memory.issuer.get("/readyz").json() == {"status": "ready"}
    memory.why_unready = "the store cannot write"
    assert memory.issuer.get("/healthz").status_code == 200
    problem = is_problem(memory.issuer.get("/readyz"), 503)
    assert problem["detail"] == "the store cannot write"


def test_a_bug_is_500_and_says_nothing_of_what_it_was(memory: World) -> None:
    """The log has its kind and place; neither has its text, which may hold what was sent."""
    card = memory.card()
    secret = "4111111111111111 in a bug"
    memory.fails = RuntimeError(secret)
    with structlog.testing.capture_logs() as logs:
        answer = memory.ask(card)
    problem = is_problem(answer, 500)
    assert problem["code"] == "internal_error"
    (bug,) = [line for line in logs if line["event"] == "http_bug"]
    assert bug["error"] == "RuntimeError"
    assert bug["request_id"] == problem["request_id"]
    assert any("house.py" in place for place in bug["at"])
    for text in (answer.text, str(logs)):
        assert "4111" not in text
        assert "in a bug" not in text


def test_a_damaged_file_refuses_card_messages_and_rejects_changes(memory: World) -> None:
    """A decline with 96 for the one, 500 for the other; nothing is written."""
    card = memory.card()

    async def damaged(commands: list[Command]) -> list[Result]:
        return [unreadable(command, 0) for command in commands]

    object.__setattr__(memory.house, "submit", damaged)
    decided = memory.decision(card)
    assert (decided["decision"], decided["response_code"]) == ("decline", "96")
    assert decided["reasons"][0]["code"] == "state_unreadable"
    for body, path in (
        ({"card": card, "kind": "purchase", "amount": 1, "currency": "CNY"}, "/v1/advices"),
        ({"card": card, "institution": "48212200"}, "/v1/bindings"),
    ):
        assert memory.issuer.post(path, body).json()["decision"] == "decline"
    stop = memory.issuer.post(f"/v1/cards/{card}/stop")
    assert is_problem(stop, 500)["code"] == "card_unreadable"


def test_a_damaged_file_cannot_be_read(memory: World) -> None:
    """Reading one is 500 with a name that an operator knows."""

    class Damaged:
        def card(self, card_key: bytes) -> None:
            raise CorruptFileError

    card = memory.card()
    object.__setattr__(memory.house, "reader", Damaged())
    assert is_problem(memory.issuer.get(f"/v1/cards/{card}"), 500)["code"] == "card_unreadable"


async def through(world: World, body: Iterable[bytes | asyncio.Event], **headers: str) -> Any:  # noqa: ANN401 - an answer or none
    """One POST whose body comes in pieces; between them it may wait for something."""
    pieces = list(body)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        while pieces:
            piece = pieces.pop(0)
            if isinstance(piece, asyncio.Event):
                await piece.wait()
                continue
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(dict(message))

    raw = [(b"authorization", f"Bearer {world.issuer.key}".encode())]
    raw += [(name.replace("_", "-").lower().encode(), v.encode()) for name, v in headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/cardholders",
        "raw_path": b"/v1/cardholders",
        "query_string": b"",
        "root_path": "",
        "headers": raw,
        "server": ("guardian", 80),
        "client": ("test", 1),
    }
    await world.app(scope, receive, send)
    if not sent:
        return None
    start = sent[0]
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return httpx.Response(start["status"], headers=start["headers"], content=content)


def test_a_body_that_is_too_large_is_413_however_it_is_told(
    house_with: Callable[..., World],
) -> None:
    """By its announced length, or by what really came."""
    world = house_with(settings=Settings(body_max=1000))
    is_problem(world.issuer.post("/v1/cardholders", b" " * 1001), 413)
    announced = world.run(through(world, [b"{}"], content_length="1001"))
    assert is_problem(announced, 413)["code"] == "body_too_large"
    assert announced.headers["Connection"] == "close"
    counted = world.run(through(world, [b" " * 600, b" " * 600]))
    is_problem(counted, 413)
    exact = world.issuer.post("/v1/cardholders", b"{}" + b" " * 998)
    assert exact.status_code == 201


def test_a_body_that_dribbles_in_is_given_up(house_with: Callable[..., World]) -> None:
    """408 after the time for a whole body, and the connection is closed."""
    world = house_with(settings=Settings(body_seconds=0.05))
    slow = world.run(through(world, [b"{", asyncio.Event(), b"}"]))
    assert is_problem(slow, 408)["code"] == "request_timeout"
    assert slow.headers["Connection"] == "close"


def test_a_caller_who_leaves_is_not_answered(memory: World) -> None:
    """Nothing was asked wholly, so nothing is done."""
    assert memory.run(through(memory, [])) is None
    assert memory.issuer.get("/v1/cardholders").json()["data"] == []


def test_past_the_bound_of_calls_new_ones_are_turned_away(
    house_with: Callable[..., World],
) -> None:
    """503 at once, while those inside go on."""
    world = house_with(settings=Settings(calls_at_once=2))

    async def three() -> list[int]:
        rest = asyncio.Event()
        told = {"content_type": "application/json"}
        slow = [asyncio.create_task(through(world, [b"{", rest, b"}"], **told)) for _ in range(2)]
        await asyncio.sleep(0)
        third = await through(world, [b"{}"], **told)
        assert third.headers["Retry-After"] == "1"
        rest.set()
        return [third.status_code, *[(await one).status_code for one in slow]]

    assert world.run(three()) == [503, 201, 201]


def test_every_answer_has_the_headers_of_safety(memory: World) -> None:
    """Nothing is cached, sniffed, framed or referred; no origin is let in."""
    for answer in (
        memory.issuer.get("/v1/cards"),
        memory.issuer.get("/v1/nothing"),
        memory.issuer.get("/healthz"),
        memory.issuer.get("/docs"),
    ):
        headers = answer.headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
    preflight = memory.issuer.call(
        "OPTIONS", "/v1/cards", Origin="https://evil.example", Access_Control_Request_Method="GET"
    )
    assert preflight.status_code == 405
    assert "Access-Control-Allow-Origin" not in preflight.headers


def test_the_log_has_the_route_and_never_the_path(memory: World) -> None:
    """Method, template, status, time, request id and key id; nothing that was sent."""
    card = memory.card()
    with structlog.testing.capture_logs() as logs:
        answer = memory.issuer.get(f"/v1/cards/{card}?limit=6212345678901232")
        memory.issuer.get("/v1/cards/6212345678901232")
        memory.issuer.get("/6212345678901232")
    first, second, third = logs
    assert first["route"] == second["route"] == "/v1/cards/{card}"
    assert third["route"] == "none"
    assert (first["method"], first["status"]) == ("GET", 400)
    assert first["request_id"] == answer.headers["X-Request-Id"]
    assert first["key"].startswith("key_")
    assert "6212345678901232" not in str(logs)
    assert card not in str(logs)


def test_metrics_count_calls_by_route(memory: World) -> None:
    """Prometheus text; labels hold templates and nothing of a card."""
    card = memory.card()
    memory.issuer.get(f"/v1/cards/{card}")
    memory.issuer.call("BREW", "/v1/cards")
    answer = memory.issuer.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    text = answer.text
    line = 'zhiwei_http_calls_total{method="GET",route="/v1/cards/{card}",status="200"} 1.0'
    assert line in text
    assert 'method="OTHER"' in text
    assert card not in text

"""The published contract: current, complete, and readable without anything from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from scripts.reference.openapi import openapi_text
from tests.gateways.http.house import World
from tests.gateways.http.test_keys import all_routes

from zhiwei.gateways.http.problems import CATALOGUE

COMMITTED = Path(__file__).parents[3] / "docs" / "reference" / "openapi.json"


def test_the_committed_contract_is_the_published_one() -> None:
    """After a change of the door, run `python -m scripts.reference`."""
    assert COMMITTED.read_text("utf-8") == openapi_text()


def contract(world: World) -> dict[str, Any]:
    """The document that the server publishes."""
    answer = world.issuer.get("/openapi.json")
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation of every call."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(value: object) -> Iterator[str]:
    """Every `$ref` in a document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_leads_somewhere(memory: World) -> None:
    """And nothing of the framework's own shapes is left."""
    document = contract(memory)
    for reference in references(document):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_route_is_in_the_contract(memory: World) -> None:
    """With a summary, a description, a name of its own, and its problems."""
    document = contract(memory)
    known = {(path, method.upper()) for path, method, _ in operations(document)}
    served = {
        (route.path, method)
        for route in all_routes(memory)
        for method in route.methods or ()
        if route.include_in_schema and not route.path.startswith("/docs")
    }
    assert known == served
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        assert operation["description"], (path, method)
        statuses = set(operation["responses"])
        assert statuses & {"200", "201"}, (path, method)
        assert {"500", "503"} <= statuses
        if path.startswith("/v1"):
            assert {"401", "403", "429"} <= statuses
            assert operation["x-scopes"]
            # Only a web gateway may sign its messages instead.
            signed: list[Any] = [{"signature": []}] if path == "/v1/inbound_messages" else []
            assert operation["security"] == [{"key": operation["x-scopes"]}, *signed]
            has_key = any(p["name"] == "Idempotency-Key" for p in operation.get("parameters", ()))
            assert has_key == (method == "post"), (path, method)


def test_every_problem_code_is_in_the_contract(memory: World) -> None:
    """By its status."""
    responses = contract(memory)["components"]["responses"]
    for code, (status, _) in CATALOGUE.items():
        assert f"`{code}`" in responses[f"Problem{status}"]["description"]


class Links(HTMLParser):
    """Everything that a page would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a tag in."""
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), name
            if name in ("href", "src", "action", "style"):
                self.addresses.append(value or "")


def test_the_pages_need_nothing_from_elsewhere(memory: World) -> None:
    """No script, no foreign address, and a policy under which their own style works."""
    for path in ("/docs", "/docs/problems"):
        answer = memory.issuer.get(path)
        assert answer.headers["Content-Type"].startswith("text/html")
        links = Links()
        links.feed(answer.text)
        assert "script" not in links.tags
        assert "link" not in links.tags
        assert all(re.fullmatch(r"[/#][a-z./#_]*", address) for address in links.addresses)
        assert "style-src 'sha256-" in answer.headers["Content-Security-Policy"]
    docs = memory.issuer.get("/docs").text
    assert "/v1/cards/{card}/controls/night_lock" in docs
    assert "夜间锁" in docs
    problems = memory.issuer.get("/docs/problems").text
    assert all(f'id="{code}"' in problems for code in CATALOGUE)


def test_the_test_clock_is_only_there_in_test_mode(house_with: Any) -> None:  # noqa: ANN401 - a fixture
    """Without `--test-mode` it is a route like any that does not exist."""
    world = house_with(is_test_mode=False)
    assert world.issuer.get("/v1/test_helpers/clock").json()["code"] == "route_not_found"
    assert world.issuer.put("/v1/test_helpers/clock", {"now": "x"}).status_code == 404
    assert "/v1/test_helpers/clock" not in contract(world)["paths"]
    plain = world.issuer.post("/v1/event_subscriptions", {"url": "http://bank.example"})
    assert plain.status_code == 422


def test_the_test_clock_stands_where_it_is_put(world: World) -> None:
    """Decisions are made at that instant, forwards and back."""
    card = world.card()
    moved = world.issuer.put("/v1/test_helpers/clock", {"now": "2026-01-01T00:00:00+08:00"})
    assert moved.json() == {"object": "clock", "now": "2025-12-31T16:00:00.000Z"}
    assert world.operator.get("/v1/test_helpers/clock").json() == moved.json()
    assert world.decision(card)["decided_at"] == "2025-12-31T16:00:00.000Z"
    world.at("2025-11-24T04:00:00Z")
    assert world.decision(card)["decided_at"] == "2025-11-24T04:00:00.000Z"
    bad = world.issuer.put("/v1/test_helpers/clock", {"now": "noon"})
    assert (bad.status_code, bad.json()["errors"][0]["pointer"]) == (422, "/now")

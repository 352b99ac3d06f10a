"""One shape for every answer that is not a success, on every route and beside all routes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from tests.gateways.http.house import PAN, Client, World, memory_world
from zhiwei.core.result import Rejection
from zhiwei.gateways.http.problems import CATALOGUE, Problem, problem_of_rejection

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One house for all of these calls; none of them changes anything."""
    made = memory_world()
    made.card()
    yield made
    made.close()


def is_problem(answer: httpx.Response, status: int | None = None) -> dict[str, Any]:
    """The problem document of an answer, checked member by member."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    document: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "code", "detail", "errors", "request_id"} == set(document)
    assert document["status"] == answer.status_code
    assert document["code"] in CATALOGUE
    known_status, title = CATALOGUE[document["code"]]
    assert (known_status, title) == (answer.status_code, document["title"])
    assert document["type"] == f"/docs/problems#{document['code']}"
    assert document["detail"]
    for fault in document["errors"]:
        assert set(fault) == {"pointer", "code", "detail"}
        assert fault["pointer"] == "" or fault["pointer"].startswith("/")
    assert document["request_id"] == answer.headers["X-Request-Id"]
    assert answer.headers["Cache-Control"] == "no-store"
    if status is not None:
        assert answer.status_code == status, answer.text
    return document


def routes() -> list[tuple[str, str]]:
    """Method and path of every route of the application, without those of the documents."""
    made = memory_world()
    found = [
        (method, context.path or "")
        for context in iter_route_contexts(made.app.routes)
        if isinstance(context.original_route, APIRoute)
        for method in context.methods or ()
    ]
    made.close()
    return sorted(found)


ROUTES = routes()
KEYED = [(method, path) for method, path in ROUTES if path.startswith("/v1")]


def filled(path: str) -> str:
    """A path whose ids name nothing."""
    return re.sub(r"\{[^}]*\}", "none", path)


@pytest.mark.parametrize("path", sorted({path for _, path in ROUTES}))
def test_a_wrong_method_is_405_in_the_one_shape(world: World, path: str) -> None:
    """With `Allow`, which names the right ones."""
    known = {method for method, other in ROUTES if other == path}
    sibling = "/controls/" in path
    for method in METHODS:
        if method in known or sibling:
            continue
        answer = world.issuer.call(method, filled(path))
        document = is_problem(answer, 405)
        assert document["code"] == "method_not_allowed"
        assert known <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize(("method", "path"), KEYED)
def test_a_call_without_a_key_is_401_in_the_one_shape(world: World, method: str, path: str) -> None:
    """Whatever else is wrong with it."""
    is_problem(Client(world, None).call(method, filled(path)), 401)


@pytest.mark.parametrize(("method", "path"), [r for r in KEYED if r[0] != "GET"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"a":1,"a":2}', 400),
        (b'{"a":NaN}', 400),
        (b"\xff", 400),
        (b"[" * 100_000, 400),
        (b"[]", 400),
        (b'"text"', 400),
        (b'{"no_such_field": 1}', 400),
        (b"x" * 262_145, 413),
    ],
)
def test_a_bad_body_is_refused_in_the_one_shape(
    world: World, method: str, path: str, body: bytes, status: int
) -> None:
    """400 where a body is read; a call that takes none says what else is wrong."""
    answer = world.issuer.call(method, filled(path), body)
    if answer.status_code >= 400:
        is_problem(answer)
    if status == 413:
        assert answer.status_code == 413
    elif method in ("PUT", "PATCH"):
        unknown = "{control_type}" in path
        assert answer.status_code == (404 if unknown else status), answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [r for r in KEYED if r[0] in ("PUT", "PATCH") and "{control_type}" not in r[1]],
)
@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "", "application/jsonx"])
def test_another_media_type_is_415_in_the_one_shape(
    world: World, method: str, path: str, media_type: str
) -> None:
    """Bodies are JSON and say so."""
    answer = world.issuer.call(method, filled(path), b"{}", Content_Type=media_type)
    is_problem(answer, 415)


@pytest.mark.parametrize(("method", "path"), [r for r in KEYED if r[0] == "GET"])
def test_an_unknown_parameter_is_400_in_the_one_shape(world: World, method: str, path: str) -> None:
    """A typing error in a filter must not show everything."""
    document = is_problem(world.issuer.get(filled(path) + "?starting_aftr=x"), 400)
    assert document["code"] == "unknown_parameter"


LISTS = [(method, path) for method, path in KEYED if method == "GET" and "{" not in path]


@pytest.mark.parametrize(("method", "path"), LISTS)
@pytest.mark.parametrize(
    ("query", "status"), [("limit=x", 400), ("limit=0", 422), ("limit=101", 422)]
)
def test_a_bad_page_is_refused_in_the_one_shape(
    world: World, method: str, path: str, query: str, status: int
) -> None:
    """A limit is 1 to 100."""
    answer = world.issuer.get(f"{path}?{query}")
    document = is_problem(answer)
    if document["code"] != "unknown_parameter":
        assert answer.status_code == status


@pytest.mark.parametrize(
    "path",
    ["/", "/v2/cards", "/v1", "/v1/", "/v1/cards/", "/v1/card", "/docs/", "/v1//cards", "/%00"],
)
@pytest.mark.parametrize("method", [*METHODS, "OPTIONS", "HEAD", "BREW"])
def test_what_is_not_there_is_404_in_the_one_shape(world: World, method: str, path: str) -> None:
    """For every method, with and without a key; no redirect guesses what was meant."""
    for client in (world.issuer, Client(world, None)):
        answer = client.call(method, path)
        assert answer.status_code == 404
        if method != "HEAD":
            assert is_problem(answer)["code"] == "route_not_found"


@pytest.mark.parametrize("rejection", list(Rejection))
def test_every_rejection_has_its_problem(rejection: Rejection) -> None:
    """A command that cannot be carried out is never an internal error."""
    assert problem_of_rejection(rejection).status_code in (403, 404, 409, 412, 422, 428, 500)


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_problem_is_a_client_or_server_error_with_a_title(code: str) -> None:
    """The catalogue is closed and complete."""
    document = Problem(code).document("req_x")
    assert 400 <= document["status"] < 600
    assert document["detail"] == document["title"]
    assert not document["title"].endswith(".")


def test_no_problem_repeats_a_card_number(world: World) -> None:
    """Wherever a number may slip into a call, the answer does not carry it on."""
    grouped = " ".join(PAN[i : i + 4] for i in range(0, 16, 4))
    bodies: list[tuple[str, str, Any]] = [
        ("POST", "/v1/cards", {"pan": PAN + "0000"}),
        ("POST", "/v1/cards", {PAN: 1}),
        ("POST", "/v1/cards", {"pan": PAN, "network": PAN}),
        ("POST", "/v1/cards", {"pan": PAN, "time_zone": PAN}),
        ("POST", "/v1/cards", {"pan": [PAN]}),
        ("POST", "/v1/cards", f'{{"pan":"{PAN}","pan":"{PAN}"}}'.encode()),
        ("POST", "/v1/cards", f'{{"{PAN}":1,"{PAN}":2}}'.encode()),
        ("POST", "/v1/cards", f'{{"pan":{PAN}'.encode()),
        ("POST", "/v1/authorizations", {"card": PAN, "kind": PAN}),
        ("POST", "/v1/authorizations", {"pan": PAN, "kind": "purchase", "amount": int(PAN)}),
        ("POST", "/v1/authorizations", {"pan": grouped, "kind": "void", "amount": 1}),
        ("PUT", f"/v1/cards/{PAN}/controls/{PAN}", {}),
        ("GET", f"/v1/cards/{PAN}", None),
        ("GET", f"/v1/cards?{PAN}=1", None),
        ("GET", f"/v1/cards?starting_after={PAN}", None),
        ("GET", f"/v1/{PAN}", None),
    ]
    for method, path, body in bodies:
        answer = world.issuer.call(method, path, body)
        document = is_problem(answer)
        for form in (PAN, grouped, PAN[:12], PAN[-10:]):
            assert form not in answer.text, (method, path, document)
            assert form not in str(answer.headers)

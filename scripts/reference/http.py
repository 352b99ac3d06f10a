"""`http.md`: every call of the HTTP door, from the OpenAPI document that the server publishes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

from scripts.reference.markdown import code, codes, page, table
from scripts.reference.schema import Schema, description_of, in_words, rows_of
from scripts.reference.source import ROOT

Document: TypeAlias = "dict[str, Any]"

#: The contract; a test of the HTTP door holds it to what the server publishes.
OPENAPI = ROOT / "docs" / "reference" / "openapi.json"
METHODS = ("get", "put", "post", "patch", "delete")

INTRODUCTION = """\
The contract in full is the OpenAPI document that the server publishes at `/openapi.json` and shows
at `/docs`; [openapi.json](openapi.json) is a copy. This page is made from it.

Calls send a key as `Authorization: Bearer zw_…`. *Scopes* says which keys may make a call: `issuer`
is the bank's own systems, `operator` the bank's desk, `cardholder` one person's app, which reaches
that person's cards only. Only an issuer key may send `Authentication-Strength: strong`, its word
that the cardholder was strongly authenticated for this very call; every loosening needs it.

Bodies are JSON and strict: a name that is not in the contract, or a value of another type, is an
error. Amounts are whole minor units, instants RFC 3339 in UTC. Every POST takes an
`Idempotency-Key`: the same key with the same body gets the same answer again. Errors are
[problem documents](errors.md). Lists are `{"object": "list", "data": [], "has_more": false}`,
newest first, with `limit`, `starting_after` and `ending_before`. New fields and new values of
enumerations
may appear in answers without a new version of the interface."""

SHAPES = """\
What bodies and answers hold. A field with `[]` behind it is a list; what comes after the dot is a
field of its items."""


def http_page() -> str:
    """The page."""
    document: Document = json.loads(OPENAPI.read_text(encoding="utf-8"))
    parts = []
    for tag, calls in _by_tag(document).items():
        parts.append(f"## {tag}")
        for method, path, operation in calls:
            parts += _call(method, path, operation, document)
    return page(
        "HTTP",
        INTRODUCTION,
        "## All calls",
        table(("call", "what it does", "scopes"), _overview(document)),
        *parts,
        "## Shapes",
        SHAPES,
        *_shapes(document),
    )


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Method, path and operation of every call."""
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                yield method.upper(), path, methods[method]


def _by_tag(document: Document) -> dict[str, list[tuple[str, str, Document]]]:
    found: dict[str, list[tuple[str, str, Document]]] = {}
    for method, path, operation in operations(document):
        tag = operation.get("tags", ["Other"])[0]
        found.setdefault(tag, []).append((method, path, operation))
    return found


def _overview(document: Document) -> Iterator[tuple[str, str, str]]:
    for method, path, operation in operations(document):
        yield code(f"{method} {path}"), operation.get("summary", ""), _scopes(operation)


def _scopes(operation: Document) -> str:
    return codes(operation.get("x-scopes", ())) or "no key"


def _call(method: str, path: str, operation: Document, document: Document) -> list[str]:
    """One call: what it promises, what it takes, what it answers."""
    parts = [
        f"### {method} {path}",
        f"**{operation.get('summary', '')}** · {_scopes(operation)}",
        _paragraphs(operation.get("description", "")),
    ]
    rows = [_parameter(each, document) for each in operation.get("parameters", ())]
    if rows:
        parts.append(table(("parameter", "in", "value", "meaning"), rows))
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        parts.append(f"Body: {_shape_name(body['schema'])}.")
    answers = _answers(operation)
    if answers:
        parts.append(f"Answers: {answers}.")
    return parts


def _paragraphs(text: str) -> str:
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    # The scopes stand beside the summary already.
    return "\n\n".join(each for each in paragraphs if not each.startswith("Scopes: "))


def _parameter(parameter: Document, document: Document) -> tuple[str, ...]:
    definitions = document["components"]["schemas"]
    schema = parameter.get("schema", {})
    need = "required, " if parameter.get("required") and parameter["in"] != "path" else ""
    about = parameter.get("description") or description_of(schema, definitions)
    name, value = code(parameter["name"]), need + in_words(schema, definitions)
    return name, parameter["in"], value, about


def _answers(operation: Document) -> str:
    """Statuses that are successes, with their shapes; problems are on a page of their own."""
    words = []
    for status, answer in operation.get("responses", {}).items():
        content = answer.get("content", {}).get("application/json")
        if status.startswith("2"):
            words.append(f"{status} {_shape_name(content['schema']) if content else ''}".strip())
    return ", ".join(words)


def _shape_name(schema: Schema) -> str:
    """The shape by its name, with a link; a nameless one by its kind."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[1]
        return f"[{_short(name)}](#{anchor(name)})"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_shape_name(each) for each in schema[key])
    return str(schema.get("type", "anything"))


def _short(name: str) -> str:
    """`ListOf_Card_` reads `ListOf Card`."""
    return name.replace("_", " ").strip()


def anchor(name: str) -> str:
    """The anchor that a heading of this name has."""
    return _short(name).lower().replace(" ", "-")


def _shapes(document: Document) -> list[str]:
    definitions = document["components"]["schemas"]
    parts = []
    for name, schema in sorted(definitions.items()):
        rows = list(rows_of(schema, definitions, depth=1))
        parts.append(f"### {_short(name)}")
        about = " ".join(str(schema.get("description", "")).split())
        if about:
            parts.append(about)
        if rows:
            parts.append(table(("field", "value", "meaning"), _with_code(rows)))
        elif "enum" in schema:
            parts.append(codes(schema["enum"]))
    return parts


def _with_code(rows: list[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    for name, value, about in rows:
        yield code(name), value, about

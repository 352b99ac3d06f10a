"""HTTP calls that carry canaries: every call of the contract, with a number wherever one fits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.canary import cards

Document = dict[str, Any]
METHODS = ("get", "put", "post", "patch", "delete")
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Call:
    """One call, with everything that is sent but the key."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


class CallMaker:
    """Makes calls of a contract about things that exist."""

    def __init__(self, contract: Document, ids: Mapping[str, str]) -> None:
        self._contract = contract
        #: By the name of the parameter in the path.
        self._ids = ids

    def operations(self) -> Iterator[tuple[str, str, Document]]:
        """Method, path and operation of every call in the contract."""
        for path, methods in self._contract["paths"].items():
            for method in METHODS:
                if method in methods:
                    yield method.upper(), path, methods[method]

    def all(self) -> Iterator[Call]:
        """Everything; what takes things away comes last."""
        operations = sorted(self.operations(), key=lambda each: each[0] == "DELETE")
        for method, path, operation in operations:
            yield from self._in_address(method, path, operation)
            yield Call(method, self._address(path), _headers(), b"{}")
            yield from self._in_body(method, path, operation)
        yield Call("GET", f"/{cards.IN_PATH}")
        yield Call("POST", f"/v1/{cards.IN_PATH}", _JSON, cards.IN_BROKEN_BODY.encode())
        yield Call("GET", f"/docs?pan={cards.IN_QUERY}", {"Referer": cards.IN_HEADER})

    def _in_address(self, method: str, path: str, operation: Document) -> Iterator[Call]:
        for value in (cards.IN_PATH, f"card_{cards.IN_PATH}", quote(" ".join(cards.IN_PATH))):
            if "{" in path:
                yield Call(method, re.sub(r"\{[^}]+\}", value, path))
        names = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
        number = cards.IN_QUERY
        spaced = quote(" ".join(number[start : start + 4] for start in range(0, 16, 4)))
        for name in (*names, "pan", number):
            for value in (number, spaced):
                yield Call(method, f"{self._address(path)}?{quote(name)}={value}")

    def _in_body(self, method: str, path: str, operation: Document) -> Iterator[Call]:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            return
        address = self._address(path)
        good = self._sample(content["schema"])
        yield Call(method, address, _JSON, json.dumps(good).encode())
        for index, where in enumerate(_leaves(good)):
            # Two of the four ways for each field: over all fields there are plenty of each.
            for value in (_TEXTUAL[index % 2], _OTHER[index % 2]):
                yield Call(method, address, _JSON, json.dumps(_with(good, where, value)).encode())
        for body in _broken():
            yield Call(method, address, _JSON, body)

    def _address(self, path: str) -> str:
        return re.sub(r"\{([^}]+)\}", lambda found: self._ids.get(found[1], "none"), path)

    def _sample(self, schema: Document, name: str = "") -> Any:  # noqa: ANN401 - JSON is anything
        """A value that the contract allows, with everything that may be said in it."""
        if "$ref" in schema:
            return self._sample(self._component(schema), name)
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                return self._sample(schema[choice][0], name)
        if name in _TEXTS:
            return self._ids.get(name, _TEXTS[name])
        if "enum" in schema:
            return schema["enum"][-1]
        if schema.get("examples"):
            return schema["examples"][0]
        kind = schema.get("type")
        if kind == "object":
            properties = schema.get("properties", {})
            return {n: self._sample(s, n) for n, s in properties.items() if n not in _LEFT_OUT}
        if kind == "array":
            return [self._sample(schema.get("items", {}), name)]
        if kind == "boolean":
            return True
        return 100 if kind in ("integer", "number") else "text"

    def _component(self, schema: Document) -> Document:
        found: Document = self._contract["components"]["schemas"][schema["$ref"].split("/")[-1]]
        return found


#: A number instead of a text.
_TEXTUAL = (cards.IN_TEXT, f"card {cards.IN_TEXT}, please")
_OTHER = ("-".join(re.findall("....", cards.IN_TEXT)), int(cards.IN_NUMBER))
#: Values of fields that the contract says less about than the rules do.
_TEXTS: dict[str, Any] = {
    "card": "none",
    "cardholder": "none",
    "pan": cards.LONG,
    "phone": "+8613800000000",
    "from": "+8613800000000",
    "email": "somebody@example.com",
    "mcc": "5411",
    "mccs": ["7995"],
    "country": "CHN",
    "countries": ["JPN"],
    "region": "41",
    "regions": ["41"],
    "until": "2026-12-31T00:00:00.000Z",
    "transmitted_at": "1123120000",
    "time_zone": "Asia/Shanghai",
    "start": "23:00",
    "end": "05:00",
    "kind": "purchase",
    "channel": "pos",
    "medium": "chip",
    "measure": "amount",
    "period": "day",
    "events": [],
    "url": "https://example.com/hook",
    "network": "unionpay",
    "currency": "CNY",
    "billing_currency": "CNY",
    "initiated_by": "cardholder",
    "authorization_code": "123456",
    "counterparty_tail": "1234",
    "locale": "zh",
    "response": "deny",
    "status": "active",
    "count": None,
    "seconds": None,
    "original": None,
    "merchant": {"id": "898493054110001", "name": "LUOYANG TEST STORE", "mcc": "5411"},
}
#: What cannot be said together with the rest.
_LEFT_OUT = frozenset(("token", "replacement_amount"))


def _leaves(value: object, where: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where the values stand in a document that are no documents themselves."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*where, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*where, index))
    elif where:
        yield where


def _with(document: Document, where: tuple[str | int, ...], value: object) -> Document:
    """The document with another value at one place."""
    changed: Any = deepcopy(document)
    inner = changed
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = value
    found: Document = changed
    return found


def _headers() -> dict[str, str]:
    """A number in every header that a server may look at."""
    number = cards.IN_HEADER
    names = ("If-None-Match", "Authentication-Strength", "X-Request-Id", "Accept-Language")
    return dict.fromkeys((*names, "X-Forwarded-For", "Idempotency-Key", number), number) | {
        "Content-Type": f"application/{number}",
        "If-Match": f'"{number}"',
        "User-Agent": f"terminal/{number}",
        "Cookie": f"pan={number}",
        "Forwarded": f"for={number}",
        "Traceparent": f"00-{number}{number}-{number}-01",
    }


def _broken() -> Iterator[bytes]:
    """Bodies that are no JSON, or not what was asked for."""
    number = cards.IN_BROKEN_BODY
    texts = (
        f'{{"pan": "{number}',
        f'{{"pan": {number}e400}}',
        f'{{"pan": "{number}", "pan": "{number}"}}',
        f'{{"pan": "{number}\x00"}}',
        f'{{"{number}": {{"{number}": [{number}]}}}}',
        f'["{number}"]',
        f'"{number}"',
        number,
    )
    for text in texts:
        yield text.encode()
    yield json.dumps({"pan": number}).encode("utf-16")
    yield b"\xff" + number.encode()
    yield b"[" * 2000 + number.encode()

"""`/docs`: the contract for people, from the OpenAPI document; without scripts."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from zhiwei.gateways.http.house import Document
from zhiwei.gateways.http.problems import CATALOGUE

router = APIRouter(include_in_schema=False)

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, "PingFang SC", "Noto Sans CJK SC", sans-serif; margin: 0 auto;
       max-width: 60rem; padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; border-bottom: 1px solid; }
details { border: 1px solid #8886; border-radius: .5rem; margin: .4rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; } code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { overflow-x: auto; white-space: pre-wrap; }
.m { display: inline-block; min-width: 4.2rem; font-weight: 700; }
code { overflow-wrap: break-word; } p code { overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } td, th { border-bottom: 1px solid #8886;
text-align: left; padding: .25rem .5rem; vertical-align: top; }
"""
_CODE: Final = re.compile(r"`([^`]+)`")
_STRONG: Final = re.compile(r"\*\*([^*]+)\*\*")
_POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + b64encode(sha256(_STYLE.encode()).digest()).decode()
    + "'"
)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """All calls, by resource."""
    document: Document = request.app.openapi()
    parts = [
        f"<h1>{escape(document['info']['title'])} {escape(document['info']['version'])}</h1>",
        _paragraphs(document["info"]["description"]),
        '<p><a href="/openapi.json">openapi.json</a> · <a href="/docs/problems">problems</a></p>',
    ]
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = operation.get("tags", ["Other"])[0]
            by_tag.setdefault(tag, []).append(_call(document, path, method, operation))
    for tag, calls in by_tag.items():
        parts.append(f"<h2>{escape(tag)}</h2>")
        parts.extend(calls)
    return _page(document["info"]["title"], parts)


@router.get("/docs/problems")
async def problems() -> Response:
    """All problem codes."""
    rows = [
        f'<tr id="{code}"><td>{status}</td><td><code>{_breakable(code)}</code></td>'
        f"<td>{escape(title)}</td></tr>"
        for code, (status, title) in CATALOGUE.items()
    ]
    head = "<tr><th>Status</th><th>Code</th><th>What it means</th></tr>"
    return _page("Problems", ["<h1>Problems</h1>", f"<table>{head}{''.join(rows)}</table>"])


def _breakable(code: str) -> str:
    """A code that a narrow screen breaks after its words."""
    return code.replace("_", "_<wbr>")


def _call(document: Document, path: str, method: str, operation: Document) -> str:
    """One call: what it does, what it takes, what it answers."""
    summary = (
        f'<summary><span class="m">{method.upper()}</span> <code>{escape(path)}</code>'
        f" {escape(operation.get('summary', ''))}</summary>"
    )
    parts = [_paragraphs(operation.get("description", ""))]
    parameters = operation.get("parameters", [])
    if parameters:
        rows = [
            f"<tr><td><code>{escape(p['name'])}</code></td><td>{escape(p['in'])}</td>"
            f"<td>{escape(p.get('description', ''))}</td></tr>"
            for p in parameters
        ]
        parts.append(f"<table>{''.join(rows)}</table>")
    content = operation.get("requestBody", {}).get("content", {})
    parts += [
        f"<p>Body</p>{_schema(document, body.get('schema', {}))}" for body in content.values()
    ]
    parts += [
        f"<p>{status}</p>{_schema(document, body.get('schema', {}))}"
        for status, response in operation["responses"].items()
        if status.startswith("2")
        for body in response.get("content", {}).values()
    ]
    return f"<details>{summary}{''.join(parts)}</details>"


def _schema(document: Document, schema: Document) -> str:
    """The members of an object, one level deep."""
    resolved = _resolved(document, schema)
    members = resolved.get("properties")
    if not members:
        return f"<pre>{escape(_type(schema))}</pre>"
    required = set(resolved.get("required", ()))
    rows = [
        f"<tr><td><code>{escape(name)}</code>{'' if name in required else ' ?'}</td>"
        f"<td>{escape(_type(member))}</td><td>{escape(member.get('description', ''))}</td></tr>"
        for name, member in members.items()
    ]
    return f"<table>{''.join(rows)}</table>"


def _resolved(document: Document, schema: Document) -> Document:
    """A schema behind its reference; of several, the first that is an object."""
    for part in schema.get("anyOf", [schema]):
        if "$ref" in part:
            name = part["$ref"].rpartition("/")[2]
            found: Document = document["components"]["schemas"][name]
            return found
    return schema


def _type(schema: Document) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " | ".join(_type(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return repr(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def _paragraphs(text: str) -> str:
    """Text with the two marks that our descriptions have: `code` and **what matters**."""
    marked = _STRONG.sub(r"<strong>\1</strong>", _CODE.sub(r"<code>\1</code>", escape(text)))
    return "".join(f"<p>{part}</p>" for part in marked.split("\n\n") if part.strip())


def _page(title: str, parts: list[str]) -> Response:
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>"
    )
    headers: dict[str, Any] = {"Content-Security-Policy": _POLICY}
    return Response(text.encode(), headers=headers, media_type="text/html; charset=utf-8")

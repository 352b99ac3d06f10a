"""The OpenAPI document: what FastAPI knows of the routes, and what holds for all of them.

`docs/reference/openapi.json` is this document as of test mode, written with the rest of the
reference by `python -m scripts.reference`; a test says when it is no longer current.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from zhiwei.gateways.http.gate import SCOPES
from zhiwei.gateways.http.house import Document
from zhiwei.gateways.http.problems import CATALOGUE, MEDIA_TYPE
from zhiwei.gateways.http.shapes import ProblemShape
from zhiwei.gateways.http.signatures import SIGNATURE

DESCRIPTION: Final = """\
The guardian of card accounts: decides card authorizations by the cardholder's own locks, limits,
verifications and stops, and can say why.

**Keys.** `Authorization: Bearer <key>`. Each call names the scopes that may make it. `issuer` is
the bank's own systems; it alone may assert `Authentication-Strength: strong` (the cardholder was
strongly authenticated for this very call). `operator` is the bank's desk: reads all, tightens,
sends no transactions. `cardholder:<id>` is one person's app: its own cards only, others' do not
exist for it.

**Tightening and loosening.** A change after which something could be approved that was refused
before is a loosening. It needs strong authentication (403 `strong_authentication_required`
without), and is answered with 200, or with 202, `pending` and `available_at` where a cooling-off
applies. A tightening is 200 at once.

**Repeats.** Every POST takes an `Idempotency-Key` (1 to 255 visible ASCII characters): the same key
and body get the same answer again, with `Idempotent-Replayed: true`; another body is 409. The key
belongs to the API key, the operation and the card.

**Values.** Amounts are integers of minor units; times RFC 3339 in UTC with milliseconds; ids have a
prefix. Lists are `{"object":"list","data":[],"has_more":false}` with `limit`, `starting_after`,
`ending_before`. New members and new values of enumerations may appear in answers.

**Errors** are `application/problem+json` (RFC 9457) with `code`, `errors[{pointer,code,detail}]`
and `request_id`.
"""

_PROBLEM: Final = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
_BODY_METHODS: Final = ("post", "put", "patch")


def document_of(app: FastAPI) -> Document:
    """The whole document."""
    document = get_openapi(
        title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = ProblemShape.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    problem["properties"]["code"]["enum"] = list(CATALOGUE)
    schemas["Problem"] = problem
    components["responses"] = _problem_responses()
    components["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of `zhiwei keys create --scope issuer|operator|cardholder:<id>`.",
        },
        SIGNATURE: {
            "type": "apiKey",
            "in": "header",
            "name": "webhook-signature",
            "description": "Standard Webhooks: with `webhook-id` and `webhook-timestamp`.",
        },
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    return document


def _problem_responses() -> Document:
    """A response for each status that a problem may have, with the codes that it may carry."""
    responses: Document = {}
    for status in sorted({status for status, _ in CATALOGUE.values()}):
        codes = [f"`{code}`" for code, (known, _) in CATALOGUE.items() if known == status]
        responses[f"Problem{status}"] = {"description": ", ".join(codes), **_PROBLEM}
    return responses


def _complete(path: str, method: str, operation: Document) -> None:
    """What holds for a call because of its path, method and scopes."""
    responses: dict[str, Any] = operation["responses"]
    responses.pop("422", None)
    parameters: list[Document] = operation.setdefault("parameters", [])
    statuses = {500, 503}
    if SCOPES in operation:
        scopes = operation[SCOPES]
        operation["description"] = (
            f"{operation.get('description', '')}\n\nScopes: {', '.join(scopes)}."
        ).strip()
        statuses |= {400, 401, 403, 404, 422, 429}
        if method != "get" and any(part in path for part in _MAY_LOOSEN) and ":" not in path:
            parameters.append(_header("Authentication-Strength", _STRENGTH))
    if method in _BODY_METHODS:
        statuses |= {408, 409, 413, 415}
    if method == "post" and SCOPES in operation:
        parameters.append(_header("Idempotency-Key", _IDEMPOTENCY))
    is_control = "/controls/" in path and method in ("put", "delete")
    if is_control and not path.endswith("/pending"):
        statuses |= {412, 428}
        parameters.append(_header("If-Match", "The ETag that was read."))
        if method == "put":
            parameters.append(_header("If-None-Match", "`*`: the control is not set yet.", ["*"]))
    if not parameters:
        del operation["parameters"]
    for status in sorted(statuses):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/Problem{status}"})


#: Parts of the paths of calls that may be a loosening.
_MAY_LOOSEN: Final = (
    "/controls/",
    "/stop",
    "/kill_switch",
    "/exceptions",
    "/bindings/",
    "/respond",
)
_STRENGTH: Final = (
    "`strong`: the cardholder was strongly authenticated for this call."
    " Believed from issuer keys only."
)
_IDEMPOTENCY: Final = "1 to 255 visible ASCII characters."


def _header(name: str, description: str, values: list[str] | None = None) -> Document:
    """An optional header."""
    schema: Document = {"type": "string"}
    if values is not None:
        schema["enum"] = values
    elif name == "Idempotency-Key":
        schema["pattern"] = "^[!-~]{1,255}$"
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": schema,
    }

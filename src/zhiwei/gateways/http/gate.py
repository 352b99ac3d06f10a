"""The gate of every route: who may pass, and that the request can be read, before any work is done.

A route says which scopes may make the call (`call(...)`); a route that says nothing cannot be
built.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute

from zhiwei.gateways.http.caller import Caller
from zhiwei.gateways.http.house import House
from zhiwei.gateways.http.idempotency import key_in
from zhiwei.gateways.http.keys import ISSUER, key_named
from zhiwei.gateways.http.masking import masked
from zhiwei.gateways.http.problems import Fault, Problem
from zhiwei.gateways.http.signatures import SIGNATURE, is_signed, signed_caller
from zhiwei.gateways.http.strict_json import document_in

#: Where a route keeps what `call` said; the OpenAPI document shows it too.
SCOPES: Final = "x-scopes"
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="zhiwei"'}

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def call(
    scopes: tuple[str, ...],
    answer: Any,  # noqa: ANN401 - FastAPI's own types
    status: int = 200,
    *,
    may_be_signed: bool = False,
    **more: Any,  # noqa: ANN401 - as above
) -> dict[str, Any]:
    """Arguments of a route: who may call it, what it answers, and further statuses it may give.

    `answer` is the model of the answer; `more` are answers by status, as `s202=Model`. A call that
    may be signed needs no key where it carries a right signature (`signatures`).
    """
    security: list[dict[str, Any]] = [{"key": list(scopes)}]
    if may_be_signed:
        security.append({SIGNATURE: []})
    responses: dict[int | str, dict[str, Any]] = {status: {"model": answer}}
    responses |= {int(name[1:]): {"model": model} for name, model in more.items()}
    return {
        "status_code": status,
        "response_model": None,
        "responses": responses,
        "openapi_extra": {SCOPES: list(scopes), "security": security},
    }


class Gate(APIRoute):
    """A route behind the gate."""

    def get_route_handler(self) -> Handler:
        """The handler, with the checks before it."""
        inner = super().get_route_handler()
        scopes: list[str] = (self.openapi_extra or {})[SCOPES]
        parameters = {
            p.alias for p in get_flat_params(self.dependant) if isinstance(p.field_info, Query)
        }
        reads_body = self.body_field is not None
        may_be_signed = {SIGNATURE: []} in (self.openapi_extra or {})["security"]

        async def handle(request: Request) -> Response:
            house: House = request.app.state.house
            if may_be_signed and is_signed(request):
                caller = await signed_caller(request, house)
            else:
                caller = await _authenticated(request, house)
            if caller.key.scope not in scopes:
                detail = f"this call is for {', '.join(scopes)} keys"
                raise Problem("forbidden_scope", detail)
            request.state.caller = caller
            _check_parameters(request, parameters)
            if request.method == "POST":
                key_in(request)
            if reads_body:
                request = await _with_document(request)
            with _place(request.app.state.at_once, caller.key.id, house.settings.requests_at_once):
                return await inner(request)

        return handle


class ReadRequest(Request):
    """A request whose body was read by our own strict reader."""

    document: Any

    async def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        """The document."""
        return self.document


async def _authenticated(request: Request, house: House) -> Caller:
    """Who calls.

    Raises:
        Problem: `unauthorized`; which of the ways it is wrong is not told.
        StoreUnavailableError: the keys cannot be read now.
    """
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    key = None
    if scheme.lower() == "bearer":
        told = text.strip()
        if house.asks_for_keys:
            key = await run_in_threadpool(key_named, told, house.find_key)
        else:
            key = key_named(told, house.find_key)
    if key is None:
        raise Problem("unauthorized", "send `Authorization: Bearer <key>`", headers=_CHALLENGE)
    asserted = request.headers.get("authentication-strength", "").strip().lower() == "strong"
    return Caller(key, is_strong=asserted and key.scope == ISSUER)


def _check_parameters(request: Request, known: set[str]) -> None:
    """Raise for a query parameter that the route does not know: a typing error is never ignored."""
    for name in request.query_params:
        if name not in known:
            detail = f"`{masked(name, 40)}` is not a parameter of this call"
            raise Problem("unknown_parameter", detail, errors=(Fault("", "unknown", detail),))


async def _with_document(request: Request) -> Request:
    """The request with its JSON read; without a body it stays as it is.

    Raises:
        Problem: `unsupported_media_type`, `malformed_json`.
    """
    body = await request.body()
    if not body:
        return request
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower()
    is_json = media_type.strip().lower() == "application/json"
    if not is_json or charset not in ("", "charset=utf-8", 'charset="utf-8"'):
        raise Problem("unsupported_media_type", "send `Content-Type: application/json`")
    read = ReadRequest(request.scope, request.receive)
    read._body = body  # noqa: SLF001 - Starlette keeps what it has read there, and offers no other way
    read.document = document_in(body)
    return read


@contextmanager
def _place(at_once: Counter[str], key_id: str, most: int) -> Iterator[None]:
    """Count the call among those of its key while it runs.

    Raises:
        Problem: `too_many_requests`.
    """
    if at_once[key_id] >= most:
        detail = f"at most {most} requests at once with one key"
        raise Problem("too_many_requests", detail, headers={"Retry-After": "1"})
    at_once[key_id] += 1
    try:
        yield
    finally:
        at_once[key_id] -= 1
        if not at_once[key_id]:
            del at_once[key_id]

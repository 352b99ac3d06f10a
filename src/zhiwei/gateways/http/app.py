"""The application: all resources behind one door, from one value (`House`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Match

import zhiwei
from zhiwei.core.errors import NotAllowedValueError, ZhiweiError
from zhiwei.gateways.http import (
    advices,
    audit,
    authorizations,
    bindings,
    cardholders,
    cards,
    challenges,
    checkups,
    control_types,
    controls,
    docs_page,
    events,
    follow_ups,
    health,
    inbound,
    messages,
    permissions,
    policies,
    postings,
    preferences,
    previews,
    stops,
    subscription_calls,
    subscriptions,
    test_helpers,
    trusted_contacts,
)
from zhiwei.gateways.http.door import Door
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.openapi import document_of
from zhiwei.gateways.http.problems import Problem, problem_of_status, problem_of_value
from zhiwei.gateways.http.replies import reply_problem
from zhiwei.gateways.http.validation import problem_of_errors
from zhiwei.ports import CorruptFileError, OutcomeUnknownError

#: In the order in which the contract shows them.
_ROUTERS = (
    cardholders.router,
    cards.router,
    controls.router,
    previews.router,
    control_types.router,
    stops.router,
    permissions.router,
    authorizations.router,
    follow_ups.router,
    advices.router,
    postings.router,
    bindings.router,
    challenges.router,
    inbound.router,
    messages.router,
    preferences.router,
    trusted_contacts.router,
    checkups.router,
    events.router,
    subscriptions.router,
    subscription_calls.router,
    policies.router,
    audit.router,
)


def build_app(house: House) -> FastAPI:
    """The ASGI application of a house."""
    app = FastAPI(
        title="智卫 zhiwei",
        version=zhiwei.__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        generate_unique_id_function=_operation_id,
    )
    for router in _ROUTERS:
        app.include_router(router)
    if house.test_clock is not None:
        app.include_router(test_helpers.router)
    app.include_router(health.router)
    app.include_router(docs_page.router)
    app.state.house = house
    # What this process remembers between calls; nothing of it must outlive it.
    app.state.at_once = Counter()
    app.state.running = set()
    app.state.conversation = inbound.conversation_of(house)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(ZhiweiError, _on_error)
    app.add_middleware(Door, settings=house.settings, metrics=house.metrics)
    app.openapi = lambda: _cached(app)  # type: ignore[method-assign]  # FastAPI documents this way
    return app


def _operation_id(route: APIRoute) -> str:
    """For example `cards_list_cards`: file and function, both unique names of ours."""
    return f"{route.endpoint.__module__.rpartition('.')[2]}_{route.name}"


def _cached(app: FastAPI) -> Document:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = document_of(app)
    return app.openapi_schema


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Our own problems, and the framework's answers (404, 405) in our shape."""
    assert isinstance(error, HTTPException)
    if isinstance(error, Problem):
        return _answered(request, error)
    headers: Mapping[str, str] | None = error.headers
    if error.status_code == 405:
        headers = {"Allow": ", ".join(sorted(_methods_here(request)))}
    return _answered(request, problem_of_status(error.status_code, headers))


async def _on_invalid(request: Request, error: Exception) -> Response:
    """What the models refused."""
    assert isinstance(error, RequestValidationError)
    return _answered(request, problem_of_errors(error.errors()))


async def _on_error(request: Request, error: Exception) -> Response:
    """What the house could not do."""
    if isinstance(error, NotAllowedValueError):
        return _answered(request, problem_of_value(error))
    if isinstance(error, CorruptFileError):
        return _answered(request, Problem("card_unreadable"))
    if isinstance(error, OutcomeUnknownError):
        return _answered(request, Problem("outcome_unknown", headers={"Retry-After": "1"}))
    # The store cannot write, too much is waiting, or the house is closing: nothing was done.
    return _answered(request, Problem("unavailable", headers={"Retry-After": "1"}))


def _answered(request: Request, problem: Problem) -> Response:
    return reply_problem(problem, request.state.request_id)


def _methods_here(request: Request) -> set[str]:
    """All methods that some route knows at this path."""
    methods: set[str] = set()
    for context in iter_route_contexts(request.app.routes):
        match, _ = context.original_route.matches(request.scope)
        if match is not Match.NONE:
            methods |= context.methods or set()
    return methods

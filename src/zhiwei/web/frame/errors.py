"""Errors: whatever goes wrong under a page is a page as well, which says what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from zhiwei.core.errors import ZhiweiError
from zhiwei.messaging.faults import fault
from zhiwei.ports import StoreUnavailableError
from zhiwei.web.console.context import NothingHereError, NotYourRoleError
from zhiwei.web.frame.counters import FormOverError, NotForContactsError
from zhiwei.web.frame.drawing import Frame

_log: Final = structlog.get_logger("http")
#: Statuses that have a sentence of their own; others share `error.other`.
_TOLD: Final = frozenset((400, 403, 404, 405, 408, 413, 415, 429, 503))
Answer = Callable[[Request, Exception], Awaitable[Response]]


def answer_errors(app: FastAPI, frame: Frame) -> None:
    """Pages for all that an application of pages may raise."""

    def page(request: Request, status: int, key: str) -> Response:
        home = "/console" if request.url.path.startswith("/console") else "/me"
        facts = {"why": key, "status": status, "home": home}
        return frame.page(request, "frame/error.html", facts, status=status)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = error.status_code
        if status == 303:
            return Response(status_code=303, headers=dict(error.headers or {}))
        if isinstance(error, FormOverError):
            return page(request, status, "error.form_over")
        if isinstance(error, NotForContactsError):
            return page(request, status, "error.contact")
        key = f"error.{status}" if status in _TOLD else "error.other"
        return page(request, status, key)

    async def on_invalid(request: Request, _error: Exception) -> Response:
        return page(request, 404, "error.404")

    async def on_own(request: Request, error: Exception) -> Response:
        if isinstance(error, NotYourRoleError):
            return page(request, 403, "error.role")
        if isinstance(error, NothingHereError):
            return page(request, 404, "error.404")
        if isinstance(error, StoreUnavailableError):
            return page(request, 503, "error.503")
        # Nobody expected it: where it was is written down, what it was is not told.
        _log.error("page_failed", request_id=request.state.request_id, **fault(error))
        return page(request, 500, "error.other")

    async def on_bug(request: Request, _error: Exception) -> Response:
        # The door writes down where it was; nobody else is told what it was.
        return page(request, 500, "error.other")

    handlers: tuple[tuple[type[Exception], Answer], ...] = (
        (HTTPException, on_http),
        (RequestValidationError, on_invalid),
        (ZhiweiError, on_own),
        (Exception, on_bug),
    )
    for kind, handler in handlers:
        app.add_exception_handler(kind, handler)

"""The outermost wrapping of every call: its id, its bounds, its headers, its line in the log.

A body is taken in whole before anything looks at it, within a size and a time. Whatever goes wrong
inside becomes a 500 that says nothing of what it was; the log has the place, not the values.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import MutableMapping
from time import perf_counter
from typing import Any, Final, TypeAlias

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zhiwei.gateways.http.house import Settings
from zhiwei.gateways.http.problems import Problem
from zhiwei.gateways.http.record_ids import request_id
from zhiwei.gateways.http.replies import reply_problem

Headers: TypeAlias = "list[tuple[bytes, bytes]]"

_LOG: Final = structlog.get_logger("http")
_METHODS: Final = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SECURITY: Final[Headers] = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_POLICY: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_OWN: Final = frozenset((b"cache-control", b"content-security-policy"))


class CallerLeftError(Exception):
    """the caller closed the connection before the body was whole"""


class Door:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: CollectorRegistry) -> None:
        self._app: Final = app
        self._settings: Final = settings
        self._running = 0
        self._calls: Final = Counter(
            "zhiwei_http_calls",
            "HTTP calls, by method, route and status.",
            ("method", "route", "status"),
            registry=metrics,
        )
        self._seconds: Final = Histogram(
            "zhiwei_http_seconds",
            "From the first byte of a call to the last of its answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=metrics,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one call."""
        if scope["type"] != "http":
            return
        call = _Call(scope, send, request_id())
        scope.setdefault("state", {})["request_id"] = call.request_id
        started = perf_counter()
        self._running += 1
        try:
            if self._running > self._settings.calls_at_once:
                raise Problem("unavailable", "too many calls at once", headers=_LATER)  # noqa: TRY301 - one place answers all problems
            body = await self._body(scope, receive)
            await self._app(scope, _given(body, receive), call.send)
        except CallerLeftError:
            call.status = 499
        except Problem as problem:
            await call.answer(problem)
        except Exception as error:  # noqa: BLE001 - nothing may come out of the door but an answer
            _log_bug(error, call.request_id)
            await call.answer(Problem("internal_error"))
        finally:
            self._running -= 1
            self._note(call, perf_counter() - started)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body.

        Raises:
            Problem: `body_too_large`, `request_timeout`.
            CallerLeftError: nobody waits for an answer any more.
        """
        most = self._settings.body_max
        told = dict(scope["headers"]).get(b"content-length", b"0")
        if told.isdigit() and int(told) > most:
            raise Problem("body_too_large", f"at most {most} bytes", headers=_CLOSE)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise CallerLeftError
                    part = message.get("body", b"")
                    size += len(part)
                    if size > most:
                        raise Problem("body_too_large", f"at most {most} bytes", headers=_CLOSE)
                    parts.append(part)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            seconds = self._settings.body_seconds
            detail = f"a body arrives within {seconds:g} seconds"
            raise Problem("request_timeout", detail, headers=_CLOSE) from None

    def _note(self, call: _Call, seconds: float) -> None:
        """Count the call and write its line: the route's template, never the path that was sent."""
        scope = call.scope
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._calls.labels(method, route, str(call.status)).inc()
        self._seconds.labels(method, route).observe(seconds)
        caller = scope["state"].get("caller")
        _LOG.info(
            "http",
            method=method,
            route=route,
            status=call.status,
            ms=round(seconds * 1000, 2),
            request_id=call.request_id,
            key=None if caller is None else caller.key.id,
        )


_CLOSE: Final = {"Connection": "close"}
_LATER: Final = {"Retry-After": "1"}


class _Call:
    """One call: what was answered so far."""

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self.scope: Final = scope
        self.request_id: Final = request_id
        self.status = 0
        self._send: Final = send

    async def send(self, message: Message) -> None:
        """Pass an answer on, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": self._with_headers(message.get("headers", []))}
        await self._send(message)

    async def answer(self, problem: Problem) -> None:
        """Answer with a problem, if nothing was answered yet."""
        if self.status:
            return
        response = reply_problem(problem, self.request_id)
        await response(self.scope, _nothing, self.send)

    def _with_headers(self, headers: Headers) -> Headers:
        own = {name.lower() for name, _ in headers} & _OWN
        more = [(name, value) for name, value in (*_SECURITY, _POLICY) if name not in own]
        return [*headers, *more, (b"x-request-id", self.request_id.encode())]


def _given(body: bytes, receive: Receive) -> Receive:
    """Hands the body over once; afterwards, what the server has to say."""
    is_given = False

    async def give() -> MutableMapping[str, Any]:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _log_bug(error: Exception, request_id: str) -> None:
    """Where it broke and what kind of error it was; not its text, which may hold what was sent."""
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames]
    _LOG.error("http_bug", error=type(error).__name__, at=places, request_id=request_id)

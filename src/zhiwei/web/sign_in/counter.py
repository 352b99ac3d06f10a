"""What the pages of this room ask of the frame, and what they all do alike.

The frame renders (`Frame.page`); the desk lets in; a `Counter` is what each page has at hand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from zhiwei.web.sign_in import cookies
from zhiwei.web.sign_in.entering import SignIn
from zhiwei.web.sign_in.model import Deed, Face, Session
from zhiwei.web.sign_in.sessions import csrf_token, is_csrf_token
from zhiwei.web.sign_in.visits import is_visit_token, visit_id, visit_token

Facts: TypeAlias = Mapping[str, Any]

#: The field of a form, and the header of a script's call, that carry the CSRF token.
CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "X-CSRF-Token"
FORM_MAX: Final = 32_768
_FIELDS_MAX: Final = 50
#: Where each face begins, signs in and keeps its keys.
HOME: Final = {Face.CARDHOLDER: "/me", Face.CONTACT: "/me", Face.OPERATOR: "/console"}
ENTRANCE: Final = {
    Face.CARDHOLDER: "/sign-in",
    Face.CONTACT: "/sign-in",
    Face.OPERATOR: "/console/sign-in",
}


class Frame(Protocol):
    """What every page shares."""

    def page(self, request: Request, template: str, facts: Facts, *, status: int = 200) -> Response:
        """A page in the reader's language, with the headers that all pages have."""
        ...

    def say(self, request: Request, key: str) -> str:
        """A sentence in the reader's language, for scripts."""
        ...

    def speak(self, request: Request, response: Response, language: str) -> None:
        """From now on pages are in this language, unless the browser has chosen one."""
        ...


class Deeds(Protocol):
    """The table of deeds."""

    async def told(self, request: Request, session: Session, deed: Deed) -> Facts:
        """What the change is, for the page: `what` (a few words in the person's language), more."""
        ...

    async def perform(self, request: Request, session: Session, deed: Deed) -> Response:
        """Do it, with `is_strong=True`, and say what was done."""
        ...


@dataclass(frozen=True)
class Counter:
    """What each page has at hand."""

    desk: SignIn
    frame: Frame
    deeds: Deeds

    async def session_of(self, request: Request) -> Session | None:
        """Who asks; None where nobody has signed in."""
        value = cookies.value_of(request, cookies.SESSION, self.desk.site)
        return await run_in_threadpool(self.desk.sessions.session_of, value)

    def visit_page(
        self, request: Request, template: str, facts: Facts, *, status: int = 200
    ) -> Response:
        """A page for who has not signed in, with the token of its forms."""
        visit, is_new = cookies.visit_of(request, self.desk.site)
        whole = {**facts, "csrf": visit_token(visit)}
        response = self.frame.page(request, template, whole, status=status)
        if is_new:
            cookies.put_visit(response, self.desk.site, visit)
        return response

    def page(
        self,
        request: Request,
        session: Session,
        template: str,
        facts: Facts,
        *,
        status: int = 200,
    ) -> Response:
        """A page for who has signed in, with the token of its forms."""
        whole = {**facts, "csrf": csrf_token(session), "session": session}
        return self.frame.page(request, template, whole, status=status)

    def sorry(self, request: Request, why: str, *, status: int, to: str = "/sign-in") -> Response:
        """A page that says what was not done and where to go on; `why` names the sentence."""
        facts = {"why": why, "to": to}
        return self.frame.page(request, "sign_in/sorry.html", facts, status=status)

    def visit_id(self, request: Request, token: str) -> str:
        """What codes and questions are bound to; empty where the form is not of this browser."""
        value = cookies.value_of(request, cookies.VISIT, self.desk.site)
        return visit_id(value) if is_visit_token(value, token) else ""

    def refused(self, request: Request, key: str, status: int = 422) -> Response:
        """What a script is told, in the reader's language."""
        return JSONResponse({"message": self.frame.say(request, key)}, status)


async def form_of(
    request: Request, *, fields_max: int = _FIELDS_MAX, bytes_max: int = FORM_MAX
) -> dict[str, str]:
    """The fields of a form; the first of each name. What is no form, or too long, has none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/x-www-form-urlencoded":
        return {}
    found: dict[str, str] = {}
    try:
        text = (await _body(request, bytes_max)).decode()
        for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=fields_max):
            found.setdefault(name, value)
    except ValueError:
        return {}
    return found


async def call_of(request: Request) -> dict[str, str]:
    """The texts of a script's call (JSON object), with the token of its header as `csrf`."""
    try:
        document = json.loads(await _body(request))
    except (ValueError, RecursionError):
        document = {}
    texts = document if isinstance(document, dict) else {}
    found = {name: value for name, value in texts.items() if isinstance(value, str)}
    return {**found, CSRF_FIELD: request.headers.get(CSRF_HEADER, "")}


def is_of_session(session: Session, fields: Mapping[str, str]) -> bool:
    """Whether a form or call was made by a page of this session."""
    return is_csrf_token(session, fields.get(CSRF_FIELD, ""))


def away(to: str) -> Response:
    """Go on there with GET; a reload does nothing twice."""
    return RedirectResponse(to, 303)


async def _body(request: Request, bytes_max: int = FORM_MAX) -> bytes:
    """The whole body.

    Raises:
        ValueError: it is too long.
    """
    raw = b""
    async for piece in request.stream():
        raw += piece
        if len(raw) > bytes_max:
            raise ValueError
    return raw

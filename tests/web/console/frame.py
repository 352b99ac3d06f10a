"""A small frame for the tests of the console: sessions by a header, forms with a token, Jinja."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl

from babel.messages.pofile import read_po
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from zhiwei.gateways.http.house import House
from zhiwei.web.console.context import NothingHereError, NotYourRoleError, console_of
from zhiwei.web.console.routes import console_router
from zhiwei.web.console.shown import FILTERS
from zhiwei.web.sign_in.model import Face, Operator, Proof, Role, Session

COOKIE = "visit"
POLICY = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:"


def words(language: str) -> dict[str, str]:
    """The console's sentences in one language."""
    path = files("zhiwei.web").joinpath("locale", language, "LC_MESSAGES", "console.po")
    with path.open("rb") as file:
        return {str(e.id): str(e.string) for e in read_po(file, locale=language) if e.id}


class Visitors:
    """Sessions and operators of a test; what of `FaceStore` the console calls."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.people: dict[str, Operator] = {}

    def sign_in(self, who: str, role: Role) -> str:
        """A session of an operator; its id, which is the cookie here."""
        self.people[who] = Operator(who, f"{who} 王", role, 1)
        session_id = f"session-{who}-{len(self.sessions)}"
        self.sessions[session_id] = Session(
            session_id, Face.OPERATOR, who, "", role, Proof.PASSKEY, 1, 1, "ab" * 32
        )
        return session_id

    def session(self, session_id: str) -> Session | None:
        """A session."""
        return self.sessions.get(session_id)

    def operators(self) -> list[Operator]:
        """All operators."""
        return list(self.people.values())

    def end_sessions(self, *, session_id: str = "", subject: str = "") -> int:
        """End sessions."""
        over = [s for s in self.sessions.values() if session_id == s.id or subject == s.subject]
        for session in over:
            del self.sessions[session.id]
        return len(over)


class TestPages:
    """What the console asks of the frame."""

    __test__ = False

    def __init__(self, visitors: Visitors) -> None:
        self._visitors = visitors
        self._environment = Environment(
            loader=PackageLoader("zhiwei.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
        )
        self._environment.filters.update(FILTERS)
        self._words = {language: words(language) for language in ("zh", "en")}

    async def operator(self, request: Request) -> Session:
        """The session of a cookie."""
        session = self._visitors.session(request.cookies.get(COOKIE, ""))
        if session is None:
            raise HTTPException(303, headers={"Location": "/console/sign-in"})
        return session

    async def form(self, request: Request, session: Session) -> Mapping[str, str]:
        """A form with the session's token."""
        form = dict(parse_qsl((await request.body()).decode()))
        if form.get("token") != session.csrf:
            raise HTTPException(403)
        return form

    def page(
        self,
        request: Request,
        session: Session,
        template: str,
        facts: Mapping[str, object],
        status: int = 200,
    ) -> Response:
        """A page."""
        token = Markup('<input type="hidden" name="token" value="{}">').format(session.csrf)
        told = {**facts, "form_token": lambda: token}
        text = self.text(request, template, told)
        return HTMLResponse(text, status, headers={"Content-Security-Policy": POLICY})

    def text(self, request: Request, template: str, facts: Mapping[str, object]) -> str:
        """A piece of a page."""
        language = request.cookies.get("language", "zh")

        def said(key: str, **told: object) -> str:
            return self._words[language][key].format(**told)

        given: dict[str, Any] = {
            "_": said,
            "language": language,
            "asset": lambda name: f"/static/{name}",
            "hits": None,
            **facts,
        }
        return self._environment.get_template(template).render(given)


def app_of(house: House, visitors: Visitors) -> FastAPI:
    """The console alone, as an application."""
    app = FastAPI()
    console = console_of(house, visitors, TestPages(visitors))  # type: ignore[arg-type]  # a part of it
    app.include_router(console_router(console))
    app.state.console = console
    app.mount("/static", StaticFiles(packages=[("zhiwei.web", "static")]))

    @app.exception_handler(NotYourRoleError)
    async def role(_request: Request, _error: Exception) -> Response:
        return Response(status_code=403)

    @app.exception_handler(NothingHereError)
    async def nothing(_request: Request, _error: Exception) -> Response:
        return Response(status_code=404)

    return app

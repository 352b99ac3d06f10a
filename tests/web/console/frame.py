"""A small frame for the tests of the console: sessions by a header, forms with a token, Jinja."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from babel.messages.pofile import read_po
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined

from zhiwei.gateways.http.house import House
from zhiwei.stores.faces import SqliteFaceStore
from zhiwei.web.console.context import console_of
from zhiwei.web.console.routes import console_router
from zhiwei.web.console.shown import FILTERS
from zhiwei.web.sign_in.cookies import SESSION
from zhiwei.web.sign_in.model import Face, Operator, Proof, Role, Session
from zhiwei.web.sign_in.sessions import Clock, Sessions
from zhiwei.web.sign_in.site import site_at

COOKIE = SESSION
POLICY = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:"


def words(language: str) -> dict[str, str]:
    """The console's sentences in one language."""
    path = files("zhiwei.web").joinpath("locale", language, "LC_MESSAGES", "console.po")
    with path.open("rb") as file:
        return {str(e.id): str(e.string) for e in read_po(file, locale=language) if e.id}


class Visitors:
    """Sessions and operators of a test, in the real store."""

    def __init__(self, store: SqliteFaceStore, clock: Clock) -> None:
        self.store = store
        self.sessions = Sessions(store, clock)
        self._clock = clock

    def sign_in(self, who: str, role: Role) -> tuple[str, Session]:
        """A session of an operator: its cookie, and itself."""
        self.store.add_operator(Operator(who, f"{who} 王", role, self._clock.now_ms()))
        return self.sessions.open(Face.OPERATOR, who, "", role, Proof.PASSKEY)


class PlainFrame:
    """Pages without a frame around them."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("zhiwei.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
        )
        self._environment.filters.update(FILTERS)
        self._words = {language: words(language) for language in ("zh", "en")}

    def page(
        self, request: Request, template: str, facts: Mapping[str, Any], *, status: int = 200
    ) -> Response:
        """A page."""
        text = self.text(request, template, facts)
        return HTMLResponse(text, status, headers={"Content-Security-Policy": POLICY})

    def text(self, request: Request, template: str, facts: Mapping[str, Any]) -> str:
        """A piece of a page."""
        language = request.cookies.get("language", "zh")

        def say(key: str, **told: object) -> str:
            return self._words[language][key].format(**told)

        given = {"say": say, "asset": lambda name: f"/static/{name}", "hits": None, **facts}
        return self._environment.get_template(template).render(given)


def app_of(house: House, visitors: Visitors, site: str = "http://localhost") -> FastAPI:
    """The console alone, as an application."""
    app = FastAPI()
    frame = PlainFrame()
    console = console_of(house, visitors.store, visitors.sessions, site_at(site), frame)
    app.state.console = console
    app.include_router(console_router(console))

    @app.get("/console/sign-in")
    async def entrance() -> Response:
        return HTMLResponse("<!doctype html><title>sign in</title><h1>Sign in</h1>")

    app.mount("/static", StaticFiles(packages=[("zhiwei.web", "static")]))
    return app

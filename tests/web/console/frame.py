"""The console in the real frame, on real sessions, without the other face."""

from __future__ import annotations

from importlib.resources import files

from babel.messages.pofile import read_po
from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse

from zhiwei.gateways.http.house import House
from zhiwei.stores.faces import SqliteFaceStore
from zhiwei.web.console.context import console_of
from zhiwei.web.console.routes import console_router
from zhiwei.web.console.shown import FILTERS
from zhiwei.web.frame.assets import asset_routes, load_assets
from zhiwei.web.frame.drawing import Frame
from zhiwei.web.frame.shown import filters
from zhiwei.web.frame.words import load_face_words
from zhiwei.web.sign_in.cookies import SESSION
from zhiwei.web.sign_in.model import Face, Operator, Proof, Role, Session
from zhiwei.web.sign_in.sessions import Clock, Sessions
from zhiwei.web.sign_in.site import site_at

COOKIE = SESSION


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


def app_of(house: House, visitors: Visitors, site: str = "http://localhost") -> FastAPI:
    """The console alone in the real frame, as an application."""
    app = FastAPI()
    assets = load_assets()
    shown = {**FILTERS, **filters(house.words, house.words.country)}
    frame = Frame(load_face_words(), assets, shown, is_secure=False)
    console = console_of(house, visitors.store, visitors.sessions, site_at(site), frame)
    app.state.console = console
    app.include_router(console_router(console))
    app.include_router(asset_routes(assets))

    @app.get("/console/sign-in")
    async def entrance() -> Response:
        icon = '<link rel="icon" href="/static/console.svg">'
        return HTMLResponse(f"<!doctype html>{icon}<title>sign in</title><h1>Sign in</h1>")

    return app

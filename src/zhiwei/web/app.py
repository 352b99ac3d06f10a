"""The application of pages: the frame and the rooms, put together and hung beside the API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from zhiwei.gateways.http.house import House
from zhiwei.web.cardholder.deeds import Deeds, deed_routes
from zhiwei.web.cardholder.rooms import ACTS, KINDS, room_routes
from zhiwei.web.cardholder.visit import Home
from zhiwei.web.console.context import console_of
from zhiwei.web.console.routes import console_router
from zhiwei.web.console.shown import FILTERS as CONSOLE_FILTERS
from zhiwei.web.frame.appearance import remember
from zhiwei.web.frame.assets import asset_routes, load_assets
from zhiwei.web.frame.counters import CardholderPages
from zhiwei.web.frame.drawing import Frame
from zhiwei.web.frame.errors import answer_errors
from zhiwei.web.frame.shown import filters
from zhiwei.web.frame.words import load_face_words
from zhiwei.web.sign_in.counter import Counter, form_of
from zhiwei.web.sign_in.entering import sign_in_of
from zhiwei.web.sign_in.entrance_pages import entrance_routes
from zhiwei.web.sign_in.model import FaceStore
from zhiwei.web.sign_in.proof_pages import proof_routes
from zhiwei.web.sign_in.security_pages import security_routes
from zhiwei.web.sign_in.settings import FaceSettings
from zhiwei.web.sign_in.site import Site

#: Addresses of the pages; all others are the API's.
PREFIXES: Final = ("/me", "/sign-in", "/sign-out", "/enter", "/console", "/static")


@dataclass(frozen=True)
class FaceParts:
    """What the pages need beside the house."""

    store: FaceStore
    site: Site
    settings: FaceSettings
    #: messages.toml has the table `sms`; without it nobody gets a code.
    sends_sms: bool


def open_faces(api: FastAPI, house: House, parts: FaceParts) -> Callable[[], None]:
    """Hang the pages beside the API, under the same outermost door.

    Returns what ends the streams of open pages, so that a door that closes waits for none; any
    thread may call it.
    """
    pages = _pages(house, parts)
    for prefix in PREFIXES:
        api.router.routes.append(_Under(prefix, pages))

    @api.get("/", include_in_schema=False)
    async def root() -> Response:
        return RedirectResponse("/me", 303)

    end_streams: Callable[[], None] = pages.state.console.watch.stop
    return end_streams


class _Under(BaseRoute):
    """Everything at and below a prefix, with its whole path: pages know their own addresses."""

    def __init__(self, prefix: str, app: FastAPI) -> None:
        self.path: Final = prefix
        self._app: Final = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the path is one of ours; which methods it knows is the pages' own business."""
        path = scope.get("path", "")
        is_here = path == self.path or path.startswith(f"{self.path}/")
        return (Match.FULL if is_here else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the call on as it came."""
        await self._app(scope, receive, send)


def _pages(house: House, parts: FaceParts) -> FastAPI:
    """The pages as an application of their own, so that its errors are pages too."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    assets = load_assets()
    shown = {**CONSOLE_FILTERS, **filters(house.words, house.words.country)}
    frame = Frame(load_face_words(), assets, shown, is_secure=parts.site.is_secure)
    desk = sign_in_of(house, parts.store, parts.site, parts.settings, sends_sms=parts.sends_sms)
    home = Home(house, parts.store, CardholderPages(house, desk, frame))
    deeds = Deeds(home, {kind.name: kind for kind in KINDS}, {act.name: act for act in ACTS})
    counter = Counter(desk, frame, deeds)
    for routes in (entrance_routes, security_routes, proof_routes):
        app.include_router(routes(counter))
    app.include_router(deed_routes(deeds))
    app.include_router(room_routes(home))
    console = console_of(house, parts.store, desk.sessions, parts.site, frame)
    app.state.console = console
    app.include_router(console_router(console))
    app.include_router(_appearance_routes(frame))
    app.include_router(asset_routes(assets))
    answer_errors(app, frame)
    return app


def _appearance_routes(frame: Frame) -> APIRouter:
    """`/me/appearance`: language, elder mode, light or dark; needs nobody to be signed in."""
    router = APIRouter(include_in_schema=False)

    @router.post("/me/appearance")
    async def choose(request: Request) -> Response:
        form = await form_of(request)
        back = form.get("back", "")
        is_ours = back.startswith(PREFIXES) and "//" not in back and "\\" not in back
        response = frame.away(back if is_ours else "/me")
        chosen = {name: form[name] for name in ("language", "elder", "theme") if name in form}
        remember(response, is_secure=frame.is_secure, **chosen)
        return response

    return router

"""Drawing: a template becomes a page, in the reader's language, with the headers of all pages."""

from __future__ import annotations

import gzip
import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

from fastapi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import RedirectResponse

from zhiwei.web.frame.appearance import (
    Appearance,
    appearance_of,
    has_chosen_language,
    remember,
)
from zhiwei.web.frame.assets import Assets
from zhiwei.web.frame.words import FaceWords
from zhiwei.web.sign_in.model import Session
from zhiwei.web.sign_in.sessions import csrf_token

#: Nothing from elsewhere, nothing inline; forms go to us only.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; manifest-src 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
#: What the page before has to say, once.
SAID: Final = "zws"
_SAID_SECONDS: Final = 60
_SAID_MAX: Final = 400
_ZIP_FROM: Final = 800
#: Level 4 takes a third of the time of the usual 6, for two hundredths more bytes.
_ZIP_LEVEL: Final = 4


class Frame:
    """Draws pages. Safe from any thread."""

    def __init__(
        self,
        words: FaceWords,
        assets: Assets,
        filters: Mapping[str, Any],
        *,
        is_secure: bool,
    ) -> None:
        self.words: Final = words
        self.assets: Final = assets
        self.is_secure: Final = is_secure
        self._environment: Final = Environment(
            loader=PackageLoader("zhiwei.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(filters)
        self._environment.globals["asset"] = assets.path

    def page(
        self,
        request: Request,
        template: str,
        facts: Mapping[str, Any],
        *,
        status: int = 200,
        appearance: Appearance | None = None,
    ) -> Response:
        """A page in the reader's language, with the headers that all pages have."""
        said = unquote(request.cookies.get(SAID, ""))[:_SAID_MAX]
        text = self.text(request, template, {"said": said, **facts}, appearance)
        response = _answer(request, text, status)
        if said:
            response.delete_cookie(SAID, path="/")
        return response

    def text(
        self,
        request: Request,
        template: str,
        facts: Mapping[str, Any],
        appearance: Appearance | None = None,
    ) -> str:
        """A piece of a page."""
        look = appearance or appearance_of(request)
        language = look.language

        def say(key: str, **told: object) -> str:
            return self.words.say(language, key, told)

        given = {
            "_": say,
            "say": say,
            "language": language,
            "appearance": look,
            "path": request.url.path,
            "here": _address(request),
            "hits": None,
            **facts,
        }
        return self._environment.get_template(template).render(given)

    def fragment(self, request: Request, template: str, facts: Mapping[str, Any]) -> Response:
        """A piece of a page as an answer of its own, for scripts that put it in its place."""
        return _answer(request, self.text(request, template, facts), 200)

    def say(self, request: Request, key: str, **facts: object) -> str:
        """A sentence in the reader's language."""
        return self.words.say(appearance_of(request).language, key, facts)

    def speak(self, request: Request, response: Response, language: str) -> None:
        """From now on pages are in this language, unless the browser has chosen one."""
        if not has_chosen_language(request):
            remember(response, is_secure=self.is_secure, language=language)

    def away(self, to: str, said: str = "") -> Response:
        """Go on at a path (303); the next page says a sentence once."""
        response = RedirectResponse(to, 303)
        if said:
            response.set_cookie(
                SAID,
                quote(said[:_SAID_MAX]),
                max_age=_SAID_SECONDS,
                path="/",
                secure=self.is_secure,
                httponly=True,
                samesite="strict",
            )
        return response


def form_fields(session: Session, back: str = "") -> Markup:
    """Hidden fields of a form: its token, a name by which it is done once, and where to go on."""
    fields = [("csrf", csrf_token(session)), ("once", secrets.token_urlsafe(12))]
    if back:
        fields.append(("back", back))
    tag = Markup('<input type="hidden" name="{}" value="{}">')
    return Markup("").join(tag.format(name, value) for name, value in fields)


def _address(request: Request) -> str:
    """Where the same page is had again; the beginning of its face where it answers a form."""
    path = request.url.path
    if request.method in ("GET", "HEAD"):
        return path
    return next((face for face in ("/console", "/me") if path.startswith(face)), "/sign-in")


def _answer(request: Request, text: str, status: int) -> Response:
    """HTML with its headers; compressed where that is worth it."""
    body = text.encode()
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-store",
        "Vary": "Accept-Encoding, Cookie, Accept-Language",
    }
    if len(body) >= _ZIP_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = gzip.compress(body, _ZIP_LEVEL, mtime=0)
    return Response(body, status, headers)

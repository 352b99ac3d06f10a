"""Cookies: their names and marks. All are for this host, this site and the server's eyes only."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from zhiwei.web.sign_in.model import SESSION_MS
from zhiwei.web.sign_in.site import Site
from zhiwei.web.sign_in.visits import is_visit, new_visit

#: The session; the browser of somebody who has not signed in; the number that a code was sent to.
SESSION: Final = "zw"
VISIT: Final = "zwv"
NUMBER: Final = "zwn"
_NUMBER_SECONDS: Final = 600


def name_of(cookie: str, site: Site) -> str:
    """Under https browsers are told to take the cookie from this very host only (`__Host-`)."""
    return f"__Host-{cookie}" if site.is_secure else cookie


def value_of(request: Request, cookie: str, site: Site) -> str:
    """What the browser sent; empty = nothing."""
    return request.cookies.get(name_of(cookie, site), "")


def put_session(response: Response, site: Site, value: str) -> None:
    """Give the browser its session. It is not sent along when another site leads here."""
    response.set_cookie(
        name_of(SESSION, site),
        value,
        max_age=SESSION_MS // 1000,
        path="/",
        secure=site.is_secure,
        httponly=True,
        samesite="strict",
    )


def put_visit(response: Response, site: Site, value: str) -> None:
    """Know the browser again; also when the identity provider sends it back (`Lax`)."""
    response.set_cookie(
        name_of(VISIT, site),
        value,
        path="/",
        secure=site.is_secure,
        httponly=True,
        samesite="lax",
    )


def put_number(response: Response, site: Site, number: str) -> None:
    """Remember for ten minutes where a code was sent, so that no address has it."""
    response.set_cookie(
        name_of(NUMBER, site),
        number,
        max_age=_NUMBER_SECONDS,
        path="/",
        secure=site.is_secure,
        httponly=True,
        samesite="strict",
    )


def drop(response: Response, site: Site, *cookies: str) -> None:
    """Let the browser forget."""
    for cookie in cookies:
        response.delete_cookie(
            name_of(cookie, site), path="/", secure=site.is_secure, httponly=True
        )


def visit_of(request: Request, site: Site) -> tuple[str, bool]:
    """The browser's visit, and whether it is new and has to be put."""
    value = value_of(request, VISIT, site)
    return (value, False) if is_visit(value) else (new_visit(), True)

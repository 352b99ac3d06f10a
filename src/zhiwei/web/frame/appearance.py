"""Appearance: language, elder mode and light or dark; each browser remembers its own.

They say nothing of who somebody is, so they are plain cookies, and hold before one has signed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import Request, Response

from zhiwei.words import LANGUAGES

LANGUAGE: Final = "zwl"
ELDER: Final = "zwe"
THEME: Final = "zwt"
THEMES: Final = ("auto", "light", "dark")
_YEAR_SECONDS: Final = 365 * 86_400


@dataclass(frozen=True)
class Appearance:
    """How pages look in this browser."""

    #: `zh` or `en`; empty = the browser did not choose.
    language: str
    #: 长辈模式: large letters, fewer choices.
    is_elder: bool
    #: `auto`, `light` or `dark`.
    theme: str


def appearance_of(request: Request) -> Appearance:
    """What the browser remembers; what it did not choose is what it asks for."""
    chosen = request.cookies.get(LANGUAGE, "")
    theme = request.cookies.get(THEME, "auto")
    return Appearance(
        chosen if chosen in LANGUAGES else _accepted(request),
        request.cookies.get(ELDER) == "1",
        theme if theme in THEMES else "auto",
    )


def has_chosen_language(request: Request) -> bool:
    """Whether somebody chose a language here; else a cardholder's own is taken."""
    return request.cookies.get(LANGUAGE, "") in LANGUAGES


def remember(response: Response, *, is_secure: bool, **chosen: str) -> None:
    """Let the browser remember what was chosen: `language`, `elder` (1 or 0), `theme`.

    Anything else is left alone.
    """
    allowed = {"language": LANGUAGES, "elder": ("0", "1"), "theme": THEMES}
    names = {"language": LANGUAGE, "elder": ELDER, "theme": THEME}
    for choice, value in chosen.items():
        if value in allowed.get(choice, ()):
            response.set_cookie(
                names[choice],
                value,
                max_age=_YEAR_SECONDS,
                path="/",
                secure=is_secure,
                httponly=True,
                samesite="lax",
            )


def _accepted(request: Request) -> str:
    """The language that the browser likes best; Chinese where it names neither."""
    asked = request.headers.get("accept-language", "").lower()
    places = [(asked.find(language), language) for language in LANGUAGES]
    found = sorted((at, language) for at, language in places if at >= 0)
    return found[0][1] if found else LANGUAGES[0]

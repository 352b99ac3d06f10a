"""Visits: the cookie of a browser in which nobody has signed in yet.

What is asked of a browser (a code, a passkey's signature, a way through the identity provider) is
answered by the same browser only; so nobody can be signed in to somebody else's account by a form
or an address that they did not ask for (login CSRF). The value is random and kept nowhere.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

from zhiwei.web.sign_in.sessions import hashed, is_mask_of, masked

_VALUE: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def new_visit() -> str:
    """The value of a new cookie, 256 random bits."""
    return secrets.token_urlsafe(32)


def is_visit(value: str) -> bool:
    """Whether a cookie has the form of one of ours."""
    return _VALUE.fullmatch(value) is not None


def visit_id(value: str) -> str:
    """What codes and questions are bound to; it does not give the cookie away."""
    return hashed(f"visit|{value}")


def visit_token(value: str) -> str:
    """A CSRF token for a form of a browser where nobody has signed in; another one each time."""
    return masked(hashed(f"csrf|{value}"))


def is_visit_token(value: str, text: str) -> bool:
    """Whether a form was made for this browser."""
    return is_visit(value) and is_mask_of(hashed(f"csrf|{value}"), text)

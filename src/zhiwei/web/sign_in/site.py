"""Site: where people see the pages, from which passkeys, cookies and addresses follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from zhiwei.core.errors import ZhiweiError

_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class BadPublicUrlError(ZhiweiError):
    """the public URL is `https://HOST`, or `http://localhost:PORT` on this machine"""


@dataclass(frozen=True)
class Site:
    """The public address of the pages."""

    #: For example `https://card.bank.example`; without a path and a slash at its end.
    origin: str
    #: Its host alone: what passkeys belong to (relying party id).
    rp_id: str

    @property
    def is_secure(self) -> bool:
        """Whether cookies may be marked `Secure`."""
        return self.origin.startswith("https:")


def site_at(public_url: str) -> Site:
    """The site of a public URL.

    Raises:
        BadPublicUrlError: browsers would allow no passkeys there, or it has a path.
    """
    try:
        parts = urlsplit(public_url)
        port = parts.port
    except ValueError:
        raise BadPublicUrlError from None
    host = parts.hostname or ""
    is_allowed = parts.scheme == "https" or (parts.scheme == "http" and host in _LOCAL)
    if not is_allowed or not host or parts.username or parts.path.strip("/") or parts.query:
        raise BadPublicUrlError
    is_usual = port is None or port == {"http": 80, "https": 443}[parts.scheme]
    shown = f"[{host}]" if ":" in host else host
    return Site(f"{parts.scheme}://{shown}{'' if is_usual else f':{port}'}", host)

"""Assets: style, scripts and icons; held in memory, compressed once, named by their content.

`/static/me.3f2a91c07d.css` never changes, so browsers keep it for good; a page that was left open
while the server was renewed finds the old name answered by the new file, once and uncached.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import structlog
from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

_log: Final = structlog.get_logger()

PREFIX: Final = "/static"
#: What the set-up installs; without it pages work all the same, with less comfort.
VENDORED: Final = ("htmx.min.js", "hx-sse.min.js", "echarts.min.js")
_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
    "txt": "text/plain; charset=utf-8",
}
_FOREVER: Final = "public, max-age=31536000, immutable"
_NAME: Final = re.compile(r"([a-z0-9_.\-]+?)(?:\.([0-9a-f]{10}))?\.([a-z]+)", re.ASCII)
_DIGEST_BYTES: Final = 5


@dataclass(frozen=True)
class Asset:
    """One file."""

    name: str
    digest: str
    body: bytes
    #: gzip of the body; empty where that is no smaller.
    zipped: bytes
    media_type: str

    @property
    def path(self) -> str:
        """Its address, which changes with its content."""
        stem, _, kind = self.name.rpartition(".")
        return f"{PREFIX}/{stem}.{self.digest}.{kind}"


class Assets:
    """All files by name, `vendor/` among them."""

    def __init__(self, found: dict[str, bytes]) -> None:
        self._by_name: Final = {name: _asset(name, body) for name, body in found.items()}

    def path(self, name: str) -> str:
        """Where a file is; the plain name for one that is not installed."""
        asset = self._by_name.get(name)
        return f"{PREFIX}/{name}" if asset is None else asset.path

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return name in self._by_name

    def answer(self, request: Request, text: str) -> Response:
        """The file of an address.

        Raises:
            HTTPException: 404.
        """
        match = _NAME.fullmatch(text)
        asset = None if match is None else self._by_name.get(f"{match[1]}.{match[3]}")
        if match is None or asset is None:
            raise HTTPException(404)
        headers = {"Vary": "Accept-Encoding", "Content-Type": asset.media_type}
        headers["Cache-Control"] = _FOREVER if match[2] == asset.digest else "no-cache"
        if asset.zipped and "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(asset.zipped, headers=headers)
        return Response(asset.body, headers=headers)


@cache
def load_assets() -> Assets:
    """The files that come with the house, shared by all callers in a process.

    Says which of the installed ones are missing.
    """
    found: dict[str, bytes] = {}
    root = files("zhiwei.web").joinpath("static")
    for folder in (root, root.joinpath("vendor")):
        if folder.is_dir():
            found |= {path.name: path.read_bytes() for path in _files(folder)}
    missing = [name for name in VENDORED if name not in found]
    if missing:
        _log.warning("assets_missing", files=missing, remedy="run `make setup`")
    return Assets(found)


def asset_routes(assets: Assets) -> APIRouter:
    """`/static/…`."""
    router = APIRouter(include_in_schema=False)

    @router.get(PREFIX + "/{name}")
    async def static(request: Request, name: str) -> Response:
        return assets.answer(request, name)

    return router


def _files(folder: Traversable) -> list[Traversable]:
    return [p for p in folder.iterdir() if p.is_file() and p.name.rpartition(".")[2] in _TYPES]


def _asset(name: str, body: bytes) -> Asset:
    digest = blake2b(body, digest_size=_DIGEST_BYTES).hexdigest()
    zipped = gzip.compress(body, 9, mtime=0)
    media_type = _TYPES[name.rpartition(".")[2]]
    return Asset(name, digest, body, zipped if len(zipped) < len(body) else b"", media_type)

"""A caller of the HTTP door, as a bank's own systems and an app would be.

Plain standard library: connections are kept and used again, JSON in and out. A POST carries an
`Idempotency-Key`, so a call whose answer was lost can be sent again.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final, TypeAlias, final
from urllib.parse import urlsplit

from zhiwei.core.errors import ZhiweiError

Document: TypeAlias = "dict[str, Any]"
_TIMEOUT_SECONDS: Final = 15.0
#: A connection that the server closed while it was idle shows itself on the next call only.
_TRIES: Final = 2


class HttpDoorError(ZhiweiError):
    """the HTTP door did not do what was asked"""

    def __init__(self, message: str, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        #: HTTP status; 0 = there was no answer.
        self.status = status
        #: `code` of the problem document, for example `card_not_found`.
        self.code = code


@dataclass(frozen=True)
class Reply:
    """A successful answer."""

    status: int
    document: Document
    #: Header names in lower case.
    headers: Mapping[str, str]

    @property
    def rows(self) -> list[Document]:
        """The objects of a list."""
        rows: list[Document] = self.document["data"]
        return rows


@final
class HttpDoor:
    """The HTTP door of one server, with one key; for any number of threads."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise HttpDoorError(f"`{url[:80]}` is not an address like http://127.0.0.1:8080")
        self.url: Final = f"{parts.scheme}://{parts.netloc}"
        self._maker: Final = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._netloc: Final = parts.netloc
        self._key: Final = key
        self._lock: Final = threading.Lock()
        self._idle: Final[list[HTTPConnection]] = []

    def __repr__(self) -> str:
        return f"HttpDoor({self.url}, key hidden)"

    def with_key(self, key: str) -> HttpDoor:
        """The same door with another key."""
        return HttpDoor(self.url, key)

    def close(self) -> None:
        """Close the connections that are kept; a later call opens a new one."""
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def call(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        *,
        strong: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One call; `strong` asserts that the cardholder was strongly authenticated for it.

        Raises:
            HttpDoorError: no answer, or one that is not a success; its message is the problem's
                title and detail, which never hold what was sent.
        """
        sent = {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}
        if method == "POST":
            sent["Idempotency-Key"] = secrets.token_urlsafe(18)
        if strong:
            sent["Authentication-Strength"] = "strong"
        text = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            text = json.dumps(body, ensure_ascii=False).encode()
        sent.update(headers or {})
        for attempt in range(1, _TRIES + 1):
            try:
                return self._once(method, path, text, sent)
            except (OSError, HTTPException) as error:
                # Where one kept connection is dead, the others are from before as well.
                self.close()
                if attempt == _TRIES:
                    reason = getattr(error, "strerror", None) or type(error).__name__
                    raise HttpDoorError(f"no answer from {self.url}: {reason}") from None
        raise AssertionError("the loop above returns or raises")

    async def acall(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        *,
        strong: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """The same from an event loop, which goes on meanwhile."""
        return await asyncio.to_thread(
            self.call, method, path, body, strong=strong, headers=headers
        )

    def _once(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        connection = kept or self._maker(self._netloc, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            raw = answer.read()
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._idle.append(connection)
        told = {name.lower(): value for name, value in answer.getheaders()}
        document = _document(raw) if "json" in told.get("content-type", "") else {}
        if answer.status >= 400:
            raise _error(answer.status, document)
        return Reply(answer.status, document, told)


def _document(raw: bytes) -> Document:
    try:
        document = json.loads(raw)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _error(status: int, problem: Document) -> HttpDoorError:
    code = str(problem.get("code", ""))
    detail = str(problem.get("detail") or problem.get("title") or "no more is known")
    return HttpDoorError(f"HTTP {status} {code}: {detail}".replace("  ", " "), status, code)

"""How long the server takes for its pages: a cardholder's and an operator's, with decisions kept.

A real server on SQLite, one customer with two cards and the decisions, and both signed in as people
are, by a one-time link. Every page is asked for in turn over one connection, compressed as browsers
want it; the time is from the request to the whole page.
"""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from zhiwei.bench.cards import pan_of
from zhiwei.core.errors import ZhiweiError
from zhiwei.demo.server import Server
from zhiwei.simulate.http_door import HttpDoor

#: The median of every page is at most this.
DUE_MS: Final = 30.0
_CUSTOMER: Final = (
    "/me",
    "/me/history",
    "/me/checkup",
    "/me/settings",
    "/me/cards/{card}",
    "/me/cards/{card}/locks",
    "/me/cards/{card}/limits",
    "/me/cards/{card}/verification",
    "/me/cards/{card}/alerts",
    "/me/cards/{card}/bindings",
    "/me/cards/{card}/travel",
    "/me/cards/{card}/history",
)
_OPERATOR: Final = (
    "/console",
    "/console/decisions",
    "/console/decisions?outcome=decline",
    "/console/search?q={tail}",
    "/console/cards/{card}",
    "/console/decisions/{decision}",
    "/console/cases",
    "/console/messages",
    "/console/audit",
    "/console/policy",
)
_CSRF: Final = re.compile(r'name="csrf" value="([^"]*)"')
_FIRST_CARD: Final = 410_000_000


class PageError(ZhiweiError):
    """a page did not come"""


@dataclass(frozen=True)
class PageTime:
    """One page."""

    path: str
    median_ms: float
    p95_ms: float
    #: As sent, compressed.
    page_bytes: int


@dataclass(frozen=True)
class PageReport:
    """All pages."""

    decisions: int
    tries: int
    pages: tuple[PageTime, ...]

    @property
    def is_in_time(self) -> bool:
        """Whether every page keeps to its time."""
        return all(page.median_ms <= DUE_MS for page in self.pages)

    def lines(self) -> list[str]:
        """For people."""
        head = f"pages with {self.decisions:,} decisions kept, {self.tries} tries each"
        rows = [
            f"  {p.path:<40} median {p.median_ms:6.1f} ms   p95 {p.p95_ms:6.1f} ms"
            f"   {p.page_bytes / 1000:6.1f} kB"
            for p in self.pages
        ]
        worst = max(self.pages, key=lambda p: p.median_ms)
        verdict = "in time" if self.is_in_time else "TOO SLOW"
        last = f"slowest: {worst.path} {worst.median_ms:.1f} ms; at most {DUE_MS:g} ms: {verdict}"
        return [head, *rows, last]


def measure_pages(decisions: int, tries: int, tell: Callable[[int, int], None]) -> PageReport:
    """Measure every page of both faces.

    Raises:
        ServerError: the server did not start.
        PageError: a page was not what was asked for.
    """
    with tempfile.TemporaryDirectory(prefix="zhiwei-bench-") as folder:
        server = Server(Path(folder) / "data", Path(folder) / "server.log")
        server.start()
        try:
            return _measured(server, decisions, tries, tell)
        finally:
            server.stop()


def _measured(
    server: Server, decisions: int, tries: int, tell: Callable[[int, int], None]
) -> PageReport:
    door = HttpDoor(server.http, server.key("issuer"))
    try:
        facts = _lived(door, decisions)
    finally:
        door.close()
    made = server.command("operators", "add", "Bench", "--role", "officer", *_data(server))
    found = re.search(r"op_[0-9a-z]+", made)
    if found is None:
        raise PageError(f"no operator was made: {made[:200]}")
    pages: list[PageTime] = []
    total = len(_CUSTOMER) + len(_OPERATOR)
    visitors = (
        (f"cardholder:{facts['cardholder']}", _CUSTOMER),
        (f"operator:{found[0]}", _OPERATOR),
    )
    for who, paths in visitors:
        with httpx.Client(base_url=server.http.replace("127.0.0.1", "localhost")) as client:
            _sign_in(server, client, who)
            for path in paths:
                pages.append(_timed(client, path, path.format(**facts), tries))
                tell(len(pages), total)
    return PageReport(decisions, tries, tuple(pages))


def _data(server: Server) -> tuple[str, str]:
    return "--data", str(server.data)


def _lived(door: HttpDoor, decisions: int) -> dict[str, str]:
    """A customer with two cards who has paid that often."""
    holder = door.call("POST", "/v1/cardholders", {"name": "Bench"}).document["id"]
    cards: list[dict[str, Any]] = [
        door.call(
            "POST",
            "/v1/cards",
            {"pan": pan_of(_FIRST_CARD + n), "cardholder": holder, "currency": "CNY"},
        ).document
        for n in range(2)
    ]
    night = {"start": "23:00", "end": "05:00"}
    path = f"/v1/cards/{cards[0]['id']}/controls/night_lock"
    door.call("PUT", path, night, headers={"If-None-Match": "*"})
    last = ""
    for n in range(decisions):
        body = {
            "card": cards[0]["id"],
            "kind": "purchase",
            "channel": "pos",
            "medium": "chip",
            "amount": 1_000 + n,
            "currency": "CNY",
            "merchant": {"name": f"Shop {n % 50}", "mcc": "5411", "country": "CHN", "region": "41"},
        }
        last = door.call("POST", "/v1/authorizations", body).document["id"]
    return {
        "card": cards[0]["id"],
        "cardholder": holder,
        "tail": cards[0]["tail"],
        "decision": last,
    }


def _sign_in(server: Server, client: httpx.Client, who: str) -> None:
    """Use up a one-time link."""
    said = server.command("enter", who, *_data(server)).strip().splitlines()[-1]
    token = _CSRF.search(client.get(said).text)
    if token is None or client.post(said, data={"csrf": token[1]}).status_code != 303:
        raise PageError(f"{who.partition(':')[0]} could not sign in")


def _timed(client: httpx.Client, name: str, path: str, tries: int) -> PageTime:
    """One page, so often."""
    seconds: list[float] = []
    size = 0
    for _ in range(tries):
        began = time.perf_counter()
        with client.stream("GET", path) as answer:
            size = sum(len(piece) for piece in answer.iter_raw())
        seconds.append(time.perf_counter() - began)
        if answer.status_code != 200:
            raise PageError(f"{name} answered {answer.status_code}")
    seconds.sort()
    p95 = seconds[min(len(seconds) - 1, len(seconds) * 95 // 100)]
    return PageTime(name, statistics.median(seconds) * 1000, p95 * 1000, size)

"""The frame around every page: files, errors, looks, and who may send a form."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator

import httpx
import pytest
from tests.web.town import Town

from zhiwei.simulate.http_door import HttpDoorError
from zhiwei.web.frame.assets import load_assets

HIDDEN = re.compile(r'name="(csrf|once|back)" value="([^"]*)"')


@pytest.fixture
def guest(town: Town) -> Iterator[httpx.Client]:
    """A browser in which nobody has signed in."""
    with httpx.Client(base_url=town.site) as client:
        yield client


def signed_in(town: Town, client: httpx.Client, cardholder: str) -> httpx.Client:
    """The same browser after a one-time link."""
    link = town.entrance(f"cardholder:{cardholder}")
    fields = dict(HIDDEN.findall(client.get(link).text))
    assert client.post(link, data={"csrf": fields["csrf"]}).status_code == 303
    return client


def test_pages_need_somebody(guest: httpx.Client) -> None:
    """Without a session every page leads to the sign-in, and knows where one wanted to go."""
    assert guest.get("/").headers["location"] == "/me"
    assert guest.get("/me").headers["location"] == "/sign-in"
    assert guest.get("/me/history").headers["location"] == "/sign-in?to=/me/history"
    assert guest.get("/console").headers["location"] == "/console/sign-in"


def test_what_is_no_page_is_the_apis(guest: httpx.Client) -> None:
    """Errors of the API are documents, errors of pages are pages."""
    assert guest.get("/nothing").json()["code"] == "route_not_found"
    assert guest.get("/meter").json()["code"] == "route_not_found"
    missing = guest.get("/me/nothing")
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "text/html; charset=utf-8"
    assert guest.get("/v1/cards").status_code == 401


def test_every_page_has_the_strict_headers(guest: httpx.Client) -> None:
    """Nothing from elsewhere, nothing kept by the browser, no frame around it."""
    headers = guest.get("/sign-in").headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers.get_list("content-security-policy") == [headers["content-security-policy"]]


def test_files_are_named_by_their_content(guest: httpx.Client) -> None:
    """The name that a page has is kept for good; an old or plain name is asked for again."""
    assets = load_assets()
    path = assets.path("me.css")
    named = guest.get(path)
    assert "immutable" in named.headers["cache-control"]
    plain = guest.get("/static/me.css")
    assert plain.headers["cache-control"] == "no-cache"
    assert plain.text == named.text
    old = guest.get("/static/me.0000000000.css")
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-cache")
    bare = guest.get(path, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in bare.headers
    assert bare.text == named.text
    for bad in ("/static/..%2fapp.py", "/static/app.py", "/static/", "/static/me.css/x"):
        assert guest.get(bad).status_code in {404, 405}, bad


def test_looks_are_remembered_by_the_browser(guest: httpx.Client) -> None:
    """Language, large letters, light and dark; anything else is ignored."""
    assert 'lang="zh-CN"' in guest.get("/sign-in").text
    sent = {"language": "en", "elder": "1", "theme": "dark", "back": "/sign-in"}
    answer = guest.post("/me/appearance", data=sent)
    assert answer.headers["location"] == "/sign-in"
    page = guest.get("/sign-in").text
    assert '<html lang="en" class="dark elder">' in page
    guest.post("/me/appearance", data={"language": "xx", "theme": '"><script>'})
    assert '<html lang="en" class="dark elder">' in guest.get("/sign-in").text


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/me\\@evil.example", "/me//x", "", "/v1"]
)
def test_no_form_leads_elsewhere(guest: httpx.Client, back: str) -> None:
    """Where a form goes on is one of our pages."""
    answer = guest.post("/me/appearance", data={"back": back})
    assert answer.headers["location"] == "/me"


def test_a_browser_that_asks_for_english_gets_it(guest: httpx.Client) -> None:
    """Before somebody chose, the browser's own wish holds."""
    page = guest.get("/sign-in", headers={"accept-language": "fr, en;q=0.8, zh;q=0.5"}).text
    assert 'lang="en"' in page


def test_somebody_elses_card_does_not_exist(town: Town, guest: httpx.Client) -> None:
    """The same page as for a card that nobody has."""
    mine, other = town.card(), town.card()
    signed_in(town, guest, mine.cardholder)
    assert guest.get(f"/me/cards/{mine.id}").status_code == 200
    theirs = guest.get(f"/me/cards/{other.id}")
    nobodys = guest.get(f"/me/cards/{other.id[:-4]}aaaa")
    assert (theirs.status_code, nobodys.status_code) == (404, 404)
    assert other.tail not in theirs.text


def test_a_form_of_another_session_does_nothing(town: Town, guest: httpx.Client) -> None:
    """No token, a wrong one, or one of somebody else: 403, and nothing was done."""
    mine = town.card()
    signed_in(town, guest, mine.cardholder)
    with httpx.Client(base_url=town.site) as other:
        signed_in(town, other, town.card().cardholder)
        theirs = dict(HIDDEN.findall(other.get("/me").text))["csrf"]
    for token in ("", "00" * 64, theirs):
        answer = guest.post(f"/me/cards/{mine.id}/do/stop_card", data={"csrf": token})
        assert answer.status_code == 403, token
        assert answer.headers["content-type"].startswith("text/html")
    mine_now = dict(HIDDEN.findall(guest.get("/me").text))["csrf"]
    foreign = {"sec-fetch-site": "cross-site"}
    answer = guest.post(
        f"/me/cards/{mine.id}/do/stop_card", data={"csrf": mine_now}, headers=foreign
    )
    assert answer.status_code == 403
    with pytest.raises(HttpDoorError, match="stop_not_found"):
        town.call("GET", f"/v1/cards/{mine.id}/stop")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"csrf=" + b"x" * 40_000, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"a=1" for _ in range(400)), "application/x-www-form-urlencoded", 400),
        (b"csrf=%ff%fe", "application/x-www-form-urlencoded", 403),
        (b"\xff\xfe", "application/x-www-form-urlencoded", 400),
    ],
)
def test_bodies_that_are_no_form(
    town: Town, guest: httpx.Client, body: bytes, kind: str, status: int
) -> None:
    """Each gets a clear page."""
    mine = town.card()
    signed_in(town, guest, mine.cardholder)
    answer = guest.post(
        f"/me/cards/{mine.id}/do/stop_card", content=body, headers={"content-type": kind}
    )
    assert answer.status_code == status
    assert 'role="alert"' in answer.text


def test_tokens_differ_from_page_to_page(town: Town, guest: httpx.Client) -> None:
    """What is compressed beside a stranger's words never repeats (BREACH)."""
    signed_in(town, guest, town.card().cardholder)
    one, two = (dict(HIDDEN.findall(guest.get("/me").text))["csrf"] for _ in range(2))
    assert one != two


def test_pages_are_compressed_for_who_can_read_that(town: Town, guest: httpx.Client) -> None:
    """And plain for who cannot."""
    signed_in(town, guest, town.card().cardholder)
    with guest.stream("GET", "/me", headers={"accept-encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw).startswith(b"<!doctype html>")
    bare = guest.get("/me", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in bare.headers

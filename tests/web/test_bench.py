"""The bench itself: what the tests of the two faces stand on sees what it must see."""

from __future__ import annotations

import asyncio

import pytest
from playwright.sync_api import Error, Page
from tests.web.authenticator import add_authenticator
from tests.web.axe import axe_violations
from tests.web.conftest import OpenPage
from tests.web.devices import DESKTOP, LOOKS, PHONE, PLAIN_PHONE, Device
from tests.web.site import small_site
from tests.web.town import Town
from tests.web.watch import Watch
from tests.web.weight import first_load

GOOD = """<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>好</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"></head>
<body><main><h1>一切正常</h1><noscript><p>没有脚本</p></noscript></main></body></html>"""
#: Makes a passkey, then signs in with it; the title says how that went.
MAKE = """async () => {
  const bytes = (text) => new TextEncoder().encode(text);
  const made = await navigator.credentials.create({publicKey: {
    challenge: bytes("first"), rp: {name: "zhiwei"},
    user: {id: bytes("1"), name: "wang", displayName: "王小明"},
    pubKeyCredParams: [{type: "public-key", alg: -7}, {type: "public-key", alg: -257}],
    authenticatorSelection: {residentKey: "required", userVerification: "required"}}});
  return made.id;
}"""
USE = """async () => {
  const bytes = (text) => new TextEncoder().encode(text);
  const used = await navigator.credentials.get({publicKey: {
    challenge: bytes("second"), userVerification: "required"}});
  const flags = new Uint8Array(used.response.authenticatorData)[32];
  return [used.id, (flags & 4) !== 0];
}"""


def test_a_page_of_the_real_server_is_well_behaved(phone: Page, town: Town) -> None:
    """The contract's page loads in one request, asks nobody else, and says nothing wrong."""
    weight = first_load(phone, "/docs")
    assert "zhiwei" in phone.title()
    assert weight.requests == 1
    served = len(phone.context.request.get("/docs").body())
    assert served < weight.transferred_bytes < served + 2_000, "a body and its headers"


def test_the_town_decides_what_the_bank_asks(town: Town) -> None:
    """A lock that was set refuses a payment at the hour that the clock was put to."""
    card = town.card()
    assert len(card.tail) == 4
    town.control(card, "night_lock")
    assert town.authorize(card)["decision"] == "approve"
    town.set_clock("2025-11-24T23:30:00.000+08:00")
    refused = town.authorize(card, 100)
    assert refused["decision"] == "decline"
    assert refused["reasons"][0]["code"] == "night_lock_active"


def test_a_passkey_is_made_and_used(phone: Page) -> None:
    """The virtual authenticator keeps a passkey, signs with it, and knows its owner."""
    phone.goto("/docs")
    authenticator = add_authenticator(phone)
    made = phone.evaluate(MAKE)
    assert authenticator.count() == 1
    assert phone.evaluate(USE) == [made, True]
    authenticator.refuse()
    with pytest.raises(Error, match="NotAllowedError"):
        phone.evaluate(USE)
    authenticator.recognize()
    assert phone.evaluate(USE) == [made, True]


@pytest.mark.parametrize("device", LOOKS, ids=str)
def test_axe_finds_nothing_on_a_good_page(open_page: OpenPage, device: Device) -> None:
    """A page without faults has no violations, on every device, under a strict policy."""
    with small_site({"/": GOOD}, policy="default-src 'none'; img-src data:") as site:
        page = open_page(device, site)
        page.goto("/")
        assert axe_violations(page) == []
        scheme = "(prefers-color-scheme: dark)"
        assert page.evaluate(f"matchMedia('{scheme}').matches") == (device.scheme == "dark")
        assert page.evaluate("innerWidth") == device.width


def test_axe_finds_a_planted_fault(open_page: OpenPage) -> None:
    """Pale text, a small target and a field without a name are each found where they are."""
    pale = '<p id="pale" style="color: #ddd">看不清</p><input id="mute">'
    small = '<a href="#a" style="font-size: 8px; display: block; height: 8px">a</a>' * 2
    with small_site({"/": GOOD.replace("</main>", f"{pale}{small}</main>")}) as site:
        page = open_page(DESKTOP, site)
        page.goto("/")
        found = axe_violations(page)
    assert any(line.startswith("color-contrast (serious) at #pale") for line in found), found
    assert any(line.startswith("label (critical) at #mute") for line in found), found
    assert any(line.startswith("target-size (serious)") for line in found), found


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ('<img alt="" src="http://elsewhere.example/a.png">', "third party: http://elsewhere"),
        ("<script>console.error('no good')</script>", "console error: no good"),
        ("<script>throw new Error('it broke')</script>", "script error: it broke"),
        ('<img alt="" src="/missing.png">', r"console error: .*404.*missing"),
    ],
    ids=["third party", "console", "exception", "not found"],
)
def test_a_planted_fault_is_seen(
    open_page: OpenPage, watch: Watch, planted: str, fault: str
) -> None:
    """Each kind of misbehaviour is a complaint, until a test says that it is meant."""
    with small_site({"/": GOOD.replace("</main>", f"{planted}</main>")}) as site:
        page = open_page(PHONE, site)
        page.goto("/", wait_until="networkidle")
        assert len(watch.complaints()) >= 1
        watch.expect(fault)
        if fault.startswith("third"):
            watch.expect("console error: .*ERR_NAME_NOT_RESOLVED")
        assert watch.complaints() == []


def test_what_the_policy_refuses_is_seen(open_page: OpenPage, watch: Watch) -> None:
    """An inline style under a strict policy is a complaint."""
    page_text = GOOD.replace("<h1>", '<h1 style="color: red">')
    with small_site({"/": page_text}, policy="default-src 'self'; img-src data:") as site:
        open_page(PHONE, site).goto("/")
        watch.expect("console error: .*Content Security Policy")
        assert watch.complaints() == []


def test_what_is_expected_must_happen(watch: Watch) -> None:
    """A test that foresees a fault and does not see it is told so."""
    watch.expect("third party: .*")
    assert watch.complaints() == ["expected, but did not happen: third party: .*"]


def test_scripts_can_be_off(open_page: OpenPage, plain_phone: Page) -> None:
    """Without JavaScript the browser shows what is written for it."""
    with small_site({"/": GOOD}) as site:
        plain = open_page(PLAIN_PHONE, site)
        plain.goto("/")
        assert plain.locator("noscript p").is_visible()
    plain_phone.goto("/docs")
    assert plain_phone.get_by_role("heading", level=1).is_visible()


def test_languages_are_asked_for(open_page: OpenPage) -> None:
    """A device asks for the language that it is set to, and lives in Shanghai."""
    page = open_page(Device(390, 844, locale="en-GB"))
    page.goto("/docs")
    assert page.evaluate("navigator.language") == "en-GB"
    zone = page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
    assert zone == "Asia/Shanghai"


@pytest.mark.parametrize("turn", [1, 2])
def test_other_tests_may_run_loops(browser: object, turn: int) -> None:
    """While the browser is kept for the next test, no loop is marked as running."""
    from tests.web.conftest import _LOOP

    _LOOP.hide()
    try:
        assert asyncio.run(asyncio.sleep(0, turn)) == turn
    finally:
        _LOOP.show()

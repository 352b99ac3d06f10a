"""History, questions and check-up in a browser: stories beside those of `test_stories`, and axe."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from tests.web.authenticator import add_authenticator
from tests.web.axe import axe_violations
from tests.web.cardholder.person import sign_in
from tests.web.cardholder.test_activity import HOSTILE, large
from tests.web.cardholder.test_home import is_stopped
from tests.web.cardholder.test_stories import with_passkey
from tests.web.conftest import OpenPage
from tests.web.devices import LOOKS, Device
from tests.web.town import SHOP, Card, Town
from tests.web.watch import Watch
from tests.web.whole import open_whole

ENGLISH = Device(1280, 800, locale="en-US")


@pytest.fixture
def english(open_page: OpenPage) -> Page:
    """A desk, in English."""
    return open_page(ENGLISH)


def speak_english(page: Page) -> None:
    """Choose the language, as a cardholder whose own is Chinese does."""
    page.goto("/me")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_all_cards_are_stopped_and_opened_again(phone: Page, town: Town) -> None:
    """Robbed: one tap. Safe again: one tap and a passkey."""
    first = town.card()
    second = town.card(first.cardholder)
    with_passkey(phone, town, first.cardholder)
    phone.goto("/me")
    phone.get_by_role("button", name="全部锁定").click()
    expect(phone.get_by_role("status")).to_contain_text("全部卡片已止付")
    assert is_stopped(town, first)
    assert is_stopped(town, second)
    phone.get_by_role("button", name="解除全部锁定").click()
    expect(phone.get_by_text("解除全部卡片的锁定")).to_be_visible()
    phone.get_by_role("button", name="通行密钥").click()
    expect(phone.get_by_role("status").filter(has_text="全部锁定已解除")).to_be_visible()
    assert not is_stopped(town, first)
    assert not is_stopped(town, second)


def test_after_a_no_the_back_button_shows_no_buttons(phone: Page, town: Town) -> None:
    """The page that comes back is the answered one."""
    card = town.card()
    question = large(town, card)
    sign_in(phone.context, town, card.cardholder)
    phone.goto(f"/me/questions/{question['id']}")
    phone.get_by_role("button", name="不是我").click()
    expect(phone.get_by_text("您回答了：不是我")).to_be_visible()
    phone.get_by_role("link", name="回到首页").click()
    phone.go_back()
    expect(phone.get_by_text("您回答了：不是我")).to_be_visible()
    phone.go_back()
    expect(phone.get_by_role("button", name="不是我")).to_have_count(0)


def test_a_yes_in_english_and_the_payment_goes_through(english: Page, town: Town) -> None:
    """Who, how much, where; a passkey; then pay again, once."""
    card = town.card()
    shop = {**SHOP, "id": "M9", "name": "GOLD & SONS"}
    question = large(town, card, merchant=shop)
    sign_in(english.context, town, card.cardholder)
    speak_english(english)
    add_authenticator(english)
    english.goto("/me/security")
    english.locator("form[data-passkey=create] button").click()
    expect(english.locator(".passkeys li")).to_have_count(1)
    english.goto("/me")
    english.get_by_role("link", name="GOLD & SONS").click()
    expect(english.get_by_role("timer")).to_contain_text("left")
    english.get_by_role("button", name="Yes, it is me").click()
    expect(english.get_by_text("9,000.00 CNY at “GOLD & SONS”")).to_be_visible()
    english.locator("form[data-passkey=get] button").click()
    expect(english.get_by_text("Please pay again now.")).to_be_visible()
    assert town.authorize(card, 900_000, merchant=shop)["decision"] == "approve"
    english.goto(f"/me/questions/{question['id']}")
    expect(english.get_by_text("the confirmation is used up")).to_be_visible()


def test_the_time_that_is_left_runs_out_on_the_page(phone: Page, town: Town) -> None:
    """It ticks by the browser's clock, and says at its end what to do."""
    card = town.card()
    question = large(town, card)
    sign_in(phone.context, town, card.cardholder)
    phone.clock.install()
    phone.goto(f"/me/questions/{question['id']}")
    timer = phone.get_by_role("timer")
    phone.clock.run_for(61_000)
    expect(timer).to_contain_text("还有 8:5")
    phone.clock.run_for(600_000)
    expect(timer).to_contain_text("时间已过")


def test_a_fix_is_one_tap_and_the_score_rises(english: Page, town: Town) -> None:
    """On the home page as well."""
    card = town.card()
    sign_in(english.context, town, card.cardholder)
    speak_english(english)
    english.goto("/me/checkup")
    before = int(english.locator("svg.ring text").text_content() or 0)
    section = english.locator("section.card").filter(has=english.get_by_text("-"))
    section.get_by_role("button", name="Mend it with one tap").first.click()
    expect(english.get_by_role("status")).to_contain_text("Done.")
    after = int(english.locator("svg.ring text").text_content() or 0)
    assert after > before
    english.goto("/me")
    expect(english.locator("svg.ring text")).to_have_text(str(after))


def _places(town: Town, card: Card) -> list[str]:
    """Every state that a page of a history or a question can show."""
    town.control(card, "region_lock", {"regions": ["11"]})
    town.authorize(card, merchant={**SHOP, "name": HOSTILE[:40]})
    town.authorize(card, merchant={**SHOP, "name": "W" * 40})
    town.control(card, "large_spend_verification", {"threshold": 500_000})
    beijing = {**SHOP, "region": "11"}
    open_one = large(town, card, merchant=beijing)["id"]
    denied = large(town, card, 800_000, merchant={**beijing, "name": "长" * 40})["id"]
    said = {"response": "deny"}
    town.call("POST", f"/v1/challenges/{denied}/respond", said)
    town.authorize(card)
    entries = [f"/me/cards/{card.id}/history/{version}" for version in range(1, 10)]
    shows = [f"/me/cards/{card.id}/history?show={one}" for one in ("declined", "changes")]
    questions = [f"/me/questions/{one}" for one in (open_one, denied)]
    return [*entries, *shows, *questions, "/me/questions"]


@pytest.mark.parametrize("device", [*LOOKS, Device(360, 740, locale="en-US")], ids=str)
def test_every_state_keeps_the_rules_of_access(
    open_page: OpenPage, town: Town, device: Device, watch: Watch
) -> None:
    """Axe finds nothing and nothing scrolls sideways: entries, answers, and what went wrong."""
    watch.expect(r"console error: .* (404|422) ")
    card = town.card()
    places = _places(town, card)
    page = open_page(device)
    sign_in(page.context, town, card.cardholder)
    found: list[str] = []

    def looked_at(place: str) -> None:
        found.extend(f"{place}: {one}" for one in axe_violations(page))
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > device.width:
            found.append(f"{place}: {width} px wide")

    for place in places:
        assert open_whole(page, place).status == 200, place
        looked_at(place)
    page.goto("/me/checkup")
    page.locator("form[action='/me/checkup'] button").click()
    expect(page.get_by_role("status")).to_be_visible()
    looked_at("a full check-up")
    page.goto(f"/me/questions/{'x' * 30}")
    looked_at("no such question")
    page.goto(f"/me/cards/{card.id}/history/2")
    page.goto(places[-3])
    town.set_clock("2025-11-24T12:11:00.000+08:00")
    page.locator("form[action$=answer_no] button").click()
    expect(page.get_by_role("alert")).to_be_visible()
    looked_at("a late answer")
    assert found == []

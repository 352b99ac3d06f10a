"""Stories of cardholders in a real browser: on a phone, in Chinese and English, without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from tests.web.authenticator import add_authenticator
from tests.web.axe import axe_violations
from tests.web.cardholder.person import sign_in
from tests.web.cardholder.test_activity import large
from tests.web.conftest import OpenPage
from tests.web.devices import LOOKS, PHONE, Device
from tests.web.town import Card, Town
from tests.web.weight import first_load
from tests.web.whole import open_whole

#: Every page of the face, with what stands in its address.
PAGES = (
    "/me",
    "/me/history",
    "/me/checkup",
    "/me/settings",
    "/me/questions",
    "/me/contacts",
    "/me/security",
    "/me/questions/{question}",
    "/me/cards/{card}",
    "/me/cards/{card}/locks",
    "/me/cards/{card}/limits",
    "/me/cards/{card}/verification",
    "/me/cards/{card}/alerts",
    "/me/cards/{card}/bindings",
    "/me/cards/{card}/travel",
    "/me/cards/{card}/history",
    "/me/cards/{card}/history/3",
)


@pytest.fixture
def card(town: Town) -> Card:
    """A card with a little life: locks, a refusal, a payment."""
    made = town.card()
    town.control(made, "region_lock", {"regions": ["11"]})
    town.authorize(made)
    town.authorize(made, channel="online", medium="ecommerce")
    return made


def with_passkey(page: Page, town: Town, cardholder: str) -> None:
    """Sign in, and keep a passkey in the phone."""
    sign_in(page.context, town, cardholder)
    add_authenticator(page)
    page.goto("/me/security")
    page.get_by_role("button", name="添加").click()
    expect(page.locator(".passkeys li")).to_have_count(1)


def test_declined_then_allowed_once_then_paid(phone: Page, town: Town, card: Card) -> None:
    """The history says which lock it was; a passkey lets this one payment through."""
    with_passkey(phone, town, card.cardholder)
    phone.goto("/me")
    phone.get_by_role("link", name="记录", exact=True).last.click()
    phone.get_by_role("link", name="便民超市").last.click()
    expect(phone.get_by_role("heading", name="为什么")).to_be_visible()
    expect(phone.get_by_role("link", name="去看「地区锁」")).to_be_visible()
    phone.get_by_role("button", name="放行一次（15 分钟）").click()
    expect(phone.get_by_text("放行一次被拦下的付款")).to_be_visible()
    phone.get_by_role("button", name="通行密钥").click()
    expect(phone.get_by_role("status").filter(has_text="已放行一次")).to_be_visible()
    assert town.authorize(card)["decision"] == "approve"
    assert town.authorize(card)["decision"] == "decline", "it was for one payment"


def test_a_question_is_denied_and_undone(phone: Page, town: Town) -> None:
    """Amount, merchant, time that is left; a no stops the card; a passkey undoes it."""
    card = town.card()
    question = large(town, card)
    with_passkey(phone, town, card.cardholder)
    phone.goto("/me")
    phone.get_by_role("link", name="请确认：这是您本人吗？").click()
    expect(phone.get_by_text("9,000.00 CNY")).to_be_visible()
    expect(phone.get_by_role("timer")).to_contain_text("还有")
    yes = phone.get_by_role("button", name="是我本人").bounding_box()
    no = phone.get_by_role("button", name="不是我").bounding_box()
    assert yes is not None
    assert no is not None
    assert (yes["width"], yes["height"]) == (no["width"], no["height"]), "neither is nudged"
    phone.get_by_role("button", name="不是我").click()
    expect(phone.get_by_text("您回答了：不是我")).to_be_visible()
    assert town.authorize(card)["decision"] == "decline"
    phone.get_by_role("button", name="按错了，解除止付").click()
    phone.get_by_role("button", name="通行密钥").click()
    expect(phone.get_by_role("status").filter(has_text="止付已解除")).to_be_visible()
    phone.goto(f"/me/questions/{question['id']}")
    expect(phone.get_by_text("您回答了：不是我")).to_be_visible()
    assert town.authorize(card)["decision"] == "approve"


def test_without_scripts_a_question_is_answered_and_cards_are_stopped(
    plain_phone: Page, town: Town
) -> None:
    """Forms and pages suffice."""
    card = town.card()
    question = large(town, card)
    sign_in(plain_phone.context, town, card.cardholder)
    plain_phone.goto(f"/me/questions/{question['id']}")
    expect(plain_phone.locator("[role=timer]")).to_contain_text("还有 10 分钟")
    plain_phone.get_by_role("button", name="不是我").click()
    expect(plain_phone.locator("main")).to_contain_text("这张卡已止付")
    plain_phone.goto("/me")
    plain_phone.get_by_role("button", name="全部锁定").click()
    expect(plain_phone.get_by_role("status")).to_contain_text("全部卡片已止付")


def test_a_lock_is_tried_and_switched_on(phone: Page, town: Town) -> None:
    """The number comes while one chooses; a fourth province cannot be chosen; one tap sets it."""
    card = town.card()
    for _ in range(3):
        town.authorize(card)
    sign_in(phone.context, town, card.cardholder)
    phone.goto(f"/me/cards/{card.id}/locks")
    region = phone.locator("#region_lock")
    expect(region.locator(".trial")).to_contain_text("请至少选择一个省份")
    region.get_by_label("北京").check()
    expect(region.locator(".trial")).to_contain_text("近 90 天的 3 笔付款里，会拦下 3 笔")
    region.get_by_text("看看是哪些").click()
    expect(region.get_by_text("便民超市").first).to_be_visible()
    region.get_by_label("河南").check()
    region.get_by_label("河北").check()
    expect(region.get_by_text("3/3")).to_be_visible()
    expect(region.get_by_label("上海")).to_be_disabled()
    expect(region.locator(".trial")).to_contain_text("会拦下 0 笔")
    region.get_by_role("button", name="打开").click()
    expect(phone.get_by_role("status").first).to_contain_text("已设置")
    found = town.call("GET", f"/v1/cards/{card.id}/controls/region_lock").document
    assert found["regions"] == ["11", "13", "41"]


def test_the_same_without_scripts(plain_phone: Page, town: Town) -> None:
    """`Try it first` opens a page with the list and a button to switch it on."""
    card = town.card()
    town.authorize(card)
    sign_in(plain_phone.context, town, card.cardholder)
    plain_phone.goto(f"/me/cards/{card.id}/locks")
    region = plain_phone.locator("#region_lock")
    region.get_by_label("北京").check()
    region.get_by_role("button", name="先试一试").click()
    expect(plain_phone.locator("main")).to_contain_text("会拦下 1 笔")
    plain_phone.get_by_role("button", name="就这样设置").click()
    expect(plain_phone.get_by_role("status").first).to_contain_text("已设置")
    assert town.authorize(card)["decision"] == "decline"


def test_english_and_large_letters_are_one_tap_away(desktop: Page, town: Town, card: Card) -> None:
    """On every page; what was chosen holds on the next."""
    sign_in(desktop.context, town, card.cardholder)
    desktop.goto("/me")
    desktop.get_by_role("button", name="English").click()
    expect(desktop.get_by_role("button", name="Stop all my cards")).to_be_visible()
    desktop.goto("/me/settings")
    before = desktop.evaluate("getComputedStyle(document.body).fontSize")
    desktop.get_by_role("button", name="Switch it on").click()
    expect(desktop.get_by_role("button", name="Switch it off")).to_be_visible()
    after = desktop.evaluate("getComputedStyle(document.body).fontSize")
    assert float(after[:-2]) >= 1.3 * float(before[:-2])


def test_the_first_load_is_light(open_page: OpenPage, town: Town, card: Card) -> None:
    """At most 60 KB and 6 requests, all of them ours."""
    page = open_page(PHONE)
    sign_in(page.context, town, card.cardholder)
    weight = first_load(page, "/me")
    assert weight.requests <= 6, weight
    assert weight.transferred_bytes <= 60_000, weight


@pytest.mark.parametrize("device", [*LOOKS, Device(360, 740, locale="en-US")], ids=str)
def test_no_page_breaks_the_rules_of_access(
    open_page: OpenPage, town: Town, device: Device
) -> None:
    """Axe finds nothing, and nothing scrolls sideways, on any page."""
    card = town.card()
    town.control(card, "region_lock", {"regions": ["11"]})
    town.authorize(card)
    question = large(town, card, channel="online", medium="ecommerce")
    page = open_page(device)
    sign_in(page.context, town, card.cardholder)
    found: list[str] = []
    for path in PAGES:
        address = path.format(card=card.id, question=question["id"])
        assert open_whole(page, address).status == 200, path
        found += [f"{path}: {one}" for one in axe_violations(page)]
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > device.width:
            found.append(f"{path}: {width} px wide")
    assert found == []

"""Limits, verification, alerts, links and travel in a browser: a story without scripts, and axe."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from tests.web.axe import axe_violations
from tests.web.conftest import OpenPage
from tests.web.devices import DARK_PHONE, PHONE, Device
from tests.web.town import Card, Town
from tests.web.watch import Watch

PAGES = ("limits", "verification", "alerts", "bindings", "travel")


@pytest.fixture
def card(town: Town) -> Card:
    """A card with limits of every kind, a link that is not licensed, and an open trip."""
    made = town.card(town.cardholder(phone="+8613800138000"))
    limits = [
        {"channel": "pos", "measure": "amount", "period": "day", "amount": 500_000},
        {"channel": "overseas", "measure": "count", "period": "month", "count": 0},
        {"channel": "all", "measure": "amount", "period": "transaction", "amount": 100_000},
        {
            "channel": "online",
            "measure": "count",
            "period": "rolling",
            "seconds": 3600,
            "count": 3,
        },
    ]
    town.control(made, "limits", {"items": limits})
    town.control(made, "large_spend_verification", {"threshold": 300_000})
    link = {"card": made.id, "institution": "lqpay", "name": "零钱" * 30}
    town.call("POST", "/v1/bindings", link)
    trip = {"type": "travel_plan", "until": "2025-12-05T00:00:00+08:00", "countries": ["JPN"]}
    path = f"/v1/cards/{made.id}/exceptions"
    town.call("POST", path, trip, Authentication_Strength="strong")
    town.authorize(made, amount=123_400 - 50_000)
    return made


def enter(town: Town, page: Page, card: Card) -> None:
    """Sign the cardholder in."""
    page.goto(town.entrance(f"cardholder:{card.cardholder}"))
    page.locator("main button").first.click()


def test_a_day_of_money_without_scripts(
    town: Town, plain_phone: Page, card: Card, watch: Watch
) -> None:
    """Sees what is used, lowers it, is told a mistake, closes a link, and ends a trip."""
    page, base = plain_phone, f"/me/cards/{card.id}"
    watch.expect(r"console error: .* 422 .*limit_set")
    enter(town, page, card)
    page.goto(f"{base}/limits")
    shops = page.get_by_role("region", name="刷卡消费 · 每天 · 金额")
    expect(shops).to_contain_text("已用 734.00 CNY，上限 5,000.00 CNY，还可用 4,266.00 CNY")
    shops.get_by_label("改为").fill("1,000")
    shops.get_by_role("button", name="保存").click()
    expect(page.get_by_role("alert")).to_contain_text("金额读不懂")
    page.get_by_role("link", name="返回").click()
    shops.get_by_label("改为").fill("1000")
    shops.get_by_role("button", name="保存").click()
    expect(page.get_by_role("status")).to_have_text("限额已保存。")
    expect(shops).to_contain_text("还可用 266.00 CNY")
    shops.get_by_label("改为").fill("2000")
    shops.get_by_role("button", name="保存").click()
    expect(page.locator("main")).to_contain_text("2000.00 CNY")
    assert "/me/prove/" in page.url
    page.goto(f"{base}/bindings")
    page.get_by_role("button", name="关闭扣款").click()
    expect(page.locator("main")).to_contain_text("已关闭")
    page.goto(f"{base}/travel")
    page.get_by_role("button", name="马上结束").click()
    expect(page.get_by_role("status")).to_have_text("已结束。")
    page.goto(f"{base}/alerts")
    page.get_by_label("从", exact=True).select_option("22:00")
    page.get_by_label("到（可以是第二天）").select_option("07:00")
    page.get_by_role("button", name="保存消息设置").click()
    expect(page.get_by_role("status")).to_have_text("消息设置已保存。")


@pytest.mark.parametrize("device", [PHONE, DARK_PHONE], ids=str)
def test_everybody_can_use_these_pages(
    town: Town, open_page: OpenPage, card: Card, device: Device
) -> None:
    """No page keeps anybody out, with everything unfolded, and none is wider than the phone."""
    page = open_page(device)
    enter(town, page, card)
    for name in PAGES:
        page.goto(f"/me/cards/{card.id}/{name}")
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert axe_violations(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= device.width, name

"""The policy's pages in a browser, on a real server: four eyes, and the next decision."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from tests.web.axe import axe_violations
from tests.web.conftest import OpenPage
from tests.web.devices import DESKTOP, LOOKS, PLAIN_PHONE, Device
from tests.web.town import NOON, Card, Town, open_town
from tests.web.watch import Watch

NOWHERE = {"name": "便民超市", "mcc": "5411", "country": "CHN"}


@pytest.fixture(scope="module")
def one_bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A server of these tests alone: what is adopted holds for everybody on it."""
    with open_town(tmp_path_factory.mktemp("bank")) as town:
        yield town


@pytest.fixture
def bank(one_bank: Town) -> Town:
    """The same, at noon, where an unknown place at a POS is asked about."""
    one_bank.set_clock(NOON)
    now = one_bank.call("GET", "/v1/policy").document
    if now["settings"]["on_unknown_location_pos"] != "challenge":
        body = {"base": now["version"], "settings": {"on_unknown_location_pos": "challenge"}}
        made = one_bank.call("POST", "/v1/policy_changes", body).document
        one_bank.call("POST", f"/v1/policy_changes/{made['id']}/approve")
    return one_bank


def _signed_in(bank: Town, page: Page, name: str, role: str = "officer") -> None:
    """Somebody new at the desk, signed in by a link."""
    told = bank.server.command(
        "operators", "add", name, "--role", role, "--data", str(bank.server.data)
    )
    who = told.strip().splitlines()[-1]
    page.goto(bank.entrance(f"operator:{who}"))
    page.locator("main form button").click()
    expect(page).to_have_url(re.compile("/console"))


def _proposed(page: Page, label: str, chosen: str) -> str:
    """Fill in one choice, look at the differences, propose; the path of the change."""
    page.goto("/console/policy")
    page.get_by_role("link", name="提出变更").click()
    page.get_by_label(label).select_option(label=chosen)
    page.get_by_label("理由").fill("春节期间")
    page.get_by_role("button", name="核对改动").first.click()
    expect(page.get_by_role("heading", name="请核对")).to_be_visible()
    page.get_by_role("button", name="提交变更").click()
    expect(page).to_have_url(re.compile("/console/policy/changes/pch_"))
    return page.url


def _asked(bank: Town) -> tuple[Card, str, str]:
    """A card whose region lock needs a place that the next payment does not tell."""
    card = bank.card()
    bank.control(card, "region_lock", {"regions": ["41"]})
    answer = bank.authorize(card, merchant=NOWHERE)
    return card, answer["decision"], answer["policy_version"]


@pytest.mark.parametrize("device", [DESKTOP, PLAIN_PHONE], ids=str)
def test_one_officer_proposes_a_loosening_and_another_adopts_it(
    bank: Town, open_page: OpenPage, device: Device
) -> None:
    """The proposer cannot; after the other's click the next payment is decided under it."""
    ann, ben = open_page(device, bank.site), open_page(device, bank.site)
    _signed_in(bank, ann, "李安")
    _signed_in(bank, ben, "王本")
    card, decision, version = _asked(bank)
    assert decision == "challenge"

    path = _proposed(ann, "POS 地点不明时", "放行")
    row = ann.locator("[data-setting=on_unknown_location_pos]")
    expect(row).to_contain_text("先问持卡人")
    expect(row).to_contain_text("放宽")
    expect(ann.get_by_text("须由另一位主管采纳")).to_be_visible()
    expect(ann.get_by_role("button", name="采纳")).to_have_count(0)
    expect(ann.get_by_role("button", name="撤回")).to_be_visible()

    ben.goto("/console/policy")
    ben.locator("#proposals tbody a").first.click()
    expect(ben).to_have_url(path)
    ben.get_by_role("button", name="采纳").click()
    expect(ben.get_by_role("heading", level=1)).to_contain_text("已采纳")

    after = bank.authorize(card, merchant=NOWHERE)
    assert after["decision"] == "approve"
    assert after["policy_version"] != version
    ben.goto("/console/policy")
    expect(ben.locator("#version")).to_have_text(after["policy_version"])
    expect(ben.locator(".adopted").first).to_contain_text(after["policy_version"])
    expect(ben.locator("main .facts")).to_contain_text("李安 提出，王本 采纳")


def test_a_colleague_without_the_role_only_looks(bank: Town, open_page: OpenPage) -> None:
    """An agent sees what is in force and no way to change it."""
    page = open_page(DESKTOP, bank.site)
    _signed_in(bank, page, "赵坐", "agent")
    page.goto("/console/policy")
    expect(page.get_by_role("heading", level=1)).to_have_text("发卡行政策")
    expect(page.get_by_role("link", name="提出变更")).to_have_count(0)


@pytest.mark.parametrize("device", LOOKS, ids=str)
def test_every_page_of_the_policy_can_be_used_by_everybody(
    bank: Town, open_page: OpenPage, watch: Watch, device: Device
) -> None:
    """Axe finds nothing on any of them, faults included, and nothing is wider than the screen."""
    page = open_page(device, bank.site)
    _signed_in(bank, page, "李安")
    found: list[str] = []

    def look(what: str) -> None:
        found.extend(f"{what}: {line}" for line in axe_violations(page))
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > device.width:
            found.append(f"{what}: {width} px wide")

    page.goto("/console/policy/new")
    look("form")
    page.get_by_label("理由").fill("试")
    page.get_by_label("关闭的商户类别").fill("79950")
    page.get_by_label("visa · 卡已挂失").fill("04")
    watch.expect("422")
    page.get_by_role("button", name="核对改动").first.click()
    expect(page.get_by_text("此码会让终端吞卡").first).to_be_visible()
    look("faults")
    page.get_by_label("关闭的商户类别").fill("7995 6011")
    page.get_by_label("visa · 卡已挂失").fill("05")
    page.get_by_label("询问的有效时间").fill("20")
    page.get_by_role("button", name="核对改动").first.click()
    look("preview")
    page.get_by_role("button", name="提交变更").click()
    expect(page).to_have_url(re.compile("/changes/pch_"))
    look("change")
    page.goto("/console/policy")
    look("policy")
    assert not found, "\n".join(found)

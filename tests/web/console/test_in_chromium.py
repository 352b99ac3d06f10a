"""The console in a browser: live rows, keys, drill-down, both schemes, and hostile names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.web.axe import axe_violations
from tests.web.conftest import OpenPage
from tests.web.console.served import Served, served
from tests.web.devices import DESKTOP, LOOKS, Device

from zhiwei.web.sign_in.model import Role

HOSTILE = "<script>alert(1)</script>\u202eevil" + "长" * 60


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Served]:
    """A console on a socket with one card."""
    with served(tmp_path) as made:
        yield made


@pytest.fixture
def page(console: Served, open_page: OpenPage) -> Page:
    """A desk where an agent is signed in."""
    opened = open_page(DESKTOP, console.site)
    console.sign_in(opened.context)
    return opened


def _rows(page: Page) -> int:
    return page.locator("#stream tbody tr").count()


def test_live_rows_arrive_and_wait_while_paused(page: Page, console: Served) -> None:
    """A payment shows by itself; paused, a pill counts what waits, and no row moves."""
    console.there(lambda: console.desk.pay(2))
    page.goto("/console")
    expect(page.locator("#stream-state")).to_have_text("实时更新中")
    assert _rows(page) == 2
    console.there(lambda: console.desk.pay(amount=12_345))
    expect(page.locator("#stream tbody tr")).to_have_count(3)
    expect(page.locator("#stream tbody tr").first).to_contain_text("123.45 CNY")
    page.get_by_role("button", name="暂停").click()
    console.there(lambda: console.desk.pay(3))
    expect(page.get_by_role("button", name="3 条新决定")).to_be_visible()
    assert _rows(page) == 3
    page.get_by_role("button", name="3 条新决定").click()
    expect(page.locator("#stream tbody tr")).to_have_count(6)
    page.keyboard.press("p")
    expect(page.locator("#stream-state")).to_have_text("实时更新中")


def test_a_chart_leads_to_its_rows_and_one_row_to_why(page: Page, console: Served) -> None:
    """From the overview by reason to the list, to the decision, to what would be otherwise."""
    console.there(
        lambda: console.desk.world.strong.set(console.desk.card, "region_lock", {"regions": ["41"]})
    )
    console.there(lambda: console.desk.pay(4))
    page.goto("/console")
    expect(page.locator("#chart-reasons svg")).to_be_visible()
    expect(page.locator(".tile.at-44 b")).to_have_text("4")
    page.get_by_role("link", name="地区锁").first.click()
    expect(page).to_have_url(re.compile(r"/console/decisions\?reason=region_lock_active&span=1h"))
    expect(page.locator("tbody tr")).to_have_count(4)
    page.locator("tbody tr a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("拒绝")
    page.get_by_text("报文", exact=True).click()
    expect(page.get_by_text("DE37")).to_be_visible()
    page.get_by_role("link", name="如果……").click()
    page.get_by_label("地区锁").fill("off")
    page.get_by_role("button", name="试算").click()
    expect(page.locator("[data-side=now] .big")).to_contain_text("拒绝")
    expect(page.locator("[data-side=edited] .big")).to_contain_text("通过")


def test_the_keyboard_finds_moves_opens_and_helps(page: Page, console: Served) -> None:
    """`/` searches, `j` and `k` move, Enter opens, `?` explains; none of them while one types."""
    decisions = console.there(lambda: console.desk.pay(3))
    page.goto("/console/decisions")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    chosen = page.locator("tr.at")
    expect(chosen).to_have_attribute("data-row", decisions[2]["id"])
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(decisions[2]["id"]))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("12?j32")
    expect(page.get_by_role("searchbox")).to_have_value("12?j32")
    page.get_by_role("searchbox").fill("1232")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="**** 1232").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("卡 **** 1232")


def test_an_id_is_copied(page: Page, console: Served) -> None:
    """The button beside an id puts the whole of it on the clipboard and says so."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/console/cards/{console.desk.card}")
    page.get_by_role("button", name=f"复制 {console.desk.card}").click()
    expect(page.locator("#said")).to_have_text("已复制")
    assert page.evaluate("navigator.clipboard.readText()") == console.desk.card


def test_a_case_is_closed_at_the_desk(page: Page, console: Served) -> None:
    """The agent sees how many are open, takes one, and closes it with a note."""
    console.there(console.desk.denied)
    page.goto("/console/cases")
    expect(page.locator(".count")).to_have_text("1")
    page.locator("tbody tr a").first.click()
    page.get_by_role("button", name="由我承办").click()
    page.get_by_label("结案说明").fill("已致电客户")
    page.get_by_role("button", name="结案", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("已结")
    expect(page.get_by_text("已致电客户")).to_be_visible()


def test_csv_comes_as_a_file(page: Page, console: Served) -> None:
    """The button downloads what the filter shows."""
    console.there(lambda: console.desk.pay(2))
    page.goto("/console/decisions?outcome=approve")
    with page.expect_download() as download:
        page.get_by_role("link", name="导出 CSV").click()
    text = download.value.path().read_text()
    assert download.value.suggested_filename == "zhiwei-decisions.csv"
    assert len(text.strip().splitlines()) == 3


def test_an_ended_session_closes_the_live_page(
    page: Page, console: Served, open_page: OpenPage
) -> None:
    """An officer ends a colleague's sessions; the colleague's open page goes to the sign-in."""
    page.goto("/console")
    expect(page.locator("#stream-state")).to_have_text("实时更新中")
    officer = open_page(DESKTOP, console.site)
    console.sign_in(officer.context, "op_officer", Role.OFFICER)
    officer.goto("/console/operators")
    row = officer.get_by_role("row", name="op_agent")
    row.get_by_role("button", name="结束其会话").click()
    expect(officer.get_by_role("status").first).to_contain_text("会话已结束")
    console.there(console.desk.pay)
    expect(page).to_have_url(re.compile("/console/sign-in"))


def test_hostile_names_do_nothing(page: Page, console: Served) -> None:
    """A name with markup and marks of direction stays text, also in rows that arrive later."""
    page.goto("/console")
    expect(page.locator("#stream-state")).to_have_text("实时更新中")
    shop = {"id": "M1", "name": HOSTILE, "country": "CHN", "region": "44"}
    console.there(lambda: console.desk.pay(merchant=shop))
    expect(page.locator("#stream bdi").first).to_contain_text("<script>alert(1)</script>")
    assert page.evaluate("document.querySelectorAll('#stream script').length") == 0
    assert "\u202e" not in page.content()


@pytest.mark.parametrize("device", LOOKS, ids=str)
def test_every_page_can_be_used_by_everybody(
    console: Served, open_page: OpenPage, device: Device
) -> None:
    """Axe finds nothing on any page, and nothing is wider than the screen."""
    question = console.there(console.desk.denied)
    console.there(lambda: console.desk.pay(3, merchant={"id": "M1", "name": HOSTILE}))
    decision = f"auth_{question.partition('_')[2]}"
    page = open_page(device, console.site)
    console.sign_in(page.context, role=Role.OFFICER)
    found: list[str] = []
    for path in (
        "",
        "/decisions",
        "/search?q=1232",
        f"/cards/{console.desk.card}",
        f"/customers/{console.desk.holder}",
        f"/decisions/{decision}",
        f"/decisions/{decision}/what-if?stopped=no&large_spend_verification=off",
        "/cases",
        f"/cases/{question}",
        "/messages",
        "/audit",
        "/operators",
    ):
        page.goto(f"/console{path}")
        page.wait_for_load_state("load")
        found += [f"{path}: {line}" for line in axe_violations(page)]
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > device.width:
            found.append(f"{path}: {width} px wide")
    assert not found, "\n".join(found)


def test_pages_work_without_scripts(console: Served, open_page: OpenPage) -> None:
    """Without JavaScript the lists, the search and the forms are there all the same."""
    console.there(lambda: console.desk.pay(2))
    page = open_page(Device(1280, 800, has_scripts=False), console.site)
    console.sign_in(page.context)
    page.goto("/console")
    expect(page.locator("#stream tbody tr")).to_have_count(2)
    page.get_by_role("searchbox").fill("1232")
    page.get_by_role("button", name="查找").click()
    expect(page.get_by_role("link", name="**** 1232")).to_be_visible()

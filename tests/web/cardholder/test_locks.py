"""Locks of the cardholder's page, over HTTP: every form, every way to fill it in wrongly."""

from __future__ import annotations

import re

import httpx
import pytest
from tests.web.cardholder.person import Person, person, read
from tests.web.town import Card, Document, Town

SET: dict[str, tuple[dict[str, object], Document]] = {
    "region_lock": ({"regions": ["41", "61"]}, {"regions": ["41", "61"]}),
    "overseas_lock": (
        {"countries": ["日本", "thailand", "HKG"]},
        {"countries": ["HKG", "JPN", "THA"]},
    ),
    "night_lock": (
        {"start": "22", "end": "6", "scope": "all"},
        {"start": "22:00", "end": "06:00", "scope": "all"},
    ),
    "online_lock": ({"hours": "window", "start": "0", "end": "24"}, {"start": "00:00"}),
    "overseas_online_lock": ({}, {}),
    "category_lock": ({"groups": ["gambling"]}, {"mccs": ["7800", "7801", "7802", "7995"]}),
    "card_lock": ({}, {}),
}
WRONG: list[tuple[str, dict[str, object], str]] = [
    ("region_lock", {}, "至少选择一个省份"),
    ("region_lock", {"regions": ["11", "12", "13", "14"]}, "最多选择三个"),
    ("region_lock", {"regions": ["11", "11"]}, "选了两次"),
    ("region_lock", {"regions": ["99"]}, "没有这个省份"),
    ("overseas_lock", {"countries": ["中国"]}, "不能选择中国大陆"),
    ("overseas_lock", {"countries": ["阿特兰蒂斯"]}, "没有这个国家或地区"),
    ("overseas_lock", {"countries": ["日本", "JPN"]}, "填了两次"),
    ("night_lock", {"start": "23", "end": "23"}, "不能是同一个时间"),
    ("night_lock", {"start": "25", "end": "5"}, "时间不对"),
    ("night_lock", {"start": "二十三", "end": "5"}, "时间不对"),
    ("night_lock", {"start": "23"}, "有一项没有填"),
    ("night_lock", {"start": "23", "end": "5", "scope": "moon"}, "没有办成"),
    ("category_lock", {}, "至少一类商户"),
    ("category_lock", {"groups": ["nothing"]}, "这个操作不存在"),
    ("category_lock", {"mccs": ["12"]}, "代码不对"),
    ("nothing_lock", {}, "这个操作不存在"),
]


def locks(card: Card) -> str:
    """The page."""
    return f"/me/cards/{card.id}/locks"


def setting(one: Person, card: Card, name: str, fields: dict[str, object]) -> httpx.Response:
    """Fill the form of a control in and send it."""
    path = f"/me/cards/{card.id}/do/lock_set"
    return one.press(locks(card), path, fields, type=name)


@pytest.mark.parametrize("name", SET)
def test_a_lock_is_switched_on_at_once_and_off_with_proof(town: Town, name: str) -> None:
    """Tightening never asks; the page leads back to the control."""
    card = town.card()
    fields, expected = SET[name]
    with person(town, card.cardholder) as one:
        done = setting(one, card, name, fields)
        assert done.status_code == 303, read(done)
        assert done.headers["location"].endswith(f"/locks#{name}")
        found = town.call("GET", f"/v1/cards/{card.id}/controls/{name}").document
        assert expected.items() <= found.items()
        path = f"/me/cards/{card.id}/do/lock_remove"
        off = one.press(locks(card), path, type=name)
        where = off.headers["location"]
        assert where.startswith("/me/prove/")
        assert f"尾号 {card.tail}" in one.text(where)
    assert town.call("GET", f"/v1/cards/{card.id}/controls/{name}").document["is_set"]


@pytest.mark.parametrize(("name", "fields", "why"), WRONG)
def test_a_form_that_is_filled_in_wrongly(
    town: Town, name: str, fields: dict[str, object], why: str
) -> None:
    """The reason in plain words, and nothing is changed."""
    card = town.card()
    with person(town, card.cardholder) as one:
        form = one.form(locks(card), f"/me/cards/{card.id}/do/lock_set", type="night_lock")
        sent: dict[str, object] = {**form, "type": name, **fields}
        answer = one.client.post(f"/me/cards/{card.id}/do/lock_set", data=sent)
        assert answer.status_code == 422
        assert why in read(answer)
    assert town.call("GET", f"/v1/cards/{card.id}/controls").rows == []


def test_a_form_from_before_somebody_else_changed_it(town: Town) -> None:
    """Two tabs: the second is told, sees how it is now, and nothing is overwritten."""
    card = town.card()
    with person(town, card.cardholder) as one:
        path = f"/me/cards/{card.id}/do/lock_set"
        stale = one.form(locks(card), path, type="region_lock")
        setting(one, card, "region_lock", {"regions": ["41"]})
        answer = one.client.post(path, data={**stale, "regions": ["11"]})
        assert answer.status_code == 422
        assert "在别处改过了" in answer.text
    kept = town.call("GET", f"/v1/cards/{card.id}/controls/region_lock").document
    assert kept["regions"] == ["41"]


def test_fewer_provinces_at_once_other_ones_with_proof(town: Town) -> None:
    """The guardian says which it is, not the page."""
    card = town.card()
    town.control(card, "region_lock", {"regions": ["11", "41"]})
    with person(town, card.cardholder) as one:
        narrower = setting(one, card, "region_lock", {"regions": ["41"]})
        assert narrower.headers["location"].startswith("/me/cards/")
        other = setting(one, card, "region_lock", {"regions": ["61"]})
        assert other.headers["location"].startswith("/me/prove/")


@pytest.mark.parametrize(
    ("start", "end"), [("22:30", "05:30"), ("22:00", "00:00"), ("01:00", "24:00")]
)
def test_hours_that_the_api_set_stay_as_they_are(town: Town, start: str, end: str) -> None:
    """The form shows them, and saving it untouched changes nothing."""
    card = town.card()
    town.control(card, "night_lock", {"start": start, "end": end})
    with person(town, card.cardholder) as one:
        page = one.get(locks(card)).text
        shown = re.findall(r'<option value="([^"]+)" selected>', page)
        assert shown[:2] == [start, "24:00" if end == "00:00" else end]
        done = setting(one, card, "night_lock", {"start": shown[0], "end": shown[1]})
        assert done.headers["location"].startswith("/me/cards/"), "nothing is loosened"


def test_each_lock_says_what_it_stops_and_what_not(town: Town) -> None:
    """One line each, in both languages."""
    card = town.card()
    with person(town, card.cardholder) as one:
        page = one.text(locks(card))
        assert page.count("会拦下：") == len(SET)
        assert page.count("不会拦：") == len(SET)
        one.client.post("/me/appearance", data={"language": "en"})
        english = one.text(locks(card))
        assert english.count("Does not stop:") == len(SET)
        assert 'value="Hong Kong, China"' in one.get(locks(card)).text


def test_what_it_would_have_stopped_before_it_is_switched_on(town: Town) -> None:
    """As a piece for the page's script, and as a page of its own for who has none."""
    card = town.card()
    for _ in range(3):
        town.authorize(card)
    town.authorize(
        card, merchant={"name": "首都书店", "mcc": "5942", "country": "CHN", "region": "11"}
    )
    with person(town, card.cardholder) as one:
        path = f"/me/cards/{card.id}/try/lock_set"
        form = one.form(locks(card), f"/me/cards/{card.id}/do/lock_set", type="region_lock")
        sent: dict[str, object] = {**form, "regions": ["41"]}
        piece = one.client.post(path, data=sent, headers={"hx-request": "true"})
        assert "近 90 天的 4 笔付款里，会拦下 1 笔" in read(piece)
        assert "<html" not in piece.text
        page = one.client.post(path, data=sent)
        assert "首都书店" in read(page)
        assert 'name="regions" value="41"' in page.text, "it can be switched on from here"
        assert town.call("GET", f"/v1/cards/{card.id}/controls").rows == [], "nothing was changed"
        empty = one.client.post(path, data=form, headers={"hx-request": "true"})
        assert (empty.status_code, "至少选择一个省份" in empty.text) == (200, True)


def test_a_loosening_that_waits_is_shown_and_can_be_cancelled(town: Town) -> None:
    """With the instant from which it will hold; to keep it as it is asks for nothing."""
    card = town.card()
    town.control(card, "region_lock", {"regions": ["41"]})
    town.call(
        "PATCH", f"/v1/cardholders/{card.cardholder}", {"name": "王小明", "phone": "+8613800138222"}
    )
    path = f"/v1/cards/{card.id}/controls/region_lock"
    etag = town.call("GET", path).headers["etag"]
    town.call("DELETE", path, If_Match=etag, Authentication_Strength="strong")
    with person(town, card.cardholder) as one:
        page = one.text(locks(card))
        assert "已申请放宽" in page, "the number is new, so it waits"
        done = one.press(locks(card), f"/me/cards/{card.id}/do/lock_cancel", type="region_lock")
        assert done.status_code == 303
        assert "已申请放宽" not in one.text(locks(card))
    assert town.call("GET", path).document["is_set"]

"""History, questions and check-up of the cardholder's page, over HTTP."""

from __future__ import annotations

import json

import pytest
from tests.web.cardholder.person import person
from tests.web.town import SHOP, Card, Document, Town

HOSTILE = "<script>alert(1)</script>\u202eevil" + "长" * 60


def large(town: Town, card: Card, amount: int = 900_000, **more: object) -> Document:
    """A purchase that the cardholder is asked about; the question."""
    if "large_spend_verification" not in str(
        town.call("GET", f"/v1/cards/{card.id}/controls").rows
    ):
        town.control(card, "large_spend_verification", {"threshold": 500_000})
    question: Document = town.authorize(card, amount, **more)["challenge"]
    return question


def test_a_refusal_says_why_and_leads_to_the_control(town: Town) -> None:
    """In plain words, with a button to the lock, and what can be done."""
    card = town.card()
    town.control(card, "region_lock", {"regions": ["11"]})
    refused = town.authorize(card)
    assert refused["decision"] == "decline"
    with person(town, card.cardholder) as one:
        line = one.get("/me/history").text
        assert "便民超市" in line
        page = one.get(f"/me/cards/{card.id}/history/3")
        assert refused["reasons"][0]["message"]["zh"] in page.text
        assert f"/me/cards/{card.id}/locks#region_lock" in page.text
        assert "do/allow_once" in page.text


def test_what_cannot_be_allowed_once_is_not_offered(town: Town) -> None:
    """A stop is lifted, not passed by; a limit is waited for or changed."""
    card = town.card()
    limit = {"channel": "all", "measure": "amount", "period": "day", "amount": 100}
    town.control(card, "limits", {"items": [limit]})
    town.authorize(card)
    with person(town, card.cardholder) as one:
        page = one.get(f"/me/cards/{card.id}/history/3").text
        assert "do/allow_once" not in page
        assert "这一笔不能这样放行" in page
        assert "去看" in page


def test_a_hostile_name_is_only_a_name(town: Town) -> None:
    """Escaped, on one line, without marks that turn the row around."""
    card = town.card()
    town.authorize(card, merchant={**SHOP, "name": HOSTILE[:40]})
    with person(town, card.cardholder) as one:
        for path in (
            "/me/history",
            f"/me/cards/{card.id}/history",
            f"/me/cards/{card.id}/history/2",
        ):
            page = one.get(path).text
            assert "&lt;script&gt;" in page, path
            assert "<script>alert" not in page, path
            assert "\u202e" not in page, path


def test_a_long_history_is_paged_by_version(town: Town) -> None:
    """Every entry is on exactly one page, newest first, filters or not."""
    card = town.card()
    for number in range(70):
        town.authorize(card, 1_000 + number)
    with person(town, card.cardholder) as one:
        path, seen = f"/me/cards/{card.id}/history?show=all", []
        while path:
            page = one.get(path).text
            found = page.split('href="')
            seen += [
                int(part.split('"')[0].rpartition("/")[2])
                for part in found
                if part.startswith(f"/me/cards/{card.id}/history/")
            ]
            more = [p.split('"')[0] for p in found if "before=" in p.split('"')[0]]
            path = more[0].replace("&amp;", "&") if more else ""
        assert seen == list(range(71, 0, -1))
        declined = one.text(f"/me/cards/{card.id}/history?show=declined")
        assert "还没有记录" in declined
        assert "卡片登记" in one.text(f"/me/cards/{card.id}/history?show=changes")
        for odd in ("before=x", "before=-1", "before=999999999999999999", "show=x"):
            assert one.get(f"/me/cards/{card.id}/history?{odd}").status_code == 200


@pytest.mark.parametrize("version", ["0", "99", "x", "-1", "1e3", "9" * 40])
def test_entries_that_there_are_not(town: Town, version: str) -> None:
    """A page that says so."""
    card = town.card()
    with person(town, card.cardholder) as one:
        assert one.get(f"/me/cards/{card.id}/history/{version}").status_code == 404


def test_no_stops_the_card_and_says_what_happened(town: Town) -> None:
    """Said beforehand, done at once, told afterwards, and undone with proof."""
    card = town.card()
    question = large(town, card)
    path = f"/me/questions/{question['id']}"
    with person(town, card.cardholder) as one:
        assert "请确认：这是您本人吗？" in one.text("/me")
        asked = one.text(path)
        assert "9,000.00 CNY" in asked
        assert "马上止付这张卡" in asked, "what a no does is said before"
        done = one.press(path, f"/me/cards/{card.id}/do/answer_no")
        assert done.headers["location"] == path
        after = one.text(path)
        assert "您回答了：不是我" in after
        assert "这张卡已止付" in after
        undone = one.press(path, f"/me/cards/{card.id}/do/lift_stop")
        assert undone.headers["location"].startswith("/me/prove/")
        assert "请确认：这是您本人吗？" not in one.text("/me")


def test_yes_asks_for_proof_first(town: Town) -> None:
    """A stolen session cannot say yes."""
    card = town.card()
    question = large(town, card)
    path = f"/me/questions/{question['id']}"
    with person(town, card.cardholder) as one:
        where = one.press(path, f"/me/cards/{card.id}/do/answer_yes").headers["location"]
        assert where.startswith("/me/prove/")
        assert "9,000.00 CNY" in one.text(where), "the proof names the amount"
        assert "等待回答" in one.text("/me/questions")


def test_a_late_answer_is_told_so(town: Town) -> None:
    """The form of a question that has expired meanwhile, or was answered in another tab."""
    card = town.card()
    path = f"/me/questions/{large(town, card)['id']}"
    with person(town, card.cardholder) as one:
        form = one.form(path, f"/me/cards/{card.id}/do/answer_no")
        town.set_clock("2025-11-24T12:11:00.000+08:00")
        answer = one.client.post(f"/me/cards/{card.id}/do/answer_no", data=form)
        assert answer.status_code == 422
        assert "已经过期" in answer.text
        assert "没有人回答" in one.text(path)
    town.set_clock()
    other = town.card()
    path = f"/me/questions/{large(town, other)['id']}"
    with person(town, other.cardholder) as one:
        late = one.form(path, f"/me/cards/{other.id}/do/answer_no")
        one.press(path, f"/me/cards/{other.id}/do/answer_no")
        answer = one.client.post(f"/me/cards/{other.id}/do/answer_no", data=late)
        assert "已经回答过了" in answer.text


def test_two_questions_are_never_mixed(town: Town) -> None:
    """Each has its page, its amount and its own answer."""
    card = town.card()
    first = large(town, card, merchant={**SHOP, "name": "金店"})
    second = large(town, card, 800_000, merchant={**SHOP, "name": "车行"})
    with person(town, card.cardholder) as one:
        home = one.text("/me")
        assert "金店" in home
        assert "车行" in home
        page = one.text(f"/me/questions/{second['id']}")
        assert "8,000.00 CNY" in page
        assert "金店" not in page
        one.press(f"/me/questions/{second['id']}", f"/me/cards/{card.id}/do/answer_no")
        assert "您回答了：不是我" in one.text(f"/me/questions/{second['id']}")
        assert "您回答了" not in one.text(f"/me/questions/{first['id']}")


def test_somebody_elses_question_does_not_exist(town: Town) -> None:
    """Nor does one that nobody asked."""
    card, other = town.card(), town.card()
    question = large(town, card)
    with person(town, other.cardholder) as one:
        for name in (question["id"], "chg_x", question["id"][:-2] + "aa"):
            assert one.get(f"/me/questions/{name}").status_code == 404


def test_a_fix_of_the_check_up_is_one_tap(town: Town) -> None:
    """It sets the control that the finding names, and the score is better afterwards."""
    card = town.card()
    with person(town, card.cardholder) as one:
        page = one.get("/me/checkup")
        assert page.status_code == 200
        path = f"/me/cards/{card.id}/do/apply_fix"
        form = one.form("/me/checkup", path, control="overseas_lock")
        assert json.loads(form["body"]) == {"countries": []}
        done = one.client.post(path, data=form)
        assert done.headers["location"] == "/me/checkup"
        assert "一键优化" in page.text
        rows = town.call("GET", f"/v1/cards/{card.id}/controls").rows
        assert [row["type"] for row in rows] == ["overseas_lock"]
        again = one.client.post(path, data={**form, "once": "another-tap-of-it"})
        assert again.status_code == 422, "it is set already, and the form started from before"
        assert "在别处改过了" in again.text


@pytest.mark.parametrize(
    "body", ["", "[]", "{", '{"regions": 7}', '{"regions": [[1]]}', "null", "[" * 3000]
)
def test_a_fix_that_nobody_proposed(town: Town, body: str) -> None:
    """A clear page, and nothing is set."""
    card = town.card()
    path = f"/me/cards/{card.id}/do/apply_fix"
    with person(town, card.cardholder) as one:
        form = one.form("/me/checkup", path, control="overseas_lock")
        answer = one.client.post(path, data={**form, "control": "region_lock", "body": body})
        assert answer.status_code == 422
    assert town.call("GET", f"/v1/cards/{card.id}/controls").rows == []


def test_a_full_check_up_is_kept(town: Town) -> None:
    """As the API keeps it, with its version; nobody else can read it."""
    card, other = town.card(), town.card()
    with person(town, card.cardholder) as one:
        where = one.press("/me/checkup", "/me/checkup").headers["location"]
        assert "全面检测：也看了 12 个月" in one.text(where)
    kept = town.call("GET", f"/v1/security_checkups?cardholder={card.cardholder}").rows
    assert [row["mode"] for row in kept] == ["full"]
    with person(town, other.cardholder) as one:
        assert "全面检测：也看了" not in one.text(where)

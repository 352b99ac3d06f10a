"""Answers to questions: once, in time, by the right person, whatever tabs and buttons do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.web.cardholder.person import NOON_MS, person
from tests.web.cardholder.test_activity import large
from tests.web.cardholder.test_home import is_stopped, named_contact
from tests.web.town import SHOP, Card, Town

from zhiwei.web.sign_in.model import Face


def state_of(town: Town, question: str) -> str:
    """The state of a question, as the API tells it."""
    return str(town.call("GET", f"/v1/challenges/{question}").document["status"])


def audited(town: Town, card: Card, action: str) -> int:
    """How often something stands in the audit trail of a card."""
    rows = town.call("GET", f"/v1/audit_events?card={card.id}").rows
    return [row["action"] for row in rows].count(action)


def test_a_double_click_answers_once(town: Town) -> None:
    """The same form three times is one answer, one stop, and no error."""
    card = town.card()
    question = large(town, card)["id"]
    path, action = f"/me/questions/{question}", f"/me/cards/{card.id}/do/answer_no"
    with person(town, card.cardholder) as one:
        form = one.form(path, action)
        for _ in range(3):
            answer = one.client.post(action, data=form)
            assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert audited(town, card, "challenge.denied") == 1
    assert audited(town, card, "stop.placed") == 1


def test_two_tabs_answer_once(town: Town) -> None:
    """No in one, then yes in the other: nothing is asked to be proved, and nothing is approved."""
    card = town.card()
    question = large(town, card)["id"]
    path, do = f"/me/questions/{question}", f"/me/cards/{card.id}/do"
    with person(town, card.cardholder) as one:
        yes, no = one.form(path, f"{do}/answer_yes"), one.form(path, f"{do}/answer_no")
        waiting = one.client.post(f"{do}/answer_yes", data=yes).headers["location"]
        assert waiting.startswith("/me/prove/")
        assert one.client.post(f"{do}/answer_no", data=no).status_code == 303
        late = one.client.post(f"{do}/answer_yes", data={**yes, "once": "another-tab-of-it"})
        assert late.status_code == 422
        assert "已经回答过了" in late.text
        assert state_of(town, question) == "denied"
        assert "answer_no" not in one.get(path).text, "after the back button there is no form"


def test_an_answer_is_given_through_its_own_card_only(town: Town) -> None:
    """The id of one card's question does nothing at another card, of the same person or not."""
    card, stranger = town.card(), town.card()
    second = town.card(card.cardholder)
    question = large(town, card)["id"]
    for who, at in ((card, second), (stranger, stranger)):
        action = f"/me/cards/{at.id}/do/stop_card"
        with person(town, who.cardholder) as one:
            form = {**one.form("/me", action), "challenge": question}
            for answer in ("answer_no", "answer_yes"):
                sent = one.client.post(f"/me/cards/{at.id}/do/{answer}", data=form)
                assert sent.status_code in (303, 422)
                assert "没有这个问题" in sent.text or "/me/prove/" in sent.headers["location"]
    assert not is_stopped(town, second)
    assert not is_stopped(town, stranger)
    assert not is_stopped(town, card)
    assert state_of(town, question) == "pending"


def test_a_contact_may_deny_and_never_approve(town: Town) -> None:
    """They do not see the question (it tells what is spent); a no of theirs counts as theirs."""
    card = town.card(town.cardholder(phone="+8613800138113"))
    contact = named_contact(town, card.cardholder)
    question = large(town, card)["id"]
    do = f"/me/cards/{card.id}/do"
    with person(town, card.cardholder, Face.CONTACT, contact) as one:
        assert one.get(f"/me/questions/{question}").status_code == 403
        assert "9,000.00" not in one.text("/me")
        form = {**one.form("/me", f"{do}/stop_card"), "challenge": question}
        refused = one.client.post(f"{do}/answer_yes", data=form)
        assert refused.status_code == 422
        assert "不能放宽" in refused.text
        assert state_of(town, question) == "pending"
        one.client.post(f"{do}/answer_no", data={**form, "once": "the-other-answer"})
    assert state_of(town, question) == "denied"
    assert is_stopped(town, card)
    rows = town.call("GET", f"/v1/audit_events?card={card.id}").rows
    denied = [row for row in rows if row["action"] == "challenge.denied"]
    assert [row["actor"]["id"] for row in denied] == [contact]


@pytest.mark.parametrize("minutes", [10, 60, 60 * 23])
def test_a_question_that_nobody_answered_says_so(town: Town, minutes: int) -> None:
    """For a day, without buttons."""
    card = town.card()
    question = large(town, card)["id"]
    with person(town, card.cardholder, now_ms=_later(town, minutes)) as one:
        page = one.get(f"/me/questions/{question}")
    assert page.status_code == 200
    assert "没有人回答，这笔没有付出去" in page.text
    assert "answer_no" not in page.text


def test_after_days_a_question_is_a_page_that_is_not_there(town: Town) -> None:
    """Its entry in the history is."""
    card = town.card()
    question = large(town, card)["id"]
    with person(town, card.cardholder, now_ms=_later(town, 60 * 72)) as one:
        assert one.get(f"/me/questions/{question}").status_code == 404
        assert question not in one.get("/me/questions").text
        assert one.get(f"/me/cards/{card.id}/history/3").status_code == 200


def _later(town: Town, minutes: int) -> int:
    """Put the town's clock so much after noon, and a second; as epoch ms."""
    now_ms = NOON_MS + minutes * 60_000 + 1_000
    town.set_clock(datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds"))
    return now_ms


def test_the_oldest_open_question_is_first(town: Town) -> None:
    """On the home page; each leads to its own page."""
    card = town.card()
    first = large(town, card, merchant={**SHOP, "name": "先问的"})["id"]
    town.set_clock("2025-11-24T12:01:00.000+08:00")
    second = large(town, card, 800_000, merchant={**SHOP, "name": "后问的"})["id"]
    with person(town, card.cardholder) as one:
        home = one.get("/me").text
    assert home.index(first) < home.index(second)

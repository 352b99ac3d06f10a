"""The cardholder's home: lock, stop, stop all; what opens asks for proof, nothing is done twice."""

from __future__ import annotations

import httpx
import pytest
from tests.web.cardholder.person import person
from tests.web.town import Card, Town

from zhiwei.simulate.http_door import HttpDoorError
from zhiwei.web.sign_in.model import Face


def is_stopped(town: Town, card: Card) -> bool:
    """Whether the API says so."""
    try:
        return bool(town.call("GET", f"/v1/cards/{card.id}/stop").document["active"])
    except HttpDoorError:
        return False


def proof_of(answer: httpx.Response) -> str:
    """Where a loosening leads."""
    location = answer.headers["location"]
    assert location.startswith("/me/prove/deed_"), location
    return location


def test_one_tap_stops_a_card_and_lifting_asks_for_proof(town: Town) -> None:
    """At once, with its reference; and it stays stopped until somebody has proved who they are."""
    card = town.card()
    with person(town, card.cardholder) as one:
        done = one.press("/me", f"/me/cards/{card.id}/do/stop_card")
        assert (done.status_code, done.headers["location"]) == (303, "/me")
        home = one.text("/me")
        assert "已止付。每一笔支出都会被拒绝" in home
        assert "已止付。每一笔支出都会被拒绝" not in one.text("/me"), "it is said once"
        assert town.authorize(card)["decision"] == "decline"
        where = proof_of(one.press("/me", f"/me/cards/{card.id}/do/lift_stop"))
        assert f"解除尾号 {card.tail} 的卡的止付" in one.text(where)
    assert is_stopped(town, card)


def test_all_cards_at_once(town: Town) -> None:
    """Robbed or deceived: one button for every card, and one to open them again, with proof."""
    first = town.card()
    second = town.card(first.cardholder)
    with person(town, first.cardholder) as one:
        one.press("/me", "/me/do/kill_switch")
        assert is_stopped(town, first)
        assert is_stopped(town, second)
        proof_of(one.press("/me", "/me/do/lift_kill_switch"))
    assert is_stopped(town, first)


def test_lock_and_unlock(town: Town) -> None:
    """A lock is the cardholder's own; it is not a stop."""
    card = town.card()
    with person(town, card.cardholder) as one:
        one.press("/me", f"/me/cards/{card.id}/do/lock_card")
        assert "已锁卡" in one.text("/me")
        assert not is_stopped(town, card)
        assert town.authorize(card)["reasons"][0]["code"] == "card_lock_active"
        proof_of(one.press("/me", f"/me/cards/{card.id}/do/unlock_card"))


def test_a_form_that_is_sent_twice_is_carried_out_once(town: Town) -> None:
    """A double click, a reload, the back button."""
    card = town.card()
    path = f"/me/cards/{card.id}/do/stop_card"
    with person(town, card.cardholder) as one:
        form = one.form("/me", path)
        for _ in range(3):
            assert one.client.post(path, data=form).status_code == 303
        rows = town.call("GET", f"/v1/audit_events?card={card.id}").rows
    assert [row["action"] for row in rows].count("stop.placed") == 1


@pytest.mark.parametrize("deed", ["nothing", "lock_set", "kill_switch"])
def test_a_deed_that_there_is_not(town: Town, deed: str) -> None:
    """A clear page, whatever was typed; for all cards only what is meant for all."""
    card = town.card()
    with person(town, card.cardholder) as one:
        form = one.form("/me", f"/me/cards/{card.id}/do/stop_card")
        answer = one.client.post(
            f"/me/do/{deed}x" if deed == "kill_switch" else f"/me/do/{deed}", data=form
        )
        assert answer.status_code == 422
        assert "没有办成" in answer.text


def test_somebody_elses_card_is_nobodys(town: Town) -> None:
    """For every page and every form."""
    mine, theirs = town.card(), town.card()
    with person(town, mine.cardholder) as one:
        form = one.form("/me", f"/me/cards/{mine.id}/do/stop_card")
        for page in ("", "/locks", "/history", "/history/1"):
            assert one.get(f"/me/cards/{theirs.id}{page}").status_code == 404, page
        for page in ("do/stop_card", "do/lock_set", "try/lock_set"):
            assert one.client.post(f"/me/cards/{theirs.id}/{page}", data=form).status_code == 404
    assert not is_stopped(town, theirs)


def test_an_expired_session_leads_to_the_sign_in(town: Town) -> None:
    """After a quarter of an hour without a touch; and nothing of a form is done."""
    card = town.card()
    with person(town, card.cardholder) as one:
        form = one.form("/me", f"/me/cards/{card.id}/do/stop_card")
        town.set_clock("2025-11-24T12:16:00.000+08:00")
        answer = one.client.post(f"/me/cards/{card.id}/do/stop_card", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert not is_stopped(town, card)


def named_contact(town: Town, holder: str) -> str:
    """Somebody who was named and has agreed, by a text message of their own."""
    body = {"name": "李强", "phone": "+8613800138111", "locale": "zh"}
    made = town.call(
        "POST",
        f"/v1/cardholders/{holder}/trusted_contacts",
        body,
        Authentication_Strength="strong",
    ).document
    reference = "".join(c for c in made["invitation"]["text"] if c.isdigit())[-6:]
    said = {"from": "+8613800138111", "text": f"同意 {reference}"}
    town.call("POST", "/v1/inbound_messages", said)
    return str(made["id"])


def test_a_trusted_contact_stops_and_never_opens_or_looks(town: Town) -> None:
    """Sees state and locks, no payment; stops in their own name; what opens is refused outright."""
    card = town.card(town.cardholder(phone="+8613800138112"))
    contact = named_contact(town, card.cardholder)
    with person(town, card.cardholder, Face.CONTACT, contact) as one:
        assert "您是信任联系人" in one.text("/me")
        for page in ("/me/history", f"/me/cards/{card.id}/history", "/me/checkup", "/me/contacts"):
            assert one.get(page).status_code == 403, page
        one.press("/me", f"/me/cards/{card.id}/do/stop_card")
        assert is_stopped(town, card)
        refused = one.press("/me", f"/me/cards/{card.id}/do/lift_stop")
        assert refused.status_code == 422
        assert "不能放宽" in refused.text
        trail = town.call("GET", f"/v1/audit_events?card={card.id}").rows
        assert any(row["actor"]["id"] == contact for row in trail if row["action"] == "stop.placed")
        town.call("DELETE", f"/v1/cardholders/{card.cardholder}/trusted_contacts/{contact}")
        assert one.get("/me").headers["location"] == "/sign-in", "who is one no more sees no more"


def test_large_letters_and_fewer_choices(town: Town) -> None:
    """长辈模式: stop and lock are there, the long lists are not."""
    card = town.card()
    with person(town, card.cardholder) as one:
        before = one.get("/me").text
        one.client.post("/me/appearance", data={"elder": "1"})
        after = one.get("/me").text
    assert 'class="auto elder"' in after
    assert f"/me/cards/{card.id}/limits" in before
    assert f"/me/cards/{card.id}/limits" not in after
    assert f"/me/cards/{card.id}/do/stop_card" in after


def test_the_first_load_is_light(town: Town) -> None:
    """What the home page itself weighs, compressed, with three cards."""
    card = town.card()
    for _ in range(2):
        town.card(card.cardholder)
    with person(town, card.cardholder) as one, one.client.stream("GET", "/me") as answer:
        raw = b"".join(answer.iter_raw())
    assert len(raw) < 8_000

"""Challenges and inbound messages over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from tests.gateways.http.house import DAY, HOUR, OTHER_PAN, PAN, World

PHONE = "13800138000"


def asked(world: World, card: str) -> dict[str, Any]:
    """A purchase that is questioned."""
    world.issuer.set(card, "large_spend_verification", {"threshold": 5_000})
    decided = world.decision(card)
    assert decided["decision"] == "challenge"
    assert decided["response_code"] == "01"
    return decided


def test_yes_leaves_a_pass_for_one_purchase(world: World) -> None:
    """Decline, ask, retry: same merchant, same currency, at most the amount, once."""
    card = world.card()
    decided = asked(world, card)
    challenge = decided["challenge"]
    path = f"/v1/challenges/{challenge['id']}"
    shown = world.issuer.get(path).json()
    assert shown["status"] == "pending"
    assert shown["reference"] == challenge["reference"]
    assert shown["authorization"] == decided["id"]
    assert shown["amount"] == 10_000
    assert challenge["expires_at"] == shown["expires_at"] == "2025-11-24T04:10:00.000Z"
    weak = world.issuer.post(f"{path}/respond", {"response": "approve"})
    assert weak.json()["code"] == "strong_authentication_required"
    said = world.strong.post(f"{path}/respond", {"response": "approve"})
    assert said.status_code == 200
    assert said.json()["status"] == "approved"
    assert said.json()["pass_until"] == "2025-11-24T04:15:00.000Z"
    late = world.strong.post(f"{path}/respond", {"response": "deny"})
    assert (late.status_code, late.json()["code"]) == (409, "challenge_already_answered")
    elsewhere = {"id": "M0002", "country": "CHN", "region": "44"}
    assert world.decision(card, merchant=elsewhere)["decision"] == "challenge"
    assert world.decision(card, amount=10_001)["decision"] == "challenge"
    passed = world.decision(card)
    assert (passed["decision"], passed["challenge"]) == ("approve", None)
    assert world.issuer.get(path).json()["status"] == "used"
    assert world.decision(card)["decision"] == "challenge"


def test_no_stops_the_card(world: World) -> None:
    """A cardholder key may say no; that needs no proof."""
    holder = world.cardholder()
    card = world.card(cardholder=holder)
    challenge = asked(world, card)["challenge"]["id"]
    own = world.client("cardholder", holder)
    path = f"/v1/challenges/{challenge}/respond"
    assert own.post(path, {"response": "approve"}).status_code == 403
    denied = own.post(path, {"response": "deny"}, Idempotency_Key="n")
    assert denied.json()["status"] == "denied"
    assert denied.json()["stop"]["source"] == "challenge"
    again = own.post(path, {"response": "deny"}, Idempotency_Key="n")
    assert again.content == denied.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert world.decision(card, amount=1)["reasons"][0]["code"] == "stop_payment_active"


def test_a_question_expires(world: World) -> None:
    """Ten minutes; then a yes comes too late."""
    card = world.card()
    challenge = asked(world, card)["challenge"]["id"]
    world.clock.advance(600_000)
    assert world.issuer.get(f"/v1/challenges/{challenge}").json()["status"] == "expired"
    late = world.strong.post(f"/v1/challenges/{challenge}/respond", {"response": "approve"})
    assert (late.status_code, late.json()["code"]) == (409, "challenge_expired")


@pytest.mark.parametrize("what", ["approved", "denied", "used", "expired"])
def test_an_old_question_is_told_from_the_journal(world: World, what: str) -> None:
    """The file forgets a question after a day; the journal does not."""
    card = world.card()
    challenge = asked(world, card)["challenge"]["id"]
    path = f"/v1/challenges/{challenge}"
    if what != "expired":
        response = "deny" if what == "denied" else "approve"
        world.strong.post(f"{path}/respond", {"response": response})
    if what == "used":
        world.decision(card)
    before = world.issuer.get(path).json()
    world.clock.advance(2 * DAY)
    world.decision(card, amount=1)
    after = world.issuer.get(path).json()
    assert after["status"] == what
    same = ["id", "reference", "card", "authorization", "amount", "currency", "merchant"]
    same += ["reasons", "asked_at", "expires_at", "answered_at", "answered_via"]
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


@pytest.mark.parametrize("name", ["chg_x", "chg_" + "0" * 34, "auth_" + "0" * 34])
def test_an_unknown_challenge_is_not_found(world: World, name: str) -> None:
    """For reading and for answering."""
    assert world.issuer.get(f"/v1/challenges/{name}").json()["code"] == "challenge_not_found"
    answer = world.strong.post(f"/v1/challenges/{name}/respond", {"response": "deny"})
    assert answer.json()["code"] == "challenge_not_found"


def test_what_was_not_questioned_is_no_challenge(world: World) -> None:
    """An approval's id with another prefix names nothing."""
    card = world.card()
    name = world.decision(card)["id"].replace("auth_", "chg_")
    assert world.issuer.get(f"/v1/challenges/{name}").status_code == 404


def test_questions_are_listed_by_card_person_and_state(world: World) -> None:
    """Newest first; staff names whose."""
    holder = world.cardholder()
    card = world.card(cardholder=holder)
    first = asked(world, card)["challenge"]["id"]
    world.clock.advance(1000)
    second = world.decision(card, amount=9_000)["challenge"]["id"]
    own = world.client("cardholder", holder)
    for client, query in (
        (world.issuer, f"card={card}"),
        (world.issuer, f"cardholder={holder}"),
        (own, ""),
    ):
        rows = client.get(f"/v1/challenges?{query}").json()["data"]
        assert [row["id"] for row in rows] == [second, first]
    world.strong.post(f"/v1/challenges/{first}/respond", {"response": "approve"})
    pending = world.issuer.get(f"/v1/challenges?card={card}&status=pending").json()["data"]
    assert [row["id"] for row in pending] == [second]
    nobody = world.issuer.get("/v1/challenges")
    assert (nobody.status_code, nobody.json()["code"]) == (400, "malformed_request")


def message(world: World, text: str, sender: str = PHONE) -> dict[str, Any]:
    """What an inbound message does."""
    answer = world.issuer.post("/v1/inbound_messages", {"from": sender, "text": text})
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    return done


@pytest.fixture
def card(world: World) -> str:
    """The only card of the person with this phone."""
    return world.card(PAN, cardholder=world.cardholder(phone=PHONE))


@pytest.mark.parametrize(
    "text", ["ZF", " zf ", "ＺＦ＃１２３２", "zf#all", "止付1232", "STOP 1232"]
)
def test_one_message_stops_the_card(world: World, card: str, text: str) -> None:
    """With masked card, time and reference in the reply; sent again it stays as it was."""
    done = message(world, text)
    assert done["outcome"] == "stopped"
    (stop,) = done["stops"]
    assert (stop["card"], stop["source"]) == (card, "sms")
    assert "1232" in done["reply"]["text"]
    assert stop["reference"] in done["reply"]["text"]
    assert "11-24 12:00" in done["reply"]["text"]
    assert done["reply"]["text"].startswith("【智卫】")
    assert "http" not in done["reply"]["text"]
    assert world.decision(card)["reasons"][0]["code"] == "stop_payment_active"
    world.clock.advance(HOUR)
    again = message(world, text)
    assert (again["outcome"], again["stops"]) == ("already_stopped", done["stops"])


def test_an_unknown_number_learns_nothing(world: World, card: str) -> None:
    """The same neutral reply, whatever was sent, for a number that nobody has and for none."""
    replies = {
        message(world, text, sender)["reply"]["text"]
        for text in ("ZF", "ZF#1232", "?", "hello")
        for sender in ("+8613900000000", "not a number")
    }
    assert len(replies) == 1
    assert world.decision(card)["decision"] == "approve"


def test_an_ambiguous_message_asks_back(world: World, card: str) -> None:
    """Two cards: which one? A tail that is none: which are there? Nothing is stopped by a guess."""
    holder = world.issuer.get(f"/v1/cards/{card}").json()["cardholder"]
    second = world.card(OTHER_PAN, cardholder=holder)
    which = message(world, "ZF")
    assert which["outcome"] == "which_card"
    assert "1232" in which["reply"]["text"]
    assert "0005" in which["reply"]["text"]
    assert message(world, "ZF#9999")["outcome"] == "no_such_card"
    assert message(world, "?")["outcome"] == "help"
    assert world.decision(card)["decision"] == world.decision(second)["decision"] == "approve"
    both = message(world, "ZF#ALL")
    assert {stop["card"] for stop in both["stops"]} == {card, second}


def test_a_person_without_cards_is_told_so(world: World) -> None:
    """A registered number without a card."""
    world.cardholder(phone=PHONE)
    assert message(world, "ZF")["outcome"] == "no_card"


def test_a_message_answers_a_question_by_its_reference(world: World, card: str) -> None:
    """Yes with the number leaves a pass; the reply says for how long."""
    question = asked(world, card)["challenge"]
    assert message(world, "Y")["outcome"] == "which_question"
    done = message(world, f"ｙ {question['reference']}")
    assert (done["outcome"], done["challenge"]) == ("approved", question["id"])
    assert "15" in done["reply"]["text"]
    assert message(world, f"N{question['reference']}")["outcome"] == "question_over"
    assert world.decision(card)["decision"] == "approve"


def test_no_needs_no_number_where_one_question_is_open(world: World, card: str) -> None:
    """A no reduces; with two open questions it must not guess."""
    asked(world, card)
    second = world.decision(card, amount=9_000)["challenge"]
    assert message(world, "不是")["outcome"] == "which_question"
    world.strong.post(f"/v1/challenges/{second['id']}/respond", {"response": "approve"})
    done = message(world, "不是本人")
    assert done["outcome"] == "denied"
    assert done["stops"][0]["source"] == "challenge"
    assert message(world, "否")["outcome"] == "no_question"


def test_guessing_references_is_bounded_and_stopping_is_not(world: World, card: str) -> None:
    """After five wrong numbers in an hour answers count no more; ZF always does."""
    question = asked(world, card)["challenge"]
    wrong = f"{(int(question['reference']) + 1) % 1_000_000:06d}"
    for _ in range(5):
        assert message(world, f"Y{wrong}")["outcome"] == "no_question"
    assert message(world, f"Y{question['reference']}")["outcome"] == "too_many_tries"
    assert message(world, "ZF")["outcome"] == "stopped"


def test_a_no_for_a_card_that_is_stopped_already_keeps_its_stop(world: World, card: str) -> None:
    """The first stop stands; the answer tells it."""
    question = asked(world, card)["challenge"]
    stopped = message(world, "ZF")["stops"][0]
    denied = message(world, f"N {question['reference']}")
    assert denied["outcome"] == "denied"
    assert denied["stops"] == [stopped]


def test_an_expired_question_is_over_for_messages_too(world: World, card: str) -> None:
    """Late is late, by whatever way."""
    question = asked(world, card)["challenge"]
    world.clock.advance(600_000)
    assert message(world, f"Y{question['reference']}")["outcome"] == "question_over"
    assert message(world, "N")["outcome"] == "no_question"


def test_a_lock_is_never_passed_by_a_message(world: World, card: str) -> None:
    """A question that a lock asked (its place is unknown) needs the app."""
    world.issuer.set(card, "region_lock", {"regions": ["44"]})
    question = world.decision(card, merchant={"id": "M"})["challenge"]
    assert message(world, f"Y{question['reference']}")["outcome"] == "not_by_sms"
    assert world.decision(card, merchant={"id": "M"})["decision"] == "challenge"


def test_a_message_that_is_sent_again_is_one_message(world: World, card: str) -> None:
    """A gateway that repeats its call gets the reply that was given."""
    body = {
        "from": PHONE,
        "to": "95588",
        "body": "ZF",
        "id": "gw-1",
        "received_at": "2025-11-24T04:00:00Z",
    }
    first = world.issuer.post("/v1/inbound_messages", body, Idempotency_Key="m")
    again = world.issuer.post("/v1/inbound_messages", body, Idempotency_Key="m")
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"


def test_the_reply_is_in_the_persons_language(world: World) -> None:
    """English for who reads English."""
    world.card(PAN, cardholder=world.cardholder(phone=PHONE, locale="en"))
    done = message(world, "ZF")
    assert done["reply"]["locale"] == "en"
    assert "is stopped" in done["reply"]["text"]

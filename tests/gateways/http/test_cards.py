"""Cards and cardholders over HTTP."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.gateways.http.house import OTHER_PAN, PAN, World

from zhiwei.core.command import NETWORK
from zhiwei.ports import Cardholder


def test_a_card_is_registered_and_its_number_is_never_shown(world: World) -> None:
    """The answer carries an id and the tail."""
    holder = world.cardholder(name="王小明", phone="13800138000")
    answer = world.issuer.post(
        "/v1/cards", {"pan": PAN, "cardholder": holder, "has_chip": False, "network": "unionpay"}
    )
    assert answer.status_code == 201
    card = answer.json()
    assert card["object"] == "card"
    assert card["id"].startswith("card_")
    assert card["tail"] == "1232"
    assert card["cardholder"] == holder
    assert card["has_chip"] is False
    assert card["status"] == "active"
    assert card["currency"] == "CNY"
    assert card["time_zone"] == "Asia/Shanghai"
    assert PAN not in answer.text
    assert world.issuer.get(f"/v1/cards/{card['id']}").json() == card


def test_the_same_number_twice_is_the_same_card(world: World) -> None:
    """The second registration is 200 and changes nothing."""
    first = world.issuer.post("/v1/cards", {"pan": PAN})
    second = world.issuer.post("/v1/cards", {"pan": PAN, "currency": "USD"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert world.card(OTHER_PAN) != first.json()["id"]


def test_a_card_may_be_registered_by_the_issuers_own_token(world: World) -> None:
    """A token stands for a number that never comes here."""
    answer = world.issuer.post("/v1/cards", {"token": "tok-77-9012", "network": "visa"})
    assert answer.status_code == 201
    assert answer.json()["tail"] == "9012"
    named = world.issuer.post("/v1/cards", {"token": "tok-x", "tail": "0042"})
    assert named.json()["tail"] == "0042"


@pytest.mark.parametrize(
    ("body", "status", "pointer", "code"),
    [
        ({}, 400, "/pan", "missing"),
        ({"pan": PAN, "token": "t"}, 400, "/pan", "two_cards"),
        ({"pan": 6212345678901232}, 400, "/pan", "wrong_type"),
        ({"pan": PAN, "colour": "red"}, 400, "/colour", "unknown_field"),
        ({"pan": PAN, "has_chip": 1}, 400, "/has_chip", "wrong_type"),
        ({"pan": PAN, "has_chip": "yes"}, 400, "/has_chip", "wrong_type"),
        ({"pan": "6212345678901233"}, 422, "/pan", "bad_card_number"),
        ({"pan": "62123"}, 422, "/pan", "bad_card_number"),
        ({"pan": ""}, 422, "/pan", "bad_card_number"),
        ({"pan": PAN, "currency": "XXX"}, 422, "/currency", "unknown_currency"),
        ({"pan": PAN, "currency": "cny"}, 422, "/currency", "bad_format"),
        ({"pan": PAN, "time_zone": "Asia/Nowhere"}, 422, "/time_zone", "unknown_time_zone"),
        ({"pan": PAN, "network": "jcb"}, 422, "/network", "unknown_value"),
    ],
)
def test_what_is_wrong_with_a_card_is_said_with_its_place(
    memory: World, body: dict[str, object], status: int, pointer: str, code: str
) -> None:
    """400 for the shape, 422 for the value; never the value itself."""
    answer = memory.issuer.post("/v1/cards", body)
    assert answer.status_code == status, answer.text
    faults = [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]]
    assert (pointer, code) in faults
    assert "12345678" not in answer.text


def test_an_unknown_cardholder_is_not_invented(world: World) -> None:
    """A card goes to a person who is there."""
    answer = world.issuer.post("/v1/cards", {"pan": PAN, "cardholder": "holder_nobody"})
    assert (answer.status_code, answer.json()["code"]) == (404, "cardholder_not_found")
    assert world.issuer.get("/v1/cards").json()["data"] == []


def test_a_card_without_a_cardholder_gets_one(world: World) -> None:
    """An issuer that keeps its people elsewhere still has a kill switch."""
    card = world.issuer.post("/v1/cards", {"pan": PAN}).json()
    holder = world.issuer.get(f"/v1/cardholders/{card['cardholder']}")
    assert holder.status_code == 200


@pytest.mark.parametrize("name", ["card_unknown", "card_00000000000000000000000000", "x", "auth_1"])
def test_an_unknown_card_is_not_found_everywhere(world: World, name: str) -> None:
    """Every resource of a card that was never registered says `card_not_found`."""
    paths = ["", "/controls", "/controls/night_lock", "/limits", "/stop", "/exceptions"]
    for path in paths:
        answer = world.issuer.get(f"/v1/cards/{name}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "card_not_found"), path
    asked = world.ask(name)
    assert (asked.status_code, asked.json()["code"]) == (404, "card_not_found")


def test_an_unregistered_number_is_not_found(world: World) -> None:
    """A well-formed number that nobody registered is `card_not_found` in every call."""
    message = {"pan": PAN, "kind": "purchase", "amount": 1, "currency": "CNY"}
    for path, body in (
        ("/v1/authorizations", message),
        ("/v1/advices", message),
        ("/v1/bindings", {"pan": PAN, "institution": "48212200"}),
        ("/v1/postings", {"pan": PAN, "amount": 1, "business": "x"}),
    ):
        answer = world.issuer.post(path, body)
        assert (answer.status_code, answer.json()["code"]) == (404, "card_not_found"), path


def test_only_staff_say_what_state_a_card_is_in(world: World) -> None:
    """Loss and freeze are the issuer's; a closed card stays closed."""
    holder = world.cardholder()
    card = world.card(cardholder=holder)
    path = f"/v1/cards/{card}"
    own = world.client("cardholder", holder)
    assert own.patch(path, {"status": "active"}).status_code == 403
    assert world.operator.patch(path, {"status": "frozen"}).json()["status"] == "frozen"
    assert world.decision(card)["reasons"][0]["code"] == "card_frozen"
    assert world.issuer.patch(path, {"status": "active"}).json()["status"] == "active"
    assert world.decision(card)["decision"] == "approve"
    assert world.issuer.patch(path, {"status": "closed"}).json()["status"] == "closed"
    again = world.issuer.patch(path, {"status": "active"})
    assert (again.status_code, again.json()["code"]) == (409, "card_is_closed")


def test_cards_are_listed_by_cardholder(world: World) -> None:
    """A filter shows one person's cards, and only those."""
    first, second = world.cardholder(), world.cardholder()
    card = world.card(PAN, cardholder=first)
    other = world.card(OTHER_PAN, cardholder=second)
    listed = world.issuer.get(f"/v1/cards?cardholder={first}").json()
    assert [c["id"] for c in listed["data"]] == [card]
    everybody = world.issuer.get("/v1/cards").json()
    assert {c["id"] for c in everybody["data"]} == {card, other}
    assert everybody["object"] == "list"
    assert everybody["has_more"] is False


def test_a_cardholder_is_kept_and_changed(world: World) -> None:
    """Numbers become E.164; a new number makes the person's loosenings wait."""
    holder = world.cardholder(
        name="王小明",
        phone="138 0013 8000",
        email="w@example.com",
        locale="zh",
        metadata={"branch": "4910", "vip": True},
    )
    card = world.card(cardholder=holder)
    shown = world.issuer.get(f"/v1/cardholders/{holder}").json()
    assert shown["phone"] == "+8613800138000"
    assert shown["metadata"] == {"branch": "4910", "vip": True}
    world.issuer.set(card, "card_lock")
    changed = world.issuer.patch(f"/v1/cardholders/{holder}", {"phone": "+6591234567"})
    assert changed.json()["phone"] == "+6591234567"
    assert changed.json()["name"] == "王小明"
    removed = world.strong.remove(card, "card_lock")
    assert removed.status_code == 202
    assert removed.json()["available_at"] == "2025-11-24T16:00:00.000Z"


def test_what_was_replaced_is_kept_for_thirty_days_and_shown_to_nobody(world: World) -> None:
    """Each card tells of the change; of several changes the owner's own contact is kept."""
    own = "+8613800138000"
    holder = world.cardholder(phone=own, email="w@example.com")
    cards = [world.card(cardholder=holder), world.card(OTHER_PAN, cardholder=holder)]
    path = f"/v1/cardholders/{holder}"

    def contacts() -> tuple[str, str, str]:
        kept = world.house.reader.record(Cardholder, holder)
        assert kept is not None
        return kept.phone, kept.former_phone, kept.former_email

    def told(card: str) -> int:
        rows = world.issuer.get(f"/v1/events?card={card}&limit=50").json()["data"]
        return sum(row["type"] == "contact_changed" for row in rows)

    shown = world.issuer.patch(path, {"phone": "+6591234567"})
    assert own not in shown.text + world.issuer.get(path).text
    assert contacts() == ("+6591234567", own, "")
    assert [told(card) for card in cards] == [1, 1]
    world.issuer.patch(path, {"name": "王"})
    world.issuer.patch(path, {"phone": "+6591234567"})
    assert [told(card) for card in cards] == [1, 1]
    world.at("2025-11-24T04:00:01.000Z")
    world.issuer.patch(path, {"phone": "+6591234568", "email": ""})
    assert contacts() == ("+6591234568", own, "w@example.com")
    assert [told(card) for card in cards] == [2, 2]
    world.issuer.patch(path, {"phone": own})
    assert contacts() == (own, "+6591234568", "w@example.com")
    world.at("2025-12-24T04:00:01.000Z")
    world.issuer.patch(path, {"email": "x@example.com"})
    assert contacts() == (own, "", "")


def test_a_change_that_did_not_reach_the_cards_is_made_good_when_it_is_said_again(
    world: World,
) -> None:
    """The new number is kept before the cards are told, so a crash between leaves them behind."""
    holder = world.cardholder(phone="+8613800138000")
    card = world.card(cardholder=holder)
    kept = world.house.reader.record(Cardholder, holder)
    assert kept is not None
    now_ms = world.house.clock.now_ms()
    halfway = replace(kept, phone="+6591234567", former_phone=kept.phone, contact_changed_ms=now_ms)
    world.run(world.store.keep([halfway], [], NETWORK, now_ms))
    world.issuer.patch(f"/v1/cardholders/{holder}", {"phone": "+6591234567"})
    rows = world.issuer.get(f"/v1/events?card={card}").json()["data"]
    assert [row["type"] for row in rows] == ["contact_changed"]


def test_a_phone_may_be_called_as_elsewhere(world: World) -> None:
    """`phone_number` is Stripe's and Lithic's name of it."""
    holder = world.cardholder(phone_number="+6591234567")
    assert world.issuer.get(f"/v1/cardholders/{holder}").json()["phone"] == "+6591234567"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("phone", "hello", "bad_phone"),
        ("phone", "+1", "bad_phone"),
        ("email", "nobody", "bad_email"),
        ("metadata", {"x": "y" * 5000}, "metadata_too_large"),
    ],
)
def test_contact_data_are_checked(memory: World, field: str, value: object, code: str) -> None:
    """What could never be reached is refused at once."""
    answer = memory.issuer.post("/v1/cardholders", {field: value})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == code

"""Stops, the kill switch and exceptions over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.gateways.http.house import DAY, NOON, OTHER_PAN, PAN, World

from zhiwei.core.policy import Policy


def test_a_stop_refuses_every_debit_until_it_is_lifted(world: World) -> None:
    """POST, GET and DELETE; lifting is a loosening."""
    holder = world.cardholder()
    card = world.card(cardholder=holder)
    own = world.client("cardholder", holder)
    path = f"/v1/cards/{card}/stop"
    assert own.get(path).json()["code"] == "stop_not_found"
    placed = own.post(path)
    assert placed.status_code == 200
    stop = placed.json()
    assert (stop["object"], stop["active"], stop["source"]) == ("stop", True, "app")
    assert stop["reference"].startswith("ZF")
    assert own.post(path, {}).json() == stop
    assert own.get(path).json() == stop
    for channel in ("pos", "atm", "online", "quick_pay", "counter", "direct_debit"):
        declined = world.decision(card, channel=channel)
        assert declined["reasons"][0]["code"] == "stop_payment_active", channel
        assert declined["response_code"] == "62"
    for client in (own, own.strong(), world.issuer, world.operator.strong()):
        assert client.delete(path).json()["code"] == "strong_authentication_required"
    lifted = world.strong.delete(path)
    assert (lifted.status_code, lifted.json()["active"]) == (200, False)
    assert world.strong.delete(path).json()["code"] == "stop_not_found"
    assert world.decision(card)["decision"] == "approve"


def test_a_stop_that_is_sent_again_is_told_as_it_was(world: World) -> None:
    """The same key, even after the stop was lifted: the same answer and no new stop."""
    path = f"/v1/cards/{world.card()}/stop"
    first = world.issuer.post(path, {"source": "app"}, Idempotency_Key="s")
    world.strong.delete(path)
    again = world.issuer.post(path, {"source": "app"}, Idempotency_Key="s")
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert world.issuer.get(path).status_code == 404
    other = world.issuer.post(path, {"source": "issuer"}, Idempotency_Key="s")
    assert (other.status_code, other.json()["code"]) == (409, "same_key_other_body")


def test_the_kill_switch_stops_all_cards_and_leaves_other_stops(world: World) -> None:
    """One call for all cards of a person; lifting it lifts only what it placed."""
    holder = world.cardholder()
    first, second = world.card(PAN, cardholder=holder), world.card(OTHER_PAN, cardholder=holder)
    own = world.client("cardholder", holder)
    path = f"/v1/cardholders/{holder}/kill_switch"
    assert own.get(path).status_code == 404
    assert world.strong.delete(path).status_code == 404
    world.issuer.post(f"/v1/cards/{second}/stop")
    pulled = own.post(path)
    assert pulled.status_code == 200
    assert pulled.json()["active"] is True
    sources = {stop["card"]: stop["source"] for stop in pulled.json()["cards"]}
    assert sources == {first: "kill_switch", second: "issuer"}
    assert own.post(path).json() == pulled.json() == own.get(path).json()
    assert world.decision(first)["decision"] == world.decision(second)["decision"] == "decline"
    assert own.delete(path).json()["code"] == "strong_authentication_required"
    lifted = world.strong.delete(path)
    assert (lifted.status_code, lifted.json()["active"]) == (200, False)
    assert world.decision(first)["decision"] == "approve"
    assert world.decision(second)["decision"] == "decline"


def test_a_person_without_cards_can_pull_the_switch(world: World) -> None:
    """Nothing to stop is no error."""
    path = f"/v1/cardholders/{world.cardholder()}/kill_switch"
    assert world.issuer.post(path).json()["cards"] == []


def test_an_exception_opens_a_lock_for_a_while(world: World) -> None:
    """It needs proof, lifts what it names, and ends by itself."""
    card = world.card()
    world.issuer.set(card, "region_lock", {"regions": ["11"]})
    path = f"/v1/cards/{card}/exceptions"
    body = {"type": "temporary", "controls": ["region_lock"], "until": "2025-11-24T06:00:00Z"}
    assert world.issuer.post(path, body).json()["code"] == "strong_authentication_required"
    granted = world.strong.post(path, body)
    assert granted.status_code == 200
    document = granted.json()
    assert document["id"].startswith("exc_")
    assert document["from"] == "2025-11-24T04:00:00.000Z"
    assert document["until"] == "2025-11-24T06:00:00.000Z"
    assert document["pending"] is None
    decided = world.decision(card)
    assert decided["decision"] == "approve"
    rows = world.issuer.get(f"/v1/authorizations/{decided['id']}/evaluations").json()["data"]
    assert rows[0]["lifted_by"] == document["id"]
    assert world.issuer.get(f"{path}/{document['id']}").json()["id"] == document["id"]
    assert len(world.issuer.get(path).json()["data"]) == 1
    world.clock.move_to(NOON + 2 * 3_600_000)
    assert world.decision(card)["decision"] == "decline"
    assert world.issuer.get(path).json()["data"] == []


def test_a_travel_plan_has_places_dates_and_limits(world: World) -> None:
    """Japan for a week, 500.00 each and 800.00 in all."""
    card = world.card()
    world.issuer.set(card, "overseas_lock")
    plan = {
        "type": "travel_plan",
        "countries": ["JP"],
        "from": "2025-11-25T00:00:00+08:00",
        "until": "2025-12-02T00:00:00+08:00",
        "amount_max": 50_000,
        "total_max": 80_000,
    }
    granted = world.strong.post(f"/v1/cards/{card}/exceptions", plan, Idempotency_Key="p")
    assert granted.json()["countries"] == ["JPN"]
    replay = world.strong.post(f"/v1/cards/{card}/exceptions", plan, Idempotency_Key="p")
    assert replay.json() == granted.json()
    tokyo = {"id": "T", "country": "JPN"}
    assert world.decision(card, merchant=tokyo, amount=100)["decision"] == "decline"
    world.clock.advance(DAY)
    assert world.decision(card, merchant=tokyo, amount=50_001)["decision"] == "decline"
    assert world.decision(card, merchant=tokyo, amount=50_000)["decision"] == "approve"
    assert world.decision(card, merchant=tokyo, amount=50_000)["decision"] == "decline"
    assert world.decision(card, merchant=tokyo, amount=30_000)["decision"] == "approve"
    seoul = {"id": "S", "country": "KOR"}
    assert world.decision(card, merchant=seoul, amount=1)["decision"] == "decline"


def test_an_exception_that_ended_is_still_told_to_its_repeat(world: World) -> None:
    """The same key after the end: what was granted, from the journal."""
    card = world.card()
    path = f"/v1/cards/{card}/exceptions"
    body = {"controls": ["night_lock"], "until": "2025-11-24T05:00:00Z", "uses": 2}
    first = world.strong.post(path, body, Idempotency_Key="e")
    world.clock.advance(2 * 3_600_000)
    again = world.strong.post(path, body, Idempotency_Key="e")
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"


def test_an_exception_can_be_ended_early_by_anybody_who_may(world: World) -> None:
    """Ending one tightens, so a cardholder key may."""
    holder = world.cardholder()
    card = world.card(cardholder=holder)
    path = f"/v1/cards/{card}/exceptions"
    made = world.strong.post(path, {"until": "2025-11-25T00:00:00Z"}).json()["id"]
    own = world.client("cardholder", holder)
    ended = own.delete(f"{path}/{made}")
    assert (ended.status_code, ended.json()["deleted"]) == (200, True)
    assert own.delete(f"{path}/{made}").json()["code"] == "permission_not_found"
    assert own.get(f"{path}/{made}").json()["code"] == "permission_not_found"


def test_the_kill_switch_covers_cards_that_come_after_it(world: World) -> None:
    """A new card of the person is stopped from the start; other persons' are not."""
    holder = world.cardholder()
    world.card(cardholder=holder)
    world.issuer.post(f"/v1/cardholders/{holder}/kill_switch")
    later = world.issuer.post("/v1/cards", {"pan": OTHER_PAN, "cardholder": holder})
    assert (later.status_code, later.json()["stopped"]) == (201, True)
    card = later.json()["id"]
    assert world.issuer.get(f"/v1/cards/{card}/stop").json()["source"] == "kill_switch"
    assert world.decision(card)["reasons"][0]["code"] == "stop_payment_active"
    elsewhere = world.issuer.post("/v1/cards", {"pan": "4000056655665556"}).json()
    assert elsewhere["stopped"] is False
    world.strong.delete(f"/v1/cardholders/{holder}/kill_switch")
    assert world.issuer.get(f"/v1/cards/{card}").json()["stopped"] is False


def test_an_exception_waits_while_the_contact_is_new(house_with: Callable[..., World]) -> None:
    """202 with `available_at`, twelve hours later."""
    world = house_with()
    card = world.card()
    world.issuer.patch(f"/v1/cards/{card}", {"contact_is_new": True})
    granted = world.strong.post(f"/v1/cards/{card}/exceptions", {"until": "2025-11-26T00:00:00Z"})
    assert granted.status_code == 202
    assert granted.json()["available_at"] == "2025-11-24T16:00:00.000Z"
    assert granted.json()["pending"] == {"available_at": "2025-11-24T16:00:00.000Z"}


def test_an_exception_that_ends_before_it_opens_is_refused(
    house_with: Callable[..., World],
) -> None:
    """While the contact is new it waits twelve hours: until 16:00:00, exactly, is too late."""
    world = house_with()
    card = world.card()
    world.issuer.patch(f"/v1/cards/{card}", {"contact_is_new": True})
    path = f"/v1/cards/{card}/exceptions"
    refused = world.strong.post(path, {"until": "2025-11-24T16:00:00Z"})
    assert (refused.status_code, refused.json()["code"]) == (422, "permission_not_allowed")
    assert world.strong.post(path, {"until": "2025-11-24T16:00:01Z"}).status_code == 202


def test_an_exception_at_home_may_name_provinces(memory: World) -> None:
    """China and a province of it do not exclude each other."""
    body = {"until": "2025-11-25T00:00:00Z", "countries": ["CN"], "regions": ["11"]}
    answer = memory.strong.post(f"/v1/cards/{memory.card()}/exceptions", body)
    assert answer.status_code == 200, answer.json()


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"until": None}, 400, "wrong_type"),
        ({"until": "soon"}, 422, "bad_time"),
        ({"until": "2025-11-24T04:00:00Z"}, 422, "permission_not_allowed"),
        ({"until": "2027-01-01T00:00:00Z"}, 422, "permission_not_allowed"),
        ({"type": "travel_plan"}, 422, "too_few_places"),
        ({"countries": ["JP"], "regions": ["11"]}, 422, "places_exclude_each_other"),
        ({"countries": ["ATL"]}, 422, "unknown_country"),
        ({"regions": ["00"]}, 422, "unknown_region"),
        ({"controls": ["limits"]}, 422, "unknown_value"),
        ({"uses": 0}, 422, "too_small"),
        ({"currency": "ZZZ"}, 422, "unknown_currency"),
    ],
)
def test_an_exception_outside_the_rules_is_refused(
    memory: World, change: dict[str, Any], status: int, code: str
) -> None:
    """Times, places and controls are checked."""
    body = {"until": "2025-11-25T00:00:00Z", **change}
    answer = memory.strong.post(f"/v1/cards/{memory.card()}/exceptions", body)
    problem = answer.json()
    assert answer.status_code == status, problem
    assert code in (problem["code"], *(fault["code"] for fault in problem["errors"]))


def test_bounds_of_a_file_are_said(house_with: Callable[..., World]) -> None:
    """Past 64 exceptions a new one is a conflict with what is there."""
    world = house_with(policy=Policy())
    path = f"/v1/cards/{world.card()}/exceptions"
    for _ in range(64):
        assert world.strong.post(path, {"until": "2025-11-25T00:00:00Z"}).status_code == 200
    full = world.strong.post(path, {"until": "2025-11-25T00:00:00Z"})
    assert (full.status_code, full.json()["code"]) == (409, "too_many_permissions")
    page = world.issuer.get(f"{path}?limit=10").json()
    assert (len(page["data"]), page["has_more"]) == (10, True)

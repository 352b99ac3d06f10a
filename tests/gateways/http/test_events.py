"""Events, alerts, subscriptions and the audit trail over HTTP."""

from __future__ import annotations

from base64 import b64decode

import pytest
from tests.gateways.http.house import OTHER_PAN, PAN, World


def test_what_was_changed_is_in_the_audit_trail(world: World) -> None:
    """Who, what, when, through which door, from what to what."""
    holder = world.cardholder()
    card = world.card(cardholder=holder)
    own = world.client("cardholder", holder)
    own.set(card, "night_lock")
    world.strong.set(card, "night_lock", {"start": "23:30", "end": "05:00"})
    rows = world.issuer.get(f"/v1/audit_events?card={card}").json()["data"]
    assert [row["action"] for row in rows] == ["control.set", "control.set", "card.registered"]
    newest, older, _ = rows
    assert newest["subject"] == "night_lock"
    assert newest["old"] == {"start": "23:00", "end": "05:00", "scope": "domestic"}
    assert newest["new"] == {"start": "23:30", "end": "05:00", "scope": "domestic"}
    assert newest["actor"]["via"] == "http"
    assert (newest["actor"]["strong"], newest["actor"]["staff"]) == (True, True)
    assert (older["actor"]["strong"], older["actor"]["staff"]) == (False, False)
    assert older["old"] is None
    assert newest["card"] == card
    assert newest["at"] == "2025-11-24T04:00:00.000Z"
    everything = world.operator.get("/v1/audit_events").json()["data"]
    assert [row["action"] for row in everything][-1] == "cardholder.registered"
    filtered = world.issuer.get("/v1/audit_events?action=card.registered").json()["data"]
    assert len(filtered) == 1


#: Calls that change something, and the line that they leave. `{card}` and `{holder}` are filled in.
CHANGES = [
    ("PUT", "/v1/cards/{card}/controls/card_lock", {}, "control.set"),
    ("POST", "/v1/cards/{card}/stop", None, "stop.placed"),
    ("POST", "/v1/cardholders/{holder}/kill_switch", None, "stop.placed"),
    ("PATCH", "/v1/cards/{card}", {"status": "frozen"}, "card.updated"),
    ("PATCH", "/v1/cardholders/{holder}", {"locale": "en"}, "cardholder.updated"),
    ("POST", "/v1/cards/{card}/exceptions", {"until": "2025-11-25T00:00:00Z"}, "exception.granted"),
    ("POST", "/v1/security_checkups", {"cardholder": "{holder}"}, "security_checkup.run"),
    (
        "POST",
        "/v1/event_subscriptions",
        {"url": "https://bank.example/hook"},
        "event_subscription.created",
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "action"), CHANGES)
def test_every_change_leaves_its_line(
    memory: World, method: str, path: str, body: dict[str, str] | None, action: str
) -> None:
    """With the key that made it."""
    holder = memory.cardholder()
    card = memory.card(cardholder=holder)
    if body is not None:
        body = {name: value.format(holder=holder) for name, value in body.items()}
    answer = memory.strong.call(
        method, path.format(card=card, holder=holder), body, If_None_Match="*"
    )
    assert answer.status_code in (200, 201), answer.text
    (newest,) = memory.issuer.get("/v1/audit_events?limit=1").json()["data"]
    assert newest["action"] == action
    assert memory.strong.key is not None
    assert newest["actor"]["id"].removeprefix("key_") in memory.strong.key


def test_events_are_read_and_filtered(world: World) -> None:
    """Newest first, with stable ids; alerts are those that a cardholder is told."""
    holder = world.cardholder()
    card, other = world.card(PAN, cardholder=holder), world.card(OTHER_PAN)
    world.issuer.set(card, "decline_alert")
    world.issuer.set(card, "card_lock")
    world.decision(card)
    world.issuer.post(f"/v1/cards/{other}/stop")
    events = world.issuer.get("/v1/events").json()["data"]
    assert [event["type"] for event in events] == [
        "stop_placed",
        "transaction_declined",
        "control_updated",
        "control_updated",
    ]
    own = world.client("cardholder", holder)
    mine = own.get("/v1/events").json()["data"]
    assert mine == events[1:]
    assert world.issuer.get(f"/v1/events?card={card}").json()["data"] == mine
    declined = mine[0]
    assert declined["data"]["reasons"] == ["card_lock_active"]
    assert declined["data"]["at"] == declined["created_at"]
    assert own.get(f"/v1/events/{declined['id']}").json() == declined
    assert own.get(f"/v1/events/{events[0]['id']}").json()["code"] == "event_not_found"
    assert world.issuer.get("/v1/events/evt_x").json()["code"] == "event_not_found"
    alerts = own.get("/v1/alerts?type=transaction_declined").json()["data"]
    assert [alert["id"] for alert in alerts] == [declined["id"]]


def test_a_no_opens_a_case_that_is_no_alert(world: World) -> None:
    """What operators hear of is not sent to the cardholder."""
    card = world.card()
    world.issuer.set(card, "large_spend_verification", {"threshold": 1})
    challenge = world.decision(card)["challenge"]["id"]
    world.issuer.post(f"/v1/challenges/{challenge}/respond", {"response": "deny"})
    (opened,) = world.issuer.get("/v1/events?type=case_opened").json()["data"]
    assert not world.issuer.get("/v1/alerts?type=case_opened").json()["data"]
    holder = world.issuer.get(f"/v1/cards/{card}").json()["cardholder"]
    own = world.client("cardholder", holder)
    assert not own.get("/v1/events?type=case_opened").json()["data"]
    assert own.get(f"/v1/events/{opened['id']}").status_code == 404


def test_a_subscription_is_registered_listed_and_deleted(world: World) -> None:
    """The secret is shown once; it says that this version does not deliver yet."""
    body = {"url": "https://bank.example/hook", "events": ["stop_placed"], "description": "核心"}
    made = world.issuer.post("/v1/event_subscriptions", body)
    assert made.status_code == 201
    document = made.json()
    assert document["delivering"] is False
    assert len(b64decode(document["secret"].removeprefix("whsec_"))) == 32
    shown = world.issuer.get(f"/v1/event_subscriptions/{document['id']}").json()
    assert "secret" not in shown
    assert shown["events"] == ["stop_placed"]
    assert world.operator.get("/v1/event_subscriptions").json()["data"] == [shown]
    deleted = world.issuer.delete(f"/v1/event_subscriptions/{document['id']}")
    assert deleted.json()["deleted"] is True
    assert world.issuer.get("/v1/event_subscriptions").json()["data"] == []
    for call in (world.issuer.get, world.issuer.delete):
        answer = call(f"/v1/event_subscriptions/{document['id']}")
        assert answer.json()["code"] == "subscription_not_found"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://bank.example",
        "https://",
        "https://user:pass@bank.example",
        "https://bank.example/#x",
        "https://bank.example:99999/",
        "https://银行.example",
        "javascript:alert(1)",
        "",
    ],
)
def test_an_address_that_cannot_be_sent_to_safely_is_refused(memory: World, url: str) -> None:
    """An address is https with a host, without user or fragment."""
    answer = memory.issuer.post("/v1/event_subscriptions", {"url": url})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "bad_url"


def test_an_unknown_type_of_event_cannot_be_subscribed(memory: World) -> None:
    """The answer names those that there are."""
    body = {"url": "https://bank.example", "events": ["stop_placed", "moon_rose"]}
    answer = memory.issuer.post("/v1/event_subscriptions", body)
    fault = answer.json()["errors"][0]
    assert (fault["pointer"], fault["code"]) == ("/events/1", "unknown_event")
    assert "challenge_created" in fault["detail"]

"""What a cardholder prefers: who may set it, what may be set, and what stays told whatever is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.gateways.http.house import Client, World, memory_world

PHONE = "+8613800138000"


@pytest.fixture
def world() -> Iterator[World]:
    """A house."""
    made = memory_world()
    yield made
    made.close()


@pytest.fixture
def holder(world: World) -> str:
    """A cardholder."""
    return world.cardholder(phone=PHONE)


def path(holder: str) -> str:
    """Where their preferences are."""
    return f"/v1/cardholders/{holder}/message_preferences"


def set_to(client: Client, holder: str, **body: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Set preferences and read the answer."""
    answer = client.put(path(holder), body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_who_chose_nothing_is_told_what_happens(world: World, holder: str) -> None:
    """Every type with its channels, and those that never fall silent."""
    answer = world.issuer.get(path(holder))
    assert answer.status_code == 200
    document = answer.json()
    assert document["object"] == "message_preferences"
    assert document["cardholder"] == holder
    assert (document["channels"], document["quiet_hours"]) == ({}, None)
    assert document["updated_at"] is None
    assert document["defaults"]["challenge_created"] == ["sms", "push"]
    assert document["defaults"]["loosening_pending"] == ["sms", "email"]
    assert "rule_failed" not in document["defaults"]
    assert "challenge_created" in document["never_silent"]


def test_a_cardholder_sets_their_own_and_nobody_elses(world: World, holder: str) -> None:
    """With the key of another person it is as if the cardholder did not exist."""
    own = world.client("cardholder", holder)
    document = set_to(
        own,
        holder,
        channels={"transaction_declined": ["sms", "push"], "limit_nearly_reached": []},
        quiet_hours={"start": "22:00", "end": "07:00"},
    )
    assert document["channels"] == {
        "limit_nearly_reached": [],
        "transaction_declined": ["sms", "push"],
    }
    assert document["quiet_hours"] == {"start": "22:00", "end": "07:00"}
    assert document["updated_at"] is not None
    assert world.issuer.get(path(holder)).json() == own.get(path(holder)).json() == document
    stranger = world.client("cardholder", world.cardholder())
    for answer in (stranger.get(path(holder)), stranger.put(path(holder), {})):
        assert answer.status_code == 404
        assert answer.json()["code"] == "cardholder_not_found"
    assert world.issuer.get(path("holder_nobody")).status_code == 404


def test_what_is_set_replaces_what_was(world: World, holder: str) -> None:
    """An empty body goes back to the house's own ways."""
    set_to(world.issuer, holder, channels={"balance_changed": ["email"]})
    document = set_to(world.issuer, holder, quiet_hours={"start": "00:00", "end": "24:00"})
    assert document["channels"] == {}
    assert set_to(world.issuer, holder)["quiet_hours"] is None


def test_a_change_is_audited_and_the_same_again_is_none(world: World, holder: str) -> None:
    """Old and new, and who; channels in another order are the same choice."""
    own = world.client("cardholder", holder)
    set_to(own, holder, channels={"balance_changed": ["email", "push"]})
    set_to(own, holder, channels={"balance_changed": ["push", "email"]})
    set_to(own, holder, quiet_hours={"start": "22:00", "end": "07:00"})
    lines = [
        line
        for line in world.issuer.get("/v1/audit_events").json()["data"]
        if line["action"] == "message_preferences.set"
    ]
    assert [line["subject"] for line in lines] == [holder, holder]
    newest, first = lines
    assert newest["old"] == {"channels": {"balance_changed": ["push", "email"]}, "quiet_hours": ""}
    assert newest["new"] == {"channels": {}, "quiet_hours": "22:00-07:00"}
    assert first["new"] == newest["old"]
    assert PHONE not in str(lines)


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"channels": {"weather": ["sms"]}}, "/channels/weather", "unknown_kind"),
        ({"channels": {"rule_failed": ["sms"]}}, "/channels/rule_failed", "unknown_kind"),
        (
            {"channels": {"stop_placed": ["sms", "pigeon"]}},
            "/channels/stop_placed/1",
            "unknown_channel",
        ),
        (
            {"channels": {"balance_changed": ["webhook"]}},
            "/channels/balance_changed/0",
            "unknown_channel",
        ),
        (
            {"channels": {"balance_changed": ["sms", "sms"]}},
            "/channels/balance_changed",
            "duplicate_channel",
        ),
        (
            {"channels": {"challenge_created": []}},
            "/channels/challenge_created",
            "channel_required",
        ),
        ({"quiet_hours": {"start": "22:00", "end": "22:00"}}, "/quiet_hours/end", "empty_window"),
        ({"quiet_hours": {"start": "25:00", "end": "07:00"}}, "/quiet_hours/start", "bad_time"),
        ({"quiet_hours": {"start": "22:00", "end": "07:60"}}, "/quiet_hours/end", "bad_time"),
        ({"quiet_hours": {"start": "24:00", "end": "07:00"}}, "/quiet_hours/start", "bad_time"),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_place(
    world: World, holder: str, body: dict[str, Any], pointer: str, code: str
) -> None:
    """422, and nothing is kept."""
    answer = world.issuer.put(path(holder), body)
    assert answer.status_code == 422, answer.text
    (fault,) = answer.json()["errors"]
    assert (fault["pointer"], fault["code"]) == (pointer, code)
    assert world.issuer.get(path(holder)).json()["updated_at"] is None


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"channels": []},
        {"channels": {"stop_placed": "sms"}},
        {"channels": {"stop_placed": [1]}},
        {"quiet_hours": {"start": "22:00"}},
        {"quiet_hours": "22:00-07:00"},
        {"quiet": None},
    ],
)
def test_what_cannot_be_read_is_malformed(world: World, holder: str, body: object) -> None:
    """400, and nothing is kept."""
    answer = world.issuer.put(path(holder), body)
    assert answer.status_code == 400, answer.text
    assert world.issuer.get(path(holder)).json()["updated_at"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"quiet_hours": {"start": "22:00:00", "end": "07:00"}}, "/quiet_hours/start"),
        ({"quiet_hours": {"start": "２２:００", "end": "07:00"}}, "/quiet_hours/start"),
        ({"channels": {"stop_placed": ["sms"] * 9}}, "/channels/stop_placed"),
        ({"channels": {f"kind_{n}": ["sms"] for n in range(65)}}, "/channels"),
    ],
)
def test_what_is_written_otherwise_or_too_long_is_refused(
    world: World, holder: str, body: object, pointer: str
) -> None:
    """Times have one form, and lists a bound."""
    answer = world.issuer.put(path(holder), body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer

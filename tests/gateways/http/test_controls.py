"""Controls over HTTP: setting, ETags, loosening, cooling-off, previews."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.gateways.http.house import HOUR, NOON, World

from zhiwei.core.controls import CONTROL_TYPES
from zhiwei.core.policy import Policy
from zhiwei.gateways.http.control_bodies import BODIES

#: One setting of each type as it is sent, and as it is shown.
SETTINGS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "region_lock": ({"regions": ["61", "41"]}, {"regions": ["41", "61"]}),
    "overseas_lock": ({"countries": ["JP", "344"]}, {"countries": ["HKG", "JPN"]}),
    "night_lock": ({}, {"start": "23:00", "end": "05:00", "scope": "domestic"}),
    "online_lock": ({"start": "22:30", "end": "06:00"}, {"start": "22:30", "end": "06:00"}),
    "overseas_online_lock": ({}, {}),
    "category_lock": ({"mccs": ["7995", "4829"]}, {"mccs": ["4829", "7995"]}),
    "card_lock": ({}, {}),
    "limits": (
        {
            "items": [
                {"channel": "atm", "measure": "amount", "period": "day", "amount": 50000},
                {"channel": "all", "measure": "count", "period": "month", "count": 30},
            ]
        },
        {
            "items": [
                {"channel": "all", "measure": "count", "period": "month", "count": 30},
                {"channel": "atm", "measure": "amount", "period": "day", "amount": 50000},
            ]
        },
    ),
    "magstripe_verification": ({"threshold": 100000}, {"threshold": 100000}),
    "large_spend_verification": ({"threshold": 500000}, {"threshold": 500000}),
    "balance_inquiry_alert": ({}, {}),
    "balance_change_alert": (
        {"threshold": 100, "channels": ["sms"]},
        {"threshold": 100, "channels": ["sms"]},
    ),
    "decline_alert": ({}, {}),
}


def test_every_type_has_a_body_and_a_setting_here() -> None:
    """A new control cannot be forgotten at this door."""
    assert tuple(BODIES) == CONTROL_TYPES == tuple(SETTINGS)


@pytest.mark.parametrize("control", CONTROL_TYPES)
def test_every_control_is_set_read_listed_and_removed(world: World, control: str) -> None:
    """PUT, GET, list and DELETE say the same thing, with the same ETag."""
    card = world.card()
    path = f"/v1/cards/{card}/controls/{control}"
    sent, shown = SETTINGS[control]
    assert world.issuer.get(path).json()["code"] == "control_not_found"
    put = world.strong.put(path, sent, If_None_Match="*")
    assert put.status_code == 200, put.text
    document = put.json()
    assert document["object"] == "control"
    assert document["type"] == control
    assert document["is_set"] is True
    assert document["pending"] is None
    assert {name: document[name] for name in shown} == shown
    read = world.issuer.get(path)
    assert read.json() == document
    assert read.headers["ETag"] == put.headers["ETag"]
    listed = world.issuer.get(f"/v1/cards/{card}/controls").json()
    assert listed["data"] == [document]
    again = world.strong.put(path, sent, If_Match=read.headers["ETag"])
    assert (again.status_code, again.json()) == (200, document)
    removed = world.strong.delete(path, If_Match=read.headers["ETag"])
    assert removed.status_code == 200
    assert removed.json()["is_set"] is False
    assert world.issuer.get(path).status_code == 404


def test_a_change_says_which_state_it_starts_from(world: World) -> None:
    """428 without a precondition, 412 with one that does not hold, 400 with one that is none."""
    card = world.card()
    path = f"/v1/cards/{card}/controls/night_lock"
    put, delete = world.strong.put, world.strong.delete
    assert put(path, {}).status_code == 428
    assert put(path, {}, If_Match='"nothing"').status_code == 412
    assert put(path, {}, If_Match="*").status_code == 412
    first = put(path, {}, If_None_Match="*")
    etag = first.headers["ETag"]
    assert put(path, {}, If_None_Match="*").status_code == 412
    assert put(path, {"end": "06:00", "start": "23:00"}).status_code == 428
    second = put(path, {"end": "06:00", "start": "23:00"}, If_Match=etag)
    assert second.status_code == 200
    assert second.headers["ETag"] != etag
    assert put(path, {}, If_Match=etag).status_code == 412
    assert put(path, {}, If_Match=f"W/{second.headers['ETag']}").status_code == 412
    several = put(
        path, {"end": "07:00", "start": "23:00"}, If_Match=f'"a", {second.headers["ETag"]}'
    )
    assert several.status_code == 200
    assert put(path, {}, If_Match="unquoted").status_code == 400
    assert put(path, {}, If_None_Match='"x"').status_code == 400
    assert put(path, {}, If_Match="*", If_None_Match="*").status_code == 400
    assert delete(path).status_code == 428
    assert delete(path, If_Match=etag).status_code == 412
    assert delete(path, If_Match="*").status_code == 200
    assert delete(path, If_Match="*").status_code == 404


def test_who_has_read_it_is_not_sent_it_again(world: World) -> None:
    """A reader with the current ETag gets 304."""
    card = world.card()
    path = f"/v1/cards/{card}/controls/card_lock"
    etag = world.issuer.put(path, If_None_Match="*").headers["ETag"]
    unchanged = world.issuer.get(path, If_None_Match=etag)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["ETag"] == etag
    assert world.issuer.get(path, If_None_Match='"other"').status_code == 200


def test_of_many_changes_from_one_state_one_wins(world: World) -> None:
    """Sixteen clients that read the same ETag: one change, fifteen 412."""
    card = world.card()
    path = f"/v1/cards/{card}/controls/large_spend_verification"
    etag = world.issuer.put(path, {"threshold": 99}, If_None_Match="*").headers["ETag"]

    async def all_at_once() -> list[int]:
        import asyncio
        import json

        headers = {
            "Authorization": f"Bearer {world.issuer.key}",
            "Content-Type": "application/json",
            "If-Match": etag,
        }
        calls = [
            world.send("PUT", path, json.dumps({"threshold": n}).encode(), headers)
            for n in range(16)
        ]
        return [answer.status_code for answer in await asyncio.gather(*calls)]

    statuses = world.run(all_at_once())
    assert sorted(statuses) == [200] + [412] * 15


def test_tightening_needs_no_proof_and_loosening_does(world: World) -> None:
    """403 `strong_authentication_required` without the issuer's word, 200 with it."""
    holder = world.cardholder()
    card = world.card(cardholder=holder)
    own = world.client("cardholder", holder)
    assert own.set(card, "region_lock", {"regions": ["44", "41"]}).status_code == 200
    assert own.set(card, "region_lock", {"regions": ["44"]}).status_code == 200
    for client in (own, own.strong(), world.issuer, world.operator, world.operator.strong()):
        wider = client.set(card, "region_lock", {"regions": ["44", "11"]})
        assert wider.status_code == 403
        assert wider.json()["code"] == "strong_authentication_required"
        assert client.remove(card, "region_lock").status_code == 403
    assert world.strong.set(card, "region_lock", {"regions": ["44", "11"]}).status_code == 200
    assert world.strong.remove(card, "region_lock").status_code == 200


def test_a_loosening_waits_its_cooling_off_and_can_be_cancelled(
    house_with: Callable[..., World],
) -> None:
    """202 with `pending` and `available_at`; then it takes effect, unless it was cancelled."""
    world = house_with(policy=Policy(cooling_off_ms=2 * HOUR))
    card = world.card()
    path = f"/v1/cards/{card}/controls/card_lock"
    world.issuer.set(card, "card_lock")
    removed = world.strong.remove(card, "card_lock")
    assert removed.status_code == 202
    document = removed.json()
    assert document["is_set"] is True
    assert document["available_at"] == "2025-11-24T06:00:00.000Z"
    assert document["pending"]["available_at"] == document["available_at"]
    assert document["pending"]["control"] is None
    assert world.decision(card)["reasons"][0]["code"] == "card_lock_active"
    cancelled = world.operator.delete(f"{path}/pending")
    assert (cancelled.status_code, cancelled.json()["pending"]) == (200, None)
    assert world.operator.delete(f"{path}/pending").json()["code"] == "pending_not_found"
    world.strong.remove(card, "card_lock")
    world.clock.move_to(NOON + 2 * HOUR - 1)
    assert world.decision(card)["decision"] == "decline"
    world.clock.move_to(NOON + 2 * HOUR)
    assert world.issuer.get(path).status_code == 404
    assert world.decision(card)["decision"] == "approve"


@pytest.mark.parametrize(
    ("control", "body", "status", "pointer", "code"),
    [
        ("region_lock", {"regions": ["11", "12", "13", "14"]}, 422, "/regions", "too_many_places"),
        ("region_lock", {"regions": []}, 422, "/regions", "too_few_regions"),
        ("region_lock", {"regions": ["11", "11"]}, 422, "/regions", "duplicate_region"),
        ("region_lock", {"regions": ["99"]}, 422, "/regions/0", "unknown_region"),
        ("region_lock", {"regions": [11]}, 400, "/regions/0", "wrong_type"),
        ("region_lock", {"regions": "11"}, 400, "/regions", "wrong_type"),
        ("region_lock", {}, 400, "/regions", "missing"),
        ("overseas_lock", {"countries": ["CHN"]}, 422, "/countries", "domestic_country"),
        ("overseas_lock", {"countries": ["ATL"]}, 422, "/countries/0", "unknown_country"),
        ("night_lock", {"start": "25:00", "end": "05:00"}, 422, "/start", "bad_time"),
        ("night_lock", {"start": "23:00"}, 422, "/end", "time_missing"),
        ("night_lock", {"scope": "moon"}, 422, "/scope", "unknown_value"),
        ("night_lock", {"time_zone": "Mars/Olympus"}, 422, "/time_zone", "unknown_time_zone"),
        ("category_lock", {"mccs": ["79"]}, 422, "/mccs/0", "bad_mcc"),
        ("category_lock", {"mccs": [7995]}, 400, "/mccs/0", "wrong_type"),
        ("limits", {"items": []}, 422, "/items", "bad_number_of_limits"),
        (
            "limits",
            {"items": [{"channel": "pos", "measure": "amount", "period": "day", "count": 1}]},
            422,
            "/items/0/amount",
            "value_missing",
        ),
        (
            "limits",
            {"items": [{"channel": "pos", "measure": "amount", "period": "day", "amount": -1}]},
            422,
            "/items/0/amount",
            "too_small",
        ),
        (
            "limits",
            {"items": [{"channel": "pos", "measure": "amount", "period": "day", "amount": 1.0}]},
            400,
            "/items/0/amount",
            "wrong_type",
        ),
        ("large_spend_verification", {"threshold": "5"}, 400, "/threshold", "wrong_type"),
        ("large_spend_verification", {"threshold": True}, 400, "/threshold", "wrong_type"),
        ("large_spend_verification", {"threshold": 10**16}, 422, "/threshold", "too_large"),
        ("balance_change_alert", {"channels": ["fax"]}, 422, "/channels/0", "unknown_channel"),
        ("card_lock", {"until": "tomorrow"}, 400, "/until", "unknown_field"),
    ],
)
def test_what_is_not_allowed_is_said_with_its_place(
    memory: World, control: str, body: dict[str, object], status: int, pointer: str, code: str
) -> None:
    """The place is a JSON pointer into what was sent; setting and preview say the same."""
    card = memory.card()
    path = f"/v1/cards/{card}/controls/{control}"
    for answer in (
        memory.strong.put(path, body, If_None_Match="*"),
        memory.issuer.post(f"{path}:preview", body),
    ):
        assert answer.status_code == status, answer.text
        faults = [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]]
        assert (pointer, code) in faults
    assert memory.issuer.get(path).status_code == 404


def test_an_unknown_type_of_control_is_not_found(world: World) -> None:
    """Every method says so, and which types there are."""
    path = f"/v1/cards/{world.card()}/controls/moon_lock"
    for answer in (
        world.issuer.get(path),
        world.issuer.put(path, {}, If_None_Match="*"),
        world.issuer.delete(path, If_Match="*"),
        world.issuer.delete(f"{path}/pending"),
        world.issuer.post(f"{path}:preview", {}),
        world.issuer.get("/v1/control_types/moon_lock"),
    ):
        assert answer.status_code == 404
        assert answer.json()["code"] == "unknown_control_type"
        assert "night_lock" in answer.json()["detail"]


def test_the_types_of_controls_are_described(world: World) -> None:
    """Bounds, defaults and who may change it, for every type."""
    listed = world.issuer.get("/v1/control_types").json()["data"]
    assert [row["type"] for row in listed] == list(CONTROL_TYPES)
    by_type = {row["type"]: row for row in listed}
    assert by_type["region_lock"]["bounds"]["regions"]["max_items"] == 3
    assert len(by_type["region_lock"]["bounds"]["regions"]["values"]) == 31
    assert by_type["night_lock"]["defaults"]["start"] == "23:00"
    assert by_type["magstripe_verification"]["by_issuer"] == {"threshold": 2_000_000}
    for row in listed:
        assert row["name"]["zh"]
        assert row["name"]["en"]
        assert row["changed_by"]["loosening_needs"] == "strong_authentication"
        assert world.issuer.get(f"/v1/control_types/{row['type']}").json() == row


def test_a_preview_says_what_a_lock_would_have_stopped(world: World) -> None:
    """Approvals of the last 90 days go through the judge that decides; nothing is changed."""
    card = world.card()
    shop = {"id": "M9", "name": "远方", "country": "CHN", "region": "11"}
    world.decision(card, merchant=shop)
    world.clock.move_to(NOON + 91 * 24 * HOUR)
    for amount in (100, 200):
        world.decision(card, merchant=shop, amount=amount)
    here = world.decision(card)
    assert here["decision"] == "approve"
    path = f"/v1/cards/{card}/controls/region_lock:preview"
    preview = world.issuer.post(path, {"regions": ["44"]}).json()
    assert (preview["would_decline"], preview["would_challenge"], preview["of"]) == (2, 0, 3)
    assert [e["amount"] for e in preview["examples"]] == [200, 100]
    assert preview["examples"][0]["reason"] == "region_lock_active"
    assert preview["control"] == {"regions": ["44"]}
    nowhere = world.issuer.post(path, {"regions": ["11", "44"]}).json()
    assert nowhere["would_decline"] == 0
    assert world.issuer.get(f"/v1/cards/{card}/controls").json()["data"] == []


def test_a_preview_of_limits_counts_as_the_limit_would_have(world: World) -> None:
    """What the limit stops spends nothing, and what was given back is given back."""
    card = world.card()
    first = world.decision(card, amount=600)
    world.decision(card, amount=500)
    world.issuer.post(f"/v1/authorizations/{first['id']}/reversals")
    world.decision(card, amount=900)
    world.decision(card, amount=200)
    body = {"items": [{"channel": "pos", "measure": "amount", "period": "day", "amount": 1000}]}
    path = f"/v1/cards/{card}/controls/limits:preview"
    preview = world.issuer.post(path, body).json()
    # 600 passes, 500 would go beyond, the 600 come back, 900 pass, 200 would go beyond.
    assert (preview["would_decline"], preview["of"]) == (2, 4)
    assert [e["amount"] for e in preview["examples"]] == [200, 500]
    large = world.issuer.post(
        f"/v1/cards/{card}/controls/large_spend_verification:preview", {"threshold": 550}
    ).json()
    assert (large["would_challenge"], large["would_decline"]) == (2, 0)


def test_limits_show_what_is_used_and_when_it_comes_back(world: World) -> None:
    """`resets_at` is midnight of the card's own zone."""
    card = world.card()
    items = [
        {"channel": "pos", "measure": "amount", "period": "day", "amount": 50000},
        {"channel": "all", "measure": "amount", "period": "transaction", "amount": 40000},
        {"channel": "all", "measure": "count", "period": "rolling", "count": 5, "seconds": 60},
    ]
    world.issuer.set(card, "limits", {"items": items})
    decided = world.decision(card, amount=12000)
    day = next(row for row in decided["limits"] if row["period"] == "day")
    assert day == {
        "channel": "pos",
        "measure": "amount",
        "period": "day",
        "used": 12000,
        "limit": 50000,
        "resets_at": "2025-11-24T16:00:00.000Z",
    }
    rows = world.issuer.get(f"/v1/cards/{card}/limits").json()["data"]
    assert {(r["period"], r["used"], r["remaining"]) for r in rows} == {
        ("day", 12000, 38000),
        ("transaction", 0, 40000),
        ("rolling", 1, 4),
    }
    rolling = next(row for row in rows if row["period"] == "rolling")
    assert (rolling["seconds"], rolling["resets_at"]) == (60, None)


def test_readers_and_writers_in_threads_do_not_disturb_each_other(world: World) -> None:
    """The reader is thread-safe: a preview runs in a thread of its own while others are asked."""
    card = world.card()
    world.decision(card)
    path = f"/v1/cards/{card}/controls/night_lock:preview"
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: world.issuer.post(path, {}).json()["of"]).result() == 1

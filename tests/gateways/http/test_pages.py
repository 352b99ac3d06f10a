"""Pagination: both directions, every list, nothing skipped and nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
from tests.gateways.http.house import Client, World

from zhiwei.gateways.http import pagination
from zhiwei.gateways.http.pagination import CHUNK

#: The next ones after 6200000000000005 whose check digit is right, from their parts.
PANS = [f"62000000000000{tail}" for tail in ("13", "21", "39", "47", "54", "62", "70", "88", "96")]


def walked(client: Client, path: str, limit: int) -> list[str]:
    """Ids of a whole list, walked forwards page by page."""
    ids: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"{path}limit={limit}{cursor}").json()
        assert page["object"] == "list"
        ids += [row["id"] for row in page["data"]]
        if not page["has_more"]:
            return ids
        assert len(page["data"]) == limit
        cursor = f"&starting_after={ids[-1]}"


def walked_back(client: Client, path: str, limit: int, last: str) -> list[str]:
    """Ids before one of a list, walked backwards page by page."""
    ids: list[str] = []
    cursor = last
    while True:
        page = client.get(f"{path}limit={limit}&ending_before={cursor}").json()
        ids = [row["id"] for row in page["data"]] + ids
        if not page["has_more"]:
            return ids
        assert len(page["data"]) == limit
        cursor = ids[0]


def filled(world: World) -> tuple[str, str, Client]:
    """A house with a little of everything: a person with three cards, and others with six."""
    holder = world.cardholder()
    card = ""
    for number, pan in enumerate(PANS):
        if number < 3:
            card = world.card(pan, cardholder=holder)
        else:
            other = world.card(pan)
            world.decision(other)
        if number < 3:
            world.issuer.set(card, "decline_alert")
            for amount in range(1, 5):
                world.clock.advance(amount % 2)
                world.decision(card, amount=amount)
                body = {"card": card, "amount": amount, "business": "x"}
                world.issuer.post("/v1/postings", body)
                world.issuer.post("/v1/advices", {**body_of(card), "amount": amount})
            world.issuer.post("/v1/bindings", {"card": card, "institution": "48212200"})
            world.issuer.post("/v1/bindings", {"card": card, "institution": "48080000"})
    for _ in range(5):
        world.issuer.post("/v1/security_checkups", {"cardholder": holder, "mode": "quick"})
        world.issuer.post("/v1/event_subscriptions", {"url": "https://bank.example"})
    return holder, card, world.client("cardholder", holder)


def body_of(card: str) -> dict[str, Any]:
    """An advice."""
    return {"card": card, "kind": "purchase", "channel": "pos", "currency": "CNY"}


def test_every_list_can_be_walked_both_ways(world: World) -> None:
    """Pages of 1, 2, 3 and 100 give the same ids, forwards and backwards, for every kind of key."""
    holder, card, own = filled(world)
    decided = world.decision(card)["id"]
    items = [
        {"channel": channel, "measure": "amount", "period": "day", "amount": 99_999}
        for channel in ("all", "atm", "pos", "online")
    ]
    world.issuer.set(card, "limits", {"items": items})
    lists = [
        (world.issuer, "/v1/cards?"),
        (world.issuer, f"/v1/cards?cardholder={holder}&"),
        (world.issuer, "/v1/cardholders?"),
        (world.issuer, "/v1/authorizations?"),
        (world.issuer, f"/v1/authorizations?card={card}&"),
        (world.issuer, f"/v1/authorizations?card={card}&decision=approve&"),
        (own, "/v1/authorizations?"),
        (world.issuer, "/v1/advices?"),
        (own, "/v1/advices?"),
        (world.issuer, "/v1/postings?"),
        (own, "/v1/postings?"),
        (world.issuer, f"/v1/bindings?cardholder={holder}&"),
        (world.issuer, "/v1/events?"),
        (world.issuer, f"/v1/events?card={card}&"),
        (own, "/v1/events?"),
        (own, "/v1/alerts?"),
        (world.issuer, "/v1/audit_events?"),
        (own, "/v1/audit_events?"),
        (world.issuer, "/v1/security_checkups?"),
        (own, "/v1/security_checkups?"),
        (world.issuer, "/v1/event_subscriptions?"),
        (world.issuer, f"/v1/authorizations/{decided}/evaluations?"),
        (world.issuer, f"/v1/cards/{card}/limits?"),
    ]
    for client, path in lists:
        whole = walked(client, path, 100)
        assert len(whole) > 2, path
        assert len(set(whole)) == len(whole), path
        for limit in (1, 2, 3):
            assert walked(client, path, limit) == whole, (path, limit)
            assert walked_back(client, path, limit, whole[-1]) == whole[:-1], (path, limit)
        assert client.get(f"{path}ending_before={whole[0]}").json()["data"] == []
        for wrong in ("starting_after=x", "ending_before=evt_x", "starting_after=auth_x"):
            answer = client.get(f"{path}{wrong}")
            assert (answer.status_code, answer.json()["code"]) == (422, "not_allowed"), path
        two = client.get(f"{path}starting_after={whole[0]}&ending_before={whole[1]}")
        assert two.json()["errors"][0]["code"] == "two_cursors"


def test_lists_without_ids_are_walked_by_their_types(world: World) -> None:
    """Controls and types of controls have their type for a cursor."""
    card = world.card()
    for control in ("card_lock", "night_lock", "overseas_lock"):
        world.issuer.set(card, control)
    path = f"/v1/cards/{card}/controls"
    first = world.issuer.get(f"{path}?limit=2").json()
    assert [row["type"] for row in first["data"]] == ["overseas_lock", "night_lock"]
    assert first["has_more"] is True
    rest = world.issuer.get(f"{path}?limit=2&starting_after=night_lock").json()
    assert ([row["type"] for row in rest["data"]], rest["has_more"]) == (["card_lock"], False)
    before = world.issuer.get("/v1/control_types?ending_before=night_lock&limit=1").json()
    assert ([row["type"] for row in before["data"]], before["has_more"]) == (
        ["overseas_lock"],
        True,
    )


def test_the_newest_comes_first(world: World) -> None:
    """Decisions of all cards by when they were made."""
    filled(world)
    for path in ("authorizations", "postings", "events", "audit_events", "security_checkups"):
        rows = world.issuer.get(f"/v1/{path}?limit=100").json()["data"]
        named = ("decided_at", "posted_at", "created_at", "examined_at", "at")
        times = [next(row[name] for name in named if name in row) for row in rows]
        assert times == sorted(times, reverse=True), path


def test_a_page_stays_where_it_is_while_more_arrives(world: World) -> None:
    """A cursor is an object, not a number of rows."""
    card = world.card()
    ids = [world.decision(card, amount=n)["id"] for n in range(1, 7)][::-1]
    first = world.issuer.get(f"/v1/authorizations?card={card}&limit=2").json()["data"]
    for n in range(10, 14):
        world.decision(card, amount=n)
    query = f"card={card}&limit=2&starting_after={first[-1]['id']}"
    second = world.issuer.get(f"/v1/authorizations?{query}").json()["data"]
    assert [row["id"] for row in first + second] == ids[:4]


def test_a_rare_row_is_found_far_down(world: World) -> None:
    """A filter looks through more than one chunk, in both directions."""
    card = world.card()
    rare = world.decision(card)["id"]
    world.issuer.set(card, "card_lock")
    commons = [world.decision(card)["id"] for _ in range(CHUNK + 5)]
    newest = commons[-1]
    query = f"/v1/authorizations?card={card}&decision=approve"
    assert [r["id"] for r in world.issuer.get(query).json()["data"]] == [rare]
    world.strong.remove(card, "card_lock")
    last = world.decision(card)["id"]
    above = world.issuer.get(f"{query}&ending_before={rare}").json()
    assert [r["id"] for r in above["data"]] == [last]
    below = world.issuer.get(f"{query}&starting_after={newest}").json()
    assert ([r["id"] for r in below["data"]], below["has_more"]) == ([rare], False)


def test_a_search_that_finds_nothing_ends(memory: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many chunks the list says that there may be more, instead of reading for ever."""
    monkeypatch.setattr(pagination, "CHUNK", 2)
    monkeypatch.setattr(pagination, "CHUNKS_MAX", 3)
    card = memory.card()
    first = memory.decision(card)["id"]
    for _ in range(10):
        memory.decision(card)
    query = f"/v1/authorizations?card={card}&decision=challenge"
    for cursor in ("", f"&ending_before={first}"):
        page = memory.issuer.get(query + cursor).json()
        assert (page["data"], page["has_more"]) == ([], True)


@pytest.mark.parametrize("limit", ["0", "-1", "101", "1e2", "ten", "", "1.0"])
def test_a_limit_is_1_to_100(memory: World, limit: str) -> None:
    """Anything else is refused, and the parameter is named."""
    answer = memory.issuer.get(f"/v1/cards?limit={limit}")
    assert answer.status_code in (400, 422)
    assert "limit" in answer.json()["errors"][0]["detail"]

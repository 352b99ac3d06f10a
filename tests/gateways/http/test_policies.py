"""Changes of the policy over HTTP: proposals, four eyes, versions, and what holds afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.gateways.http.house import Client, World

from zhiwei.core.command import Actor, Via
from zhiwei.core.policy import DEFAULT_POLICY
from zhiwei.core.result import Audit
from zhiwei.gateways.in_force import adopted, content_of, in_force_of
from zhiwei.gateways.policy_desk import ChangeDecidedError, PolicyDesk
from zhiwei.gateways.response_codes import load
from zhiwei.ports import PolicyText, Record

SPEND = {
    "kind": "purchase",
    "channel": "pos",
    "medium": "chip",
    "amount": 100,
    "currency": "CNY",
    "merchant": {"id": "M1", "name": "Shop", "mcc": "7995", "country": "CHN"},
}


def proposed(client: Client, world: World, **body: object) -> Any:  # noqa: ANN401 - whatever JSON holds
    """A change that was proposed on what is in force."""
    body = {"base": world.in_force.policy.version, **body}
    answer = client.post("/v1/policy_changes", body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def approved(client: Client, change: Any, status: int = 200) -> Any:  # noqa: ANN401 - whatever JSON holds
    """What adopting a change answers."""
    answer = client.post(f"/v1/policy_changes/{change['id']}/approve")
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_tightening_needs_one_and_holds_at_once(world: World) -> None:
    """The next decision is made under it and says so; a loosening back needs somebody else."""
    card = world.card()
    first = world.issuer.post("/v1/authorizations", {"card": card, **SPEND}).json()
    change = proposed(world.operator, world, settings={"closed_mccs": ["7995"]}, name="spring")
    assert not change["needs_second"]
    assert change["differences"] == [
        {"setting": "closed_mccs", "old": [], "new": ["7995"], "loosens": False}
    ]
    done = approved(world.operator, change)
    assert (done["state"], done["number"]) == ("adopted", 1)
    second = world.issuer.post("/v1/authorizations", {"card": card, **SPEND}).json()
    assert (first["decision"], second["decision"]) == ("approve", "decline")
    assert (first["policy_version"], second["policy_version"]) == ("default-2", done["version"])
    assert done["version"].startswith("spring-")
    back = proposed(world.operator, world, settings={"closed_mccs": []})
    assert back["needs_second"]
    assert approved(world.operator, back, 403)["code"] == "second_officer_required"
    assert approved(world.issuer, back)["number"] == 2
    third = world.issuer.post("/v1/authorizations", {"card": card, **SPEND}).json()
    assert third["decision"] == "approve"
    rows = world.issuer.get("/v1/audit_events?action=policy.adopted").json()["data"]
    assert [row["new"]["closed_mccs"] for row in rows] == [[], ["7995"]]


def test_response_codes_need_two_and_old_answers_keep_theirs(world: World) -> None:
    """A decision is shown with the code that it was answered with."""
    card = world.card()
    approved(world.operator, proposed(world.operator, world, settings={"closed_mccs": ["7995"]}))
    old = world.issuer.post("/v1/authorizations", {"card": card, **SPEND}).json()
    tables = world.in_force.codes.document()
    tables["unionpay"]["reasons"]["category_closed_by_issuer"] = "62"
    change = proposed(world.operator, world, response_codes=tables)
    assert change["needs_second"]
    assert approved(world.operator, change, 403)["code"] == "second_officer_required"
    approved(world.issuer, change)
    new = world.issuer.post("/v1/authorizations", {"card": card, **SPEND}).json()
    assert (old["response_code"], new["response_code"]) == ("03", "62")
    again = world.issuer.get(f"/v1/authorizations/{old['id']}").json()
    assert again["response_code"] == "03"
    tables["unionpay"]["reasons"]["card_lost"] = "41"
    body = {"base": world.in_force.policy.version, "response_codes": tables}
    refused = world.issuer.post("/v1/policy_changes", body)
    assert refused.status_code == 422
    assert "keep the card" in refused.text


def test_a_stale_change_is_a_conflict(world: World) -> None:
    """Of two changes on one version the second can only be proposed again."""
    one = proposed(world.operator, world, settings={"closed_mccs": ["7995"]})
    other = proposed(world.operator, world, settings={"closed_mccs": ["6011"]})
    approved(world.operator, one)
    assert approved(world.issuer, other, 409)["code"] == "policy_stale"
    assert world.issuer.get(f"/v1/policy_changes/{other['id']}").json()["stale"]
    body = {"base": "default-2", "settings": {"hold_days": 7}}
    assert world.issuer.post("/v1/policy_changes", body).json()["code"] == "policy_stale"
    assert approved(world.issuer, one, 409)["code"] == "policy_change_decided"


def test_a_change_ends_once(world: World) -> None:
    """Anybody rejects, only the proposer withdraws, and what is over stays so."""
    change = proposed(world.operator, world, settings={"hold_days": 7})
    path = f"/v1/policy_changes/{change['id']}"
    assert world.issuer.post(f"{path}/withdraw").json()["code"] == "not_the_proposer"
    assert world.issuer.post(f"{path}/reject").json()["state"] == "rejected"
    assert world.operator.post(f"{path}/withdraw").json()["code"] == "policy_change_decided"
    assert world.operator.post("/v1/policy_changes/pch_1/reject").status_code == 404
    listed = world.issuer.get("/v1/policy_changes").json()["data"]
    assert [row["state"] for row in listed] == ["rejected"]
    assert world.in_force.policy is DEFAULT_POLICY


@pytest.mark.parametrize("verb", ["approve", "reject", "withdraw"])
def test_a_change_ends_once_across_servers(world: World, verb: str) -> None:
    """While one server is about to keep its word, the change is adopted on another: that counts."""
    change = proposed(world.operator, world, settings={"closed_mccs": ["7995"]})
    house = world.house
    desk = house.policies
    assert desk is not None
    colleague = Actor("op_2", Via.HTTP, is_staff=True)
    proposer = Actor(change["proposed_by"], Via.HTTP, is_staff=True)

    async def keep_late(
        records: Sequence[Record],
        audits: Sequence[Audit],
        actor: Actor,
        then: Callable[[], None] | None = None,
    ) -> None:
        await desk.approve(colleague, change["id"])
        await house.keep(records, audits, actor)

    other = PolicyDesk(
        reader=house.reader,
        keep=keep_late,
        in_force=house.in_force,
        switch=lambda _: None,
        clock=house.clock,
        new_id=house.mint.new,
    )
    with pytest.raises(ChangeDecidedError):
        world.run(getattr(other, verb)(proposer, change["id"]))
    kept = world.issuer.get(f"/v1/policy_changes/{change['id']}").json()
    assert (kept["state"], kept["number"]) == ("adopted", 1)
    assert world.in_force.policy.version == kept["version"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"settings": {}}, "policy_unchanged"),
        ({"settings": {"hold_day": 7}}, "not_allowed"),
        ({"settings": {"hold_days": 1 << 40}}, "not_allowed"),
        ({"settings": {"hold_days": 7}, "name": "Q1 2026"}, "not_allowed"),
        ({"settings": {"hold_days": 7}, "note": "for 6212345678901232"}, "not_allowed"),
        ({"response_codes": {"visa": 3}}, "not_allowed"),
        ({"response_codes": {"unionpay": {"like": []}}}, "not_allowed"),
        ({"settings": {"ceilings": [{"channel": "pos", "value": 3}]}}, "not_allowed"),
    ],
)
def test_a_bad_proposal_is_told(world: World, body: dict[str, object], code: str) -> None:
    """It names what is wrong, and nothing is kept."""
    answer = world.issuer.post("/v1/policy_changes", {"base": "default-2", **body})
    assert answer.json()["code"] == code, answer.text
    assert "6212345678901232" not in answer.text
    assert world.issuer.get("/v1/policy_changes").json()["data"] == []


def test_a_file_is_only_looked_at(world: World) -> None:
    """Policy as code: what the server was started with is changed there."""
    world.in_force = replace(world.in_force, fixed=("policy",))
    body = {"base": "default-2", "settings": {"hold_days": 7}}
    assert world.issuer.post("/v1/policy_changes", body).json()["code"] == "policy_fixed"
    assert world.issuer.get("/v1/policy").json()["fixed"] == ["policy"]


def test_a_cardholder_has_no_say(world: World) -> None:
    """The issuer's policy is not for cardholder keys."""
    mine = world.client("cardholder", world.cardholder())
    assert mine.get("/v1/policy").status_code == 403
    assert mine.post("/v1/policy_changes", {"base": "default-2"}).status_code == 403


def test_what_was_adopted_holds_after_a_restart(world: World) -> None:
    """The data alone tell the version, its number and its tables; a file goes before them."""
    approved(world.operator, proposed(world.operator, world, settings={"closed_mccs": ["7995"]}))
    approved(
        world.operator, proposed(world.operator, world, settings={"closed_mccs": ["7995", "6011"]})
    )
    reader = world.store.reader()
    found = in_force_of(reader)
    assert found.policy == world.in_force.policy
    assert (found.number, found.fixed) == (2, ())
    assert found.codes.document() == world.in_force.codes.document()
    assert set(found.codes_by_version) == set(world.in_force.codes_by_version) | {"default-2"}
    assert reader.record(PolicyText, found.policy.version) is not None
    assert [content_of(c.text)[0].version for c in adopted(reader)] == [
        change["version"] for change in world.issuer.get("/v1/policy_changes").json()["data"]
    ]
    fixed = in_force_of(reader, DEFAULT_POLICY)
    assert (fixed.policy, fixed.number, fixed.fixed) == (DEFAULT_POLICY, 0, ("policy",))
    assert in_force_of(reader, None, load()).policy == found.policy

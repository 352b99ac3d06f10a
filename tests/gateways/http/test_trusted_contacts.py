"""Naming a trusted contact: with proof, bounded, once; ended by either side, no stranger's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gateways.http.house import DAY, HOUR, Client, World, memory_world
from tests.gateways.http.post_office import PostOffice

from zhiwei.ports import ContactConsent, TrustedContact

PHONE = "+8613800138000"
MEI = "+8613900139000"


@pytest.fixture
def world() -> Iterator[World]:
    """A house that sends no messages itself."""
    made = memory_world()
    yield made
    made.close()


@pytest.fixture
def holder(world: World) -> str:
    """A cardholder."""
    return world.cardholder(name="李雷", phone=PHONE)


def path(holder: str) -> str:
    """Where their contacts are."""
    return f"/v1/cardholders/{holder}/trusted_contacts"


def named(client: Client, holder: str, phone: str = MEI, **headers: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """A contact who was just named."""
    answer = client.post(path(holder), {"name": "韩梅梅", "phone": phone}, **headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


def why_not(client: Client, holder: str, phone: str) -> tuple[int, str]:
    """Why somebody cannot be named: status and code."""
    answer = client.post(path(holder), {"name": "韩梅梅", "phone": phone})
    problem = answer.json()
    errors = problem.get("errors") or [{}]
    return answer.status_code, str(errors[0].get("code", problem["code"]))


def reference(world: World, contact: str) -> str:
    """What the contact must reply with."""
    found = world.house.reader.record(TrustedContact, contact)
    assert found is not None
    return found.reference


def agrees(world: World, contact: str, phone: str = MEI) -> Any:  # noqa: ANN401 - whatever JSON holds
    """What comes of the contact's reply."""
    body = {"from": phone, "text": f"同意 {reference(world, contact)}"}
    return world.issuer.post("/v1/inbound_messages", body).json()


def test_naming_somebody_needs_proof_and_their_own_word(world: World, holder: str) -> None:
    """It shows data to another person, so both must want it."""
    own = world.client("cardholder", holder)
    for client in (own, world.issuer):
        answer = client.post(path(holder), {"name": "x", "phone": MEI})
        assert answer.status_code == 403
        assert answer.json()["code"] == "strong_authentication_required"
    assert world.operator.post(path(holder), {"name": "x", "phone": MEI}).status_code == 403
    contact = named(world.strong, holder)
    assert (contact["state"], contact["agreed_at"]) == ("invited", None)
    assert contact["invitation"]["status"] == "to_send"
    assert f"同意{reference(world, contact['id'])}" in contact["invitation"]["text"]
    assert "李雷" not in contact["invitation"]["text"]
    assert agrees(world, contact["id"])["outcome"] == "contact_agreed"
    (listed,) = own.get(path(holder)).json()["data"]
    assert (listed["id"], listed["state"], listed["phone"]) == (contact["id"], "agreed", MEI)
    assert "reference" not in listed


def test_another_persons_contacts_do_not_exist(world: World, holder: str) -> None:
    """Neither list nor contact, and an id under the wrong person is none."""
    contact = named(world.strong, holder)
    other = world.cardholder(phone="13700137000")
    stranger = world.client("cardholder", other)
    assert stranger.get(path(holder)).status_code == 404
    assert stranger.delete(f"{path(holder)}/{contact['id']}").status_code == 404
    gone = stranger.delete(f"{path(other)}/{contact['id']}")
    assert (gone.status_code, gone.json()["code"]) == (404, "contact_not_found")
    assert world.operator.get(path(holder)).status_code == 200
    assert world.operator.delete(f"{path(holder)}/{contact['id']}").status_code == 403


def test_at_most_three_and_never_oneself(world: World, holder: str) -> None:
    """An end makes room again, an hour later; the own number watches nobody."""
    ids = [named(world.strong, holder, f"+861390013900{n}")["id"] for n in range(3)]
    assert why_not(world.strong, holder, "+8613900139009") == (409, "too_many_contacts")
    assert why_not(world.strong, holder, PHONE) == (422, "own_number")
    assert why_not(world.strong, holder, "+861012345678") == (422, "bad_phone")
    assert world.strong.delete(f"{path(holder)}/{ids[0]}").json()["state"] == "ended"
    assert why_not(world.strong, holder, "+8613900139009") == (429, "too_many_invitations")
    world.clock.advance(HOUR)
    assert named(world.strong, holder, "+8613900139009")["state"] == "invited"


def test_who_refused_is_left_alone_for_a_day(world: World, holder: str) -> None:
    """And nobody is asked by many people in one day."""
    named(world.strong, holder)
    body = {"from": MEI, "text": "拒绝"}
    assert world.issuer.post("/v1/inbound_messages", body).json()["outcome"] == "contact_left"
    world.clock.advance(2 * HOUR)
    assert why_not(world.strong, holder, MEI) == (429, "too_many_invitations")
    for n in range(2):
        named(world.strong, world.cardholder(phone=f"1370013700{n}"))
    third = world.cardholder(phone="13700137009")
    assert why_not(world.strong, third, MEI) == (429, "too_many_invitations")
    world.clock.advance(DAY)
    assert named(world.strong, holder)["state"] == "invited"
    assert named(world.strong, third)["state"] == "invited"


def test_an_end_is_for_good_and_said_twice_is_once(world: World, holder: str) -> None:
    """What the contact replies afterwards begins nothing again."""
    contact = named(world.strong, holder)
    agrees(world, contact["id"])
    own = world.client("cardholder", holder)
    first = own.delete(f"{path(holder)}/{contact['id']}").json()
    world.clock.advance(1_000)
    assert own.delete(f"{path(holder)}/{contact['id']}").json() == first
    assert first["state"] == "ended"
    assert agrees(world, contact["id"])["outcome"] == "neutral"
    said = world.house.reader.record(ContactConsent, contact["id"])
    assert said is not None
    actions = [row.audit.action for row in world.house.reader.audits()][:4]
    assert actions[0] == "trusted_contact.ended"
    assert not any(MEI in row.audit.new for row in world.house.reader.audits())


def test_the_house_asks_by_text_once_and_tells_of_the_end(tmp_path: Path) -> None:
    """Ids that stay, so that a call that is sent again sends nothing twice."""
    world = memory_world()
    holder = world.cardholder(name="李雷", phone=PHONE)
    office = PostOffice(world, tmp_path)
    contact = named(world.strong, holder)
    assert contact["invitation"] == {"status": "queued", "text": None}
    assert named(world.strong, holder)["id"] == contact["id"]
    (asked,) = office.reader.messages()
    assert asked.message.id == f"msg_{contact['id']}-invited"
    assert (asked.message.to, asked.message.kind) == (MEI, "contact_invited")
    assert f"同意{reference(world, contact['id'])}" in asked.message.text
    assert agrees(world, contact["id"])["outcome"] == "contact_agreed"
    for _ in range(2):
        assert world.strong.delete(f"{path(holder)}/{contact['id']}").status_code == 200
    ended = [m.message for m in office.reader.messages() if m.message.kind == "contact_ended"]
    assert len(ended) == 1
    assert ended[0].text.startswith("【智卫】李*已结束")
    office.close()
    world.close()


def test_two_at_once_do_not_pass_the_bound(world: World, holder: str) -> None:
    """Four are named at the same moment; three are."""
    import asyncio
    import json

    headers = {
        "Authorization": f"Bearer {world.strong.key}",
        "Authentication-Strength": "strong",
        "Content-Type": "application/json",
    }

    async def four() -> list[int]:
        bodies = [{"name": "x", "phone": f"+861390013900{n}"} for n in range(4)]
        answers = await asyncio.gather(
            *[
                world.send("POST", path(holder), json.dumps(body).encode(), headers)
                for body in bodies
            ]
        )
        return sorted(answer.status_code for answer in answers)

    assert world.run(four()) == [201, 201, 201, 409]

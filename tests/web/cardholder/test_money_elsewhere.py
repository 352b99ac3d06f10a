"""Messages, linked payments and travel plans of the cardholder, over the pages' own forms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.web.cardholder.room import Person, Room

from zhiwei.core.card_state import Permission, PermissionKind
from zhiwei.messaging.kinds import CHOOSABLE, WAYS
from zhiwei.ports import MessagePreferences
from zhiwei.web.cardholder.travel import LIFTED
from zhiwei.web.sign_in.model import Face

#: The clock of the house stands in November 2025.
TRIP = {"from": "2025-12-01", "until": "2025-12-05", "country": "日本"}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A house with the pages."""
    one = Room(tmp_path)
    yield one
    one.end_streams()
    one.close()


@pytest.fixture
def wang(room: Room) -> Person:
    """The cardholder, signed in."""
    return Person(room)


@pytest.fixture
def friend(room: Room) -> Person:
    """A trusted contact of theirs."""
    return Person(room, Face.CONTACT)


def messages(person: Person, seen: str = "0", **changed: Any) -> httpx.Response:  # noqa: ANN401 - fields of all kinds
    """Send the form of messages as it stands, with changes; dots in names are written `__`."""
    person.open("alerts")
    fields: dict[str, Any] = {
        f"way.{word}": list(WAYS[kind].channels) for word, kind in CHOOSABLE.items()
    }
    fields |= {"all": "1", "seen": seen, "quiet_start": "", "quiet_end": ""}
    fields |= {name.replace("__", "."): value for name, value in changed.items()}
    fields.setdefault("csrf", person.token)
    path = f"/me/cards/{person.room.card}/alerts/messages"
    return person._send("POST", path, data=fields)


def kept(room: Room) -> MessagePreferences | None:
    """What is kept of the cardholder's preferences."""
    return room.world.house.reader.record(MessagePreferences, room.holder)


def test_messages_are_chosen_by_kind_with_quiet_hours(room: Room, wang: Person) -> None:
    """Only what differs from the house is kept; the page shows it again."""
    changed: dict[str, Any] = {
        "way__limit_nearly_reached": [],
        "quiet_start": "22:00",
        "quiet_end": "07:00",
    }
    assert messages(wang, **changed).status_code == 303
    record = kept(room)
    assert record is not None
    assert json.loads(record.channels) == {"limit_nearly_reached": []}
    assert (record.quiet_start, record.quiet_end) == ("22:00", "07:00")
    wang.open("alerts")
    assert "<option selected>22:00</option>" in wang.page
    assert "照样马上告诉您" in wang.text


@pytest.mark.parametrize(
    "bad",
    [
        {"way__challenge_created": []},
        {"way__stop_placed": []},
        {"way__balance_changed": ["pigeon"]},
        {"way__balance_changed": ["sms", "sms"]},
        {"quiet_start": "22:00"},
        {"quiet_start": "07:00", "quiet_end": "07:00"},
        {"quiet_start": "25:00", "quiet_end": "07:00"},
        {"all": ""},
    ],
    ids=str,
)
def test_what_may_be_fraud_never_falls_silent(
    room: Room, wang: Person, bad: dict[str, Any]
) -> None:
    """Nor is nonsense kept, or half a form."""
    assert messages(wang, **bad).status_code == 422
    assert 'role="alert"' in wang.page
    assert kept(room) is None


def test_messages_of_a_stale_page_change_nothing(room: Room, wang: Person) -> None:
    """A double click is one change; another choice from an old page is refused."""
    assert messages(wang, way__card_updated=[]).status_code == 303
    first = kept(room)
    assert messages(wang, way__card_updated=[]).status_code == 303
    assert messages(wang, way__card_updated=["sms"]).status_code == 422
    assert kept(room) == first


def test_a_contact_chooses_no_messages(room: Room, wang: Person, friend: Person) -> None:
    """Who may only tighten does not see the form, and cannot send it."""
    friend.open("locks")
    path = f"/me/cards/{room.card}/alerts/messages"
    fields = {"all": "1", "seen": "0", "quiet_start": "22:00", "quiet_end": "07:00"}
    assert friend.post(path, **fields).status_code == 403
    assert kept(room) is None


@pytest.fixture
def link(room: Room) -> str:
    """A linked institution with a hostile name; its id."""
    body = {"card": room.card, "institution": "evil", "name": "<b>支付\u202e</b>"}
    made = room.world.issuer.post("/v1/bindings", body)
    assert made.status_code == 200, made.text
    return str(made.json()["binding"])


def opened(room: Room) -> list[Permission]:
    """What is let through for a while."""
    return list(room.state.settings.permissions)


def is_open(room: Room) -> bool:
    """The switch of the only link."""
    return room.state.settings.bindings[0].is_open


def test_an_institution_is_closed_at_once_and_opened_with_proof(
    room: Room, wang: Person, friend: Person, link: str
) -> None:
    """A contact may close and not open; the name of a stranger is text."""
    wang.open("bindings")
    assert "<b>支付" not in wang.page
    assert "\u202e" not in wang.page
    friend.open("locks")
    assert friend.do("binding_switch", id=link, open="0").status_code == 303
    assert not is_open(room)
    friend.open("locks")
    assert friend.do("binding_switch", id=link, open="1").status_code == 422
    wang.open("bindings")
    answer = wang.do("binding_switch", id=link, open="1")
    assert not is_open(room)
    wang.prove(answer)
    assert is_open(room)


def test_an_institution_is_unlinked(room: Room, wang: Person, link: str) -> None:
    """It is gone from the page; what is not linked is said so, and nonsense refused."""
    wang.open("bindings")
    for bad in ({"id": "bind_x", "open": "0"}, {"id": link, "open": "2"}, {"id": link}):
        assert wang.do("binding_switch", **bad).status_code == 422
        wang.open("bindings")
    # When nothing is linked any more, the page has no form and no token; an old page has.
    once = {"id": link, "once": "once-once-1", "csrf": wang.token}
    assert wang.do("binding_remove", **once).status_code == 303
    assert wang.do("binding_remove", **once).status_code == 303
    wang.open("bindings")
    assert "没有绑定支付机构" in wang.text
    again = wang.do("binding_remove", id=link, csrf=once["csrf"])
    assert again.status_code == 422
    assert "没有这个绑定" in wang.text


def test_a_trip_is_planned_with_proof_and_ended_early(
    room: Room, wang: Person, friend: Person
) -> None:
    """From the first midnight to the last on the card's clock; a contact may end it."""
    wang.open("travel")
    answer = wang.do("travel_plan", **TRIP, total="5000.00")
    assert opened(room) == []
    wang.prove(answer)
    (plan,) = opened(room)
    assert plan.kind is PermissionKind.TRAVEL
    assert (plan.countries, plan.regions, plan.total_max) == (("JPN",), (), 500_000)
    assert plan.controls == LIFTED
    zone = room.state.settings.profile.zone
    day_ms = 86_400_000
    assert zone.local_ms(plan.from_ms) % day_ms == 0
    assert plan.until_ms - plan.from_ms == 5 * day_ms
    wang.open("travel")
    assert "日本" in wang.text
    friend.open("locks")
    assert friend.do("permission_end", id=plan.id).status_code == 303
    assert opened(room) == []
    friend.open("locks")
    assert friend.do("permission_end", id=plan.id).status_code == 422


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"from": "2025-12-09"}, "早于"),
        ({"from": "2025-01-01", "until": "2025-01-02"}, "已经过去"),
        ({"from": "tomorrow"}, "读不懂"),
        ({"from": "2025-02-30"}, "读不懂"),
        ({"until": "20251205"}, "读不懂"),
        ({"until": "9999-12-31"}, "读不懂"),
        ({"until": ""}, "没有填"),
        ({"country": ""}, "请选择"),
        ({"country": "XXX"}, "没有这个国家"),
        ({"country": "CHN"}, "请选择省份"),
        ({"country": ["JPN", "HKG", "MAC", "USA"]}, "最多"),
        ({"region": "41"}, "分成两个计划"),
        ({"country": "", "region": "99"}, "没有这个省份"),
        ({"total": "-5"}, "读不懂"),
        ({"total": "1.005"}, "小数位"),
        ({"total": "10000000000001"}, "太大"),
    ],
    ids=str,
)
def test_a_trip_that_cannot_be_is_explained(
    room: Room, wang: Person, bad: dict[str, Any], said: str
) -> None:
    """Each mistake has its sentence, before any proof is asked."""
    wang.open("travel")
    assert wang.do("travel_plan", **{**TRIP, **bad}).status_code == 422
    assert said in wang.text
    assert opened(room) == []


def test_a_trip_that_is_too_long_is_the_guardians_to_refuse(wang: Person) -> None:
    """Only the guardian knows how long; after the proof it says so on the page."""
    wang.open("travel")
    answer = wang.do("travel_plan", **{**TRIP, "until": "2026-12-01"})
    wang.prove(answer)
    wang.open("travel")
    assert "银行不允许" in wang.text

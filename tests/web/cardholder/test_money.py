"""Limits, verification, alerts, linked payments and travel: every form, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.web.cardholder.room import Person, Room

from zhiwei.bench.cards import pan_of
from zhiwei.web.sign_in.model import Face

PAGES = ("limits", "verification", "alerts", "bindings", "travel")
POS_DAY = {"channel": "pos", "measure": "amount", "period": "day"}
LARGE = {"control": "large_spend_verification"}


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


def values(room: Room) -> list[tuple[str, int]]:
    """The limits that are set."""
    limits = room.control("limits")
    return [] if limits is None else [(i.channel.name, i.value) for i in limits.items]


def limit(person: Person, value: str, **more: str) -> Any:  # noqa: ANN401 - an answer
    """Set the limit of a day in shops."""
    person.open("limits")
    return person.do("limit_set", **{**POS_DAY, "value": value, "etag": person.etag(), **more})


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_the_own_card_and_no_other(room: Room, wang: Person, page: str) -> None:
    """Somebody else's card is not there: neither its page nor a form for it."""
    assert wang.open(page).status_code == 200
    other = room.world.card(pan=pan_of(1))
    assert wang.open(page, other).status_code == 404
    wang.open(page)
    path = f"/me/cards/{other}/do/limit_set"
    assert wang.post(path, **POS_DAY, value="1", etag="").status_code == 404


def test_a_limit_is_set_in_major_units(room: Room, wang: Person) -> None:
    """The first limit, a second one, and each shown with what is used of it."""
    done = limit(wang, "5000.5")
    assert done.status_code == 303
    assert done.headers["location"] == "/me"
    assert values(room) == [("POS", 500_050)]
    limit(wang, "3", channel="online", measure="count", period="rolling.3600")
    assert values(room) == [("POS", 500_050), ("ONLINE", 3)]
    room.world.decision(room.card, amount=120_000)
    wang.open("limits")
    assert "已用 1,200.00 CNY" in wang.text
    assert 'max="500050" value="120000"' in wang.page
    assert "任意连续 1 小时" in wang.text


@pytest.mark.parametrize(
    "bad",
    ["", "-1", "+1", "1,000", "1.234", "1.", ".5", "1e3", "１２", "0x10", "12 元", "9" * 19, " "],
)
def test_an_amount_is_read_strictly(room: Room, wang: Person, bad: str) -> None:
    """A clear page, and nothing is changed."""
    answer = limit(wang, bad)
    assert answer.status_code == 422
    assert 'role="alert"' in wang.page
    assert values(room) == []


@pytest.mark.parametrize(("bad", "said"), [("10000000000001", "太大"), ("0.001", "小数位")])
def test_a_huge_or_too_fine_amount_is_explained(wang: Person, bad: str, said: str) -> None:
    """The sentence says what is wrong with it."""
    assert limit(wang, bad).status_code == 422
    assert said in wang.text


def test_the_currency_says_how_many_decimals(room: Room) -> None:
    """Yen have none, dinars three."""
    for number, code, good, minor, bad in (
        (1, "JPY", "500", 500, "500.0"),
        (2, "KWD", "1.234", 1234, "1.2345"),
    ):
        room.card = room.world.card(pan=pan_of(number), cardholder=room.holder, currency=code)
        person = Person(room)
        assert limit(person, bad).status_code == 422
        assert limit(person, good).status_code == 303
        assert values(room) == [("POS", minor)]
        person.open("limits")
        assert f'value="{good}"' in person.page


@pytest.mark.parametrize(
    "wrong",
    [
        {"channel": "moon"},
        {"measure": "weight"},
        {"period": "hour"},
        {"period": "rolling.x"},
        {"period": "day.5"},
        {"period": "rolling"},
        {"period": "rolling.9"},
        {"period": "rolling.9999999"},
        {"measure": "count", "period": "transaction", "value": "3"},
        {"measure": "count", "value": "1.5"},
        {"measure": "count", "value": "9999999"},
    ],
    ids=str,
)
def test_a_limit_that_cannot_be_is_refused(room: Room, wang: Person, wrong: dict[str, str]) -> None:
    """Fields that no form of ours sends."""
    fields = {"value": "100", **wrong}
    assert limit(wang, **fields).status_code == 422
    assert values(room) == []


def test_zero_closes_and_says_so(room: Room, wang: Person) -> None:
    """Zero is no limit that is used up; it is closed."""
    limit(wang, "0")
    assert values(room) == [("POS", 0)]
    wang.open("limits")
    assert "这类交易全部拒绝" in wang.text
    assert "<progress" not in wang.page


def test_a_stale_page_changes_nothing(room: Room, wang: Person) -> None:
    """Of two open pages the second one to save is told to look again."""
    limit(wang, "5000")
    wang.open("limits")
    old = wang.etag()
    limit(wang, "4000")
    answer = wang.do("limit_set", **POS_DAY, value="3000", etag=old)
    assert answer.status_code == 422
    assert "在别处改过" in wang.text
    assert values(room) == [("POS", 400_000)]
    wang.open("limits")
    assert wang.do("limit_set", **POS_DAY, value="3000", etag="").status_code == 422


def test_a_double_click_is_one_change(room: Room, wang: Person) -> None:
    """The same form twice gives the same answer and one entry."""
    wang.open("limits")
    form = {**POS_DAY, "value": "5000", "etag": "", "once": "once-once-1"}
    first, second = wang.do("limit_set", **form), wang.do("limit_set", **form)
    assert (first.status_code, second.status_code) == (303, 303)
    assert values(room) == [("POS", 500_000)]
    version = room.state.version
    assert wang.do("limit_set", **form).status_code == 303
    assert room.state.version == version
    wang.open("limits")
    other = wang.do("limit_set", **{**form, "value": "4000", "etag": wang.etag()})
    assert other.status_code == 422
    assert values(room) == [("POS", 500_000)]


def test_raising_a_limit_asks_for_proof(room: Room, wang: Person) -> None:
    """The page of proof says which limit and how much; with the code it is done."""
    limit(wang, "5000")
    answer = limit(wang, "8000")
    assert answer.status_code == 303
    wang.get(answer.headers["location"])
    assert "刷卡消费，每天" in wang.text
    assert "8000.00 CNY" in wang.text
    assert values(room) == [("POS", 500_000)]
    assert wang.prove(answer).status_code == 303
    assert values(room) == [("POS", 800_000)]


def test_removing_a_limit_asks_for_proof(room: Room, wang: Person) -> None:
    """The others stay; the last one takes the control with it."""
    limit(wang, "5000")
    limit(wang, "100", channel="online")
    wang.open("limits")
    gone = wang.do("limit_remove", **POS_DAY, etag=wang.etag())
    wang.prove(gone)
    assert values(room) == [("ONLINE", 10_000)]
    wang.open("limits")
    last = wang.do("limit_remove", **{**POS_DAY, "channel": "online"}, etag=wang.etag())
    wang.prove(last)
    assert room.control("limits") is None


def test_a_contact_tightens_and_never_loosens(room: Room, wang: Person, friend: Person) -> None:
    """Lower, yes; higher, removed or let through, no; and no page of what is spent."""
    limit(wang, "5000")
    wang.open("limits")
    seen = wang.etag()
    for page in PAGES:
        assert friend.open(page).status_code == 403, page

    def sent(deed: str, **fields: str) -> int:
        friend.open("locks")
        return int(friend.do(deed, **fields).status_code)

    assert sent("limit_set", **POS_DAY, value="6000", etag=seen) == 422
    assert "信任联系人可以收紧" in friend.text
    assert sent("limit_remove", **POS_DAY, etag=seen) == 422
    plan = {"from": "2025-12-01", "until": "2025-12-02", "country": "JPN"}
    assert sent("travel_plan", **plan) == 422
    assert list(room.state.settings.permissions) == []
    assert values(room) == [("POS", 500_000)]
    assert sent("limit_set", **POS_DAY, value="4000", etag=seen) == 303
    assert values(room) == [("POS", 400_000)]


@pytest.mark.parametrize("name", ["large_spend_verification", "magstripe_verification"])
def test_a_threshold_is_lowered_at_once_and_raised_with_proof(
    room: Room, wang: Person, name: str
) -> None:
    """Set, raised, removed; the page says what it asks about and what not."""
    wang.open("verification")
    assert "不问" in wang.text
    assert "20,000.00 CNY" in wang.text, "the bank's own threshold"

    def sent(deed: str, **fields: str) -> Any:  # noqa: ANN401 - an answer
        wang.open("verification")
        return wang.do(deed, control=name, etag=wang.etag(name), **fields)

    assert sent("verification_set", threshold="3000").headers["location"] == "/me"
    assert room.control(name).threshold == 300_000
    assert sent("verification_set", threshold="-3").status_code == 422
    wang.prove(sent("verification_set", threshold="4000.01"))
    assert room.control(name).threshold == 400_001
    wang.prove(sent("verification_remove"))
    assert room.control(name) is None


def test_a_verification_is_one_of_two(room: Room, wang: Person) -> None:
    """No other control is set or removed by this form, and a stale page changes nothing."""
    wang.open("verification")
    for deed in ("verification_set", "verification_remove", "verification_cancel"):
        assert wang.do(deed, control="card_lock", threshold="1", etag="").status_code == 422
        wang.open("verification")
    wang.do("verification_set", **LARGE, threshold="100", etag="")
    wang.open("verification")
    assert wang.do("verification_set", **LARGE, threshold="50", etag='"old"').status_code == 422
    assert room.control("large_spend_verification").threshold == 10_000
    wang.open("verification")
    assert wang.do("verification_cancel", **LARGE).status_code == 422


@pytest.mark.parametrize("name", ["decline_alert", "balance_inquiry_alert", "balance_change_alert"])
def test_an_alert_is_switched_on_and_off(room: Room, wang: Person, name: str) -> None:
    """On at once; off as the guardian says."""
    wang.open("alerts")
    fields = {"control": name, "threshold": "10.00", "channel": ["sms", "app"]}
    assert wang.do("alert_set", **fields, etag="").headers["location"] == "/me"
    assert room.control(name) is not None
    wang.open("alerts")
    off = wang.do("alert_remove", control=name, etag=wang.etag(name))
    if off.headers["location"] != "/me":
        wang.prove(off)
    assert room.control(name) is None


def test_a_balance_alert_has_a_threshold_and_channels(room: Room, wang: Person) -> None:
    """Both are kept; a channel that is none is refused."""
    wang.open("alerts")
    fields: dict[str, Any] = {"control": "balance_change_alert", "threshold": "10.00", "etag": ""}
    assert wang.do("alert_set", **fields, channel=["pigeon"]).status_code == 422
    wang.open("alerts")
    assert wang.do("alert_set", **{**fields, "threshold": "1.001"}).status_code == 422
    wang.open("alerts")
    wang.do("alert_set", **fields, channel=["sms", "email"])
    alert = room.control("balance_change_alert")
    assert (alert.threshold, alert.channels) == (1_000, ("email", "sms"))
    wang.open("alerts")
    assert 'name="threshold" value="10.00"' in wang.page


def test_alerts_set_no_other_control(room: Room, wang: Person) -> None:
    """The form of alerts is for alerts."""
    wang.open("alerts")
    assert wang.do("alert_set", control="card_lock", etag="").status_code == 422
    wang.open("alerts")
    assert wang.do("alert_remove", control="limits", etag="").status_code == 422
    assert room.control("card_lock") is None

"""What a cardholder proves by a code (no passkey, no scripts): a yes, an undo, an exception."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.web.cardholder.room import Person, Room


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


def asked(room: Room) -> str:
    """A large payment that is asked about; the id of the question."""
    room.world.issuer.set(room.card, "large_spend_verification", {"threshold": 5_000})
    return str(room.world.decision(room.card, amount=9_000)["challenge"]["id"])


def is_stopped(room: Room) -> bool:
    """Whether the card is."""
    return room.state.settings.stop is not None


def test_a_yes_lets_one_payment_through(room: Room, wang: Person) -> None:
    """Approved, until when; then used up; and the page says each."""
    question = asked(room)
    path = f"/me/questions/{question}"
    wang.get(path)
    proof = wang.do("answer_yes", challenge=question, back=path)
    wang.get(proof.headers["location"])
    assert "在「小店」90.00 CNY" in wang.page, "amount and merchant are in what is proved"
    done = wang.prove(proof)
    assert done.headers["location"] == path
    wang.get(path)
    assert "请现在重新付款" in wang.page
    assert "在 11月24日 12:15 之前有效" in wang.page
    assert room.world.decision(room.card, amount=9_000)["decision"] == "approve"
    wang.get(path)
    assert "已经付款，这个确认用完了" in wang.page
    assert room.world.decision(room.card, amount=9_000)["decision"] != "approve"


def test_a_yes_that_was_proved_too_late(room: Room, wang: Person) -> None:
    """It expires while the code is typed: its page says so, and nothing is let through."""
    question = asked(room)
    path = f"/me/questions/{question}"
    wang.get(path)
    proof = wang.do("answer_yes", challenge=question, back=path)
    room.world.at("2025-11-24T12:09:00+08:00")
    where = proof.headers["location"]
    wang.get(where)
    assert "确认是您本人" in wang.page or "过期" in wang.page
    wang.post(f"{where}/send")
    wang.get(f"{where}?sent=1")
    room.world.at("2025-11-24T12:10:01+08:00")
    wang.post(f"{where}/code", code=room.code)
    wang.get(path)
    assert "没有人回答，这笔没有付出去" in wang.page
    assert room.world.decision(room.card, amount=9_000)["decision"] == "challenge"


def test_a_no_is_undone_by_a_code(room: Room, wang: Person) -> None:
    """The stop is lifted; the question stays denied, and its payment unpaid."""
    question = asked(room)
    path = f"/me/questions/{question}"
    wang.get(path)
    assert wang.do("answer_no", challenge=question, back=path).status_code == 303
    assert is_stopped(room)
    wang.get(path)
    wang.prove(wang.do("lift_stop", back=path))
    assert not is_stopped(room)
    wang.get(path)
    assert "您回答了：不是我" in wang.page
    assert "按错了，解除止付" not in wang.page


def test_an_exception_lets_the_same_payment_through_and_no_other(room: Room, wang: Person) -> None:
    """Not a larger one, not another shop's, not twice, not after a quarter of an hour."""
    room.world.issuer.set(room.card, "region_lock", {"regions": ["11"]})
    fields = {
        "merchant": "M0001",
        "currency": "CNY",
        "amount_max": "10000",
        "controls": "region_lock",
    }
    wang.get("/me")
    shop = {"name": "别家", "mcc": "5411", "country": "CHN", "region": "44"}
    wang.prove(wang.do("allow_once", **fields))
    assert room.world.decision(room.card, amount=10_001)["decision"] == "decline"
    other = {**shop, "id": "M0002"}
    assert room.world.decision(room.card, merchant=other)["decision"] == "decline"
    assert room.world.decision(room.card)["decision"] == "approve"
    assert room.world.decision(room.card)["decision"] == "decline"
    wang.get("/me")
    wang.prove(wang.do("allow_once", **fields))
    room.world.at("2025-11-24T12:15:00+08:00")
    assert room.world.decision(room.card)["decision"] == "decline"

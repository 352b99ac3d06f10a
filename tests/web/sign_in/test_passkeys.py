"""Passkeys: which answers of devices are believed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.web.sign_in.device import USER_PRESENT, Device

from zhiwei.clock import ManualClock
from zhiwei.stores.faces import SqliteFaceStore
from zhiwei.web.sign_in.model import Deed, Face, Proof, Role, Session
from zhiwei.web.sign_in.passkeys import (
    QUESTION_MS,
    BadPasskeyError,
    Passkeys,
    TooManyPasskeysError,
    label_of,
)
from zhiwei.web.sign_in.people import Person
from zhiwei.web.sign_in.sessions import Sessions
from zhiwei.web.sign_in.site import BadPublicUrlError, site_at

NOW = 1_763_956_800_000
PERSON = Person(Face.CARDHOLDER, "holder_1", "holder_1", Role.VIEWER, "王芳", "", "zh")
SITE = site_at("http://localhost:8080")


class Room:
    """Passkeys on a real store, and a session."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(NOW)
        self.store = SqliteFaceStore(folder)
        self.sessions = Sessions(self.store, self.clock)
        self.passkeys = Passkeys(self.store, self.clock, SITE)
        self.session = self.opened("holder_1")

    def opened(self, subject: str) -> Session:
        """A session of somebody."""
        face = Face.CARDHOLDER
        return self.sessions.open(face, subject, subject, Role.VIEWER, Proof.CODE)[1]

    def added(self, device: Device) -> str:
        """Id of a device's new passkey."""
        options = self.passkeys.ask_for_new(self.session, PERSON)
        return self.passkeys.add(self.session, PERSON, device.make(options), "电话").id

    def deed(self, session: Session, deed_id: str = "deed_1") -> Deed:
        """A change that waits."""
        deed = Deed(deed_id, session.id, "lift_stop", "card_1", "{}", NOW, NOW + 600_000)
        self.store.add_deed(deed)
        return deed


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A room."""
    one = Room(tmp_path)
    yield one
    one.store.close()


def test_a_passkey_is_made_and_signs_in(room: Room) -> None:
    """The question asks for a resident key and a verified user; the answer leads to its owner."""
    device = Device(counter=0)
    options = json.loads(room.passkeys.ask_for_new(room.session, PERSON))
    chosen = options["authenticatorSelection"]
    assert chosen["residentKey"] == "required"
    assert chosen["userVerification"] == "required"
    assert options["rp"]["id"] == "localhost"
    assert "holder_1" not in options["user"]["id"]
    passkey_id = room.added(device)
    question = room.passkeys.ask_who("visit_1")
    assert json.loads(question)["userVerification"] == "required"
    assert json.loads(question)["allowCredentials"] == []
    found = room.passkeys.who("visit_1", device.sign(question))
    assert (found.id, found.face, found.subject) == (passkey_id, Face.CARDHOLDER, "holder_1")
    kept = room.store.passkey(passkey_id)
    assert kept is not None
    assert (kept.sign_count, kept.used_ms, kept.label) == (1, NOW, "电话")


def test_an_answer_is_taken_once(room: Room) -> None:
    """The question is used up by it, for a new key and for a sign-in."""
    device = Device()
    answer = device.make(room.passkeys.ask_for_new(room.session, PERSON))
    room.passkeys.add(room.session, PERSON, answer, "")
    with pytest.raises(BadPasskeyError):
        room.passkeys.add(room.session, PERSON, answer, "")
    signed = device.sign(room.passkeys.ask_who("visit_1"))
    room.passkeys.who("visit_1", signed)
    with pytest.raises(BadPasskeyError):
        room.passkeys.who("visit_1", signed)


def test_an_answer_is_for_who_was_asked(room: Room) -> None:
    """Another browser, another session and a later time have not asked for it."""
    device = Device()
    answer = device.make(room.passkeys.ask_for_new(room.session, PERSON))
    with pytest.raises(BadPasskeyError):
        room.passkeys.add(room.opened("holder_1"), PERSON, answer, "")
    room.added(device)
    signed = device.sign(room.passkeys.ask_who("visit_1"))
    with pytest.raises(BadPasskeyError):
        room.passkeys.who("visit_2", signed)
    room.clock.advance(QUESTION_MS)
    with pytest.raises(BadPasskeyError):
        room.passkeys.who("visit_1", signed)


def test_a_key_that_is_known_is_not_added_again(room: Room) -> None:
    """Not to another person either."""
    device = Device()
    room.added(device)
    with pytest.raises(TooManyPasskeysError):
        room.added(device)


@pytest.mark.parametrize(
    "device",
    [
        Device(origin="https://evil.example"),
        Device(origin="http://localhost:8081"),
        Device(flags=USER_PRESENT),
        Device(flags=0),
    ],
)
def test_another_place_and_an_unverified_user_are_refused(room: Room, device: Device) -> None:
    """Neither makes a key, nor signs with one that was made well."""
    with pytest.raises(BadPasskeyError):
        room.added(device)
    good = Device(key=device.key)
    room.added(good)
    device.handle = good.handle
    with pytest.raises(BadPasskeyError):
        room.passkeys.who("visit_1", device.sign(room.passkeys.ask_who("visit_1")))


def test_another_key_is_refused(room: Room) -> None:
    """A signature by another private key, an unknown key, and another's handle."""
    device = Device()
    room.added(device)
    thief = Device(handle=device.handle)
    for one, changed in (
        (thief, {}),
        (replace(device, id=b"unknown"), {}),
        (device, {"userHandle": "b3RoZXI"}),
        (device, {"signature": "AAAA"}),
        (device, {"authenticatorData": "AAAA"}),
    ):
        question = room.passkeys.ask_who("visit_1")
        with pytest.raises(BadPasskeyError):
            room.passkeys.who("visit_1", one.sign(question, **changed))


def test_a_copied_key_shows_itself(room: Room) -> None:
    """Who signs with a count that was seen already is refused."""
    device = Device(counter=0)
    room.added(device)
    copy = replace(device)
    room.passkeys.who("visit_1", device.sign(room.passkeys.ask_who("visit_1")))
    with pytest.raises(BadPasskeyError, match="copied"):
        room.passkeys.who("visit_1", copy.sign(room.passkeys.ask_who("visit_1")))


def test_a_device_that_does_not_count_is_no_copy(room: Room) -> None:
    """It says 0 each time."""
    device = Device()
    room.added(device)
    for _ in range(2):
        room.passkeys.who("visit_1", device.sign(room.passkeys.ask_who("visit_1")))


def test_a_change_is_proved_by_its_own_answer(room: Room) -> None:
    """The question names the change; an answer for one change proves no other."""
    device = Device()
    passkey_id = room.added(device)
    deed, other = room.deed(room.session), room.deed(room.session, "deed_2")
    question = room.passkeys.ask_for(room.session, deed)
    assert [one["id"] for one in json.loads(question)["allowCredentials"]] == [passkey_id]
    answer = device.sign(question)
    room.passkeys.ask_for(room.session, other)
    with pytest.raises(BadPasskeyError):
        room.passkeys.prove(room.session, other, answer)
    assert room.passkeys.prove(room.session, deed, answer).id == passkey_id
    with pytest.raises(BadPasskeyError):
        room.passkeys.prove(room.session, deed, answer)


def test_a_change_that_was_altered_is_not_proved(room: Room) -> None:
    """The digest of what was asked for stands in the question."""
    device = Device()
    room.added(device)
    deed = room.deed(room.session)
    answer = device.sign(room.passkeys.ask_for(room.session, deed))
    with pytest.raises(BadPasskeyError):
        room.passkeys.prove(room.session, replace(deed, form='{"more":1}'), answer)


def test_a_change_is_proved_by_who_asked(room: Room) -> None:
    """Somebody else's good passkey proves nothing, and a sign-in's answer neither."""
    device = Device()
    room.added(device)
    other = room.opened("holder_2")
    deed = room.deed(other)
    with pytest.raises(BadPasskeyError):
        room.passkeys.prove(other, deed, device.sign(room.passkeys.ask_for(other, deed)))
    mine = room.deed(room.session, "deed_2")
    room.passkeys.ask_for(room.session, mine)
    with pytest.raises(BadPasskeyError):
        room.passkeys.prove(room.session, mine, device.sign(room.passkeys.ask_who("visit_1")))


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "x",
        "[]",
        "{}",
        "null",
        '{"response":[]}',
        '{"response":{}}',
        '{"response":{"clientDataJSON":""}}',
        '{"response":{"clientDataJSON":"e30"}}',
        '{"response":{"clientDataJSON":7}}',
        '{"response":{"clientDataJSON":"é"}}',
        "[" * 10_000,
        '{"response":{"clientDataJSON":"' + "A" * 20_000 + '"}}',
    ],
)
def test_whatever_is_sent_is_an_answer_or_an_error(room: Room, answer: str) -> None:
    """Nothing but `BadPasskeyError` comes of it."""
    room.passkeys.ask_who("visit_1")
    with pytest.raises(BadPasskeyError):
        room.passkeys.who("visit_1", answer)
    with pytest.raises(BadPasskeyError):
        room.passkeys.add(room.session, PERSON, answer, "")


@pytest.mark.parametrize("cut", ["attestationObject", "clientDataJSON"])
def test_a_damaged_answer_is_an_error(room: Room, cut: str) -> None:
    """With the right challenge, and rubbish around it."""
    for rubbish in ("", "AAAA", "oA", "_w", 7, None):
        answer = json.loads(Device().make(room.passkeys.ask_for_new(room.session, PERSON)))
        answer["response"][cut] = rubbish
        with pytest.raises(BadPasskeyError):
            room.passkeys.add(room.session, PERSON, json.dumps(answer), "")


def test_a_label_is_one_short_line() -> None:
    """Without control characters and text that runs backwards."""
    assert label_of("  我的\n电话\u202e ") == "我的 电话"
    assert label_of("\x00") == "passkey"
    assert len(label_of("x" * 500)) == 40


@pytest.mark.parametrize(
    ("url", "origin", "rp_id"),
    [
        ("https://card.bank.example", "https://card.bank.example", "card.bank.example"),
        ("https://Card.Bank.example:443/", "https://card.bank.example", "card.bank.example"),
        ("https://card.bank.example:8443", "https://card.bank.example:8443", "card.bank.example"),
        ("http://localhost:8080", "http://localhost:8080", "localhost"),
    ],
)
def test_a_site_follows_from_its_address(url: str, origin: str, rp_id: str) -> None:
    """Origin as browsers write it, and the host that passkeys belong to."""
    site = site_at(url)
    assert (site.origin, site.rp_id) == (origin, rp_id)
    assert site.is_secure is origin.startswith("https")


@pytest.mark.parametrize(
    "url",
    ["", "card.bank.example", "http://card.bank.example", "https://a/b", "https://u@a", "x:1"],
)
def test_other_addresses_are_refused(url: str) -> None:
    """Where browsers would allow no passkeys."""
    with pytest.raises(BadPublicUrlError):
        site_at(url)

"""Trusted contacts: who is told what, what they may write, and what nothing of it ever does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.gateways.http.house import DAY, HOUR, NOON, OTHER_PAN, PAN, WORDS
from tests.messaging.office import PHONE as HOLDER_PHONE
from tests.messaging.office import Office
from tests.messaging.test_conversation import Town

from zhiwei.core.card_state import StopSource
from zhiwei.core.command import Actor, Via
from zhiwei.core.event import EventKind
from zhiwei.core.ids import card_key_of
from zhiwei.messaging.contact_planning import is_for_contacts
from zhiwei.messaging.contacts import (
    INVITATION_MS,
    Contact,
    ContactState,
    Word,
    contact_of,
    masked_name,
    read_word,
    said_by,
)
from zhiwei.messaging.model import Message, Plan, Status
from zhiwei.messaging.parts import size_of
from zhiwei.messaging.samples import sample_card, samples
from zhiwei.messaging.settings import AlertSettings, BudgetSettings
from zhiwei.messaging.texts import Texts
from zhiwei.messaging.tries import TRIES_MAX
from zhiwei.ports import ContactConsent, TrustedContact
from zhiwei.stores.faces import SqliteFaceStore
from zhiwei.web.sign_in.model import Face
from zhiwei.web.sign_in.people import HousePeople
from zhiwei.words import LANGUAGES, catalogue

MEI = "+8613900139000"
STAFF = Actor("staff", Via.HTTP, is_staff=True)


def records(
    holder: str, number: str = "1", *, phone: str = MEI, agreed_ms: int = 0, locale: str = "zh"
) -> tuple[TrustedContact, ContactConsent]:
    """A contact whom a cardholder has named."""
    named = TrustedContact(
        f"contact_{number}", NOON, holder, "韩梅梅", phone, locale, f"12345{number}"
    )
    return named, ContactConsent(named.id, NOON, phone, agreed_ms)


# What contacts are told.


@pytest.fixture
def office() -> Iterator[Office]:
    """A cardholder with one card."""
    made = Office()
    yield made
    made.close()


def to_contacts(plan: Plan) -> list[Message]:
    """Messages whose id says that they go to a contact."""
    found = [p.message for p in plan.messages]
    return [m for m in found if m.id.rpartition("-")[2].startswith("contact_")]


def test_a_contact_hears_of_a_stop_and_of_its_end(office: Office) -> None:
    """By text, masked, in the contact's language, in a lane of its own, first in line."""
    office.keep(*records(office.holder, agreed_ms=NOON))
    path = f"/v1/cards/{office.card}/stop"
    assert office.world.issuer.post(path).status_code == 200
    assert office.world.strong.delete(path).status_code == 200
    for kind, said in ((EventKind.STOP_PLACED, "止付"), (EventKind.STOP_LIFTED, "解除")):
        (row,) = office.rows(kind)
        plan = office.plan(row)
        (message,) = to_contacts(plan)
        assert message.id == f"msg_{row.id.removeprefix('evt_')}-contact_1"
        assert (message.channel, message.to, message.is_urgent) == ("sms", MEI, True)
        assert message.text.startswith("【智卫】李*")
        assert said in message.text
        assert "李雷" not in message.text
        assert message.subject == ""
        assert office.plan(row).messages[-1].message == message


def test_a_contact_hears_of_loosenings_whatever_the_cardholder_prefers(office: Office) -> None:
    """Who took over the app can silence neither the cardholder nor the contact."""
    office.keep(*records(office.holder, agreed_ms=NOON))
    office.prefer('{"control_updated": []}', "00:00", "23:59")
    office.world.issuer.set(office.card, "card_lock")
    assert to_contacts(office.plan(office.rows(EventKind.CONTROL_UPDATED)[-1])) == []
    assert office.world.strong.remove(office.card, "card_lock").status_code == 200
    (message,) = to_contacts(office.plan(office.rows(EventKind.CONTROL_UPDATED)[-1]))
    assert "放宽" in message.text


def test_a_contact_hears_nothing_of_money(office: Office) -> None:
    """Of all kinds, only what stops or opens the card; never an amount or a merchant."""
    office.keep(*records(office.holder, agreed_ms=NOON))
    office.world.issuer.set(office.card, "balance_change_alert", {"threshold": 1})
    office.world.issuer.set(office.card, "decline_alert")
    posting = {"card": office.card, "amount": -5_000, "balance": 777_00, "business": "消费"}
    assert office.world.issuer.post("/v1/postings", posting).status_code == 200
    office.world.issuer.set(office.card, "card_lock")
    assert office.world.decision(office.card)["decision"] == "decline"
    for kind in (EventKind.BALANCE_CHANGED, EventKind.TRANSACTION_DECLINED):
        assert to_contacts(office.plan(office.rows(kind)[-1])) == []


def test_only_who_has_agreed_is_told_and_of_nothing_before(office: Office) -> None:
    """An invitation alone tells nothing; neither does an end, nor a word that came later."""
    named, said = records(office.holder)
    row = office.event(EventKind.STOP_PLACED, reference="ZF1", source="app")
    for consent in (said, replace(said, agreed_ms=office.now_ms + 1)):
        office.keep(named, consent)
        assert to_contacts(office.plan(row)) == []
    agreed = replace(said, agreed_ms=NOON)
    for ended in (
        (replace(named, ended_ms=NOON + 1), agreed),
        (named, replace(agreed, ended_ms=NOON + 1)),
    ):
        office.keep(*ended)
        assert to_contacts(office.plan(row)) == []
    office.keep(named, agreed)
    assert len(to_contacts(office.plan(row))) == 1


def test_who_stopped_the_card_by_text_is_not_told_again(office: Office) -> None:
    """The reply has told them; the cardholder and the other contacts hear of it by text."""
    office.keep(*records(office.holder, "1", agreed_ms=NOON))
    office.keep(*records(office.holder, "2", phone="+8613900139002", agreed_ms=NOON))
    office.world.run(_stop_by(office, "contact_1"))
    plan = office.plan(office.rows(EventKind.STOP_PLACED)[-1])
    assert [m.to for m in to_contacts(plan)] == ["+8613900139002"]
    assert HOLDER_PHONE in [p.message.to for p in plan.messages if p.message.channel == "sms"]


async def _stop_by(office: Office, contact: str) -> None:
    from zhiwei.core.command import Command, PlaceStop

    change = PlaceStop(StopSource.CONTACT)
    actor = Actor(contact, Via.SMS)
    await office.world.submit(
        [Command(office.card_key, change=change, actor=actor, nonce=bytes(8))]
    )


def test_contacts_do_not_use_up_the_cardholders_budget() -> None:
    """Theirs is counted apart; past it they are held back, and the cardholder is not."""
    office = Office(budgets=BudgetSettings(sms_per_card_hour=2))
    office.keep(*records(office.holder, "1", agreed_ms=NOON))
    office.keep(*records(office.holder, "2", phone="+8613900139002", agreed_ms=NOON))
    row = office.event(EventKind.STOP_PLACED, reference="ZF1", source="app")
    first, second = office.plan(row), office.plan(row)
    assert {p.status for p in first.messages if p.message.to} == {Status.QUEUED}
    held = {p.message.to: p.status for p in second.messages if p.message.channel == "sms"}
    assert held[HOLDER_PHONE] is Status.QUEUED
    assert held[MEI] is Status.HELD_BACK
    office.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_to_a_contact_is_one_part_without_a_link(language: str) -> None:
    """At most 70 characters in Chinese and 160 in English, with name, tail and a masked name."""
    texts = Texts(WORDS, AlertSettings())
    name = masked_name("李雷" if language == "zh" else "Lei Li", language)
    told = [
        texts.for_contact(sample.row, sample_card(language), name, language)
        for sample in samples(language)
        if is_for_contacts(sample.row)
    ]
    facts: dict[str, int | str | list[str]] = {
        "name": name,
        "tail": "1234",
        "time": "11-24 12:00",
        "reference": "ZF00123456",
        "phone": "8000",
    }
    for key in catalogue(language):
        if key.startswith(("sms.contact_", "contact.invited", "contact.ended")):
            own = {"reference": "123456"} if key == "contact.invited" else {}
            told.append(WORDS.text(key, language, {**facts, **own}))
    assert len(told) > 12
    for text in told:
        assert size_of(text).parts == 1, text
        assert "http" not in text
        assert "{" not in text


# What contacts write.


@pytest.fixture
def town() -> Iterator[Town]:
    """A town with nobody in it."""
    made = Town()
    yield made
    made.world.close()


@pytest.fixture
def holder(town: Town) -> str:
    """A person with a phone and a card."""
    made = town.world.cardholder(name="李雷", phone=HOLDER_PHONE)
    town.world.card(PAN, cardholder=made)
    return made


def keep(town: Town, *kept: TrustedContact | ContactConsent) -> None:
    """Put records into the store."""
    town.world.run(town.world.store.keep(kept, [], STAFF, NOON))


def known(town: Town, number: str = "1") -> Contact:
    """The contact as the store has it."""
    found = contact_of(town.world.house.reader, f"contact_{number}")
    assert found is not None
    return found


def state(town: Town, number: str = "1") -> ContactState:
    """Where a contact stands."""
    return known(town, number).state(town.world.clock.now_ms())


def card_of(town: Town, holder: str) -> str:
    """The only card of a person."""
    (card,) = town.world.issuer.get(f"/v1/cards?cardholder={holder}").json()["data"]
    return str(card["id"])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("同意 123456", (Word.AGREE, "123456")),
        ("agree #123456.", (Word.AGREE, "123456")),
        ("ＡＧＲＥＥ１２３４５６", (Word.AGREE, "123456")),
        ("同意", (Word.AGREE, "")),
        ("退订", (Word.END, "")),
        (" end. ", (Word.END, "")),
        ("拒绝", (Word.END, "")),
        ("不同意123456", None),
        ("同意1234567", None),
        ("ENDE", None),
        ("同意" + " " * 300, None),
    ],
)
def test_a_word_is_read_however_it_is_written(text: str, word: tuple[Word, str] | None) -> None:
    """Case, width, spaces and a final stop do not matter; nothing is guessed."""
    assert read_word(text) == word


@pytest.mark.parametrize(
    ("name", "language", "masked"),
    [
        ("李雷", "zh", "李*"),
        ("lei li", "en", "L***"),
        ("  \u200b", "zh", "持卡人"),
        ("", "en", "A cardholder"),
        ("【x", "zh", "X***"),
        ("1380013", "zh", "持卡人"),
    ],
)
def test_a_name_shows_one_letter(name: str, language: str, masked: str) -> None:
    """Nothing that a name may carry gets into a message of the bank."""
    assert masked_name(name, language) == masked


def test_who_is_asked_agrees_with_the_reference_and_leaves_at_any_time(
    town: Town, holder: str
) -> None:
    """Both are audited in the contact's own name, and said again when they come twice."""
    keep(town, *records(holder))
    for _ in range(2):
        assert town.say("同意 123451", MEI, "in_1").outcome == "contact_agreed"
    assert state(town) is ContactState.AGREED
    for _ in range(2):
        assert town.say("退订", MEI, "in_2").outcome == "contact_left"
    assert state(town) is ContactState.ENDED
    rows = [r for r in town.world.house.reader.audits() if r.audit.subject == "contact_1"]
    assert [(r.actor, r.audit.action) for r in rows] == [
        (Actor("contact_1", Via.SMS), "trusted_contact.left"),
        (Actor("contact_1", Via.SMS), "trusted_contact.agreed"),
    ]
    assert town.say("同意 123451", MEI).outcome == "no_invitation"
    assert state(town) is ContactState.ENDED
    town.world.clock.advance(DAY)
    assert town.say("退订", MEI).outcome == "neutral"


def test_an_invitation_is_guessed_a_few_times_only(town: Town, holder: str) -> None:
    """Even the right reference is not taken after too many wrong ones; in the next hour it is."""
    keep(town, *records(holder))
    for wrong in range(TRIES_MAX):
        assert town.say(f"同意 99999{wrong}", MEI).outcome == "no_invitation"
    assert town.say("同意 123451", MEI).outcome == "too_many_tries"
    assert state(town) is ContactState.INVITED
    assert town.say("同意 123451", "+8613900139777").outcome == "neutral"
    town.world.clock.advance(HOUR)
    assert town.say("同意 123451", MEI).outcome == "contact_agreed"


def test_an_old_invitation_is_over(town: Town, holder: str) -> None:
    """After a week the number is a stranger's again."""
    keep(town, *records(holder))
    town.world.clock.advance(INVITATION_MS)
    assert town.say("同意 123451", MEI).outcome == "neutral"
    assert said_by(known(town), Word.AGREE, NOON + INVITATION_MS) is None


def test_a_contact_stops_a_card_and_nothing_else(town: Town, holder: str) -> None:
    """In their own name, once, told with the masked name; no word of theirs does anything more."""
    card = card_of(town, holder)
    keep(town, *records(holder))
    assert town.say("ZF#1232", MEI).outcome == "neutral"
    keep(town, *records(holder, agreed_ms=NOON))
    question = town.question(card)["reference"]
    texts = (f"Y{question}", f"N{question}", "N", "?", "解除止付", "JF#1232", "START", "hello")
    for text in texts:
        assert town.say(text, MEI).outcome == "contact_help"
    assert town.stop_of(card) is None
    first = town.say("ZF#1232", MEI, "in_1")
    assert (first.outcome, len(first.stops)) == ("stopped", 1)
    assert "李*尾号1232" in first.text
    assert town.say("ZF#1232", MEI, "in_1") == first
    assert town.say("ZF", MEI, "in_2").outcome == "already_stopped"
    entry = town.world.house.reader.entries(card_key_of(card) or b"")[0]
    assert entry.command.actor == Actor("contact_1", Via.SMS)
    stop = town.stop_of(card)
    assert stop is not None
    assert stop["source"] == "contact"


def test_a_contact_of_two_people_is_asked_which_card(town: Town, holder: str) -> None:
    """A tail names one, ALL names all; a tail of two cards names neither."""
    other = town.world.cardholder(name="王芳", phone="13800138001")
    town.world.card(OTHER_PAN, cardholder=other)
    keep(town, *records(holder, "1", agreed_ms=NOON), *records(other, "2", agreed_ms=NOON))
    assert town.say("ZF", MEI).outcome == "which_card"
    assert town.say("ZF#9999", MEI).outcome == "contact_help"
    assert len(town.say("ZF#1232", MEI).stops) == 1
    assert len(town.say("ZF#ALL", MEI).stops) == 2
    for number in (holder, other):
        body = {"token": f"t-{number}", "tail": "7777", "cardholder": number}
        assert town.world.issuer.post("/v1/cards", body).status_code == 201
    assert town.say("ZF#7777", MEI).outcome == "which_card"


def test_cards_of_ones_own_come_first(town: Town, holder: str) -> None:
    """ZF, ALL and a tail that one has mean one's own; another tail means the other's card."""
    mine = town.world.cardholder(name="韩梅梅", phone=MEI)
    own = town.world.card(OTHER_PAN, cardholder=mine)
    keep(town, *records(holder, agreed_ms=NOON))
    theirs = card_of(town, holder)
    assert town.say("ZF", MEI).outcome == "stopped"
    assert town.say("ZF#ALL", MEI).outcome == "already_stopped"
    assert town.say("ZF#0005", MEI).outcome == "already_stopped"
    assert (town.stop_of(own) is None, town.stop_of(theirs) is None) == (False, True)
    assert town.say("ZF#1232", MEI).outcome == "stopped"
    assert town.stop_of(theirs) is not None
    assert town.say("ZF#9999", MEI).outcome == "no_such_card"
    assert town.say("?", MEI).outcome == "help"


def test_who_was_ended_by_the_cardholder_is_a_stranger(town: Town, holder: str) -> None:
    """From that instant on nothing that they write does anything."""
    named, said = records(holder, agreed_ms=NOON)
    keep(town, replace(named, ended_ms=NOON + 1), said)
    for text in ("ZF#1232", "ZF#ALL", "退订", "同意 123451", "?"):
        assert town.say(text, MEI).outcome == "neutral"
    assert town.stop_of(card_of(town, holder)) is None


def test_each_side_writes_its_own_word(town: Town, holder: str) -> None:
    """A contact who agrees at the moment in which they are ended does not undo it."""
    named, said = records(holder)
    old = Contact(named, said)
    keep(town, replace(named, ended_ms=NOON))
    kept = said_by(old, Word.AGREE, NOON)
    assert kept is not None
    keep(town, kept[0])
    assert state(town) is ContactState.ENDED


def test_who_agreed_signs_in_as_a_contact_and_nobody_else_does(
    town: Town, holder: str, tmp_path: Path
) -> None:
    """By the number, where it is no cardholder's own; who left or was never asked is nobody."""
    store = SqliteFaceStore(tmp_path)
    people = HousePeople(town.world.house.reader, store)
    named, said = records(holder)
    keep(town, named, said)
    assert (people.by_phone(MEI), people.of(Face.CONTACT, named.id)) == (None, None)
    keep(town, replace(said, agreed_ms=NOON))
    person = people.by_phone(MEI)
    assert person is not None
    assert (person.face, person.subject, person.cardholder) == (Face.CONTACT, named.id, holder)
    assert people.of(Face.CONTACT, named.id) == person
    assert people.by_oidc(Face.CONTACT, named.id) is None
    keep(town, replace(named, ended_ms=NOON + 1))
    assert (people.by_phone(MEI), people.of(Face.CONTACT, named.id)) == (None, None)
    store.close()

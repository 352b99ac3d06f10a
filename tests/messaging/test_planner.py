"""Who is told what, where and when, as a risk officer would ask it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.gateways.http.house import DAY, HOUR, NOON, OTHER_PAN
from tests.messaging.office import (
    EMAIL_ADDRESS,
    PHONE,
    Office,
    only,
    sent,
    to_people,
    withheld,
)

from zhiwei.core.event import NOT_FOR_CARDHOLDERS, EventKind
from zhiwei.messaging.kinds import CHAT_KINDS
from zhiwei.messaging.model import CHAT, EMAIL, PUSH, SMS, WEBHOOK, Status
from zhiwei.messaging.planner import FORMER_CONTACT_MS
from zhiwei.messaging.samples import samples
from zhiwei.ports import EventRow, Subscription

OLD_PHONE = "+8613900139000"
OLD_EMAIL = "lilei@before.cn"
#: 2025-11-24 22:00 in Shanghai.
TEN_PM = NOON + 10 * HOUR


@pytest.fixture
def office() -> Iterator[Office]:
    """A house whose channels all exist."""
    made = Office()
    yield made
    made.close()


def question(office: Office, amount: int = 10_000) -> EventRow:
    """A question about a large payment, really asked by the house."""
    office.world.issuer.set(office.card, "large_spend_verification", {"threshold": 5_000})
    assert office.world.decision(office.card, amount=amount)["decision"] == "challenge"
    return office.rows(EventKind.CHALLENGE_CREATED)[-1]


def declined(office: Office) -> EventRow:
    """A refusal that the house tells of, for the whole card is locked."""
    office.world.issuer.set(office.card, "decline_alert")
    office.world.issuer.set(office.card, "card_lock")
    assert office.world.decision(office.card)["decision"] == "decline"
    return office.rows(EventKind.TRANSACTION_DECLINED)[-1]


def loosened(office: Office) -> EventRow:
    """A lock that was taken off, with proof."""
    office.world.issuer.set(office.card, "card_lock")
    assert office.world.strong.remove(office.card, "card_lock").status_code == 200
    return office.rows(EventKind.CONTROL_UPDATED)[-1]


# Questions.


def test_a_question_goes_to_phone_and_app_at_once(office: Office) -> None:
    """With its reference and deadline, first in line, and with the challenge that it asks about."""
    row = question(office)
    plan = office.plan(row)
    assert sent(plan) == {"sms": PHONE, "push": ""}
    for planned in to_people(plan):
        message = planned.message
        assert message.is_urgent
        assert message.challenge == row.event.facts["challenge"]
        assert message.expires_ms == row.event.facts["expires_ms"]
        assert (message.kind, message.event_id) == ("challenge_created", row.id)
        assert (message.created_ms, message.language) == (row.at_ms, "zh")
        assert str(row.event.facts["reference"]) in message.text
    assert only(plan, SMS).id == f"msg_{row.id.removeprefix('evt_')}-sms"
    assert only(plan, SMS).text.startswith("【智卫】尾号1232")
    assert only(plan, SMS).subject == ""


def test_a_push_tells_the_gateway_whom_and_what(office: Office) -> None:
    """A JSON object; the gateway knows the cardholder's devices."""
    row = question(office)
    message = only(office.plan(row), PUSH)
    document = json.loads(message.text)
    assert document["title"] == message.subject == "尾号1232：这笔交易是您本人吗？"
    assert "100.00元" in document["body"]
    assert document["kind"] == "challenge_created"
    assert document["event"] == row.id
    assert (document["cardholder"], document["card"]) == (office.holder, office.card)
    assert document["challenge"] == row.event.facts["challenge"]
    assert document["language"] == "zh"


def test_a_question_that_comes_too_late_is_not_sent(office: Office) -> None:
    """From the instant of its end on it is pointless; a moment before it is not."""
    row = question(office)
    end_ms = row.event.facts["expires_ms"]
    assert isinstance(end_ms, int)
    assert set(sent(office.plan(row, end_ms - 1))) == {"sms", "push"}
    late = office.plan(row, end_ms)
    assert sent(late) == {}
    assert late.budgets == ()
    assert {status for status, _ in withheld(late).values()} == {Status.EXPIRED}


def test_a_question_without_phone_or_app_goes_by_letter() -> None:
    """Better late than never."""
    office = Office(frozenset((SMS, EMAIL)))
    office.person(phone="")
    assert sent(office.plan(question(office))) == {"email": EMAIL_ADDRESS}
    office.close()


def test_a_question_that_reaches_nobody_is_seen_to_have_failed() -> None:
    """One message without an address, so that the house marks the question undeliverable."""
    office = Office(frozenset((SMS, WEBHOOK)))
    office.person(phone="")
    row = question(office)
    (planned,) = office.plan(row).messages
    assert planned.status is Status.FAILED
    assert planned.detail == "there is no address to ask at"
    assert planned.message.challenge == row.event.facts["challenge"]
    assert planned.message.to == ""
    office.close()


def test_a_house_without_channels_leaves_questions_to_the_issuer() -> None:
    """With webhooks only, nobody is asked by us, and no question counts as undeliverable."""
    office = Office(frozenset((WEBHOOK,)))
    assert office.plan(question(office)).messages == ()
    office.close()


# Quiet hours.


@pytest.mark.parametrize(
    ("at_ms", "is_told"),
    [
        (TEN_PM - 1, True),
        (TEN_PM, False),
        (TEN_PM + 2 * HOUR, False),
        (TEN_PM + 9 * HOUR - 1, False),
        (TEN_PM + 9 * HOUR, True),
    ],
)
def test_quiet_hours_hold_from_their_start_to_their_end(
    office: Office, at_ms: int, *, is_told: bool
) -> None:
    """22:00 is quiet, 07:00 is not; across midnight."""
    office.prefer('{"transaction_declined": ["sms", "push", "email"]}', "22:00", "07:00")
    plan = office.plan(declined(office), at_ms)
    loud = {"sms": PHONE, "push": ""}
    # A letter wakes nobody.
    assert sent(plan) == {"email": EMAIL_ADDRESS} | (loud if is_told else {})
    if not is_told:
        assert withheld(plan) == dict.fromkeys(loud, (Status.MUTED, "quiet hours"))
        assert plan.budgets == ()


def test_quiet_hours_are_those_of_the_cards_own_clock() -> None:
    """Noon in Shanghai is four in the morning in London."""
    office = Office(time_zone="Europe/London")
    office.prefer(start="00:00", end="05:00")
    row = office.event(EventKind.TRANSACTION_DECLINED)
    assert withheld(office.plan(row, NOON)) == {"push": (Status.MUTED, "quiet hours")}
    assert sent(office.plan(row, NOON + HOUR)) == {"push": ""}
    office.close()


@pytest.mark.parametrize(
    "sample",
    [
        "challenge_created",
        "balance_inquired",
        "stop_placed",
        "stop_lifted",
        "loosening_pending",
        "conflict_seen",
        "control_updated.loosened",
        "permission_granted",
        "binding_switched.opened",
        "contact_changed",
    ],
)
def test_quiet_hours_never_mute_fraud_and_what_opens_the_card(office: Office, sample: str) -> None:
    """Whoever empties an account does it at night."""
    office.prefer(start="00:00", end="24:00")
    found = {s.name: s.row for s in samples()}[sample]
    plan = office.plan(replace(found, card_key=office.card_key), NOON)
    assert sent(plan)
    assert not withheld(plan)
    assert all(planned.message.is_urgent for planned in plan.messages)


# Preferences.


def test_an_alert_goes_to_the_app_and_by_sms_where_it_is_wanted(office: Office) -> None:
    """The house's way, then the cardholder's."""
    row = declined(office)
    assert sent(office.plan(row)) == {"push": ""}
    office.prefer('{"transaction_declined": ["sms"]}')
    plan = office.plan(row)
    assert sent(plan) == {"sms": PHONE}
    assert withheld(plan) == {"push": (Status.MUTED, "not wanted")}
    office.prefer('{"transaction_declined": []}')
    assert sent(office.plan(row)) == {}
    assert withheld(office.plan(row)) == {"push": (Status.MUTED, "not wanted")}
    office.prefer('{"balance_changed": []}')
    assert sent(office.plan(row)) == {"push": ""}


def test_without_an_app_alerts_go_by_sms_and_notes_nowhere() -> None:
    """What the cardholder asked to be told is told; what is good to know is not worth an SMS."""
    office = Office(frozenset((SMS, EMAIL)))
    assert sent(office.plan(declined(office))) == {"sms": PHONE}
    assert sent(office.plan(office.event(EventKind.LIMIT_NEARLY_REACHED))) == {}
    office.close()


def test_the_controls_own_channels_come_first(office: Office) -> None:
    """`balance_change_alert.channels`; `app` is the push. Without them the usual way."""
    office.world.issuer.set(
        office.card, "balance_change_alert", {"threshold": 0, "channels": ["sms", "app"]}
    )
    posting = {"card": office.card, "amount": -5_000, "business": "purchase", "balance": 100_000}
    assert office.world.issuer.post("/v1/postings", posting).status_code in (200, 201)
    row = office.rows(EventKind.BALANCE_CHANGED)[-1]
    office.prefer('{"balance_changed": ["email"]}')
    assert sent(office.plan(row)) == {"sms": PHONE, "push": ""}
    assert "支出50.00元" in only(office.plan(row), SMS).text
    assert sent(office.plan(office.event(EventKind.BALANCE_CHANGED))) == {"email": EMAIL_ADDRESS}


def test_a_preference_that_reaches_nobody_does_not_silence_what_may_be_fraud(
    office: Office,
) -> None:
    """Only letters were wanted, and there is no address: a question then goes the usual way."""
    office.prefer('{"challenge_created": ["email"], "transaction_declined": ["email"]}')
    office.person(email="")
    assert set(sent(office.plan(question(office)))) == {"sms"}
    assert sent(office.plan(office.event(EventKind.TRANSACTION_DECLINED))) == {}


def test_preferences_that_make_no_sense_are_as_if_not_chosen(office: Office) -> None:
    """A record of another version must not stop a message."""
    for kept in ("nonsense", "[1]", '{"transaction_declined": "sms"}', '{"x": ["sms"]}'):
        office.prefer(kept, "25:00", "x")
        assert sent(office.plan(office.event(EventKind.TRANSACTION_DECLINED))) == {"push": ""}
    office.prefer('{"challenge_created": []}')
    assert set(sent(office.plan(question(office)))) == {"sms"}


# What opens a card up.


def test_a_loosening_is_told_to_every_contact_old_and_new(office: Office) -> None:
    """For thirty days after a change; and who is told at a former number is told whom to call."""
    row = loosened(office)
    assert sent(office.plan(row)) == {"sms": PHONE, "email": EMAIL_ADDRESS}
    office.person(former_phone=OLD_PHONE, former_email=OLD_EMAIL, contact_changed_ms=NOON)
    everybody = {
        "sms": PHONE,
        "sms2": OLD_PHONE,
        "email": EMAIL_ADDRESS,
        "email2": OLD_EMAIL,
    }
    plan = office.plan(row, NOON + FORMER_CONTACT_MS - 1)
    assert sent(plan) == everybody
    texts = {p.message.id.rpartition("-")[2]: p.message.text for p in to_people(plan)}
    assert "回复ZF#1232" in texts["sms"]
    assert "ZF#" not in texts["sms2"] + texts["email2"]
    assert "请立即联系银行" in texts["sms2"]
    later = office.plan(row, NOON + FORMER_CONTACT_MS)
    assert sent(later) == {"sms": PHONE, "email": EMAIL_ADDRESS}


def test_a_number_that_was_taken_away_is_still_told(office: Office) -> None:
    """The first thing that a thief does."""
    office.person(phone="", email="", former_phone=PHONE, contact_changed_ms=NOON)
    assert sent(office.plan(loosened(office))) == {"sms2": PHONE}


def test_alerts_and_questions_do_not_go_to_former_contacts(office: Office) -> None:
    """A number may belong to a stranger by now."""
    office.person(former_phone=OLD_PHONE, former_email=OLD_EMAIL, contact_changed_ms=NOON)
    office.prefer('{"transaction_declined": ["sms", "email"]}')
    for row in (question(office), declined(office)):
        assert "sms2" not in sent(office.plan(row))
        assert "email2" not in sent(office.plan(row))


def test_no_preference_silences_a_loosening(office: Office) -> None:
    """Who has taken over the app must not be able to; it can only add a channel."""
    row = loosened(office)
    office.prefer('{"control_updated": []}')
    assert sent(office.plan(row)) == {"sms": PHONE, "email": EMAIL_ADDRESS}
    office.prefer('{"control_updated": ["push"]}')
    assert sent(office.plan(row)) == {"sms": PHONE, "email": EMAIL_ADDRESS, "push": ""}
    # A tightening is a note, and may be muted.
    tightening = office.rows(EventKind.CONTROL_UPDATED)[0]
    office.prefer('{"control_updated": []}')
    assert sent(office.plan(tightening)) == {}


def test_new_contact_data_are_told_once_for_all_cards_of_a_person(office: Office) -> None:
    """To the old contact and the new one, also where nobody loosens anything."""
    second = office.world.card(OTHER_PAN, cardholder=office.holder)
    path = f"/v1/cardholders/{office.holder}"
    assert office.world.issuer.patch(path, {"phone": "+8613700137000"}).status_code == 200
    rows = office.world.house.reader.events(limit=100)
    changes = [row for row in rows if row.event.kind is EventKind.CONTACT_CHANGED]
    assert len(changes) == 2
    plans = [sent(office.plan(row)) for row in changes]
    assert sorted(plans, key=len) == [
        {},
        {"sms": "+8613700137000", "sms2": PHONE, "email": EMAIL_ADDRESS},
    ]
    # A new device of one card is told by that card, whichever it is.
    office.world.at("2025-11-25T12:00:00Z")
    for card in (office.card, second):
        answer = office.world.issuer.patch(f"/v1/cards/{card}", {"contact_is_new": True})
        assert answer.status_code == 200
    rows = office.world.house.reader.events(limit=2)
    assert [row.event.kind for row in rows] == [EventKind.CONTACT_CHANGED] * 2
    assert all("sms" in sent(office.plan(row)) for row in rows)


def test_a_stop_that_came_by_sms_is_not_told_by_a_second_sms(office: Office) -> None:
    """Its reply has told of it; the app hears of it too. A stop in the app is told by SMS."""
    office.world.issuer.post(f"/v1/cards/{office.card}/stop")
    row = office.rows(EventKind.STOP_PLACED)[-1]
    assert sent(office.plan(row)) == {"sms": PHONE, "push": ""}
    by_sms = office.event(EventKind.STOP_PLACED, source="sms", reference="ZF00000001")
    assert sent(office.plan(by_sms)) == {"push": ""}


# Where messages never go.


def test_no_message_goes_to_an_address_that_came_in_an_event(office: Office) -> None:
    """Only what the bank keeps of the holder counts."""
    for kind in EventKind:
        row = office.event(
            kind,
            phone="+8613611112222",
            to="+8613611112222",
            email="evil@example.com",
            channels=["sms", "email", "+8613611112222"],
        )
        addresses = {planned.message.to for planned in office.plan(row).messages}
        assert addresses <= {PHONE, EMAIL_ADDRESS, ""}, kind


def test_cardholders_do_not_hear_what_is_for_operators(office: Office) -> None:
    """It goes to the operators' chat, with ids and without a person's data."""
    for kind in EventKind:
        plan = office.plan(office.event(kind, challenge="chg_1", controls=["night_lock"]))
        chat = [p.message for p in plan.messages if p.message.channel == CHAT]
        assert len(chat) == (1 if kind in CHAT_KINDS else 0)
        if kind in NOT_FOR_CARDHOLDERS:
            assert to_people(plan) == []
        for message in chat:
            assert office.card in message.text
            assert (message.to, message.challenge) == ("", "")


def test_only_configured_channels_are_used() -> None:
    """Nothing is planned for a channel that nobody would empty."""
    office = Office(frozenset())
    subscription = Subscription("sub_1", NOON, "https://bank.example/hook")
    office.keep(subscription)
    for kind in EventKind:
        planned = office.plan(office.event(kind)).messages
        if kind is EventKind.CHALLENGE_CREATED:
            assert [p.status for p in planned] == [Status.FAILED]
        else:
            assert planned == ()
    office.close()


def test_no_address_shows_in_ids_lanes_or_reasons(office: Office) -> None:
    """They may be logged and shown to operators."""
    office.person(former_phone=OLD_PHONE, contact_changed_ms=NOON)
    for sample in samples():
        for planned in office.plan(replace(sample.row, card_key=office.card_key)).messages:
            shown = f"{planned.message.id} {planned.message.lane} {planned.detail}"
            for address in (PHONE, OLD_PHONE, EMAIL_ADDRESS):
                assert address not in shown
                assert address.lstrip("+") not in shown


def test_the_same_event_makes_the_same_messages(office: Office) -> None:
    """Whatever crashes in between; ids and lanes tell addresses apart."""
    office.person(former_phone=OLD_PHONE, former_email=OLD_EMAIL, contact_changed_ms=NOON)
    row = loosened(office)
    first, again = office.plan(row), office.plan(row)
    assert first.messages == again.messages
    assert len({p.message.id for p in first.messages}) == len(first.messages) == 4
    assert len({p.message.lane for p in first.messages}) == 4
    # The next event of the card is in the same lanes.
    following = office.plan(office.event(EventKind.STOP_LIFTED, reference="ZF1"))
    assert {p.message.lane for p in following.messages} == {p.message.lane for p in first.messages}


def test_an_english_cardholder_reads_english(office: Office) -> None:
    """The language is the person's."""
    office.person(locale="en")
    message = only(office.plan(question(office)), SMS)
    assert message.language == "en"
    assert message.text.startswith("[Zhiwei] Card 1232: large payment of CNY 100.00")


def test_an_event_of_a_card_that_nobody_knows_is_told_by_webhook_only(office: Office) -> None:
    """There is no holder to tell."""
    office.keep(Subscription("sub_1", NOON, "https://bank.example/"))
    row = replace(office.event(EventKind.STOP_PLACED), card_key=bytes(16))
    assert [p.message.channel for p in office.plan(row).messages] == [WEBHOOK]


def test_a_card_whose_holder_is_not_known_has_nobody_to_ask(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question fails, everything else is silent."""
    reader = office.world.house.reader
    monkeypatch.setattr(reader, "record", lambda _kind, _id: None)
    plan = office.plan(office.event(EventKind.CHALLENGE_CREATED, challenge="chg_1"))
    assert [p.status for p in plan.messages] == [Status.FAILED]
    assert office.plan(office.event(EventKind.STOP_PLACED)).messages == ()


def test_former_contacts_are_told_for_thirty_days() -> None:
    """The rule that the page on messages promises."""
    assert FORMER_CONTACT_MS == 30 * DAY

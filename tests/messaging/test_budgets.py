"""How much may be sent, and who else hears of events."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.gateways.http.house import HOUR, NOON
from tests.messaging.office import PHONE, Office, only, sent, withheld

from zhiwei.core.event import EventKind
from zhiwei.messaging.budgets import block_of
from zhiwei.messaging.kinds import NEVER_SILENT
from zhiwei.messaging.model import SMS, WEBHOOK, Status
from zhiwei.messaging.settings import BudgetSettings
from zhiwei.ports import EventRow, Subscription

OLD_PHONE = "+8613900139000"


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


def loosened(office: Office) -> EventRow:
    """A lock that was taken off, with proof."""
    office.world.issuer.set(office.card, "card_lock")
    assert office.world.strong.remove(office.card, "card_lock").status_code == 200
    return office.rows(EventKind.CONTROL_UPDATED)[-1]


def test_a_block_is_the_number_without_its_last_digits() -> None:
    """Short numbers keep their country at least."""
    assert block_of(PHONE, 4) == "+861380013"
    assert block_of("+49", 4) == "+4"


def test_a_card_has_its_hour() -> None:
    """Past the budget messages are held back and counted nowhere; an hour later there is room."""
    office = Office(budgets=BudgetSettings(sms_per_card_hour=3))
    office.prefer('{"transaction_declined": ["sms"]}')
    row = office.event(EventKind.TRANSACTION_DECLINED)
    for _ in range(3):
        plan = office.plan(row, NOON)
        assert sent(plan) == {"sms": PHONE}
        assert len(plan.budgets) == 3
    plan = office.plan(row, NOON + HOUR)
    assert withheld(plan)["sms"] == (Status.HELD_BACK, "budget of the card is used up")
    assert plan.budgets == ()
    assert sent(office.plan(row, NOON + HOUR + 1)) == {"sms": PHONE}
    office.close()


def test_a_number_and_a_block_of_numbers_have_theirs() -> None:
    """Many cards at one number, and many numbers that begin alike (SMS pumping)."""
    budgets = BudgetSettings(sms_per_number_hour=2, sms_per_prefix_hour=3)
    office = Office(budgets=budgets)
    office.prefer('{"transaction_declined": ["sms"]}')
    row = office.event(EventKind.TRANSACTION_DECLINED)
    assert all(sent(office.plan(row)) for _ in range(2))
    assert withheld(office.plan(row))["sms"][1] == "budget of the number is used up"
    office.person(phone=PHONE[:-2] + "99")
    assert sent(office.plan(row))
    assert withheld(office.plan(row))["sms"][1] == "budget of the prefix is used up"
    # Numbers that begin otherwise are not held responsible.
    office.person(phone="+8613700137000")
    assert sent(office.plan(row))
    office.close()


def test_no_flood_of_alerts_uses_up_the_room_for_a_question() -> None:
    """Card, number and block are full of alerts, and the question goes out; so does a stop."""
    budgets = BudgetSettings(
        sms_per_card_hour=2,
        sms_per_number_hour=2,
        sms_per_prefix_hour=2,
        question_per_card_hour=1,
    )
    office = Office(frozenset((SMS,)), budgets)
    alert = office.event(EventKind.TRANSACTION_DECLINED)
    assert sum(bool(sent(office.plan(alert))) for _ in range(10)) == 2
    row = question(office)
    assert sent(office.plan(row)) == {"sms": PHONE}
    assert sent(office.plan(office.event(EventKind.STOP_LIFTED, reference="ZF1")))
    # The reserve is bounded too, and a question that it holds back has failed to reach anybody.
    held = office.plan(row)
    assert withheld(held)["sms"] == (Status.HELD_BACK, "budget of the question is used up")
    assert held.messages[0].message.challenge
    office.close()


def test_old_and_new_number_of_one_message_count_apart() -> None:
    """Two texts are two, also within one plan."""
    office = Office(budgets=BudgetSettings(sms_per_card_hour=1, question_per_card_hour=0))
    office.person(former_phone=OLD_PHONE, contact_changed_ms=NOON)
    plan = office.plan(loosened(office))
    assert {"sms", "email"} == set(sent(plan))
    assert withheld(plan)["sms2"][0] is Status.HELD_BACK
    office.close()


def test_a_budget_of_nothing_sends_nothing_but_says_so() -> None:
    """0 = none."""
    budgets = BudgetSettings(
        sms_per_card_hour=0,
        sms_per_number_hour=0,
        sms_per_prefix_hour=0,
        question_per_card_hour=0,
    )
    office = Office(frozenset((SMS,)), budgets)
    for kind in NEVER_SILENT:
        plan = office.plan(office.event(kind))
        assert sent(plan) == {}
        assert {status for status, _ in withheld(plan).values()} == {Status.HELD_BACK}
    office.close()


def test_a_webhook_goes_to_everybody_who_wants_the_kind(office: Office) -> None:
    """Of their kinds or of all; not where it was deleted or switched off."""
    hook = "https://bank.example/"
    office.keep(
        Subscription("sub_1", NOON, hook + "all"),
        Subscription("sub_2", NOON, hook + "stops", ("stop_placed",)),
        Subscription("sub_3", NOON, hook + "other", ("stop_lifted",)),
        Subscription("sub_4", NOON, hook + "gone", deleted_ms=NOON),
        Subscription("sub_5", NOON, hook + "off", disabled_ms=NOON),
    )
    row = office.event(EventKind.STOP_PLACED, reference="ZF1", source="app")
    hooks = [p.message for p in office.plan(row).messages if p.message.channel == WEBHOOK]
    assert [message.to for message in hooks] == ["sub_1", "sub_2"]
    assert [message.id for message in hooks] == ["msg_made-sub_1", "msg_made-sub_2"]
    assert {message.text for message in hooks} == {f'{{"id":"{row.id}"}}'}
    assert len({message.lane for message in hooks}) == 2
    internal = office.plan(office.event(EventKind.RULE_FAILED))
    assert only(internal, WEBHOOK).to == "sub_1"


def test_a_new_subscription_is_known_at_the_next_look(office: Office) -> None:
    """And not by chance earlier: who looks after reading events misses none."""
    row = office.event(EventKind.STOP_PLACED)
    office.plan(row)
    office.keep(*[Subscription(f"sub_{n:03}", NOON, "https://bank.example/") for n in range(250)])

    def told() -> int:
        return len([p for p in office.plan(row).messages if p.message.channel == WEBHOOK])

    assert told() == 0
    assert office.planner.look()
    assert told() == 250


def test_with_webhooks_only_and_no_subscriber_nobody_is_told() -> None:
    """Then events may be passed over; with a channel of the house's own never."""
    alone, own = Office(frozenset((WEBHOOK,))), Office(frozenset((SMS,)))
    assert not alone.planner.look()
    alone.keep(Subscription("sub_1", NOON, "https://bank.example/"))
    assert alone.planner.look()
    alone.keep(Subscription("sub_1", NOON, "https://bank.example/", disabled_ms=NOON))
    assert not alone.planner.look()
    assert own.planner.look()
    alone.close()
    own.close()

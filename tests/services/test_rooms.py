"""What the tables cannot say: reports of the check-up, alerts by themselves, the lists."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.strategies import START_MS, ZONES

from zhiwei.core.card_state import (
    CHAIN_START,
    Binding,
    CardState,
    CardStatus,
    Profile,
    Settings,
)
from zhiwei.core.command import Command, Post
from zhiwei.core.controls import CONTROL_TYPES, Controls, DeclineAlert, RegionLock
from zhiwei.core.documents import control_from
from zhiwei.core.entry import Entry
from zhiwei.core.finding import Outcome
from zhiwei.core.ids import card_id
from zhiwei.core.policy import DEFAULT_POLICY
from zhiwei.core.windows import Moment
from zhiwei.core.zone import DAY_MS
from zhiwei.services import JUDGES, LOOSENS, decline_alert, security_checkup, stop_payment
from zhiwei.services.security_checkup import CardHistory, Mode

NOW_MS = START_MS + 400 * DAY_MS


def a_card(number: int, **settings: object) -> CardState:
    """A card of the customer, without any control unless told."""
    profile = Profile(
        "holder",
        f"{number:04}",
        "CNY",
        ZONES[0],
        has_chip=True,
        network="unionpay",
        status=CardStatus.ACTIVE,
        created_ms=START_MS + number,
    )
    key = number.to_bytes(16, "big")
    return CardState(key, 1, START_MS, CHAIN_START, replace(Settings(profile), **settings))  # type: ignore[arg-type]  # fields by name


def test_every_control_says_what_loosens_it_and_every_judge_has_a_name_of_its_own() -> None:
    """The lists of the house are whole."""
    assert list(LOOSENS) == list(CONTROL_TYPES)
    names = [name for name, _ in JUDGES]
    assert len(set(names)) == len(names)
    judged = set(CONTROL_TYPES) - {
        "balance_inquiry_alert",
        "balance_change_alert",
        "decline_alert",
    }
    assert judged <= set(names)


def test_a_check_that_fails_on_some_cards_costs_its_share() -> None:
    """Two cards of three without a region lock cost two thirds of its five points, rounded."""
    bare, other, locked = a_card(1), a_card(2), a_card(3)
    locked = a_card(3, controls=Controls(region_lock=RegionLock(("11",))))
    report = security_checkup.examine([locked, other, bare], [], DEFAULT_POLICY, NOW_MS, Mode.QUICK)
    found = [f for f in report.findings if f.id == "region_lock_off"]
    assert [(f.card, f.points) for f in found] == [
        (card_id(other.card_key), 2),
        (card_id(bare.card_key), 1),
    ]
    assert report.score == 100 - sum(f.points for f in report.findings)
    assert report.cards == tuple(card_id(c.card_key) for c in (bare, other, locked))


def test_the_report_does_not_depend_on_the_order_of_cards() -> None:
    """The same customer reads the same report, byte for byte."""
    cards = [a_card(n) for n in (1, 2, 3)]
    histories = [CardHistory(card.card_key, START_MS) for card in cards]
    one = security_checkup.examine(cards, histories, DEFAULT_POLICY, NOW_MS, Mode.FULL)
    two = security_checkup.examine(cards[::-1], histories[::-1], DEFAULT_POLICY, NOW_MS, Mode.FULL)
    assert security_checkup.document(one) == security_checkup.document(two)


def test_the_document_says_what_was_checked_and_what_was_not_and_why() -> None:
    """A quick check-up names what it left out."""
    report = security_checkup.examine([a_card(1)], [], DEFAULT_POLICY, NOW_MS, Mode.QUICK)
    document = security_checkup.document(report)
    assert document["rules_version"] == security_checkup.RULES_VERSION
    assert {"id": "unsafe_device", "why": "mode"} in document["skipped"]
    assert {"id": "dormant", "why": "mode"} in document["skipped"]
    full = security_checkup.examine([a_card(1)], [], DEFAULT_POLICY, NOW_MS, Mode.FULL)
    assert full.skipped == (("unsafe_device", "no_device_data"),)
    fixes = [f["fix"] for f in document["findings"] if f["fix"] is not None]
    for fix in fixes:
        assert fix["path"].startswith(f"/v1/cards/{card_id(a_card(1).card_key)}/controls/")
        control_from(fix["path"].rpartition("/")[2], fix["body"])


def test_a_customer_without_cards_has_nothing_to_mend() -> None:
    """The score is full and there is no next step."""
    report = security_checkup.examine([], [], DEFAULT_POLICY, NOW_MS, Mode.FULL)
    assert (report.score, report.grade, report.next_step) == (100, "excellent", -1)
    assert security_checkup.document(report)["next_step"] is None


def test_the_link_to_end_is_the_one_used_longest_ago_on_any_card() -> None:
    """A card whose use is not known counts as never used."""
    links = tuple(
        Binding(f"b{n}", f"I{n}", "", START_MS + n, is_open=True, is_licensed=True)
        for n in range(5)
    )
    one = a_card(1, bindings=links)
    two = a_card(2, bindings=(replace(links[0], id="b9", institution="I9"),))
    used = tuple((f"I{n}", NOW_MS - DAY_MS) for n in range(5))
    histories = [CardHistory(one.card_key, START_MS, debits=5, institutions=used)]
    report = security_checkup.examine([one, two], histories, DEFAULT_POLICY, NOW_MS, Mode.FULL)
    found = next(f for f in report.findings if f.id == "many_bindings")
    assert found.fix is not None
    assert (found.fix.method, found.fix.path) == ("DELETE", "/v1/bindings/b9")
    assert found.sentence == "never_used"


def test_all_points_together_are_a_hundred() -> None:
    """A customer who fails every check has a score of nothing."""
    links = tuple(
        Binding(f"b{n}", f"I{n}", "", START_MS, is_open=True, is_licensed=False) for n in range(6)
    )
    card = a_card(1, bindings=links)
    bare = replace(card.settings, profile=replace(card.settings.profile, has_chip=False))
    worst = CardState(card.card_key, 1, START_MS, CHAIN_START, bare)
    device = security_checkup.Device(is_rooted=True)
    report = security_checkup.examine([worst], [], DEFAULT_POLICY, NOW_MS, Mode.FULL, device)
    assert (report.score, report.grade) == (0, "poor")


def test_the_decline_alert_tells_of_refused_messages_only() -> None:
    """An entry without a message has nothing to tell."""
    card = a_card(1, controls=Controls(decline_alert=DeclineAlert()))
    posting = Command(card.card_key, change=Post(1, None, "x"))
    entry = Entry(
        version=2,
        now_ms=NOW_MS,
        filed_ms=NOW_MS,
        command=posting,
        outcome=Outcome.REFUSE,
        policy_version="v",
    )
    moment = Moment(NOW_MS, ZONES[0])
    assert decline_alert.notice(DEFAULT_POLICY, card, entry, moment).events == ()


@given(st.text(max_size=300))
def test_any_text_message_is_read_without_an_error(text: str) -> None:
    """What is not a command is unreadable; a tail always has four digits."""
    command = stop_payment.read_command(text)
    assert command.tail == "" or (len(command.tail) == 4 and command.tail.isdigit())


@pytest.mark.parametrize("blank", [" ", "\u3000", "\u200b", "\ufeff", "\n", "\u00a0"])
def test_blanks_of_every_kind_do_not_matter(blank: str) -> None:
    """Phones put in what nobody sees."""
    command = stop_payment.read_command(blank.join("ZF#1234"))
    assert (command.kind, command.tail) == (stop_payment.CommandKind.STOP_TAIL, "1234")


def test_a_text_longer_than_any_command_is_not_one() -> None:
    """Even if it begins like one."""
    command = stop_payment.read_command("ZF" + " " * stop_payment.TEXT_MAX)
    assert command.kind is stop_payment.CommandKind.UNREADABLE

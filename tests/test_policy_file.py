"""The policy file: what it says is what holds, and a typing error never becomes a default."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from zhiwei.core.controls import Limit, LimitChannel, Measure, Period
from zhiwei.core.policy import DEFAULT_POLICY, BalanceAlertsFrom, OnUnknown
from zhiwei.policy_file import (
    POLICY_SETTINGS,
    PolicyError,
    load_policy,
    policy_of_stored,
    stored_text,
)

WHOLE = """
name = "spring"
on_unknown_location_atm = "challenge"
on_unknown_location_pos = "allow"
refuse_when_a_rule_fails = false
closed_mccs = ["7995"]
flagged_terminals = ["01020000/T0000001"]
licensed_institutions = ["48212200"]
magstripe_threshold = 1_000_000
challenge_minutes = 5
pass_minutes = 10
challenges_per_hour = 3
sms_may_approve = false
hold_days = 7
cooling_off_hours = 12
new_contact_cooling_off_hours = 24
inquiry_alert_every_minutes = 30
permission_max_days = 30
balance_alerts_from = "postings"

[[ceilings]]
channel = "atm_withdrawal"
measure = "amount"
period = "day"
amount = 2_000_000
"""


def written(tmp_path: Path, text: str) -> Path:
    """A policy file of a text."""
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_policy_is_read(tmp_path: Path) -> None:
    """Every setting of the file is in the policy, in the core's own units."""
    policy = load_policy(written(tmp_path, WHOLE))
    assert policy.version.startswith("spring-")
    assert policy.on_unknown_location_atm is OnUnknown.CHALLENGE
    assert policy.balance_alerts_from is BalanceAlertsFrom.POSTINGS
    assert policy.hold_ms == 7 * 86_400_000
    assert policy.cooling_off_ms == 12 * 3_600_000
    assert policy.ceilings == (
        Limit(LimitChannel.ATM_WITHDRAWAL, Measure.AMOUNT, Period.DAY, 2_000_000),
    )
    assert set(POLICY_SETTINGS) == {
        line.split(" =")[0].strip("[]") for line in WHOLE.splitlines() if " = " in line
    } - {"channel", "measure", "period", "amount"} | {"ceilings"}


def test_an_empty_file_is_the_default_under_another_name(tmp_path: Path) -> None:
    """What is not said stays as it is; only the version tells the file."""
    policy = load_policy(written(tmp_path, ""))
    assert replace(policy, version=DEFAULT_POLICY.version) == DEFAULT_POLICY


def test_another_text_is_another_version(tmp_path: Path) -> None:
    """No two different files share a version."""
    first = load_policy(written(tmp_path, "hold_days = 7")).version
    second = load_policy(written(tmp_path, "hold_days = 8")).version
    assert first != second


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("balance_alerts_from = 'core'", "postings, authorizations, both"),
        ("hold_day = 7", "`hold_day` is not a setting"),
        ('hold_days = "7"', "whole number"),
        ("hold_days = -1", "at least 0"),
        ("hold_days = true", "whole number"),
        ("sms_may_approve = 1", "true or false"),
        ("name = 3", "is a text"),
        ("closed_mccs = '7995'", "list of texts"),
        ("closed_mccs = ['799']", "four digits"),
        ("closed_mccs = ['７９９５']", "four digits"),
        ("on_unknown_location_atm = 'maybe'", "decline, allow, challenge"),
        ("ceilings = 3", "list of tables"),
        ("[[ceilings]]\nchannel = 'atm'", "needs channel"),
        (
            "[[ceilings]]\nchannel = 'moon'\nmeasure = 'amount'\nperiod = 'day'\namount = 1",
            "/ceilings/0/channel",
        ),
        ("hold_days = ", "not TOML"),
    ],
)
def test_a_wrong_policy_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """The message names the setting and what it may be."""
    with pytest.raises(PolicyError, match=message):
        load_policy(written(tmp_path, text))


def test_a_policy_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A wrong path is not the default policy."""
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path / "none.toml")


def test_a_stored_policy_comes_back(tmp_path: Path) -> None:
    """What is kept with the decisions is the whole policy, so that they can be replayed."""
    for policy in (DEFAULT_POLICY, load_policy(written(tmp_path, WHOLE))):
        assert policy_of_stored(stored_text(policy)) == policy
    with pytest.raises(PolicyError, match="cannot be read"):
        policy_of_stored("{")


def test_a_stored_policy_from_before_the_choice_told_of_postings_only() -> None:
    """Old decisions are replayed as they were made."""
    document = json.loads(stored_text(DEFAULT_POLICY))
    del document["balance_alerts_from"]
    old = policy_of_stored(json.dumps(document))
    assert old.balance_alerts_from is BalanceAlertsFrom.POSTINGS

"""What counts as a loosening of the policy, held against the decisions themselves."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from tests.core.strategies import files, policies, requests

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import Limit, LimitChannel, Measure, Period
from zhiwei.core.decide import decide
from zhiwei.core.policy import DEFAULT_POLICY, BalanceAlertsFrom, OnUnknown, Policy
from zhiwei.core.policy_order import ORDERED_SETTINGS, loosens
from zhiwei.core.request import Request
from zhiwei.core.windows import Moment
from zhiwei.services import JUDGES

DAILY = Limit(LimitChannel.POS, Measure.AMOUNT, Period.DAY, 1000)
#: For each setting a stricter and a looser value; where neither is looser, two that are alike.
LOOSER: dict[str, tuple[Any, Any]] = {
    "on_unknown_location_atm": (OnUnknown.DECLINE, OnUnknown.CHALLENGE),
    "on_unknown_location_pos": (OnUnknown.CHALLENGE, OnUnknown.ALLOW),
    "refuse_when_a_rule_fails": (True, False),
    "ceilings": ((DAILY,), (replace(DAILY, value=1001),)),
    "closed_mccs": (frozenset({"7995", "6011"}), frozenset({"7995"})),
    "flagged_terminals": (frozenset({"T1"}), frozenset[str]()),
    "magstripe_threshold": (500, -1),
    "challenge_ms": (1, 2),
    "pass_ms": (1, 2),
    "challenges_per_hour": (1, 2),
    "sms_may_approve": (False, True),
    "cooling_off_ms": (2, 1),
    "new_contact_cooling_off_ms": (2, 1),
    "permission_max_ms": (1, 2),
}
ALIKE: dict[str, tuple[Any, Any]] = {
    "version": ("a-1", "b-2"),
    "licensed_institutions": (None, frozenset({"1"})),
    "inquiry_alert_every_ms": (1, 2),
    "balance_alerts_from": (BalanceAlertsFrom.BOTH, BalanceAlertsFrom.POSTINGS),
}


def test_every_setting_was_thought_about() -> None:
    """A new setting has its own answer to "does it loosen?", in the code and in these tests."""
    names = tuple(field.name for field in fields(Policy))
    assert names == ORDERED_SETTINGS
    assert set(names) == set(LOOSER) | set(ALIKE) | {"hold_ms"}


@pytest.mark.parametrize("name", LOOSER)
def test_only_one_direction_loosens(name: str) -> None:
    """The looser value loosens; the way back, and staying, do not."""
    strict, loose = (replace(DEFAULT_POLICY, **{name: value}) for value in LOOSER[name])
    assert loosens(strict, loose) == (name,)
    assert loosens(loose, strict) == ()
    assert loosens(loose, loose) == ()


@pytest.mark.parametrize("name", ALIKE)
def test_what_answers_nothing_does_not_loosen(name: str) -> None:
    """Names, alerts and the list for the check-up move no answer."""
    one, other = (replace(DEFAULT_POLICY, **{name: value}) for value in ALIKE[name])
    assert loosens(one, other) == loosens(other, one) == ()


def test_a_hold_loosens_both_ways() -> None:
    """A shorter one gives back earlier, a longer one lets a late completion pass."""
    longer = replace(DEFAULT_POLICY, hold_ms=DEFAULT_POLICY.hold_ms + 1)
    assert loosens(DEFAULT_POLICY, longer) == loosens(longer, DEFAULT_POLICY) == ("hold_ms",)


def test_a_ceiling_may_be_replaced_by_a_stricter_one() -> None:
    """Of a wider channel or a longer period, since that refuses whatever the first one did."""
    wider = Limit(LimitChannel.ALL, Measure.AMOUNT, Period.MONTH, 1000)
    old, new = (replace(DEFAULT_POLICY, ceilings=(each,)) for each in (DAILY, wider))
    assert loosens(old, new) == ()
    assert loosens(new, old) == ("ceilings",)


@given(policies, policies, files(), requests())
def test_no_refusal_becomes_softer_unless_it_is_said(
    old: Policy, new: Policy, file: tuple[CardState, Moment], request: Request
) -> None:
    """Where no setting loosens, every answer is as strict as it was, or stricter."""
    if loosens(old, new):
        # What is tightened of both is no loosening of the first.
        new = replace(
            old,
            ceilings=(*old.ceilings, *new.ceilings),
            closed_mccs=old.closed_mccs | new.closed_mccs,
            flagged_terminals=old.flagged_terminals | new.flagged_terminals,
        )
    assert loosens(old, new) == ()
    state, moment = file
    before = decide(JUDGES, old, state, request, moment).outcome
    after = decide(JUDGES, new, state, request, moment).outcome
    assert after >= before

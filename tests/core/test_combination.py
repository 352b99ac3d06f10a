"""The combination: strictest wins, all findings are kept, order changes nothing."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.core.strategies import (
    changes_of_one_control,
    files,
    policies,
    requests,
    tightened_limits,
    with_controls,
)

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import Limits
from zhiwei.core.decide import Verdict, decide
from zhiwei.core.finding import Finding, Findings, Outcome
from zhiwei.core.policy import DEFAULT_POLICY, Policy
from zhiwei.core.reason import LIFTABLE_BY_PERMISSION, Reason
from zhiwei.core.request import Kind, Request
from zhiwei.core.windows import Moment
from zhiwei.services import INCREMENT_JUDGES, JUDGES, LOOSENS


def plain(verdict: Verdict) -> tuple[Any, ...]:
    """A verdict as something that can be compared."""
    return (
        verdict.outcome,
        [(f.outcome, f.reason, f.control, f.facts, f.lifted_by) for f in verdict.findings],
        sorted(p.id for p in verdict.permissions),
    )


@given(files(), policies, requests(), st.randoms(use_true_random=False))
def test_the_order_of_the_judges_changes_nothing(
    file: tuple[CardState, Moment], policy: Policy, request: Request, dice: random.Random
) -> None:
    """Shuffled judges give the same outcome, the same findings in the same order."""
    state, moment = file
    shuffled = list(JUDGES)
    dice.shuffle(shuffled)
    in_order = decide(JUDGES, policy, state, request, moment)
    assert plain(decide(tuple(shuffled), policy, state, request, moment)) == plain(in_order)


@given(files(), policies, requests())
def test_the_strictest_finding_that_stands_wins(
    file: tuple[CardState, Moment], policy: Policy, request: Request
) -> None:
    """Refuse beats challenge beats approve; and nothing that may not be lifted is lifted."""
    state, moment = file
    verdict = decide(JUDGES, policy, state, request, moment)
    standing = [f.outcome for f in verdict.findings if f.stands]
    assert verdict.outcome is max(standing, default=Outcome.APPROVE)
    for finding in verdict.findings:
        assert finding.stands or finding.reason in LIFTABLE_BY_PERMISSION
    used = {p.id for p in verdict.permissions}
    assert used == {f.lifted_by for f in verdict.findings if not f.stands}


@given(files(), policies, requests(), changes_of_one_control())
def test_a_tightening_never_turns_a_refusal_into_an_approval(
    file: tuple[CardState, Moment],
    policy: Policy,
    request: Request,
    change: tuple[str, Any, Any],
) -> None:
    """For the same request and counters, what is called no loosening is at least as strict."""
    state, moment = file
    control_type, old, new = change
    if LOOSENS[control_type](old, new):
        return
    held = state.settings.controls
    before = with_controls(state, held.changed(control_type, old))
    after = with_controls(state, held.changed(control_type, new))
    was = decide(JUDGES, policy, before, request, moment).outcome
    assert decide(JUDGES, policy, after, request, moment).outcome >= was


@given(files(), policies, requests(), tightened_limits())
def test_limits_that_imply_the_old_ones_tighten(
    file: tuple[CardState, Moment],
    policy: Policy,
    request: Request,
    change: tuple[Limits, Limits],
) -> None:
    """Lower values, wider channels and longer periods are recognised as tightening, and are."""
    state, moment = file
    old, new = change
    assert not LOOSENS["limits"](old, new)
    held = state.settings.controls
    before = with_controls(state, held.changed("limits", old))
    after = with_controls(state, held.changed("limits", new))
    was = decide(JUDGES, policy, before, request, moment).outcome
    assert decide(JUDGES, policy, after, request, moment).outcome >= was


@given(files(), policies, requests(), changes_of_one_control())
def test_adding_a_control_where_there_was_none_never_loosens_an_answer(
    file: tuple[CardState, Moment],
    policy: Policy,
    request: Request,
    change: tuple[str, Any, Any],
) -> None:
    """Controls only tighten: with one more of them the answer is at least as strict."""
    state, moment = file
    control_type, _, new = change
    held = state.settings.controls
    without = with_controls(state, held.changed(control_type, None))
    having = with_controls(state, held.changed(control_type, new))
    was = decide(JUDGES, policy, without, request, moment).outcome
    assert decide(JUDGES, policy, having, request, moment).outcome >= was


@given(files(), policies, requests())
def test_what_never_takes_money_is_never_refused_by_a_judge(
    file: tuple[CardState, Moment], policy: Policy, request: Request
) -> None:
    """Deposits, incoming transfers, refunds and voids get no finding from any room."""
    state, moment = file
    if request.kind in (Kind.DEPOSIT, Kind.TRANSFER_IN, Kind.REFUND, Kind.VOID):
        assert decide(JUDGES, policy, state, request, moment).findings == ()


def _broken(policy: Policy, state: CardState, request: Request, moment: Moment) -> Findings:
    raise ValueError


@given(files(), requests())
def test_a_rule_that_fails_refuses_and_says_so_and_the_others_still_speak(
    file: tuple[CardState, Moment], request: Request
) -> None:
    """The failure is a finding with the name of the rule and of the error."""
    state, moment = file
    judges = (("broken", _broken), *JUDGES)
    verdict = decide(judges, DEFAULT_POLICY, state, request, moment)
    whole = decide(JUDGES, DEFAULT_POLICY, state, request, moment)
    assert verdict.outcome is Outcome.REFUSE
    failed = [f for f in verdict.findings if f.reason is Reason.RULE_FAILED]
    assert [(f.control, f.facts) for f in failed] == [("broken", (("error", "ValueError"),))]
    assert len(verdict.findings) == len(whole.findings) + 1


@given(files(), requests())
def test_the_operators_stand_in_policy_lets_the_others_decide(
    file: tuple[CardState, Moment], request: Request
) -> None:
    """With `refuse_when_a_rule_fails` off, a failed rule is recorded and weighs nothing."""
    state, moment = file
    policy = Policy(refuse_when_a_rule_fails=False)
    judges = (*JUDGES, ("broken", _broken))
    verdict = decide(judges, policy, state, request, moment)
    assert verdict.outcome is decide(JUDGES, policy, state, request, moment).outcome
    assert Reason.RULE_FAILED in [f.reason for f in verdict.findings]


def test_an_increment_is_shown_to_status_stop_lock_and_limits_only() -> None:
    """Place and time were judged with the original."""
    names = [name for name, _ in INCREMENT_JUDGES]
    assert names == ["card_status", "stop_payment", "card_lock", "limits"]


def test_a_finding_says_whether_it_stands() -> None:
    """A finding that a permission lifted does not stand."""
    standing = Finding(Outcome.REFUSE, Reason.NIGHT_LOCK_ACTIVE, "night_lock")
    lifted = Finding(Outcome.REFUSE, Reason.NIGHT_LOCK_ACTIVE, "night_lock", (), "exc_1")
    assert (standing.stands, lifted.stands) == (True, False)

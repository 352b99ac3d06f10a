"""A rule that fails inside: it refuses, it is told, and it is counted under its name."""

from __future__ import annotations

from dataclasses import replace

from tests.core.histories import POLICY
from tests.guardian.test_bounds import a_card, sent

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Command
from zhiwei.core.event import EventKind
from zhiwei.core.finding import Findings, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.request import Request
from zhiwei.core.result import Related
from zhiwei.core.windows import Moment
from zhiwei.guardian import HOUSE_RULES, Guardian
from zhiwei.metrics import Metrics


def failing(policy: Policy, state: CardState, request: Request, moment: Moment) -> Findings:
    """A judge with a bug in it."""
    raise KeyError("nobody thought of this")


def test_a_rule_that_fails_is_told_and_counted() -> None:
    """The request is refused; an event names the rule, and so does the series that is watched."""
    first = sent(a_card())
    assert first.entry is not None
    assert first.state is not None
    judges = (("night_lock", failing), *HOUSE_RULES.judges)
    guardian = Guardian(POLICY, replace(HOUSE_RULES, judges=judges))
    command = Command(first.state.card_key, request=first.entry.command.request)
    result = guardian.step(first.state, Related(), command, first.entry.now_ms + 1)
    assert result.entry is not None
    assert result.entry.outcome is Outcome.REFUSE
    (event,) = [e for e in result.events if e.kind is EventKind.RULE_FAILED]
    assert event.facts == {"controls": ["night_lock"]}
    metrics = Metrics()
    metrics.observe_batch([first, result], waited_seconds=0.1, commit_seconds=0.1, queue=0)
    assert b'zhiwei_rule_failures_total{rule="night_lock"} 1.0' in metrics.text()

"""Random sequences: they hold every rule, a broken rule is noticed, and what they once found."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from zhiwei.bench.sequence_acts import POLICIES, Act, Sequence, draw
from zhiwei.bench.sequence_play import Player
from zhiwei.bench.sequence_rules import BrokenRuleError, Happening, sums_of
from zhiwei.bench.sequences import SequenceOptions, broken_by, line_of, sequences, smallest
from zhiwei.cli.main import app
from zhiwei.core.card_state import CardState
from zhiwei.core.entry import Flag
from zhiwei.core.request import Channel, Kind, Medium
from zhiwei.core.usage import Booking, moved
from zhiwei.core.windows import Moment

BEGIN_MS = 1_772_409_600_000
FORM_LIMITS_THAT_RESTORE = 1


def act(number: int, verb: str, of: int = -1, amount: int = 0, **more: object) -> Act:
    """One act at the tenth second after the one before; it names its original by version."""
    usual = Act(
        number=number,
        at_ms=BEGIN_MS + number * 10_000,
        verb=verb,
        of=of,
        amount=amount,
        kind=Kind.PURCHASE,
        channel=Channel.POS,
        medium=Medium.CHIP,
        currency="CNY",
        billed=-1,
        country="CHN",
        merchant="M1",
        names_version=True,
        has_trace=True,
        form=0,
    )
    return replace(usual, **more)  # type: ignore[arg-type]  # the fields of an Act, by name


def played(*acts: Act) -> list[Happening]:
    """The steps of a card in Shanghai; every rule is held."""
    steps: list[Happening] = []
    Player(Sequence(0, "Asia/Shanghai", "CNY", POLICIES[0], BEGIN_MS, acts), steps.append).play()
    return steps


def held(step: Happening) -> tuple[int, int]:
    """What the group of a step holds in the counters."""
    entry = step.result.entry
    assert entry is not None
    assert entry.group is not None
    return sums_of(entry.group)


def test_random_sequences_break_no_rule() -> None:
    """A few hundred sequences; nearly everything that can happen happens in them."""
    report = sequences(SequenceOptions(count=300, seed=7_000, processes=1))
    assert report.failures == []
    assert report.is_clean
    assert report.steps > 1500
    happened = {answer.partition(":")[0] for answer in report.answers}
    assert {"reverse", "reverse partly", "void", "complete", "increment", "late"} <= happened
    assert {"conflict: refuse", "repeat: the same answer again"} <= set(report.answers)


def test_the_report_is_told_to_machines_too() -> None:
    """`--json` prints one object, with the answers by their names."""
    words = ["bench", "sequences", "--count", "5", "--processes", "1", "--json"]
    told = json.loads(CliRunner().invoke(app, words).stdout)
    assert told["clean"] is True
    assert told["sequences"] == 5
    assert sum(told["answers"].values()) == told["steps"]


def test_two_processes_play_the_same_as_one() -> None:
    """How the work is shared changes nothing."""
    one = sequences(SequenceOptions(count=520, seed=3, processes=1))
    two = sequences(SequenceOptions(count=520, seed=3, processes=2))
    assert (one.steps, one.answers, one.sequences) == (two.steps, two.answers, two.sequences)


def test_a_counter_that_is_wrong_is_noticed() -> None:
    """One minor unit too much in the day's counter is found by the recount."""

    def harm(state: CardState) -> CardState:
        moment = Moment(state.last_ms, state.settings.profile.zone)
        booking = Booking(1, 0, 1, moment.day, moment.week, moment.month, moment.year)
        return state.followed_by(state.last_ms, usage=moved(state.usage, booking, 1, 0))

    sequence = Sequence(
        0, "Asia/Shanghai", "CNY", POLICIES[0], BEGIN_MS, (act(0, "send", amount=5),)
    )
    with pytest.raises(BrokenRuleError, match="counters equal the recount"):
        Player(sequence, do_harm=harm).play()


def test_a_failing_sequence_is_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the acts that are needed to break the rule stay, and they can be read."""
    seed = next(s for s in range(100) if any(a.verb == "void" for a in draw(s).acts[1:]))

    def refuse_voids(self: object, happening: Happening) -> None:
        if happening.act.verb == "void":
            raise BrokenRuleError("no voids", "there was one")

    monkeypatch.setattr("zhiwei.bench.sequence_rules.Auditor.judge", refuse_voids)
    failure = broken_by(draw(seed))
    assert failure is not None
    small = smallest(failure)
    assert small.seed == seed
    assert len(small.trace) == 3
    assert " void of #" in small.trace[-1]


def test_the_reversal_of_an_advised_completion_of_a_purchase_restores_what_stood() -> None:
    """Once it raised, since nothing had written down what stood before."""
    steps = played(
        act(0, "send", amount=100),
        act(1, "complete", of=0, amount=150, form=1),
        act(2, "reverse", of=1),
    )
    assert [held(step) for step in steps] == [(100, 1), (150, 1), (100, 1)]


def test_a_changed_purchase_outlives_the_reversal_of_its_advised_completion() -> None:
    """An increment that came after it is not lost: the reversal has no effect then."""
    steps = played(
        act(0, "send", amount=100),
        act(1, "complete", of=0, amount=80, form=1),
        act(2, "increment", of=0, amount=20),
        act(3, "reverse", of=1),
    )
    assert [held(step) for step in steps] == [(100, 1), (80, 1), (100, 1), (100, 1)]
    assert steps[-1].result.entry is not None
    assert steps[-1].result.entry.flags & Flag.NO_EFFECT


def test_after_the_reversal_of_a_void_a_refund_is_still_given_back() -> None:
    """What stood before the void was less than what was approved."""
    steps = played(
        act(0, "limits", form=FORM_LIMITS_THAT_RESTORE),
        act(1, "send", amount=100),
        act(2, "refund", of=1, amount=40),
        act(3, "void", of=1),
        act(4, "reverse", of=3),
    )
    assert [held(step) for step in steps[1:]] == [(100, 1), (60, 1), (0, 0), (60, 1)]


def test_a_partial_reversal_of_an_untold_amount_keeps_its_count() -> None:
    """Nobody told the amount in the card's currency: half of it still stands, as one purchase."""
    steps = played(
        act(0, "send", amount=1000, currency="THB"),
        act(1, "reverse partly", of=0, amount=500, currency="THB"),
    )
    assert [held(step) for step in steps] == [(0, 1), (0, 1)]


def test_a_reversal_down_to_nothing_is_a_whole_one() -> None:
    """Also where the first message was of nothing and an increment made it something."""
    steps = played(
        act(0, "send", amount=0, currency="THB", billed=0),
        act(1, "increment", of=0, amount=500, currency="THB", billed=1500),
        act(2, "reverse partly", of=0, amount=0, currency="THB", billed=0),
    )
    assert [held(step) for step in steps] == [(0, 1), (1500, 1), (0, 0)]


@pytest.mark.parametrize("seed", [2762, 3341, 3849, 20902, 33700, 33750, 38244, 57198])
def test_a_sequence_that_once_broke_a_rule_breaks_none(seed: int) -> None:
    """Found by the first hundred thousand."""
    assert broken_by(draw(seed)) is None


def test_a_follow_up_is_not_taken_back_again_after_its_keys_are_forgotten() -> None:
    """Eight days later nobody knows of the first reversal; the second must have no effect."""
    steps = played(
        act(0, "send", amount=100),
        act(1, "increment", of=0, amount=20),
        act(2, "reverse", of=1),
        act(3, "reverse", of=1, at_ms=BEGIN_MS + 8 * 86_400_000),
    )
    assert [held(step) for step in steps] == [(100, 1), (120, 1), (100, 1), (100, 1)]


def test_a_partial_reversal_may_leave_more_than_the_first_message_asked_for() -> None:
    """100 raised by 20 may be taken back down to 110."""
    steps = played(
        act(0, "send", amount=100),
        act(1, "increment", of=0, amount=20),
        act(2, "reverse partly", of=0, amount=110),
    )
    assert [held(step) for step in steps] == [(100, 1), (120, 1), (110, 1)]


def test_an_increment_of_an_old_purchase_counts_today_and_no_second_time() -> None:
    """After 400 days the recount has forgotten the purchase, and still agrees."""
    later = 400 * 86_400_000
    steps = played(
        act(0, "send", amount=100),
        act(1, "send", amount=1, at_ms=BEGIN_MS + later),
        act(2, "increment", of=0, amount=20, at_ms=BEGIN_MS + later),
        act(3, "reverse partly", of=0, amount=110, at_ms=BEGIN_MS + later),
    )
    assert [held(step) for step in steps] == [(100, 1), (1, 1), (120, 1), (110, 1)]


def test_a_step_is_told_in_one_line() -> None:
    """When, what, what came of it, and what is counted now."""
    sequence = Sequence(
        0, "Asia/Shanghai", "CNY", POLICIES[0], BEGIN_MS, (act(0, "send", amount=5),)
    )
    lines: list[str] = []
    Player(sequence, lambda step: lines.append(line_of(sequence, step))).play()
    told = "Mon 2026-03-02 08:00:00.000 +0800 #0 send purchase request 5 CNY -> approve"
    assert lines == [f"{told} group 2 approved holds 5/1 ; day 5/1 year 5/1"]

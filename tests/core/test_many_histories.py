"""A hundred thousand random histories: the counters equal the model in every one of them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.core.histories import POLICY, History
from tests.core.strategies import COUNTERS, KEY, ZONES

from zhiwei.core.controls import Limit, LimitChannel, Limits, Measure, Period
from zhiwei.core.request import Channel, Kind
from zhiwei.core.zone import DAY_MS
from zhiwei.journal.recount import Recount

SEQUENCES = 100_000
_JUMPS = [0, 0, 0, 1, 3_600_000, DAY_MS, 3 * DAY_MS, 8 * DAY_MS, 40 * DAY_MS, -DAY_MS]
_VERBS = [
    *["send"] * 6,
    *["reverse", "reverse", "reverse partly", "void", "complete", "increment", "refund"],
    *["repeat", "repeat otherwise", "advise", "early reversal", "late request"],
    *["set limits", "remove limits", "ask above", "answer yes"],
]
_KINDS = [
    Kind.PURCHASE,
    Kind.PURCHASE,
    Kind.PREAUTHORIZATION,
    Kind.PREAUTHORIZATION,
    Kind.COMPLETION,
    Kind.CASH_WITHDRAWAL,
]
_LIMITS = [
    Limits((Limit(LimitChannel.ALL, Measure.AMOUNT, Period.DAY, 2000),)),
    Limits((Limit(LimitChannel.ALL, Measure.AMOUNT, Period.YEAR, 9999),), refunds_restore=True),
    Limits((Limit(LimitChannel.POS, Measure.COUNT, Period.ROLLING, 3, 3600),)),
]


def a_step(dice: random.Random) -> tuple[Any, ...]:
    """One step, as `History.take` wants it."""
    return (
        dice.choice(_JUMPS),
        dice.choice(_VERBS),
        dice.randrange(10_000),
        dice.randrange(3000),
        dice.choice(_KINDS),
        dice.choice([Channel.POS, Channel.ATM, Channel.ONLINE]),
        dice.choice(_LIMITS),
    )


def differences_after(seed: int) -> list[str]:
    """How the counters differ from a recount after the history of a seed."""
    dice = random.Random(seed)
    card = History(dice.choice(ZONES))
    for _ in range(dice.randrange(1, 16)):
        card.take(a_step(dice))
    recount = Recount(lambda _: POLICY)
    for entry in card.entries:
        recount.observe(KEY, entry)
    found = recount.differences(KEY, card.state)
    for spent in card.state.usage.by_channel:
        found += ["below nothing" for name in COUNTERS if getattr(spent, name) < 0]
    return found


def test_counters_equal_the_model_in_a_thousand_histories() -> None:
    """The first thousand seeds."""
    wrong = {seed: found for seed in range(1000) if (found := differences_after(seed))}
    assert wrong == {}


@pytest.mark.slow
def test_counters_equal_the_model_in_a_hundred_thousand_histories() -> None:
    """All seeds; a failing seed is told and can be run alone."""
    wrong = {seed: found for seed in range(SEQUENCES) if (found := differences_after(seed))}
    assert wrong == {}

"""Pauses grow and are bounded; a breaker stops a channel that is down, and soon tries it again."""

from __future__ import annotations

import random
from itertools import pairwise

from zhiwei.messaging.backoff import ASKED_PAUSE_MS_MAX, Breaker, BreakerState, pause_ms

FIRST, LONGEST = 1_000, 900_000


def test_pauses_double_up_to_the_longest() -> None:
    """Without jitter each pause is twice the one before, and none is longer than allowed."""
    pauses = [pause_ms(tries, FIRST, LONGEST, 0, lambda: 1.0) for tries in range(1, 60)]
    assert pauses[:4] == [1_000, 2_000, 4_000, 8_000]
    assert pauses[-1] == LONGEST
    assert all(before <= after for before, after in pairwise(pauses))


def test_jitter_spreads_the_upper_half() -> None:
    """What failed together does not come back together, and never sooner than half the pause."""
    rng = random.Random(1)
    pauses = {pause_ms(5, FIRST, LONGEST, 0, rng.random) for _ in range(200)}
    assert len(pauses) > 150
    assert min(pauses) >= 8_000
    assert max(pauses) < 16_000


def test_the_other_side_may_ask_for_a_longer_pause() -> None:
    """Its wish counts, within the longest pause."""
    assert pause_ms(1, FIRST, LONGEST, 60_000, lambda: 0.0) == 60_000
    assert pause_ms(1, FIRST, LONGEST, 10**12, lambda: 0.0) == LONGEST


def breaker(failures: int = 3, longest_ms: int = 5_000) -> Breaker:
    """A breaker without jitter."""
    return Breaker(failures, longest_ms, lambda: 1.0)


def test_it_opens_after_failures_in_a_row_only() -> None:
    """An answer about a message in between begins the count anew."""
    one = breaker()
    for _ in range(5):
        one.failed(0, 0)
        one.failed(0, 0)
        one.worked()
    assert one.room(0, 0, 10) == 10
    for _ in range(3):
        one.failed(0, 0)
    assert one.state is BreakerState.OPEN
    assert one.room(0, 0, 10) == 0


def test_one_message_tries_when_the_pause_is_over() -> None:
    """Only one goes; it closes the breaker again, or starts the next pause."""
    one = breaker()
    for _ in range(3):
        one.failed(1_000, 0)
    assert one.room(1_249, 0, 10) == 0
    assert one.room(1_250, 7, 10) == 1
    one.started()
    assert one.room(1_251, 1, 10) == 0
    one.failed(1_260, 0)
    assert one.room(1_700, 0, 10) == 0
    assert one.room(1_760, 0, 10) == 1
    one.started()
    one.worked()
    assert one.state is BreakerState.CLOSED
    assert one.room(1_761, 0, 10) == 10


def test_a_channel_that_is_down_for_days_is_tried_every_few_seconds() -> None:
    """Whenever the other side returns, the next try comes within the longest pause."""
    one = breaker(failures=1)
    now = 0
    one.failed(now, 0)
    for _ in range(1_000):
        before = now
        while one.room(now, 0, 10) == 0:
            now += 50
        assert now - before <= 5_050
        one.started()
        one.failed(now, 0)


def test_a_throttling_side_gets_the_pause_it_asks_for() -> None:
    """At once, and within a bound; those that were on their way do not make it longer."""
    one = breaker()
    one.failed(0, 2_000)
    one.failed(10, 0)
    assert one.room(1_999, 0, 10) == 0
    assert one.room(2_000, 0, 10) == 1
    two = breaker()
    two.failed(0, 10**12)
    assert two.room(ASKED_PAUSE_MS_MAX, 0, 10) == 1


def test_a_clock_that_steps_back_does_not_keep_a_channel_closed() -> None:
    """A pause that seems to last for a year is cut to the longest one."""
    one = breaker(failures=1)
    one.failed(10**12, 0)
    assert one.room(0, 0, 10) == 0
    assert one.room(ASKED_PAUSE_MS_MAX, 0, 10) == 1

"""The bench's cards: which there are, where they live, and how traffic chooses among them.

Everything follows from a card's number (0 to N-1), so the load generator and whoever fills the data
directory agree without exchanging a list.
"""

from __future__ import annotations

import random
from itertools import accumulate
from typing import Final

#: The test range: UnionPay's prefix 62 and four zeros, never issued.
_BIN: Final = "620000"
#: Home provinces (GB/T 2260) with a UnionPay region code of theirs that is proven (provincial
#: capital).
PROVINCES: Final[tuple[tuple[str, str], ...]] = (
    ("11", "1000"), ("12", "1100"), ("13", "1210"), ("14", "1610"), ("15", "1910"),
    ("21", "2210"), ("22", "2410"), ("23", "2610"), ("31", "2900"), ("32", "3020"),
    ("33", "3310"), ("35", "3910"), ("36", "4210"), ("37", "4510"), ("41", "4910"),
    ("42", "5210"), ("43", "5510"), ("44", "5810"), ("45", "6110"), ("46", "6410"),
    ("50", "6900"), ("51", "6510"), ("52", "7010"), ("53", "7310"), ("61", "7910"),
    ("62", "8210"), ("63", "8510"),
)  # fmt: skip
#: Spreads card numbers over provinces, profiles and ranks without a pattern that a cache could
#: like.
_SCATTER: Final = 2_654_435_761


def pan_of(card: int) -> str:
    """Return the 16-digit number of card `card` (0 to 999,999,999) of the test range."""
    high, low = divmod(card, 1000)
    top, middle = divmod(high, 1000)
    check = (_SUMS[top] + _MIDDLE_SUMS[middle] + _SUMS[low]) % 10
    return f"{_BIN}{card:09d}{(_BIN_SUM - check) % 10}"


def _sum_of(digits: str, first: int) -> int:
    """Add up a part of a Luhn sum; `first` is 0 where the last of these digits counts twice."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 - (position + first) % 2)
        total += value - 9 if value > 9 else value
    return total


#: What three digits contribute: the last of them counts twice (high and low), or once (in the
#: middle).
_SUMS: Final = [_sum_of(f"{number:03d}", 0) for number in range(1000)]
_MIDDLE_SUMS: Final = [_sum_of(f"{number:03d}", 1) for number in range(1000)]
_BIN_SUM: Final = -_sum_of(_BIN, 1)


def home_of(card: int) -> int:
    """Return the index in `PROVINCES` of the card's home province."""
    return (card * _SCATTER >> 7) % len(PROVINCES)


def profile_of(card: int) -> int:
    """Return a number 0-99 that decides which controls the card has switched on."""
    return (card * _SCATTER >> 15) % 100


def choose_cards(rng: random.Random, count: int, cards: int, skew: str) -> list[int]:
    """Choose `count` of `cards` cards, with repetition; `skew` is `uniform` or `zipf` (s = 0.99).

    Under `zipf` the popular cards are scattered over the population. Raises `ValueError` for
    another skew.
    """
    if skew == "uniform":
        draw = rng.random
        return [int(draw() * cards) for _ in range(count)]
    if skew != "zipf":
        raise ValueError(f"`{skew}` is not a way to choose cards: use uniform or zipf")
    weights = list(accumulate((rank + 1) ** -0.99 for rank in range(cards)))
    ranks = rng.choices(range(cards), cum_weights=weights, k=count)
    step = _SCATTER % cards or 1
    while _divides(step, cards):
        step += 1
    return [rank * step % cards for rank in ranks]


def _divides(step: int, cards: int) -> bool:
    """Say whether `step` shares a divisor with `cards`: its multiples would then miss some."""
    while cards:
        step, cards = cards, step % cards
    return step != 1

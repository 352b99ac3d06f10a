"""The customers: who they are, where they live, what they have switched on.

The same seed gives the same people. Their cards are of the bench's test range (62 0000), far above
the numbers that the bench itself uses; the numbers are computed when they are needed and written
nowhere.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeAlias

from zhiwei.bench.cards import pan_of
from zhiwei.simulate.places import CITIES, City

#: A control as the API takes it: type and document.
Control: TypeAlias = "tuple[str, dict[str, Any]]"

#: Customers of one seed; a seed has a block of card numbers of its own.
CUSTOMERS_MAX: Final = 100_000
_FIRST_CARD: Final = 500_000_000
_BLOCKS: Final = 4_000


class Trade(Enum):
    """How somebody lives, which decides what they do with a card on which day."""

    OFFICE = "office"
    STUDENT = "student"
    RETIRED = "retired"
    DRIVER = "driver"
    SHOPKEEPER = "shopkeeper"
    TRAVELLER = "traveller"
    FAMILY = "family"
    NIGHT_SHIFT = "night shift"


#: Out of ten customers; the order is the order of customer numbers.
_TRADES: Final[tuple[Trade, ...]] = (
    Trade.OFFICE, Trade.FAMILY, Trade.RETIRED, Trade.STUDENT, Trade.OFFICE,
    Trade.TRAVELLER, Trade.SHOPKEEPER, Trade.DRIVER, Trade.OFFICE, Trade.NIGHT_SHIFT,
)  # fmt: skip

#: The part of customers who never opened the app's security page.
_NEVER_LOOKED: Final = 0.12

_SURNAMES: Final = (
    ("王", "Wang"), ("李", "Li"), ("张", "Zhang"), ("刘", "Liu"), ("陈", "Chen"), ("杨", "Yang"),
    ("赵", "Zhao"), ("黄", "Huang"), ("周", "Zhou"), ("吴", "Wu"), ("徐", "Xu"), ("孙", "Sun"),
    ("马", "Ma"), ("朱", "Zhu"), ("胡", "Hu"), ("郭", "Guo"), ("何", "He"), ("林", "Lin"),
)  # fmt: skip
_GIVEN: Final = (
    ("明", "Ming"), ("丽", "Li"), ("建国", "Jianguo"), ("小红", "Xiaohong"), ("志强", "Zhiqiang"),
    ("秀英", "Xiuying"), ("浩", "Hao"), ("静", "Jing"), ("磊", "Lei"), ("雨桐", "Yutong"),
    ("伟", "Wei"), ("芳", "Fang"), ("子涵", "Zihan"), ("国华", "Guohua"), ("敏", "Min"),
)  # fmt: skip


@dataclass(frozen=True)
class Customer:
    """One cardholder with one card."""

    #: 0, 1, 2 … within the seed.
    number: int
    name_zh: str
    name_en: str
    trade: Trade
    home: City
    has_chip: bool
    #: Day of the month on which salary or pension comes.
    payday: int
    #: Monthly income in fen.
    income_minor: int
    controls: tuple[Control, ...]
    #: The card's number in the test range; shown by nothing.
    card: int = field(repr=False)
    #: E.164, as registered with the bank; empty = none.
    phone: str = ""

    @property
    def pan(self) -> str:
        """The card number, for a message or a registration; keep it nowhere."""
        return pan_of(self.card)

    @property
    def tail(self) -> str:
        """The four digits that people may see."""
        return self.pan[-4:]


def card_number(seed: int, number: int) -> int:
    """Number of a customer's card in the test range; seeds 4,000 apart share their cards."""
    return _FIRST_CARD + seed % _BLOCKS * CUSTOMERS_MAX + number


def population(seed: int, count: int) -> list[Customer]:
    """The first `count` customers of a seed.

    Raises:
        ValueError: more than a seed has cards for.
    """
    if not 1 <= count <= CUSTOMERS_MAX:
        raise ValueError(f"a population has 1 to {CUSTOMERS_MAX} customers, not {count}")
    return [_customer(seed, number) for number in range(count)]


def _customer(seed: int, number: int) -> Customer:
    rng = random.Random(f"customer/{seed}/{number}")  # noqa: S311 - seeded on purpose
    surname, given = rng.choice(_SURNAMES), rng.choice(_GIVEN)
    trade = _TRADES[number % len(_TRADES)]
    home = rng.choice(CITIES)
    # Every other pensioner still has a card without a chip: service 3 is about them.
    has_chip = trade is not Trade.RETIRED or rng.random() < 0.5
    return Customer(
        number=number,
        name_zh=surname[0] + given[0],
        name_en=f"{surname[1]} {given[1]}",
        trade=trade,
        home=home,
        has_chip=has_chip,
        payday=15 if trade is Trade.RETIRED else 10,
        income_minor=rng.randrange(400_000, 2_500_000, 10_000),
        controls=tuple(_controls(trade, home, rng)),
        card=card_number(seed, number),
    )


def _controls(trade: Trade, home: City, rng: random.Random) -> Iterator[Control]:
    """What somebody of this trade has switched on in the bank's app; some never looked."""
    if rng.random() < _NEVER_LOOKED:
        return
    yield "balance_change_alert", {"threshold": 0, "channels": ["app"]}
    if rng.random() < 0.8:
        yield "balance_inquiry_alert", {}
    if rng.random() < 0.8:
        yield "decline_alert", {}
    if trade is not Trade.TRAVELLER and rng.random() < 0.7:
        yield "overseas_lock", {"countries": []}
    if trade is not Trade.NIGHT_SHIFT and rng.random() < 0.6:
        yield "night_lock", {}
    if trade in (Trade.RETIRED, Trade.STUDENT):
        yield "region_lock", {"regions": [home.province]}
    if trade in (Trade.RETIRED, Trade.FAMILY) and rng.random() < 0.7:
        yield "online_lock", {"start": "22:00", "end": "06:00"}
    if rng.random() < 0.5:
        yield "large_spend_verification", {"threshold": rng.choice((200_000, 500_000))}
    yield "limits", {"items": _limits(trade, rng)}


def _limits(trade: Trade, rng: random.Random) -> list[dict[str, Any]]:
    """Personal limits; tight ones for some, so that days end with a refusal now and then."""
    tight = trade is Trade.STUDENT
    day = rng.choice((30_000, 60_000)) if tight else rng.choice((500_000, 1_000_000, 2_000_000))
    return [
        {"channel": "all", "measure": "amount", "period": "day", "amount": day},
        {
            "channel": "atm",
            "measure": "amount",
            "period": "day",
            "amount": min(day, rng.choice((100_000, 200_000, 500_000))),
        },
        {"channel": "quick_pay", "measure": "count", "period": "day", "count": 6},
    ]

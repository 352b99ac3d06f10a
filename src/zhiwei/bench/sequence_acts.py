"""Sequences as data: what happens to one card, drawn from a seed.

Everything that an act needs is drawn before anything is played: its instant, its amounts, and which
earlier act it is about. So a sequence stays the same when some of its acts are left out, and a
failing one can be made small.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from typing import Final

from zhiwei.core.controls import Limit, LimitChannel, Measure, Period
from zhiwei.core.policy import Policy
from zhiwei.core.request import Channel, Kind, Medium
from zhiwei.core.windows import HOUR_MS, MINUTE_MS, Moment, day_number
from zhiwei.core.zone import DAY_MS, Zone
from zhiwei.zones import load_zone

#: Where the cards live, and their currency; one with a change of half an hour, one beyond the date
#: line, exponents 0, 2 and 3.
HOMES: Final = (
    ("Asia/Shanghai", "CNY"),
    ("Europe/Berlin", "EUR"),
    ("America/New_York", "USD"),
    ("Asia/Tokyo", "JPY"),
    ("Asia/Kuwait", "KWD"),
    ("Australia/Lord_Howe", "AUD"),
    ("Pacific/Apia", "NZD"),
    ("Africa/Cairo", "EGP"),
)
#: Holds that lapse soon or late, a ceiling of the issuer, and loosenings that wait.
POLICIES: Final = (
    Policy(version="sequences-1", hold_ms=3 * DAY_MS),
    Policy(version="sequences-2"),
    Policy(version="sequences-3", hold_ms=8 * DAY_MS, cooling_off_ms=12 * HOUR_MS),
    Policy(
        version="sequences-4",
        hold_ms=DAY_MS,
        ceilings=(Limit(LimitChannel.ALL, Measure.AMOUNT, Period.WEEK, 4000),),
    ),
)
#: How often each verb comes, in the first act and later.
_OPENING: Final = {"limits": 6, "ask above": 2, "send": 6, "early reversal": 1, "lock": 1}
_WEIGHTS: Final = {
    "send": 16,
    "retry": 3,
    "advise": 2,
    "advise of": 3,
    "repeat": 6,
    "conflict": 3,
    "reverse": 8,
    "reverse partly": 5,
    "void": 4,
    "refund": 4,
    "complete": 6,
    "increment": 5,
    "early reversal": 2,
    "late": 4,
    "answer yes": 4,
    "answer no": 1,
    "limits": 3,
    "ask above": 2,
    "lock": 2,
    "unlock": 2,
    "stop": 1,
    "lift": 2,
    "status": 1,
}
_OPENINGS: Final = tuple(verb for verb, times in _OPENING.items() for _ in range(times))
_VERBS: Final = tuple(verb for verb, times in _WEIGHTS.items() for _ in range(times))
#: Verbs that are about an earlier message.
ABOUT: Final = frozenset(
    [
        *("retry", "advise of", "repeat", "conflict", "reverse", "reverse partly"),
        *("void", "refund", "complete", "increment", "late"),
    ]
)
#: Verbs that send something that later acts may be about.
MESSAGES: Final = ABOUT | {"send", "advise", "early reversal"}
#: What happens in a long history: messages, and hardly any follow-up more often than in life.
_HISTORY_VERBS: Final = tuple([verb for verb in _VERBS if verb in MESSAGES] + ["send"] * 60)
#: How far back a follow-up of a long history looks.
_RECENT: Final = 30
_KINDS: Final = (
    *(Kind.PURCHASE,) * 4,
    *(Kind.PREAUTHORIZATION,) * 4,
    Kind.CASH_WITHDRAWAL,
    Kind.TRANSFER_OUT,
    Kind.COMPLETION,
    Kind.BALANCE_INQUIRY,
    Kind.DEPOSIT,
)
_CHANNELS: Final = (
    *(Channel.POS,) * 4,
    *(Channel.ATM, Channel.ONLINE, Channel.QUICK_PAY, Channel.UNKNOWN),
)
_MEDIA: Final = (Medium.CHIP, Medium.CONTACTLESS, Medium.ECOMMERCE)
#: The first and the last instant at which a sequence may begin: 2025-01-01 and 2029-01-01 UTC.
_FIRST_MS: Final = 1_735_689_600_000
_LAST_MS: Final = 1_861_920_000_000


@dataclass(frozen=True)
class Act:
    """One thing that happens."""

    number: int
    at_ms: int
    verb: str
    #: Number of the act that it is about; -1 = none.
    of: int
    amount: int
    kind: Kind
    channel: Channel
    medium: Medium
    #: Currency of the message where it is not the card's own.
    currency: str
    #: Amount in the card's currency of a message in another one; -1 = nobody tells it.
    billed: int
    country: str
    merchant: str
    #: It names its original by version (as HTTP does), not by trace.
    names_version: bool
    #: It comes with STAN and transmission time; else with a key of its own (Idempotency-Key).
    has_trace: bool
    #: Chooses among the forms of a verb.
    form: int


@dataclass(frozen=True)
class Sequence:
    """A card and what happens to it."""

    seed: int
    zone: str
    currency: str
    policy: Policy
    born_ms: int
    acts: tuple[Act, ...]


@cache
def zone_of(name: str) -> Zone:
    """The table of a zone. Raises `LookupError` where the system has none of that name."""
    zone = load_zone(name)
    if zone is None:
        raise LookupError(f"no time zone `{name}`")
    return zone


def draw(seed: int) -> Sequence:
    """The sequence of a seed."""
    dice = random.Random(seed)  # noqa: S311 - a test's dice, no secret
    name, currency = dice.choice(HOMES)
    policy = dice.choice(POLICIES)
    zone = zone_of(name)
    now_ms = dice.randrange(_FIRST_MS, _LAST_MS)
    if dice.random() < 0.6:
        now_ms = _edge(dice, zone, now_ms) - dice.choice((1, MINUTE_MS, 3 * HOUR_MS))
    born_ms = now_ms
    acts: list[Act] = []
    for number in range(dice.randint(5, 12)):
        now_ms = max(now_ms + _jump(dice, zone, policy, now_ms), _FIRST_MS - DAY_MS)
        acts.append(_act(dice, number, now_ms, currency, acts))
    return Sequence(seed, name, currency, policy, born_ms, tuple(acts))


def draw_history(seed: int, count: int, from_ms: int, until_ms: int) -> Sequence:
    """A long life of one card: `count` messages, most of them paid, evenly over a span of time.

    Follow-ups are about what came shortly before; nobody changes a control, so that most is
    approved. The clock runs forward.
    """
    dice = random.Random(seed)  # noqa: S311 - a test's dice, no secret
    name, currency = HOMES[seed % len(HOMES)]
    acts: list[Act] = []
    for number in range(count):
        at_ms = from_ms + (until_ms - from_ms) * (number + 1) // (count + 1)
        verbs = _HISTORY_VERBS if number else ("send",)
        acts.append(_act(dice, number, at_ms, currency, acts[-_RECENT:], verbs))
    return Sequence(seed, name, currency, Policy(version="history-1"), from_ms, tuple(acts))


def _act(
    dice: random.Random,
    number: int,
    at_ms: int,
    currency: str,
    acts: list[Act],
    verbs: tuple[str, ...] = (),
) -> Act:
    verb = dice.choice(verbs or (_VERBS if number else _OPENINGS))
    about = [act for act in acts if act.verb in MESSAGES]
    if verb == "late":
        about = [act for act in acts if act.verb == "early reversal"]
    if verb in ABOUT and not about:
        verb = "send"
    of = dice.choice(about) if verb in ABOUT else None
    foreign = dice.random() < 0.15
    amount = _amount(dice, of)
    return Act(
        number=number,
        at_ms=at_ms,
        verb=verb,
        of=-1 if of is None else of.number,
        amount=amount,
        kind=dice.choice(_KINDS),
        channel=dice.choice(_CHANNELS),
        medium=dice.choice(_MEDIA),
        currency=("THB" if foreign else currency) if of is None else of.currency,
        billed=_billed(dice, amount, of, foreign=foreign),
        country=dice.choice(("CHN", "CHN", "CHN", "JPN", "")),
        merchant=dice.choice(("M1", "M1", "M2")) if of is None else of.merchant,
        names_version=dice.random() < 0.5,
        has_trace=dice.random() < 0.85,
        form=dice.randrange(1000),
    )


def _amount(dice: random.Random, of: Act | None) -> int:
    """An amount in minor units; that of a follow-up lies at, below or above its original's."""
    if of is None or dice.random() < 0.2:
        return dice.choice((0, 1, 500, 1000, dice.randrange(3000)))
    first = of.amount
    return dice.choice((first, first, first // 2, max(first - 1, 0), first + 1, first * 2))


def _billed(dice: random.Random, amount: int, of: Act | None, *, foreign: bool) -> int:
    """What a foreign amount is in the card's currency, at a rate of 1 to 3; -1 = not told."""
    if of is not None:
        return amount * 3 if of.billed >= 0 else -1
    return amount * 3 if foreign and dice.random() < 0.8 else -1


def _jump(dice: random.Random, zone: Zone, policy: Policy, now_ms: int) -> int:
    """How far the clock goes: on a little, over an edge of the calendar, or back."""
    draw = dice.random()
    if draw < 0.35:
        return dice.choice((0, 0, 1, 1000, MINUTE_MS))
    if draw < 0.5:
        return dice.choice((10, 15, 60, 5 * 60)) * MINUTE_MS + dice.choice((-1, 0, 1))
    if draw < 0.8:
        return _edge(dice, zone, now_ms) + dice.choice((-1, 0, 0, 1, HOUR_MS)) - now_ms
    if draw < 0.92:
        far = (DAY_MS, 2 * DAY_MS, 7 * DAY_MS, 40 * DAY_MS, policy.hold_ms, 12 * HOUR_MS)
        return dice.choice(far) + dice.choice((-1, 0, 1))
    return -dice.choice((1, HOUR_MS, DAY_MS, 8 * DAY_MS, 400 * DAY_MS))


def _edge(dice: random.Random, zone: Zone, now_ms: int) -> int:
    """The next midnight, Monday, month, year or change of the clocks, on the card's own clocks."""
    moment = Moment(now_ms, zone)
    draw = dice.randrange(8)
    if draw == 0:
        return zone.first_instant_of_day(day_number(moment.year + 1, 1, 1))
    if draw == 1:
        year, month = divmod(moment.month + 1, 12)
        return zone.first_instant_of_day(day_number(year, month + 1, 1))
    if draw == 2:
        return zone.first_instant_of_day((moment.week + 1) * 7 - 3)
    if draw in (3, 4):
        change = bisect_right(zone.starts_ms, now_ms)
        if change < len(zone.starts_ms):
            return zone.starts_ms[change]
    return zone.first_instant_of_day(moment.day + 1)

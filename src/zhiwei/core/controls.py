"""Controls: what a cardholder may set on a card, one frozen value for each control and one for all.

The values check themselves when they are made, so a control that exists is a control that is
allowed. Lists are kept sorted: two settings that mean the same are equal. Which rules the controls
follow is said in the room of each service (`zhiwei.services`); here is only what can be set.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from typing import Any, Final, TypeAlias

from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.place import country_code, province_code
from zhiwei.core.request import DOMESTIC
from zhiwei.core.windows import NIGHT, DailyWindow
from zhiwei.core.zone import zone_named

#: A lock names at most three places [ICBC 2017: 最多3个].
PLACES_MAX: Final = 3
CATEGORIES_MAX: Final = 100
LIMITS_MAX: Final = 64
#: The largest amount that a limit or threshold may name, in minor units; beyond it is a typing
#: error.
AMOUNT_MAX: Final = 10**15
COUNT_MAX: Final = 1_000_000
ROLLING_SECONDS_MIN: Final = 10
#: 31 days, the longest rolling window.
ROLLING_SECONDS_MAX: Final = 2_678_400


class Scope(IntEnum):
    """Where a night lock holds."""

    DOMESTIC = 0
    ALL = 1


class LimitChannel(IntEnum):
    """What a limit counts; one transaction may count in several.

    Numbers are stored and never reused.
    """

    ALL = 0
    #: ATM withdrawal and transfer together.
    ATM = 1
    ATM_WITHDRAWAL = 2
    ATM_TRANSFER = 3
    POS = 4
    ONLINE = 5
    QUICK_PAY = 6
    #: Contactless without PIN (小额免密).
    CONTACTLESS_NO_PIN = 7
    #: Anything outside the Chinese mainland (境外).
    OVERSEAS = 8


class Period(IntEnum):
    """The window of a limit; calendar periods are in the card's own zone, weeks begin on Monday."""

    TRANSACTION = 0
    DAY = 1
    WEEK = 2
    MONTH = 3
    YEAR = 4
    #: The `seconds` before the decision.
    ROLLING = 5


class Measure(IntEnum):
    """What is counted."""

    AMOUNT = 0
    COUNT = 1


@dataclass(frozen=True)
class RegionLock:
    """地区锁: in-person transactions only in 1 to 3 provinces (within the Chinese mainland)."""

    #: GB/T 2260 codes, sorted.
    regions: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_places(self.regions, "/regions", "region", at_least=1)
        codes = [province_code(c, f"/regions/{i}") for i, c in enumerate(self.regions)]
        object.__setattr__(self, "regions", tuple(sorted(codes)))


@dataclass(frozen=True)
class OverseasLock:
    """境外锁: in-person transactions abroad only in 0 to 3 countries or regions; 0 closes all."""

    #: ISO 3166-1 alpha-3, sorted. China (CHN) is not abroad.
    countries: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        codes = [country_code(c, f"/countries/{i}") for i, c in enumerate(self.countries)]
        _check_places(tuple(codes), "/countries", "country", at_least=0)
        if DOMESTIC in codes:
            message = "`CHN` is not overseas; the region lock is for places within China"
            raise NotAllowedValueError("/countries", "domestic_country", message)
        object.__setattr__(self, "countries", tuple(sorted(codes)))


@dataclass(frozen=True)
class NightLock:
    """夜间锁: no in-person transactions during the hours of the night, by default 23:00-05:00."""

    window: DailyWindow = NIGHT
    scope: Scope = Scope.DOMESTIC
    #: IANA zone of the window where it is not the card's own; empty = the card's.
    time_zone: str = ""

    def __post_init__(self) -> None:
        if self.time_zone:
            zone_named(self.time_zone)


@dataclass(frozen=True)
class OnlineLock:
    """线上/快捷支付锁: no online or quick-pay debits and no new bindings.

    It holds at all hours, or in a daily window.
    """

    #: None = at all hours.
    window: DailyWindow | None = None


@dataclass(frozen=True)
class OverseasOnlineLock:
    """境外无卡支付锁: no card-not-present transactions with merchants abroad."""


@dataclass(frozen=True)
class CategoryLock:
    """商户类别锁: no debits at merchants of these categories."""

    #: MCCs, four digits each, sorted; 1 to 100.
    mccs: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.mccs) <= CATEGORIES_MAX:
            message = f"name 1 to {CATEGORIES_MAX} merchant categories"
            raise NotAllowedValueError("/mccs", "bad_number_of_mccs", message)
        for index, mcc in enumerate(self.mccs):
            if len(mcc) != 4 or not (mcc.isascii() and mcc.isdigit()):
                message = f"`{mcc[:8]}` is not a merchant category code of four digits"
                raise NotAllowedValueError(f"/mccs/{index}", "bad_mcc", message)
        if len(set(self.mccs)) != len(self.mccs):
            raise NotAllowedValueError("/mccs", "duplicate_mcc", "name each category once")
        object.__setattr__(self, "mccs", tuple(sorted(self.mccs)))


@dataclass(frozen=True)
class CardLock:
    """整卡锁: every debit on every channel is refused until the cardholder unlocks the card."""


@dataclass(frozen=True)
class Limit:
    """One limit (限额): at most `value` of `measure` through `channel` in `period`; 0 = closed."""

    channel: LimitChannel
    measure: Measure
    period: Period
    #: Minor units of the card's currency, or a number of transactions.
    value: int
    #: Length of a rolling window in seconds (10 to 2,678,400); 0 for the other periods.
    seconds: int = 0

    def __post_init__(self) -> None:
        top = AMOUNT_MAX if self.measure is Measure.AMOUNT else COUNT_MAX
        if not 0 <= self.value <= top:
            raise NotAllowedValueError("", "bad_value", f"a limit lies between 0 and {top}")
        if self.period is Period.TRANSACTION and self.measure is Measure.COUNT:
            message = "a count needs a period; `transaction` is for amounts"
            raise NotAllowedValueError("/period", "bad_period", message)
        if self.period is Period.ROLLING:
            if not ROLLING_SECONDS_MIN <= self.seconds <= ROLLING_SECONDS_MAX:
                message = f"a rolling window is {ROLLING_SECONDS_MIN} to {ROLLING_SECONDS_MAX} s"
                raise NotAllowedValueError("/seconds", "bad_seconds", message)
        elif self.seconds:
            message = "only a rolling window has `seconds`"
            raise NotAllowedValueError("/seconds", "bad_seconds", message)

    @property
    def slot(self) -> tuple[int, int, int, int]:
        """What makes two limits the same limit with another value."""
        return (int(self.channel), int(self.measure), int(self.period), self.seconds)


@dataclass(frozen=True)
class Limits:
    """交易限额个性化定制: the cardholder's own limits, at most 64, each slot once."""

    items: tuple[Limit, ...]
    #: A refund gives back what its purchase used, if it is still in the same window. Default: it
    #: does not.
    refunds_restore: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.items) <= LIMITS_MAX:
            message = f"set 1 to {LIMITS_MAX} limits, or delete the control"
            raise NotAllowedValueError("/items", "bad_number_of_limits", message)
        slots = [item.slot for item in self.items]
        if len(set(slots)) != len(slots):
            message = "one value for each channel, measure and period"
            raise NotAllowedValueError("/items", "duplicate_limit", message)
        object.__setattr__(self, "items", tuple(sorted(self.items, key=lambda item: item.slot)))


@dataclass(frozen=True)
class MagstripeVerification:
    """磁条卡消费交易附加验证: stripe purchases above the threshold are asked about."""

    #: Minor units of the card's currency; a purchase of more than this is asked about.
    threshold: int

    def __post_init__(self) -> None:
        _check_threshold(self.threshold)


@dataclass(frozen=True)
class LargeSpendVerification:
    """借记卡大额消费核实: purchases and pre-authorizations above the threshold are asked about."""

    #: Minor units of the card's currency; more than this is asked about.
    threshold: int

    def __post_init__(self) -> None:
        _check_threshold(self.threshold)


@dataclass(frozen=True)
class BalanceInquiryAlert:
    """自助渠道余额查询提醒: tell of balance inquiries at ATM, POS and kiosk."""


@dataclass(frozen=True)
class BalanceChangeAlert:
    """账户余额变动提醒: tell of postings at or above the threshold."""

    #: Minor units of the card's currency; a posting of at least this is told.
    threshold: int = 0
    #: `sms`, `app`, `email`; empty = the cardholder's usual channels.
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_threshold(self.threshold)
        for index, channel in enumerate(self.channels):
            if channel not in ("sms", "app", "email"):
                message = f"`{channel[:16]}` is not one of sms, app, email"
                raise NotAllowedValueError(f"/channels/{index}", "unknown_channel", message)
        object.__setattr__(self, "channels", tuple(sorted(set(self.channels))))


@dataclass(frozen=True)
class DeclineAlert:
    """拒绝交易提醒: tell of every refusal and which control made it."""


Control: TypeAlias = (
    "RegionLock | OverseasLock | NightLock | OnlineLock | OverseasOnlineLock | CategoryLock"
    " | CardLock | Limits | MagstripeVerification | LargeSpendVerification"
    " | BalanceInquiryAlert | BalanceChangeAlert | DeclineAlert"
)


@dataclass(frozen=True)
class Controls:
    """All controls of one card; None = not set. The names are the types of the API."""

    region_lock: RegionLock | None = None
    overseas_lock: OverseasLock | None = None
    night_lock: NightLock | None = None
    online_lock: OnlineLock | None = None
    overseas_online_lock: OverseasOnlineLock | None = None
    category_lock: CategoryLock | None = None
    card_lock: CardLock | None = None
    limits: Limits | None = None
    magstripe_verification: MagstripeVerification | None = None
    large_spend_verification: LargeSpendVerification | None = None
    balance_inquiry_alert: BalanceInquiryAlert | None = None
    balance_change_alert: BalanceChangeAlert | None = None
    decline_alert: DeclineAlert | None = None
    #: Which controls are set: bit n = CONTROL_TYPES[n]. Kept with each decision as what was asked.
    mask: int = field(init=False, default=0, compare=False, repr=False)

    def __post_init__(self) -> None:
        bits = 0
        for index, control_type in enumerate(CONTROL_TYPES):
            if getattr(self, control_type) is not None:
                bits |= 1 << index
        object.__setattr__(self, "mask", bits)

    def of_type(self, control_type: str) -> Control | None:
        """The control of a type, None where it is not set.

        The type must be one of CONTROL_TYPES.
        """
        control: Control | None = getattr(self, control_type)
        return control

    def changed(self, control_type: str, control: Control | None) -> Controls:
        """All controls, with one of them set or (None) removed."""
        change: dict[str, Any] = {control_type: control}
        return replace(self, **change)


#: The order is stored in masks: append only.
CONTROL_TYPES: Final[tuple[str, ...]] = tuple(f.name for f in fields(Controls) if f.init)
NO_CONTROLS: Final = Controls()


def _check_places(codes: tuple[str, ...], pointer: str, noun: str, *, at_least: int) -> None:
    """Raise unless there are `at_least` to 3 different places."""
    if len(codes) < at_least:
        message = f"name at least one {noun}, or delete the lock"
        raise NotAllowedValueError(pointer, f"too_few_{noun}s", message)
    if len(codes) > PLACES_MAX:
        raise NotAllowedValueError(pointer, "too_many_places", f"at most {PLACES_MAX} places")
    if len(set(codes)) != len(codes):
        raise NotAllowedValueError(pointer, f"duplicate_{noun}", f"name each {noun} once")


def _check_threshold(threshold: int) -> None:
    """Raise unless the threshold is a believable amount."""
    if not 0 <= threshold <= AMOUNT_MAX:
        message = f"a threshold lies between 0 and {AMOUNT_MAX} minor units"
        raise NotAllowedValueError("/threshold", "bad_threshold", message)

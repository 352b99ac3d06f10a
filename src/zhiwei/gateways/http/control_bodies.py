"""What may be set: one body for each type of control. What the values mean, the core checks."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from zhiwei.core.controls import CATEGORIES_MAX, LIMITS_MAX
from zhiwei.gateways.http.shapes import (
    Amount,
    Body,
    LimitChannelName,
    MeasureName,
    PeriodName,
)

#: Longer lists are no mistake of counting but nonsense; shorter ones get the core's own sentence.
_MANY: Final = 1000
Place = Annotated[str, Field(max_length=40)]
TimeOfDay = Annotated[
    str, Field(max_length=16, examples=["23:00"], description="`HH:MM[:SS[.mmm]]`, up to `24:00`.")
]


class RegionLockBody(Body):
    """地区锁: in-person transactions only in these provinces."""

    regions: Annotated[list[Place], Field(max_length=_MANY)] = Field(
        description="1 to 3 different provinces, GB/T 2260 two digits.", examples=[["41", "61"]]
    )


class OverseasLockBody(Body):
    """境外锁: in-person transactions abroad only in these countries or regions; none closes all."""

    countries: Annotated[list[Place], Field(max_length=_MANY)] = Field(
        default=[],
        description="0 to 3, ISO 3166-1 alpha-3, alpha-2 or number; not CHN.",
        examples=[["HKG", "JPN"]],
    )


class NightLockBody(Body):
    """夜间锁: no in-person transactions in a daily window; by default 23:00 to 05:00."""

    start: TimeOfDay | None = Field(default=None, description="Inside the window.")
    end: TimeOfDay | None = Field(default=None, description="Outside it; may be past midnight.")
    time_zone: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="IANA zone; the card's own where it is not given."
    )
    scope: Literal["domestic", "all"] = "domestic"


class OnlineLockBody(Body):
    """线上/快捷支付锁: no online or quick-pay debits and no new bindings, always or in a window."""

    start: TimeOfDay | None = None
    end: TimeOfDay | None = None


class OverseasOnlineLockBody(Body):
    """境外无卡支付锁: no card-not-present transactions with merchants abroad."""


class CategoryLockBody(Body):
    """商户类别锁: no debits at merchants of these categories."""

    mccs: Annotated[list[Annotated[str, Field(max_length=16)]], Field(max_length=_MANY)] = Field(
        description=f"1 to {CATEGORIES_MAX} categories of four digits.", examples=[["7995"]]
    )


class CardLockBody(Body):
    """整卡锁: every debit on every channel is refused."""


class LimitBody(Body):
    """One limit; its value stands under the name of its measure."""

    channel: LimitChannelName
    measure: MeasureName
    period: PeriodName
    amount: Amount | None = Field(default=None, description="For measure `amount`; 0 = closed.")
    count: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="For measure `count`; 0 = closed."
    )
    seconds: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Length of a `rolling` window, 10 to 2,678,400."
    )


class LimitsBody(Body):
    """交易限额: the cardholder's own limits, each channel, measure and period once."""

    items: Annotated[list[LimitBody], Field(max_length=_MANY)] = Field(
        description=f"1 to {LIMITS_MAX} limits."
    )
    refunds: Literal["ignore", "restore_original_window"] = "ignore"


class MagstripeVerificationBody(Body):
    """磁条卡消费交易附加验证: stripe purchases of more than this are asked about."""

    threshold: Amount


class LargeSpendVerificationBody(Body):
    """大额消费核实: purchases and pre-authorizations of more than this are asked about."""

    threshold: Amount


class BalanceInquiryAlertBody(Body):
    """余额查询提醒: tell of balance inquiries at ATM, POS and kiosk."""


class BalanceChangeAlertBody(Body):
    """余额变动提醒: tell of postings of at least this."""

    threshold: Amount = 0
    channels: Annotated[list[Annotated[str, Field(max_length=16)]], Field(max_length=_MANY)] = (
        Field(default=[], description="`sms`, `app`, `email`; none = the usual ones.")
    )


class DeclineAlertBody(Body):
    """拒绝交易提醒: tell of every refusal and which control made it."""


#: The body of each type of control, in the order of CONTROL_TYPES.
BODIES: Final[dict[str, type[Body]]] = {
    "region_lock": RegionLockBody,
    "overseas_lock": OverseasLockBody,
    "night_lock": NightLockBody,
    "online_lock": OnlineLockBody,
    "overseas_online_lock": OverseasOnlineLockBody,
    "category_lock": CategoryLockBody,
    "card_lock": CardLockBody,
    "limits": LimitsBody,
    "magstripe_verification": MagstripeVerificationBody,
    "large_spend_verification": LargeSpendVerificationBody,
    "balance_inquiry_alert": BalanceInquiryAlertBody,
    "balance_change_alert": BalanceChangeAlertBody,
    "decline_alert": DeclineAlertBody,
}

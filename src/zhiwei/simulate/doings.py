"""What people do with a card: one doing, before it becomes a message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from zhiwei.core.money import major_units
from zhiwei.simulate.people import Customer
from zhiwei.simulate.places import City
from zhiwei.simulate.telling import Line


@dataclass(frozen=True)
class Form:
    """How a deed is written: message type, DE3 and DE25, and what people call it."""

    mti: str
    processing: str
    condition: str
    name: Line


class Deed(Enum):
    """What is asked of the account."""

    PURCHASE = Form("0200", "000000", "00", Line("消费", "purchase"))
    CASH = Form("0200", "010000", "00", Line("取现", "cash withdrawal"))
    TRANSFER = Form("0200", "460000", "00", Line("转账转出", "transfer out"))
    INQUIRY = Form("0200", "310000", "00", Line("余额查询", "balance inquiry"))
    PREAUTHORIZATION = Form("0100", "030000", "06", Line("预授权", "pre-authorization"))
    COMPLETION = Form("0200", "000000", "06", Line("预授权完成", "completion"))
    VOID = Form("0200", "200000", "00", Line("消费撤销", "void"))
    REFUND = Form("0220", "200000", "00", Line("退货", "refund"))


@dataclass(frozen=True)
class Reading:
    """How the card was read: DE22, and 60.2.2, 60.2.3 and 60.3.6 of UnionPay's private field."""

    entry: str
    point: str
    name: Line
    #: DE25 where it differs from the deed's own.
    condition: str = ""


class How(Enum):
    """How the card was presented."""

    CHIP = Reading("051", "502", Line("插卡", "chip"))
    CONTACTLESS = Reading("072", "602", Line("挥卡", "contactless"))
    #: By stripe, and the card has no chip (纯磁条卡).
    STRIPE = Reading("021", "201", Line("磁条", "stripe"))
    #: A chip card used by its stripe (降级).
    FALLBACK = Reading("801", "523", Line("降级磁条", "chip card by stripe"))
    ONLINE = Reading("812", "007", Line("网上", "online"), "59")
    QUICK_PAY = Reading("102", "007", Line("快捷支付", "quick pay"), "08")


@dataclass(frozen=True)
class Shop:
    """Where it happens: a merchant or a cash machine."""

    en: str
    zh: str
    #: Merchant category (DE18).
    mcc: str
    #: First four digits of DE32: which kind of institution acquires for it.
    institution: str = "0102"
    #: Four digits that tell this shop from others of its kind.
    number: int = 1


ATM: Final = Shop("CASH MACHINE", "自动柜员机", "6011")
#: Payment institutions have numbers that begin with 48.
QUICK_PAY_INSTITUTION: Final = "4821"


@dataclass(frozen=True)
class Doing:
    """One thing that one customer (or a thief with their card) does."""

    at_ms: int
    customer: Customer
    deed: Deed
    how: How
    shop: Shop
    city: City
    #: Minor units of the city's currency; 0 for an inquiry.
    amount_minor: int = 0

    def line(self) -> Line:
        """What is sent, in plain words; the card shows its last four digits only."""
        form, reading = self.deed.value, self.how.value
        amount = ""
        if self.amount_minor:
            amount = f" {self.city.currency} {major_units(self.amount_minor, self.city.currency)}"
        card = f"*{self.customer.tail}"
        return Line(
            f"{self.city.zh} {self.shop.zh}：{form.name.zh}（{reading.name.zh}）{amount} 卡 {card}",
            f"{self.shop.en.title()}, {self.city.en.title()}: "
            f"{form.name.en} ({reading.name.en}){amount}, card {card}",
        )

"""Habits: what people of each trade do on a day, how likely, at which hours, for how much.

One table; `days` turns it into doings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from zhiwei.simulate.doings import ATM, QUICK_PAY_INSTITUTION, Deed, How, Shop
from zhiwei.simulate.people import Trade

METRO: Final = Shop("METRO", "地铁", "4111")
CANTEEN: Final = Shop("CANTEEN", "食堂", "5814")
NOODLES: Final = Shop("NOODLE HOUSE", "面馆", "5812")
SUPERMARKET: Final = Shop("SUPERMARKET", "超市", "5411")
CONVENIENCE: Final = Shop("CORNER SHOP", "便利店", "5499")
FUEL: Final = Shop("FUEL STATION", "加油站", "5541")
PHARMACY: Final = Shop("PHARMACY", "药店", "5912")
WHOLESALE: Final = Shop("WHOLESALE MARKET", "批发市场", "5199")
ELECTRONICS: Final = Shop("ELECTRONICS", "电器城", "5732")
WEB_SHOP: Final = Shop("WEB SHOP", "网店", "5999")
RAIL: Final = Shop("RAIL TICKETS", "铁路购票", "4112")
DELIVERY: Final = Shop("FOOD DELIVERY", "外卖", "5812", QUICK_PAY_INSTITUTION)
UTILITIES: Final = Shop("UTILITIES", "水电费", "4900", QUICK_PAY_INSTITUTION)
GAMES: Final = Shop("GAMES", "游戏充值", "5816", QUICK_PAY_INSTITUTION)
HOTEL: Final = Shop("HOTEL", "酒店", "7011")
DEPARTMENT_STORE: Final = Shop("DEPARTMENT STORE", "百货", "5311")


@dataclass(frozen=True)
class Habit:
    """One thing that somebody does on many days."""

    deed: Deed
    how: How
    shop: Shop
    #: Chance in a thousand that it happens, on a workday and at the weekend.
    workday: int
    weekend: int
    #: Minutes after midnight, earliest and latest; past 1440 it is after midnight.
    first: int
    last: int
    #: Median amount in fen; 0 for an inquiry.
    median_minor: int = 0
    #: Amounts are multiples of this, in minor units of wherever it happens.
    step_minor: int = 1


_LUNCH: Final = Habit(Deed.PURCHASE, How.CONTACTLESS, NOODLES, 800, 500, 690, 790, 2_600)
_GROCERIES: Final = Habit(Deed.PURCHASE, How.CHIP, SUPERMARKET, 300, 550, 1020, 1230, 9_500)
_ONLINE: Final = Habit(Deed.PURCHASE, How.ONLINE, WEB_SHOP, 250, 350, 1170, 1410, 12_800)
_DELIVERY: Final = Habit(Deed.PURCHASE, How.QUICK_PAY, DELIVERY, 350, 550, 1050, 1280, 4_200)
_BILLS: Final = Habit(Deed.PURCHASE, How.QUICK_PAY, UTILITIES, 60, 60, 540, 1200, 18_000, 10)
_CASH: Final = Habit(Deed.CASH, How.CHIP, ATM, 60, 120, 560, 1260, 80_000, 10_000)
_TO_WORK: Final = Habit(Deed.PURCHASE, How.CONTACTLESS, METRO, 900, 100, 420, 540, 500, 100)
_FROM_WORK: Final = Habit(Deed.PURCHASE, How.CONTACTLESS, METRO, 880, 100, 1050, 1200, 500, 100)
_LARGE: Final = Habit(Deed.PURCHASE, How.CHIP, ELECTRONICS, 6, 20, 600, 1200, 480_000, 100)

HABITS: Final[dict[Trade, tuple[Habit, ...]]] = {
    Trade.OFFICE: (_TO_WORK, _LUNCH, _FROM_WORK, _GROCERIES, _ONLINE, _DELIVERY, _BILLS, _CASH,
                   _LARGE),
    Trade.FAMILY: (
        Habit(Deed.PURCHASE, How.CHIP, SUPERMARKET, 700, 900, 540, 1200, 14_500),
        Habit(Deed.PURCHASE, How.CONTACTLESS, CONVENIENCE, 600, 600, 430, 1300, 2_100),
        _ONLINE, _DELIVERY, _BILLS, _CASH, _LARGE,
    ),
    Trade.RETIRED: (
        Habit(Deed.PURCHASE, How.CHIP, SUPERMARKET, 750, 700, 390, 620, 4_800),
        Habit(Deed.INQUIRY, How.CHIP, ATM, 120, 60, 540, 700),
        Habit(Deed.CASH, How.CHIP, ATM, 110, 50, 545, 720, 100_000, 10_000),
        Habit(Deed.PURCHASE, How.CHIP, PHARMACY, 120, 120, 540, 1080, 7_600),
        Habit(Deed.PURCHASE, How.CHIP, DEPARTMENT_STORE, 15, 30, 600, 1080, 90_000, 100),
    ),
    Trade.STUDENT: (
        Habit(Deed.PURCHASE, How.CONTACTLESS, CANTEEN, 900, 700, 415, 540, 700, 50),
        Habit(Deed.PURCHASE, How.CONTACTLESS, CANTEEN, 950, 600, 690, 780, 1_400, 50),
        Habit(Deed.PURCHASE, How.QUICK_PAY, DELIVERY, 500, 800, 1080, 1400, 2_900),
        Habit(Deed.PURCHASE, How.QUICK_PAY, GAMES, 250, 450, 1200, 1500, 3_000, 600),
        _ONLINE,
    ),
    Trade.DRIVER: (
        Habit(Deed.PURCHASE, How.CHIP, FUEL, 850, 850, 330, 480, 28_000, 1_000),
        _LUNCH,
        Habit(Deed.PURCHASE, How.CONTACTLESS, CONVENIENCE, 700, 700, 900, 1420, 1_800),
        _BILLS, _CASH,
    ),
    Trade.SHOPKEEPER: (
        Habit(Deed.PURCHASE, How.CHIP, WHOLESALE, 800, 600, 330, 500, 260_000, 100),
        Habit(Deed.TRANSFER, How.CHIP, ATM, 300, 150, 600, 1180, 300_000, 10_000),
        Habit(Deed.INQUIRY, How.CHIP, ATM, 200, 100, 590, 1180),
        _LUNCH, _BILLS,
    ),
    Trade.TRAVELLER: (
        Habit(Deed.PURCHASE, How.ONLINE, RAIL, 350, 200, 480, 1320, 32_000, 50),
        Habit(Deed.PURCHASE, How.CHIP, NOODLES, 900, 700, 680, 1290, 8_800),
        Habit(Deed.PURCHASE, How.CONTACTLESS, METRO, 700, 300, 480, 1320, 700, 100),
        Habit(Deed.PURCHASE, How.CHIP, DEPARTMENT_STORE, 120, 300, 840, 1290, 36_000),
        Habit(Deed.CASH, How.CHIP, ATM, 90, 90, 560, 1300, 100_000, 10_000),
    ),
    Trade.NIGHT_SHIFT: (
        Habit(Deed.PURCHASE, How.CONTACTLESS, METRO, 900, 300, 1260, 1340, 500, 100),
        Habit(Deed.PURCHASE, How.CONTACTLESS, CONVENIENCE, 900, 500, 1470, 1680, 2_300),
        Habit(Deed.PURCHASE, How.CHIP, NOODLES, 700, 500, 1740, 1830, 2_800),
        Habit(Deed.CASH, How.CHIP, ATM, 80, 80, 1400, 1700, 60_000, 10_000),
        _DELIVERY,
    ),
}  # fmt: skip

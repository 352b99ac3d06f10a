"""Places of the simulated world: cities whose UnionPay region codes are proven, and some abroad.

The code of a city is what institution and merchant numbers (DE32, DE42) carry: four digits that
rise by province, or a zero and the ISO 3166 number abroad.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from zhiwei.core.money import BY_CODE


@dataclass(frozen=True)
class City:
    """Where a terminal stands."""

    #: ASCII, as DE43 carries it.
    en: str
    zh: str
    #: ISO 3166 number as in DE19; 156 = the Chinese mainland.
    country: str
    #: ISO 3166 alpha-2 as at the end of DE43.
    letters: str
    #: Four digits inside DE32 and DE42.
    region: str
    #: GB/T 2260 two digits; empty abroad.
    province: str = ""
    #: ISO 4217 letters of what is paid there.
    currency: str = "CNY"
    #: Millionths of a CNY for one unit of the currency; a believable rate, not today's.
    rate_micro: int = 1_000_000

    @property
    def is_abroad(self) -> bool:
        """Outside the Chinese mainland (境外)."""
        return self.country != "156"

    def local_minor(self, cny_minor: int, step_minor: int = 1) -> int:
        """About as much money as `cny_minor`, in the city's own minor units and whole steps."""
        scale: int = 10 ** BY_CODE[self.currency].exponent
        minor = cny_minor * 10_000 * scale // self.rate_micro
        return max(step_minor, minor // step_minor * step_minor)

    def billed_minor(self, local_minor: int) -> int:
        """What an amount of here costs on a CNY account (DE6), in fen."""
        scale: int = 10 ** BY_CODE[self.currency].exponent
        return local_minor * self.rate_micro // (scale * 10_000)


BEIJING: Final = City("BEIJING", "北京", "156", "CN", "1000", "11")
SHANGHAI: Final = City("SHANGHAI", "上海", "156", "CN", "2900", "31")
GUANGZHOU: Final = City("GUANGZHOU", "广州", "156", "CN", "5810", "44")
SHENZHEN: Final = City("SHENZHEN", "深圳", "156", "CN", "5840", "44")
HANGZHOU: Final = City("HANGZHOU", "杭州", "156", "CN", "3310", "33")
ZHENGZHOU: Final = City("ZHENGZHOU", "郑州", "156", "CN", "4910", "41")
LUOYANG: Final = City("LUOYANG", "洛阳", "156", "CN", "4930", "41")
KUNMING: Final = City("KUNMING", "昆明", "156", "CN", "7310", "53")

#: Where customers live; all region codes are proven ones.
CITIES: Final[tuple[City, ...]] = (
    BEIJING,
    SHANGHAI,
    GUANGZHOU,
    SHENZHEN,
    HANGZHOU,
    ZHENGZHOU,
    LUOYANG,
    KUNMING,
    City("CHENGDU", "成都", "156", "CN", "6510", "51"),
    City("WUHAN", "武汉", "156", "CN", "5210", "42"),
    City("XIAN", "西安", "156", "CN", "7910", "61"),
    City("SUZHOU", "苏州", "156", "CN", "3050", "32"),
    City("QINGDAO", "青岛", "156", "CN", "4520", "37"),
    City("DALIAN", "大连", "156", "CN", "2220", "21"),
    City("HARBIN", "哈尔滨", "156", "CN", "2610", "23"),
    City("XIAMEN", "厦门", "156", "CN", "3930", "35"),
    City("CHANGSHA", "长沙", "156", "CN", "5510", "43"),
    City("CHONGQING", "重庆", "156", "CN", "6900", "50"),
    City("TIANJIN", "天津", "156", "CN", "1100", "12"),
)

BANGKOK: Final = City("BANGKOK", "曼谷", "764", "TH", "0764", "", "THB", 200_000)
TOKYO: Final = City("TOKYO", "东京", "392", "JP", "0392", "", "JPY", 48_000)
HONG_KONG: Final = City("HONG KONG", "香港", "344", "HK", "0344", "", "HKD", 915_000)

#: Where customers travel.
ABROAD: Final[tuple[City, ...]] = (
    HONG_KONG,
    BANGKOK,
    TOKYO,
    City("MACAO", "澳门", "446", "MO", "0446", "", "MOP", 890_000),
    City("SINGAPORE", "新加坡", "702", "SG", "0702", "", "SGD", 5_300_000),
    City("LOS ANGELES", "洛杉矶", "840", "US", "0840", "", "USD", 7_100_000),
)

"""Place: where a transaction happens, by the order of fields that SEMANTICS 5 gives.

DE19 and DE32 in its form for abroad; then the region in DE42; then the one in DE32; then the text
of DE43; else unknown. The field that decided is kept, so that a refusal can say on what it rests.
"""

from __future__ import annotations

from typing import Final, final

from zhiwei.core.request import DOMESTIC, PlaceSource
from zhiwei.gateways.iso8583.dialect import Dialect
from zhiwei.gateways.iso8583.message import Message
from zhiwei.gateways.iso8583.parts import Parts, decoded
from zhiwei.gateways.iso8583.regions import (
    country_of_letters,
    country_of_number,
    country_of_region,
    province_of_city,
    province_of_region,
)

#: Length of a UnionPay institution number: four digits of institution, four of region.
_INSTITUTION_DIGITS: Final = 8
#: Length of a UnionPay merchant number: acquirer 3, region 4, category 4, serial 4.
_MERCHANT_CHARACTERS: Final = 15


@final
class Place:
    """A country and a province, each empty where unknown, and the field that told them."""

    __slots__ = ("country", "region", "source")

    def __init__(self, country: str, region: str, source: PlaceSource) -> None:
        #: ISO 3166-1 alpha-3.
        self.country: Final = country
        #: GB/T 2260, two digits.
        self.region: Final = region
        self.source: Final = source


@final
class PlaceFinder:
    """Finds places in the messages of one dialect."""

    __slots__ = ("has_unionpay_numbers", "parts")

    def __init__(self, dialect: Dialect, parts: Parts) -> None:
        self.parts: Final = parts
        self.has_unionpay_numbers: Final[bool] = dialect.meaning.has_unionpay_numbers

    def place(self, message: Message) -> Place:
        """Where the transaction of a message happens."""
        told = country_of_number(message.text(19))
        if told and told != DOMESTIC:
            return Place(told, "", PlaceSource.ACQUIRER_COUNTRY)
        if self.has_unionpay_numbers:
            place = self._by_numbers(message)
            if place is not None:
                return place
        return self._by_text(message, told)

    def _by_numbers(self, message: Message) -> Place | None:
        """By the regions inside DE32 and DE42."""
        acquirer = message.text(32)
        region = acquirer[4:8] if len(acquirer) == _INSTITUTION_DIGITS else ""
        abroad = country_of_region(region)
        if abroad and abroad != DOMESTIC:
            return Place(abroad, "", PlaceSource.ACQUIRER_OVERSEAS)
        merchant = message.text(42)
        if len(merchant) == _MERCHANT_CHARACTERS and merchant[:11].isalnum():
            province = province_of_region(merchant[3:7])
            if province:
                return Place(DOMESTIC, province, PlaceSource.MERCHANT_REGION)
        province = province_of_region(region)
        if province:
            return Place(DOMESTIC, province, PlaceSource.ACQUIRER_REGION)
        if abroad == DOMESTIC and not message.text(19):
            return Place(DOMESTIC, "", PlaceSource.ACQUIRER_OVERSEAS)
        return None

    def _by_text(self, message: Message, told: str) -> Place:
        """By the text of DE43, which may say no more than the country; `told` is what DE19 says."""
        country = told or country_of_letters(self.parts.country.of(message).strip())
        if country and country != DOMESTIC:
            return Place(country, "", PlaceSource.MERCHANT_TEXT)
        province = province_of_city(decoded(self.parts.city.of(message)))
        if province:
            return Place(DOMESTIC, province, PlaceSource.MERCHANT_TEXT)
        if not country:
            return Place("", "", PlaceSource.NOT_TOLD)
        source = PlaceSource.ACQUIRER_COUNTRY if told else PlaceSource.MERCHANT_TEXT
        return Place(country, "", source)

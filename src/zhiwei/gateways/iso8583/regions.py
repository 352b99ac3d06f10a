"""Regions: from what an acquirer sends to a province of China or a country.

UnionPay's institution and merchant numbers carry four digits of region; `unionpay_regions.csv` says
which province they are, and `unionpay_regions.md` how well that is known. What is not in a table is
unknown; nothing is guessed.
"""

from __future__ import annotations

import csv
from importlib.resources import files
from typing import Final

from zhiwei.core.place import COUNTRY_BY_ALPHA2, COUNTRY_BY_ALPHA3, COUNTRY_BY_NUMBER, PROVINCES
from zhiwei.gateways.iso8583.faults import DialectError


def _rows(name: str) -> list[dict[str, str]]:
    text = files("zhiwei.gateways.iso8583").joinpath(name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def read_regions(rows: list[dict[str, str]]) -> dict[str, str]:
    """Four digits to a province (GB/T 2260); the first range that holds them wins.

    Raises:
        DialectError: a range is none, or its province does not exist.
    """
    provinces: dict[str, str] = {}
    for row in rows:
        first, last, province = row["first"], row["last"], row["province"]
        if province not in PROVINCES or not 0 < int(first) <= int(last) <= 9999:
            raise DialectError(f"the row `{first}` of the regions is wrong")
        for region in range(int(first), int(last) + 1):
            provinces.setdefault(f"{region:04d}", province)
    return provinces


def _single_prefixes(provinces: dict[str, str]) -> dict[str, str]:
    """First two digits that lie in one province only."""
    found: dict[str, set[str]] = {}
    for region, province in provinces.items():
        found.setdefault(region[:2], set()).add(province)
    return {prefix: several.pop() for prefix, several in found.items() if len(several) == 1}


def _read_names(rows: list[dict[str, str]]) -> dict[str, str]:
    return {name: row["province"] for row in rows for name in row["names"].split()}


#: Regions that stand for no place. 0010 would be Antarctica, where no card is used.
_SPECIAL: Final = frozenset(("0000", "0001", "0010"))

_PROVINCE_OF_REGION: Final = read_regions(_rows("unionpay_regions.csv"))
_PROVINCE_OF_PREFIX: Final = _single_prefixes(_PROVINCE_OF_REGION)
_PROVINCE_OF_NAME: Final = _read_names(_rows("city_names.csv"))


def province_of_region(region: str) -> str:
    """Province of a region code, empty where it is unknown.

    Real terminals send letters in the last places (`58D0`); the first two digits then tell the
    province, if they lie in one only.
    """
    province = _PROVINCE_OF_REGION.get(region, "")
    if not province and len(region) == 4 and not region.isdigit():
        return _PROVINCE_OF_PREFIX.get(region[:2], "")
    return province


def country_of_region(region: str) -> str:
    """Country (alpha-3) of a region code in its form for abroad, `0` and the number; else empty."""
    if len(region) == 4 and region[0] == "0" and region not in _SPECIAL:
        return country_of_number(region[1:])
    return ""


def country_of_number(number: str) -> str:
    """Country (alpha-3) of three digits, empty where there is none."""
    country = COUNTRY_BY_NUMBER.get(number)
    return "" if country is None else country.alpha3


def country_of_letters(letters: str) -> str:
    """Country (alpha-3) of two or three letters, empty where there is none."""
    country = COUNTRY_BY_ALPHA2.get(letters) or COUNTRY_BY_ALPHA3.get(letters)
    return "" if country is None else country.alpha3


def province_of_city(text: str) -> str:
    """Province that a text of a city column names; empty where it names none, or more than one.

    Chinese names are found inside the text, Latin ones only as whole words. Cities whose Latin name
    two provinces share (Suzhou, Fuzhou, Taizhou, Jinan as Ji'an) are not in the table.
    """
    words = text.upper().split()
    found = {_PROVINCE_OF_NAME[word] for word in words if word in _PROVINCE_OF_NAME}
    if not text.isascii():
        for name, province in _PROVINCE_OF_NAME.items():
            if not name.isascii() and name in text:
                found.add(province)
    return found.pop() if len(found) == 1 else ""

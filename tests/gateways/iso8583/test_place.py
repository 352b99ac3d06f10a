"""Where a transaction happens: UnionPay's numbers, countries, and the order of the fields."""

from __future__ import annotations

import pytest
from tests.gateways.iso8583.messages import purchase

from zhiwei.core.place import COUNTRY_BY_ALPHA3, PROVINCES
from zhiwei.core.request import PlaceSource
from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.gateways.iso8583.faults import DialectError
from zhiwei.gateways.iso8583.message import Message
from zhiwei.gateways.iso8583.parts import Parts
from zhiwei.gateways.iso8583.place import PlaceFinder
from zhiwei.gateways.iso8583.regions import (
    country_of_region,
    province_of_city,
    province_of_region,
    read_regions,
)

#: Institution numbers of two public lists, with the province of the bank.
PUBLIC_NUMBERS = [
    ("04184930", "41"),  # 洛阳银行
    ("04354910", "41"),  # 郑州银行
    ("04012900", "31"),  # 上海银行
    ("04031000", "11"),  # 北京银行
    ("04135810", "44"),  # 广州银行
    ("04105840", "44"),  # 平安银行 深圳
    ("04233310", "33"),  # 杭州银行
]
PUBLIC_NUMBERS_ABROAD = [
    ("47980344", "HKG"),
    ("26320446", "MAC"),
    ("26530496", "MNG"),
    ("26550704", "VNM"),
    ("26350764", "THA"),
    ("26330398", "KAZ"),
    ("26290840", "USA"),
]
NO_PLACE = ("0000", "0001", "0010", "9999", "9100", "0999", "", "49", "49300", "4X30X")


def _place(*, name: str | None = None, **changes: str | None) -> tuple[str, str, PlaceSource]:
    """Country, province and source of a purchase with some fields changed."""
    dialect = dialects.named(name or "unionpay-ascii")
    finder = PlaceFinder(dialect, Parts(dialect))
    place = finder.place(Message.of("0200", purchase(**changes)))
    return place.country, place.region, place.source


@pytest.mark.parametrize(("number", "province"), PUBLIC_NUMBERS)
def test_public_institution_numbers_are_in_their_provinces(number: str, province: str) -> None:
    """The last four digits of the number of a local bank say where it is."""
    assert province_of_region(number[4:]) == province
    told = _place(de32=number, de42=None)
    assert told == ("CHN", province, PlaceSource.ACQUIRER_REGION)


@pytest.mark.parametrize(("number", "country"), PUBLIC_NUMBERS_ABROAD)
def test_public_institution_numbers_abroad_are_in_their_countries(
    number: str, country: str
) -> None:
    """Zero and the number of ISO 3166; it decides before the merchant number is looked at."""
    assert country_of_region(number[4:]) == country
    assert _place(de32=number) == (country, "", PlaceSource.ACQUIRER_OVERSEAS)


@pytest.mark.parametrize("region", NO_PLACE)
def test_special_regions_tell_no_place(region: str) -> None:
    """Head offices, special numbers, and what is no region at all."""
    assert province_of_region(region) == ""
    assert country_of_region(region) == ""


def test_every_province_can_be_found_and_every_region_is_in_one_at_most() -> None:
    """The table covers all 31 units; its proofs lie in their own rows."""
    found = {province_of_region(f"{region:04d}") for region in range(10000)}
    assert found == {"", *PROVINCES}


def test_each_proof_lies_in_its_row() -> None:
    """Every region that a row names as its proof is found in the row's province."""
    import csv
    from importlib.resources import files

    text = files("zhiwei.gateways.iso8583").joinpath("unionpay_regions.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    for row in rows:
        assert PROVINCES[row["province"]].zh == row["name"]
        assert bool(row["proof"]) == (row["status"] == "proven")
        for proof in filter(None, row["proof"].split(";")):
            region = proof.split()[0]
            assert row["first"] <= region <= row["last"]
            assert province_of_region(region) == row["province"]
    assert {row["name"] for row in rows if row["status"] == "unverified"} == {
        "西藏",
        "宁夏",
        "新疆",
    }


def test_a_wrong_row_is_found_when_the_table_is_read() -> None:
    """A province that does not exist, a range that runs backwards."""
    row = {"first": "1000", "last": "1099", "province": "11"}
    assert read_regions([row])["1099"] == "11"
    for wrong in ({"province": "99"}, {"first": "1100"}, {"first": "0000"}, {"last": "10000"}):
        with pytest.raises(DialectError):
            read_regions([{**row, **wrong}])


def test_the_old_code_of_chongqing_lies_inside_sichuan() -> None:
    """6530 is 重庆, its neighbours are 四川."""
    assert [province_of_region(r) for r in ("6529", "6530", "6531")] == ["51", "50", "51"]


def test_a_region_with_letters_is_told_by_its_first_two_digits() -> None:
    """As in a published packet of a terminal: 58D0 lies in 广东; 65D0 could be in two provinces."""
    assert province_of_region("58D0") == "44"
    assert province_of_region("65D0") == ""
    assert _place(de42="88758D048165555", de32=None)[1] == "44"


def test_the_acquirer_s_country_decides_first() -> None:
    """DE19 abroad stands against every Chinese number; 香港, 澳门 and 台湾 are abroad too."""
    for number, country in (("840", "USA"), ("344", "HKG"), ("446", "MAC"), ("158", "TWN")):
        assert _place(de19=number) == (country, "", PlaceSource.ACQUIRER_COUNTRY)


def test_an_institution_abroad_stands_against_a_domestic_country() -> None:
    """DE19 says China, the number says Hong Kong: either of them is enough for abroad."""
    assert _place(de19="156", de32="47980344")[0] == "HKG"


def test_the_merchant_s_region_decides_before_the_acquirer_s() -> None:
    """A bank of 北京 that acquires for a shop in 洛阳."""
    assert _place(de32="04031000") == ("CHN", "41", PlaceSource.MERCHANT_REGION)


def test_a_merchant_number_of_another_form_leaves_it_to_the_acquirer() -> None:
    """Too short, with spaces or signs in its front, or a region that is in no table."""
    for merchant in ("8984930541100", "898 4930-411000", "898000054110001", None):
        assert _place(de42=merchant)[1:] == ("41", PlaceSource.ACQUIRER_REGION), merchant


def test_then_the_text_is_asked() -> None:
    """City column and country column of DE43, in English or in Chinese (GBK)."""
    no_numbers: dict[str, str | None] = {"de32": None, "de42": None}
    shop = "SHOP".ljust(25)
    text = PlaceSource.MERCHANT_TEXT
    assert _place(**no_numbers, de43=shop + "ZHENGZHOU    CN") == ("CHN", "41", text)
    gbk = "洛阳".encode("gb18030").decode("latin-1")
    assert _place(**no_numbers, de43=shop + gbk.ljust(13) + "CN") == ("CHN", "41", text)
    assert _place(**no_numbers, de43=shop + "NOWHERE      CN") == ("CHN", "", text)
    assert _place(**no_numbers, de43=shop + "TOKYO        JP") == ("JPN", "", text)
    assert _place(**no_numbers, de43=shop + "ZHENGZHOU    JP") == ("JPN", "", text)


def test_what_nobody_told_is_unknown() -> None:
    """No country is taken for granted, not even from the currency."""
    nothing: dict[str, str | None] = {"de32": None, "de42": None, "de43": None}
    assert _place(**nothing) == ("", "", PlaceSource.NOT_TOLD)
    assert _place(**nothing, de19="000") == ("", "", PlaceSource.NOT_TOLD)
    assert _place(**nothing, de19="156") == ("CHN", "", PlaceSource.ACQUIRER_COUNTRY)
    head_office = {**nothing, "de32": "01020000"}
    assert _place(**head_office) == ("", "", PlaceSource.NOT_TOLD)


def test_a_name_in_the_shop_s_own_name_tells_no_place() -> None:
    """`BEIJING ROAST DUCK` may stand anywhere."""
    shop = "BEIJING ROAST DUCK".ljust(25)
    assert _place(de32=None, de42=None, de43=shop + " " * 15)[1] == ""


def test_a_city_that_could_be_in_two_provinces_is_unknown() -> None:
    """Names that two provinces share, or a text with two cities."""
    for text in ("SUZHOU", "FUZHOU", "TAIZHOU", "XIAN LUOYANG", "西安 洛阳", "", "PARIS"):
        assert province_of_city(text) == "", text
    assert province_of_city("洛阳市") == "41"
    assert province_of_city("Luoyang") == "41"


def test_numbers_of_other_networks_carry_no_region() -> None:
    """Eight digits of a Visa or Mastercard acquirer are no province of China."""
    told = _place(name="mastercard-ebcdic", de43=None)
    assert told == ("", "", PlaceSource.NOT_TOLD)


def test_every_country_can_be_told_by_an_institution_number() -> None:
    """All of ISO 3166 but Antarctica, whose region 0010 has a meaning of its own."""
    told = {country_of_region(f"0{country.number}") for country in COUNTRY_BY_ALPHA3.values()}
    assert told == {*COUNTRY_BY_ALPHA3, ""} - {"ATA"}

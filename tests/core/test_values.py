"""Small values of the core: money, places, ids, identities, controls, their documents."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.strategies import OF_TYPE

from zhiwei.core.command import Command, Original
from zhiwei.core.controls import (
    AMOUNT_MAX,
    CONTROL_TYPES,
    BalanceChangeAlert,
    Control,
    Controls,
    LargeSpendVerification,
    Limit,
    LimitChannel,
    Limits,
    Measure,
    NightLock,
    OnlineLock,
    Period,
    RegionLock,
)
from zhiwei.core.documents import control_from, document_of, etag, time_of_day_ms, time_text
from zhiwei.core.errors import NotAllowedValueError, ZhiweiError
from zhiwei.core.ids import card_id, card_key_of, entry_id, entry_of
from zhiwei.core.money import BY_CODE, BY_NUMBER, UnknownCurrencyError, currency, major_units
from zhiwei.core.place import COUNTRY_BY_ALPHA3, PROVINCES, country_code
from zhiwei.core.reason import LIFTABLE_BY_PERMISSION, Reason
from zhiwei.core.request import Kind, Request
from zhiwei.core.result import Rejection, unreadable
from zhiwei.core.windows import HOUR_MS, DailyWindow
from zhiwei.core.zone import DAY_MS

KEY = bytes(range(16))


@given(st.integers(-(10**12), 10**12), st.sampled_from(sorted(BY_CODE)))
def test_an_amount_is_written_with_its_currencys_decimals(amount: int, code: str) -> None:
    """Reading back what is written gives the amount again."""
    text = major_units(amount, code)
    assert int(text.replace(",", "").replace(".", "")) == amount
    decimals = text.partition(".")[2]
    assert len(decimals) == BY_CODE[code].exponent


def test_amounts_read_as_people_write_them() -> None:
    """JPY has no decimals, CNY two, KWD three."""
    assert major_units(680_000, "CNY") == "6,800.00"
    assert major_units(500, "JPY") == "500"
    assert major_units(-5, "KWD") == "-0.005"


def test_a_currency_is_known_by_letters_and_by_number() -> None:
    """What ISO 4217 does not name is an error, which shows no more than eight letters of it."""
    assert currency("CNY").number == "156"
    assert BY_NUMBER["156"].code == "CNY"
    with pytest.raises(UnknownCurrencyError, match="`BITCOINS` is not a currency"):
        currency("BITCOINSANDMORE")


def test_a_country_is_known_in_three_ways() -> None:
    """Alpha-3, alpha-2 and number, in any case."""
    assert [country_code(text, "/c") for text in ("HKG", "hk", "344", " Hkg ")] == ["HKG"] * 4
    with pytest.raises(NotAllowedValueError) as caught:
        country_code("XX", "/countries/0")
    assert (caught.value.pointer, caught.value.code) == ("/countries/0", "unknown_country")


def test_the_tables_of_places_are_whole() -> None:
    """31 provinces; Hong Kong, Macao and Taiwan are countries or regions of their own."""
    assert len(PROVINCES) == 31
    assert {"HKG", "MAC", "TWN", "CHN"} <= set(COUNTRY_BY_ALPHA3)
    assert len(COUNTRY_BY_ALPHA3) == 249


@given(st.binary(min_size=16, max_size=16), st.integers(1, 2**40 - 1))
def test_an_id_says_card_and_version_and_nothing_else_says_them(key: bytes, version: int) -> None:
    """Ids can be read back; another prefix, another case or a cut one cannot."""
    text = entry_id("auth", key, version)
    assert card_key_of(card_id(key)) == key
    assert entry_of("auth", text) == (key, version)
    assert entry_of("chg", text) is None
    assert entry_of("auth", text[:-1]) is None
    assert entry_of("auth", text.upper()) is None
    assert card_key_of(text) is None


@pytest.mark.parametrize(
    "text", ["", "card", "card_", "card_0", "card_é", "card_" + "0" * 65, "card_zz"]
)
def test_what_is_no_id_is_none(text: str) -> None:
    """Nothing raises, whatever people type."""
    assert card_key_of(text) is None


def test_an_id_has_one_spelling() -> None:
    """Spare bits at the end would give one card several ids; version 0 names no entry."""
    text = card_id(bytes(16))
    assert card_key_of(text[:-1] + "1") is None
    assert entry_of("auth", entry_id("auth", KEY, 1)[:-8] + "0" * 8) is None


def test_a_message_without_a_trace_number_has_no_trace() -> None:
    """STAN alone wraps; with no time, the terminal and its reference number stand in."""
    bare = Request(kind=Kind.PURCHASE)
    alone = Request(kind=Kind.PURCHASE, stan="000001")
    at_terminal = Request(kind=Kind.PURCHASE, stan="000001", terminal="T1", rrn="1")
    traced = Request(kind=Kind.PURCHASE, stan="000001", transmitted_at="0302120000")
    keys = [Command(KEY, request=r).trace_key for r in (bare, alone, at_terminal, traced)]
    assert keys[:2] == [b"", b""]
    assert len(set(keys)) == 3


def test_a_command_finds_what_it_repeats_and_what_it_names() -> None:
    """Own trace, idempotency key, the original's trace, the original's version; each once."""
    request = Request(kind=Kind.PURCHASE, stan="000001", transmitted_at="0302120000")
    own = Command(KEY, request=request).trace_key
    named = Command(KEY, request=request, original=Original(trace_key=own), idempotency_key=b"k")
    assert named.keys_to_find == (own, b"k")
    other = Command(KEY, request=request, original=Original(trace_key=b"t"))
    assert other.keys_to_find == (own, b"t")
    by_version = Command(KEY, original=Original(version=7))
    assert len(by_version.keys_to_find) == 1


def test_an_errors_docstring_is_its_message() -> None:
    """An error class cannot exist without an explanation; a compiled one at least has its name."""
    assert str(UnknownCurrencyError()) in ("not a currency of ISO 4217", "unknown currency")

    class WordlessError(ZhiweiError):
        __doc__ = None

    assert str(WordlessError()) == "wordless"
    assert str(ZhiweiError("said")) == "said"


def test_words_of_the_api_are_lower_case_names() -> None:
    """Reasons and rejections are told by name."""
    assert Reason.NIGHT_LOCK_ACTIVE.code == "night_lock_active"
    assert Rejection.CARD_NOT_FOUND.code == "card_not_found"


def test_no_stop_status_medium_or_issuers_rule_can_be_lifted() -> None:
    """A permission lifts place, time and verification only."""
    for reason in LIFTABLE_BY_PERMISSION:
        assert 500 <= reason < 600 or 800 <= reason < 900
    assert Reason.INSTITUTION_BLOCKED not in LIFTABLE_BY_PERMISSION


def test_a_damaged_file_refuses_messages_and_rejects_changes() -> None:
    """Nothing is written, and nothing is approved by accident."""
    message = unreadable(Command(KEY, request=Request(kind=Kind.PURCHASE)), 7)
    assert message.entry is not None
    assert [f.reason for f in message.entry.findings] == [Reason.STATE_UNREADABLE]
    assert unreadable(Command(KEY), 7).rejection is Rejection.CARD_UNREADABLE


@given(st.data())
def test_a_control_comes_back_from_its_document(data: st.DataObject) -> None:
    """The document says all of it, and the tag is equal exactly when the control is."""
    control_type = data.draw(st.sampled_from(sorted(OF_TYPE)))
    control: Control = data.draw(OF_TYPE[control_type])
    other: Control = data.draw(OF_TYPE[control_type])
    assert control_from(control_type, document_of(control)) == control
    assert (etag(control) == etag(other)) == (control == other)


@given(st.integers(0, DAY_MS))
def test_a_time_of_day_comes_back_from_its_text(time: int) -> None:
    """Seconds and milliseconds are written only where they are not zero."""
    assert time_of_day_ms(time_text(time), "/start") == time
    assert time_text(5 * HOUR_MS) == "05:00"
    assert time_text(DAY_MS) == "24:00"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5:00",
        "05",
        "05:0",
        "05:60",
        "25:00",
        "05:00:60",
        "05:00:00.1",
        "０５:00",
        "05:00:00:00",
    ],
)
def test_what_is_no_time_of_day_is_an_error(text: str) -> None:
    """The error names the field."""
    with pytest.raises(NotAllowedValueError) as caught:
        time_of_day_ms(text, "/start")
    assert (caught.value.pointer, caught.value.code) == ("/start", "bad_time")


def item(**more: object) -> dict[str, Any]:
    """A limit's document, with something else in it."""
    return {"channel": "atm", "measure": "amount", "period": "day", **more}


@pytest.mark.parametrize(
    ("control_type", "document", "pointer", "code"),
    [
        ("night_lock", {"start": "23:00"}, "/end", "time_missing"),
        ("night_lock", {"end": "23:00"}, "/start", "time_missing"),
        ("night_lock", {"scope": "moon"}, "/scope", "unknown_value"),
        ("limits", {"items": [item(channel="x")]}, "/items/0/channel", "unknown_value"),
        ("limits", {"items": [item()]}, "/items/0/amount", "value_missing"),
        ("limits", {"items": [item(count=1, amount=1)]}, "/items/0/amount", "value_missing"),
        ("limits", {"items": [item(amount=-1)]}, "/items/0/amount", "bad_value"),
        ("limits", {"items": [item(seconds=9, amount=1)]}, "/items/0/seconds", "bad_seconds"),
        ("limits", {"items": []}, "/items", "bad_number_of_limits"),
        ("balance_change_alert", {"channels": ["fax"]}, "/channels/0", "unknown_channel"),
        ("moon_lock", {}, "", "unknown_control_type"),
    ],
)  # fmt: skip
def test_a_document_that_is_not_allowed_says_where(
    control_type: str, document: dict[str, Any], pointer: str, code: str
) -> None:
    """The pointer leads to the field at fault."""
    with pytest.raises(NotAllowedValueError) as caught:
        control_from(control_type, document)
    assert (caught.value.pointer, caught.value.code) == (pointer, code)


def test_lists_in_controls_are_sorted_so_that_equal_settings_are_equal() -> None:
    """The order in which a cardholder names places or limits means nothing."""
    assert RegionLock(("61", "41")) == RegionLock(("41", "61"))
    one = Limit(LimitChannel.ATM, Measure.AMOUNT, Period.DAY, 1)
    two = Limit(LimitChannel.POS, Measure.AMOUNT, Period.DAY, 1)
    assert Limits((two, one)) == Limits((one, two))
    assert BalanceChangeAlert(0, ("sms", "app", "sms")).channels == ("app", "sms")


def test_bounds_of_amounts() -> None:
    """The largest amount is allowed, one more is a typing error."""
    assert LargeSpendVerification(AMOUNT_MAX).threshold == AMOUNT_MAX
    with pytest.raises(NotAllowedValueError):
        LargeSpendVerification(AMOUNT_MAX + 1)


def test_the_mask_tells_which_controls_are_set() -> None:
    """Bit n is the n-th type."""
    held = Controls(night_lock=NightLock(), online_lock=OnlineLock(DailyWindow(0, HOUR_MS)))
    bits = {t for n, t in enumerate(CONTROL_TYPES) if held.mask >> n & 1}
    assert bits == {"night_lock", "online_lock"}
    assert held.of_type("night_lock") == NightLock()
    assert held.changed("night_lock", None).night_lock is None

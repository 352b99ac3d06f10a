"""The simulated acquirer: its messages are read back by the codec, in every dialect."""

from __future__ import annotations

from itertools import islice

import pytest

from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.dialect import named, names
from zhiwei.simulate.acquirer import Acquirer, original_data
from zhiwei.simulate.days import instant, stream
from zhiwei.simulate.doings import ATM, Deed, Doing, How
from zhiwei.simulate.people import population
from zhiwei.simulate.places import BANGKOK, GUANGZHOU

MONDAY = 20_780
CUSTOMER = population(1, 1)[0]


def doing(**changes: object) -> Doing:
    """A cash withdrawal in Guangzhou, but for the changes."""
    values: dict[str, object] = {
        "at_ms": instant(MONDAY, 600),
        "customer": CUSTOMER,
        "deed": Deed.CASH,
        "how": How.CHIP,
        "shop": ATM,
        "city": GUANGZHOU,
        "amount_minor": 50_000,
    }
    return Doing(**{**values, **changes})  # type: ignore[arg-type]  # the names are Doing's own


@pytest.mark.parametrize("name", [n for n in names() if n != "mastercard-clearing"])
def test_every_message_can_be_read_again(name: str) -> None:
    """What people do is written in each dialect and decoded to the same values."""
    dialect = named(name)
    codec = Codec(dialect)
    acquirer = Acquirer(dialect)
    for step in islice(stream(1, population(1, 40), instant(MONDAY, 0)), 300):
        sent = acquirer.request(step)
        for one in (sent, acquirer.repeat(sent), acquirer.reversal(sent)):
            raw = codec.encode(one.message)
            read = codec.decode(raw, 0, len(raw))
            assert read.mti == one.message.mti
            assert read.pan == step.customer.pan
            for number in (3, 4, 11, 37, 41, 49):
                assert read.text(number).strip() == one.message.text(number).strip(), number


def test_a_request_says_where_and_how() -> None:
    """Country, institution, merchant region and entry mode follow from the doing."""
    message = Acquirer(named("unionpay-ascii")).request(doing()).message
    assert message.mti == "0200"
    assert message.text(3) == "010000"
    assert message.text(4) == "000000050000"
    assert message.text(18) == "6011"
    assert message.text(19) == "156"
    assert message.text(32) == "01025810"
    assert message.text(42)[3:7] == "5810"
    assert message.text(12) == "100000"
    assert len(message.binary(52)) == 8


def test_money_abroad_is_billed_at_home() -> None:
    """A withdrawal in Bangkok carries baht, and what they cost in CNY."""
    abroad = doing(city=BANGKOK, amount_minor=1_000_000)
    message = Acquirer(named("unionpay-ascii")).request(abroad).message
    assert (message.text(4), message.text(49)) == ("000001000000", "764")
    assert (message.text(6), message.text(51)) == ("000000200000", "156")
    assert message.text(32) == "01020764"


def test_a_repeat_is_the_same_but_for_its_type() -> None:
    """0200 becomes 0201, 0420 becomes 0421, and nothing else moves."""
    acquirer = Acquirer(named("unionpay-ascii"))
    sent = acquirer.request(doing())
    again = acquirer.repeat(sent)
    assert again.message.mti == "0201"
    assert again.message.fields == sent.message.fields
    reversal = acquirer.reversal(sent)
    assert acquirer.repeat(reversal).message.mti == "0421"


def test_a_reversal_names_its_original() -> None:
    """DE90 repeats type, trace, time and institutions; the reversal has a trace of its own."""
    acquirer = Acquirer(named("unionpay-ascii"))
    sent = acquirer.request(doing())
    reversal = acquirer.reversal(sent).message
    assert reversal.mti == "0420"
    assert reversal.text(90) == original_data(sent.message)
    assert reversal.text(90)[:10] == "0200" + sent.stan
    assert len(reversal.text(90)) == 42
    assert reversal.text(11) != sent.stan
    assert not reversal.has(52)


def test_a_terminal_reverses_under_the_same_trace() -> None:
    """Terminals send no transmission time; DE61 and DE11 name what is taken back."""
    acquirer = Acquirer(named("unionpay-terminal"))
    sent = acquirer.request(doing())
    assert not sent.message.has(7)
    assert not sent.message.has(32)
    reversal = acquirer.reversal(sent).message
    assert reversal.mti == "0400"
    assert reversal.text(11) == sent.stan
    assert reversal.text(61)[6:12] == sent.stan


def test_entry_modes_of_four_digits_are_filled_at_the_end() -> None:
    """Where a network writes DE22 with four digits, the fourth is a zero."""
    assert Acquirer(named("visa-base1")).request(doing()).message.text(22) == "0510"


def test_traces_are_numbered_without_gaps() -> None:
    """Each message has the next number, and after 999999 comes 1."""
    acquirer = Acquirer(named("unionpay-ascii"), first_stan=999_998)
    stans = [acquirer.request(doing()).stan for _ in range(4)]
    assert stans == ["999998", "999999", "000001", "000002"]


def test_the_story_shows_the_tail_only() -> None:
    """The sentences about a doing hold the last four digits of the card and no more."""
    line = doing().line()
    assert CUSTOMER.tail in line.zh
    assert CUSTOMER.tail in line.en
    assert CUSTOMER.pan not in line.zh + line.en
    assert "500.00" in line.en

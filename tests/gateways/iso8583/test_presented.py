"""How the card was shown and through which channel: the tables of DE22, DE25 and DE60."""

from __future__ import annotations

import pytest
from tests.gateways.iso8583.messages import PANS, purchase

from zhiwei.core.request import Channel, Initiator, Kind, Medium
from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.message import Layout, Message, bit
from zhiwei.gateways.iso8583.parts import Parts
from zhiwei.gateways.iso8583.presented import (
    channel_of,
    initiator_of,
    medium_of,
    payment_institution,
    pin_was_entered,
)

PARTS = Parts(dialects.named("unionpay-ascii"))


def _private(
    *, capability: str = "0", condition: str = "0", terminal: str = "00", medium: str = "0"
) -> str:
    """DE60 as UnionPay institutions write it."""
    return f"00000{capability}{condition}0{terminal}00000{'0' * 8}{medium}"


def _message(service_code: str = "", **changes: str | None) -> Message:
    """A purchase, with what the track told."""
    plain = Message.of("0200", purchase(**changes))
    return Message(plain.mti, plain.layout, plain.values, service_code=service_code)


#: DE22, DE60.3.6 (None = no DE60), capability, chip condition, service code, and the medium.
MEDIA = [
    ("021", "1", "2", "0", "", Medium.MAGSTRIPE),
    ("901", "1", "5", "0", "", Medium.MAGSTRIPE),
    ("021", "3", "5", "2", "", Medium.FALLBACK),
    ("901", "3", "6", "1", "", Medium.FALLBACK),
    ("021", "2", "5", "0", "", Medium.FALLBACK),
    ("021", "0", "5", "2", "", Medium.FALLBACK),
    ("021", "0", "6", "1", "", Medium.FALLBACK),
    ("021", "0", "5", "0", "", Medium.MAGSTRIPE),
    ("021", "0", "2", "2", "", Medium.MAGSTRIPE),
    ("021", None, "", "", "", Medium.MAGSTRIPE),
    ("021", "1", "2", "0", "201", Medium.FALLBACK),
    ("021", "1", "2", "0", "601", Medium.FALLBACK),
    ("021", "1", "2", "0", "101", Medium.MAGSTRIPE),
    ("901", None, "", "", "220", Medium.FALLBACK),
    ("801", "1", "5", "0", "", Medium.FALLBACK),
    ("790", None, "", "", "", Medium.FALLBACK),
    ("051", "2", "5", "0", "201", Medium.CHIP),
    ("950", "2", "6", "0", "", Medium.CHIP),
    ("510", None, "", "", "", Medium.CHIP),
    ("071", "2", "2", "0", "", Medium.CONTACTLESS),
    ("960", "2", "2", "0", "", Medium.CONTACTLESS),
    ("970", "2", "2", "0", "", Medium.CONTACTLESS),
    ("980", "2", "2", "0", "", Medium.CONTACTLESS),
    ("710", None, "", "", "", Medium.CONTACTLESS),
    ("910", None, "", "", "", Medium.CONTACTLESS),
    ("051", "3", "5", "2", "", Medium.FALLBACK),
    ("012", "7", "0", "0", "", Medium.MANUAL),
    ("010", None, "", "", "", Medium.MANUAL),
    ("030", None, "", "", "", Medium.QR),
    ("090", None, "", "", "", Medium.ECOMMERCE),
    ("810", None, "", "", "", Medium.ECOMMERCE),
    ("100", None, "", "", "", Medium.CREDENTIAL_ON_FILE),
    ("000", "2", "0", "0", "", Medium.CHIP),
    ("000", "7", "0", "0", "", Medium.NONE),
    ("000", "0", "0", "0", "", Medium.UNKNOWN),
    ("040", None, "", "", "", Medium.UNKNOWN),
    (None, None, "", "", "", Medium.UNKNOWN),
    (None, "1", "2", "0", "", Medium.UNKNOWN),
]


@pytest.mark.parametrize(("entry", "medium", "capability", "condition", "code", "wanted"), MEDIA)
def test_the_medium_follows_the_table(
    entry: str | None,
    medium: str | None,
    capability: str,
    condition: str,
    code: str,
    wanted: Medium,
) -> None:
    """UnionPay's table of 60.3.6, the entry modes, and the chip that the card itself tells of."""
    private = None
    if medium is not None:
        private = _private(capability=capability, condition=condition, medium=medium)
    assert medium_of(_message(code, de22=entry, de60=private), PARTS) is wanted


def test_an_unknown_entry_of_electronic_commerce_is_electronic_commerce() -> None:
    """DE25 tells it where DE22 does not."""
    assert medium_of(_message(de22="000", de25="59"), PARTS) is Medium.ECOMMERCE


#: DE22, DE25, category, terminal type of DE60, DE32, kind, and the channel.
CHANNELS = [
    ("021", "00", "5411", "03", "01024930", Kind.PURCHASE, Channel.POS),
    ("051", "00", "5411", "00", "01024930", Kind.PURCHASE, Channel.POS),
    ("071", "06", "7011", "03", "01024930", Kind.PREAUTHORIZATION, Channel.POS),
    ("051", "00", "5411", "03", "01024930", Kind.BALANCE_INQUIRY, Channel.POS),
    ("051", "00", "5411", "03", "01024930", Kind.VOID, Channel.POS),
    ("051", "00", "5411", "03", "01024930", Kind.CASH_WITHDRAWAL, Channel.UNKNOWN),
    ("051", "00", "5411", "03", "01024930", Kind.TRANSFER_OUT, Channel.UNKNOWN),
    ("051", "02", "6011", "01", "01024930", Kind.CASH_WITHDRAWAL, Channel.ATM),
    ("021", "00", "6011", "00", "01024930", Kind.TRANSFER_OUT, Channel.ATM),
    ("051", "00", "", "01", "01024930", Kind.CASH_WITHDRAWAL, Channel.ATM),
    ("051", "00", "6010", "00", "01024930", Kind.CASH_WITHDRAWAL, Channel.COUNTER),
    ("051", "00", "6010", "03", "01024930", Kind.CASH_WITHDRAWAL, Channel.UNKNOWN),
    ("812", "59", "5999", "07", "01024930", Kind.PURCHASE, Channel.ONLINE),
    ("012", "08", "5999", "00", "01024930", Kind.PURCHASE, Channel.ONLINE),
    ("102", "00", "5999", "08", "01024930", Kind.PURCHASE, Channel.ONLINE),
    ("000", "59", "5999", "00", "01024930", Kind.PURCHASE, Channel.ONLINE),
    ("000", "00", "5999", "07", "01024930", Kind.PURCHASE, Channel.ONLINE),
    ("102", "08", "5999", "00", "48212900", Kind.PURCHASE, Channel.QUICK_PAY),
    ("000", "00", "5999", "00", "01024930", Kind.PURCHASE, Channel.UNKNOWN),
    ("051", "59", "5999", "00", "01024930", Kind.PURCHASE, Channel.UNKNOWN),
    ("051", "00", "5999", "07", "01024930", Kind.PURCHASE, Channel.UNKNOWN),
    ("051", "00", "5999", "00", "48212900", Kind.PURCHASE, Channel.POS),
    ("", "00", "5999", "00", "01024930", Kind.PURCHASE, Channel.UNKNOWN),
]


@pytest.mark.parametrize(
    ("entry", "condition", "mcc", "terminal", "acquirer", "kind", "wanted"), CHANNELS
)
def test_the_channel_follows_the_table(
    entry: str, condition: str, mcc: str, terminal: str, acquirer: str, kind: Kind, wanted: Channel
) -> None:
    """ATM, POS, counter, online, quick pay; what contradicts itself is unknown, never guessed."""
    message = _message(
        de22=entry or None,
        de25=condition,
        de32=acquirer,
        de60=_private(terminal=terminal),
    )
    assert channel_of(message, PARTS, kind, mcc) is wanted


def test_a_payment_institution_may_acquire_or_forward() -> None:
    """Institution numbers that begin with 48; other lengths are other numbers."""
    assert payment_institution(_message(de32="48212900")) == "48212900"
    assert payment_institution(_message(de33="48212900")) == "48212900"
    assert payment_institution(_message(de32="482129")) == ""
    assert payment_institution(_message()) == ""


def test_recurring_payments_are_started_by_the_merchant() -> None:
    """DE25 40."""
    assert initiator_of(_message(de25="40")) is Initiator.MERCHANT
    assert initiator_of(_message()) is Initiator.CARDHOLDER


def test_a_pin_is_told_by_its_block_or_by_the_entry_mode() -> None:
    """The block itself is gone by then; that it was there is known."""
    assert pin_was_entered(_message(de22="051"))
    assert not pin_was_entered(_message(de22="052"))
    assert not pin_was_entered(_message(de22=None))
    with_block = Message("0200", Layout(0), [], withheld=bit(52))
    assert pin_was_entered(with_block)


def test_the_chip_of_a_swiped_card_is_read_from_its_track() -> None:
    """From the wire: track 2 says that the card has a chip, so the stripe is a fallback."""
    import dataclasses

    dialect = dialects.named("unionpay-ascii")
    writer = Codec(dataclasses.replace(dialect, withheld=frozenset()))
    fields = purchase(de22="021")
    fields[35] = f"{PANS[0]}=28122010000012300000"
    raw = writer.encode(Message.of("0200", fields))
    message = Codec(dialect).decode(raw, 0, len(raw))
    assert medium_of(message, PARTS) is Medium.FALLBACK

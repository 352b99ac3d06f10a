"""Presented: how the card was shown, and through which channel (domain tables of DE22, DE25, DE60).

What the tables do not settle stays unknown: a lock then asks its policy. Where two fields disagree
about the chip, the stricter one counts: a stripe read from a card that has a chip is a fallback
(降级).
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.request import Channel, Initiator, Kind, Medium
from zhiwei.gateways.iso8583.message import Message
from zhiwei.gateways.iso8583.parts import Parts
from zhiwei.gateways.iso8583.track import CHIP_SERVICE_CODES

_ATM_CATEGORY: Final = "6011"
_BANK_COUNTER_CATEGORY: Final = "6010"

_STRIPE_ENTRIES: Final = frozenset(("02", "90"))

#: DE22, first two digits. Stripe entries are not here: they need to know about the chip.
_MEDIUM_OF_ENTRY: Final[dict[str, Medium]] = {
    "01": Medium.MANUAL,
    "03": Medium.QR,
    "05": Medium.CHIP,
    "07": Medium.CONTACTLESS,
    "09": Medium.ECOMMERCE,
    "10": Medium.CREDENTIAL_ON_FILE,
    "51": Medium.CHIP,
    "71": Medium.CONTACTLESS,
    "79": Medium.FALLBACK,
    "80": Medium.FALLBACK,
    "81": Medium.ECOMMERCE,
    "91": Medium.CONTACTLESS,
    "95": Medium.CHIP,
    "96": Medium.CONTACTLESS,
    "97": Medium.CONTACTLESS,
    "98": Medium.CONTACTLESS,
}

#: Entry modes in which a card, or a phone in its place, was at the terminal.
_PRESENT_ENTRIES: Final = frozenset(
    ("02", "03", "05", "07", "51", "71", "79", "80", "90", "91", "95", "96", "97", "98")
)
#: Entry modes of card-not-present traffic.
_ABSENT_ENTRIES: Final = frozenset(("01", "09", "10", "81"))

#: DE25: the cardholder or the card is not there; electronic commerce.
_ABSENT_CONDITIONS: Final = frozenset(
    ("01", "05", "08", "40", "50", "51", "52", "53", "54", "55", "56", "57", "58", "59")
)
_ECOMMERCE_CONDITIONS: Final = frozenset(("54", "55", "56", "57", "58", "59"))
#: DE25: recurring payments are started by the merchant.
_RECURRING: Final = "40"

#: UnionPay 60.2.5. Values that are not here are not known well enough.
_ATM_TERMINAL: Final = "01"
_POS_TERMINAL: Final = "03"
_ONLINE_TERMINALS: Final = frozenset(("05", "07", "08", "16"))

#: UnionPay 60.3.6 (交易介质).
_MEDIUM_CHIP: Final = "2"
_MEDIUM_COMPOSITE_BY_STRIPE: Final = "3"
_MEDIUM_NO_CARD: Final = "7"

#: Institution numbers of payment institutions (支付机构) begin so.
_PAYMENT_INSTITUTION: Final = "48"

_POS_KINDS: Final = frozenset(
    (
        Kind.PURCHASE,
        Kind.PREAUTHORIZATION,
        Kind.COMPLETION,
        Kind.BALANCE_INQUIRY,
        Kind.REFUND,
        Kind.VOID,
    )
)


def medium_of(message: Message, parts: Parts) -> Medium:
    """How the card was presented (介质)."""
    entry = message.text(22)[:2]
    if entry in _STRIPE_ENTRIES:
        return _stripe(message, parts)
    told = parts.medium.of(message)
    if told == _MEDIUM_COMPOSITE_BY_STRIPE:
        return Medium.FALLBACK
    medium = _MEDIUM_OF_ENTRY.get(entry, Medium.UNKNOWN)
    if medium is not Medium.UNKNOWN:
        return medium
    if told == _MEDIUM_CHIP:
        return Medium.CHIP
    if message.text(25) in _ECOMMERCE_CONDITIONS:
        return Medium.ECOMMERCE
    return Medium.NONE if told == _MEDIUM_NO_CARD else Medium.UNKNOWN


def _stripe(message: Message, parts: Parts) -> Medium:
    """A stripe was read: of a card without a chip, or of one that has one?

    The card itself says so in its service code; the acquirer says so in 60.3.6, or by a terminal
    that reads chips and met the condition "operator error" or "fallback". The card's own file is
    asked later: it may still know of a chip that nobody mentioned.
    """
    if message.service_code[:1] in CHIP_SERVICE_CODES:
        return Medium.FALLBACK
    told = parts.medium.of(message)
    if told in (_MEDIUM_CHIP, _MEDIUM_COMPOSITE_BY_STRIPE):
        return Medium.FALLBACK
    if told == "1":
        return Medium.MAGSTRIPE
    reads_chips = parts.read_capability.of(message) in ("5", "6")
    if reads_chips and parts.chip_condition.of(message) in ("1", "2"):
        return Medium.FALLBACK
    return Medium.MAGSTRIPE


def channel_of(message: Message, parts: Parts, kind: Kind, mcc: str) -> Channel:
    """Where it happens, unknown where the fields do not settle it."""
    terminal = parts.terminal_type.of(message)
    if mcc == _ATM_CATEGORY or terminal == _ATM_TERMINAL:
        return Channel.ATM
    if mcc == _BANK_COUNTER_CATEGORY:
        return Channel.UNKNOWN if terminal == _POS_TERMINAL else Channel.COUNTER
    entry = message.text(22)[:2]
    is_absent = (
        entry in _ABSENT_ENTRIES
        or message.text(25) in _ABSENT_CONDITIONS
        or terminal in _ONLINE_TERMINALS
    )
    is_present = entry in _PRESENT_ENTRIES
    if is_absent and is_present:
        return Channel.UNKNOWN
    if is_absent:
        return Channel.QUICK_PAY if payment_institution(message) else Channel.ONLINE
    if is_present and kind in _POS_KINDS:
        return Channel.POS
    return Channel.UNKNOWN


def payment_institution(message: Message) -> str:
    """The payment institution (支付机构) that acquires or forwards, empty where there is none."""
    for number in (message.text(32), message.text(33)):
        if len(number) == 8 and number.startswith(_PAYMENT_INSTITUTION):
            return number
    return ""


def initiator_of(message: Message) -> Initiator:
    """Who started it."""
    return Initiator.MERCHANT if message.text(25) == _RECURRING else Initiator.CARDHOLDER


def pin_was_entered(message: Message) -> bool:
    """DE22 says so in its third digit, or a PIN block came with it."""
    return message.text(22)[2:3] == "1" or message.has(52)

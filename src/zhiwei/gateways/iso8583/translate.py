"""Translate: an ISO 8583 message to the command that the core understands; the wire ends here.

A message that lacks what its kind needs, or has what does not exist (a currency, a processing
code), is answered with a format error; nothing is guessed and nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from zhiwei.core.command import Command, Original
from zhiwei.core.errors import ZhiweiError
from zhiwei.core.identity import trace_key
from zhiwei.core.money import BY_CODE, BY_NUMBER
from zhiwei.core.request import Channel, Kind, MessageClass, Request
from zhiwei.gateways.iso8583.dialect import Dialect
from zhiwei.gateways.iso8583.message import Message, all_digits, masked_pan
from zhiwei.gateways.iso8583.parts import Parts, decoded
from zhiwei.gateways.iso8583.place import PlaceFinder
from zhiwei.gateways.iso8583.presented import (
    channel_of,
    initiator_of,
    medium_of,
    payment_institution,
    pin_was_entered,
)
from zhiwei.vault import text_without_numbers

#: Second and third digit of the message type. The fourth tells a repeat, which is found by
#: identity.
_CLASS_OF_TYPE: Final[dict[str, MessageClass]] = {
    "10": MessageClass.REQUEST,
    "20": MessageClass.REQUEST,
    "12": MessageClass.ADVICE,
    "22": MessageClass.ADVICE,
    "40": MessageClass.REVERSAL,
    "42": MessageClass.REVERSAL,
}

#: DE3, first two digits. 00 and 20 need more (see `_kind`).
_KIND_OF_CODE: Final[dict[str, Kind]] = {
    "01": Kind.CASH_WITHDRAWAL,
    "02": Kind.PURCHASE,  # debit adjustment
    "03": Kind.PREAUTHORIZATION,
    "09": Kind.PURCHASE,  # with cash back
    "11": Kind.PURCHASE,  # quasi-cash
    "17": Kind.CASH_WITHDRAWAL,
    "21": Kind.DEPOSIT,
    "22": Kind.REFUND,  # credit adjustment
    "26": Kind.TRANSFER_IN,  # original credit
    "28": Kind.DEPOSIT,
    "30": Kind.BALANCE_INQUIRY,
    "31": Kind.BALANCE_INQUIRY,
    "40": Kind.TRANSFER_OUT,
    "46": Kind.TRANSFER_OUT,
    "47": Kind.TRANSFER_IN,
}
_GOODS: Final = "00"
_CREDIT: Final = "20"
#: DE25: confirmation of a pre-authorization, or one itself.
_PREAUTHORIZATION: Final = "06"
#: Codes (DE39) of an advice whose transaction went through.
_APPROVALS: Final = frozenset(("00", "08", "10", "11", "16", "85"))

#: Kinds that move no amount.
_FREE: Final = frozenset((Kind.BALANCE_INQUIRY,))

#: Merchants whose name is kept ready.
NAMES_MAX: Final = 4096

_ORIGINAL_DATA_DIGITS: Final = 42


class NotTranslatableError(ZhiweiError):
    """the message does not say what its kind needs"""

    def __init__(self, answer: str, field: int) -> None:
        super().__init__(f"{'a card number' if field == 2 else f'DE{field}'} is missing or wrong")
        #: Name of the answer to give (`response_codes.ANSWERS`).
        self.answer: Final = answer
        #: The data element at fault.
        self.field: Final = field


@final
class Translator:
    """Translates the messages of one dialect."""

    __slots__ = ("card_key", "dialect", "names", "nonce", "parts", "places")

    def __init__(
        self, dialect: Dialect, card_key: Callable[[str], bytes], nonce: Callable[[], bytes]
    ) -> None:
        self.dialect: Final = dialect
        #: The vault: a card number to its key; raises a ZhiweiError for what is no card number.
        self.card_key: Final = card_key
        #: Eight random bytes.
        self.nonce: Final = nonce
        self.parts: Final = Parts(dialect)
        self.places: Final = PlaceFinder(dialect, self.parts)
        #: Names of merchants as people read them, by how they were sent; at most NAMES_MAX.
        self.names: Final[dict[str, str]] = {}

    def command(self, message: Message) -> Command:
        """What the message wants of its card.

        Raises:
            NotTranslatableError: something that is needed is missing or does not exist; it names
            the answer to give.
        """
        request = self.request(message)
        pan = message.pan
        if not pan:
            raise NotTranslatableError("format_error", 2)
        try:
            card_key = self.card_key(pan)
        except ZhiweiError:
            raise NotTranslatableError("card_not_found", 2) from None
        original = self._original(message, request)
        return Command(card_key, request=request, original=original, nonce=self.nonce())

    def request(self, message: Message) -> Request:
        """The request in normal form."""
        parts = self.parts
        message_class = _CLASS_OF_TYPE.get(message.mti[1:3])
        if message_class is None:
            raise NotTranslatableError("format_error", 0)
        kind = self._kind(message, message_class)
        condition = self.dialect.meaning.increment_condition
        if condition and kind is Kind.PREAUTHORIZATION and message.text(25) == condition:
            message_class = MessageClass.INCREMENT
        stan = message.text(11)
        if not stan:
            raise NotTranslatableError("format_error", 11)
        is_reversal = message_class is MessageClass.REVERSAL
        amount, currency = _amount(message, is_needed=not is_reversal and kind not in _FREE)
        billing_amount, billing_currency = _billing(message)
        mcc = message.text(18) or parts.category.of(message)
        channel = channel_of(message, parts, kind, mcc)
        place = self.places.place(message)
        is_advice = message_class is MessageClass.ADVICE
        return Request(
            kind=kind,
            message_class=message_class,
            channel=channel,
            medium=medium_of(message, parts),
            amount_minor=amount,
            currency=currency,
            billing_amount_minor=billing_amount,
            billing_currency=billing_currency,
            merchant_id=_text_without(message.pan, message.text(42)),
            merchant_name=self._merchant_name(message),
            mcc=mcc,
            country=place.country,
            region=place.region,
            place_source=place.source,
            acquirer=message.text(32),
            forwarder=message.text(33),
            terminal=_text_without(message.pan, message.text(41)),
            rrn=_text_without(message.pan, message.text(37)),
            stan=stan,
            transmitted_at=message.text(7),
            local_time=message.text(13) + message.text(12),
            initiator=initiator_of(message),
            institution=payment_institution(message) if channel is Channel.QUICK_PAY else "",
            pin_entered=pin_was_entered(message),
            auth_code=decoded(message.text(38)),
            balance_minor=_balance(message.text(54)),
            was_declined=is_advice and _says_declined(message.text(39)),
        )

    def _kind(self, message: Message, message_class: MessageClass) -> Kind:
        """What is to be done with the account, from DE3, DE25, the type, and 60.1 of terminals."""
        code = message.text(3)[:2]
        is_about_preauthorization = message.text(25) == _PREAUTHORIZATION
        if code == _GOODS:
            if not is_about_preauthorization:
                return Kind.PURCHASE
            # 0100 asks for a pre-authorization; 0200 and 0220 complete one.
            return Kind.PREAUTHORIZATION if message.mti[1] == "1" else Kind.COMPLETION
        if code == _CREDIT:
            if message_class is MessageClass.ADVICE:
                return Kind.REFUND
            is_refund = self.dialect.meaning.credit_is_refund and not is_about_preauthorization
            return Kind.REFUND if is_refund else Kind.VOID
        kind = _KIND_OF_CODE.get(code)
        if kind is None:
            raise NotTranslatableError("format_error", 3)
        return kind

    def _merchant_name(self, message: Message) -> str:
        """The name in DE43, for messages to the cardholder; no card number is left in it."""
        sent = self.parts.name.of(message) or message.text(43)
        known = self.names.get(sent)
        if known is not None:
            return known
        plain = decoded(sent)
        name = text_without_numbers(plain)
        # A text with a card number in it is not kept, not even here.
        if name == plain:
            if len(self.names) >= NAMES_MAX:
                del self.names[next(iter(self.names))]
            self.names[sent] = name
        return name

    def _original(self, message: Message, request: Request) -> Original | None:
        """Which earlier message this one is about, None where it is about none or does not say."""
        is_reversal = request.message_class is MessageClass.REVERSAL
        data = message.text(90)
        if len(data) == _ORIGINAL_DATA_DIGITS and all_digits(data):
            found = _trace_key_in(data, request)
        elif is_reversal or request.kind is Kind.VOID or request.kind is Kind.REFUND:
            # Terminals name the original's trace in DE61, and repeat it in DE11 of a reversal.
            stan = self.parts.original_trace.of(message)
            if not stan and not is_reversal:
                return None
            found = trace_key(
                request.transmitted_at,
                stan or request.stan,
                request.acquirer,
                request.forwarder,
                request.terminal,
                request.rrn if is_reversal else "",
            )
        else:
            return None
        return Original(
            trace_key=found,
            auth_code=request.auth_code,
            rrn=request.rrn,
            terminal=request.terminal,
            replacement_minor=_replacement(message.text(95)) if is_reversal else -1,
        )


def _trace_key_in(data: str, request: Request) -> bytes:
    """Trace key of the original that DE90 names: type 4, trace 6, DE7 10, DE32 11, DE33 11."""
    transmitted_at = data[10:20]
    return trace_key(
        transmitted_at if transmitted_at.strip("0") else "",
        data[4:10],
        _institution(data[20:31], request.acquirer),
        _institution(data[31:42], request.forwarder),
        request.terminal,
        request.rrn,
    )


def _institution(padded: str, own: str) -> str:
    """An institution number out of DE90, where it has eleven digits, as its message wrote it.

    The original nearly always came the way of its follow-up, so the follow-up's own writing is
    taken if it is the same number, or if DE90 does not say. Else a number has eight digits at
    UnionPay.
    """
    number = padded.lstrip("0")
    if not number or number == own.lstrip("0"):
        return own
    return number.rjust(8, "0")


def _amount(message: Message, *, is_needed: bool) -> tuple[int, str]:
    """Amount in minor units and currency letters; a reversal and an inquiry need neither."""
    digits = message.text(4)
    currency = _currency(message.text(49), 49)
    if is_needed and not digits:
        raise NotTranslatableError("format_error", 4)
    if is_needed and not currency:
        raise NotTranslatableError("format_error", 49)
    return int(digits) if digits and currency else 0, currency


def _billing(message: Message) -> tuple[int, str]:
    """Billing amount and currency; both or neither."""
    digits = message.text(6)
    currency = _currency(message.text(51), 51)
    if not digits or not currency:
        return -1, ""
    return int(digits), currency


def _currency(code: str, field: int) -> str:
    """Letters of a currency code of three digits or letters, empty where none was sent."""
    if not code:
        return ""
    found = BY_NUMBER.get(code) or BY_CODE.get(code)
    if found is None:
        raise NotTranslatableError("format_error", field)
    return found.code


def _balance(amounts: str) -> int | None:
    """Available balance in DE54: account 2, amount type 2, currency 3, sign C or D, amount 12.

    The ledger balance (type 01) is no available balance (type 02) and is not taken for one.
    """
    for start in range(0, len(amounts) - 19, 20):
        digits = amounts[start + 8 : start + 20]
        if amounts[start + 2 : start + 4] == "02" and all_digits(digits):
            return -int(digits) if amounts[start + 7] == "D" else int(digits)
    return None


def _replacement(amounts: str) -> int:
    """What stands after a partial reversal (DE95, its first twelve digits); -1 = nothing does."""
    digits = amounts[:12]
    return int(digits) or -1 if all_digits(digits) else -1


def _says_declined(code: str) -> bool:
    """The stand-in declined what the advice reports."""
    return bool(code) and code not in _APPROVALS


def _text_without(pan: str, text: str) -> str:
    """A text as it may be kept: readable, trimmed, without the card number if it hides there."""
    if pan and pan in text:
        text = text.replace(pan, masked_pan(pan))
    return decoded(text)

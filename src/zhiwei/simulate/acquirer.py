"""The acquirer: turns what people do into ISO 8583 messages, and keeps what follow-ups need.

It numbers its messages (DE11, DE37) without gaps, and remembers of each one what a repeat, a
reversal, a void or a completion must repeat of its original.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias, final

from zhiwei.core.money import BY_CODE
from zhiwei.gateways.iso8583.dialect import Dialect
from zhiwei.gateways.iso8583.message import Message
from zhiwei.simulate.days import beijing
from zhiwei.simulate.doings import ATM, Deed, Doing, How

Fields: TypeAlias = "dict[int, str | bytes]"

#: The institution that forwards all our messages (DE33).
FORWARDER: Final = "00010000"
#: Response codes (DE39) after which the terminal hands out goods or cash.
APPROVED: Final = ("00",)
#: What a chip answers, cut short: EMV tags 9F26 9F27 9F36 95. It is test data, and dropped at the
#: door.
_CHIP_DATA: Final = bytes.fromhex(
    "9F2608A1B2C3D4E5F607189F2701809F3602004A950500800460009A03261123"
)
#: An encrypted PIN that is none; dropped at the door like a real one.
_PIN_BLOCK: Final = bytes.fromhex("0011223344556677")
#: What a UnionPay terminal calls a deed (60.1); its batch follows (60.2).
_TERMINAL_TYPES: Final[dict[Deed, str]] = {
    Deed.INQUIRY: "01",
    Deed.PREAUTHORIZATION: "10",
    Deed.COMPLETION: "20",
    Deed.PURCHASE: "22",
    Deed.CASH: "22",
    Deed.TRANSFER: "22",
    Deed.VOID: "23",
    Deed.REFUND: "25",
}
_BATCH: Final = "000001"
#: What a terminal tells its acquirer; the acquirer adds the rest.
_TERMINAL: Final = "unionpay-terminal"
_TERMINAL_FIELDS: Final = frozenset(
    (2, 3, 4, 11, 14, 22, 25, 37, 38, 39, 41, 42, 49, 52, 55, 60, 61, 70)
)
#: UnionPay's private field, DE60: message reason, then the point of service, then the transaction.
_PRIVATE_USE: Final = 60


@dataclass(frozen=True)
class Sent:
    """A message on its way, with what it was about."""

    message: Message
    #: None for network management, which is about nobody's card.
    doing: Doing | None = None
    #: Processing code and type of the original, for a reversal.
    original: Message | None = None

    @property
    def stan(self) -> str:
        """System trace audit number (DE11)."""
        return self.message.text(11)

    @property
    def rrn(self) -> str:
        """Retrieval reference number (DE37)."""
        return self.message.text(37)


@final
class Acquirer:
    """One acquiring institution's side of the line, speaking one dialect."""

    def __init__(self, dialect: Dialect, first_stan: int = 1) -> None:
        self._dialect: Final = dialect
        self._is_terminal: Final = dialect.name == _TERMINAL
        known = dialect.fields.keys()
        self._known: Final = known & _TERMINAL_FIELDS if self._is_terminal else set(known)
        self._next_stan = first_stan

    def request(self, doing: Doing, *, original: Sent | None = None, code: str = "") -> Sent:
        """The message of a doing.

        A completion, void or refund repeats the authorization `code` (DE38) of its `original`.
        """
        form = doing.deed.value
        fields = self._fields(doing)
        if original is not None:
            fields[37] = original.rrn
            if code:
                fields[38] = code
            if doing.deed is Deed.VOID:
                self._name_original(fields, original.message)
        first = None if original is None else original.message
        return Sent(self._message(form.mti, fields), doing, first)

    def reversal(self, sent: Sent, reason: str = "06") -> Sent:
        """Takes back a message whose answer never came, or whose cash did not come out (冲正).

        `reason` (DE39): 06 = error, 98 = no answer in time.
        """
        original = sent.message
        fields: Fields = {
            number: value
            for number, value in original.fields.items()
            if number not in (14, 52, 55, 128)
        }
        fields[39] = reason
        self._name_original(fields, original)
        if self._is_terminal:
            # A terminal reverses under the trace of what it reverses.
            return Sent(self._message("0400", fields), sent.doing, original)
        fields[11] = self._stan()
        return Sent(self._message("0420", fields), sent.doing, original)

    def repeat(self, sent: Sent) -> Sent:
        """The same message again, marked as a repeat: 0200 becomes 0201, 0420 becomes 0421."""
        mti = sent.message.mti
        repeated = mti[:3] + "1"
        return Sent(Message.of(repeated, sent.message.fields), sent.doing, sent.original)

    def network(self, code: str, at_ms: int) -> Sent:
        """Network management (0800): 001 signs on, 002 signs off, 301 asks for an echo."""
        fields: Fields = {
            7: f"{beijing(at_ms):%m%d%H%M%S}",
            11: self._stan(),
            33: FORWARDER,
            70: code,
        }
        return Sent(self._message("0800", fields))

    def _name_original(self, fields: Fields, original: Message) -> None:
        """Say which message this one is about: DE90, or DE61 of a terminal (batch, trace, date)."""
        fields[90] = original_data(original)
        if self._is_terminal:
            fields[61] = f"{_BATCH}{original.text(11)}"

    def _stan(self) -> str:
        number = self._next_stan
        self._next_stan = number % 999_999 + 1
        return f"{number:06d}"

    def _message(self, mti: str, fields: Fields) -> Message:
        """The fields that the dialect knows; it decides how they are written."""
        known = self._known
        return Message.of(mti, {number: fields[number] for number in fields if number in known})

    def _fields(self, doing: Doing) -> Fields:
        form, reading = doing.deed.value, doing.how.value
        shop, city = doing.shop, doing.city
        stan = self._stan()
        local = beijing(doing.at_ms)
        where = shop.en[:22].ljust(25) + city.en[:12].ljust(13) + city.letters
        fields: Fields = {
            2: doing.customer.pan,
            3: form.processing,
            4: f"{doing.amount_minor:012d}",
            7: f"{local:%m%d%H%M%S}",
            11: stan,
            12: f"{local:%H%M%S}",
            13: f"{local:%m%d}",
            14: "3012",
            18: shop.mcc,
            19: city.country,
            # Some networks write a fourth digit.
            22: reading.entry.ljust(self._dialect.fields[22].size, "0"),
            25: reading.condition or form.condition,
            32: f"{shop.institution}{city.region}",
            33: FORWARDER,
            37: f"{local:%j}"[-3:] + f"{local:%H%M%S}"[:3] + stan,
            41: f"{city.region}{shop.number:04d}",
            42: f"{shop.institution[1:]}{city.region}{shop.mcc}{shop.number:04d}",
            43: where,
            49: BY_CODE[city.currency].number,
        }
        if city.currency != "CNY" and doing.amount_minor:
            fields[6] = f"{city.billed_minor(doing.amount_minor):012d}"
            # Six decimals, then the rate in seven digits.
            fields[10] = f"6{city.rate_micro:07d}"
            fields[51] = BY_CODE["CNY"].number
        if doing.how in (How.CHIP, How.CONTACTLESS):
            fields[55] = _CHIP_DATA
        if shop.mcc == ATM.mcc:
            fields[52] = _PIN_BLOCK
        if self._dialect.name == "unionpay-ascii":
            fields[_PRIVATE_USE] = private_use(doing)
        elif self._is_terminal:
            fields[_PRIVATE_USE] = f"{_TERMINAL_TYPES[doing.deed]}{_BATCH}"
            del fields[37]
        return fields


def private_use(doing: Doing) -> str:
    """DE60 as UnionPay institutions write it: reason, service point (60.2), transaction (60.3)."""
    capability, condition, medium = tuple(doing.how.value.point)
    terminal = "01" if doing.shop.mcc == ATM.mcc else "03"
    return f"00000{capability}{condition}0{terminal}00000{'0' * 8}{medium}"


def original_data(original: Message) -> str:
    """DE90: type, trace, transmission time, acquirer and forwarder of the original."""
    acquirer = original.text(32).rjust(11, "0")
    forwarder = original.text(33).rjust(11, "0")
    return f"{original.mti}{original.text(11)}{original.text(7)}{acquirer}{forwarder}"

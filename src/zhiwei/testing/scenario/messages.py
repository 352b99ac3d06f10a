"""Card messages in a scenario: `pays 100.00 pos CN-41 stripe at M2 as p1`."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from zhiwei.core.command import Original
from zhiwei.core.identity import request_trace_key
from zhiwei.core.place import COUNTRY_BY_ALPHA2, COUNTRY_BY_ALPHA3
from zhiwei.core.request import (
    DOMESTIC,
    Channel,
    Initiator,
    Kind,
    Medium,
    MessageClass,
    PlaceSource,
    Request,
)
from zhiwei.testing.scenario.lines import Line, Words

#: Verbs that begin something, with their kind and the channel that goes without saying.
BEGINNINGS: Final = {
    "pays": (Kind.PURCHASE, Channel.POS),
    "withdraws": (Kind.CASH_WITHDRAWAL, Channel.ATM),
    "transfers": (Kind.TRANSFER_OUT, Channel.ATM),
    "preauthorizes": (Kind.PREAUTHORIZATION, Channel.POS),
    "asks_balance": (Kind.BALANCE_INQUIRY, Channel.ATM),
    "links": (Kind.BINDING, Channel.QUICK_PAY),
    "deposits": (Kind.DEPOSIT, Channel.ATM),
    "receives": (Kind.TRANSFER_IN, Channel.UNKNOWN),
}
#: Verbs that follow something: `completes p1 80.00`; `-` in place of a label names nothing.
FOLLOW_UPS: Final = {
    "completes": Kind.COMPLETION,
    "voids": Kind.VOID,
    "refunds": Kind.REFUND,
    "increments": Kind.PREAUTHORIZATION,
    "reverses": Kind.PURCHASE,
}
_WITHOUT_AMOUNT: Final = frozenset((Kind.BALANCE_INQUIRY, Kind.BINDING, Kind.VOID))
_CHANNELS: Final = {
    **{channel.name.lower(): channel for channel in Channel if channel is not Channel.UNKNOWN},
    "channel?": Channel.UNKNOWN,
}
_MEDIA: Final = {
    "chip": Medium.CHIP,
    "contactless": Medium.CONTACTLESS,
    "stripe": Medium.MAGSTRIPE,
    "fallback": Medium.FALLBACK,
    "manual": Medium.MANUAL,
    "ecommerce": Medium.ECOMMERCE,
    "qr": Medium.QR,
    "on_file": Medium.CREDENTIAL_ON_FILE,
    "no_medium": Medium.NONE,
    "medium?": Medium.UNKNOWN,
}
_USUAL_MEDIUM: Final = {
    Channel.ATM: Medium.CHIP,
    Channel.POS: Medium.CHIP,
    Channel.ONLINE: Medium.ECOMMERCE,
    Channel.QUICK_PAY: Medium.CREDENTIAL_ON_FILE,
    Channel.COUNTER: Medium.NONE,
    Channel.DIRECT_DEBIT: Medium.NONE,
    Channel.UNKNOWN: Medium.UNKNOWN,
}
_ACQUIRER: Final = "01020000"
#: Where things happen unless a line says otherwise: Beijing.
_PLACE: Final = {"country": DOMESTIC, "region": "11", "place_source": PlaceSource.GIVEN}


@dataclass
class Sent:
    """A message that was sent under a label, so that later lines can name it."""

    fields: dict[str, Any]
    original: Original | None = None
    #: Version of its journal entry; 0 = not answered yet.
    version: int = 0
    #: Ids of what it left: a challenge, a binding.
    left: dict[str, str] = field(default_factory=dict)

    @property
    def request(self) -> Request:
        """The message itself."""
        return Request(**self.fields)


@dataclass
class Message:
    """A message as a line says it."""

    fields: dict[str, Any]
    original: Original | None = None
    label: str = ""
    idempotency_key: str = ""
    #: Label whose identity it has where that is not its own.
    identity: str = ""
    #: RRN where it is not the one that the label gives.
    rrn: str = ""


class MessageReader:
    """Reads the messages of one card; `sent` holds what its labels mean."""

    def __init__(self, currency: str, has_chip: bool, sent: dict[str, Sent]) -> None:
        self.currency = currency
        self.has_chip = has_chip
        self.sent = sent

    def read(self, verb: str, words: Words) -> Message:
        """The message that a verb and the words after it say."""
        line = words.line
        is_advice = verb == "advice"
        if is_advice:
            verb = words.take("a verb after `advice`")
        if verb == "repeats":
            return self._repeat(words)
        if verb in BEGINNINGS:
            kind, channel = BEGINNINGS[verb]
            message = Message({"kind": kind, "channel": channel, **_PLACE, "merchant_id": "M1"})
            message.fields["currency"] = self.currency
        elif verb in FOLLOW_UPS:
            message = self._follow_up(verb, words)
        else:
            raise line.error(f"`{verb}` is not something that a card does")
        if is_advice:
            message.fields["message_class"] = MessageClass.ADVICE
        if verb == "links":
            message.fields["institution"] = words.take("an institution")
        if words.looks_like_amount():
            self._amount(message.fields, words)
        elif message.fields["kind"] not in _WITHOUT_AMOUNT and verb != "reverses":
            raise line.error(f"`{verb}` needs an amount")
        self._rest(message, words)
        self._usual(message.fields)
        own = message.label or f"{line.file}:{line.number}"
        _identify(message.fields, message.identity or own)
        message.fields["rrn"] = message.rrn or message.fields["rrn"]
        return message

    def _amount(self, fields: dict[str, Any], words: Words) -> None:
        """`100.00`, or `12.00 USD [billed 85.00]`."""
        amount = words.take()
        code = words.peek()
        is_code = len(code) == 3 and code.isupper() and code.isalpha() and code not in _COUNTRIES
        fields["currency"] = words.take() if is_code else fields["currency"]
        fields["amount_minor"] = Words(words.line, (amount,)).amount(fields["currency"])

    def _follow_up(self, verb: str, words: Words) -> Message:
        """A message about an earlier one; it looks like it unless told otherwise."""
        label = words.take("the label of an earlier message, or `-`")
        fields: dict[str, Any] = {"channel": Channel.POS, **_PLACE, "merchant_id": "M1"}
        fields["currency"] = self.currency
        original: Original | None = None
        if label != "-":
            earlier = self.sent.get(label)
            if earlier is None:
                # What comes later under this label has the identity that the label gives it.
                ghost: dict[str, Any] = {"kind": Kind.PURCHASE, "acquirer": _ACQUIRER}
                _identify(ghost, label)
                terminal = words.take("a terminal") if words.takes("of_terminal") else ""
                trace = request_trace_key(Request(**ghost))
                original = Original(trace_key=trace, terminal=terminal)
            else:
                fields = {**earlier.fields}
                original = self._original(earlier, words)
        fields["kind"] = FOLLOW_UPS[verb]
        fields["message_class"] = MessageClass.REQUEST
        if verb == "reverses":
            known = self.sent.get(label)
            fields["kind"] = Kind.PURCHASE if known is None else known.fields["kind"]
            fields["message_class"] = MessageClass.REVERSAL
            if words.takes("to"):
                original = _down_to(original, words, fields["currency"])
        if verb == "increments":
            fields["message_class"] = MessageClass.INCREMENT
        for name in ("billing_amount_minor", "billing_currency", "auth_code", "balance_minor"):
            fields.pop(name, None)
        return Message(fields, original)

    def _original(self, earlier: Sent, words: Words) -> Original:
        """How a follow-up names its original: by trace, or with `by_id` by the entry's version."""
        if words.takes("by_id"):
            return Original(version=earlier.version)
        request = earlier.request
        return Original(
            trace_key=request_trace_key(request), rrn=request.rrn, terminal=request.terminal
        )

    def _repeat(self, words: Words) -> Message:
        """The same message once more, perhaps changed: `repeats p1 [pays 200.00 | at M2]`."""
        label = words.take("the label of an earlier message")
        earlier = self.sent.get(label)
        if earlier is None:
            raise words.line.error(f"nothing was sent as `{label}`")
        message = Message({**earlier.fields}, earlier.original)
        if words.takes("with"):
            self._amount(message.fields, words)
        self._rest(message, words)
        return message

    def _rest(self, message: Message, words: Words) -> None:
        """Everything after the amount, in any order."""
        fields = message.fields
        while words:
            word = words.take()
            if word in _CHANNELS:
                fields["channel"] = _CHANNELS[word]
            elif word in _MEDIA:
                fields["medium"] = _MEDIA[word]
            elif _is_place(word):
                fields.update(_place(word, words.line))
            elif word in ("at", "mcc", "terminal", "acquirer", "institution", "name"):
                name = {"at": "merchant_id", "name": "merchant_name"}.get(word, word)
                fields[name] = words.take(f"a value after `{word}`")
            elif word == "rrn":
                message.rrn = words.take("a retrieval reference number")
                fields["rrn"] = message.rrn
            elif word == "balance":
                fields["balance_minor"] = words.amount(self.currency)
            elif word == "with_code_of":
                fields["auth_code"] = self._code_of(words)
            elif word == "billed":
                fields["billing_currency"] = self.currency
                fields["billing_amount_minor"] = words.amount(self.currency)
            elif word in ("pin", "flagged", "was_declined"):
                names = {"pin": "pin_entered", "flagged": "terminal_flagged"}
                fields[names.get(word, word)] = True
            elif word == "by_merchant":
                fields["initiator"] = Initiator.MERCHANT
            elif word == "advice":
                fields["message_class"] = MessageClass.ADVICE
            elif word == "untraced":
                fields["stan"] = ""
            elif word == "key":
                message.idempotency_key = words.take("an idempotency key")
            elif word == "traced_as":
                message.identity = words.take("a label")
            elif word == "as":
                message.label = words.take("a label")
            else:
                raise words.line.error(f"`{word}` does not belong to a message")

    def _code_of(self, words: Words) -> str:
        """The authorization code that an earlier message was approved with."""
        label = words.take("a label")
        sent = self.sent.get(label)
        if sent is None or "auth_code" not in sent.left:
            raise words.line.error(f"`{label}` has no authorization code")
        return sent.left["auth_code"]

    def _usual(self, fields: dict[str, Any]) -> None:
        """What goes without saying: medium by channel, category by kind, terminal and acquirer."""
        medium = _USUAL_MEDIUM[fields["channel"]]
        if medium is Medium.CHIP and not self.has_chip:
            medium = Medium.MAGSTRIPE
        fields.setdefault("medium", medium)
        is_cash = fields["channel"] is Channel.ATM
        fields.setdefault("mcc", "6011" if is_cash else "5411")
        fields.setdefault("terminal", "T0000001")
        fields.setdefault("acquirer", _ACQUIRER)


def _down_to(original: Original | None, words: Words, currency: str) -> Original:
    """A partial reversal: its original, and what stands afterwards."""
    if original is None:
        raise words.line.error("a partial reversal names its original")
    return Original(
        version=original.version,
        trace_key=original.trace_key,
        terminal=original.terminal,
        rrn=original.rrn,
        replacement_minor=words.amount(currency),
    )


_COUNTRIES: Final = frozenset((*COUNTRY_BY_ALPHA3, *COUNTRY_BY_ALPHA2))


def _is_place(word: str) -> bool:
    """`CN-41`, `CN`, `JPN`, `place?`."""
    return word == "place?" or word.partition("-")[0] in _COUNTRIES


def _place(word: str, line: Line) -> dict[str, Any]:
    """Country and province of a word."""
    if word == "place?":
        return {"country": "", "region": "", "place_source": PlaceSource.NOT_TOLD}
    country, _, region = word.partition("-")
    known = COUNTRY_BY_ALPHA3.get(country) or COUNTRY_BY_ALPHA2[country]
    if region and known.alpha3 != DOMESTIC:
        raise line.error("only places in China have a province")
    return {"country": known.alpha3, "region": region, "place_source": PlaceSource.GIVEN}


def _identify(fields: dict[str, Any], label: str) -> None:
    """The identity that a label gives: the same label, the same identity."""
    if fields.get("stan") == "":
        fields["transmitted_at"] = fields["rrn"] = ""
        return
    number = int.from_bytes(blake2b(label.encode(), digest_size=8).digest(), "big")
    fields["stan"] = f"{number % 10**6:06}"
    fields["transmitted_at"] = f"{number // 10**6 % 10**10:010}"
    fields["rrn"] = f"{number % 10**12:012}"

"""Small rows: of a decision just what a list shows, so that a thousand of them cost little."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Final, final

from zhiwei.core.entry import Entry
from zhiwei.core.finding import Outcome
from zhiwei.core.ids import card_id
from zhiwei.core.request import Channel, MessageClass, Request
from zhiwei.gateways.http.presentation import DECISIONS, authorization_id
from zhiwei.ports import Positioned, Reader

#: Cards whose tail and network are remembered between looks.
_CARDS_MAX: Final = 20_000
#: Where nobody told the province, and where the place is not in the Chinese mainland.
PLACE_UNKNOWN: Final = "unknown"
PLACE_ABROAD: Final = "abroad"
#: Parts of China that are 境外 for the locks (香港, 澳门, 台湾) are places of their own here.
PLACES_OUTSIDE: Final = ("HKG", "MAC", "TWN")
#: The reason of a decision that nothing stood against.
NO_REASON: Final = ""
OUTCOME_WORDS: Final = tuple(DECISIONS.values())
CHANNEL_WORDS: Final = tuple(channel.name.lower() for channel in Channel)


@dataclass(frozen=True)
class CardName:
    """What a row says of its card."""

    tail: str
    network: str
    currency: str
    cardholder: str


@dataclass(frozen=True)
class DecisionRow:
    """One card message as lists show it. Texts of strangers are kept as they came."""

    #: Position of the entry in the whole journal.
    position: int
    card_key: bytes
    version: int
    at_ms: int
    #: `approve`, `challenge` or `decline`.
    outcome: str
    #: Code of the first reason that stands; empty = none.
    reason: str
    #: `authorization`, `advice`, `reversal` or `increment`.
    message: str
    kind: str
    channel: str
    #: GB/T 2260 two digits, one of PLACES_OUTSIDE, PLACE_ABROAD or PLACE_UNKNOWN.
    place: str
    #: ISO 3166 alpha-3, empty = not told.
    country: str
    amount_minor: int
    currency: str
    merchant: str
    tail: str
    network: str
    rrn: str
    stan: str
    auth_code: str
    challenge_id: str

    @property
    def id(self) -> str:
        """The public id of the decision."""
        return authorization_id(self.card_key, self.version)

    @property
    def card(self) -> str:
        """The public id of its card."""
        return card_id(self.card_key)


@final
class CardNames:
    """Tails and networks of cards, remembered for the ones seen lately. Thread-safe."""

    def __init__(self, reader: Reader) -> None:
        self._reader: Final = reader
        self._lock: Final = Lock()
        self._known: Final[OrderedDict[bytes, CardName]] = OrderedDict()

    def of(self, card_key: bytes) -> CardName:
        """What is known of a card; all empty where there is none. These never change."""
        with self._lock:
            known = self._known.get(card_key)
            if known is not None:
                self._known.move_to_end(card_key)
                return known
        state = self._reader.card(card_key)
        if state is None:
            return CardName("", "", "", "")
        profile = state.settings.profile
        name = CardName(profile.tail, profile.network, profile.currency, profile.cardholder)
        with self._lock:
            self._known[card_key] = name
            if len(self._known) > _CARDS_MAX:
                self._known.popitem(last=False)
        return name


def row_of(positioned: Positioned, names: CardNames) -> DecisionRow | None:
    """The row of an entry; None where it is a change and no card message."""
    entry = positioned.entry
    request = entry.command.request
    if request is None:
        return None
    name = names.of(positioned.card_key)
    return DecisionRow(
        position=positioned.position,
        card_key=positioned.card_key,
        version=entry.version,
        at_ms=entry.now_ms,
        outcome=DECISIONS[entry.outcome],
        reason=first_reason(entry),
        message=_MESSAGES[request.message_class],
        kind=request.kind.name.lower(),
        channel=request.channel.name.lower(),
        place=place_of(request),
        country=request.country,
        amount_minor=request.amount_minor,
        currency=request.currency or name.currency,
        merchant=request.merchant_name,
        tail=name.tail,
        network=name.network,
        rrn=request.rrn,
        stan=request.stan,
        auth_code=entry.auth_code,
        challenge_id=entry.challenge_id,
    )


def first_reason(entry: Entry) -> str:
    """Code of the first finding that stands; an approval has none, whatever was lifted."""
    if entry.outcome is Outcome.APPROVE:
        return NO_REASON
    for finding in entry.findings:
        if finding.stands:
            return finding.reason.code
    return NO_REASON


def place_of(request: Request) -> str:
    """The province of a request, or that it is abroad or not known."""
    if request.is_abroad:
        return request.country if request.country in PLACES_OUTSIDE else PLACE_ABROAD
    return request.region or PLACE_UNKNOWN


_MESSAGES: Final = {
    MessageClass.REQUEST: "authorization",
    MessageClass.ADVICE: "advice",
    MessageClass.REVERSAL: "reversal",
    MessageClass.INCREMENT: "increment",
}

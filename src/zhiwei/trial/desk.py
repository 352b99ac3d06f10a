"""The desk of a trial: carries out one wish after the other and says what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, final

from zhiwei.core.card_state import CardStatus, Profile, StopSource
from zhiwei.core.command import (
    Actor,
    Change,
    Command,
    LiftStop,
    Original,
    PlaceStop,
    Register,
    RemoveControl,
    SetControl,
    Via,
)
from zhiwei.core.entry import Entry, Flag
from zhiwei.core.errors import ZhiweiError
from zhiwei.core.finding import Finding, Outcome
from zhiwei.core.ids import card_key_of
from zhiwei.core.money import major_units
from zhiwei.core.request import MessageClass, Request
from zhiwei.core.result import Result
from zhiwei.core.zone import zone_named
from zhiwei.gateways.http.masking import masked
from zhiwei.gateways.http.times import instant_text
from zhiwei.gateways.iso8583.dialect import Dialect
from zhiwei.gateways.iso8583.message import Message
from zhiwei.gateways.iso8583.translate import NotTranslatableError, Translator
from zhiwei.gateways.response_codes import ResponseCodes
from zhiwei.guardian import Guardian
from zhiwei.ports import Store
from zhiwei.trial.wishes import (
    Asking,
    BadLineError,
    Frame,
    Registering,
    Reversing,
    Setting,
    Stopping,
    WhichCard,
    Wish,
)
from zhiwei.vault import Vault, tail_of
from zhiwei.words import Sentences

_DECISIONS: Final = {
    Outcome.APPROVE: "approve",
    Outcome.CHALLENGE: "challenge",
    Outcome.REFUSE: "decline",
}
#: Whoever tries things out may do everything.
_ACTOR: Final = Actor("trial", Via.CLI, is_strong=True, is_staff=True)
_DEFAULT: Final = Registering()


@dataclass(frozen=True)
class Row:
    """What came of one line."""

    line: int
    at_ms: int
    #: A name, or the last four digits of a number.
    card: str
    what: str
    #: `approve`, `decline`, `challenge`; `done` or a rejection's name for settings.
    decision: str
    #: DE39 of the card's network; empty for settings.
    code: str = ""
    reasons: tuple[dict[str, Any], ...] = ()
    #: Line of the same message that came before; 0 = none.
    repeat_of: int = 0
    auth_code: str = ""

    def document(self) -> dict[str, Any]:
        """For machines."""
        return {
            "line": self.line,
            "at": instant_text(self.at_ms),
            "card": self.card,
            "what": self.what,
            "decision": self.decision,
            "response_code": self.code or None,
            "authorization_code": self.auth_code or None,
            "repeat_of_line": self.repeat_of or None,
            "reasons": list(self.reasons),
        }


@final
@dataclass
class _Seen:
    """What the desk remembers of its own lines."""

    #: By line: card, version and request of its message.
    entries: dict[int, tuple[bytes, int, Request]] = field(default_factory=dict)
    #: By card and version: the line.
    lines: dict[tuple[bytes, int], int] = field(default_factory=dict)
    #: How the lines call their cards.
    labels: dict[bytes, str] = field(default_factory=dict)


@final
class Desk:
    """Carries out wishes on one store, with one policy."""

    def __init__(
        self,
        guardian: Guardian,
        store: Store,
        vault: Vault,
        codes: ResponseCodes,
        words: Sentences,
        *,
        now_ms: int,
        opens_cards: bool,
        dialect: Dialect | None = None,
    ) -> None:
        self._guardian: Final = guardian
        self._store: Final = store
        self._vault: Final = vault
        self._codes: Final = codes
        self._words: Final = words
        self._now_ms = now_ms
        #: A card that is not known is registered as it appears; else it is not found.
        self._opens_cards: Final = opens_cards
        self._translator: Final = (
            None
            if dialect is None
            else Translator(dialect, vault.card_key, lambda: _nonce(self._line))
        )
        self._line = 0
        self._seen: Final = _Seen()

    async def carry_out(self, wish: Wish) -> Row:
        """Carry out one wish.

        Raises:
            BadLineError: the line names a card or a line that there is not, or a zone that does not
                exist.
        """
        self._line = wish.number
        if wish.at_ms is not None:
            self._now_ms = wish.at_ms
        try:
            return await self._carried_out(wish)
        except BadLineError:
            raise
        except ZhiweiError as error:
            raise BadLineError(wish.number, str(error)) from None

    async def _carried_out(self, wish: Wish) -> Row:
        deed = wish.deed
        if isinstance(deed, Frame):
            return await self._frame(wish, deed.message)
        if isinstance(deed, Reversing):
            return await self._reversal(wish, deed)
        card = wish.card
        assert card is not None, "these lines name a card"
        card_key = self._card_key(wish.number, card)
        if isinstance(deed, Registering):
            result = await self._register(card_key, card, deed)
            return self._settled(wish, card.label, "register", result)
        if self._opens_cards:
            await self._register(card_key, card, _DEFAULT)
        if isinstance(deed, Asking):
            command = Command(
                card_key, request=deed.request, actor=_ACTOR, nonce=_nonce(wish.number)
            )
            return await self._message(wish, card.label, command)
        change, what = _change_of(deed)
        result = await self._transact(self._changing(card_key, change))
        return self._settled(wish, card.label, what, result)

    async def _frame(self, wish: Wish, message: Message) -> Row:
        """An ISO 8583 message, as the door would take it."""
        assert self._translator is not None, "frames are of a dialect"
        if message.mti[1:2] == "8":
            return self._row(wish, "", f"{message.mti} network management", "approve", "00")
        card = WhichCard(message.pan, is_pan=True)
        if self._opens_cards and message.pan:
            await self._register(self._card_key(wish.number, card), card, _DEFAULT)
        try:
            command = self._translator.command(message)
        except NotTranslatableError as error:
            code = self._codes.answer("unionpay", error.answer)
            what = f"{message.mti}: {error}"
            return self._row(wish, card.label if message.pan else "", what, "decline", code)
        return await self._message(wish, card.label, command)

    async def _reversal(self, wish: Wish, deed: Reversing) -> Row:
        """Takes back the message of an earlier line."""
        known = self._seen.entries.get(deed.line)
        if known is None:
            raise BadLineError(wish.number, f"line {deed.line} is no message before this one")
        card_key, version, first = known
        request = Request(
            kind=first.kind,
            message_class=MessageClass.REVERSAL,
            channel=first.channel,
            amount_minor=first.amount_minor,
            currency=first.currency,
            merchant_id=first.merchant_id,
        )
        original = Original(version=version, replacement_minor=deed.replacement_minor)
        command = Command(
            card_key, request=request, original=original, actor=_ACTOR, nonce=_nonce(wish.number)
        )
        return await self._message(wish, self._seen.labels[card_key], command)

    def _card_key(self, number: int, card: WhichCard) -> bytes:
        """Key of a card as a line names it."""
        if card.is_pan:
            return self._vault.card_key(card.name)
        if self._opens_cards:
            return self._vault.token_key(card.name)
        card_key = card_key_of(card.name)
        if card_key is None:
            raise BadLineError(number, "`card` is the id of a card in these data")
        return card_key

    async def _register(self, card_key: bytes, card: WhichCard, deed: Registering) -> Result:
        """Open the card's file; one that is open stays as it is."""
        if deed is _DEFAULT and self._store.reader().card(card_key) is not None:
            return Result()
        profile = Profile(
            cardholder="trial",
            tail=tail_of(card.name) if card.is_pan else "",
            currency=deed.currency,
            zone=zone_named(deed.time_zone),
            has_chip=deed.has_chip,
            network=deed.network,
            status=CardStatus.ACTIVE,
            created_ms=self._now_ms,
        )
        return await self._transact(self._changing(card_key, Register(profile)))

    def _changing(self, card_key: bytes, change: Change) -> Command:
        return Command(card_key, change=change, actor=_ACTOR, nonce=_nonce(self._line))

    async def _transact(self, command: Command) -> Result:
        results = await self._store.transact([command], self._guardian.step, self._now_ms)
        return results[0]

    async def _message(self, wish: Wish, label: str, command: Command) -> Row:
        """A card message and its decision."""
        request = command.request
        assert request is not None, "a message has a request"
        result = await self._transact(command)
        what = _what(request)
        entry = result.entry
        if result.rejection is not None or entry is None:
            code = self._codes.answer("unionpay", "card_not_found")
            return self._row(wish, label, what, "card_not_found", code)
        place = (command.card_key, entry.version)
        self._seen.labels.setdefault(command.card_key, label)
        repeat_of = self._seen.lines.get(place, 0) if result.is_repeat else 0
        if not result.is_repeat:
            self._seen.lines[place] = wish.number
            self._seen.entries[wish.number] = (*place, request)
        state = self._store.reader().card(command.card_key)
        assert state is not None, "a decided card has a file"
        profile = state.settings.profile
        findings = (self._reason(finding, profile.currency) for finding in entry.findings)
        return Row(
            line=wish.number,
            at_ms=entry.now_ms,
            card=label,
            what=what + (" (unmatched)" if entry.flags & Flag.UNMATCHED else ""),
            decision=_DECISIONS[entry.outcome],
            code=self._codes.of_entry(profile.network, entry),
            reasons=tuple(findings),
            repeat_of=repeat_of,
            auth_code=entry.auth_code,
        )

    def _reason(self, finding: Finding, currency: str) -> dict[str, Any]:
        """One finding, with its sentence."""
        facts = (*finding.facts, ("currency", currency))
        return {
            "code": finding.reason.code,
            "control": finding.control,
            "outcome": _DECISIONS[finding.outcome],
            "message": self._words.sentence(finding.reason, facts),
            "remedy": self._words.remedy(finding.reason, finding.facts, finding.control),
            "facts": dict(finding.facts),
            "lifted_by": finding.lifted_by or None,
        }

    def _settled(self, wish: Wish, label: str, what: str, result: Result) -> Row:
        """A setting and whether it stands."""
        if result.rejection is not None:
            return self._row(wish, label, what, result.rejection.code)
        entry: Entry | None = result.entry
        waits = entry is not None and bool(entry.flags & Flag.PENDING)
        return self._row(wish, label, what, "pending" if waits else "done")

    def _row(self, wish: Wish, label: str, what: str, decision: str, code: str = "") -> Row:
        return Row(wish.number, self._now_ms, label, what, decision, code)


def _change_of(deed: Setting | Stopping) -> tuple[Change, str]:
    """The change that a line wants, and its name."""
    if isinstance(deed, Stopping):
        if deed.is_on:
            return PlaceStop(StopSource.ISSUER), "stop"
        return LiftStop(), "lift the stop"
    if deed.control is None:
        return RemoveControl(deed.control_type), f"remove {deed.control_type}"
    return SetControl(deed.control_type, deed.control), f"set {deed.control_type}"


def _what(request: Request) -> str:
    """A message in a few words."""
    words = [request.kind.name.lower()]
    if request.message_class is not MessageClass.REQUEST:
        words.insert(0, request.message_class.name.lower() + " of")
    words.append(request.channel.name.lower())
    if request.currency and request.amount_minor:
        words.append(f"{request.currency} {major_units(request.amount_minor, request.currency)}")
    place = "-".join(part for part in (request.country, request.region) if part)
    if place:
        words.append(place)
    if request.merchant_name:
        words.append(masked(request.merchant_name, 40))
    return " ".join(words)


def _nonce(line: int) -> bytes:
    """Eight bytes that follow from the line, so that a trial says the same every time."""
    return blake2b(str(line).encode(), digest_size=8).digest()

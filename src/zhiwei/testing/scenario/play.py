"""Playing a scenario: each line is one command to the real guardian over the store in memory."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final, TypeVar

from zhiwei.core.card_state import CardState, CardStatus, Profile
from zhiwei.core.command import Actor, Change, Command, Original, Register, SetControl, Via
from zhiwei.core.controls import Control
from zhiwei.core.documents import control_from
from zhiwei.core.entry import Entry
from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.identity import idempotency_key
from zhiwei.core.policy import DEFAULT_POLICY, Policy
from zhiwei.core.request import Request
from zhiwei.core.result import Result
from zhiwei.core.settle import settled
from zhiwei.core.windows import Moment
from zhiwei.guardian import guardian_under
from zhiwei.services import security_checkup
from zhiwei.stores.memory import MemoryStore
from zhiwei.testing.scenario import settings
from zhiwei.testing.scenario.changes import CHANGES, read_change
from zhiwei.testing.scenario.expect import check_error, check_result
from zhiwei.testing.scenario.lines import Line, Words
from zhiwei.testing.scenario.looks import LOOKS, View, reads
from zhiwei.testing.scenario.messages import BEGINNINGS, FOLLOW_UPS, MessageReader, Sent
from zhiwei.zones import load_zone

T = TypeVar("T")

#: Cards are registered at this instant unless a line says `since`.
_REGISTERED_MS: Final = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1000
_MESSAGES: Final = frozenset((*BEGINNINGS, *FOLLOW_UPS, "advice", "repeats"))
_HOLDER: Final = Actor("cardholder", Via.APP, is_strong=True)


@dataclass
class Card:
    """A card on the stage."""

    name: str
    key: bytes
    zone: str
    currency: str
    has_chip: bool
    sent: dict[str, Sent] = field(default_factory=dict)


class Stage:
    """The guardian, a store in memory, and the cards of one scenario."""

    def __init__(self) -> None:
        self.policy: Policy = DEFAULT_POLICY
        self.store = MemoryStore()
        self.cards: dict[str, Card] = {}
        self.now_ms = _REGISTERED_MS
        self._commands = 0

    def play(self, line: Line) -> None:
        """Do what a line says and compare with what it expects.

        Raises:
            ScenarioError: the line cannot be read, or something else happened.
        """
        words = Words(line, line.words)
        if words.takes("policy"):
            self.policy = settings.changed_policy(self.policy, words)
        elif words.takes("card"):
            self._register(words)
        elif words.takes("reads"):
            _check_words(line, reads(words))
        else:
            self._act(words)

    def state(self, card: Card) -> CardState:
        """The card's file as it is kept."""
        state = self.store.card(card.key)
        assert state is not None, "a card on the stage is registered"
        return state

    def entries(self, card: Card) -> list[Entry]:
        """The card's whole journal, oldest first."""
        return self.store.entries(card.key, limit=1_000_000)[::-1]

    def _register(self, words: Words) -> None:
        """`card A zone Europe/Berlin currency EUR no_chip night_lock 23:00-05:00`."""
        line = words.line
        name = words.take("the name of a card")
        key = blake2b(name.encode(), digest_size=16).digest()
        card = Card(name, key, "Asia/Shanghai", "CNY", has_chip=True)
        controls: list[tuple[str, Control]] = []
        status = CardStatus.ACTIVE
        network = "unionpay"
        since_ms = _REGISTERED_MS
        while words:
            word = words.take()
            if word == "zone":
                card.zone = words.take("a time zone")
            elif word == "currency":
                card.currency = words.take("a currency")
            elif word == "no_chip":
                card.has_chip = False
            elif word == "network":
                network = words.take("a network")
            elif word == "status":
                status = settings.status(words)
            elif word == "since":
                since_ms = words.instant_ms(card.zone, since_ms)
            else:
                try:
                    controls.append(settings.control(word, words, card.currency))
                except NotAllowedValueError as error:
                    check_error(line, error.code, str(error))
                    return
        if line.expected:
            raise line.error(f"expected `{' '.join(line.expected)}`, but the card is allowed")
        zone = load_zone(card.zone)
        if zone is None:
            raise line.error(f"`{card.zone}` is not a time zone")
        self.cards[name] = card
        self.now_ms = since_ms
        tail = f"{len(self.cards):04}"
        profile = Profile(
            "holder", tail, card.currency, zone, card.has_chip, network, status, since_ms
        )
        self._change(card, Register(profile), _HOLDER)
        for control_type, control in controls:
            self._change(card, SetControl(control_type, control), _HOLDER)

    def _act(self, words: Words) -> None:
        """`[time] A pays 100.00 … -> approve`."""
        line = words.line
        named = [word for word in line.words if word in self.cards]
        if not named:
            raise line.error("no card is named on this line")
        card = self.cards[named[0]]
        if words.peek() != card.name:
            self.now_ms = words.instant_ms(card.zone, self.now_ms)
        if not words.takes(card.name):
            raise line.error(f"expected the card `{card.name}`, found `{words.peek()}`")
        verb = words.take("what happens")
        if verb in LOOKS:
            _check_words(line, LOOKS[verb](self._view(card), words))
        elif verb == "mends":
            self._mend(card, words)
        elif verb in CHANGES:
            self._change_by(card, verb, words)
        elif verb in _MESSAGES:
            self._send(card, verb, words)
        else:
            raise line.error(f"`{verb}` is not something that can happen")
        if words:
            raise line.error(f"`{words.peek()}` is left over")

    def _send(self, card: Card, verb: str, words: Words) -> None:
        """Send a card message."""
        message = MessageReader(card.currency, card.has_chip, card.sent).read(verb, words)
        digest = idempotency_key("scenario", message.idempotency_key)
        result = self._carry_out(
            card,
            request=Request(**message.fields),
            original=message.original,
            idempotency_key=digest if message.idempotency_key else b"",
        )
        check_result(words.line, result, is_message=True)
        entry = result.entry
        if message.label and entry is not None:
            sent = Sent(message.fields, message.original, entry.version)
            if entry.auth_code:
                sent.left["auth_code"] = entry.auth_code
            if entry.challenge_id:
                sent.left["challenge"] = entry.challenge_id
            card.sent[message.label] = sent

    def _change_by(self, card: Card, verb: str, words: Words) -> None:
        """Carry out a change that somebody wants."""
        line = words.line
        view = self._view(card)
        try:
            wanted = read_change(verb, words, view, card.zone, card.currency)
        except NotAllowedValueError as error:
            check_error(line, error.code, str(error))
            return
        result = self._change(card, wanted.change, wanted.actor)
        check_result(line, result, is_message=False)
        if wanted.label and result.entry is not None:
            left = {"id": result.entry.note}
            card.sent[wanted.label] = Sent({}, None, result.entry.version, left)

    def _mend(self, card: Card, words: Words) -> None:
        """`mends night_lock_off -> done`: send the fix of the full check-up as it stands."""
        view = self._view(card)
        finding_id = words.take("a finding")
        now_ms = view.moment.now_ms
        history = security_checkup.history_of(view.state, view.entries, now_ms)
        report = security_checkup.examine(
            [view.state], [history], self.policy, now_ms, security_checkup.Mode.FULL
        )
        for finding in report.findings:
            fix = finding.fix
            if finding.id == finding_id and fix is not None and fix.method == "PUT":
                control_type = fix.path.rpartition("/")[2]
                control = control_from(control_type, fix.body or {})
                # A fix tightens, so it needs no proof.
                actor = replace(_HOLDER, is_strong=False)
                result = self._change(card, SetControl(control_type, control), actor)
                check_result(words.line, result, is_message=False)
                return
        raise words.line.error(f"the check-up has no fix for `{finding_id}`")

    def _view(self, card: Card) -> View:
        """The card as of now."""
        state = self.state(card)
        moment = Moment(self.now_ms, state.settings.profile.zone)
        as_of_now, _ = settled(state, moment)
        return View(self.policy, as_of_now, self.entries(card), moment, card.sent)

    def _change(self, card: Card, change: Change, actor: Actor) -> Result:
        """Carry out a change."""
        return self._carry_out(card, change=change, actor=actor)

    def _carry_out(
        self,
        card: Card,
        *,
        request: Request | None = None,
        change: Change | None = None,
        original: Original | None = None,
        actor: Actor | None = None,
        idempotency_key: bytes = b"",
    ) -> Result:
        """One command, through the store to the guardian."""
        self._commands += 1
        parts: dict[str, Any] = {} if actor is None else {"actor": actor}
        command = Command(
            card.key,
            request=request,
            change=change,
            original=original,
            idempotency_key=idempotency_key,
            nonce=self._commands.to_bytes(8, "big"),
            **parts,
        )
        step = guardian_under(self.policy).step
        return finished(self.store.transact([command], step, self.now_ms))[0]


def _check_words(line: Line, said: list[str]) -> None:
    """Compare what is so with what the line says."""
    if list(line.expected) != said:
        raise line.error(f"expected `{' '.join(line.expected)}`, got `{' '.join(said)}`")


def finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of work that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("the store in memory waits for nothing")

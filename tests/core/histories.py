"""Random histories of one card: messages, follow-ups, repeats, changes, and a clock that jumps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import strategies as st
from tests.core.strategies import AMOUNTS, KEY, START_MS, ZONES, limits

from zhiwei.core.card_state import CardState, CardStatus, Profile, StopSource
from zhiwei.core.command import (
    Actor,
    AnswerChallenge,
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
from zhiwei.core.controls import LargeSpendVerification, Limits
from zhiwei.core.entry import Entry
from zhiwei.core.identity import request_trace_key
from zhiwei.core.policy import Policy
from zhiwei.core.request import Channel, Kind, Medium, MessageClass, Request
from zhiwei.core.result import Result
from zhiwei.core.zone import DAY_MS
from zhiwei.guardian import guardian_under
from zhiwei.stores.memory import MemoryStore
from zhiwei.testing.scenario.play import finished

HOLDER: Final = Actor("holder", Via.APP, is_strong=True)
POLICY: Final = Policy(hold_ms=3 * DAY_MS)
_JUMPS: Final = st.sampled_from(
    [0, 0, 0, 1, 60_000, 3_600_000, DAY_MS, DAY_MS, 3 * DAY_MS, 8 * DAY_MS, 40 * DAY_MS, -DAY_MS]
)
_KINDS: Final = st.sampled_from(
    [Kind.PURCHASE] * 3
    + [Kind.PREAUTHORIZATION] * 3
    + [Kind.CASH_WITHDRAWAL, Kind.TRANSFER_OUT, Kind.COMPLETION, Kind.BALANCE_INQUIRY]
)
#: What may happen: a verb and the numbers that it needs (which earlier message, which amount).
steps: Final = st.tuples(
    _JUMPS,
    st.sampled_from(
        ["send"] * 6
        + ["reverse", "reverse", "reverse partly", "void", "complete", "increment", "refund"]
        + ["repeat", "repeat otherwise", "advise", "early reversal", "late request"]
        + ["set limits", "remove limits", "stop", "lift", "ask above", "answer yes", "answer no"]
    ),
    st.integers(0, 10_000),
    AMOUNTS,
    _KINDS,
    st.sampled_from([Channel.POS, Channel.ATM, Channel.ONLINE, Channel.QUICK_PAY, Channel.UNKNOWN]),
    limits(),
)
histories: Final = st.tuples(st.sampled_from(ZONES), st.lists(steps, min_size=1, max_size=25))


@dataclass
class History:
    """A card that lives through steps; every command goes to the real guardian."""

    zone: Any
    store: MemoryStore = field(default_factory=MemoryStore)
    now_ms: int = START_MS
    commands: list[tuple[Command, int]] = field(default_factory=list)
    #: Messages that were answered, with the versions of their entries.
    answered: list[tuple[Request, int]] = field(default_factory=list)
    late: list[Request] = field(default_factory=list)
    #: Every message with what it was made of.
    made: list[tuple[Request, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        profile = Profile(
            "holder",
            "0001",
            "CNY",
            self.zone,
            has_chip=True,
            network="unionpay",
            status=CardStatus.ACTIVE,
            created_ms=self.now_ms,
        )
        self.carry_out(change=Register(profile))

    @property
    def state(self) -> CardState:
        """The card's file."""
        state = self.store.card(KEY)
        assert state is not None, "the card is registered"
        return state

    @property
    def entries(self) -> list[Entry]:
        """The journal, oldest first."""
        return self.store.entries(KEY, limit=10_000)[::-1]

    def carry_out(
        self,
        *,
        request: Request | None = None,
        change: Change | None = None,
        original: Original | None = None,
    ) -> Result:
        """One command."""
        command = Command(
            KEY,
            request=request,
            change=change,
            original=original,
            actor=HOLDER,
            nonce=len(self.commands).to_bytes(8, "big"),
        )
        self.commands.append((command, self.now_ms))
        step = guardian_under(POLICY).step
        result = finished(self.store.transact([command], step, self.now_ms))[0]
        entry = result.entry
        if request is not None and entry is not None and not result.is_repeat:
            self.answered.append((request, entry.version))
        return result

    def take(self, step: tuple[Any, ...]) -> Result | None:
        """One step of a history; None where it makes no sense yet."""
        jump_ms, verb, number, amount, kind, channel, wanted = step
        self.now_ms = max(self.now_ms + jump_ms, 0)
        if verb == "reverse by id":
            request = self._new(Kind.PURCHASE, Channel.POS, 0, message_class=MessageClass.REVERSAL)
            return self.carry_out(request=request, original=Original(version=wanted))
        if verb == "send":
            return self.carry_out(request=self._new(kind, channel, amount))
        if verb == "advise":
            advice = self._new(kind, channel, amount, message_class=MessageClass.ADVICE)
            return self.carry_out(request=advice)
        if verb == "early reversal":
            late = self._new(kind, channel, amount)
            self.late.append(late)
            named = Original(trace_key=request_trace_key(late))
            reversal = self._new(kind, channel, amount, message_class=MessageClass.REVERSAL)
            return self.carry_out(request=reversal, original=named)
        if verb == "late request":
            return self.carry_out(request=self.late.pop()) if self.late else None
        change = self._change(verb, number, amount, wanted)
        if change is not None:
            return self.carry_out(change=change)
        if not self.answered:
            return None
        earlier, version = self.answered[number % len(self.answered)]
        return self._follow(verb, earlier, version, number, amount)

    def _change(self, verb: str, number: int, amount: int, wanted: Limits) -> Change | None:
        """What a person wants."""
        if verb == "set limits":
            return SetControl("limits", wanted)
        if verb == "remove limits":
            return RemoveControl("limits")
        if verb == "stop":
            return PlaceStop(StopSource.SMS)
        if verb == "lift":
            return LiftStop()
        if verb == "ask above":
            return SetControl("large_spend_verification", LargeSpendVerification(amount))
        if verb.startswith("answer"):
            challenges = self.state.settings.challenges
            challenge = challenges[number % len(challenges)].id if challenges else "none"
            return AnswerChallenge(challenge, verb == "answer yes")
        return None

    def _follow(
        self, verb: str, earlier: Request, version: int, number: int, amount: int
    ) -> Result:
        """A message about an earlier one."""
        if verb == "repeat":
            return self.carry_out(request=earlier, original=self._same_original(earlier))
        if verb == "repeat otherwise":
            fields = next(made for request, made in self.made if request is earlier)
            otherwise = {**fields, "amount_minor": earlier.amount_minor + 1}
            return self.carry_out(request=self._made(otherwise))
        named = Original(version=version)
        if number % 2:
            named = Original(
                trace_key=request_trace_key(earlier), rrn=earlier.rrn, terminal=earlier.terminal
            )
        if verb == "reverse partly":
            named = Original(version=version, replacement_minor=amount)
        kinds = {"void": Kind.VOID, "complete": Kind.COMPLETION, "refund": Kind.REFUND}
        classes = {"increment": MessageClass.INCREMENT}
        is_reversal = verb.startswith("reverse")
        message = self._new(
            kinds.get(verb, earlier.kind),
            earlier.channel,
            amount,
            message_class=MessageClass.REVERSAL
            if is_reversal
            else classes.get(verb, MessageClass.REQUEST),
        )
        return self.carry_out(request=message, original=named)

    def _same_original(self, request: Request) -> Original | None:
        """What the message named when it was sent first."""
        for command, _ in self.commands:
            if command.request is request:
                return command.original
        return None

    def _new(self, kind: Kind, channel: Channel, amount: int, **more: object) -> Request:
        """A message with an identity of its own."""
        number = len(self.commands)
        fields: dict[str, Any] = {
            "kind": kind,
            "channel": channel,
            "medium": Medium.CHIP,
            "amount_minor": amount,
            "currency": "CNY",
            "merchant_id": "M1",
            "country": "CHN",
            "region": "11",
            "acquirer": "01020000",
            "terminal": "T0000001",
            "stan": f"{number:06}",
            "rrn": f"{number:012}",
            "transmitted_at": f"{number:010}",
        }
        return self._made({**fields, **more})

    def _made(self, fields: dict[str, Any]) -> Request:
        """A message, remembered with what it was made of."""
        request = Request(**fields)
        self.made.append((request, fields))
        return request

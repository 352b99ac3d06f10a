"""Playing a sequence: every act is one command to the real guardian over the store in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from zhiwei.bench.sequence_acts import Act, Sequence, zone_of
from zhiwei.bench.sequence_rules import Auditor, BrokenRuleError, Happening
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
    UpdateCard,
    Via,
)
from zhiwei.core.controls import (
    CardLock,
    Control,
    LargeSpendVerification,
    Limit,
    LimitChannel,
    Limits,
    Measure,
    NightLock,
    OnlineLock,
    OverseasLock,
    Period,
)
from zhiwei.core.identity import idempotency_key, request_trace_key
from zhiwei.core.request import Kind, MessageClass, Request
from zhiwei.core.result import Result
from zhiwei.guardian import guardian_under
from zhiwei.ports import Store
from zhiwei.stores.memory import MemoryStore
from zhiwei.testing.scenario.play import finished

KEY: Final = bytes(range(16))
_BANK: Final = Actor("bank", Via.HTTP, is_strong=True, is_staff=True)
_AMOUNT, _COUNT = Measure.AMOUNT, Measure.COUNT
_LIMITS: Final = (
    Limits((Limit(LimitChannel.ALL, _AMOUNT, Period.DAY, 2000),)),
    Limits((Limit(LimitChannel.ALL, _AMOUNT, Period.MONTH, 3000),), refunds_restore=True),
    Limits((Limit(LimitChannel.ALL, _COUNT, Period.DAY, 2),), refunds_restore=True),
    Limits((Limit(LimitChannel.POS, _AMOUNT, Period.YEAR, 9000),), refunds_restore=True),
    Limits((Limit(LimitChannel.ALL, _AMOUNT, Period.ROLLING, 2500, 3600),)),
    Limits((Limit(LimitChannel.POS, _COUNT, Period.ROLLING, 2, 86_400),), refunds_restore=True),
    Limits(
        (
            Limit(LimitChannel.ALL, _AMOUNT, Period.TRANSACTION, 1500),
            Limit(LimitChannel.ATM, _AMOUNT, Period.WEEK, 2500),
            Limit(LimitChannel.OVERSEAS, _AMOUNT, Period.DAY, 1000),
        )
    ),
)
_LOCKS: Final[tuple[tuple[str, Control], ...]] = (
    ("night_lock", NightLock()),
    ("overseas_lock", OverseasLock(("USA",))),
    ("online_lock", OnlineLock()),
    ("card_lock", CardLock()),
)
_STATUSES: Final = (CardStatus.FROZEN, CardStatus.ACTIVE, CardStatus.LOST, CardStatus.ACTIVE)


@dataclass
class Sent:
    """A message that was answered."""

    command: Command
    version: int


class Player:
    """Lives one sequence through, and has every step judged."""

    def __init__(
        self,
        sequence: Sequence,
        judged: Callable[[Happening], object] = lambda _: None,
        do_harm: Callable[[CardState], CardState] | None = None,
        store: Store | None = None,
    ) -> None:
        """Open the card's file.

        `judged` is told of each step before it is judged; `do_harm` may falsify the file that the
        judge is shown (a test does, to see that it is noticed). `store` is where the card lives;
        without one it lives in memory. In a store of the caller's nothing is judged: its life is
        told, not tried.
        """
        self._sequence: Final = sequence
        self._store: Final = MemoryStore() if store is None else store
        self._is_judged: Final = store is None
        self._reader: Final = self._store.reader()
        self._step: Final = guardian_under(sequence.policy).step
        self._sent: Final[dict[int, Sent]] = {}
        #: Messages that are still to come, by the act that sent their reversal.
        self._late: Final[dict[int, Request]] = {}
        self._told: Final = judged
        self._harm: Final = do_harm
        self._auditor: Final = Auditor(sequence.policy)
        profile = Profile(
            cardholder="holder",
            tail="0001",
            currency=sequence.currency,
            zone=zone_of(sequence.zone),
            has_chip=True,
            network="unionpay",
            status=CardStatus.ACTIVE,
            created_ms=sequence.born_ms,
        )
        register = Command(KEY, change=Register(profile), actor=_BANK, nonce=bytes(8))
        finished(self._store.transact([register], self._step, sequence.born_ms))
        self._auditor.open(self._file(), self._reader.entries(KEY)[0])

    def play(self) -> None:
        """All acts. Raises `BrokenRuleError` at the first step after which something is wrong."""
        for act in self._sequence.acts:
            self._take(act)

    def _take(self, act: Act) -> None:
        """One act; it is left out where what it is about did not happen."""
        command = self._command(act)
        if command is None:
            return
        before = self._file()
        result = self._carried_out(command, act)
        entry = result.entry
        about = self._sent.get(act.of)
        happening = Happening(
            act=act,
            command=command,
            before=before,
            after=self._file() if self._harm is None else self._harm(self._file()),
            result=result,
            clock_ms=act.at_ms,
            about=0 if about is None else about.version,
        )
        if command.request is not None and entry is not None and not result.is_repeat:
            self._sent[act.number] = Sent(command, entry.version)
        self._told(happening)
        if self._is_judged:
            self._auditor.judge(happening)

    def _carried_out(self, command: Command, act: Act) -> Result:
        try:
            return finished(self._store.transact([command], self._step, act.at_ms))[0]
        except Exception as error:
            detail = f"{type(error).__name__}: {error}, at #{act.number} {act.verb} of #{act.of}"
            raise BrokenRuleError("the guardian raised", detail) from error

    def _file(self) -> CardState:
        state = self._reader.card(KEY)
        assert state is not None, "the card was registered"
        return state

    def _command(self, act: Act) -> Command | None:
        """What the act asks for, None where there is nothing to ask."""
        about = self._sent.get(act.of)
        match act.verb:
            case "send":
                return self._message(act, self._new(act))
            case "advise":
                was_declined = act.form % 4 == 0
                request = self._new(
                    act, message_class=MessageClass.ADVICE, was_declined=was_declined
                )
                return self._message(act, request)
            case "early reversal":
                return self._early(act)
            case "late":
                late = self._late.pop(act.of, None)
                return None if late is None else self._message(act, late)
            case "repeat":
                return None if about is None else about.command
            case _ if act.of >= 0:
                return None if about is None else self._follow_up(act, about)
            case _:
                change = self._change(act)
                return None if change is None else self._wish(act, change)

    def _early(self, act: Act) -> Command:
        """The reversal of a message that is still to come."""
        late = self._new(act, stan=f"9{act.number:05}", is_traced=True)
        self._late[act.number] = late
        original = Original(trace_key=request_trace_key(late), terminal=late.terminal, rrn=late.rrn)
        reversal = self._new(act, message_class=MessageClass.REVERSAL)
        return self._message(act, reversal, original)

    def _follow_up(self, act: Act, about: Sent) -> Command | None:
        """A message about an earlier one."""
        first = about.command.request
        assert first is not None, "only messages are followed"
        if act.verb == "retry":
            return self._message(act, self._like(act, first, amount_minor=first.amount_minor))
        if act.verb == "conflict":
            return self._conflict(act, about, first)
        replacement = act.amount if act.verb == "reverse partly" else -1
        original = Original(version=about.version, replacement_minor=replacement)
        if not act.names_version and first.stan:
            original = Original(
                trace_key=about.command.trace_key,
                terminal=first.terminal,
                rrn=first.rrn,
                replacement_minor=replacement,
            )
        kinds = {"void": Kind.VOID, "refund": Kind.REFUND, "complete": Kind.COMPLETION}
        classes = {
            "reverse": MessageClass.REVERSAL,
            "reverse partly": MessageClass.REVERSAL,
            "increment": MessageClass.INCREMENT,
            "advise of": MessageClass.ADVICE,
        }
        as_advice = act.form % 2 and act.verb in kinds
        usual = MessageClass.ADVICE if as_advice else MessageClass.REQUEST
        request = self._like(
            act,
            first,
            kind=kinds.get(act.verb, first.kind),
            message_class=classes.get(act.verb, usual),
            amount_minor=act.amount,
            billing_amount_minor=act.billed,
        )
        return self._message(act, request, original)

    def _conflict(self, act: Act, about: Sent, first: Request) -> Command:
        """The same identity (or the same key) with another body."""
        currency = "XXX" if first.currency == "XTS" else "XTS"
        others: tuple[dict[str, Any], ...] = (
            {"amount_minor": first.amount_minor + 1},
            {"merchant_id": f"{first.merchant_id}X"},
            {"currency": currency},
        )
        return Command(
            KEY,
            request=changed(first, **others[act.form % 3]),
            original=about.command.original,
            idempotency_key=about.command.idempotency_key,
            nonce=_nonce(act),
        )

    def _change(self, act: Act) -> Change | None:
        """What a person or the bank wants."""
        control_type, control = _LOCKS[act.form % len(_LOCKS)]
        match act.verb:
            case "limits" if act.form % 8 == 0:
                return RemoveControl("limits")
            case "limits":
                return SetControl("limits", _LIMITS[act.form % len(_LIMITS)])
            case "ask above":
                return SetControl("large_spend_verification", LargeSpendVerification(act.amount))
            case "lock":
                return SetControl(control_type, control)
            case "unlock":
                return RemoveControl(control_type)
            case "stop":
                return PlaceStop(StopSource.SMS)
            case "lift":
                return LiftStop()
            case "status":
                is_new = act.form % 3 == 0
                return UpdateCard(_STATUSES[act.form % len(_STATUSES)], contact_is_new=is_new)
            case _:
                questions = self._file().settings.challenges
                if not questions:
                    return None
                return AnswerChallenge(
                    questions[act.form % len(questions)].id, act.verb == "answer yes"
                )

    def _wish(self, act: Act, change: Change) -> Command:
        return Command(KEY, change=change, actor=_BANK, nonce=_nonce(act))

    def _message(self, act: Act, request: Request, original: Original | None = None) -> Command:
        key = b"" if request.stan else idempotency_key("sequences", str(act.number))
        return Command(
            KEY, request=request, original=original, idempotency_key=key, nonce=_nonce(act)
        )

    def _new(self, act: Act, *, stan: str = "", is_traced: bool = False, **more: Any) -> Request:  # noqa: ANN401 - as Request's own
        """A message with an identity of its own."""
        has_billing = act.billed >= 0
        has_trace = act.has_trace or is_traced
        fields: dict[str, Any] = {
            "kind": act.kind,
            "channel": act.channel,
            "medium": act.medium,
            "amount_minor": act.amount,
            "currency": act.currency,
            "billing_amount_minor": act.billed,
            "billing_currency": self._sequence.currency if has_billing else "",
            "merchant_id": act.merchant,
            "country": act.country,
            "region": "41" if act.country == "CHN" else "",
            "acquirer": "01020000",
            "terminal": "T1",
            "stan": (stan or f"{act.number:06}") if has_trace else "",
            "rrn": f"{act.number:012}",
            "transmitted_at": f"{act.number:010}" if has_trace else "",
        }
        return Request(**{**fields, **more})

    def _like(self, act: Act, first: Request, **more: Any) -> Request:  # noqa: ANN401 - as Request's own
        """A message of the same channel, place and merchant as an earlier one."""
        taken = ("kind", "channel", "medium", "currency", "country", "region", "merchant_id")
        same = {name: getattr(first, name) for name in taken}
        same["billing_amount_minor"] = first.billing_amount_minor
        same["billing_currency"] = first.billing_currency
        return self._new(act, **{**same, **more})


def _nonce(act: Act) -> bytes:
    return blake2b(act.number.to_bytes(2, "big"), digest_size=8).digest()


def changed(request: Request, **more: Any) -> Request:  # noqa: ANN401 - as Request's own
    """The same message with something else in it."""
    # A class that is compiled does not list its slots, but its instances do know their fields.
    names = [n for n in dir(request) if not n.startswith(("_", "is_", "may_"))]
    fields: dict[str, Any] = {name: getattr(request, name) for name in names}
    return Request(**{**fields, **more})

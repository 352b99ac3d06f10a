"""Guardian: takes one command and gives one result; the order of business for every message."""

from __future__ import annotations

from typing import Final, final

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Command, Register
from zhiwei.core.entry import Entry
from zhiwei.core.event import Event, EventKind
from zhiwei.core.finding import Finding, Outcome
from zhiwei.core.identity import has_same_body, is_same_message
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.request import Kind, MessageClass, Request
from zhiwei.core.result import Rejection, Related, Result, rejected
from zhiwei.core.settle import settled
from zhiwei.core.windows import Moment
from zhiwei.guardian.authorize import authorize, note_credit
from zhiwei.guardian.case import Case, Rules
from zhiwei.guardian.changes import carry_out
from zhiwei.guardian.follow_up import (
    advise,
    answered_by_its_reversal,
    complete,
    increment,
    refund,
    reverse,
    void,
)
from zhiwei.guardian.registration import register


@final
class Guardian:
    """The guardian of card accounts (智卫): a policy and the rooms; it holds no other state."""

    __slots__ = ("policy", "rules")

    def __init__(self, policy: Policy, rules: Rules) -> None:
        self.policy: Final = policy
        self.rules: Final = rules

    def step(
        self, state: CardState | None, related: Related, command: Command, clock_ms: int
    ) -> Result:
        """What `command` does to the card's file at `clock_ms` (UTC epoch ms).

        The time of day is that of the clock as it is. A clock that was set back restores no limit
        all the same (SEMANTICS 8): `core.usage` never opens an earlier window again.
        """
        if state is None:
            if isinstance(command.change, Register):
                return register(self.policy, command, command.change, clock_ms)
            return rejected(Rejection.CARD_NOT_FOUND)
        moment = Moment(clock_ms, state.settings.profile.zone)
        repeat = _repeat_of_key(related, command)
        if repeat is not None:
            return repeat
        as_of_now, events = settled(state, moment)
        case = Case(self.policy, self.rules, as_of_now, related, command, moment, events)
        if command.request is not None:
            return _answer(case, command.request)
        return carry_out(case)


def _answer(case: Case, request: Request) -> Result:
    """Answer a card message: repeats first, then by what the sender wants."""
    for earlier in case.related.by_key:
        known = earlier.command.request
        if known is not None and earlier.duplicate_of == 0 and is_same_message(known, request):
            if not known.stan:
                continue
            if has_same_body(known, request):
                return Result(state=case.state, entry=earlier, is_repeat=True)
            return _conflict(case, earlier)
    message_class = request.message_class
    if message_class is MessageClass.REVERSAL:
        return reverse(case, request)
    if message_class is MessageClass.ADVICE:
        return advise(case, request)
    overtaken = answered_by_its_reversal(case, request)
    if overtaken is not None:
        return overtaken
    if message_class is MessageClass.INCREMENT:
        return increment(case, request)
    kind = request.kind
    if kind is Kind.COMPLETION:
        return complete(case, request)
    if kind is Kind.VOID:
        return void(case, request)
    if kind is Kind.REFUND:
        return refund(case, request)
    if kind is Kind.DEPOSIT or kind is Kind.TRANSFER_IN:
        return note_credit(case, request)
    return authorize(case, request)


def _repeat_of_key(related: Related, command: Command) -> Result | None:
    """The earlier result of the same Idempotency-Key, None where there is none.

    It is a rejection where the key came with another body.
    """
    if not command.idempotency_key:
        return None
    for earlier in related.by_key:
        first = earlier.command
        if first.idempotency_key != command.idempotency_key:
            continue
        if first.request is not None and command.request is not None:
            is_same = first.request.message_class is command.request.message_class
            if is_same and has_same_body(first.request, command.request):
                return Result(entry=earlier, is_repeat=True)
        elif first.request is None and command.request is None and first.change == command.change:
            return Result(entry=earlier, is_repeat=True)
        return rejected(Rejection.SAME_KEY_OTHER_BODY)
    return None


def _conflict(case: Case, earlier: Entry) -> Result:
    """The same identity with another body: refused, recorded and told; nothing moves."""
    finding = Finding(
        Outcome.REFUSE,
        Reason.SAME_IDENTITY_OTHER_BODY,
        "issuer",
        (("first_version", earlier.version),),
    )
    entry = Entry(
        version=case.version,
        now_ms=case.moment.now_ms,
        filed_ms=max(case.state.last_ms, case.moment.now_ms),
        command=case.command,
        outcome=Outcome.REFUSE,
        policy_version=case.policy.version,
        findings=(finding,),
        duplicate_of=earlier.version,
    )
    event = Event(EventKind.CONFLICT_SEEN, {"first_version": earlier.version})
    key = case.command.idempotency_key
    return Result(
        state=case.state.followed_by(case.moment.now_ms),
        entry=entry,
        events=(*case.events, event),
        keys=(key,) if key else (),
    )

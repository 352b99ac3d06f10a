"""Follow-ups: what happens to an authorization later, and what is only reported.

Reversal (冲正), void (撤销), completion (预授权完成), increment, refund (退货) and advice (通知).
What they give back goes to the window of the original. None of them but the increment and the
unmatched completion can be refused.
"""

from __future__ import annotations

from dataclasses import replace

from zhiwei.core.card_state import ChallengeState, Hold, Settings
from zhiwei.core.decide import billed_minor, decide, in_order
from zhiwei.core.entry import Entry, Flag, Group, GroupState
from zhiwei.core.event import Event, EventKind
from zhiwei.core.finding import NO_OPINION, Finding, Findings, Outcome
from zhiwei.core.reason import Reason
from zhiwei.core.request import Kind, MessageClass, Request
from zhiwei.core.result import Rejection, Result, rejected
from zhiwei.core.settle import booked_minor, given_back
from zhiwei.core.usage import Booking, begun
from zhiwei.guardian import movements
from zhiwei.guardian.authorize import (
    authorize,
    booked,
    booking_in,
    finished,
    note_credit,
    refused,
    refused_as_reversed,
    reversal_that_came_first,
    with_hold,
)
from zhiwei.guardian.case import Case
from zhiwei.guardian.challenges import pass_for
from zhiwei.guardian.named import hold_for, original_of
from zhiwei.guardian.undo import credit_undone, is_follow_up, undo, what_stood
from zhiwei.services.spend_limits import channels_of, over_in_one_transaction


def reverse(case: Case, request: Request) -> Result:
    """Take back an earlier request, wholly or down to what stands; once.

    A reversal that comes before its request is remembered: the late request will be refused.
    """
    original = original_of(case)
    if original is None:
        return _unmatched(case)
    group = case.latest_of_group(original).group
    if group is not None and is_follow_up(original):
        return undo(case, original, group)
    stands = _standing_after(case, original)
    if group is None:
        return credit_undone(case, original, None)
    if stands is None or _is_over(case, group):
        return _no_effect(case, group)
    if 0 < stands >= group.approved_minor:
        return _no_effect(case, group)
    event = Event(
        EventKind.TRANSACTION_REVERSED,
        {"original_version": group.version, "amount": group.approved_minor - stands},
    )
    state = GroupState.REVERSED if stands == 0 else group.state
    settings = _pass_reopened(case, original) if stands == 0 else None
    return _give_back(case, original, group, stands, state, (event,), settings)


def answered_by_its_reversal(case: Case, request: Request) -> Result | None:
    """The answer to a request whose reversal overtook it; None where none did.

    What would take money is refused; what gives it back is accepted and moves nothing.
    """
    reversal = reversal_that_came_first(case, request)
    if reversal is None:
        return None
    if request.is_debit or request.kind in (Kind.BINDING, Kind.BALANCE_INQUIRY):
        return refused_as_reversed(case, reversal)
    return _no_effect(case, None)


def void(case: Case, request: Request) -> Result:
    """Undo an approved transaction on the merchant's wish (撤销); a credit, so never refused."""
    original = original_of(case)
    if original is None:
        return _unmatched(case)
    group = case.latest_of_group(original).group
    if group is None or _is_over(case, group):
        return _no_effect(case, group)
    event = Event(
        EventKind.TRANSACTION_REVERSED,
        {"original_version": group.version, "amount": group.approved_minor},
    )
    note = what_stood(group, case.state.holds)
    return _give_back(case, original, group, 0, GroupState.VOIDED, (event,), note=note)


def refund(case: Case, request: Request) -> Result:
    """Money returned for a purchase.

    It restores no limit, unless the cardholder's limits say so.
    """
    limits = case.state.settings.controls.limits
    original = original_of(case)
    group = case.latest_of_group(original).group if original is not None else None
    restores = limits is not None and limits.refunds_restore
    movement = movements.refunds(case, request, original)
    if group is None or not restores or _is_over(case, group):
        state = case.state.followed_by(case.moment.now_ms)
        return finished(case, state, Outcome.APPROVE, NO_OPINION, group=group, movement=movement)
    billed = max(billed_minor(case.state, request), 0)
    back = min(billed, booked_minor(group.bookings))
    usage, bookings = given_back(case.state.usage, group.bookings, group.version, back, 0)
    after = Group(
        group.version, group.state, bookings, group.approved_minor, group.refunded_minor + billed
    )
    holds = _holds_after(case, group, after)
    state = case.state.followed_by(case.moment.now_ms, usage=usage, holds=holds)
    return finished(
        case,
        state,
        Outcome.APPROVE,
        NO_OPINION,
        group=after,
        note=str(back),
        movement=movement,
    )


def complete(case: Case, request: Request) -> Result:
    """Complete an approved pre-authorization; accepted even in the night window.

    A completion that matches no hold would slip past every lock, so it is judged as the purchase
    that it is.
    """
    hold = hold_for(case, request)
    if hold is not None:
        return _completed(case, request, hold)
    return authorize(case, request)


def advise(case: Case, request: Request) -> Result:
    """Book what already happened, even past a lock or limit; flagged and told, never refused."""
    came_first = reversal_that_came_first(case, request)
    if not request.was_declined and came_first is None:
        # A refund (退货) always comes as an advice (0220); what it gives back is the same.
        if request.kind is Kind.REFUND:
            return refund(case, request)
        if request.kind is Kind.VOID:
            return void(case, request)
    if request.was_declined or came_first is not None:
        state = case.state.followed_by(case.moment.now_ms)
        return finished(case, state, Outcome.APPROVE, NO_OPINION)
    if not request.is_debit:
        return note_credit(case, request)
    if request.kind is Kind.COMPLETION:
        hold = hold_for(case, request)
        if hold is not None:
            return _completed(case, request, hold)
    known = _approved_before(case, request)
    if known is not None:
        return _confirmed(case, request, known)
    verdict = decide(case.rules.judges, case.policy, case.state, request, case.moment)
    billed = max(billed_minor(case.state, request), 0)
    usage = begun(case.state.usage, case.moment)
    booking = booking_in(usage, billed, 1, channels_of(request, case.state))
    usage = booked(case, usage, booking)
    group = Group(case.version, GroupState.APPROVED, (booking,), billed)
    flags = 0
    events: tuple[Event, ...] = ()
    if verdict.outcome is not Outcome.APPROVE:
        flags = Flag.PAST_CONTROL
        events = (_bypass_event(verdict.findings),)
    return finished(
        case,
        case.state.followed_by(case.moment.now_ms, usage=usage),
        Outcome.APPROVE,
        verdict.findings,
        group=group,
        channels=booking.channels,
        flags=flags,
        events=events,
        movement=movements.begins(case, request),
    )


def increment(case: Case, request: Request) -> Result:
    """Raise an approved authorization by a difference; judged by amount, status and stop only."""
    original = original_of(case)
    if original is None:
        return rejected(Rejection.ORIGINAL_NOT_FOUND)
    group = case.latest_of_group(original).group
    first = original.command.request
    is_whole = first is not None and first.is_debit and request.is_debit
    if group is None or first is None or not is_whole or not _may_still_change(case, group):
        facts = (("original_version", original.version),)
        return refused(
            case, (Finding(Outcome.REFUSE, Reason.ORIGINAL_NOT_APPROVED, "issuer", facts),)
        )
    part = _as_part_of(first, request)
    verdict = decide(case.rules.increment_judges, case.policy, case.state, part, case.moment)
    total = over_in_one_transaction(case.policy, case.state, part, group.approved_minor)
    if verdict.outcome is not Outcome.APPROVE or total:
        return refused(case, in_order([*verdict.findings, *total]))
    billed = max(billed_minor(case.state, request), 0)
    channels = group.bookings[0].channels
    booking = booking_in(case.state.usage, billed, 0, channels)
    usage = booked(case, case.state.usage, booking, group.version)
    bookings = _with_booking(group.bookings, booking)
    after = Group(
        group.version, group.state, bookings, group.approved_minor + billed, group.refunded_minor
    )
    holds = _holds_after(case, group, after)
    return finished(
        case,
        case.state.followed_by(case.moment.now_ms, usage=usage, holds=holds),
        Outcome.APPROVE,
        verdict.findings,
        group=after,
        channels=channels,
        movement=movements.changes(
            group.approved_minor,
            after.approved_minor,
            was_told=movements.was_told(case, original),
        ),
    )


def _as_part_of(first: Request, request: Request) -> Request:
    """An increment as the limits see it: its own amount, through the channels of its original."""
    return Request(
        kind=first.kind,
        message_class=MessageClass.INCREMENT,
        channel=first.channel,
        medium=first.medium,
        amount_minor=request.amount_minor,
        currency=request.currency,
        billing_amount_minor=request.billing_amount_minor,
        billing_currency=request.billing_currency,
        country=first.country,
        region=first.region,
        pin_entered=first.pin_entered,
    )


def _approved_before(case: Case, request: Request) -> Entry | None:
    """The very transaction that an advice reports, if we approved it ourselves and it stands.

    The network stood in because our answer came late; the transaction must still count once.
    """
    original = original_of(case)
    if original is None:
        for entry in case.related.by_key:
            asked = entry.command.request
            if (
                asked is not None
                and asked.message_class is MessageClass.REQUEST
                and entry.command.trace_key == case.command.trace_key
                and asked.terminal == request.terminal
            ):
                original = entry
    if original is None:
        return None
    group = case.latest_of_group(original).group
    return original if group is not None and _may_still_change(case, group) else None


def _confirmed(case: Case, request: Request, original: Entry) -> Result:
    """An advice of what we approved ourselves: only a difference in the amount moves anything."""
    group = case.latest_of_group(original).group
    assert group is not None, "what stands approved has a group"
    told = max(billed_minor(case.state, request), 0)
    usage = case.state.usage
    bookings = group.bookings
    if told <= group.approved_minor:
        usage, bookings = given_back(usage, bookings, group.version, group.approved_minor - told, 0)
    else:
        more = booking_in(
            case.state.usage, told - group.approved_minor, 0, group.bookings[0].channels
        )
        usage = booked(case, usage, more, group.version)
        bookings = _with_booking(bookings, more)
    after = Group(group.version, group.state, bookings, told, group.refunded_minor)
    holds = _holds_after(case, group, after)
    # A completion may be taken back, and then what it found stands again.
    is_completion = request.kind is Kind.COMPLETION
    return finished(
        case,
        case.state.followed_by(case.moment.now_ms, usage=usage, holds=holds),
        Outcome.APPROVE,
        NO_OPINION,
        group=after,
        note=what_stood(group, case.state.holds) if is_completion else "",
        movement=movements.changes(
            group.approved_minor, told, was_told=movements.was_told(case, original)
        ),
    )


def _completed(case: Case, request: Request, hold: Hold) -> Result:
    """Turn a hold into what was really taken: less gives back, more is booked past any limit."""
    taken = max(billed_minor(case.state, request), 0)
    usage = case.state.usage
    bookings = hold.bookings
    flags = 0
    events: tuple[Event, ...] = ()
    if taken <= hold.approved_minor:
        usage, bookings = given_back(usage, bookings, hold.group, hold.approved_minor - taken, 0)
    else:
        more = booking_in(
            case.state.usage, taken - hold.approved_minor, 0, hold.bookings[0].channels
        )
        usage = booked(case, usage, more, hold.group)
        bookings = _with_booking(bookings, more)
        flags = Flag.PAST_CONTROL
        facts = {"held": hold.approved_minor, "taken": taken}
        events = (Event(EventKind.ADVICE_BYPASSED_CONTROL, {**facts}),)
    held = Group(hold.group, GroupState.HELD, hold.bookings, hold.approved_minor)
    group = Group(hold.group, GroupState.COMPLETED, bookings, taken)
    holds = tuple(h for h in case.state.holds if h.group != hold.group)
    return finished(
        case,
        case.state.followed_by(case.moment.now_ms, usage=usage, holds=holds),
        Outcome.APPROVE,
        NO_OPINION,
        group=group,
        flags=flags,
        events=events,
        note=what_stood(held, case.state.holds),
        movement=movements.changes(hold.approved_minor, taken, was_told=hold.is_told),
    )


def _give_back(
    case: Case,
    original: Entry,
    group: Group,
    stands_minor: int,
    state: GroupState,
    events: tuple[Event, ...],
    settings: Settings | None = None,
    note: str = "",
) -> Result:
    """Give back all but `stands_minor`; the count too where nothing stands."""
    back = max(booked_minor(group.bookings) - stands_minor, 0)
    count = 1 if stands_minor == 0 else 0
    usage, bookings = given_back(case.state.usage, group.bookings, group.version, back, count)
    after = Group(group.version, state, bookings, stands_minor, group.refunded_minor)
    holds = _holds_after(case, group, after)
    return finished(
        case,
        case.state.followed_by(case.moment.now_ms, settings=settings, usage=usage, holds=holds),
        Outcome.APPROVE,
        NO_OPINION,
        group=after,
        events=events,
        note=note,
        movement=movements.takes_back(
            case,
            original,
            group.approved_minor - stands_minor,
            was_told=movements.was_told(case, original),
        ),
    )


def _pass_reopened(case: Case, original: Entry) -> Settings | None:
    """The settings with the pass back that the reversed request used, if it has not run out."""
    settings = case.state.settings
    for challenge in settings.challenges:
        is_its = challenge.id == original.challenge_id and challenge.state is ChallengeState.USED
        if is_its and challenge.answered_ms + case.policy.pass_ms > case.moment.now_ms:
            again = replace(challenge, state=ChallengeState.APPROVED)
            others = tuple(again if c is challenge else c for c in settings.challenges)
            permission = pass_for(challenge, challenge.answered_ms, case.policy.pass_ms)
            return replace(
                settings, challenges=others, permissions=(*settings.permissions, permission)
            )
    return None


def _holds_after(case: Case, group: Group, after: Group) -> tuple[Hold, ...]:
    """Open holds after a group changed: its hold follows it, or goes when nothing stands."""
    for hold in case.state.holds:
        if hold.group == group.version:
            kept = tuple(h for h in case.state.holds if h is not hold)
            if after.state is not GroupState.HELD:
                return kept
            follower = Hold(
                hold.group,
                hold.expires_ms,
                after.approved_minor,
                hold.auth_code,
                hold.merchant_id,
                after.bookings,
            )
            return with_hold(kept, follower)
    return case.state.holds


def _may_still_change(case: Case, group: Group) -> bool:
    """Approved, and neither completed nor over."""
    return group.state in (GroupState.APPROVED, GroupState.HELD) and not _is_over(case, group)


def _is_over(case: Case, group: Group) -> bool:
    """Whether a group has nothing left to give back: taken back before, or a hold that lapsed."""
    if group.state is GroupState.HELD:
        return all(hold.group != group.version for hold in case.state.holds)
    return group.state in (GroupState.REVERSED, GroupState.VOIDED)


def _with_booking(bookings: tuple[Booking, ...], more: Booking) -> tuple[Booking, ...]:
    """The bookings of a group with one more; bookings in the same windows become one."""
    last = bookings[-1]
    if last.day == more.day and last.channels == more.channels:
        merged = Booking(
            last.amount_minor + more.amount_minor,
            last.count + more.count,
            last.channels,
            last.day,
            last.week,
            last.month,
            last.year,
        )
        return (*bookings[:-1], merged)
    return (*bookings, more)


def _standing_after(case: Case, original: Entry) -> int | None:
    """What stands after a reversal, in the card's currency; None = all that is counted.

    A replacement amount is in the original's transaction currency; where that is not the card's,
    what stands is in proportion, rounded up, so that a limit never gets back too much.
    """
    named = case.command.original
    replacement = -1 if named is None else named.replacement_minor
    request = original.command.request
    if replacement <= 0 or request is None:
        return 0
    if request.currency == case.state.settings.profile.currency:
        return replacement
    billed = billed_minor(case.state, request)
    if billed <= 0 or request.amount_minor == 0:
        # Nobody told what it is in the card's currency, so nothing of it is counted.
        return None
    return -(-billed * replacement // request.amount_minor)


def _unmatched(case: Case) -> Result:
    """Accept a reversal or void of something unknown, and remember it by what it named."""
    named = case.command.original
    return finished(
        case,
        case.state.followed_by(case.moment.now_ms),
        Outcome.APPROVE,
        NO_OPINION,
        flags=Flag.UNMATCHED,
        extra_keys=() if named is None else (named.trace_key,),
    )


def _no_effect(case: Case, group: Group | None) -> Result:
    """Accept and record, but nothing is left to give back."""
    return finished(
        case,
        case.state.followed_by(case.moment.now_ms),
        Outcome.APPROVE,
        NO_OPINION,
        group=group,
        flags=Flag.NO_EFFECT,
    )


def _bypass_event(findings: Findings) -> Event:
    """What an advice went past."""
    reasons = [f.reason.code for f in findings if f.stands]
    return Event(EventKind.ADVICE_BYPASSED_CONTROL, {"reasons": reasons})

"""Undo: the reversal (冲正) of a follow-up, which takes back that follow-up and nothing else.

The reversal of an increment gives back its difference; that of a refund (退货冲正) takes again what
the refund gave back; after that of a void (撤销冲正) or of a completion (预授权完成冲正) the
transaction stands as it did before. What stood is written into the follow-up's own entry (`note`),
so that nothing has to be guessed later.
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import Hold
from zhiwei.core.decide import billed_minor
from zhiwei.core.entry import Entry, Flag, Group, GroupState
from zhiwei.core.event import Event, EventKind
from zhiwei.core.finding import NO_OPINION, Outcome
from zhiwei.core.identity import undone_key
from zhiwei.core.request import Kind, MessageClass
from zhiwei.core.result import Result
from zhiwei.core.settle import booked_minor, given_back
from zhiwei.core.usage import Booking, Usage
from zhiwei.core.zone import DAY_MS
from zhiwei.guardian import movements
from zhiwei.guardian.authorize import auth_code, booked, finished, with_hold
from zhiwei.guardian.case import Case
from zhiwei.services.balance_change_alert import Movement

#: A follow-up is taken back within this time or not at all. Stores keep keys for as long, so within
#: it an earlier reversal of the same follow-up is always found, and none can give back twice.
UNDONE_WITHIN_MS: Final = 7 * DAY_MS
_CREDITS: Final = frozenset((Kind.DEPOSIT, Kind.TRANSFER_IN, Kind.REFUND))
_FOLLOW_UPS: Final = frozenset((Kind.VOID, Kind.REFUND, Kind.COMPLETION))


def is_follow_up(entry: Entry) -> bool:
    """Whether an entry followed another of its group."""
    request = entry.command.request
    if request is None or entry.group is None or entry.group.version == entry.version:
        return False
    return request.message_class is MessageClass.INCREMENT or request.kind in _FOLLOW_UPS


def what_stood(group: Group, holds: tuple[Hold, ...]) -> str:
    """What a void or completion found standing.

    State, amount, until when a hold held, and what of the amount was still booked (a refund before
    may have given back some of it).
    """
    expires_ms = 0
    for hold in holds:
        if hold.group == group.version:
            expires_ms = hold.expires_ms
    state_name = group.state.name.lower()
    return f"{state_name} {group.approved_minor} {expires_ms} {booked_minor(group.bookings)}"


def undo(case: Case, original: Entry, group: Group) -> Result:
    """Take back a follow-up, once. `group` is its group as it stands now."""
    request = original.command.request
    assert request is not None, "only card messages are reversed"
    latest_ms = max(case.state.last_ms, case.moment.now_ms)
    is_too_late = original.filed_ms <= latest_ms - UNDONE_WITHIN_MS
    if is_too_late or original.flags & Flag.NO_EFFECT or was_undone(case, original):
        return _nothing(case, group)
    if _has_lapsed(case, group):
        return _nothing(case, group)
    if request.message_class is MessageClass.INCREMENT:
        return _increment_undone(case, original, group)
    if request.kind is Kind.REFUND:
        return _refund_undone(case, original, group)
    return _restored(case, original, group)


def was_undone(case: Case, original: Entry) -> bool:
    """Whether an earlier reversal took back this very entry."""
    for entry in case.related.by_key:
        request = entry.command.request
        named = entry.command.original
        if request is None or named is None or request.message_class is not MessageClass.REVERSAL:
            continue
        if entry.flags & (Flag.NO_EFFECT | Flag.UNMATCHED):
            continue
        if named.version == original.version:
            return True
        if named.trace_key and named.trace_key == original.command.trace_key:
            taken = original.command.request
            if taken is None or not named.rrn or named.rrn == taken.rrn:
                return True
    return False


def _has_lapsed(case: Case, group: Group) -> bool:
    """Whether a group was held and is not any more, so that all of it was given back."""
    is_held = group.state is GroupState.HELD
    return is_held and all(hold.group != group.version for hold in case.state.holds)


def _increment_undone(case: Case, original: Entry, group: Group) -> Result:
    """Give back the difference that an increment added, as far as it is still booked."""
    request = original.command.request
    assert request is not None, "an increment is a card message"
    is_open = group.state in (GroupState.APPROVED, GroupState.HELD)
    amount_minor = min(max(billed_minor(case.state, request), 0), group.approved_minor)
    if not is_open or original.outcome is not Outcome.APPROVE or amount_minor == 0:
        return _nothing(case, group)
    usage, bookings = given_back(case.state.usage, group.bookings, group.version, amount_minor, 0)
    standing = group.approved_minor - amount_minor
    after = Group(group.version, group.state, bookings, standing, group.refunded_minor)
    told = bool(original.flags & Flag.BALANCE_TOLD)
    movement = movements.takes_back(case, original, amount_minor, was_told=told)
    holds = _with_follower(case, after)
    return _done(case, original, after, usage, holds, amount_minor, movement)


def _refund_undone(case: Case, original: Entry, group: Group) -> Result:
    """Take again what a refund gave back; by default it gave back nothing."""
    amount_minor = int(original.note or "0")
    amount_minor = min(amount_minor, group.approved_minor - booked_minor(group.bookings))
    if amount_minor <= 0 or group.state in (GroupState.REVERSED, GroupState.VOIDED):
        return credit_undone(case, original, group)
    usage, bookings = _booked_again(case, group, amount_minor, 0)
    refunded = group.refunded_minor - amount_minor
    after = Group(group.version, group.state, bookings, group.approved_minor, max(refunded, 0))
    holds = _with_follower(case, after)
    movement = _taken_again(case, original)
    return _done(case, original, after, usage, holds, -amount_minor, movement)


def credit_undone(case: Case, original: Entry, group: Group | None) -> Result:
    """The reversal of what brought money and moved no counter; no counter moves now either.

    The holder who was told of the credit is told of its end, once.
    """
    request = original.command.request
    brought = request is not None and request.kind in _CREDITS
    is_told = (
        brought and original.flags & Flag.BALANCE_TOLD and not _was_told_undone(case, original)
    )
    return finished(
        case,
        case.state.followed_by(case.moment.now_ms),
        Outcome.APPROVE,
        NO_OPINION,
        group=group,
        flags=Flag.NO_EFFECT,
        extra_keys=_keys_of(original) if is_told else (),
        movement=_taken_again(case, original) if is_told else None,
    )


def _taken_again(case: Case, original: Entry) -> Movement:
    """What the reversal of a credit takes from the account again."""
    request = original.command.request
    assert request is not None, "a credit is a card message"
    billed = max(billed_minor(case.state, request), 0)
    told = bool(original.flags & Flag.BALANCE_TOLD)
    return movements.takes_back(case, original, billed, was_told=told, is_in=False)


def _was_told_undone(case: Case, original: Entry) -> bool:
    """Whether the holder was told before that this credit was taken back."""
    for entry in case.related.by_key:
        request = entry.command.request
        is_told = entry.flags & Flag.BALANCE_TOLD
        if is_told and request is not None and request.message_class is MessageClass.REVERSAL:
            named = entry.command.original
            is_named = named is not None and named.version == original.version
            has_trace = named is not None and named.trace_key == original.command.trace_key
            if is_named or (has_trace and original.command.trace_key):
                return True
    return False


def _keys_of(original: Entry) -> tuple[bytes, ...]:
    """Digests by which a later reversal of the same entry finds that it was taken back."""
    return original.command.trace_key, undone_key(original.version)


def _restored(case: Case, original: Entry, group: Group) -> Result:
    """Let a transaction stand again as it did before its void or completion."""
    state_name, amount, expires, booked_then = original.note.split()
    stood = GroupState[state_name.upper()]
    stood_minor = int(amount)
    expires_ms = int(expires)
    if not _is_as_left(original, group):
        return _nothing(case, group)
    if stood is GroupState.HELD and expires_ms <= case.moment.now_ms:
        # The hold would have lapsed by now, and given back all it held.
        return _nothing(case, group)
    more = int(booked_then) - booked_minor(group.bookings)
    counts = 1 - sum([booking.count for booking in group.bookings])
    if more >= 0:
        usage, bookings = _booked_again(case, group, more, counts)
    else:
        usage, bookings = given_back(case.state.usage, group.bookings, group.version, -more, 0)
    after = Group(group.version, stood, bookings, stood_minor, group.refunded_minor)
    holds = case.state.holds
    if stood is GroupState.HELD:
        request = original.command.request
        assert request is not None, "a void or completion is a card message"
        code = auth_code(case.state.card_key, group.version)
        merchant_id = request.merchant_id
        hold = Hold(group.version, expires_ms, stood_minor, code, merchant_id, bookings)
        holds = with_hold(holds, hold)
    movement = _stands_again(case, original, stood_minor - group.approved_minor)
    return _done(case, original, after, usage, holds, -more, movement)


def _stands_again(case: Case, original: Entry, amount_minor: int) -> Movement:
    """What the reversal of a void or completion moves: from the account, or less than it took."""
    told = bool(original.flags & Flag.BALANCE_TOLD)
    is_in = amount_minor < 0
    return movements.takes_back(case, original, abs(amount_minor), was_told=told, is_in=is_in)


def _is_as_left(original: Entry, group: Group) -> bool:
    """Whether a group is in the state in which a void or completion left it.

    A completion of what was no hold (an advice of an approved purchase) leaves the state as it was;
    then the amount tells whether anything came after.
    """
    left = original.group
    if left is None or group.state is not left.state:
        return False
    if group.state in (GroupState.VOIDED, GroupState.COMPLETED):
        return True
    return group.state is GroupState.APPROVED and group.approved_minor == left.approved_minor


def _booked_again(
    case: Case, group: Group, amount_minor: int, count: int
) -> tuple[Usage, tuple[Booking, ...]]:
    """Book an amount and count once more in the windows of the original, even past a limit."""
    first = group.bookings[0]
    more = Booking(
        amount_minor, count, first.channels, first.day, first.week, first.month, first.year
    )
    usage = booked(case, case.state.usage, more, group.version)
    again = Booking(
        first.amount_minor + amount_minor,
        first.count + count,
        first.channels,
        first.day,
        first.week,
        first.month,
        first.year,
    )
    return usage, (again, *group.bookings[1:])


def _with_follower(case: Case, after: Group) -> tuple[Hold, ...]:
    """Open holds, with the group's own following its amount."""
    for hold in case.state.holds:
        if hold.group == after.version:
            kept = tuple([h for h in case.state.holds if h is not hold])
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


def _done(
    case: Case,
    original: Entry,
    after: Group,
    usage: Usage,
    holds: tuple[Hold, ...],
    given_back_minor: int,
    movement: Movement,
) -> Result:
    """Write that a follow-up was taken back, so that it is taken back once."""
    event = Event(
        EventKind.TRANSACTION_REVERSED,
        {"original_version": original.version, "amount": given_back_minor},
    )
    return finished(
        case,
        case.state.followed_by(case.moment.now_ms, usage=usage, holds=holds),
        Outcome.APPROVE,
        NO_OPINION,
        group=after,
        events=(event,),
        extra_keys=_keys_of(original),
        movement=movement,
    )


def _nothing(case: Case, group: Group) -> Result:
    """Accept and record; nothing moves."""
    return finished(
        case,
        case.state.followed_by(case.moment.now_ms),
        Outcome.APPROVE,
        NO_OPINION,
        group=group,
        flags=Flag.NO_EFFECT,
    )

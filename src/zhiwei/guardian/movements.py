"""Movements of money that the balance-change alert (余额变动提醒) tells, each once.

One movement may come twice: as a card message with a balance, and as the posting of the core bank.
They belong together if the posting's reference is the message's RRN or id (for what comes back also
if the posting names what it reverses so), and direction and amount are the same. Whichever comes
first is told. They are counted in pairs, so that an RRN that is used again hides nothing: two
messages and one posting are two messages to the holder. Keys are found for seven days.
"""

from __future__ import annotations

from typing import Final

from zhiwei.core.card_state import CardState, Hold
from zhiwei.core.command import Post
from zhiwei.core.decide import billed_minor
from zhiwei.core.entry import Entry, Flag, Group
from zhiwei.core.event import Event
from zhiwei.core.identity import movement_key
from zhiwei.core.ids import entry_id
from zhiwei.core.policy import BalanceAlertsFrom
from zhiwei.core.request import Kind, MessageClass, Request
from zhiwei.guardian.case import Case
from zhiwei.services.balance_change_alert import (
    Movement,
    message_event,
    posting_event,
    tells_message,
    tells_posting,
)

_TO_THE_ACCOUNT: Final = frozenset((Kind.DEPOSIT, Kind.TRANSFER_IN, Kind.REFUND, Kind.VOID))


def begins(case: Case, request: Request) -> Movement | None:
    """What a message moves that begins something; None where it moves nothing."""
    is_in = request.kind in _TO_THE_ACCOUNT
    if request.amount_minor == 0 or not (is_in or request.is_debit):
        return None
    billed = billed_minor(case.state, request)
    return Movement(is_in=is_in, amount_minor=billed, whole_minor=billed)


def changes(stood_minor: int, stands_minor: int, *, was_told: bool) -> Movement:
    """What an increment, completion or advice moves: the difference to what stood before."""
    difference = stands_minor - stood_minor
    return Movement(
        is_in=was_told and difference < 0,
        amount_minor=abs(difference),
        whole_minor=stands_minor,
        was_told=was_told,
    )


def takes_back(
    case: Case, original: Entry, amount_minor: int, *, was_told: bool, is_in: bool = True
) -> Movement:
    """What a reversal or void gives back, or the reversal of a credit takes again."""
    request = original.command.request
    if request is not None and billed_minor(case.state, request) < 0:
        amount_minor = -1
    return Movement(
        is_in=is_in,
        amount_minor=amount_minor,
        whole_minor=amount_minor,
        was_told=was_told,
        takes_back=original,
    )


def refunds(case: Case, request: Request, original: Entry | None) -> Movement:
    """What a refund brings; it is told by its own balance and amount, whatever it refunds."""
    billed = billed_minor(case.state, request)
    return Movement(is_in=True, amount_minor=billed, whole_minor=billed, takes_back=original)


def was_told(case: Case, original: Entry) -> bool:
    """Whether the holder was told of the transaction that an entry belongs to."""
    latest = case.latest_of_group(original)
    return bool((original.flags | latest.flags) & Flag.BALANCE_TOLD)


def message_told(
    case: Case, state: CardState, entry: Entry, moved: Movement
) -> tuple[Event | None, tuple[bytes, ...]]:
    """What is told of a card message, and the keys under which its posting finds it.

    Its entry carries `Flag.BALANCE_TOLD` also where it has nothing to say.
    """
    request = entry.command.request
    assert request is not None, "a movement is that of a card message"
    event = message_event(state, entry, request, moved)
    if case.policy.balance_alerts_from is not BalanceAlertsFrom.BOTH:
        return event, ()
    names = sorted(_names(case, entry, moved.takes_back))
    keys = tuple([movement_key(name) for name in names])
    if event is None:
        return None, keys
    messages = _messages(case, moved.is_in, moved.amount_minor)
    postings = _postings(case, moved.is_in, moved.amount_minor)
    return (None if postings > messages else event), keys


def is_to_be_told(case: Case, request: Request, moved: Movement) -> bool:
    """Whether a card message is told, or belongs to a transaction that is."""
    return tells_message(case.policy, case.state, request, moved)


def what_came_back(moved: Movement) -> str:
    """What the entry of a reversal notes, so that its posting is known by its amount."""
    return "" if moved.takes_back is None else str(moved.amount_minor)


def with_hold_told(state: CardState, group: Group) -> CardState:
    """The file with a group's hold marked as told."""
    holds: list[Hold] = []
    for hold in state.holds:
        if hold.group == group.version:
            hold = Hold(  # noqa: PLW2901 - the same hold, told
                hold.group,
                hold.expires_ms,
                hold.approved_minor,
                hold.auth_code,
                hold.merchant_id,
                hold.bookings,
                is_told=True,
            )
        holds.append(hold)
    return CardState(
        state.card_key,
        state.version,
        state.last_ms,
        state.chain,
        state.settings,
        state.usage,
        tuple(holds),
        state.inquiries,
    )


def posting_told(
    case: Case, state: CardState, entry: Entry, posting: Post
) -> tuple[tuple[Event, ...], tuple[bytes, ...]]:
    """What is told of a posting, and the keys under which its card message finds it."""
    if not tells_posting(case.policy, state, posting):
        return (), ()
    event = posting_event(state, entry, posting)
    if case.policy.balance_alerts_from is not BalanceAlertsFrom.BOTH:
        return (event,), ()
    references = case.command.movement_references
    keys = tuple([movement_key(reference) for reference in references])
    is_in = posting.amount_minor >= 0
    amount_minor = abs(posting.amount_minor)
    messages = _messages(case, is_in, amount_minor)
    postings = _postings(case, is_in, amount_minor)
    return (() if messages > postings else (event,)), keys


def _messages(case: Case, is_in: bool, amount_minor: int) -> int:
    """How many earlier card messages that were told are such a movement.

    Those found by another key than a reference can only make the count larger, and a message that
    comes twice is better than none.
    """
    found: set[int] = set()
    for entry in case.related.by_key:
        request = entry.command.request
        if request is None or not entry.flags & Flag.BALANCE_TOLD:
            continue
        if _comes_in(request) is is_in and amount_minor in _amounts(case, entry, request):
            # A purchase and its completion are one; every reversal is one of its own.
            is_one = entry.group is not None and not is_in
            found.add(entry.group.version if is_one and entry.group else entry.version)
    return len(found)


def _names(case: Case, entry: Entry, taken: Entry | None) -> set[str]:
    """What a posting may call a card message: its RRN or id, or those of what it is about."""
    names = {_id(case, entry.version)}
    request = entry.command.request
    named = entry.command.original
    names.add("" if request is None else request.rrn)
    if named is not None:
        names.add(named.rrn)
        names.add(_id(case, named.version))
    if taken is not None:
        names.add(_id(case, taken.version))
        original = taken.command.request
        names.add("" if original is None else original.rrn)
    names.discard("")
    return names


def _id(case: Case, version: int) -> str:
    """The id of a card message in the API; empty for version 0."""
    return entry_id("auth", case.state.card_key, version) if version else ""


def _postings(case: Case, is_in: bool, amount_minor: int) -> int:
    """How many earlier postings are such a movement.

    Postings are found by nothing but their references.
    """
    signed = amount_minor if is_in else -amount_minor
    count = 0
    for entry in case.related.by_key:
        posting = entry.command.change
        if isinstance(posting, Post) and posting.amount_minor == signed:
            count += 1
    return count


def _comes_in(request: Request) -> bool:
    """Whether a message brings money to the account; a reversal turns its kind around."""
    is_reversal = request.message_class is MessageClass.REVERSAL
    return (request.kind in _TO_THE_ACCOUNT) is not is_reversal


def _amounts(case: Case, entry: Entry, request: Request) -> tuple[int, ...]:
    """The amounts that a message may be posted with.

    What a debit takes is posted with what stood at first or with what stands now.
    """
    if entry.group is not None and request.is_debit and not _comes_in(request):
        latest = case.latest_of_group(entry).group
        assert latest is not None, "the latest of a group has it"
        return entry.group.approved_minor, latest.approved_minor
    if request.message_class is MessageClass.REVERSAL:
        return (int(entry.note),)
    if request.kind is Kind.VOID:
        # A void need not say its amount; what it found standing is noted (`undo.what_stood`).
        return (int(entry.note.split()[1]),)
    return (billed_minor(case.state, request),)

"""Authorize: a request that may be refused.

It is judged, booked where approved, and asked about where questioned.
"""

from __future__ import annotations

from dataclasses import replace
from zlib import crc32

from zhiwei.core.card_state import (
    BINDINGS_MAX,
    CHALLENGES_MAX,
    HOLDS_MAX,
    Binding,
    CardState,
    Challenge,
    ChallengeState,
    Hold,
    InquirySeen,
    Permission,
    PermissionKind,
    Settings,
)
from zhiwei.core.controls import Period
from zhiwei.core.decide import Verdict, billed_minor, decide
from zhiwei.core.entry import Entry, Flag, Group, GroupState
from zhiwei.core.event import Event, EventKind
from zhiwei.core.finding import Finding, Findings, Outcome
from zhiwei.core.ids import entry_id
from zhiwei.core.reason import Reason
from zhiwei.core.request import Kind, MessageClass, Request
from zhiwei.core.result import Result
from zhiwei.core.usage import (
    Booking,
    RollingSpend,
    Usage,
    begun,
    moved,
    rolling_added,
    rolling_now_ms,
)
from zhiwei.core.windows import HOUR_MS
from zhiwei.guardian import movements
from zhiwei.guardian.case import Case
from zhiwei.services.balance_change_alert import Movement
from zhiwei.services.spend_limits import channels_of, reports

_ROLLING_KEPT_MS = 2_678_400_000
_CODE_SPACE = 1_000_000


def authorize(case: Case, request: Request) -> Result:
    """Judge a request and carry out the answer. A refusal spends nothing."""
    if request.kind is Kind.BINDING and not _has_room_for(case.state.settings, request):
        facts = (("bindings_max", BINDINGS_MAX),)
        full = Finding(Outcome.REFUSE, Reason.INSTITUTION_BLOCKED, "issuer", facts)
        return refused(case, (full,))
    verdict = decide(case.rules.judges, case.policy, case.state, request, case.moment)
    if verdict.outcome is Outcome.APPROVE:
        return approved(case, request, verdict)
    if verdict.outcome is Outcome.CHALLENGE:
        return _questioned(case, request, verdict.findings)
    return refused(case, verdict.findings)


def approved(case: Case, request: Request, verdict: Verdict) -> Result:
    """Book an approved request, spend the permissions it needed, and open its group."""
    state = case.state
    settings, events, used = _permissions_spent(case, request, verdict)
    usage = state.usage
    holds = state.holds
    group: Group | None = None
    channels = 0
    if request.is_debit:
        # An amount that nobody told in the card's currency spends nothing that could be counted.
        billed = max(billed_minor(state, request), 0)
        channels = channels_of(request, state)
        usage = begun(usage, case.moment)
        booking = booking_in(usage, billed, 1, channels)
        usage = booked(case, usage, booking)
        is_hold = request.kind is Kind.PREAUTHORIZATION
        state_now = GroupState.HELD if is_hold else GroupState.APPROVED
        group = Group(case.version, state_now, (booking,), billed)
        if is_hold:
            holds = with_hold(
                holds,
                Hold(
                    case.version,
                    case.moment.now_ms + case.policy.hold_ms,
                    billed,
                    auth_code(state.card_key, case.version),
                    request.merchant_id,
                    (booking,),
                ),
            )
    elif request.kind is Kind.BINDING:
        settings = _with_binding(case, settings, request)
        events = (*events, Event(EventKind.BINDING_CREATED, {"institution": request.institution}))
    return finished(
        case,
        state.followed_by(case.moment.now_ms, settings=settings, usage=usage, holds=holds),
        Outcome.APPROVE,
        verdict.findings,
        group=group,
        challenge_id=used,
        channels=channels,
        events=events,
        movement=movements.begins(case, request),
    )


def refused(case: Case, findings: Findings) -> Result:
    """Refuse. Permissions, counters and holds stay as they were."""
    state = case.state.followed_by(case.moment.now_ms)
    return finished(case, state, Outcome.REFUSE, findings)


def refused_as_reversed(case: Case, reversal: Entry) -> Result:
    """Refuse a request whose reversal came before it."""
    facts = (("reversal_version", reversal.version),)
    finding = Finding(Outcome.REFUSE, Reason.REVERSED_BEFORE_ARRIVAL, "issuer", facts)
    return refused(case, (finding,))


def note_credit(case: Case, request: Request) -> Result:
    """Money that comes in is never refused and gives nothing back; it is only recorded."""
    state = case.state.followed_by(case.moment.now_ms)
    return finished(case, state, Outcome.APPROVE, (), movement=movements.begins(case, request))


def finished(
    case: Case,
    state: CardState,
    outcome: Outcome,
    findings: Findings,
    *,
    group: Group | None = None,
    challenge_id: str = "",
    channels: int = 0,
    flags: int = 0,
    events: tuple[Event, ...] = (),
    extra_keys: tuple[bytes, ...] = (),
    note: str = "",
    movement: Movement | None = None,
) -> Result:
    """Write the entry and let the rooms speak. `state` is already the next version."""
    command = case.command
    request = command.request
    assert request is not None
    is_told = movement is not None and movements.is_to_be_told(case, request, movement)
    if is_told and movement is not None:
        flags |= Flag.BALANCE_TOLD
        note = note or movements.what_came_back(movement)
        if group is not None and group.state is GroupState.HELD:
            state = movements.with_hold_told(state, group)
    is_approval = outcome is Outcome.APPROVE and request.message_class is not MessageClass.REVERSAL
    entry = Entry(
        version=state.version,
        now_ms=case.moment.now_ms,
        filed_ms=state.last_ms,
        command=command,
        outcome=outcome,
        policy_version=case.policy.version,
        findings=findings,
        asked=case.state.settings.controls.mask,
        group=group,
        auth_code=auth_code(state.card_key, state.version) if is_approval else "",
        challenge_id=challenge_id,
        limits=reports(case.policy, state, channels or channels_of(request, state), case.moment),
        flags=flags,
        note=note,
    )
    told: list[Event] = [*case.events, *events]
    failed = [f.control for f in findings if f.reason is Reason.RULE_FAILED]
    if failed:
        told.append(Event(EventKind.RULE_FAILED, {"controls": failed}))
    if is_told and movement is not None:
        event, movement_keys = movements.message_told(case, state, entry, movement)
        extra_keys = (*extra_keys, *movement_keys)
        if event is not None:
            told.append(event)
    inquiries = state.inquiries
    for notice in case.rules.notices:
        noticed = notice(case.policy, state, entry, case.moment)
        if noticed.events:
            told.extend(noticed.events)
        if noticed.inquiries is not None:
            inquiries = noticed.inquiries
    if inquiries is not state.inquiries:
        state = _with_inquiries(state, inquiries)
    return Result(state=state, entry=entry, events=tuple(told), keys=keys_of(case, extra_keys))


def _with_inquiries(state: CardState, inquiries: tuple[InquirySeen, ...]) -> CardState:
    """The same version of the file with other balance inquiries seen."""
    return CardState(
        state.card_key,
        state.version,
        state.last_ms,
        state.chain,
        state.settings,
        state.usage,
        state.holds,
        inquiries,
    )


def keys_of(case: Case, extra_keys: tuple[bytes, ...] = ()) -> tuple[bytes, ...]:
    """Digests by which later commands find this entry."""
    command = case.command
    keys: list[bytes] = []
    if command.trace_key:
        keys.append(command.trace_key)
    if command.idempotency_key:
        keys.append(command.idempotency_key)
    for extra_key in extra_keys:
        if extra_key and extra_key not in keys:
            keys.append(extra_key)
    return tuple(keys)


def booking_in(usage: Usage, amount_minor: int, count: int, channels: int) -> Booking:
    """A booking in the current windows of counters that have begun."""
    return Booking(amount_minor, count, channels, usage.day, usage.week, usage.month, usage.year)


def booked(case: Case, usage: Usage, booking: Booking, group: int = 0) -> Usage:
    """The counters with a booking added.

    Rolling windows remember it while a rolling limit is set.
    """
    usage = moved(usage, booking, booking.amount_minor, booking.count)
    if _counts_rolling(case):
        now_ms = rolling_now_ms(usage, case.moment.now_ms)
        spend = RollingSpend(
            now_ms, booking.channels, booking.amount_minor, booking.count, group or case.version
        )
        usage = rolling_added(usage, spend, now_ms - _ROLLING_KEPT_MS)
    return usage


def with_hold(holds: tuple[Hold, ...], hold: Hold) -> tuple[Hold, ...]:
    """Open holds in order of expiry, with one more.

    Past the bound the first to lapse is forgotten; it then stays counted.
    """
    kept = [*holds, hold]
    kept.sort(key=_expiry_of)
    return tuple(kept[-HOLDS_MAX:])


def auth_code(card_key: bytes, version: int) -> str:
    """Authorization code (DE38), six digits; the same for the same entry."""
    return str(_CODE_SPACE + crc32(card_key, version) % _CODE_SPACE)[1:]


def _expiry_of(hold: Hold) -> int:
    return hold.expires_ms


def _counts_rolling(case: Case) -> bool:
    """Whether a rolling limit is set, by the cardholder or as a ceiling."""
    limits = case.state.settings.controls.limits
    if limits is not None:
        for limit in limits.items:
            if limit.period is Period.ROLLING:
                return True
    return any(ceiling.period is Period.ROLLING for ceiling in case.policy.ceilings)


def reversal_that_came_first(case: Case, request: Request) -> Entry | None:
    """The reversal of this very request, if it overtook it (a tombstone)."""
    own = case.command.trace_key
    if not own:
        return None
    for earlier in case.related.by_key:
        known = earlier.command.request
        original = earlier.command.original
        if known is None or original is None or known.message_class is not MessageClass.REVERSAL:
            continue
        if original.trace_key != own or earlier.group is not None:
            continue
        if not original.terminal or not request.terminal or original.terminal == request.terminal:
            return earlier
    return None


def _permissions_spent(
    case: Case, request: Request, verdict: Verdict
) -> tuple[Settings, tuple[Event, ...], str]:
    """The settings after the permissions that this approval needed were used.

    With it come the events, and the id of the question that a pass answered.
    """
    settings = case.state.settings
    if not verdict.permissions:
        return settings, (), ""
    billed = max(billed_minor(case.state, request), 0)
    events: list[Event] = []
    answered = ""
    spent = {permission.id for permission in verdict.permissions}
    kept: list[Permission] = []
    for permission in settings.permissions:
        if permission.id not in spent:
            kept.append(permission)
            continue
        events.append(Event(EventKind.PERMISSION_USED, {"permission": permission.id}))
        if permission.kind is PermissionKind.PASS:
            answered = permission.id.replace("pass_", "chg_", 1)
        left = permission.uses_left - 1 if permission.uses_left > 0 else permission.uses_left
        if left != 0:
            total = permission.total_used + billed
            kept.append(replace(permission, uses_left=left, total_used=total))
    challenges = tuple(
        replace(c, state=ChallengeState.USED) if c.id == answered else c
        for c in settings.challenges
    )
    changed = replace(settings, permissions=tuple(kept), challenges=challenges)
    return changed, tuple(events), answered


def _questioned(case: Case, request: Request, findings: Findings) -> Result:
    """Refuse for now and ask the cardholder.

    No second question is asked while the same one is open, nor past the hourly bound.
    """
    settings = case.state.settings
    now_ms = case.moment.now_ms
    for open_one in settings.challenges:
        if open_one.state is ChallengeState.PENDING and _asks_the_same(open_one, request):
            state = case.state.followed_by(now_ms)
            return finished(case, state, Outcome.CHALLENGE, findings, challenge_id=open_one.id)
    recent = sum(1 for c in settings.challenges if c.asked_ms > now_ms - HOUR_MS)
    if recent >= case.policy.challenges_per_hour or len(settings.challenges) >= CHALLENGES_MAX:
        return refused(case, findings)
    challenge = Challenge(
        id=entry_id("chg", case.state.card_key, case.version),
        reference=_free_reference(settings, case.command.nonce),
        state=ChallengeState.PENDING,
        version=case.version,
        asked_ms=now_ms,
        expires_ms=now_ms + case.policy.challenge_ms,
        merchant_id=request.merchant_id,
        merchant_name=request.merchant_name,
        amount_minor=request.amount_minor,
        currency=request.currency,
        reasons=tuple(f.reason.code for f in findings if f.stands),
        controls=tuple(f.control for f in findings if f.stands),
    )
    state = case.state.followed_by(
        now_ms, settings=replace(settings, challenges=(*settings.challenges, challenge))
    )
    event = Event(
        EventKind.CHALLENGE_CREATED,
        {
            "challenge": challenge.id,
            "reference": challenge.reference,
            "amount": request.amount_minor,
            "currency": request.currency,
            "merchant": request.merchant_name,
            "tail": settings.profile.tail,
            "reasons": list(challenge.reasons),
            "expires_ms": challenge.expires_ms,
        },
    )
    return finished(
        case, state, Outcome.CHALLENGE, findings, challenge_id=challenge.id, events=(event,)
    )


def _asks_the_same(challenge: Challenge, request: Request) -> bool:
    """Whether a question is about the same merchant, amount and currency."""
    return (
        challenge.merchant_id == request.merchant_id
        and challenge.amount_minor == request.amount_minor
        and challenge.currency == request.currency
    )


def _free_reference(settings: Settings, nonce: bytes) -> str:
    """A reference of six digits that no other question of the card carries."""
    taken = {challenge.reference for challenge in settings.challenges}
    number = int.from_bytes(nonce, "big") % _CODE_SPACE
    while f"{number:06d}" in taken:
        number = (number + 1) % _CODE_SPACE
    return f"{number:06d}"


def _has_room_for(settings: Settings, request: Request) -> bool:
    """Whether one more institution can be linked.

    Forgetting an old link would forget its switch.
    """
    known = any(b.institution == request.institution for b in settings.bindings)
    return known or len(settings.bindings) < BINDINGS_MAX


def _with_binding(case: Case, settings: Settings, request: Request) -> Settings:
    """The settings with a payment institution linked.

    Linking it again while it is linked changes nothing.
    """
    others = []
    for binding in settings.bindings:
        if binding.institution != request.institution:
            others.append(binding)
        elif not binding.removed_ms:
            return settings
    licensed = case.policy.licensed_institutions
    linked = Binding(
        id=entry_id("bind", case.state.card_key, case.version),
        institution=request.institution,
        name=request.merchant_name,
        since_ms=case.moment.now_ms,
        is_open=True,
        is_licensed=licensed is None or request.institution in licensed,
    )
    return replace(settings, bindings=(*others, linked))

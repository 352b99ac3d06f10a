"""Changes: what people do to a card's file.

Tightening acts at once; loosening needs proof and may wait.
"""

from __future__ import annotations

import json
from dataclasses import replace

from zhiwei.core.card_state import CardStatus, PendingChange, Settings
from zhiwei.core.command import (
    AnswerChallenge,
    CancelPending,
    GrantPermission,
    LiftStop,
    MarkUndeliverable,
    PlaceStop,
    Post,
    Register,
    RemoveBinding,
    RemoveControl,
    RevokePermission,
    SetControl,
    SwitchBinding,
    UpdateCard,
    Via,
)
from zhiwei.core.controls import Control, Limits, Period
from zhiwei.core.documents import document_of, etag
from zhiwei.core.entry import Entry, Flag
from zhiwei.core.event import Event, EventFacts, EventKind
from zhiwei.core.finding import Outcome
from zhiwei.core.result import Audit, Rejection, Result, rejected
from zhiwei.guardian import challenges, permissions, stops
from zhiwei.guardian.case import Case
from zhiwei.guardian.movements import posting_told
from zhiwei.guardian.outcome import changed, unchanged


def carry_out(case: Case) -> Result:
    """Carry out a change on the card's file."""
    change = case.command.change
    if isinstance(change, SetControl):
        return _set_control(case, change)
    if isinstance(change, RemoveControl):
        return _remove_control(case, change)
    if isinstance(change, CancelPending):
        return _cancel_pending(case, change)
    if isinstance(change, PlaceStop):
        return stops.place(case, change)
    if isinstance(change, LiftStop):
        return stops.lift(case, change)
    if isinstance(change, AnswerChallenge):
        return challenges.answer(case, change)
    if isinstance(change, MarkUndeliverable):
        return challenges.mark_undeliverable(case, change)
    if isinstance(change, GrantPermission):
        return permissions.grant(case, change)
    if isinstance(change, RevokePermission):
        return permissions.revoke(case, change)
    if isinstance(change, SwitchBinding):
        return permissions.switch_binding(case, change)
    if isinstance(change, RemoveBinding):
        return permissions.remove_binding(case, change)
    if isinstance(change, UpdateCard):
        return _update_card(case, change)
    if isinstance(change, Post):
        return _post(case, change)
    # A card that is registered again is the same card; nothing of it changes.
    assert isinstance(change, Register)
    return unchanged(case)


def _set_control(case: Case, change: SetControl) -> Result:
    old = case.state.settings.controls.of_type(change.control_type)
    if change.if_none_match and old is not None:
        return rejected(Rejection.PRECONDITION_FAILED)
    if change.if_match and (old is None or etag(old) != change.if_match):
        return rejected(Rejection.PRECONDITION_FAILED)
    is_waiting = _pending(case.state.settings, change.control_type) is not None
    if old == change.control and not is_waiting:
        return unchanged(case)
    return _change_control(case, change.control_type, old, change.control)


def _remove_control(case: Case, change: RemoveControl) -> Result:
    old = case.state.settings.controls.of_type(change.control_type)
    if old is None:
        return rejected(Rejection.CONTROL_NOT_FOUND)
    if change.if_match and etag(old) != change.if_match:
        return rejected(Rejection.PRECONDITION_FAILED)
    return _change_control(case, change.control_type, old, None)


def _change_control(
    case: Case, control_type: str, old: Control | None, new: Control | None
) -> Result:
    """Set or remove a control; a loosening needs proof, and waits where a cooling-off applies."""
    loosens = case.rules.loosens[control_type](old, new)
    actor = case.command.actor
    if loosens and actor.via is Via.SMS:
        return rejected(Rejection.NOT_BY_SMS)
    if loosens and not actor.is_strong:
        return rejected(Rejection.STRONG_AUTHENTICATION_REQUIRED)
    wait_ms = _cooling_off_ms(case) if loosens else 0
    settings = case.state.settings
    # A newer wish for the same control replaces the one that waits; else a tightening would be
    # undone later.
    waiting = tuple(p for p in settings.pending if p.control_type != control_type)
    audit = Audit("control.set" if new else "control.removed", control_type, _text(old), _text(new))
    if wait_ms > 0:
        available_ms = case.moment.now_ms + wait_ms
        pending = PendingChange(control_type, new, available_ms, case.moment.now_ms, actor.who)
        event = Event(
            EventKind.LOOSENING_PENDING,
            {"control": control_type, "available_ms": available_ms, "new": _text(new)},
        )
        return changed(
            case,
            settings=replace(settings, pending=(*waiting, pending)),
            events=(event,),
            audits=(Audit("control.loosening_asked", control_type, audit.old, audit.new),),
            note=control_type,
            flags=Flag.PENDING,
        )
    after = replace(
        settings, controls=settings.controls.changed(control_type, new), pending=waiting
    )
    event = Event(
        EventKind.CONTROL_UPDATED,
        {"control": control_type, "old": _text(old), "new": _text(new), "loosened": int(loosens)},
    )
    return changed(
        case,
        settings=_with_rolling_start(case, after, new),
        events=(event,),
        audits=(audit,),
        note=control_type,
    )


def _cancel_pending(case: Case, change: CancelPending) -> Result:
    pending = _pending(case.state.settings, change.control_type)
    if pending is None:
        return rejected(Rejection.PENDING_NOT_FOUND)
    kept = tuple(p for p in case.state.settings.pending if p is not pending)
    return changed(
        case,
        settings=replace(case.state.settings, pending=kept),
        events=(Event(EventKind.LOOSENING_CANCELLED, {"control": change.control_type}),),
        audits=(
            Audit("control.loosening_cancelled", change.control_type, _text(pending.control), ""),
        ),
        note=change.control_type,
    )


def _update_card(case: Case, change: UpdateCard) -> Result:
    """What the issuer says of the card; only staff may say it, and a closed card stays closed."""
    if not case.command.actor.is_staff:
        return rejected(Rejection.STAFF_ONLY)
    settings = case.state.settings
    profile = settings.profile
    if profile.status is CardStatus.CLOSED and change.status not in (None, CardStatus.CLOSED):
        return rejected(Rejection.CARD_IS_CLOSED)
    after = replace(
        profile,
        status=profile.status if change.status is None else change.status,
        has_chip=profile.has_chip if change.has_chip is None else change.has_chip,
    )
    new_until = settings.new_contact_until_ms
    if change.contact_is_new:
        new_until = case.moment.now_ms + case.policy.new_contact_cooling_off_ms
    if after == profile and new_until == settings.new_contact_until_ms:
        return unchanged(case)
    old_text = json.dumps({"status": profile.status.name.lower(), "has_chip": profile.has_chip})
    new_text = json.dumps({"status": after.status.name.lower(), "has_chip": after.has_chip})
    events: list[Event] = []
    if after != profile:
        events.append(Event(EventKind.CARD_UPDATED, {"old": old_text, "new": new_text}))
    if change.contact_is_new:
        now_ms = case.moment.now_ms
        facts: EventFacts = {"tail": profile.tail, "at_ms": now_ms, "until_ms": new_until}
        events.append(Event(EventKind.CONTACT_CHANGED, facts))
    return changed(
        case,
        settings=replace(settings, profile=after, new_contact_until_ms=new_until),
        events=tuple(events),
        audits=(Audit("card.updated", profile.tail, old_text, new_text),),
    )


def _post(case: Case, posting: Post) -> Result:
    """Record a posting of the core bank and tell of it; no counter moves."""
    entry = Entry(
        version=case.version,
        now_ms=case.moment.now_ms,
        filed_ms=max(case.state.last_ms, case.moment.now_ms),
        command=case.command,
        outcome=Outcome.APPROVE,
        policy_version=case.policy.version,
    )
    state = case.state.followed_by(case.moment.now_ms)
    events, keys = posting_told(case, state, entry, posting)
    key = case.command.idempotency_key
    return Result(
        state=state,
        entry=entry,
        events=(*case.events, *events),
        keys=(key, *keys) if key else keys,
    )


def _cooling_off_ms(case: Case) -> int:
    """How long a loosening waits now: longer while a device or number is new."""
    wait = case.policy.cooling_off_ms
    if case.state.settings.new_contact_until_ms > case.moment.now_ms:
        wait = max(wait, case.policy.new_contact_cooling_off_ms)
    return wait


def _with_rolling_start(case: Case, settings: Settings, new: Control | None) -> Settings:
    """Rolling limits count from the moment the first one is set, and the file says since when."""
    if not isinstance(new, Limits):
        return settings
    has_rolling = any(item.period is Period.ROLLING for item in new.items)
    if has_rolling and settings.rolling_since_ms == 0:
        return replace(settings, rolling_since_ms=case.moment.now_ms)
    return settings


def _pending(settings: Settings, control_type: str) -> PendingChange | None:
    for change in settings.pending:
        if change.control_type == control_type:
            return change
    return None


def _text(control: Control | None) -> str:
    """A control as the audit trail keeps it; empty = not set."""
    return "" if control is None else json.dumps(document_of(control), sort_keys=True)

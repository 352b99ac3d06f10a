"""Permissions and bindings.

What a cardholder lets through for a while, and whom they let debit at all.
"""

from __future__ import annotations

from dataclasses import replace

from zhiwei.core.card_state import PERMISSIONS_MAX, Binding, PermissionKind
from zhiwei.core.command import (
    GrantPermission,
    RemoveBinding,
    RevokePermission,
    SwitchBinding,
    Via,
)
from zhiwei.core.event import Event, EventKind
from zhiwei.core.ids import entry_id
from zhiwei.core.result import Audit, Rejection, Result, rejected
from zhiwei.guardian.case import Case
from zhiwei.guardian.outcome import changed, unchanged


def grant(case: Case, change: GrantPermission) -> Result:
    """Grant a temporary permission or a travel plan: a loosening with an end.

    Its end is its safeguard, so it does not wait a cooling-off, except while a device or number is
    new. One that would be over before it opens is refused: it would only look like an exception.
    """
    actor = case.command.actor
    if actor.via is Via.SMS:
        return rejected(Rejection.NOT_BY_SMS)
    if not actor.is_strong:
        return rejected(Rejection.STRONG_AUTHENTICATION_REQUIRED)
    wanted = change.permission
    now_ms = case.moment.now_ms
    settings = case.state.settings
    opens_ms = max(wanted.from_ms, now_ms)
    too_long = wanted.until_ms - opens_ms > case.policy.permission_max_ms
    if settings.new_contact_until_ms > now_ms:
        opens_ms = max(opens_ms, now_ms + case.policy.new_contact_cooling_off_ms)
    is_over = wanted.until_ms <= opens_ms
    if too_long or is_over or wanted.kind is PermissionKind.PASS:
        return rejected(Rejection.PERMISSION_NOT_ALLOWED)
    if len(settings.permissions) >= PERMISSIONS_MAX:
        return rejected(Rejection.TOO_MANY_PERMISSIONS)
    permission = replace(
        wanted,
        id=entry_id("exc", case.state.card_key, case.version),
        from_ms=opens_ms,
        created_ms=now_ms,
    )
    return changed(
        case,
        settings=replace(settings, permissions=(*settings.permissions, permission)),
        events=(
            Event(
                EventKind.PERMISSION_GRANTED,
                {"permission": permission.id, "until_ms": permission.until_ms},
            ),
        ),
        audits=(Audit("exception.granted", permission.id, "", permission.kind.name.lower()),),
        note=permission.id,
    )


def revoke(case: Case, change: RevokePermission) -> Result:
    """End a permission early; a tightening, so it needs no proof."""
    settings = case.state.settings
    kept = tuple(p for p in settings.permissions if p.id != change.permission_id)
    if len(kept) == len(settings.permissions):
        return rejected(Rejection.PERMISSION_NOT_FOUND)
    return changed(
        case,
        settings=replace(settings, permissions=kept),
        events=(Event(EventKind.PERMISSION_REVOKED, {"permission": change.permission_id}),),
        audits=(Audit("exception.revoked", change.permission_id, "granted", ""),),
        note=change.permission_id,
    )


def switch_binding(case: Case, change: SwitchBinding) -> Result:
    """Open or close the debits of one payment institution; opening is a loosening."""
    binding = _binding(case, change.binding_id)
    if binding is None:
        return rejected(Rejection.BINDING_NOT_FOUND)
    if binding.is_open == change.is_open:
        return unchanged(case)
    actor = case.command.actor
    if change.is_open and actor.via is Via.SMS:
        return rejected(Rejection.NOT_BY_SMS)
    if change.is_open and not actor.is_strong:
        return rejected(Rejection.STRONG_AUTHENTICATION_REQUIRED)
    after = replace(binding, is_open=change.is_open)
    settings = case.state.settings
    bindings = tuple(after if b is binding else b for b in settings.bindings)
    old, new = ("open", "closed") if binding.is_open else ("closed", "open")
    return changed(
        case,
        settings=replace(settings, bindings=bindings),
        events=(Event(EventKind.BINDING_SWITCHED, {"binding": binding.id, "now": new}),),
        audits=(Audit("binding.switched", binding.id, old, new),),
        note=binding.id,
    )


def remove_binding(case: Case, change: RemoveBinding) -> Result:
    """Unlink a payment institution: its debits are refused until it asks to link the card again."""
    binding = _binding(case, change.binding_id)
    if binding is None:
        return rejected(Rejection.BINDING_NOT_FOUND)
    settings = case.state.settings
    after = replace(binding, is_open=False, removed_ms=case.moment.now_ms)
    return changed(
        case,
        settings=replace(
            settings, bindings=tuple(after if b is binding else b for b in settings.bindings)
        ),
        events=(Event(EventKind.BINDING_REMOVED, {"institution": binding.institution}),),
        audits=(Audit("binding.removed", binding.id, binding.institution, ""),),
        note=binding.id,
    )


def _binding(case: Case, binding_id: str) -> Binding | None:
    """The link of this id, unless it was removed."""
    for binding in case.state.settings.bindings:
        if binding.id == binding_id and not binding.removed_ms:
            return binding
    return None

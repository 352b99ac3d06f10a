"""Settings: the cold part of a card's file as bytes; it changes when people change it."""

from __future__ import annotations

from typing import Any, Final

from zhiwei.core.card_state import (
    Binding,
    CardStatus,
    Challenge,
    ChallengeState,
    PendingChange,
    Permission,
    PermissionKind,
    Profile,
    Settings,
    Stop,
    StopSource,
)
from zhiwei.core.controls import CONTROL_TYPES, NO_CONTROLS, Control, Controls
from zhiwei.core.documents import Document, control_from, document_of
from zhiwei.core.errors import ZhiweiError
from zhiwei.core.zone import zone_named
from zhiwei.ports import CorruptFileError
from zhiwei.stores.coding.frame import DAMAGE, Part, pack, sealed, unpack, unpacked

FORMAT: Final = 1
_PART: Final = Part("settings", FORMAT)
#: Most cards share a few sets of controls; one value serves all that have the same bytes.
_CONTROLS_KNOWN_MAX: Final = 50_000
_known_controls: Final[dict[bytes, Controls]] = {}
_STATUSES: Final = tuple(CardStatus)
_PERMISSION_KINDS: Final = tuple(PermissionKind)
_CHALLENGE_STATES: Final = tuple(ChallengeState)
_STOP_SOURCES: Final = tuple(StopSource)


def encode_settings(settings: Settings, card_key: bytes) -> bytes:
    """The cold part, sealed."""
    stop = settings.stop
    content: list[Any] = [
        FORMAT,
        profile_list(settings.profile),
        controls_bytes(settings.controls),
        [_pending_list(change) for change in settings.pending],
        None if stop is None else [stop.since_ms, int(stop.source), stop.reference],
        [permission_list(permission) for permission in settings.permissions],
        [_challenge_list(challenge) for challenge in settings.challenges],
        [_binding_list(binding) for binding in settings.bindings],
        settings.new_contact_until_ms,
        settings.rolling_since_ms,
    ]
    return sealed(pack(content), card_key, _PART)


def decode_settings(blob: bytes, card_key: bytes) -> Settings:
    """The cold part.

    Raises:
        CorruptFileError: the blob is damaged, or belongs to another card.
    """
    try:
        row = unpacked(blob, card_key, _PART)
        stop = row[4]
        return Settings(
            profile_of(row[1]),
            controls_of(row[2]),
            tuple([_pending_of(item) for item in row[3]]) if row[3] else (),
            None if stop is None else Stop(stop[0], _STOP_SOURCES[stop[1]], stop[2]),
            tuple([permission_of(item) for item in row[5]]) if row[5] else (),
            tuple([_challenge_of(item) for item in row[6]]) if row[6] else (),
            tuple([_binding_of(item) for item in row[7]]) if row[7] else (),
            row[8],
            row[9],
        )
    except (*DAMAGE, ZhiweiError) as error:
        raise CorruptFileError from error


def profile_list(profile: Profile) -> list[Any]:
    """A profile as a list."""
    return [
        profile.cardholder,
        profile.tail,
        profile.currency,
        profile.zone.name,
        profile.has_chip,
        profile.network,
        int(profile.status),
        profile.created_ms,
    ]


def profile_of(row: list[Any]) -> Profile:
    """The profile of a list."""
    return Profile(
        row[0], row[1], row[2], zone_named(row[3]), row[4], row[5], _STATUSES[row[6]], row[7]
    )


def controls_bytes(controls: Controls) -> bytes:
    """All controls that are set, as documents; nothing where none is."""
    if not controls.mask:
        return b""
    flat: list[Any] = []
    for control_type in CONTROL_TYPES:
        control = controls.of_type(control_type)
        if control is not None:
            flat.append(control_type)
            flat.append(document_of(control))
    return pack(flat)


def controls_of(blob: bytes) -> Controls:
    """The controls of their bytes; the same value for the same bytes."""
    if not blob:
        return NO_CONTROLS
    known = _known_controls.get(blob)
    if known is not None:
        return known
    flat: Any = unpack(blob)
    chosen: dict[str, Any] = {
        flat[i]: control_from(flat[i], flat[i + 1]) for i in range(0, len(flat), 2)
    }
    controls = Controls(**chosen)
    if len(_known_controls) >= _CONTROLS_KNOWN_MAX:
        _known_controls.clear()
    _known_controls[blob] = controls
    return controls


def control_document(control: Control | None) -> Document | None:
    """The document of a control; None for none."""
    return None if control is None else document_of(control)


def permission_list(permission: Permission) -> list[Any]:
    """A permission as a list."""
    return [
        permission.id,
        int(permission.kind),
        permission.from_ms,
        permission.until_ms,
        list(permission.controls),
        list(permission.countries),
        list(permission.regions),
        permission.merchant_id,
        permission.currency,
        permission.amount_max,
        permission.total_max,
        permission.total_used,
        permission.uses_left,
        permission.created_ms,
    ]


def permission_of(row: list[Any]) -> Permission:
    """The permission of a list."""
    return Permission(
        row[0],
        _PERMISSION_KINDS[row[1]],
        row[2],
        row[3],
        tuple(row[4]),
        tuple(row[5]),
        tuple(row[6]),
        row[7],
        row[8],
        row[9],
        row[10],
        row[11],
        row[12],
        row[13],
    )


def _pending_list(change: PendingChange) -> list[Any]:
    return [
        change.control_type,
        control_document(change.control),
        change.available_ms,
        change.asked_ms,
        change.asked_by,
    ]


def _pending_of(row: list[Any]) -> PendingChange:
    control = None if row[1] is None else control_from(row[0], row[1])
    return PendingChange(row[0], control, row[2], row[3], row[4])


def _challenge_list(challenge: Challenge) -> list[Any]:
    return [
        challenge.id,
        challenge.reference,
        int(challenge.state),
        challenge.version,
        challenge.asked_ms,
        challenge.expires_ms,
        challenge.merchant_id,
        challenge.merchant_name,
        challenge.amount_minor,
        challenge.currency,
        list(challenge.reasons),
        list(challenge.controls),
        challenge.answered_ms,
        challenge.answered_via,
    ]


def _challenge_of(row: list[Any]) -> Challenge:
    return Challenge(
        row[0],
        row[1],
        _CHALLENGE_STATES[row[2]],
        row[3],
        row[4],
        row[5],
        row[6],
        row[7],
        row[8],
        row[9],
        tuple(row[10]),
        tuple(row[11]),
        row[12],
        row[13],
    )


def _binding_list(binding: Binding) -> list[Any]:
    return [
        binding.id,
        binding.institution,
        binding.name,
        binding.since_ms,
        binding.is_open,
        binding.is_licensed,
        binding.removed_ms,
    ]


def _binding_of(row: list[Any]) -> Binding:
    return Binding(row[0], row[1], row[2], row[3], row[4], row[5], row[6])

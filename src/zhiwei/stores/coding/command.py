"""Command: what was wanted, as part of a journal entry; enough to carry it out again."""

from __future__ import annotations

from typing import Any, Final

from zhiwei.core.card_state import CardStatus, StopSource
from zhiwei.core.command import (
    NETWORK,
    Actor,
    AnswerChallenge,
    CancelPending,
    Change,
    Command,
    GrantPermission,
    LiftStop,
    MarkUndeliverable,
    Original,
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
from zhiwei.core.documents import control_from
from zhiwei.core.request import (
    Channel,
    Initiator,
    Kind,
    Medium,
    MessageClass,
    PlaceSource,
    Request,
)
from zhiwei.stores.coding.settings import (
    control_document,
    permission_list,
    permission_of,
    profile_list,
    profile_of,
)

_CLASSES: Final = {int(member): member for member in MessageClass}
_KINDS: Final = {int(member): member for member in Kind}
_CHANNELS: Final = {int(member): member for member in Channel}
_MEDIA: Final = {int(member): member for member in Medium}
_SOURCES: Final = {int(member): member for member in PlaceSource}
_INITIATORS: Final = {int(member): member for member in Initiator}
_VIAS: Final = {int(member): member for member in Via}
_STATUSES: Final = {int(member): member for member in CardStatus}
_STOP_SOURCES: Final = {int(member): member for member in StopSource}

#: Numbers of changes are stored, never reused.
_REGISTER: Final = 1
_UPDATE_CARD: Final = 2
_SET_CONTROL: Final = 3
_REMOVE_CONTROL: Final = 4
_CANCEL_PENDING: Final = 5
_PLACE_STOP: Final = 6
_LIFT_STOP: Final = 7
_GRANT_PERMISSION: Final = 8
_REVOKE_PERMISSION: Final = 9
_ANSWER_CHALLENGE: Final = 10
_MARK_UNDELIVERABLE: Final = 11
_SWITCH_BINDING: Final = 12
_REMOVE_BINDING: Final = 13
_POST: Final = 14

_FLAGGED: Final = 1
_PIN: Final = 2
_DECLINED: Final = 4


def command_list(command: Command) -> list[Any]:
    """A command as a list; the card's key is the row's."""
    actor = command.actor
    request = command.request
    change = command.change
    return [
        None if actor is NETWORK else actor_list(actor),
        command.idempotency_key,
        command.nonce,
        None if request is None else _request_list(request),
        None if change is None else change_list(change),
        None if command.original is None else _original_list(command.original),
    ]


def command_of(row: list[Any], card_key: bytes) -> Command:
    """The command of a list."""
    return Command(
        card_key,
        request=None if row[3] is None else _request_of(row[3]),
        change=None if row[4] is None else change_of(row[4]),
        original=None if row[5] is None else _original_of(row[5]),
        actor=NETWORK if row[0] is None else actor_of(row[0]),
        idempotency_key=row[1],
        nonce=row[2],
    )


def actor_list(actor: Actor) -> list[Any]:
    """An actor as a list."""
    return [actor.who, int(actor.via), actor.is_strong, actor.is_staff]


def actor_of(row: list[Any]) -> Actor:
    """The actor of a list."""
    return Actor(row[0], _VIAS[row[1]], row[2], row[3])


def change_list(change: Change) -> list[Any]:
    """A change as a list: its number, then its fields."""
    if isinstance(change, Register):
        return [_REGISTER, profile_list(change.profile)]
    if isinstance(change, UpdateCard):
        status = None if change.status is None else int(change.status)
        return [_UPDATE_CARD, status, change.has_chip, change.contact_is_new]
    if isinstance(change, SetControl):
        document = control_document(change.control)
        return [
            _SET_CONTROL,
            change.control_type,
            document,
            change.if_match,
            change.if_none_match,
        ]
    if isinstance(change, RemoveControl):
        return [_REMOVE_CONTROL, change.control_type, change.if_match]
    if isinstance(change, CancelPending):
        return [_CANCEL_PENDING, change.control_type]
    if isinstance(change, PlaceStop):
        return [_PLACE_STOP, int(change.source)]
    if isinstance(change, LiftStop):
        return [_LIFT_STOP, None if change.only_source is None else int(change.only_source)]
    if isinstance(change, GrantPermission):
        return [_GRANT_PERMISSION, permission_list(change.permission)]
    if isinstance(change, RevokePermission):
        return [_REVOKE_PERMISSION, change.permission_id]
    if isinstance(change, AnswerChallenge):
        return [_ANSWER_CHALLENGE, change.challenge, change.is_yes]
    if isinstance(change, MarkUndeliverable):
        return [_MARK_UNDELIVERABLE, change.challenge]
    if isinstance(change, SwitchBinding):
        return [_SWITCH_BINDING, change.binding_id, change.is_open]
    if isinstance(change, RemoveBinding):
        return [_REMOVE_BINDING, change.binding_id]
    return [
        _POST,
        change.amount_minor,
        change.balance_minor,
        change.business,
        change.counterparty_tail,
        change.counterparty_name,
        change.reverses,
        change.reference,
    ]


def change_of(row: list[Any]) -> Change:
    """The change of a list.

    Raises:
        ValueError: the number is not known.
    """
    number: int = row[0]
    if number == _REGISTER:
        return Register(profile_of(row[1]))
    if number == _UPDATE_CARD:
        status = None if row[1] is None else _STATUSES[row[1]]
        return UpdateCard(status, row[2], row[3])
    if number == _SET_CONTROL:
        return SetControl(row[1], control_from(row[1], row[2]), row[3], row[4])
    if number == _REMOVE_CONTROL:
        return RemoveControl(row[1], row[2])
    if number == _CANCEL_PENDING:
        return CancelPending(row[1])
    if number == _PLACE_STOP:
        return PlaceStop(_STOP_SOURCES[row[1]])
    if number == _LIFT_STOP:
        return LiftStop(None if row[1] is None else _STOP_SOURCES[row[1]])
    if number == _GRANT_PERMISSION:
        return GrantPermission(permission_of(row[1]))
    if number == _REVOKE_PERMISSION:
        return RevokePermission(row[1])
    if number == _ANSWER_CHALLENGE:
        return AnswerChallenge(row[1], row[2])
    if number == _MARK_UNDELIVERABLE:
        return MarkUndeliverable(row[1])
    if number == _SWITCH_BINDING:
        return SwitchBinding(row[1], row[2])
    if number == _REMOVE_BINDING:
        return RemoveBinding(row[1])
    if number == _POST:
        return Post(row[1], row[2], row[3], row[4], row[5], row[6], row[7])
    message = f"`{number}` is not the number of a change"
    raise ValueError(message)


def _original_list(original: Original) -> list[Any]:
    return [
        original.version,
        original.trace_key,
        original.auth_code,
        original.rrn,
        original.terminal,
        original.replacement_minor,
    ]


def _original_of(row: list[Any]) -> Original:
    return Original(
        version=row[0],
        trace_key=row[1],
        auth_code=row[2],
        rrn=row[3],
        terminal=row[4],
        replacement_minor=row[5],
    )


def _request_list(request: Request) -> list[Any]:
    bits = 0
    if request.terminal_flagged:
        bits |= _FLAGGED
    if request.pin_entered:
        bits |= _PIN
    if request.was_declined:
        bits |= _DECLINED
    return [
        int(request.kind),
        int(request.message_class),
        int(request.channel),
        int(request.medium),
        request.amount_minor,
        request.currency,
        request.billing_amount_minor,
        request.billing_currency,
        request.merchant_id,
        request.merchant_name,
        request.mcc,
        request.country,
        request.region,
        int(request.place_source),
        request.acquirer,
        request.forwarder,
        request.terminal,
        request.rrn,
        request.stan,
        request.transmitted_at,
        request.local_time,
        int(request.initiator),
        request.institution,
        bits,
        request.auth_code,
        request.balance_minor,
    ]


def _request_of(row: list[Any]) -> Request:
    bits: int = row[23]
    return Request(
        kind=_KINDS[row[0]],
        message_class=_CLASSES[row[1]],
        channel=_CHANNELS[row[2]],
        medium=_MEDIA[row[3]],
        amount_minor=row[4],
        currency=row[5],
        billing_amount_minor=row[6],
        billing_currency=row[7],
        merchant_id=row[8],
        merchant_name=row[9],
        mcc=row[10],
        country=row[11],
        region=row[12],
        place_source=_SOURCES[row[13]],
        acquirer=row[14],
        forwarder=row[15],
        terminal=row[16],
        rrn=row[17],
        stan=row[18],
        transmitted_at=row[19],
        local_time=row[20],
        initiator=_INITIATORS[row[21]],
        institution=row[22],
        terminal_flagged=bool(bits & _FLAGGED),
        pin_entered=bool(bits & _PIN),
        auth_code=row[24],
        balance_minor=row[25],
        was_declined=bool(bits & _DECLINED),
    )

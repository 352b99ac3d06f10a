"""Kinds: who is told of what kind of event, and on which channels where nobody chose any.

Questions and signs of fraud go where they are seen at once. What opens a card up (loosenings, a
lifted stop, new contact data) goes to every contact, whatever is preferred: who has taken over an
app must not be able to silence it first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from zhiwei.core.card_state import CardState, ChallengeState
from zhiwei.core.event import NEVER_MUTED, NOT_FOR_CARDHOLDERS, EventKind
from zhiwei.messaging.model import EMAIL, PUSH, SMS
from zhiwei.ports import EventRow

#: What a cardholder may choose from.
CHANNELS_OF_CARDHOLDERS: Final = (SMS, PUSH, EMAIL)
#: What operators are told in their chat.
CHAT_KINDS: Final = NOT_FOR_CARDHOLDERS | {EventKind.CONFLICT_SEEN}


@dataclass(frozen=True)
class Ways:
    """Channels of a kind where nobody chose any."""

    channels: tuple[str, ...]
    #: Taken in this order, one of them, where none of `channels` can be used.
    otherwise: tuple[str, ...] = ()


#: Questions about fraud, and what looks like it.
_AT_ONCE: Final = Ways((SMS, PUSH), (EMAIL,))
#: What the cardholder asked to be told.
_ALERT: Final = Ways((PUSH,), (SMS, EMAIL))
#: What opens the card up.
_LOOSENING: Final = Ways((SMS, EMAIL), (PUSH,))
#: Good to know.
_NOTE: Final = Ways((PUSH,))

WAYS: Final[Mapping[EventKind, Ways]] = {
    EventKind.TRANSACTION_DECLINED: _ALERT,
    EventKind.CHALLENGE_CREATED: _AT_ONCE,
    EventKind.CHALLENGE_ANSWERED: _NOTE,
    EventKind.BALANCE_INQUIRED: _AT_ONCE,
    EventKind.BALANCE_CHANGED: _ALERT,
    EventKind.CONTROL_UPDATED: _NOTE,
    EventKind.LOOSENING_PENDING: _LOOSENING,
    EventKind.LOOSENING_CANCELLED: _NOTE,
    EventKind.LOOSENING_TOOK_EFFECT: _LOOSENING,
    EventKind.STOP_PLACED: _AT_ONCE,
    EventKind.STOP_LIFTED: _LOOSENING,
    EventKind.PERMISSION_GRANTED: _LOOSENING,
    EventKind.PERMISSION_REVOKED: _NOTE,
    EventKind.PERMISSION_USED: _NOTE,
    EventKind.CONFLICT_SEEN: _ALERT,
    EventKind.ADVICE_BYPASSED_CONTROL: _ALERT,
    EventKind.LIMIT_NEARLY_REACHED: _NOTE,
    EventKind.BINDING_CREATED: _AT_ONCE,
    EventKind.BINDING_REMOVED: _NOTE,
    EventKind.BINDING_SWITCHED: _NOTE,
    EventKind.CARD_UPDATED: _NOTE,
    EventKind.CONTACT_CHANGED: _LOOSENING,
    EventKind.CHALLENGE_EXPIRED: _NOTE,
    EventKind.TRANSACTION_REVERSED: _NOTE,
}
#: Kinds that a cardholder may choose channels for, by their words.
CHOOSABLE: Final[Mapping[str, EventKind]] = {kind.word: kind for kind in WAYS}
#: Of these at least one channel must stay chosen.
NEVER_SILENT: Final = NEVER_MUTED - NOT_FOR_CARDHOLDERS


def loosens(row: EventRow) -> bool:
    """Whether an event opens the card up, or says that somebody may be about to."""
    facts = row.event.facts
    match row.event.kind:
        case (
            EventKind.LOOSENING_PENDING
            | EventKind.LOOSENING_TOOK_EFFECT
            | EventKind.STOP_LIFTED
            | EventKind.PERMISSION_GRANTED
            | EventKind.CONTACT_CHANGED
        ):
            return True
        case EventKind.CONTROL_UPDATED:
            return bool(facts.get("loosened"))
        case EventKind.BINDING_SWITCHED:
            return facts.get("now") == "open"
        case _:
            return False


def is_urgent(row: EventRow) -> bool:
    """Whether quiet hours never mute it, and it is first in line."""
    return row.event.kind in NEVER_MUTED or loosens(row)


def ways_of(row: EventRow, state: CardState) -> Ways:
    """Channels of an event where nobody chose any; none where another message tells it already."""
    kind = row.event.kind
    facts = row.event.facts
    if loosens(row):
        return _LOOSENING
    if kind is EventKind.CHALLENGE_ANSWERED and facts.get("answer") == "deny":
        # The stop that a "no" places is told.
        return Ways(())
    has_balance_alert = state.settings.controls.balance_change_alert is not None
    if kind is EventKind.TRANSACTION_REVERSED and has_balance_alert:
        # The balance-change alert tells it, with the balance.
        return Ways(())
    ways = WAYS.get(kind, Ways(()))
    if kind is EventKind.STOP_PLACED and _was_told_by_reply(row, state):
        without = [channel for channel in ways.channels if channel != SMS]
        return Ways(tuple(without))
    return ways


def _was_told_by_reply(row: EventRow, state: CardState) -> bool:
    """Whether the stop came by SMS, so that the reply has told of it."""
    facts = row.event.facts
    if facts.get("source") != "challenge":
        return facts.get("source") == "sms"
    return any(
        challenge.state is ChallengeState.DENIED
        and challenge.answered_ms == facts.get("at_ms")
        and challenge.answered_via == "sms"
        for challenge in state.settings.challenges
    )

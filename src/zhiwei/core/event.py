"""Event: what somebody must be told, in the past tense.

It is written with the decision that caused it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, TypeAlias, final

EventFacts: TypeAlias = "dict[str, int | str | list[str]]"


class EventKind(IntEnum):
    """What happened. Numbers are stored, never reused. API name: `word`."""

    TRANSACTION_DECLINED = 1
    CHALLENGE_CREATED = 2
    CHALLENGE_ANSWERED = 3
    BALANCE_INQUIRED = 4
    BALANCE_CHANGED = 5
    CONTROL_UPDATED = 6
    LOOSENING_PENDING = 7
    LOOSENING_CANCELLED = 8
    LOOSENING_TOOK_EFFECT = 9
    STOP_PLACED = 10
    STOP_LIFTED = 11
    PERMISSION_GRANTED = 12
    PERMISSION_REVOKED = 13
    PERMISSION_USED = 14
    CONFLICT_SEEN = 15
    ADVICE_BYPASSED_CONTROL = 16
    LIMIT_NEARLY_REACHED = 17
    BINDING_CREATED = 18
    BINDING_REMOVED = 19
    BINDING_SWITCHED = 20
    CARD_UPDATED = 21
    CASE_OPENED = 22
    RULE_FAILED = 23
    CHALLENGE_EXPIRED = 24
    CHALLENGE_UNDELIVERABLE = 25
    TRANSACTION_REVERSED = 26

    @property
    def word(self) -> str:
        """Name in the API, for example `challenge_created`."""
        return self.name.lower()


#: Quiet hours never mute these: questions about fraud and what ends a danger.
NEVER_MUTED: Final = frozenset(
    (
        EventKind.CHALLENGE_CREATED,
        EventKind.BALANCE_INQUIRED,
        EventKind.STOP_PLACED,
        EventKind.STOP_LIFTED,
        EventKind.LOOSENING_PENDING,
        EventKind.CONFLICT_SEEN,
    )
)


@final
class Event:
    """One thing that somebody must be told, with the facts that its sentence needs.

    There is never a PAN among them.
    """

    __slots__ = ("facts", "kind")

    def __init__(self, kind: EventKind, facts: EventFacts) -> None:
        self.kind: Final = kind
        self.facts: Final = facts

"""Event: what somebody must be told, in the past tense.

It is written with the decision that caused it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, TypeAlias, final

EventFacts: TypeAlias = "dict[str, int | str | list[str]]"


class EventKind(IntEnum):
    """What happened. Numbers are stored, never reused. API name: `word`."""

    #: A request was refused and the decline alert (拒绝交易提醒) is on.
    TRANSACTION_DECLINED = 1
    #: A request was refused and the cardholder is asked about it (核实).
    CHALLENGE_CREATED = 2
    #: The cardholder said yes or no.
    CHALLENGE_ANSWERED = 3
    #: A balance inquiry at a machine, and its alert (余额查询提醒) is on.
    BALANCE_INQUIRED = 4
    #: A posting, or an approved card message with a balance, at or above the threshold of the
    #: balance-change alert (余额变动提醒).
    BALANCE_CHANGED = 5
    #: A control was set or removed, and holds from now.
    CONTROL_UPDATED = 6
    #: A loosening waits for its cooling-off (冷静期) and can be cancelled.
    LOOSENING_PENDING = 7
    #: A waiting loosening was cancelled.
    LOOSENING_CANCELLED = 8
    #: A cooling-off is over; told with the next entry of the card.
    LOOSENING_TOOK_EFFECT = 9
    #: Every debit is refused from now on (止付).
    STOP_PLACED = 10
    #: The stop was lifted.
    STOP_LIFTED = 11
    #: An exception or travel plan (出行计划) was granted.
    PERMISSION_GRANTED = 12
    #: It was ended early.
    PERMISSION_REVOKED = 13
    #: A pass or an exception let a request through.
    PERMISSION_USED = 14
    #: A message had the identity of an earlier one and another body; somebody should look.
    CONFLICT_SEEN = 15
    #: An advice or completion was booked although a control or limit says no.
    ADVICE_BYPASSED_CONTROL = 16
    #: Four fifths of one of the cardholder's own limits are used.
    LIMIT_NEARLY_REACHED = 17
    #: A payment institution was linked to the card (快捷支付签约).
    BINDING_CREATED = 18
    #: It was unlinked.
    BINDING_REMOVED = 19
    #: Its debits were opened or closed.
    BINDING_SWITCHED = 20
    #: The issuer said something new of the card: its status or its chip.
    CARD_UPDATED = 21
    #: "Not mine" was the answer: the card is stopped, and somebody should look.
    CASE_OPENED = 22
    #: A rule failed inside; somebody should look.
    RULE_FAILED = 23
    #: A question got no answer in time; told with the next entry of the card.
    CHALLENGE_EXPIRED = 24
    #: A question could not be delivered on any channel.
    CHALLENGE_UNDELIVERABLE = 25
    #: An authorization was taken back, wholly or in part (冲正, 撤销).
    TRANSACTION_REVERSED = 26
    #: The holder's phone, e-mail or device is new: old and new contact hear of it, and loosenings
    #: wait until `until_ms`.
    CONTACT_CHANGED = 27

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
        EventKind.CONTACT_CHANGED,
    )
)
#: What only the house and its operators need to hear of.
NOT_FOR_CARDHOLDERS: Final = frozenset(
    (EventKind.RULE_FAILED, EventKind.CASE_OPENED, EventKind.CHALLENGE_UNDELIVERABLE)
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

"""Entry: one row of a card's journal.

What was wanted, what was decided and why, and what it moved.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, final

from zhiwei.core.command import Command
from zhiwei.core.finding import NO_OPINION, Findings, Outcome
from zhiwei.core.usage import Booking


class GroupState(IntEnum):
    """Where an authorization group stands (预授权/消费 and everything that follows it)."""

    NONE = 0
    APPROVED = 1
    COMPLETED = 2
    REVERSED = 3
    VOIDED = 4
    #: An approved pre-authorization, while the file has its hold; without it, it lapsed.
    HELD = 5


@final
class Group:
    """An authorization and its follow-ups.

    What it holds in the counters now, and where it stands.
    """

    __slots__ = ("approved_minor", "bookings", "refunded_minor", "state", "version")

    def __init__(
        self,
        version: int,
        state: GroupState,
        bookings: tuple[Booking, ...],
        approved_minor: int,
        refunded_minor: int = 0,
    ) -> None:
        #: Version of the entry that began the group.
        self.version: Final = version
        self.state: Final = state
        #: What can still be given back, and to which windows: one booking for the original, and one
        #: more for each increment that came in later windows.
        self.bookings: Final = bookings
        #: What stands approved now, minor units of the card's currency.
        self.approved_minor: Final = approved_minor
        #: Refunded so far; a group cannot give back more than it took.
        self.refunded_minor: Final = refunded_minor


@final
class LimitReport:
    """How full one limit is after a decision."""

    __slots__ = ("channel", "limit", "measure", "period", "resets_ms", "seconds", "used")

    def __init__(
        self,
        channel: int,
        measure: int,
        period: int,
        seconds: int,
        used: int,
        limit: int,
        resets_ms: int,
    ) -> None:
        self.channel: Final = channel
        self.measure: Final = measure
        self.period: Final = period
        self.seconds: Final = seconds
        self.used: Final = used
        self.limit: Final = limit
        #: When the window ends (UTC ms); 0 for limits per transaction and rolling ones.
        self.resets_ms: Final = resets_ms


@final
class Entry:
    """One version of a card's file: the command, the decision, and what it left."""

    __slots__ = (
        "asked",
        "auth_code",
        "challenge_id",
        "command",
        "duplicate_of",
        "filed_ms",
        "findings",
        "flags",
        "group",
        "limits",
        "note",
        "now_ms",
        "outcome",
        "policy_version",
        "version",
    )

    def __init__(
        self,
        *,
        version: int,
        now_ms: int,
        filed_ms: int,
        command: Command,
        outcome: Outcome,
        policy_version: str,
        findings: Findings = NO_OPINION,
        asked: int = 0,
        group: Group | None = None,
        auth_code: str = "",
        challenge_id: str = "",
        duplicate_of: int = 0,
        limits: tuple[LimitReport, ...] = (),
        flags: int = 0,
        note: str = "",
    ) -> None:
        self.version: Final = version
        #: The decision instant, UTC ms: what the issuer's clock said when the command was taken.
        self.now_ms: Final = now_ms
        #: The same, but never before an earlier entry of the card: by it the journal is in order,
        #: and by it keys run out, also after a clock was set back.
        self.filed_ms: Final = filed_ms
        self.command: Final = command
        self.outcome: Final = outcome
        self.policy_version: Final = policy_version
        #: All findings, the first one shown first.
        self.findings: Final = findings
        #: Mask of the controls that were set and asked (bit n = CONTROL_TYPES[n]).
        self.asked: Final = asked
        #: The authorization group after this entry; None where there is none.
        self.group: Final = group
        #: Six digits on approvals; empty otherwise.
        self.auth_code: Final = auth_code
        #: The question that this entry opened, or the one whose pass it used.
        self.challenge_id: Final = challenge_id
        #: Version of the entry with the same identity and another body; 0 = none.
        self.duplicate_of: Final = duplicate_of
        self.limits: Final = limits
        #: Bits of `Flag`.
        self.flags: Final = flags
        #: Id that the entry made (a permission, binding, stop reference), or what a change said.
        self.note: Final = note


class Flag:
    """Marks on an entry. Bits are stored, never reused."""

    #: An advice or completion went past a limit or lock and was booked all the same.
    PAST_CONTROL: Final = 1
    #: A reversal, completion or void that named nothing known.
    UNMATCHED: Final = 2
    #: Counted, but nothing moved: a second reversal, a repeat of a change.
    NO_EFFECT: Final = 4
    #: A change that waits for its cooling-off.
    PENDING: Final = 8
    #: A card message of a transaction that the holder was told of (余额变动提醒), so that what
    #: follows it is told as well.
    BALANCE_TOLD: Final = 16

"""Result: what one command did to one card's file. A pure value; the store makes it durable."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, final

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Command
from zhiwei.core.entry import Entry
from zhiwei.core.event import Event
from zhiwei.core.finding import Finding, Outcome
from zhiwei.core.reason import Reason


class Rejection(IntEnum):
    """Why a command could not be carried out at all; never the answer to a card message.

    Nothing is written. Numbers are not stored. The HTTP door maps each to a status and a problem
    code.
    """

    CARD_NOT_FOUND = 1
    PRECONDITION_FAILED = 2
    PRECONDITION_REQUIRED = 3
    STRONG_AUTHENTICATION_REQUIRED = 4
    CONTROL_NOT_FOUND = 5
    PENDING_NOT_FOUND = 6
    CHALLENGE_NOT_FOUND = 7
    CHALLENGE_EXPIRED = 8
    CHALLENGE_ALREADY_ANSWERED = 9
    PERMISSION_NOT_FOUND = 10
    TOO_MANY_PERMISSIONS = 11
    PERMISSION_NOT_ALLOWED = 12
    BINDING_NOT_FOUND = 13
    ORIGINAL_NOT_FOUND = 14
    ALREADY_REVERSED = 15
    SAME_KEY_OTHER_BODY = 16
    STAFF_ONLY = 18
    STOP_NOT_FOUND = 19
    NOT_BY_SMS = 20
    CARD_IS_CLOSED = 21
    TOO_MANY_BINDINGS = 22
    #: The card's file or an entry it needs is damaged where it is stored.
    CARD_UNREADABLE = 23

    @property
    def code(self) -> str:
        """Name in problem documents, for example `card_not_found`."""
        return self.name.lower()


@final
class Audit:
    """Who changed what: old and new in words; written with the change."""

    __slots__ = ("action", "new", "old", "subject")

    def __init__(self, action: str, subject: str, old: str, new: str) -> None:
        #: For example `control.set`, `stop.placed`.
        self.action: Final = action
        #: What was changed: a control type, an id.
        self.subject: Final = subject
        #: JSON texts; empty = nothing.
        self.old: Final = old
        self.new: Final = new


@final
class Result:
    """The outcome of a command.

    Exactly one of these holds: `rejection` is set and nothing is written; `is_repeat` and `entry`
    is the earlier one, and nothing is written; else `state` and `entry` are the next version of the
    file.
    """

    __slots__ = ("audits", "entry", "events", "is_repeat", "keys", "rejection", "state")

    def __init__(
        self,
        *,
        state: CardState | None = None,
        entry: Entry | None = None,
        events: tuple[Event, ...] = (),
        audits: tuple[Audit, ...] = (),
        keys: tuple[bytes, ...] = (),
        is_repeat: bool = False,
        rejection: Rejection | None = None,
    ) -> None:
        self.state: Final = state
        self.entry: Final = entry
        self.events: Final = events
        self.audits: Final = audits
        #: Digests by which later commands find this entry (own trace, idempotency key, a reversed
        #: original).
        self.keys: Final = keys
        self.is_repeat: Final = is_repeat
        self.rejection: Final = rejection


def rejected(rejection: Rejection) -> Result:
    """Nothing is written, and this is why."""
    return Result(rejection=rejection)


@final
class Related:
    """Earlier entries that a command names, as the store found them."""

    __slots__ = ("by_key", "heads")

    def __init__(self, by_key: tuple[Entry, ...] = (), heads: tuple[Entry, ...] = ()) -> None:
        #: Entries found by the keys of the command (`Command.keys_to_find`) or by version, oldest
        #: first.
        self.by_key: Final = by_key
        #: For each group among them that has follow-ups, its latest entry.
        self.heads: Final = heads


NOTHING_RELATED: Final = Related()


def unreadable(command: Command, now_ms: int) -> Result:
    """The answer where the card's file is damaged where it is stored; nothing is written.

    A card message gets a refusal (its entry has version 0 and is in no journal); a change is
    rejected.
    """
    if command.request is None:
        return rejected(Rejection.CARD_UNREADABLE)
    entry = Entry(
        version=0,
        now_ms=now_ms,
        filed_ms=now_ms,
        command=command,
        outcome=Outcome.REFUSE,
        policy_version="",
        findings=(Finding(Outcome.REFUSE, Reason.STATE_UNREADABLE, "issuer"),),
    )
    return Result(entry=entry)

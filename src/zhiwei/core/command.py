"""Command: everything that may move a card's file, in the imperative.

A command names one card, says who wants it, and carries either a request (a card message) or a
change (what a person does). Nothing else ever reaches a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias, final

from zhiwei.core.card_state import CardStatus, Permission, Profile, StopSource
from zhiwei.core.controls import Control
from zhiwei.core.identity import movement_key, request_trace_key, undone_key
from zhiwei.core.ids import entry_id
from zhiwei.core.request import Kind, MessageClass, Request


class Via(IntEnum):
    """The door by which a command came. Numbers are stored, never reused."""

    ISO8583 = 0
    HTTP = 1
    SMS = 2
    APP = 3
    CONSOLE = 4
    CLI = 5


@dataclass(frozen=True)
class Actor:
    """Who wants it."""

    #: Key id, cardholder id or operator id; never a phone number or a PAN.
    who: str
    via: Via
    #: The cardholder was strongly authenticated for this very change.
    is_strong: bool = False
    #: Acts as issuer or operator, not as cardholder.
    is_staff: bool = False


#: Messages of the network have no person behind them.
NETWORK: Final = Actor("network", Via.ISO8583)


@final
class Original:
    """Which earlier entry a reversal, completion, void, refund or increment is about.

    Either `version` (HTTP: the id names it) or `trace_key` with what the message repeats of the
    original.
    """

    __slots__ = ("auth_code", "replacement_minor", "rrn", "terminal", "trace_key", "version")

    def __init__(
        self,
        *,
        version: int = 0,
        trace_key: bytes = b"",
        auth_code: str = "",
        rrn: str = "",
        terminal: str = "",
        replacement_minor: int = -1,
    ) -> None:
        #: Version of the original's entry in the card's journal; 0 = not told.
        self.version: Final = version
        #: Trace key of the original (see `identity.trace_key`); empty = not told.
        self.trace_key: Final = trace_key
        #: Authorization code (DE38), rrn (DE37) and terminal (DE41) of the original; empty = not
        #: told.
        self.auth_code: Final = auth_code
        self.rrn: Final = rrn
        self.terminal: Final = terminal
        #: Partial reversal (DE95): what stands afterwards, in minor units of the original's
        #: transaction currency; -1 = nothing stands, a full reversal.
        self.replacement_minor: Final = replacement_minor


@dataclass(frozen=True)
class Register:
    """Open the card's file."""

    profile: Profile


@dataclass(frozen=True)
class UpdateCard:
    """The issuer says something new of the card.

    Closed, lost, frozen or active again; with a chip or without.
    """

    status: CardStatus | None = None
    has_chip: bool | None = None
    #: From now the cardholder's device or number is new, and loosenings wait longer.
    contact_is_new: bool = False


@dataclass(frozen=True)
class SetControl:
    """Set a control as a whole."""

    control_type: str
    control: Control
    #: ETag that the caller saw; `*` in `if_none_match` instead means: only if not set.
    if_match: str = ""
    if_none_match: bool = False


@dataclass(frozen=True)
class RemoveControl:
    """Take a control away."""

    control_type: str
    if_match: str = ""


@dataclass(frozen=True)
class CancelPending:
    """Cancel a loosening that waits."""

    control_type: str


@dataclass(frozen=True)
class PlaceStop:
    """止付: refuse every debit from now on. Idempotent."""

    source: StopSource


@dataclass(frozen=True)
class LiftStop:
    """Lift the stop; a loosening, never by SMS."""

    #: Only if it was placed by this source (lifting a kill switch leaves other stops); None = any.
    only_source: StopSource | None = None


@dataclass(frozen=True)
class GrantPermission:
    """A temporary permission or a travel plan; a loosening. Id and creation time are filled in."""

    permission: Permission


@dataclass(frozen=True)
class RevokePermission:
    """End a permission early; a tightening."""

    permission_id: str


@dataclass(frozen=True)
class AnswerChallenge:
    """Answer a question. The first valid answer wins."""

    #: Id or reference of the question.
    challenge: str
    is_yes: bool


@dataclass(frozen=True)
class MarkUndeliverable:
    """No message about this question could be delivered."""

    challenge: str


@dataclass(frozen=True)
class SwitchBinding:
    """Open or close quick-pay debits of one payment institution."""

    binding_id: str
    is_open: bool


@dataclass(frozen=True)
class RemoveBinding:
    """Unlink a payment institution; a tightening."""

    binding_id: str


@dataclass(frozen=True)
class Post:
    """A posting of the core bank with its balance (记账)."""

    #: Positive = money in, negative = money out; minor units of the card's currency.
    amount_minor: int
    balance_minor: int | None
    #: What it was, in the bank's words: `银联消费`.
    business: str
    counterparty_tail: str = ""
    counterparty_name: str = ""
    #: The posting reverses an earlier one, named by its reference.
    reverses: str = ""
    reference: str = ""


Change: TypeAlias = (
    "Register | UpdateCard | SetControl | RemoveControl | CancelPending | PlaceStop | LiftStop"
    " | GrantPermission | RevokePermission | AnswerChallenge | MarkUndeliverable | SwitchBinding"
    " | RemoveBinding | Post"
)


@final
class Command:
    """What is wanted of one card."""

    __slots__ = (
        "actor",
        "card_key",
        "change",
        "idempotency_key",
        "nonce",
        "original",
        "request",
        "trace_key",
    )

    def __init__(
        self,
        card_key: bytes,
        *,
        request: Request | None = None,
        change: Change | None = None,
        original: Original | None = None,
        actor: Actor = NETWORK,
        idempotency_key: bytes = b"",
        nonce: bytes = b"",
    ) -> None:
        self.card_key: Final = card_key
        #: Exactly one of request and change is given.
        self.request: Final = request
        #: Digest of the message's own trace (16 bytes); empty where it has none.
        self.trace_key: Final = b"" if request is None else request_trace_key(request)
        self.change: Final = change
        self.original: Final = original
        self.actor: Final = actor
        #: Digest (16 bytes) of the caller's Idempotency-Key and scope; empty = none.
        self.idempotency_key: Final = idempotency_key
        #: 8 random bytes made at the door; references of questions and stops come from it, since
        #: the core rolls no dice. Recorded, so that a replay says the same.
        self.nonce: Final = nonce

    @property
    def keys_to_find(self) -> tuple[bytes, ...]:
        """Digests by which the store finds the earlier entries that this command may be about.

        Its own trace (a repeat, or a reversal that came first), its idempotency key, its original's
        trace or version (a reversal of that original that came before), and the references by which
        a movement of money that comes as a card message and as a posting is told once.
        """
        keys: list[bytes] = []
        if self.trace_key:
            keys.append(self.trace_key)
        if self.idempotency_key:
            keys.append(self.idempotency_key)
        named = self.original
        if named is not None and named.trace_key and named.trace_key not in keys:
            keys.append(named.trace_key)
        if named is not None and named.version:
            keys.append(undone_key(named.version))
        keys.extend([movement_key(reference) for reference in self.movement_references])
        return tuple(keys)

    @property
    def movement_references(self) -> tuple[str, ...]:
        """References of the movement of money that this command reports.

        A posting's own and that of what it takes back; the RRN of a card message that tells a
        balance; RRN and id of what a reversal or void takes back. None for other commands, so that
        nothing is looked up for them.
        """
        change = self.change
        if isinstance(change, Post):
            return _told((change.reference, change.reverses))
        request = self.request
        if request is None:
            return ()
        if request.message_class is MessageClass.REVERSAL or request.kind is Kind.VOID:
            named = self.original
            if named is None:
                return _told((request.rrn,))
            named_id = entry_id("auth", self.card_key, named.version) if named.version else ""
            return _told((request.rrn, named.rrn, named_id))
        return () if request.balance_minor is None else _told((request.rrn,))


def _told(references: tuple[str, ...]) -> tuple[str, ...]:
    """The references that were told, each once."""
    told: list[str] = []
    for reference in references:
        if reference and reference not in told:
            told.append(reference)
    return tuple(told)

"""CardState: the card's file; everything that a decision may look at, as one value.

The file has a cold part (`Settings`: who, which controls, what is open) that changes when people
change it, and a hot part (`Usage`, holds, what was seen lately) that changes with nearly every
message.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, final

from zhiwei.core.controls import NO_CONTROLS, Control, Controls
from zhiwei.core.usage import UNUSED, Booking, Usage
from zhiwei.core.zone import Zone

#: The chain of a card begins with this.
CHAIN_START: Final = bytes(16)
#: Bounds of what one file may hold; past them a new one is rejected with a clear answer.
PERMISSIONS_MAX: Final = 64
CHALLENGES_MAX: Final = 16
BINDINGS_MAX: Final = 64
HOLDS_MAX: Final = 128
INQUIRIES_MAX: Final = 8


class CardStatus(IntEnum):
    """What the issuer says of the card.

    Four states must not be mixed: lock, stop, loss and freeze.
    """

    ACTIVE = 0
    #: Closed or replaced; for good.
    CLOSED = 1
    #: 挂失: reported lost; ends in a new card.
    LOST = 2
    #: 冻结: frozen by the issuer or by law; the cardholder cannot lift it.
    FROZEN = 3


@dataclass(frozen=True)
class Profile:
    """Who and what the card is. The PAN is not here; its last four digits are."""

    cardholder: str
    tail: str
    #: ISO 4217 letters; all limits and counters of the card are in it.
    currency: str
    zone: Zone
    has_chip: bool
    #: `unionpay`, `visa` or `mastercard`; chooses the table of response codes.
    network: str
    status: CardStatus
    created_ms: int


@dataclass(frozen=True)
class PendingChange:
    """A loosening that waits for its cooling-off, visible and cancellable until then."""

    control_type: str
    #: The control as it will be; None = removed.
    control: Control | None
    available_ms: int
    asked_ms: int
    #: Who asked, as in the audit trail.
    asked_by: str


class StopSource(IntEnum):
    """How a stop was placed."""

    APP = 0
    SMS = 1
    CHALLENGE = 2
    ISSUER = 3
    KILL_SWITCH = 4
    #: By a trusted contact (信任联系人) of the cardholder.
    CONTACT = 5


@dataclass(frozen=True)
class Stop:
    """止付: every debit on every channel is refused until it is lifted; never lifted by SMS."""

    since_ms: int
    source: StopSource
    #: Told to the cardholder, who can quote it.
    reference: str


class PermissionKind(IntEnum):
    """Which of the bounded permissions it is."""

    #: Left by a "yes": merchant + currency + amount ceiling + expiry + one use.
    PASS = 0
    #: Opens named controls until an instant, or in one place.
    TEMPORARY = 1
    #: Dates + places + a limit of its own (出行计划).
    TRAVEL = 2


@dataclass(frozen=True)
class Permission:
    """A bounded permission that may lift findings of place, time and verification.

    It ends by itself.
    """

    id: str
    kind: PermissionKind
    #: Valid in `[from_ms, until_ms)`.
    from_ms: int
    until_ms: int
    #: Control types that it lifts; empty = every liftable one.
    controls: tuple[str, ...] = ()
    #: Only in these countries (alpha-3); empty = anywhere.
    countries: tuple[str, ...] = ()
    #: Only in these provinces; empty = anywhere.
    regions: tuple[str, ...] = ()
    #: Only at this merchant; empty = at any.
    merchant_id: str = ""
    #: Only in this currency; empty = in any.
    currency: str = ""
    #: At most this amount each time, in minor units of the card's billing currency (a pass: of
    #: `currency`); -1 = no ceiling.
    amount_max: int = -1
    #: In all at most this much, minor units of the card's currency; -1 = no ceiling.
    total_max: int = -1
    #: What it has let through so far.
    total_used: int = 0
    #: Uses left; -1 = as often as wanted.
    uses_left: int = -1
    created_ms: int = 0


class ChallengeState(IntEnum):
    """The life of a question."""

    PENDING = 0
    APPROVED = 1
    DENIED = 2
    EXPIRED = 3
    UNDELIVERABLE = 4
    USED = 5


@dataclass(frozen=True)
class Challenge:
    """A question to the cardholder about one refused request."""

    id: str
    #: Short reference that a reply must carry, bound to amount and merchant.
    reference: str
    state: ChallengeState
    #: Version of the journal entry that asked.
    version: int
    asked_ms: int
    expires_ms: int
    merchant_id: str
    merchant_name: str
    amount_minor: int
    currency: str
    #: Names of the reasons that asked, and the controls that gave them.
    reasons: tuple[str, ...]
    controls: tuple[str, ...]
    answered_ms: int = 0
    answered_via: str = ""


@dataclass(frozen=True)
class Binding:
    """A payment institution linked to the card (快捷支付签约)."""

    id: str
    institution: str
    name: str
    since_ms: int
    #: The cardholder's switch for this institution.
    is_open: bool
    #: Whether the issuer knows the institution as licensed (支付业务许可证).
    is_licensed: bool
    #: When the cardholder unlinked it; 0 = linked. It is kept, so that its debits stay refused
    #: until the institution asks to link the card again.
    removed_ms: int = 0


@dataclass(frozen=True)
class Settings:
    """The cold part of the file."""

    profile: Profile
    controls: Controls = NO_CONTROLS
    pending: tuple[PendingChange, ...] = ()
    stop: Stop | None = None
    permissions: tuple[Permission, ...] = ()
    #: Open questions, and the ones answered within the last day.
    challenges: tuple[Challenge, ...] = ()
    bindings: tuple[Binding, ...] = ()
    #: Until this instant loosenings wait the cooling-off of a new device or number; 0 = none is
    #: new.
    new_contact_until_ms: int = 0
    #: When, if ever, rolling limits began to count (they count from the moment the first one is
    #: set).
    rolling_since_ms: int = 0


@final
class Hold:
    """An approved pre-authorization that is neither completed nor given back (预授权)."""

    __slots__ = (
        "approved_minor",
        "auth_code",
        "bookings",
        "expires_ms",
        "group",
        "is_told",
        "merchant_id",
    )

    def __init__(
        self,
        group: int,
        expires_ms: int,
        approved_minor: int,
        auth_code: str,
        merchant_id: str,
        bookings: tuple[Booking, ...],
        is_told: bool = False,
    ) -> None:
        #: Version of the journal entry that approved it.
        self.group: Final = group
        self.expires_ms: Final = expires_ms
        #: What stands approved, minor units of the card's currency.
        self.approved_minor: Final = approved_minor
        #: A completion that names neither id nor trace is matched by these two.
        self.auth_code: Final = auth_code
        self.merchant_id: Final = merchant_id
        self.bookings: Final = bookings
        #: The holder was told of it (`Flag.BALANCE_TOLD`); its completion may come so late that
        #: its entry is not found any more.
        self.is_told: Final = is_told


@final
class InquirySeen:
    """Balance inquiries at one terminal: when told last, and how many went untold since."""

    __slots__ = ("terminal", "told_ms", "untold")

    def __init__(self, terminal: str, told_ms: int, untold: int) -> None:
        self.terminal: Final = terminal
        self.told_ms: Final = told_ms
        self.untold: Final = untold


@final
class CardState:
    """The card's file after `version` entries of its journal."""

    __slots__ = (
        "card_key",
        "chain",
        "holds",
        "inquiries",
        "last_ms",
        "settings",
        "usage",
        "version",
    )

    def __init__(
        self,
        card_key: bytes,
        version: int,
        last_ms: int,
        chain: bytes,
        settings: Settings,
        usage: Usage = UNUSED,
        holds: tuple[Hold, ...] = (),
        inquiries: tuple[InquirySeen, ...] = (),
    ) -> None:
        #: 16 bytes of HMAC-SHA-256 of the PAN.
        self.card_key: Final = card_key
        #: Number of journal entries so far; 1 = registered, no gaps.
        self.version: Final = version
        #: The latest instant that any entry was made at; it never runs back (see `Entry.filed_ms`).
        self.last_ms: Final = last_ms
        #: Hash of the last journal entry (16 bytes); the store fills it in when it writes.
        self.chain: Final = chain
        self.settings: Final = settings
        self.usage: Final = usage
        self.holds: Final = holds
        self.inquiries: Final = inquiries

    def followed_by(
        self,
        now_ms: int,
        *,
        settings: Settings | None = None,
        usage: Usage | None = None,
        holds: tuple[Hold, ...] | None = None,
        inquiries: tuple[InquirySeen, ...] | None = None,
    ) -> CardState:
        """The file one version later, with the parts that changed."""
        return CardState(
            self.card_key,
            self.version + 1,
            max(self.last_ms, now_ms),
            self.chain,
            self.settings if settings is None else settings,
            self.usage if usage is None else usage,
            self.holds if holds is None else holds,
            self.inquiries if inquiries is None else inquiries,
        )

    def chained(self, chain: bytes) -> CardState:
        """The same file with the hash of its last journal entry filled in."""
        return CardState(
            self.card_key,
            self.version,
            self.last_ms,
            chain,
            self.settings,
            self.usage,
            self.holds,
            self.inquiries,
        )

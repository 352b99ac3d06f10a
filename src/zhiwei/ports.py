"""What the house asks of the world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, TypeVar

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Actor, Command
from zhiwei.core.entry import Entry
from zhiwei.core.errors import ZhiweiError
from zhiwei.core.event import Event
from zhiwei.core.result import Audit, Related, Result


class StoreUnavailableError(ZhiweiError):
    """the store cannot write now; nothing of the batch was written"""


class OutcomeUnknownError(StoreUnavailableError):
    """it is not known whether the batch was written; ask again with the same keys"""


class PolicyOvertakenError(StoreUnavailableError):
    """another server adopted a version of the policy meanwhile; nothing was written"""


class RecordStandsError(StoreUnavailableError):
    """another server kept a record there meanwhile that nothing replaces; nothing was written"""


class RecordOvertakenError(StoreUnavailableError):
    """somebody else changed it meanwhile; nothing was written, read it anew and try again"""


class CorruptFileError(ZhiweiError):
    """a stored row fails its checksum or its chain"""


@dataclass(frozen=True)
class Cardholder:
    """A person who holds cards; contact data only as far as messages need it."""

    id: str
    created_ms: int
    name: str = ""
    #: `zh` or `en`.
    locale: str = "zh"
    #: E.164, empty = none; never in a log.
    phone: str = ""
    email: str = ""
    #: JSON object of the issuer's own.
    metadata: str = "{}"
    #: What was replaced last; still told of loosenings for a while. Empty = there was none.
    former_phone: str = ""
    former_email: str = ""
    #: When it was replaced; 0 = never.
    contact_changed_ms: int = 0


@dataclass(frozen=True)
class MessagePreferences:
    """On which channels a cardholder wants what, and when to be left alone."""

    #: The cardholder's.
    id: str
    created_ms: int
    #: JSON: word of a kind of event to list of channels, `{"balance_changed": ["push", "email"]}`;
    #: kinds that are not named go where the house sends them by itself.
    channels: str = "{}"
    #: Quiet hours `[start, end)` as `HH:MM` on each card's own clock; both empty = none.
    quiet_start: str = ""
    quiet_end: str = ""


@dataclass(frozen=True)
class TrustedContact:
    """A person who is told of what matters on a cardholder's cards (信任联系人): the holder's word.

    The contact's own word is a `ContactConsent` of the same id. Each side writes its own record
    only, so that of two who speak at once neither takes back what the other said.
    """

    id: str
    #: When the cardholder named the contact, and the invitation was made.
    created_ms: int
    #: The cardholder.
    subject: str
    name: str
    #: E.164, never empty; never in a log. Another number is another contact.
    phone: str
    #: `zh` or `en`.
    locale: str
    #: Six digits that the contact's consent must carry.
    reference: str
    #: When the cardholder ended it; 0 = never.
    ended_ms: int = 0


@dataclass(frozen=True)
class ContactConsent:
    """What a trusted contact said; listed under the contact's number."""

    #: The `TrustedContact`'s.
    id: str
    created_ms: int
    #: E.164 of the contact; never in a log.
    subject: str
    #: When the contact agreed, and when they ended or refused it; 0 = never.
    agreed_ms: int = 0
    ended_ms: int = 0


@dataclass(frozen=True)
class ApiKey:
    """A key of the HTTP door; the secret itself is kept nowhere."""

    id: str
    created_ms: int
    #: SHA-256 of the secret, hex. The secret has 256 bits of entropy, so no slow hash is needed.
    secret_hash: str
    #: `issuer`, `operator` or `cardholder`.
    scope: str
    #: Cardholder id for a cardholder key, else empty.
    subject: str = ""
    label: str = ""
    revoked_ms: int = 0


@dataclass(frozen=True)
class Checkup:
    """A report of the security check-up as it was given (账户安全检测)."""

    id: str
    created_ms: int
    #: The cardholder.
    subject: str
    #: JSON of the whole report with its rule-set version.
    report: str


#: So long an answer stands: no other takes its place. Afterwards its key is free again.
ANSWER_STANDS_MS: Final = 24 * 3_600_000


@dataclass(frozen=True)
class StoredAnswer:
    """The answer to a POST that moved no card's file.

    It is kept for repeats with the same Idempotency-Key.
    """

    id: str
    created_ms: int
    #: Digest of the request body, hex; the same key with another body is a conflict.
    body_hash: str
    status: int
    answer: str


@dataclass(frozen=True)
class Subscription:
    """An address that wants to be told of events (webhook).

    Its signing secret is derived, not kept.
    """

    id: str
    created_ms: int
    url: str
    #: Words of event kinds (`challenge_created`); empty = all of them.
    events: tuple[str, ...] = ()
    description: str = ""
    #: 0 = it stands.
    deleted_ms: int = 0
    #: How often its secret was changed; the secret follows from it.
    generation: int = 0
    #: When it was changed lately, oldest first: the secrets before still sign for a day.
    rotated_ms: tuple[int, ...] = ()
    #: Switched off since; 0 = it is on.
    disabled_ms: int = 0
    #: Why, as a word: `gone` (the endpoint answered 410) or `by_request`.
    disabled_reason: str = ""


@dataclass(frozen=True)
class PolicyText:
    """A policy that decisions were made under, so that they can be replayed under it."""

    #: The policy's version, as entries name it.
    id: str
    created_ms: int
    #: JSON (`policy_file.stored_text`).
    text: str


@dataclass(frozen=True)
class PolicyChange:
    """A change of the issuer's policy and response codes: proposed, and perhaps adopted.

    The adopted one with the greatest number is in force.
    """

    id: str
    created_ms: int
    #: Who proposed it, as audit rows name actors.
    proposer: str
    #: Why, in a few words.
    note: str
    #: JSON of the whole: policy and response codes (`gateways.in_force`).
    text: str
    #: The version that it gives, as entries will name it.
    version: str
    #: Version that was in force when it was proposed, and its number; it is adopted on no other.
    base: str
    base_number: int
    #: JSON list of what differs from that version: `[setting, old, new, loosens]`.
    differences: str = "[]"
    #: `proposed`, `adopted`, `rejected` or `withdrawn`.
    state: str = "proposed"
    #: Adopted changes are counted from 1; 0 = it is not adopted.
    number: int = 0
    #: Who adopted, rejected or withdrew it; empty = nobody yet.
    decided_by: str = ""
    decided_ms: int = 0


@dataclass(frozen=True)
class KeyCheck:
    """Tells whether a vault's key is the one that made the card keys of these data."""

    #: Always `vault`.
    id: str
    created_ms: int
    #: A digest under the key, hex; the key cannot be had from it.
    check: str


@dataclass(frozen=True)
class CaseFile:
    """What the desk did about a case: a question or a payment that was said to be "not mine".

    That the case is open stands in the audit trail; this record is made when somebody first works
    on it, or with the "not mine" itself where that was said of a payment.
    """

    #: Id of the question (`chg_`) or of the payment (`auth_`).
    id: str
    #: When the case was opened.
    created_ms: int
    #: Operator who works on it; empty = nobody yet.
    assignee: str = ""
    #: 0 = it is open.
    closed_ms: int = 0
    closed_by: str = ""
    #: Why it was closed, in the operator's words; without card numbers.
    note: str = ""


Record: TypeAlias = (
    "KeyCheck | PolicyText | Cardholder | ApiKey | Checkup | StoredAnswer | Subscription"
    " | MessagePreferences | CaseFile | PolicyChange | TrustedContact | ContactConsent"
)


@dataclass(frozen=True)
class Replacing:
    """A record for the place of what its maker saw: of two who change it, the second is refused."""

    record: Record
    #: What was kept under its kind and id; None = nothing was.
    seen: Record | None


Kept: TypeAlias = "Record | Replacing"
R = TypeVar(
    "R",
    KeyCheck,
    PolicyText,
    Cardholder,
    ApiKey,
    Checkup,
    StoredAnswer,
    Subscription,
    MessagePreferences,
    CaseFile,
    PolicyChange,
    TrustedContact,
    ContactConsent,
)


@dataclass(frozen=True)
class Positioned:
    """An entry with its card and its position in the whole journal."""

    position: int
    card_key: bytes
    entry: Entry


@dataclass(frozen=True)
class AuditRow:
    """One line of the audit trail."""

    position: int
    at_ms: int
    actor: Actor
    #: Empty where no card is concerned.
    card_key: bytes
    audit: Audit


@dataclass(frozen=True)
class EventRow:
    """One event of the outbox. `id` is stable: `evt_` + card key + version + place in the entry."""

    position: int
    id: str
    card_key: bytes
    #: Version of the entry that caused it.
    version: int
    at_ms: int
    event: Event


class Step(Protocol):
    """The pure step (`guardian.Guardian.step`).

    One command against one card's file at one instant.
    """

    def __call__(
        self, state: CardState | None, related: Related, command: Command, clock_ms: int
    ) -> Result:
        """What the command does; `state` is None for a card that was never registered.

        A store may ask more than once for the same command, where a try wrote nothing.
        """
        ...


Batch: TypeAlias = "Sequence[Command]"
#: Is told which cards of a batch another server holds, mostly none, once for each try; gives what
#: is carried out: the batch without them.
PassOver: TypeAlias = "Callable[[frozenset[bytes]], Batch]"


class Store(Protocol):
    """Keeps the cards' files; one verb moves them.

    `tests/stores` defines what "supported" means.
    """

    async def transact(
        self, batch: Batch, step: Step, clock_ms: int, *, pass_over: PassOver | None = None
    ) -> list[Result]:
        """Carry out commands in order, durably, all or none, and give a result for each.

        For each command the store loads the card's file and the earlier entries that the command
        names (`Command.keys_to_find`), calls the step, and writes the new file, the journal entry,
        its keys, events and audit rows. A later command of the same batch sees what an earlier one
        did. The list returns only when everything is committed; otherwise an exception is raised
        and nothing has happened.

        `pass_over`: without it, a card that another server holds is waited for. With it nothing is
        waited for: what it gives is carried out instead of the batch. Of no meaning to a store of
        one process, which does not call it.

        Raises:
            StoreUnavailableError: the batch is not written (disk full, read-only, busy).
            OutcomeUnknownError: it cannot be found out whether it is; no answer may promise it.
            CorruptFileError: a stored file fails its checksum; the store refuses to write any more
            of that
                card, and the command gets a refusal with STATE_UNREADABLE.
        """
        ...

    async def keep(
        self, records: Sequence[Kept], audits: Sequence[Audit], actor: Actor, clock_ms: int
    ) -> None:
        """Insert or replace records, with audit rows, durably, all or none.

        A change of the policy that is adopted, with its audit row, takes the number after the last.
        Two kinds of records stand, and are replaced by nothing but themselves: a change of the
        policy that is decided, and an answer for as long as `ANSWER_STANDS_MS`.

        Raises:
            StoreUnavailableError: nothing was written.
            RecordStandsError: nothing was written; such a record stands where another would go.
            RecordOvertakenError: nothing was written; one should replace what is not there.
            PolicyOvertakenError: nothing was written; another server took that number before.
        """
        ...

    async def tidy(self, clock_ms: int) -> bool:
        """Do a small piece of what can wait while nothing else is to be done; whether more is left.

        Raises:
            StoreUnavailableError: nothing was written.
        """
        ...

    def reader(self) -> Reader:
        """A reader of what is committed."""
        ...

    async def close(self) -> None:
        """Finish what was begun and let go of the data."""
        ...


class Reader(Protocol):
    """Reads what is committed, beside the path and never blocking it. Thread-safe.

    Lists are newest first. Where only a lower bound (`after`) is given, a list holds the `limit`
    rows nearest above it, still newest first, so that one can page in both directions.
    """

    def card(self, card_key: bytes) -> CardState | None:
        """The card's file, None if it was never registered."""
        ...

    def entry(self, card_key: bytes, version: int) -> Entry | None:
        """One entry of a card's journal."""
        ...

    def entries(
        self, card_key: bytes, *, before: int = 0, after: int = 0, limit: int = 100
    ) -> list[Entry]:
        """Entries of a card with version < `before` (0 = no bound) and > `after`, newest first."""
        ...

    def latest_of_group(self, card_key: bytes, version: int) -> Entry | None:
        """The latest entry of the group that entry `version` began."""
        ...

    def recent(self, *, before: int = 0, after: int = 0, limit: int = 100) -> list[Positioned]:
        """Entries of all cards by position in the whole journal, newest first.

        `before` and `after` are positions; 0 = no bound.
        """
        ...

    def position(self, card_key: bytes, version: int) -> int:
        """Position of an entry in the whole journal, counted from 1; 0 = there is no such entry."""
        ...

    def cards(
        self,
        *,
        cardholder: str = "",
        after: bytes = b"",
        before: bytes = b"",
        limit: int = 100,
    ) -> list[CardState]:
        """Cards in ascending order of their key; of one cardholder or of all.

        Those nearest after a key, or (`before`) those nearest before one.
        """
        ...

    def record(self, kind: type[R], record_id: str) -> R | None:
        """A record that `Store.keep` kept."""
        ...

    def records(
        self,
        kind: type[R],
        *,
        subject: str = "",
        before: str = "",
        after: str = "",
        limit: int = 100,
    ) -> list[R]:
        """Records of a kind, greatest id first (ids begin with their time); of one subject or all.

        The subject of a key, check-up, trusted contact or consent is its `subject`, that of a
        cardholder the phone number, that of a change of policy its state.
        """
        ...

    def audits(
        self, *, card_key: bytes = b"", before: int = 0, after: int = 0, limit: int = 100
    ) -> list[AuditRow]:
        """The audit trail by position, newest first; of one card or of all."""
        ...

    def events(
        self, *, card_key: bytes = b"", before: int = 0, after: int = 0, limit: int = 100
    ) -> list[EventRow]:
        """Events owed or told, by position in the outbox, newest first; of one card or of all."""
        ...

    def event(self, event_id: str) -> EventRow | None:
        """One event of the outbox."""
        ...

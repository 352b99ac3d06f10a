"""House: what the HTTP door is handed, as one value. It reaches nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

from prometheus_client import CollectorRegistry

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Actor, Command
from zhiwei.core.decide import Judge
from zhiwei.core.entry import Entry, LimitReport
from zhiwei.core.finding import Facts
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.result import Audit, Result
from zhiwei.core.windows import Moment
from zhiwei.gateways.http.record_ids import IdMint
from zhiwei.gateways.in_force import InForce
from zhiwei.gateways.policy_desk import PolicyDesk
from zhiwei.gateways.response_codes import ResponseCodes
from zhiwei.messaging.model import Message, MessageReader
from zhiwei.messaging.reply import Taken
from zhiwei.ports import ApiKey, Kept, Reader

Document: TypeAlias = "dict[str, Any]"


class Clock(Protocol):
    """The one clock of the house."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        ...


class MovableClock(Clock, Protocol):
    """The clock of the test mode: it stands still until it is moved."""

    def move_to(self, now_ms: int) -> None:
        """It is `now_ms` from now on."""
        ...


class CardVault(Protocol):
    """Turns card numbers into card keys (`zhiwei.vault`)."""

    def card_key(self, number: str) -> bytes:
        """Key of a number in a message; raises ZhiweiError where it is none."""
        ...

    def new_card_key(self, number: str) -> bytes:
        """Key of a number to register; its check digit must be right too."""
        ...

    def token_key(self, token: str) -> bytes:
        """Key of an issuer's own token."""
        ...

    def derived_secret(self, purpose: str) -> bytes:
        """A secret of 32 bytes for another purpose."""
        ...


class Words(Protocol):
    """The sentences that people read."""

    def sentence(self, reason: Reason, facts: Facts) -> dict[str, str]:
        """The cardholder's sentence for a reason, `zh` and `en`."""
        ...

    def remedy(self, reason: Reason, facts: Facts, control: str) -> str:
        """What can be done: `exception`, `wait`, `change_control`, `answer_challenge`, ..."""
        ...

    def service(self, name: str) -> dict[str, str]:
        """Name of a service or control, `zh` and `en`."""
        ...

    def checkup(self, document: Mapping[str, Any]) -> Document:
        """The document of a check-up with its sentences."""
        ...

    def country(self, alpha3: str, language: str) -> str:
        """Name of a country or region in a language; its letters where it has none."""
        ...

    def text(self, key: str, language: str, facts: Mapping[str, int | str | list[str]]) -> str:
        """One sentence in one language."""
        ...


class Submit(Protocol):
    """Hands commands to the engine; thread-safe to the path."""

    def __call__(self, commands: list[Command]) -> Awaitable[list[Result]]:
        """Carry out all or none, durably, in order.

        Raises:
            StoreUnavailableError: nothing was done: the store cannot write, or too much waits.
        """
        ...


class Rehearse(Protocol):
    """The guardian's step on a copy of a card's file; a value comes out and nothing is written."""

    def __call__(self, state: CardState, command: Command, at_ms: int) -> Result:
        """What the command would do to this file at this instant; nothing earlier is related."""
        ...


class Keep(Protocol):
    """Keeps records that are in no card's file."""

    def __call__(
        self, records: Sequence[Kept], audits: Sequence[Audit], actor: Actor
    ) -> Awaitable[None]:
        """Keep all or none, durably.

        Raises:
            RecordOvertakenError: nothing was kept; somebody else changed one meanwhile.
            StoreUnavailableError: nothing was kept.
        """
        ...


class Word(Protocol):
    """A member of an enumeration, of which only the name matters here."""

    @property
    def name(self) -> str:
        """For example `STOP_ALL`."""
        ...


class Heard(Protocol):
    """A text message as the stop-payment room understood it."""

    @property
    def kind(self) -> Word:
        """STOP_ONLY_CARD, STOP_TAIL, STOP_ALL, HELP or UNREADABLE."""
        ...

    @property
    def tail(self) -> str:
        """Last four digits for STOP_TAIL, else empty."""
        ...


class Examine(Protocol):
    """The security check-up (账户安全检测)."""

    def __call__(
        self,
        cards: Sequence[CardState],
        entries_of: Callable[[CardState], Iterable[Entry]],
        mode: str,
        device: Document | None,
        now_ms: int,
    ) -> Document:
        """The report as a document; sentences are added later.

        Args:
            cards: files of the person's cards, as of now.
            entries_of: reads the last 12 months of a card's journal, newest first.
            mode: `quick` or `full`.
            device: what the app says of the phone; None = nothing.
            now_ms: the instant.
        """
        ...


@dataclass(frozen=True)
class Rooms:
    """What the services can be asked, as functions of values."""

    #: How full each limit of a card is; the file must be settled to the moment.
    limits: Callable[[CardState, Moment], tuple[LimitReport, ...]]
    #: The judge of each control that judges, by type of control.
    judges: Mapping[str, Judge]
    #: Runs the security check-up of a cardholder's cards, as of now.
    examine: Examine
    #: Reads a text message (SEMANTICS 3.6).
    read_message: Callable[[str], Heard]


class Replay(Protocol):
    """Queues messages again; thread-safe to the messaging loop."""

    def __call__(self, ids: Sequence[str]) -> Awaitable[int]:
        """How many of these were over and are queued again.

        Raises:
            StoreUnavailableError: none was.
        """
        ...


class InboundCall(Protocol):
    """Carries out a text message; thread-safe to the messaging loop."""

    def __call__(self, sender: str, text: str, message_id: str) -> Awaitable[Taken]:
        """What the message did; `message_id` is stable, `in_...`.

        Raises:
            StoreUnavailableError: nothing was done.
        """
        ...


class Queue(Protocol):
    """Takes in messages that tell no event (a test of a webhook); thread-safe to that loop."""

    def __call__(self, messages: Sequence[Message]) -> Awaitable[int]:
        """How many were new; they are queued durably when it returns.

        Raises:
            StoreUnavailableError: none was.
        """
        ...


@dataclass(frozen=True)
class MessageDesk:
    """The messaging part as the door sees it."""

    reader: MessageReader
    replay: Replay
    inbound: InboundCall
    #: None = nothing can be queued by a call.
    queue: Queue | None = None
    #: Whether there is an SMS channel.
    sends_sms: bool = False


@dataclass(frozen=True)
class Settings:
    """Bounds of the door; every one has a limit, so that nothing grows without end."""

    #: Bytes of a request body.
    body_max: int = 262_144
    #: Seconds for a whole body to arrive.
    body_seconds: float = 10.0
    #: Requests at once with one key.
    requests_at_once: int = 256
    #: Calls at once in all.
    calls_at_once: int = 1024
    #: Journal entries that a preview looks at, at most.
    preview_entries_max: int = 20_000


DEFAULT_SETTINGS: Final = Settings()


@dataclass(frozen=True)
class House:
    """Everything behind the door."""

    submit: Submit
    keep: Keep
    reader: Reader
    #: The key of an id, revoked or not.
    find_key: Callable[[str], ApiKey | None]
    #: Policy and response codes that hold now; another value as soon as others are adopted.
    in_force: Callable[[], InForce]
    clock: Clock
    vault: CardVault
    words: Words
    rooms: Rooms
    #: Where metrics are collected; the engine's are in it too.
    metrics: CollectorRegistry
    #: Empty while the house takes work; else why not, in a few words.
    unready: Callable[[], str]
    #: `find_key` asks a database and may wait, so it is called off the loop.
    asks_for_keys: bool = False
    #: What the store promises less than it should, in sentences; shown by `/readyz`.
    weaknesses: tuple[str, ...] = ()
    #: What is shown of metrics where that is more than `metrics`: those of other workers too.
    all_metrics: CollectorRegistry | None = None
    #: The clock once more where it can be set (`--test-mode`); None = real time.
    test_clock: MovableClock | None = None
    #: The messaging part; None = this house sends no messages.
    messages: MessageDesk | None = None
    #: Decides on a copy, for the console's "what if"; None = this house shows none.
    rehearse: Rehearse | None = None
    #: Secrets under which a web gateway may sign inbound messages; none = one of the vault's.
    inbound_secrets: tuple[bytes, ...] = ()
    #: Changes of the policy; None = they cannot be made here.
    policies: PolicyDesk | None = None
    settings: Settings = DEFAULT_SETTINGS
    mint: IdMint = field(default_factory=IdMint)
    #: Held while a trusted contact is named, so that two at once do not pass the bound.
    naming: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def shown_metrics(self) -> CollectorRegistry:
        """The metrics that people and monitoring are shown; to be read off the loop."""
        return self.metrics if self.all_metrics is None else self.all_metrics

    @property
    def policy(self) -> Policy:
        """The policy that holds now."""
        return self.in_force().policy

    @property
    def codes(self) -> ResponseCodes:
        """The response codes that hold now."""
        return self.in_force().codes

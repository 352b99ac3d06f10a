"""The words of messaging: messages, what became of them, and what channels and stores promise.

A message is made once, from one event, for one address, and its id follows from these, so that the
same event never makes another. Everything here is a value or a promise; nothing does anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

#: Names of channels, as preferences, alerts and the API have them.
SMS: Final = "sms"
EMAIL: Final = "email"
#: App push: a webhook to the issuer's push gateway, which knows the cardholder's devices.
PUSH: Final = "push"
WEBHOOK: Final = "webhook"
#: Operators' chat (Apprise).
CHAT: Final = "chat"
CHANNELS: Final = (SMS, EMAIL, PUSH, WEBHOOK, CHAT)
#: Kind of a message that carries a one-time code; its text is shown to nobody but its receiver.
ONE_TIME_CODE: Final = "one_time_code"


class Status(IntEnum):
    """What became of a message. Numbers are stored, never reused. API name: `word`."""

    #: Waits for its turn, or for its next try.
    QUEUED = 0
    #: The other side (SMSC, mail server, endpoint) has taken it.
    SENT = 1
    #: It arrived: a delivery receipt says so.
    DELIVERED = 2
    #: Refused for good, or a receipt says that it cannot arrive (no such number).
    FAILED = 3
    #: Given up after days of tries (dead letter); can be replayed.
    DEAD = 4
    #: Pointless by now: the question that it asks is over. Not sent.
    EXPIRED = 5
    #: The cardholder does not want it, or quiet hours muted it. Not sent.
    MUTED = 6
    #: A budget against abuse is used up. Not sent; can be replayed.
    HELD_BACK = 7

    @property
    def word(self) -> str:
        """Name in the API, for example `held_back`."""
        return self.name.lower()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be tried."""
        return self is not Status.QUEUED


@dataclass(frozen=True)
class Message:
    """One message to one address."""

    #: `msg_` + what follows `evt_` in the event's id + `-` + tag of the address (`sms`, `sms2`,
    #: `email`, `push`, `chat`, or a subscription's id); a reply to an inbound message:
    #: `msg_` + id of that + `-reply`. Stable: the receiver of a repeat sees the same id.
    id: str
    #: The event that it tells; empty for replies.
    event_id: str
    #: Word of the event's kind (`challenge_created`), or `reply`.
    kind: str
    #: 16 bytes; empty where no card is concerned.
    card_key: bytes
    #: Messages of one lane go out one after the other, in the order in which they were planned:
    #: one lane for each card and address.
    lane: str
    #: One of `CHANNELS`.
    channel: str
    #: E.164 number, e-mail address or id of a subscription (webhook: its URL is looked up at each
    #: try); empty where the channel has an address of its own (push, chat).
    #: Never in a log.
    to: str
    #: `zh` or `en`.
    language: str
    #: E-mail and push: a line of its own; else empty.
    subject: str
    #: What a person reads. For webhooks: the JSON body, exactly as it is signed.
    text: str
    #: Instant of the event, UTC ms.
    created_ms: int
    #: From then on it is pointless (the question is over); 0 = never.
    expires_ms: int = 0
    #: Questions about fraud and what ends a danger: first in line, never muted.
    is_urgent: bool = False
    #: The challenge that it asks about; told to be undeliverable when no channel can deliver it.
    challenge: str = ""


@dataclass(frozen=True)
class Planned:
    """A message as it enters the store: to be sent, or kept as not to be (muted, held back ...)."""

    message: Message
    status: Status = Status.QUEUED
    #: Why it is not to be sent, in a few words; else empty.
    detail: str = ""


@dataclass(frozen=True)
class Plan:
    """What one event comes to: its messages, and the budgets that they use up."""

    messages: tuple[Planned, ...] = ()
    #: Names under which one message is counted each (`MessageStore.spend`); with repeats.
    budgets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tracked:
    """A message with its story, as the store has it."""

    message: Message
    #: Order in which it was planned; counts from 1.
    position: int
    status: Status
    tries: int
    #: Machine's time (UTC ms) of the next try; 0 where there is none.
    next_ms: int
    #: Machine's time of planning (of the last replay, where there was one), and of the last change.
    planned_ms: int
    changed_ms: int
    #: Id at the other side (message_id of the SMSC), empty = none yet.
    remote_id: str
    #: Last answer of the other side, in a few words, without the address.
    detail: str


class Verdict(IntEnum):
    """What one try came to."""

    #: The other side has it.
    TAKEN = 1
    #: Not now: throttled, busy, down. Another try makes sense.
    TRY_LATER = 2
    #: Never: the address does not exist, the message is not allowed.
    REFUSED = 3


@dataclass(frozen=True)
class Answer:
    """What a channel says of one try."""

    verdict: Verdict
    #: A few words for operators; no address, no text, no secret.
    detail: str = ""
    remote_id: str = ""
    #: TRY_LATER: the other side asked for at least this pause; 0 = it did not say.
    pause_ms: int = 0
    #: TRY_LATER: the whole channel is in trouble (down, throttled), not this message alone;
    #: this is what opens its circuit breaker.
    is_channel_down: bool = False


@dataclass(frozen=True)
class Receipt:
    """What the other side says later of a message that it took (delivery receipt)."""

    remote_id: str
    #: DELIVERED or FAILED, or SENT for "on its way".
    status: Status
    detail: str = ""


@dataclass(frozen=True)
class Inbound:
    """A text message that came in, whole (parts are put together by the gateway)."""

    #: Stable: the same message delivered twice has the same id. `in_` + digest.
    id: str
    #: As the network told it; made E.164 by who reads it.
    sender: str
    text: str
    #: Machine's time, UTC ms.
    received_ms: int


class Clock(Protocol):
    """The house's clock, or the machine's (pace)."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        ...


class Channel(Protocol):
    """A way to people. One object for each configured channel; it lives on the messaging loop."""

    #: One of `CHANNELS`.
    name: str
    #: Messages that may be on their way at once.
    at_once: int

    async def start(self, desk: Desk) -> None:
        """Connect, or begin trying to; returns at once and never raises for a side that is down."""
        ...

    async def send(self, message: Message) -> Answer:
        """Hand the message to the other side; never raises, and ends within a bounded time."""
        ...

    async def stop(self) -> None:
        """Let go of everything."""
        ...


class Desk(Protocol):
    """Who channels report to."""

    async def receipt(self, receipt: Receipt) -> None:
        """Durably noted when it returns. One for an unknown id is counted and dropped."""
        ...

    async def received(self, inbound: Inbound) -> None:
        """Durably taken when it returns, so that the other side may be told so; twice is once."""
        ...


class MessageStore(Protocol):
    """Keeps messages, receipts and budgets. Called on the messaging loop only.

    There is one teller of `messages.db`. A database may have several: each has a store of its own,
    and what one of them was handed out by `due`, `undeliverable` or `unanswered` no other is, until
    it is over, or until the teller has not called `renew` for so long that it is taken for dead.

    Every method that changes something is one transaction, and no kill takes it back once it has
    returned. A power cut may take back the last ones, whole and in order, but never what somebody
    was told is taken (`take_in`, `replay`, what a call queued). Events are in the main store, so
    what is planned or sent once more goes out under the same ids. Calls are short and synchronous.
    Reading is thread-safe (`MessageReader`).

    Raises (all methods):
        StoreUnavailableError: it cannot be written or read now; nothing changed.
    """

    def renew(self) -> None:
        """Say that this teller lives. Call it when it begins, and then every second.

        What those had who have not said so for a while is handed out again.
        """
        ...

    def cursor(self) -> int:
        """Position of the last event of the outbox that was planned; 0 = none."""
        ...

    def take_cursor(self) -> int | None:
        """The same, for this teller alone until the transaction ends (`together`).

        None where another teller has it: that one plans just now.
        """
        ...

    def together(self, *, is_flushed: bool = False) -> AbstractContextManager[None]:
        """Make one transaction of everything that is called within; all of it or nothing.

        `is_flushed`: it is on the disk when it returns. `take_in`, `replay` and a `plan` that moves
        no cursor need that, and make it so where they are called alone.
        """
        ...

    def plan(self, planned: Sequence[Planned], *, cursor: int, now_ms: int) -> int:
        """Take in messages and move the cursor (-1 = leave it), in one transaction.

        A message whose id is known already is left as it is. Returns how many were new.
        """
        ...

    def due(self, channel: str, now_ms: int, limit: int, busy: frozenset[str]) -> list[Tracked]:
        """Heads of lanes of a channel whose time has come, urgent ones first, then by position.

        The head of a lane is its first message that is still QUEUED; lanes in `busy` have one on
        its way and are left out. No other teller gets these lanes until the message is noted.
        """
        ...

    def note(self, changes: Sequence[Change]) -> None:
        """Write down what became of messages."""
        ...

    def note_receipt(self, channel: str, receipt: Receipt, now_ms: int) -> Tracked | None:
        """The message that a receipt speaks of, after the change; None where none is known.

        One that came before its message was noted as sent waits for that, for a while.
        """
        ...

    def waiting(self, channel: str) -> tuple[int, int]:
        """How many messages of a channel wait, and when the oldest was planned (0 = none)."""
        ...

    def forget_receipts(self, before_ms: int) -> int:
        """Drop receipts that found no message and are older; returns how many."""
        ...

    def overdue(self, channel: str, planned_before_ms: int, limit: int) -> list[Tracked]:
        """Messages of a channel that still wait and were planned before an instant."""
        ...

    def hurry(self, latest_ms: int) -> None:
        """Let no message wait for a later instant than this one (the clock was set back)."""
        ...

    def undeliverable(self, limit: int) -> list[Message]:
        """Challenges that no message can bring any more and nobody was told of: their last one."""
        ...

    def told_undeliverable(self, challenge: str) -> None:
        """Who must know of a challenge that it is undeliverable has been told."""
        ...

    def replay(self, ids: Sequence[str], now_ms: int) -> int:
        """Queue messages that are over (dead, failed, held back ...) again; returns how many."""
        ...

    def spent(self, budget: str, since_ms: int) -> int:
        """How many messages were counted under a budget's name since an instant."""
        ...

    def spend(self, budgets: Sequence[str], at_ms: int) -> None:
        """Count one message under each of these names."""
        ...

    def take_in(self, inbound: Inbound) -> bool:
        """Keep an inbound message until it is answered; False where its id was seen before."""
        ...

    def unanswered(self, limit: int) -> list[Inbound]:
        """Inbound messages that were taken in and not answered yet, oldest first.

        Whose first message is handed out here is this teller's until nothing of theirs waits.
        """
        ...

    def waiting_inbound(self) -> int:
        """How many inbound messages were not answered yet, whoever shall do it."""
        ...

    def answered(self, inbound_id: str, reply: Planned | None, now_ms: int) -> None:
        """An inbound message was carried out; with its reply, in one transaction."""
        ...

    def forget_before(self, instant_ms: int, limit: int) -> int:
        """Forget some of what is over and older; returns how many rows went."""
        ...

    def forget_spending(self, before_ms: int, limit: int) -> int:
        """Forget some of what was counted before an instant; returns how many rows went."""
        ...


@dataclass(frozen=True)
class Change:
    """What became of one message."""

    id: str
    status: Status
    tries: int
    next_ms: int
    now_ms: int
    remote_id: str = ""
    detail: str = ""


class MessageReader(Protocol):
    """Reads messages from any thread; for the HTTP door, the command line and metrics."""

    def message(self, message_id: str) -> Tracked | None:
        """One message with its story."""
        ...

    def messages(
        self,
        *,
        event_id: str = "",
        card_key: bytes = b"",
        status: Status | None = None,
        channel: str = "",
        before: int = 0,
        after: int = 0,
        limit: int = 100,
    ) -> list[Tracked]:
        """Messages newest first, by position; bounds as in `ports.Reader`."""
        ...

    def backlog(self) -> dict[tuple[str, Status], int]:
        """How many messages there are of each channel and status."""
        ...

    def oldest_queued_ms(self, channel: str) -> int:
        """When the oldest message that still waits was planned; 0 = none waits."""
        ...

"""The wiring of messaging: channels as messages.toml says, the outbox, what the house asks of it.

It lives in a process of its own (`messaging_process`). It reads the main store, and changes it
through the engine only.
"""

from __future__ import annotations

import json
import secrets as chance
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from prometheus_client import CollectorRegistry

from zhiwei.core.command import Command, MarkUndeliverable
from zhiwei.core.policy import Policy
from zhiwei.core.result import Result
from zhiwei.gateways.chat import chat_channel
from zhiwei.gateways.email import email_channel
from zhiwei.gateways.http.events import event_document
from zhiwei.gateways.http.subscription_secrets import secrets_of
from zhiwei.gateways.push import push_channel
from zhiwei.gateways.sms import sms_channel
from zhiwei.gateways.webhooks import webhook_channel
from zhiwei.messaging.conversation import Conversation
from zhiwei.messaging.entry import MessagingEntry
from zhiwei.messaging.model import Channel, Clock, Message, MessageStore
from zhiwei.messaging.outbox import EventReader, Outbox
from zhiwei.messaging.planner import Planner
from zhiwei.messaging.settings import MessagingSettings
from zhiwei.messaging.texts import Texts
from zhiwei.messaging_metrics import MessagingMetrics
from zhiwei.messaging_process.orders import ACTOR
from zhiwei.ports import EventRow, Reader, Subscription
from zhiwei.services.stop_payment import read_command
from zhiwei.vault import Vault
from zhiwei.words import Sentences
from zhiwei.zones import load_zone

_NONCE_BYTES: Final = 8


class SendingStore(MessageStore, Protocol):
    """A store that whoever sends from it closes."""

    def close(self) -> None:
        """Let go of it."""
        ...


class PathEntry(Protocol):
    """The path, from another process."""

    def submit(self, commands: list[Command]) -> Awaitable[list[Result]]:
        """Carry out all or none."""
        ...

    def settle_contact(self, contact_id: str, word: str) -> Awaitable[None]:
        """A trusted contact said `agree` or `end` by text message."""
        ...

    def gone(self, subscription: str) -> Awaitable[None]:
        """The endpoint of a subscription said that it is there no more (410)."""
        ...


@dataclass(frozen=True)
class Surroundings:
    """What messaging needs of the rest of the house."""

    #: Keeps the messages.
    store: SendingStore
    #: The events, and the cards' files as new as those.
    events: EventReader
    planning: Reader
    #: The files as they are now.
    reader: Reader
    path: PathEntry
    #: The policy in force; it may be another one later.
    policy: Callable[[], Policy]
    words: Sentences
    vault: Vault
    #: The house's clock, and the one that tries are timed by: the machine's, or the database's,
    #: which is the same for all servers.
    clock: Clock
    pace: Clock
    registry: CollectorRegistry
    #: Only addresses of this machine are spoken to (`--test-mode`).
    only_loopback: bool


class Messaging:
    """Messaging as its process starts and stops it."""

    def __init__(self, settings: MessagingSettings, around: Surroundings) -> None:
        """Put the parts together; `start` begins.

        Raises:
            MessagesFileError: messages.toml says something that is not allowed.
        """
        metrics = MessagingMetrics(around.registry)
        channels = _channels(settings, around, metrics)
        self._store: Final = around.store
        conversation = Conversation(
            reader=around.reader,
            submit=around.path.submit,
            texts=around.words,
            policy=around.policy,
            read_command=read_command,
            counts=self._store,
            clock=around.clock,
            settle=around.path.settle_contact,
            observe=metrics.inbound,
        )
        planner = Planner(
            around.planning,
            Texts(
                around.words,
                settings.alerts,
                sms_may_approve=lambda: around.policy().sms_may_approve,
                entry_of=around.planning.entry,
            ),
            settings,
            channels=frozenset(channel.name for channel in channels),
            event_json=_event_json,
        )
        self._outbox: Final = Outbox(
            around.events,
            self._store,
            channels,
            planner=planner.plan,
            look=planner.look,
            on_inbound=conversation.on_inbound,
            on_undeliverable=_marks_undeliverable(around.path),
            clock=around.clock,
            pace=around.pace,
            settings=settings.outbox,
            observer=metrics,
        )
        self.entry: Final = MessagingEntry(
            self._store,
            conversation,
            around.clock,
            around.pace,
            sends_replies=settings.inbound.sends_replies,
            on_planned=self._outbox.poke,
        )

    async def start(self) -> None:
        """Start the channels; one whose other side is down is no error.

        Raises:
            StoreUnavailableError: a store cannot be read.
        """
        await self._outbox.start()

    async def stop(self) -> None:
        """Let what is on its way end, within a bound."""
        await self._outbox.stop()
        self._store.close()


def _channels(
    settings: MessagingSettings, around: Surroundings, metrics: MessagingMetrics
) -> list[Channel]:
    """The channels that messages.toml has."""
    tables = settings.channels
    only_loopback = around.only_loopback
    channels: list[Channel] = []
    if "sms" in tables:
        channels.append(
            sms_channel(
                tables["sms"],
                only_loopback=only_loopback,
                clock=around.pace,
                count=metrics.on_the_line,
            )
        )
    if "email" in tables:
        channels.append(email_channel(tables["email"], only_loopback=only_loopback))
    if "push" in tables:
        channels.append(push_channel(tables["push"], only_loopback=only_loopback))
    if "chat" in tables:
        channels.append(chat_channel(tables["chat"], only_loopback=only_loopback))

    def find(subscription: str) -> Subscription | None:
        return around.reader.record(Subscription, subscription)

    def valid_secrets(subscription: Subscription) -> Sequence[str]:
        return secrets_of(around.vault, subscription, around.clock.now_ms())

    channels.append(
        webhook_channel(
            tables["webhooks"],
            only_loopback=only_loopback,
            find=find,
            secrets_of=valid_secrets,
            on_gone=around.path.gone,
        )
    )
    for table in tables.values():
        table.done()
    return channels


def _event_json(row: EventRow) -> str:
    """The body of a webhook: the event as the API shows it."""
    return json.dumps(event_document(row), ensure_ascii=False, separators=(",", ":"))


def _marks_undeliverable(path: PathEntry) -> Callable[[Message], Awaitable[None]]:
    """Tells the card's file that a question reached nobody."""

    async def mark(message: Message) -> None:
        change = MarkUndeliverable(message.challenge)
        nonce = chance.token_bytes(_NONCE_BYTES)
        await path.submit([Command(message.card_key, change=change, actor=ACTOR, nonce=nonce)])

    return mark


# Files of cards name zones; see `assemble`.
assert load_zone("Asia/Shanghai") is not None, "there is no zone database"

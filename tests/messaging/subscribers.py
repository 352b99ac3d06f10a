"""Subscribers for the tests of webhooks: what a channel asks of the house; a try at an endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.messaging.endpoints import Behaviour, Endpoint, NoDesk, endpoint, message, run

from zhiwei.gateways.outgoing.addresses import Reach
from zhiwei.gateways.outgoing.sending import Bounds, Sender
from zhiwei.gateways.outgoing.signing import secret_text
from zhiwei.gateways.webhooks import WebhookChannel
from zhiwei.messaging.model import Answer
from zhiwei.ports import StoreUnavailableError, Subscription

SECRET = secret_text(bytes(range(32)))
OLD_SECRET = secret_text(bytes(range(1, 33)))
#: Patient where nothing is to go wrong; where something hangs, a test says so itself.
SHORT = Bounds(connect_s=0.3, read_s=0.3, total_s=0.5, rest_s=0.2)


@dataclass
class Subscribers:
    """What a channel asks of the house."""

    known: dict[str, Subscription] = field(default_factory=dict)
    secrets: Sequence[str] = (SECRET,)
    gone: list[str] = field(default_factory=list)
    fails: bool = False
    cannot_keep: bool = False

    def find(self, subscription_id: str) -> Subscription | None:
        """A subscription by its id."""
        if self.fails:
            raise StoreUnavailableError
        return self.known.get(subscription_id)

    async def on_gone(self, subscription_id: str) -> None:
        """Switch one off."""
        if self.cannot_keep:
            raise StoreUnavailableError
        self.gone.append(subscription_id)

    def add(self, url: str, subscription_id: str = "sub_1", **changes: Any) -> None:  # noqa: ANN401 - fields of Subscription
        """Subscribe an address."""
        self.known[subscription_id] = Subscription(subscription_id, 1, url, **changes)

    def channel(
        self,
        reach: Reach = Reach.LOOPBACK_ONLY,
        bounds: Bounds | None = None,
        **more: Any,  # noqa: ANN401 - of Sender and WebhookChannel
    ) -> WebhookChannel:
        """A channel for these subscribers."""
        ours = {name: more.pop(name) for name in ("resolve", "tls") if name in more}
        sender = Sender(reach, bounds, **ours)
        return WebhookChannel(
            sender,
            find=self.find,
            secrets_of=lambda _: self.secrets,
            on_gone=self.on_gone,
            **more,
        )


@asynccontextmanager
async def started(channel: WebhookChannel) -> AsyncIterator[WebhookChannel]:
    """A channel from start to stop."""
    await channel.start(NoDesk())
    try:
        yield channel
    finally:
        await channel.stop()


def sent_to(
    behave: Behaviour,
    bounds: Bounds | None = None,
    **changes: Any,  # noqa: ANN401 - of a message
) -> tuple[Answer, Endpoint, Subscribers]:
    """What a message comes to at an endpoint."""
    subscribers = Subscribers()

    async def scenario() -> tuple[Answer, Endpoint, Subscribers]:
        async with endpoint(behave) as made, started(subscribers.channel(bounds=bounds)) as channel:
            subscribers.add(made.url)
            return await channel.send(message(**changes)), made, subscribers

    return run(scenario())

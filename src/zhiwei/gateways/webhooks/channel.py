"""WebhookChannel: events to the addresses that subscribed to them (Standard Webhooks).

Each message is signed under every secret of its subscription that is valid now, and keeps its id in
every try. A subscriber that answers 410 is switched off; everything else but 2xx is tried again
until the message is given up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias, final

import structlog

from zhiwei.core.errors import ZhiweiError
from zhiwei.gateways.outgoing.addresses import reach_of
from zhiwei.gateways.outgoing.sending import GONE, Bounds, Sender, answer_of, host_of, machine_ms
from zhiwei.gateways.outgoing.settings import trusted_tls
from zhiwei.gateways.outgoing.signing import signed_headers
from zhiwei.gateways.webhooks.endpoints import Endpoints
from zhiwei.messaging.model import WEBHOOK, Answer, Desk, Message, Verdict
from zhiwei.messaging.settings import Table
from zhiwei.ports import Subscription

_LOG: Final = structlog.get_logger(__name__)

#: A subscription by its id, deleted or not.
Find: TypeAlias = "Callable[[str], Subscription | None]"
#: The secrets of a subscription that are valid now, the newest first.
SecretsOf: TypeAlias = "Callable[[Subscription], Sequence[str]]"
#: Switches a subscription off whose endpoint answered 410. May be called more than once.
OnGone: TypeAlias = "Callable[[str], Awaitable[None]]"


@final
class WebhookChannel:
    """Sends webhooks; `Message.to` is the id of a subscription."""

    name: str = WEBHOOK

    def __init__(
        self,
        sender: Sender,
        *,
        find: Find,
        secrets_of: SecretsOf,
        on_gone: OnGone,
        at_once: int = 128,
        now_ms: Callable[[], int] = machine_ms,
    ) -> None:
        """One endpoint gets at most a quarter of `at_once`, so that slow ones leave room."""
        self.at_once = at_once
        self._sender: Final = sender
        self._find: Final = find
        self._secrets_of: Final = secrets_of
        self._on_gone: Final = on_gone
        self._now_ms: Final = now_ms
        self._endpoints: Final = Endpoints(max(1, at_once // 4))

    async def start(self, desk: Desk) -> None:
        """Connections are made when there is something to send."""

    async def stop(self) -> None:
        """Close all connections."""
        await self._sender.close()

    async def send(self, message: Message) -> Answer:
        """Post one message to its subscriber."""
        try:
            subscription = self._find(message.to)
            if subscription is None or subscription.deleted_ms:
                return Answer(Verdict.REFUSED, "the subscription is deleted")
            if subscription.disabled_ms:
                return Answer(Verdict.REFUSED, "the subscription is switched off")
            secrets = self._secrets_of(subscription)
        except ZhiweiError:
            return Answer(Verdict.TRY_LATER, "the subscription cannot be read now")
        wait = self._endpoints.begin(subscription.id, self._now_ms())
        if wait is not None:
            return Answer(Verdict.TRY_LATER, wait.detail, pause_ms=wait.pause_ms)
        reply = None
        try:
            headers = signed_headers(message.id, message.text, secrets, self._now_ms())
            reply = await self._sender.post(subscription.url, message.text, headers)
        finally:
            self._endpoints.end(subscription.id, reply, self._now_ms())
        if reply.status == GONE:
            await self._switch_off(subscription)
            return Answer(Verdict.REFUSED, "answered 410: the subscription is switched off")
        return answer_of(reply)

    async def _switch_off(self, subscription: Subscription) -> None:
        """Tell the house; where it cannot be kept now, the next 410 tells it again."""
        host = host_of(subscription.url)
        try:
            await self._on_gone(subscription.id)
        except ZhiweiError as error:
            _LOG.warning("webhook_not_switched_off", host=host, why=str(error))
            return
        _LOG.warning("webhook_switched_off", subscription=subscription.id, host=host)


def webhook_channel(
    table: Table, *, only_loopback: bool, find: Find, secrets_of: SecretsOf, on_gone: OnGone
) -> WebhookChannel:
    """The channel as `[webhooks]` says.

    Settings: `allow_private` (false), `at_once` (128), `timeout_seconds` (15), `ca_file`.

    Raises:
        MessagesFileError: the table says something that is not allowed.
    """
    allow_private = table.truth("allow_private", default=False)
    at_once = table.whole("at_once", 128, 1, 1_000)
    seconds = table.whole("timeout_seconds", 15, 1, 60)
    tls = trusted_tls(table)
    table.done()
    reach = reach_of(allow_private=allow_private, only_loopback=only_loopback)
    bounds = Bounds(total_s=seconds, connections=at_once)
    return WebhookChannel(
        Sender(reach, bounds, tls=tls),
        find=find,
        secrets_of=secrets_of,
        on_gone=on_gone,
        at_once=at_once,
    )

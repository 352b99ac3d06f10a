"""PushChannel: one signed POST for each message to the issuer's push gateway.

The body is `Message.text`, exactly as it is signed (Standard Webhooks). 2xx = taken; 410 and 422 =
this message cannot arrive (no device, not acceptable); everything else is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, final
from urllib.parse import urlsplit

from zhiwei.gateways.outgoing.addresses import reach_of
from zhiwei.gateways.outgoing.sending import GONE, Bounds, Sender, answer_of, machine_ms
from zhiwei.gateways.outgoing.settings import trusted_tls
from zhiwei.gateways.outgoing.signing import is_secret, signed_headers
from zhiwei.messaging.model import PUSH, Answer, Desk, Message, Verdict
from zhiwei.messaging.settings import Table

_REFUSALS: Final = frozenset((GONE, 422))


@final
class PushChannel:
    """Sends app pushes through the issuer's gateway."""

    name: str = PUSH

    def __init__(
        self,
        sender: Sender,
        url: str,
        secrets: Sequence[str],
        *,
        at_once: int = 64,
        now_ms: Callable[[], int] = machine_ms,
    ) -> None:
        """`secrets`: all that are valid, the newest first."""
        self.at_once = at_once
        self._sender: Final = sender
        self._url: Final = url
        self._secrets: Final = tuple(secrets)
        self._now_ms: Final = now_ms

    async def start(self, desk: Desk) -> None:
        """Connections are made when there is something to send."""

    async def stop(self) -> None:
        """Close all connections."""
        await self._sender.close()

    async def send(self, message: Message) -> Answer:
        """Post one message to the gateway."""
        headers = signed_headers(message.id, message.text, self._secrets, self._now_ms())
        reply = await self._sender.post(self._url, message.text, headers)
        if reply.status in _REFUSALS:
            return Answer(Verdict.REFUSED, reply.detail)
        return answer_of(reply, is_channel_down=True)


def push_channel(table: Table, *, only_loopback: bool) -> PushChannel:
    """The channel as `[push]` says.

    Settings: `url` (or `url_file`, `url_env`: it may hold a secret), `secret` and, while it is
    being changed, `previous_secret` (`whsec_…`, 24 to 64 bytes in base64), `allow_private` (true:
    the gateway is the issuer's own), `at_once` (64), `timeout_seconds` (10), `ca_file`.

    Raises:
        MessagesFileError: the table says something that is not allowed.
    """
    url = _address(table)
    secrets = [table.secret("secret")]
    previous = table.secret("previous_secret", "")
    if previous:
        secrets.append(previous)
    for secret, name in zip(secrets, ("secret", "previous_secret"), strict=False):
        if not is_secret(secret):
            raise table.wrong(name, "is `whsec_` and 24 to 64 bytes in base64")
    allow_private = table.truth("allow_private", default=True)
    at_once = table.whole("at_once", 64, 1, 1_000)
    seconds = table.whole("timeout_seconds", 10, 1, 60)
    tls = trusted_tls(table)
    table.done()
    reach = reach_of(allow_private=allow_private, only_loopback=only_loopback)
    bounds = Bounds(total_s=seconds, connections=at_once)
    return PushChannel(Sender(reach, bounds, tls=tls), url, secrets, at_once=at_once)


def _address(table: Table) -> str:
    url = table.secret("url")
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("https", "http") and bool(parts.hostname)
        is_good = is_good and (parts.port is None or parts.port > 0) and not parts.username
    except ValueError:
        is_good = False
    if not is_good or not url.isascii() or not url.isprintable() or " " in url:
        raise table.wrong("url", "is an https or http address with a host and without a user")
    return url

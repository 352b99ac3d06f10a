"""sms_channel: the one channel for text messages, as `[sms]` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from zhiwei.gateways.outgoing.sending import machine_ms
from zhiwei.gateways.sms.http_gateway import HttpSmsChannel, http_channel
from zhiwei.gateways.sms.inbox import Clock
from zhiwei.gateways.sms.settings import smpp_settings
from zhiwei.gateways.sms.smpp import SmppChannel
from zhiwei.messaging.settings import Table


@final
class _Machine:
    def now_ms(self) -> int:
        return machine_ms()


def _nothing(word: str) -> None:
    """Count nothing."""


def sms_channel(
    table: Table,
    *,
    only_loopback: bool,
    clock: Clock | None = None,
    count: Callable[[str], object] | None = None,
) -> SmppChannel | HttpSmsChannel:
    """The channel as `[sms]` says: `kind` is `smpp` or `http`.

    Args:
        table: `[sms]` of messages.toml.
        only_loopback: speak to this machine only (`--test-mode`).
        clock: the machine's time, for what comes in.
        count: told of what happens on the line, for metrics, in words of a small set; see
            `docs/operating/sms.md`.

    Raises:
        MessagesFileError: the table says something that is not allowed.
    """
    if table.choice("kind", None, ("smpp", "http")) == "http":
        return http_channel(table, only_loopback=only_loopback)
    settings = smpp_settings(table, only_loopback=only_loopback)
    return SmppChannel(settings, clock or _Machine(), count or _nothing)

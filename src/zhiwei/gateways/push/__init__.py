"""App push: messages for the issuer's own push gateway, which knows the cardholder's devices."""

from __future__ import annotations

from zhiwei.gateways.push.channel import PushChannel, push_channel

__all__ = ["PushChannel", "push_channel"]

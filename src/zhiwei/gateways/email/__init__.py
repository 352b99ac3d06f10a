"""E-mail: messages through the issuer's mail server."""

from __future__ import annotations

from zhiwei.gateways.email.channel import EmailChannel, email_channel

__all__ = ["EmailChannel", "email_channel"]

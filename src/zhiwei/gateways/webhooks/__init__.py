"""Webhooks: events for the issuer's own systems, by Standard Webhooks."""

from __future__ import annotations

from zhiwei.gateways.webhooks.channel import WebhookChannel, webhook_channel

__all__ = ["WebhookChannel", "webhook_channel"]

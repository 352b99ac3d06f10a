"""Operators' chat: messages to DingTalk, Feishu, WeCom, Slack and others through Apprise."""

from __future__ import annotations

from zhiwei.gateways.chat.channel import ChatChannel, chat_channel

__all__ = ["ChatChannel", "chat_channel"]

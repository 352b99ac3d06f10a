"""Text messages: over SMPP 3.4 (`smpp.py`), or through a gateway with a web interface."""

from __future__ import annotations

from zhiwei.gateways.sms.channel import sms_channel
from zhiwei.gateways.sms.http_gateway import HttpSmsChannel
from zhiwei.gateways.sms.smpp import SmppChannel

__all__ = ["HttpSmsChannel", "SmppChannel", "sms_channel"]

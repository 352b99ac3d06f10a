"""Lanes: the stable names of messages and of the lanes in which they go out."""

from __future__ import annotations

from hashlib import sha256

from zhiwei.core.ids import card_id
from zhiwei.ports import EventRow


def message_id(row: EventRow, tag: str) -> str:
    """The same event and address make the same id."""
    return f"msg_{row.id.removeprefix('evt_')}-{tag}"


def lane_of(row: EventRow, channel: str, address: str) -> str:
    """One lane for each card and address; a lane may be shown where an address may not."""
    digest = sha256(address.encode()).hexdigest()[:16] if address else ""
    return f"{card_id(row.card_key)}-{channel}-{digest}".rstrip("-")

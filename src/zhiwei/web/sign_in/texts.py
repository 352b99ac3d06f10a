"""Texts of the entrance: messages to one phone that belong to no event of a card."""

from __future__ import annotations

from zhiwei.messaging.model import SMS, Message
from zhiwei.messaging.wording import in_gsm7


def text_to(
    number: str,
    language: str,
    text: str,
    *,
    kind: str,
    message_id: str,
    created_ms: int,
    expires_ms: int = 0,
) -> Message:
    """An urgent text message to an E.164 number; `expires_ms` 0 = it never expires."""
    return Message(
        id=message_id,
        event_id="",
        kind=kind,
        card_key=b"",
        # A lane of its own: no older message to this number holds it up.
        lane=f"{kind}|{message_id}",
        channel=SMS,
        to=number,
        language=language,
        subject="",
        text=in_gsm7(text) if language == "en" else text,
        created_ms=created_ms,
        expires_ms=expires_ms,
        is_urgent=True,
    )

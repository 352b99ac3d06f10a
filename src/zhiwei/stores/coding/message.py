"""Rows of the table `message` as values, and back; the columns are the same in every store."""

from __future__ import annotations

from typing import Any

from zhiwei.messaging.model import Message, Planned, Status, Tracked


def tracked_of(row: tuple[Any, ...]) -> Tracked:
    """The message of a row of `select * from message`."""
    message = Message(
        id=row[1],
        event_id=row[2],
        kind=row[3],
        card_key=row[4],
        lane=row[5],
        channel=row[6],
        to=row[7],
        language=row[8],
        subject=row[9],
        text=row[10],
        created_ms=row[11],
        expires_ms=row[12],
        is_urgent=bool(row[13]),
        challenge=row[14],
    )
    return Tracked(
        message=message,
        position=row[0],
        status=Status(row[15]),
        tries=row[16],
        next_ms=row[17],
        planned_ms=row[18],
        changed_ms=row[19],
        remote_id=row[20],
        detail=row[21],
    )


def row_of(planned: Planned, now_ms: int) -> tuple[Any, ...]:
    """The parameters of `insert_message`."""
    one = planned.message
    return (
        one.id,
        one.event_id,
        one.kind,
        one.card_key,
        one.lane,
        one.channel,
        one.to,
        one.language,
        one.subject,
        one.text,
        one.created_ms,
        one.expires_ms,
        int(one.is_urgent),
        one.challenge,
        int(planned.status),
        now_ms,
        now_ms,
        planned.detail,
    )

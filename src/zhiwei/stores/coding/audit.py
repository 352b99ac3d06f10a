"""Audit: a line of the audit trail as bytes."""

from __future__ import annotations

from typing import Any, Final

from zhiwei.core.command import Actor
from zhiwei.core.result import Audit
from zhiwei.ports import AuditRow, CorruptFileError
from zhiwei.stores.coding.command import actor_list, actor_of
from zhiwei.stores.coding.frame import DAMAGE, Part, pack, sealed, unpacked

FORMAT: Final = 1
_PART: Final = Part("audit", FORMAT)


def encode_audit(audit: Audit, actor: Actor, card_key: bytes, at_ms: int) -> bytes:
    """A line, sealed; `card_key` is empty where no card is concerned."""
    content: list[Any] = [
        FORMAT,
        at_ms,
        actor_list(actor),
        audit.action,
        audit.subject,
        audit.old,
        audit.new,
    ]
    return sealed(pack(content), card_key, _PART)


def decode_audit(body: bytes, card_key: bytes) -> tuple[int, Actor, Audit]:
    """When, who and what.

    Raises:
        CorruptFileError: the bytes are damaged, or another card's.
    """
    try:
        row = unpacked(body, card_key, _PART)
        return row[1], actor_of(row[2]), Audit(row[3], row[4], row[5], row[6])
    except DAMAGE as error:
        raise CorruptFileError from error


def audit_row(position: int, card_key: bytes, body: bytes) -> AuditRow:
    """A line as readers give it.

    Raises:
        CorruptFileError: the bytes are damaged, or another card's.
    """
    at_ms, actor, audit = decode_audit(body, card_key)
    return AuditRow(position, at_ms, actor, card_key, audit)

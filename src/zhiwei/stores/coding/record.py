"""Records that are in no card's file: cardholders and what they prefer, keys, reports, answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from zhiwei.ports import (
    ApiKey,
    Cardholder,
    CaseFile,
    Checkup,
    ContactConsent,
    CorruptFileError,
    Kept,
    KeyCheck,
    MessagePreferences,
    PolicyChange,
    PolicyText,
    R,
    Record,
    Replacing,
    StoredAnswer,
    Subscription,
    TrustedContact,
)
from zhiwei.stores.coding.frame import DAMAGE, Part, opened, sealed

#: Names of kinds are stored, never reused.
KIND_NAMES: Final[dict[type[Any], str]] = {
    Cardholder: "cardholder",
    ApiKey: "api_key",
    Checkup: "checkup",
    StoredAnswer: "stored_answer",
    Subscription: "subscription",
    PolicyText: "policy",
    KeyCheck: "key_check",
    MessagePreferences: "message_preferences",
    CaseFile: "case_file",
    PolicyChange: "policy_change",
    TrustedContact: "trusted_contact",
    ContactConsent: "contact_consent",
}
KINDS: Final = {name: kind for kind, name in KIND_NAMES.items()}
_WITH_SUBJECT: Final = (ApiKey, Checkup, TrustedContact, ContactConsent)
_PART: Final = Part("record", 0)


def subject_of(record: Record) -> str:
    """What a record is listed under: `ports.Reader.records` says which."""
    if isinstance(record, Cardholder):
        return record.phone
    if isinstance(record, PolicyChange):
        return record.state
    return record.subject if isinstance(record, _WITH_SUBJECT) else ""


def stands(record: Record | None, oldest_ms: int) -> bool:
    """Whether nothing but itself may replace a record; answers from after `oldest_ms` stand.

    Stores with a query language say the same in it (`put_record`).
    """
    if isinstance(record, StoredAnswer):
        return record.created_ms > oldest_ms
    return isinstance(record, PolicyChange) and record.state != "proposed"


def kind_name(record: Record) -> str:
    """Under which kind it is kept."""
    return KIND_NAMES[type(record)]


def plain_records(kept: Sequence[Kept]) -> list[Record]:
    """The records themselves, whatever they replace."""
    return [one.record if isinstance(one, Replacing) else one for one in kept]


def minded(kept: Sequence[Kept]) -> list[Replacing]:
    """Those that mind what they replace."""
    return [one for one in kept if isinstance(one, Replacing)]


def is_as_seen(one: Replacing, body: bytes | None) -> bool:
    """Whether what is kept under a record's name, None = nothing, is what its maker had seen.

    Values are compared, not bytes: an older program may have written it.

    Raises:
        CorruptFileError: what is kept is damaged.
    """
    kind: type[Any] = type(one.record)
    return one.seen == (None if body is None else record_of(kind, one.record.id, body))


def record_row(record: Record) -> tuple[str, str, str, int, bytes]:
    """Kind, id, subject, time of making and body of a record."""
    kind = KIND_NAMES[type(record)]
    body = sealed(msgspec.json.encode(record), f"{kind}/{record.id}".encode(), _PART)
    return kind, record.id, subject_of(record), record.created_ms, body


def record_of(kind: type[R], record_id: str, body: bytes) -> R:
    """The record of a row.

    Raises:
        CorruptFileError: the row is damaged.
    """
    try:
        content = opened(body, f"{KIND_NAMES[kind]}/{record_id}".encode(), _PART)
        return msgspec.json.decode(content, type=kind)
    except DAMAGE as error:
        raise CorruptFileError from error

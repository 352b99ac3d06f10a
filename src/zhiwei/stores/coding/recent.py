"""Recent keys: the digests by which a card's latest entries are found, kept in the card's file.

That a message is new must be proved for nearly every message. With the keys in the file the proof
costs no query. Each record has 16 bytes: 8 of the digest, version, and second of filing; the entry
holds the whole digest, and whoever finds a record compares it. Records stand in order of time.
"""

from __future__ import annotations

from typing import Final

from zhiwei.ports import CorruptFileError
from zhiwei.stores.coding.frame import Part, opened, sealed

#: Keys are found for seven days, since reversals come late.
KEPT_SECONDS: Final = 7 * 86_400
RECORD_BYTES: Final = 16
_DIGEST_BYTES: Final = 8
_VERSION_END: Final = 12
_PART: Final = Part("recent", 0)


def record_of(digest: bytes, version: int, now_ms: int) -> bytes:
    """One record."""
    return digest[:_DIGEST_BYTES] + ((version << 32) | (now_ms // 1000)).to_bytes(8, "big")


def may_hold(records: bytes, digest: bytes) -> bool:
    """False only if no entry is filed under the digest: the quick answer for nearly all of them."""
    return records.find(digest[:_DIGEST_BYTES]) >= 0


def versions_found(records: bytes, digest: bytes, now_ms: int) -> list[int]:
    """Versions of the entries filed under a digest in the last seven days, oldest first."""
    found: list[int] = []
    needle = digest[:_DIGEST_BYTES]
    at = records.find(needle)
    while at >= 0:
        if at % RECORD_BYTES == 0:
            second = int.from_bytes(records[at + _VERSION_END : at + RECORD_BYTES], "big")
            if second + KEPT_SECONDS > now_ms // 1000:
                version = int.from_bytes(records[at + _DIGEST_BYTES : at + _VERSION_END], "big")
                if version not in found:
                    found.append(version)
        at = records.find(needle, at + 1)
    return found


def without_expired(records: bytes, now_ms: int) -> bytes:
    """The records of the last seven days."""
    oldest = now_ms // 1000 - KEPT_SECONDS
    at = 0
    size = len(records)
    while at < size:
        if int.from_bytes(records[at + _VERSION_END : at + RECORD_BYTES], "big") > oldest:
            break
        at += RECORD_BYTES
    return records[at:] if at else records


def without_versions_up_to(records: bytes, version: int) -> bytes:
    """The records of later entries than this."""
    at = 0
    size = len(records)
    while at < size:
        if int.from_bytes(records[at + _DIGEST_BYTES : at + _VERSION_END], "big") > version:
            break
        at += RECORD_BYTES
    return records[at:] if at else records


def rows_of(records: bytes) -> list[tuple[bytes, int, int]]:
    """Digest (8 bytes), version and second of each record."""
    return [
        (
            records[at : at + _DIGEST_BYTES],
            int.from_bytes(records[at + _DIGEST_BYTES : at + _VERSION_END], "big"),
            int.from_bytes(records[at + _VERSION_END : at + RECORD_BYTES], "big"),
        )
        for at in range(0, len(records), RECORD_BYTES)
    ]


def records_of(records: bytes) -> list[bytes]:
    """The records one by one."""
    return [records[at : at + RECORD_BYTES] for at in range(0, len(records), RECORD_BYTES)]


def encode_recent(records: bytes, spilled_until: int, card_key: bytes) -> bytes:
    """The records, and until which second older ones were moved elsewhere (0 = none), sealed."""
    return sealed(spilled_until.to_bytes(4, "big") + records, card_key, _PART)


def decode_recent(blob: bytes, card_key: bytes) -> tuple[bytes, int]:
    """Records, and until which second older ones were moved elsewhere.

    Raises:
        CorruptFileError: the blob is damaged, or belongs to another card.
    """
    content = opened(blob, card_key, _PART)
    if len(content) % RECORD_BYTES != 4:
        raise CorruptFileError
    return content[4:], int.from_bytes(content[:4], "big")

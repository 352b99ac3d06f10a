"""Arrays and numbers as PostgreSQL takes and gives them in binary form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_BYTEA: Final = 17
_BIGINT: Final = 20
_TEXT: Final = 25
_NULL: Final = b"\xff\xff\xff\xff"
_EIGHT: Final = b"\x00\x00\x00\x08"


def bytea_array(values: Sequence[bytes | None]) -> bytes:
    """Byte strings; None is null."""
    parts = [_head(_BYTEA, len(values))]
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            parts.append(len(value).to_bytes(4, "big"))
            parts.append(value)
    return b"".join(parts)


def text_array(values: Sequence[str]) -> bytes:
    """Texts."""
    parts = [_head(_TEXT, len(values))]
    for value in values:
        content = value.encode()
        parts.append(len(content).to_bytes(4, "big"))
        parts.append(content)
    return b"".join(parts)


def bigint_array(values: Sequence[int]) -> bytes:
    """Whole numbers."""
    parts = [_head(_BIGINT, len(values))]
    for value in values:
        parts.append(_EIGHT)
        parts.append(value.to_bytes(8, "big", signed=True))
    return b"".join(parts)


def bigint(value: int) -> bytes:
    """A whole number."""
    return value.to_bytes(8, "big", signed=True)


def number_of(value: bytes) -> int:
    """The whole number of its bytes."""
    return int.from_bytes(value, "big", signed=True)


def _head(kind: int, count: int) -> bytes:
    """Dimensions, whether there are nulls (nobody looks), kind of item, count, first index."""
    if not count:
        return bytes(8) + kind.to_bytes(4, "big")
    numbers = (1, 1, kind, count, 1)
    return b"".join([number.to_bytes(4, "big") for number in numbers])

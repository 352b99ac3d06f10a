"""Frame: MessagePack with a checksum behind it."""

from __future__ import annotations

from typing import Any, Final
from zlib import crc32

import msgspec

from zhiwei.ports import CorruptFileError

pack: Final = msgspec.msgpack.Encoder().encode
unpack: Final = msgspec.msgpack.Decoder().decode
CHECKSUM_BYTES: Final = 4

#: What reading a damaged blob may raise, besides our own error.
DAMAGE: Final = (
    msgspec.MsgspecError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    OverflowError,
)


def sealed(content: bytes, owner: bytes, part: bytes) -> bytes:
    """The content with its checksum, which also covers whose it is and which part."""
    return content + crc32(content, crc32(part, crc32(owner))).to_bytes(CHECKSUM_BYTES, "big")


def opened(blob: bytes, owner: bytes, part: bytes) -> bytes:
    """The content of a sealed blob.

    Raises:
        CorruptFileError: the checksum does not fit.
    """
    content = blob[:-CHECKSUM_BYTES]
    told = int.from_bytes(blob[-CHECKSUM_BYTES:], "big")
    if len(blob) <= CHECKSUM_BYTES or crc32(content, crc32(part, crc32(owner))) != told:
        message = f"the checksum of `{part.decode()}` does not fit"
        raise CorruptFileError(message)
    return content


def unpacked(blob: bytes, owner: bytes, part: bytes, formats: int) -> list[Any]:
    """The list in a sealed blob, its first item (the format, at most `formats`) checked.

    Raises:
        CorruptFileError: the checksum does not fit, or the format is not known.
    """
    content: Any = unpack(opened(blob, owner, part))
    if not isinstance(content, list) or not content or not 1 <= content[0] <= formats:
        message = f"the format of `{part.decode()}` is not known"
        raise CorruptFileError(message)
    return content

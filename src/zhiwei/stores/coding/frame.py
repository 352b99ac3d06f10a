"""Frame: MessagePack with a checksum behind it."""

from __future__ import annotations

from typing import Any, Final, final
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


@final
class Part:
    """A kind of blob; its name is mixed into the checksum, so that no kind is read as another."""

    __slots__ = ("formats", "name", "seed")

    def __init__(self, name: str, formats: int) -> None:
        self.name: Final = name
        #: The newest format of the content; 0 = the content has no format of its own.
        self.formats: Final = formats
        self.seed: Final = crc32(name.encode())


def sealed(content: bytes, owner: bytes, part: Part) -> bytes:
    """The content with its checksum, which also covers whose it is and which part."""
    return content + crc32(content, crc32(owner, part.seed)).to_bytes(CHECKSUM_BYTES, "big")


def opened(blob: bytes, owner: bytes, part: Part) -> bytes:
    """The content of a sealed blob.

    Raises:
        CorruptFileError: the checksum does not fit.
    """
    content = blob[:-CHECKSUM_BYTES]
    told = int.from_bytes(blob[-CHECKSUM_BYTES:], "big")
    if len(blob) <= CHECKSUM_BYTES or crc32(content, crc32(owner, part.seed)) != told:
        message = f"the checksum of `{part.name}` does not fit"
        raise CorruptFileError(message)
    return content


def unpacked(blob: bytes, owner: bytes, part: Part) -> list[Any]:
    """The list in a sealed blob, its first item (the format) checked.

    Raises:
        CorruptFileError: the checksum does not fit, or the format is not known.
    """
    content: Any = unpack(opened(blob, owner, part))
    if not isinstance(content, list) or not content or not 1 <= content[0] <= part.formats:
        message = f"the format of `{part.name}` is not known"
        raise CorruptFileError(message)
    return content

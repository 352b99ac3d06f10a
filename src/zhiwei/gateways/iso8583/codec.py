"""Codec: the bytes of one message to a `Message` and back, by the table of one dialect."""

from __future__ import annotations

from typing import Final, final

from zhiwei.gateways.iso8583.dialect import Dialect, named
from zhiwei.gateways.iso8583.message import Message
from zhiwei.gateways.iso8583.reading import Reader
from zhiwei.gateways.iso8583.tables import HEX_DIGITS, Tables
from zhiwei.gateways.iso8583.writing import Writer


@final
class Codec:
    """Reads and writes the messages of one dialect. For one thread."""

    __slots__ = ("dialect", "hex_reader", "hex_writer", "reader", "writer")

    def __init__(self, dialect: Dialect) -> None:
        self.dialect: Final = dialect
        tables = Tables(dialect)
        self.reader: Final = Reader(tables)
        self.writer: Final = Writer(tables)
        twin = Tables(named(dialect.hex_twin)) if dialect.hex_twin else None
        #: For the dialect's other form, which shows itself by its hexadecimal bitmap.
        self.hex_reader: Final[Reader | None] = None if twin is None else Reader(twin)
        self.hex_writer: Final[Writer | None] = None if twin is None else Writer(twin)

    def decode(self, buffer: bytes, start: int, end: int) -> Message:
        """The message in `buffer[start:end]`.

        Raises DecodeError, which names fault, field and position, never content, and holds the
        fields that were read before the fault.
        """
        raw = buffer[start:end]
        if self.hex_reader is not None and HEX_DIGITS.issuperset(raw[4:12].decode("latin-1")):
            return self.hex_reader.read(raw)
        return self.reader.read(raw)

    def encode(self, message: Message) -> bytes:
        """The message's bytes, in the form of the request where its dialect has two.

        Texts and numbers that are shorter than their fixed field are padded. Raises EncodeError for
        a value that its field cannot hold.
        """
        if message.hex_form and self.hex_writer is not None:
            return self.hex_writer.write(message)
        return self.writer.write(message)

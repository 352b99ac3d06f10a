"""Parts: where the pieces of private fields stand, as the dialect's table says, and their texts."""

from __future__ import annotations

from typing import Final, final

from zhiwei.gateways.iso8583.dialect import Dialect
from zhiwei.gateways.iso8583.message import Message


@final
class Part:
    """A piece of a field; a part that a dialect does not have is always empty."""

    __slots__ = ("field", "start", "stop")

    def __init__(self, field: int, start: int, stop: int) -> None:
        #: Data element, 0 = the dialect has no such part.
        self.field: Final = field
        self.start: Final = start
        self.stop: Final = stop

    def of(self, message: Message) -> str:
        """The piece of a message's field, empty where the field is absent or too short."""
        if self.field == 0:
            return ""
        piece = message.text(self.field)[self.start : self.stop]
        return piece if len(piece) == self.stop - self.start else ""


@final
class Parts:
    """The parts that the translation asks for."""

    __slots__ = (
        "category",
        "chip_condition",
        "city",
        "country",
        "medium",
        "name",
        "original_date",
        "original_trace",
        "read_capability",
        "terminal_type",
        "transaction_type",
    )

    def __init__(self, dialect: Dialect) -> None:
        #: UnionPay 60.2.2: what the terminal can read (5, 6 = chips).
        self.read_capability: Final = _part(dialect, "read_capability")
        #: UnionPay 60.2.3: 2 = the terminal could not read the chip (降级).
        self.chip_condition: Final = _part(dialect, "chip_condition")
        #: UnionPay 60.2.5: kind of terminal.
        self.terminal_type: Final = _part(dialect, "terminal_type")
        #: UnionPay 60.3.6: the medium of the transaction (交易介质).
        self.medium: Final = _part(dialect, "medium")
        #: Terminals, 60.1: transaction type code.
        self.transaction_type: Final = _part(dialect, "transaction_type")
        #: Terminals, 61: trace number and date of the original.
        self.original_trace: Final = _part(dialect, "original_trace")
        self.original_date: Final = _part(dialect, "original_date")
        #: Merchant category inside a UnionPay merchant number, for messages without DE18.
        self.category: Final = _part(dialect, "category")
        #: Columns of DE43.
        self.name: Final = _part(dialect, "name")
        self.city: Final = _part(dialect, "city")
        self.country: Final = _part(dialect, "country")


def _part(dialect: Dialect, name: str) -> Part:
    field, start, size = dialect.meaning.parts.get(name, (0, 0, 0))
    return Part(field, start, start + size)


def decoded(text: str) -> str:
    """A text as people read it: Chinese is sent as GBK; control characters are shown as spaces."""
    if text.isascii():
        if text.isalnum():
            return text
        if text.isprintable():
            return text.strip()
    readable = text.encode("latin-1", "replace").decode("gb18030", "replace")
    return "".join([c if c.isprintable() else " " for c in readable]).strip()

"""Event: a row of the outbox as bytes."""

from __future__ import annotations

from typing import Final, final

from zhiwei.core.event import Event, EventKind
from zhiwei.ports import CorruptFileError
from zhiwei.stores.coding.frame import DAMAGE, Part, pack, sealed, unpacked

FORMAT: Final = 1
_PART: Final = Part("event", FORMAT)
_KINDS: Final = {int(member): member for member in EventKind}


@final
class EventFiled:
    """An event as it was read."""

    __slots__ = ("at_ms", "event", "place", "previous")

    def __init__(self, event: Event, at_ms: int, place: int, previous: int) -> None:
        self.event: Final = event
        self.at_ms: Final = at_ms
        #: Its place among the events of its entry, from 0.
        self.place: Final = place
        #: Position of the card's event before in this store; 0 = this is the first.
        self.previous: Final = previous


def encode_event(
    event: Event, card_key: bytes, version: int, at_ms: int, place: int, previous: int
) -> bytes:
    """An event of entry `version`, sealed."""
    content = pack([FORMAT, at_ms, place, previous, int(event.kind), event.facts])
    return sealed(content, _owner(card_key, version), _PART)


def decode_event(body: bytes, card_key: bytes, version: int) -> EventFiled:
    """The event of its bytes.

    Raises:
        CorruptFileError: the bytes are damaged, or another entry's.
    """
    try:
        row = unpacked(body, _owner(card_key, version), _PART)
        return EventFiled(Event(_KINDS[row[4]], row[5]), row[1], row[2], row[3])
    except DAMAGE as error:
        raise CorruptFileError from error


def _owner(card_key: bytes, version: int) -> bytes:
    return card_key + version.to_bytes(5, "big")

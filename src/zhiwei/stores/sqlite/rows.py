"""Rows: what one connection reads of cards, entries and keys."""

from __future__ import annotations

import sqlite3
from typing import Final, final

from zhiwei.ports import CorruptFileError
from zhiwei.stores.coding.entry import Filed, decode_entry
from zhiwei.stores.sqlite.cards import Slot
from zhiwei.stores.sqlite.queries import QUERIES

#: Every so many versions of a card there is a mark.
MARK_EVERY: Final = 32

_CARD_BY_KEY: Final = QUERIES["card_by_key"]
_KEYS_MAX: Final = 64
#: How many keys a statement takes, and the statement.
_CARDS_BY_KEYS: Final = tuple(
    [
        (count, QUERIES["cards_by_keys"].replace("?", ",".join("?" * count)))
        for count in (8, _KEYS_MAX)
    ]
)
_ENTRY_AT: Final = QUERIES["entry_at"]
_LINK_AT: Final = QUERIES["link_at"]
_MARK_FROM: Final = QUERIES["mark_from"]
_HEAD_OF: Final = QUERIES["head_of"]
_OLD_VERSIONS: Final = QUERIES["old_versions"]


@final
class Rows:
    """Single rows by their keys. Not for use by two threads at once."""

    __slots__ = ("connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection: Final = connection

    def card(self, card_key: bytes) -> Slot | None:
        """The file of a card as its row has it."""
        row = self.connection.execute(_CARD_BY_KEY, (card_key,)).fetchone()
        return None if row is None else Slot(row[0], row[1], row[2], row[3], row[4])

    def cards(self, card_keys: list[bytes]) -> list[Slot]:
        """The files of those cards that have a row, in few statements.

        Each statement begins and ends a transaction, which costs more than to find a row.
        """
        found: list[Slot] = []
        for start in range(0, len(card_keys), _KEYS_MAX):
            keys = card_keys[start : start + _KEYS_MAX]
            for count, statement in _CARDS_BY_KEYS:
                if count >= len(keys):
                    # A key that stands there twice is found once.
                    keys += keys[:1] * (count - len(keys))
                    rows = self.connection.execute(statement, keys).fetchall()
                    found.extend([Slot(row[0], row[1], row[2], row[3], row[4]) for row in rows])
                    break
        return found

    def entry_at(self, position: int, card_key: bytes) -> Filed:
        """The entry at a position, which is this card's.

        Raises:
            CorruptFileError: there is none, it is another card's, or it is damaged.
        """
        row = self.connection.execute(_ENTRY_AT, (position,)).fetchone()
        if row is None or row[0] != card_key:
            message = f"no entry of the card stands at position {position}"
            raise CorruptFileError(message)
        return decode_entry(row[2], card_key, row[1])

    def position_of(self, card_key: bytes, version: int, last_version: int, last: int) -> int:
        """Where an entry of the card stands, given where its last one does.

        Raises:
            CorruptFileError: the card's rows are not linked as they should be.
        """
        at_version = last_version
        position = last
        if last_version - version >= MARK_EVERY:
            mark = self.connection.execute(_MARK_FROM, (card_key, version)).fetchone()
            if mark is not None and mark[0] < last_version:
                at_version, position = mark
        while True:
            row = self.connection.execute(_LINK_AT, (position,)).fetchone()
            if row is None or row[0] != card_key or row[1] != at_version:
                message = f"entry {at_version} of the card is not where it should be"
                raise CorruptFileError(message)
            if at_version == version:
                return position
            at_version -= 1
            position = int.from_bytes(row[2], "big")

    def head_of(self, card_key: bytes, group: int) -> int:
        """Where the latest entry of a group stands; 0 = the group has no follow-ups."""
        row = self.connection.execute(_HEAD_OF, (card_key, group)).fetchone()
        return 0 if row is None else row[0]

    def old_versions(self, card_key: bytes, digest: bytes, after_second: int) -> list[int]:
        """Versions filed under a digest that has left the card's file."""
        found = self.connection.execute(_OLD_VERSIONS, (card_key, digest[:8], after_second))
        return [row[0] for row in found]

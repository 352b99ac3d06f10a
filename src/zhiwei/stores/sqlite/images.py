"""Images: where readers find the newest committed bytes of a card's file.

Rows of `card_state` may be a little behind; what is newer is in the memory of the process that
writes. That process looks there itself; a reader in another process asks it.
"""

from __future__ import annotations

from typing import Final, Protocol, TypeAlias, final

from zhiwei.stores.sqlite.cards import Cards
from zhiwei.stores.sqlite.rows import Rows

#: Cold part and hot part of a file, sealed.
ImageBytes: TypeAlias = "tuple[bytes, bytes]"


class Images(Protocol):
    """Finds images of files. Thread-safe, but for `rows`."""

    def image(self, rows: Rows, card_key: bytes) -> ImageBytes | None:
        """The file as it is committed, None if there is none; `rows` is the caller's connection."""
        ...


@final
class OwnImages:
    """In the process that writes."""

    def __init__(self, cards: Cards) -> None:
        self._cards: Final = cards

    def image(self, rows: Rows, card_key: bytes) -> ImageBytes | None:
        """The file as it is committed."""
        cards = self._cards
        slot = cards.slots.get(card_key)
        if slot is None:
            slot = rows.card(card_key)
            if slot is None:
                return None
            pending = cards.pending.get(slot.number)
            if pending is not None:
                slot.catch_up(pending)
            else:
                # The path may have taken it in since the first look, and swept it since; then its
                # row is new, or it is still in memory.
                slot = cards.slots.get(card_key) or rows.card(card_key)
        return None if slot is None else slot.image

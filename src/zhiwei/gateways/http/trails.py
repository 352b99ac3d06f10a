"""Lists that are kept by their position in the whole: the outbox and the audit trail.

A cardholder's list is the lists of the person's cards as one; positions order them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from zhiwei.gateways.http.caller import Caller, reachable_card
from zhiwei.gateways.http.house import House
from zhiwei.gateways.http.journal import cards_of
from zhiwei.gateways.http.pagination import Page, page_of


class HasPosition(Protocol):
    """A row of such a list."""

    @property
    def position(self) -> int:
        """Its place in the whole."""
        ...


P = TypeVar("P", bound=HasPosition)


def trail_page(
    house: House,
    caller: Caller,
    page: Page,
    card: str,
    place_of: Callable[[str], int | None],
    read: Callable[[bytes, int, int, int], Sequence[P]],
    wanted: Callable[[P], bool],
) -> tuple[list[P], bool]:
    """A page of one card's rows, of a person's, or of all.

    Raises:
        Problem: `card_not_found`; a cursor that names nothing.
    """
    if card:
        keys = [reachable_card(house, caller, card).card_key]
    elif caller.only_cardholder:
        keys = [state.card_key for state in cards_of(house, caller.only_cardholder)]
    else:
        keys = [b""]

    def read_merged(before: int, after: int, limit: int) -> list[P]:
        rows = [row for key in keys for row in read(key, before, after, limit)]
        rows.sort(key=lambda row: row.position, reverse=True)
        return rows[-limit:] if after and not before else rows[:limit]

    return page_of(page, place_of, read_merged, lambda row: row.position, wanted)

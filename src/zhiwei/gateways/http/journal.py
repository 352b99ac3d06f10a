"""The journal as lists: entries of one card, or of all cards, page by page, each with its card."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from zhiwei.core.card_state import CardState
from zhiwei.core.entry import Entry
from zhiwei.core.ids import entry_of
from zhiwei.gateways.http.caller import Caller, reachable_card
from zhiwei.gateways.http.house import House
from zhiwei.gateways.http.pagination import CHUNK, CHUNKS_MAX, Page, bad_cursor, page_of

#: Time, card and version: the order of a person's entries over all cards.
Rank: TypeAlias = "tuple[int, bytes, int]"


@dataclass(frozen=True)
class JournalRow:
    """An entry, its card's file, and its place in the list."""

    place: int
    state: CardState
    entry: Entry


def journal_page(
    house: House,
    caller: Caller,
    page: Page,
    card: str,
    wanted: Callable[[JournalRow], bool],
    prefix: str = "auth",
) -> tuple[list[JournalRow], bool]:
    """A page of one card's journal, or (no card named) of the whole; newest first.

    Raises:
        Problem: `card_not_found`; a bad cursor.
    """
    if card:
        return _of_card(house, reachable_card(house, caller, card), page, wanted, prefix)
    if caller.only_cardholder:
        return _of_cardholder(house, caller, page, wanted, prefix)
    return _of_all(house, page, wanted, prefix)


def _of_card(
    house: House,
    state: CardState,
    page: Page,
    wanted: Callable[[JournalRow], bool],
    prefix: str,
) -> tuple[list[JournalRow], bool]:
    """Within a card the version of an entry is its place."""

    def place_of(cursor: str) -> int | None:
        named = entry_of(prefix, cursor)
        is_here = named is not None and named[0] == state.card_key and named[1] <= state.version
        return named[1] if named is not None and is_here else None

    def read(before: int, after: int, limit: int) -> list[JournalRow]:
        entries = house.reader.entries(state.card_key, before=before, after=after, limit=limit)
        return [JournalRow(entry.version, state, entry) for entry in entries]

    return page_of(page, place_of, read, lambda row: row.place, wanted)


def _of_all(
    house: House, page: Page, wanted: Callable[[JournalRow], bool], prefix: str
) -> tuple[list[JournalRow], bool]:
    """Over all cards the position in the whole journal is the place."""
    states: dict[bytes, CardState] = {}

    def place_of(cursor: str) -> int | None:
        named = entry_of(prefix, cursor)
        return (house.reader.position(*named) or None) if named is not None else None

    def read(before: int, after: int, limit: int) -> list[JournalRow]:
        rows = []
        for positioned in house.reader.recent(before=before, after=after, limit=limit):
            state = states.get(positioned.card_key) or house.reader.card(positioned.card_key)
            if state is not None:
                states[positioned.card_key] = state
                rows.append(JournalRow(positioned.position, state, positioned.entry))
        return rows

    return page_of(page, place_of, read, lambda row: row.place, wanted)


def _of_cardholder(
    house: House,
    caller: Caller,
    page: Page,
    wanted: Callable[[JournalRow], bool],
    prefix: str,
) -> tuple[list[JournalRow], bool]:
    """The journals of one person's cards as one, by time; cards and versions break ties."""
    states = cards_of(house, caller.only_cardholder)
    cursor = page.starting_after or page.ending_before
    rank: Rank | None = None
    if cursor:
        rank = _rank_of(house, states, entry_of(prefix, cursor))
        if rank is None:
            raise bad_cursor("ending_before" if page.ending_before else "starting_after")
    is_upwards = bool(page.ending_before)
    streams = [_stream(house, state, rank, is_upwards=is_upwards) for state in states]
    merged = heapq.merge(*streams, key=_rank, reverse=not is_upwards)
    rows: list[JournalRow] = []
    for row in islice(merged, CHUNK * CHUNKS_MAX):
        if wanted(row):
            if len(rows) == page.limit:
                return (rows[::-1] if is_upwards else rows), True
            rows.append(row)
    return (rows[::-1] if is_upwards else rows), False


def cards_of(house: House, cardholder: str) -> list[CardState]:
    """All cards of a cardholder, in order of their key."""
    states: list[CardState] = []
    after = b""
    while True:
        chunk = house.reader.cards(cardholder=cardholder, after=after, limit=CHUNK)
        states.extend(chunk)
        if len(chunk) < CHUNK:
            return states
        after = chunk[-1].card_key


def _rank(row: JournalRow) -> Rank:
    return (row.entry.filed_ms, row.state.card_key, row.entry.version)


def _rank_of(house: House, states: list[CardState], named: tuple[bytes, int] | None) -> Rank | None:
    """The rank of a cursor, if it is an entry of one of these cards."""
    if named is None or not any(state.card_key == named[0] for state in states):
        return None
    entry = house.reader.entry(*named)
    return None if entry is None else (entry.filed_ms, *named)


def _stream(
    house: House, state: CardState, rank: Rank | None, *, is_upwards: bool
) -> Iterator[JournalRow]:
    """A card's entries beyond a rank: older ones newest first, or newer ones oldest first."""
    bound = 0 if rank is None else _first_not_below(house, state, rank)
    if is_upwards:
        after = bound - 1
        if rank is not None and state.card_key == rank[1]:
            after = rank[2]
        while after < state.version:
            chunk = house.reader.entries(state.card_key, after=after, limit=CHUNK)
            if not chunk:
                return
            for entry in reversed(chunk):
                yield JournalRow(entry.version, state, entry)
            after = chunk[0].version
        return
    before = bound
    while before != 1:
        chunk = house.reader.entries(state.card_key, before=before, limit=CHUNK)
        if not chunk:
            return
        for entry in chunk:
            yield JournalRow(entry.version, state, entry)
        before = chunk[-1].version


def _first_not_below(house: House, state: CardState, rank: Rank) -> int:
    """The smallest version of a card whose entry does not rank below `rank`.

    `filed_ms` never runs back, so a card's entries are sorted and can be searched by halves.
    """
    low, high = 1, state.version + 1
    while low < high:
        middle = (low + high) // 2
        entry = house.reader.entry(state.card_key, middle)
        if entry is not None and (entry.filed_ms, state.card_key, middle) < rank:
            low = middle + 1
        else:
            high = middle
    return low

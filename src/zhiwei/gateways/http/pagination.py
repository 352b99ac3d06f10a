"""Pagination: `{"object":"list","data":[],"has_more":false}`, with `limit` and two cursors.

A cursor is the id of an object of the list. `starting_after` goes on behind it, `ending_before`
gives what stands directly before it; the order of the list is the same both ways. Nothing is
skipped or shown twice while new objects arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from fastapi import Depends, Query
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from zhiwei.gateways.http.house import Document
from zhiwei.gateways.http.problems import Fault, Problem

LIMIT_MAX: Final = 100
LIMIT_DEFAULT: Final = 20
#: Rows that a filtered list reads at a time, and how often it goes on looking for more.
CHUNK: Final = 200
CHUNKS_MAX: Final = 100

T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """Which part of a list is wanted."""

    limit: int
    starting_after: str
    ending_before: str


def _whole(text: object) -> object:
    """The text of a whole number; pydantic alone would take `1.0` as well."""
    if isinstance(text, str) and not (text.removeprefix("-").isdigit() and text.isascii()):
        raise PydanticCustomError("int_parsing", "a whole number is needed")
    return text


def _page(
    limit: Annotated[
        int,
        BeforeValidator(_whole),
        Query(ge=1, le=LIMIT_MAX, description="How many objects, 1 to 100."),
    ] = LIMIT_DEFAULT,
    starting_after: Annotated[
        str, Query(max_length=80, description="Id of the object behind which the page begins.")
    ] = "",
    ending_before: Annotated[
        str, Query(max_length=80, description="Id of the object before which the page ends.")
    ] = "",
) -> Page:
    if starting_after and ending_before:
        detail = "give `starting_after` or `ending_before`, not both"
        raise Problem("not_allowed", detail, errors=(Fault("", "two_cursors", detail),))
    return Page(limit, starting_after, ending_before)


ThePage = Annotated[Page, Depends(_page)]


def listed(data: Sequence[Document], has_more: bool) -> Document:
    """The list as the API shows it."""
    return {"object": "list", "data": list(data), "has_more": has_more}


def bad_cursor(name: str) -> Problem:
    """A cursor that names nothing in the list."""
    detail = f"`{name}` is not the id of an object of this list"
    return Problem("not_allowed", detail, errors=(Fault("", f"bad_{name}", detail),))


def page_of(
    page: Page,
    place_of: Callable[[str], int | None],
    read: Callable[[int, int, int], Sequence[T]],
    place: Callable[[T], int],
    wanted: Callable[[T], bool],
) -> tuple[list[T], bool]:
    """The rows of a page of a list that is kept newest first by numbers, and if there are more.

    `place_of` gives the place of a cursor (None = no such object), `read(before, after, limit)`
    reads rows, and `wanted` says which of them belong to the list. A search that finds little in a
    long journal ends after CHUNKS_MAX chunks, and says that there may be more.

    Raises:
        Problem: `not_allowed` for a cursor that names nothing.
    """
    if page.ending_before:
        bound = place_of(page.ending_before)
        if bound is None:
            raise bad_cursor("ending_before")
        return _upwards(bound, page.limit, read, place, wanted)
    bound = 0
    if page.starting_after:
        found = place_of(page.starting_after)
        if found is None:
            raise bad_cursor("starting_after")
        bound = found
    return _downwards(bound, page.limit, read, place, wanted)


def _downwards(
    before: int,
    limit: int,
    read: Callable[[int, int, int], Sequence[T]],
    place: Callable[[T], int],
    wanted: Callable[[T], bool],
) -> tuple[list[T], bool]:
    """The first `limit` wanted rows older than `before` (0 = the newest)."""
    rows: list[T] = []
    for _ in range(CHUNKS_MAX):
        if before == 1:
            return rows, False
        chunk = read(before, 0, CHUNK)
        for row in chunk:
            if wanted(row):
                if len(rows) == limit:
                    return rows, True
                rows.append(row)
        if len(chunk) < CHUNK:
            return rows, False
        before = place(chunk[-1])
    return rows, True


def _upwards(
    after: int,
    limit: int,
    read: Callable[[int, int, int], Sequence[T]],
    place: Callable[[T], int],
    wanted: Callable[[T], bool],
) -> tuple[list[T], bool]:
    """The `limit` wanted rows nearest above `after`, newest first."""
    rows: list[T] = []
    for _ in range(CHUNKS_MAX):
        chunk = read(0, after, CHUNK)
        for row in reversed(chunk):
            if wanted(row):
                if len(rows) == limit:
                    return rows[::-1], True
                rows.append(row)
        if len(chunk) < CHUNK:
            return rows[::-1], False
        after = place(chunk[0])
    return rows[::-1], True


def page_of_sorted(
    page: Page, items: Sequence[T], id_of: Callable[[T], str]
) -> tuple[list[T], bool]:
    """The part of a short list that is at hand in its order."""
    ids = [id_of(item) for item in items]
    first, last = 0, len(items)
    if page.ending_before:
        if page.ending_before not in ids:
            raise bad_cursor("ending_before")
        last = ids.index(page.ending_before)
        first = max(0, last - page.limit)
        return list(items[first:last]), first > 0
    if page.starting_after:
        if page.starting_after not in ids:
            raise bad_cursor("starting_after")
        first = ids.index(page.starting_after) + 1
    last = min(last, first + page.limit)
    return list(items[first:last]), last < len(items)

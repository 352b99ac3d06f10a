"""Lists of records (cardholders, check-ups, subscriptions), newest first."""

from __future__ import annotations

from collections.abc import Callable

from zhiwei.gateways.http.house import House
from zhiwei.gateways.http.pagination import Page, bad_cursor
from zhiwei.ports import R


def _everything(record: object) -> bool:
    return True


def records_page(
    house: House,
    kind: type[R],
    page: Page,
    *,
    subject: str = "",
    wanted: Callable[[R], bool] = _everything,
) -> tuple[list[R], bool]:
    """A page of records of a kind; of one subject or of all.

    Raises:
        Problem: a cursor that names no record of the list.
    """
    cursor = page.starting_after or page.ending_before
    if cursor and house.reader.record(kind, cursor) is None:
        raise bad_cursor("starting_after" if page.starting_after else "ending_before")
    is_upwards = bool(page.ending_before)
    found: list[R] = []
    while True:
        chunk = house.reader.records(
            kind,
            subject=subject,
            before="" if is_upwards else cursor,
            after=cursor if is_upwards else "",
            limit=page.limit + 1,
        )
        in_order = reversed(chunk) if is_upwards else chunk
        found.extend(record for record in in_order if wanted(record))
        if len(found) > page.limit or len(chunk) <= page.limit:
            break
        cursor = chunk[0].id if is_upwards else chunk[-1].id
    rows = found[: page.limit]
    return (rows[::-1] if is_upwards else rows), len(found) > page.limit

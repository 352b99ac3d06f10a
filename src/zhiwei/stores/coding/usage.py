"""Usage: the hot part of a card's file as bytes; it changes with nearly every message."""

from __future__ import annotations

from typing import Any, Final, final

from zhiwei.core.card_state import CardState, Hold, InquirySeen, Settings
from zhiwei.core.usage import (
    CHANNELS,
    NOTHING_SPENT,
    UNUSED,
    Booking,
    RollingSpend,
    Spent,
    Usage,
)
from zhiwei.ports import CorruptFileError
from zhiwei.stores.coding.frame import DAMAGE, Part, pack, sealed, unpacked

FORMAT: Final = 1
_PART: Final = Part("usage", FORMAT)


@final
class Places:
    """Where a store finds what belongs to a file: row numbers of its own, 0 = none."""

    __slots__ = ("entry", "event")

    def __init__(self, entry: int, event: int) -> None:
        #: The card's last journal entry.
        self.entry: Final = entry
        #: The card's last event in the outbox.
        self.event: Final = event


def encode_usage(state: CardState, chain: bytes, last_entry: int, last_event: int) -> bytes:
    """The hot part with the hash of the last entry, and where the last entry and event stand."""
    usage = state.usage
    spent: list[int] = []
    for index, one in enumerate(usage.by_channel):
        if one is not NOTHING_SPENT:
            _append_spent(spent, index, one)
    rolling: list[int] = []
    for spend in usage.rolling:
        rolling.append(spend.at_ms)
        rolling.append(spend.channels)
        rolling.append(spend.amount_minor)
        rolling.append(spend.count)
        rolling.append(spend.group)
    content: list[Any] = [
        FORMAT,
        state.version,
        state.last_ms,
        chain,
        last_entry,
        last_event,
        usage.day,
        usage.week,
        usage.month,
        usage.year,
        spent,
        rolling,
        _holds_list(state.holds),
        _inquiries_list(state.inquiries),
    ]
    told = [hold.group for hold in state.holds if hold.is_told]
    if told:
        # Only where there are any, so that all other files stay as they were.
        content.append(told)
    return sealed(pack(content), state.card_key, _PART)


def decode_usage(blob: bytes, card_key: bytes, settings: Settings) -> tuple[CardState, Places]:
    """The whole file, put together with its cold part, and its places.

    Raises:
        CorruptFileError: the blob is damaged, or belongs to another card.
    """
    try:
        row = unpacked(blob, card_key, _PART)
        usage = UNUSED
        if row[6] or row[10] or row[11]:
            usage = Usage(row[6], row[7], row[8], row[9], _spent_of(row[10]), _rolling_of(row[11]))
        state = CardState(
            card_key,
            row[1],
            row[2],
            row[3],
            settings,
            usage,
            _holds_of(row[12], row[14] if len(row) > 14 else []) if row[12] else (),
            _inquiries_of(row[13]) if row[13] else (),
        )
        return state, Places(row[4], row[5])
    except DAMAGE as error:
        raise CorruptFileError from error


def version_and_places(blob: bytes, card_key: bytes) -> tuple[int, Places]:
    """Version and places only.

    Raises:
        CorruptFileError: the blob is damaged, or belongs to another card.
    """
    try:
        row = unpacked(blob, card_key, _PART)
        version: int = row[1]
        return version, Places(row[4], row[5])
    except DAMAGE as error:
        raise CorruptFileError from error


def bookings_list(bookings: tuple[Booking, ...]) -> list[int]:
    """Bookings as one flat list, seven numbers each."""
    flat: list[int] = []
    for booking in bookings:
        flat.append(booking.amount_minor)
        flat.append(booking.count)
        flat.append(booking.channels)
        flat.append(booking.day)
        flat.append(booking.week)
        flat.append(booking.month)
        flat.append(booking.year)
    return flat


def bookings_of(flat: list[int]) -> tuple[Booking, ...]:
    """Bookings out of a flat list."""
    found: list[Booking] = []
    for i in range(0, len(flat), 7):
        found.append(  # noqa: PERF401 - a comprehension is a call of its own when compiled
            Booking(
                flat[i],
                flat[i + 1],
                flat[i + 2],
                flat[i + 3],
                flat[i + 4],
                flat[i + 5],
                flat[i + 6],
            )
        )
    return tuple(found)


def _append_spent(flat: list[int], index: int, one: Spent) -> None:
    """Nine numbers for a channel that spent anything; equal counters give equal bytes."""
    if not (
        one.year_amount
        or one.year_count
        or one.month_amount
        or one.month_count
        or one.week_amount
        or one.week_count
        or one.day_amount
        or one.day_count
    ):
        return
    flat.append(index)
    flat.append(one.day_amount)
    flat.append(one.day_count)
    flat.append(one.week_amount)
    flat.append(one.week_count)
    flat.append(one.month_amount)
    flat.append(one.month_count)
    flat.append(one.year_amount)
    flat.append(one.year_count)


def _spent_of(flat: list[int]) -> tuple[Spent, ...]:
    by_channel: list[Spent] = [NOTHING_SPENT] * CHANNELS
    for i in range(0, len(flat), 9):
        by_channel[flat[i]] = Spent(
            flat[i + 1],
            flat[i + 2],
            flat[i + 3],
            flat[i + 4],
            flat[i + 5],
            flat[i + 6],
            flat[i + 7],
            flat[i + 8],
        )
    return tuple(by_channel)


def _rolling_of(flat: list[int]) -> tuple[RollingSpend, ...]:
    return tuple(
        [
            RollingSpend(flat[i], flat[i + 1], flat[i + 2], flat[i + 3], flat[i + 4])
            for i in range(0, len(flat), 5)
        ]
    )


def _holds_list(holds: tuple[Hold, ...]) -> list[Any]:
    flat: list[Any] = []
    for hold in holds:
        flat.append(hold.group)
        flat.append(hold.expires_ms)
        flat.append(hold.approved_minor)
        flat.append(hold.auth_code)
        flat.append(hold.merchant_id)
        flat.append(bookings_list(hold.bookings))
    return flat


def _holds_of(flat: list[Any], told: list[int]) -> tuple[Hold, ...]:
    return tuple(
        [
            Hold(
                flat[i],
                flat[i + 1],
                flat[i + 2],
                flat[i + 3],
                flat[i + 4],
                bookings_of(flat[i + 5]),
                flat[i] in told,
            )
            for i in range(0, len(flat), 6)
        ]
    )


def _inquiries_list(inquiries: tuple[InquirySeen, ...]) -> list[Any]:
    flat: list[Any] = []
    for seen in inquiries:
        flat.append(seen.terminal)
        flat.append(seen.told_ms)
        flat.append(seen.untold)
    return flat


def _inquiries_of(flat: list[Any]) -> tuple[InquirySeen, ...]:
    return tuple([InquirySeen(flat[i], flat[i + 1], flat[i + 2]) for i in range(0, len(flat), 3)])

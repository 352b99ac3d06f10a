"""Asking again: every message that left is sent once more, as a repeat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from zhiwei.bench.answers import AnswerBook
from zhiwei.bench.generator import Generator, Pace
from zhiwei.bench.message import Framing
from zhiwei.bench.traffic import Traffic

#: The last digit of the MTI says whose and which message it is; 1 marks the repeat.
_REPEATED: Final = b"1"


def rows_that_left(traffic: Traffic, sent: Sequence[int]) -> list[int]:
    """List the rows that left whole, without those that were repeats already.

    `sent` is how many rows each connection sent.
    """
    repeats = set(traffic.repeat_of.values())
    rows = (line * traffic.share + n for line, count in enumerate(sent) for n in range(count))
    return [row for row in rows if row not in repeats]


def ask_again(
    traffic: Traffic, rows: Sequence[int], run: int, port: int, framing: Framing
) -> tuple[AnswerBook, dict[int, bytes]]:
    """Send rows again as repeats, on one connection and in their order.

    Returns the book, and each row's answer as it came, from its MTI.
    """
    mti = framing.prefix_bytes
    frames = [traffic.row(row) for row in rows]
    arena = bytearray(b"".join(f[: mti + 3] + _REPEATED + f[mti + 4 :] for f in frames))
    once_more = Traffic(arena, traffic.stride, len(rows), 1)
    bodies: dict[int, bytes] = {}
    book = AnswerBook(traffic.rows, run, framing, {}, bodies)
    if rows:
        pace = Pace(120, window=256)
        Generator(once_more, book, ("127.0.0.1", port), pace).run()
    return book, bodies

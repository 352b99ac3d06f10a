"""A whole run of messages, encoded before it starts: one bytearray, every message of one length.

Numbers, cards, amounts and times are patched column by column (`arena[offset::stride] = digits`),
which costs a fraction of a microsecond per message; during the run the generator only sends slices.
Each connection owns a contiguous part, so a repeat or a reversal follows its original on the same
connection.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from zhiwei.bench.cards import choose_cards, home_of, pan_of
from zhiwei.bench.habits import has_chip
from zhiwei.bench.message import Framing
from zhiwei.bench.scenes import (
    BY_STRIPE,
    MERCHANTS_A_PLACE,
    PLACES,
    REPEATS_PER_MILLE,
    REVERSALS_PER_MILLE,
    SCENES,
    STRIPE_PURCHASE,
    Place,
    Scene,
    amounts_of,
    fields_of,
    place_number,
    place_of,
    write,
)

#: Rows that a reversal or repeat looks back at most: about what a terminal has waited for in vain.
_BACK: Final = 200


@dataclass
class Traffic:
    """The messages of one run, row by row, and what must be known to judge the answers."""

    arena: bytearray
    #: Bytes of one row: a frame with its header.
    stride: int
    #: Rows of each connection; connection `c` owns rows `c * share` to `(c + 1) * share - 1`.
    share: int
    connections: int
    #: A repeat's row, by the row that it repeats: both answers carry the same numbers.
    repeat_of: dict[int, int] = field(default_factory=dict)
    #: The row that each reversal takes back.
    reversal_of: dict[int, int] = field(default_factory=dict)
    #: The card of each row, by its number in the population.
    cards: Sequence[int] = ()

    @property
    def rows(self) -> int:
        """All messages of the run."""
        return self.share * self.connections

    def row(self, index: int) -> bytes:
        """Return one frame."""
        return bytes(self.arena[index * self.stride : (index + 1) * self.stride])


@dataclass(frozen=True)
class Plan:
    """What traffic to write."""

    messages: int
    connections: int = 16
    cards: int = 10_000
    seed: int = 1
    #: `uniform` or `zipf`.
    skew: str = "uniform"
    #: 0-9999; first digits of every retrieval reference number, so that no two runs share an
    #: identity.
    run: int = 0
    framing: Framing = field(default_factory=Framing)
    #: Whether repeats and reversals are mixed in.
    retries: bool = True


def compose(plan: Plan, at: datetime | None = None) -> Traffic:
    """Write a run's messages; the same plan and instant give the same bytes.

    `at` is what the messages say about their time (default: now); at most 99,999,999 messages.
    """
    share = max(1, plan.messages // plan.connections)
    count = share * plan.connections
    if count > 99_999_999:
        raise ValueError(f"`{count}` messages are too many for one run: at most 99999999")
    rng = random.Random(plan.seed * 10_007 + plan.run)  # noqa: S311 - traffic must repeat, not be secret
    cards = choose_cards(rng, count, plan.cards, plan.skew)
    scenes = [
        scene if has_chip(card) or scene.name not in BY_STRIPE else STRIPE_PURCHASE
        for scene, card in zip(
            rng.choices(SCENES, weights=[scene.weight for scene in SCENES], k=count),
            cards,
            strict=True,
        )
    ]
    frames, offsets = _write_rows(scenes, cards, plan.framing, rng)
    stride = len(frames) // count
    traffic = Traffic(bytearray(frames), stride, share, plan.connections, cards=cards)
    amounts = {scene.name: amounts_of(scene, random.Random(7)) for scene in SCENES}  # noqa: S311 - as above
    draw = rng.random
    _fill(traffic, offsets[2], "".join(map(pan_of, cards)).encode(), 16)
    _fill(traffic, offsets[4], b"".join([amounts[s.name][int(draw() * 256)] for s in scenes]), 12)
    _number(traffic, offsets, plan.run)
    _stamp(traffic, offsets, at or datetime.now(UTC))
    if plan.retries:
        _mix_in_retries(traffic, scenes, offsets, plan.framing, rng)
    return traffic


def _write_rows(
    scenes: list[Scene], cards: list[int], framing: Framing, rng: random.Random
) -> tuple[bytes, dict[int, int]]:
    """Join a template for each row; offsets up to field 43 are the same in all of them."""
    templates: list[bytes | None] = [None] * (len(SCENES) * PLACES)
    first = {scene.name: index * PLACES for index, scene in enumerate(SCENES)}
    offsets: dict[int, int] = {}
    rows: list[bytes] = []
    draw = rng.random
    for scene, card in zip(scenes, cards, strict=True):
        place = place_number(home_of(card), draw(), int(draw() * MERCHANTS_A_PLACE))
        key = first[scene.name] + place
        frame = templates[key]
        if frame is None:
            frame, offsets = write(scene.mti, fields_of(scene, place_of(place)), framing)
            templates[key] = frame
        rows.append(frame)
    return b"".join(rows), offsets


def _fill(traffic: Traffic, offset: int, values: bytes, width: int) -> None:
    """Patch a field of `width` characters in all rows from the rows' values, joined."""
    for column in range(width):
        traffic.arena[offset + column :: traffic.stride] = values[column::width]


def _number(traffic: Traffic, offsets: dict[int, int], run: int) -> None:
    """Give each row its RRN (four digits of the run, eight of the row) and STAN (its last six)."""
    count = traffic.rows
    for power in range(8):
        width = 10**power
        block = b"".join(
            b"%d" % (digit % 10) * width for digit in range(min(10, count // width + 1))
        )
        column = (block * (count // len(block) + 1))[:count]
        traffic.arena[offsets[37] + 11 - power :: traffic.stride] = column
        if power < 6:
            traffic.arena[offsets[11] + 5 - power :: traffic.stride] = column
    _constant(traffic, offsets[37], b"%04d" % (run % 10_000))


def _stamp(traffic: Traffic, offsets: dict[int, int], at: datetime) -> None:
    """Write when the messages were transmitted (DE7, UTC) and the terminal's time (DE12, DE13)."""
    utc = at.astimezone(UTC)
    _constant(traffic, offsets[7], utc.strftime("%m%d%H%M%S").encode())
    _constant(traffic, offsets[12], utc.strftime("%H%M%S").encode())
    _constant(traffic, offsets[13], utc.strftime("%m%d").encode())


def _constant(traffic: Traffic, offset: int, value: bytes) -> None:
    for column, digit in enumerate(value):
        traffic.arena[offset + column :: traffic.stride] = bytes((digit,)) * traffic.rows


def _mix_in_retries(
    traffic: Traffic,
    scenes: list[Scene],
    offsets: dict[int, int],
    framing: Framing,
    rng: random.Random,
) -> None:
    """Turn a few rows into repeats (MTI ..01) and reversals (0420) of rows before them."""
    stride = traffic.stride
    mti = framing.prefix_bytes
    taken: set[int] = set()
    cards = list(traffic.cards)
    for row in _sample(rng, traffic.rows, REPEATS_PER_MILLE + REVERSALS_PER_MILLE):
        back = 1 + int(rng.random() * min(_BACK, row % traffic.share))
        original = row - back
        if row % traffic.share == 0 or row in taken or original in taken:
            continue
        taken.update((row, original))
        first = traffic.row(original)
        if rng.random() * (REPEATS_PER_MILLE + REVERSALS_PER_MILLE) < REPEATS_PER_MILLE:
            frame = first[: mti + 3] + b"1" + first[mti + 4 :]
            traffic.repeat_of[original] = row
        elif scenes[original].median_minor == 0:
            continue
        else:
            own = traffic.row(row)
            frame = _reversal(first, own, scenes[original], offsets, framing)
            traffic.reversal_of[row] = original
        cards[row] = cards[original]
        traffic.arena[row * stride : (row + 1) * stride] = frame
    traffic.cards = cards


def _sample(rng: random.Random, rows: int, per_mille: int) -> list[int]:
    """Choose about `per_mille` of a thousand rows, in order."""
    chosen: list[int] = []
    row = 0
    while True:
        row += 1 + int(rng.expovariate(per_mille / 1000))
        if row >= rows:
            return chosen
        chosen.append(row)


def _reversal(
    first: bytes, own: bytes, scene: Scene, offsets: dict[int, int], framing: Framing
) -> bytes:
    """Write the 0420 of a frame: its fields, an own STAN and RRN, and DE90 for the original."""

    def told(frame: bytes, number: int, width: int) -> bytes:
        return frame[offsets[number] : offsets[number] + width]

    fields = fields_of(scene, Place("156", "1000", 0))
    for number in (55, 52):
        fields.pop(number, None)
    for number in (19, 32, 33, 41, 42, 43):
        fields[number] = told(first, number, len(fields[number]))
    for number in (2, 4, 7, 12, 13):
        fields[number] = told(first, number, len(fields[number]))
    fields[11] = told(own, 11, 6)
    fields[37] = told(own, 37, 12)
    acquirer = told(first, 32, 8).rjust(11, b"0")
    forwarder = told(first, 33, 8).rjust(11, b"0")
    fields[90] = scene.mti.encode() + told(first, 11, 6) + told(first, 7, 10) + acquirer + forwarder
    return write("0420", fields, framing)[0]

"""A preview says of every single approval what a replay of the journal says.

The replay (`bench.preview_replay`) is a fresh card in the store in memory that has only the control
on trial, from the same instant on, and gets every approval as a new command.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from typer.testing import CliRunner

from zhiwei import preview as previews
from zhiwei.bench.preview_replay import whole_journal
from zhiwei.bench.previewing import CONTROLS, is_as_replayed
from zhiwei.bench.sequence_acts import HOMES, Sequence, draw, draw_history
from zhiwei.bench.sequence_play import KEY, Player
from zhiwei.cli.main import app
from zhiwei.core.controls import CardLock, Limit, LimitChannel, Limits, Measure, Period
from zhiwei.core.request import MessageClass
from zhiwei.core.zone import DAY_MS
from zhiwei.ports import Reader
from zhiwei.preview import DAYS, Preview, preview
from zhiwei.stores.memory import MemoryStore
from zhiwei.stores.sqlite.store import SqliteStore

UNTIL_MS = 1_790_000_000_000
#: Limits so low that the few messages of a sequence reach them.
LOW: list[tuple[str, str, Limits]] = [
    (
        f"{measure.name.lower()} {period.name.lower()}",
        "limits",
        Limits(
            (Limit(LimitChannel.ALL, measure, period, value, seconds),),
            refunds_restore=period in (Period.DAY, Period.MONTH),
        ),
    )
    for measure, value in ((Measure.AMOUNT, 1500), (Measure.COUNT, 1))
    for period, seconds in (
        (Period.DAY, 0),
        (Period.WEEK, 0),
        (Period.MONTH, 0),
        (Period.YEAR, 0),
        (Period.ROLLING, 3 * 86_400),
    )
]
TRIED = [*CONTROLS, *LOW]


def says_the_same(reader: Reader, sequence: Sequence, now_ms: int) -> list[Preview]:
    """The previews of all controls; each is what the replay says."""
    state = reader.card(KEY)
    assert state is not None
    found = []
    for name, control_type, control in TRIED:
        one = preview(sequence.policy, reader, state, control_type, control, now_ms)
        assert is_as_replayed(one, reader, sequence.policy, state, control_type, control), name
        assert one.is_complete
        found.append(one)
    return found


@examples(max_examples=25)
@given(seed=st.integers(0, 1_000_000), back=st.integers(0, 11), late=st.booleans())
def test_a_preview_of_a_wild_card_equals_its_replay(seed: int, back: int, *, late: bool) -> None:
    """Reversals that overtake, lapsed holds, clocks that jump, zones with summer time.

    The trial begins before the card's life or amid it.
    """
    sequence = draw(seed)
    store = MemoryStore()
    Player(sequence, store=store).play()
    at_ms = sequence.acts[min(back, len(sequence.acts) - 1)].at_ms
    says_the_same(store, sequence, at_ms + (DAYS * DAY_MS if late else 0))


@pytest.mark.parametrize("seed", range(0, len(HOMES), 2))
def test_a_preview_of_a_long_life_equals_its_replay(tmp_path: Path, seed: int) -> None:
    """On SQLite, with half a year before the trial begins; and every kind of control stops some."""
    sequence = draw_history(seed, 300, UNTIL_MS - 220 * DAY_MS, UNTIL_MS)
    store = SqliteStore(tmp_path)
    Player(sequence, store=store).play()
    found = says_the_same(store.reader(), sequence, UNTIL_MS)
    assert sum(one.would_decline + one.would_challenge > 0 for one in found) > len(TRIED) // 2
    asyncio.run(store.close())


def test_what_begins_before_the_trial_is_raised_in_it(tmp_path: Path) -> None:
    """An increment of an older authorization is judged with what that holds, however old it is."""
    sequence = draw_history(3, 200, UNTIL_MS - 10 * DAY_MS, UNTIL_MS)
    store = SqliteStore(tmp_path)
    Player(sequence, store=store).play()
    reader = store.reader()
    raised = [
        entry
        for entry in whole_journal(reader, KEY)
        if entry.command.request is not None
        and entry.command.request.message_class is MessageClass.INCREMENT
        and entry.group is not None
    ]
    assert raised
    for entry in raised[:3]:
        says_the_same(reader, sequence, entry.now_ms + DAYS * DAY_MS)
    asyncio.run(store.close())


def test_all_that_would_be_stopped_is_told_newest_first() -> None:
    """Not only examples."""
    sequence = draw_history(5, 60, UNTIL_MS - 10 * DAY_MS, UNTIL_MS)
    store = MemoryStore()
    Player(sequence, store=store).play()
    state = store.card(KEY)
    assert state is not None
    found = preview(sequence.policy, store, state, "card_lock", CardLock(), UNTIL_MS)
    versions = [one.entry.version for one in found.stopped]
    assert len(versions) == found.would_decline > 5
    assert versions == sorted(versions, reverse=True)
    assert {one.finding.control for one in found.stopped} == {"card_lock"}


def test_a_journal_that_is_too_long_is_looked_at_from_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the preview says that it is not complete."""
    monkeypatch.setattr(previews, "_CHUNK", 7)
    sequence = draw_history(5, 60, UNTIL_MS - 10 * DAY_MS, UNTIL_MS)
    store = MemoryStore()
    Player(sequence, store=store).play()
    state = store.card(KEY)
    assert state is not None
    for bound in (1, 20, state.version - 1, state.version):
        for _, control_type, control in TRIED:
            part = preview(
                sequence.policy, store, state, control_type, control, UNTIL_MS, entries_max=bound
            )
            assert part.is_complete == (bound == state.version)
            assert part.of <= bound


def test_the_bench_says_whether_it_is_so() -> None:
    """`zhiwei bench preview` tries every type of control; its time is the machine's."""
    told = CliRunner().invoke(app, ["bench", "preview", "--decisions", "80", "--json"])
    document = json.loads(told.stdout)
    assert document["clean"], document
    assert len(document["tried"]) == len(CONTROLS)
    assert told.exit_code == (0 if document["in_time"] else 1), told.exception

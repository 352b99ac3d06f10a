"""SQLite against the plainest store: whatever is done, both answer the same."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stores.cases import (
    DAY,
    NOON,
    STEP,
    daily_limit,
    done,
    key_of,
    purchase,
    registration,
    reversal,
)
from zhiwei.core.command import Command
from zhiwei.core.result import Result
from zhiwei.journal.verify import verify
from zhiwei.stores.coding.entry import Filing, encode_entry
from zhiwei.stores.coding.event import encode_event
from zhiwei.stores.coding.settings import encode_settings
from zhiwei.stores.coding.usage import encode_usage
from zhiwei.stores.memory import MemoryStore
from zhiwei.stores.sqlite.connection import FILE_NAME
from zhiwei.stores.sqlite.store import Bounds, SqliteStore

CARDS = 5
#: So small that files are thrown out of memory, swept and trimmed all the time.
TIGHT = Bounds(cards_max=3, opened_max=2, round_entries=8)


def told(result: Result) -> tuple[object, ...]:
    """Everything that a result says, in a form that compares."""
    entry = result.entry
    return (
        result.rejection,
        result.is_repeat,
        entry and encode_entry(entry, Filing((), ()), b"", bytes(16), 0, 0),
        result.keys,
        [(event.kind, event.facts) for event in result.events],
        [(audit.action, audit.subject, audit.old, audit.new) for audit in result.audits],
    )


cards = st.integers(0, CARDS - 1)
stans = st.integers(1, 12)
amounts = st.sampled_from([100, 400, 1000])
commands = st.one_of(
    st.builds(registration, cards),
    st.builds(daily_limit, cards, st.sampled_from([1000, 2000])),
    st.builds(purchase, cards, stans, amounts),
    st.builds(purchase, cards, stans, amounts),
    st.builds(
        lambda card, stan, of, amount: reversal(card, stan + 50, purchase(card, of, amount)),
        cards,
        stans,
        stans,
        amounts,
    ),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("batch"), st.lists(commands, min_size=1, max_size=12)),
        st.tuples(st.sampled_from(["open again", "crash", "tidy", "a day later"]), st.just([])),
    ),
    max_size=12,
)


def same_reading(memory: MemoryStore, sqlite: SqliteStore) -> None:
    """Files, journals, outbox and audit trail say the same."""
    reader = sqlite.reader()
    for number in range(CARDS):
        key = key_of(number)
        expected, found = memory.card(key), reader.card(key)
        assert (expected is None) == (found is None)
        if expected is not None and found is not None:
            assert encode_usage(found, b"", 0, 0) == encode_usage(expected, b"", 0, 0)
            assert encode_settings(found.settings, key) == encode_settings(expected.settings, key)
        assert [e.version for e in reader.entries(key)] == [e.version for e in memory.entries(key)]
    for mine, theirs in zip(reader.events(), memory.events(), strict=True):
        assert (mine.position, mine.id) == (theirs.position, theirs.id)
        assert encode_event(mine.event, b"", 0, mine.at_ms, 0, 0) == encode_event(
            theirs.event, b"", 0, theirs.at_ms, 0, 0
        )
    assert [row.audit.action for row in reader.audits()] == [
        row.audit.action for row in memory.audits()
    ]


@settings(max_examples=40)
@given(opening=st.lists(commands, max_size=3), steps=steps)
def test_sqlite_answers_as_memory_does(
    opening: list[Command], steps: list[tuple[str, list[Command]]]
) -> None:
    """Batches, restarts, sweeps and days, in any order; at the end the file verifies clean."""
    with tempfile.TemporaryDirectory() as folder:
        memory = MemoryStore()
        place = Path(folder) / "data"
        place.mkdir()
        sqlite = SqliteStore(place, bounds=TIGHT)
        now = NOON
        first = [registration(number) for number in range(CARDS - 1)]
        for what, batch in [("batch", [*first, *opening]), *steps]:
            if what == "open again":
                done(sqlite.close())
                sqlite = SqliteStore(place, bounds=TIGHT)
            elif what == "crash":
                # The files as they are now, elsewhere: what a killed process leaves.
                left = place
                place = left.with_name(left.name + "_")
                shutil.copytree(left, place)
                done(sqlite.close())
                sqlite = SqliteStore(place, bounds=TIGHT)
            elif what == "tidy":
                done(sqlite.tidy(now))
            elif what == "a day later":
                now += DAY
            else:
                now += 1
                expected = done(memory.transact(batch, STEP, now))
                found = done(sqlite.transact(batch, STEP, now))
                assert [told(result) for result in found] == [told(r) for r in expected]
        same_reading(memory, sqlite)
        report = verify(sqlite.path)
        assert report.is_clean, report.problems
        done(sqlite.close())
        report = verify(place / FILE_NAME)
        assert report.is_clean, report.problems

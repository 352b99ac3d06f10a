"""PostgreSQL against the plainest store: whatever is done, both answer the same."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stores.cases import DAY, NOON, STEP, done, key_of, registration
from tests.stores.cluster import Cluster
from tests.stores.test_same_as_memory import CARDS, commands, told
from zhiwei.core.command import Command
from zhiwei.ports import Reader
from zhiwei.stores.coding.event import encode_event
from zhiwei.stores.coding.settings import encode_settings
from zhiwei.stores.coding.usage import encode_usage
from zhiwei.stores.memory import MemoryStore
from zhiwei.stores.postgres import turn
from zhiwei.stores.postgres.store import PostgresStore

steps = st.lists(
    st.one_of(
        st.tuples(st.just("batch"), st.lists(commands, min_size=1, max_size=12)),
        st.tuples(st.sampled_from(["another server", "tidy", "a day later"]), st.just([])),
    ),
    max_size=10,
)


def same_reading(memory: MemoryStore, reader: Reader) -> None:
    """Files, journals, outbox and audit trail say the same."""
    for number in range(CARDS):
        key = key_of(number)
        expected, found = memory.card(key), reader.card(key)
        assert (expected is None) == (found is None)
        if expected is not None and found is not None:
            assert encode_usage(found, b"", 0, 0) == encode_usage(expected, b"", 0, 0)
            assert encode_settings(found.settings, key) == encode_settings(expected.settings, key)
        assert [e.version for e in reader.entries(key)] == [e.version for e in memory.entries(key)]
    for mine, theirs in zip(reader.events(), memory.events(), strict=True):
        assert mine.id == theirs.id
        assert encode_event(mine.event, b"", 0, mine.at_ms, 0, 0) == encode_event(
            theirs.event, b"", 0, theirs.at_ms, 0, 0
        )
    assert [row.audit.action for row in reader.audits()] == [
        row.audit.action for row in memory.audits()
    ]


def test_postgres_answers_as_memory_does(cluster: Cluster) -> None:
    """Batches on two servers, and days, in any order; few keys are kept with a card's file."""
    name = cluster.new_database()
    stores = [PostgresStore(cluster.url(name)) for _ in range(2)]

    @settings(max_examples=40)
    @given(opening=st.lists(commands, max_size=3), steps=steps)
    def holds(opening: list[Command], steps: list[tuple[str, list[Command]]]) -> None:
        cluster.execute(
            "truncate card_state, journal, group_head, old_key, event, audit, record", name
        )
        memory = MemoryStore()
        at = 0
        now = NOON
        first = [registration(number) for number in range(CARDS - 1)]
        for what, batch in [("batch", [*first, *opening]), *steps]:
            if what == "another server":
                at = 1 - at
            elif what == "tidy":
                done(stores[at].tidy(now))
            elif what == "a day later":
                now += DAY
            else:
                now += 1
                expected = done(memory.transact(batch, STEP, now))
                found = done(stores[at].transact(batch, STEP, now))
                assert [told(result) for result in found] == [told(r) for r in expected]
        same_reading(memory, stores[1 - at].reader())

    kept = turn.RECENT_MAX
    # Interpreted, so few that they move to their table all the time; compiled, the number is fixed.
    turn.RECENT_MAX = 4  # type: ignore[misc]  # that is what this test is for
    try:
        holds()
    finally:
        turn.RECENT_MAX = kept  # type: ignore[misc]  # as above
        for store in stores:
            done(store.close())
        cluster.drop(name)

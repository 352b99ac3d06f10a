"""What is true of every history of a card, however its messages come."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from tests.core.histories import POLICY, History, histories
from tests.core.strategies import COUNTERS, KEY

from zhiwei.core.card_state import CHAIN_START, CardState
from zhiwei.core.controls import LimitChannel
from zhiwei.core.entry import Entry
from zhiwei.core.finding import Outcome
from zhiwei.core.request import MessageClass
from zhiwei.core.settle import settled
from zhiwei.core.usage import Usage
from zhiwei.core.windows import Moment
from zhiwei.guardian import guardian_under
from zhiwei.journal.recount import Recount
from zhiwei.stores.coding.entry import Filing, encode_entry
from zhiwei.stores.coding.settings import encode_settings
from zhiwei.stores.coding.usage import encode_usage
from zhiwei.stores.memory import MemoryStore
from zhiwei.testing.scenario.play import finished


def lived(history: tuple[Any, list[Any]]) -> History:
    """A card after all steps."""
    zone, steps = history
    card = History(zone)
    for step in steps:
        card.take(step)
    return card


def numbers(usage: Usage) -> list[tuple[int, ...]]:
    """Counters as something that can be compared."""
    spent = [tuple(getattr(one, name) for name in COUNTERS) for one in usage.by_channel]
    rolling = [(s.at_ms, s.channels, s.amount_minor, s.count, s.group) for s in usage.rolling]
    return [*spent, *rolling]


def file_bytes(state: CardState) -> bytes:
    """A card's file as a store writes it."""
    usage = encode_usage(state, CHAIN_START, 0, 0)
    return usage + encode_settings(state.settings, KEY)


def entry_bytes(entry: Entry) -> bytes:
    """An entry as a store writes it."""
    return encode_entry(entry, Filing((), ()), KEY, CHAIN_START, 0, 0)


@settings(max_examples=150)
@given(histories)
def test_counters_equal_an_independent_recount_after_every_step(
    history: tuple[Any, list[Any]],
) -> None:
    """Whatever is repeated, reversed, completed, voided or lapses: both add up to the same."""
    zone, steps = history
    card = History(zone)
    for step in steps:
        card.take(step)
        recount = Recount(lambda _: POLICY)
        for entry in card.entries:
            recount.observe(KEY, entry)
        assert recount.differences(KEY, card.state) == []


@given(histories)
def test_replay_gives_the_same_bytes(history: tuple[Any, list[Any]]) -> None:
    """The same commands at the same instants make the same file, entries and events."""
    card = lived(history)
    again = MemoryStore()
    step = guardian_under(POLICY).step
    for command, now_ms in card.commands:
        finished(again.transact([command], step, now_ms))
    state = again.card(KEY)
    assert state is not None
    assert file_bytes(state) == file_bytes(card.state)
    replayed = again.entries(KEY, limit=10_000)[::-1]
    assert [entry_bytes(e) for e in replayed] == [entry_bytes(e) for e in card.entries]
    events = [(r.id, r.event.kind, r.event.facts) for r in again.events(limit=10_000)]
    assert events == [(r.id, r.event.kind, r.event.facts) for r in card.store.events(limit=10_000)]


@given(histories)
def test_refusals_questions_repeats_and_rejections_spend_nothing(
    history: tuple[Any, list[Any]],
) -> None:
    """Only an approval moves a counter; time alone does the rest."""
    zone, steps = history
    card = History(zone)
    for step in steps:
        before = card.state
        result = card.take(step)
        if result is None:
            continue
        moment = Moment(card.now_ms, before.settings.profile.zone)
        as_of_now, _ = settled(before, moment)
        entry = result.entry
        spends = entry is not None and not result.is_repeat and entry.outcome is Outcome.APPROVE
        if not spends:
            after, _ = settled(card.state, moment)
            assert numbers(after.usage) == numbers(as_of_now.usage)


@given(histories)
def test_no_counter_falls_below_nothing_and_none_exceeds_the_whole(
    history: tuple[Any, list[Any]],
) -> None:
    """Nothing is given back that was not taken, and what any channel counts, all of them count."""
    card = lived(history)
    whole = card.state.usage.by_channel[LimitChannel.ALL]
    for spent in card.state.usage.by_channel:
        for name in COUNTERS:
            assert 0 <= getattr(spent, name) <= getattr(whole, name)
    for spend in card.state.usage.rolling:
        assert spend.amount_minor >= 0
        assert spend.count >= 0


@given(histories)
def test_taking_back_everything_leaves_nothing(history: tuple[Any, list[Any]]) -> None:
    """When every message is reversed, latest first, all counters are zero."""
    card = lived(history)
    for request, version in reversed(card.answered):
        if request.message_class is not MessageClass.REVERSAL:
            card.take((0, "reverse by id", 0, 0, None, None, version))
    # A completion or void that was taken back lets its original stand; so once more.
    for request, version in reversed(card.answered):
        if request.message_class is not MessageClass.REVERSAL:
            card.take((0, "reverse by id", 0, 0, None, None, version))
    assert all(not any(row) for row in numbers(card.state.usage)[: len(LimitChannel)])


@given(histories)
def test_versions_have_no_gaps_and_time_does_not_run_back(
    history: tuple[Any, list[Any]],
) -> None:
    """Entry n is version n, and none is filed before the one before it."""
    card = lived(history)
    entries = card.entries
    assert [entry.version for entry in entries] == list(range(1, len(entries) + 1))
    instants = [entry.filed_ms for entry in entries]
    assert instants == sorted(instants)
    assert card.state.version == len(entries)
    assert card.state.last_ms == instants[-1]

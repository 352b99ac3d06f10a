"""The contract of `ports.Store`: what is written, found, repeated, and left alone."""

from __future__ import annotations

import pytest

from tests.stores.cases import (
    DAY,
    NOON,
    STAFF,
    STEP,
    daily_limit,
    done,
    done_at_once,
    key_of,
    purchase,
    registration,
    request,
    reversal,
)
from tests.stores.conftest import OpenStore
from zhiwei.core.card_state import CardState, StopSource
from zhiwei.core.command import Command, Original, PlaceStop
from zhiwei.core.entry import Entry, Flag, GroupState
from zhiwei.core.event import EventKind
from zhiwei.core.finding import Outcome
from zhiwei.core.reason import Reason
from zhiwei.core.request import MessageClass
from zhiwei.core.result import Rejection, Related, Result
from zhiwei.ports import Store
from zhiwei.stores.coding.command import command_list
from zhiwei.stores.coding.entry import Filing, encode_entry
from zhiwei.stores.coding.frame import pack
from zhiwei.stores.postgres.store import PostgresStore


def carry_out(store: Store, *commands: Command, at: int = NOON) -> list[Result]:
    """Carry out commands as one batch; a store of one process never waits for anything."""
    has_waits = isinstance(store, PostgresStore)
    return (done if has_waits else done_at_once)(store.transact(commands, STEP, at))


def entry_bytes(entry: Entry | None) -> bytes:
    """Everything that an entry says."""
    assert entry is not None
    return encode_entry(entry, Filing((), ()), b"", bytes(16), 0, 0)


def test_a_later_command_of_a_batch_sees_what_an_earlier_one_did(store: Store) -> None:
    """Registration, a limit and two purchases arrive together; the second purchase has no room."""
    commands = (registration(1), daily_limit(1, 5000), purchase(1, 1, 3000), purchase(1, 2, 3000))
    results = carry_out(store, *commands)
    assert [result.entry and result.entry.version for result in results] == [1, 2, 3, 4]
    last = results[3].entry
    assert last is not None
    assert last.outcome is Outcome.REFUSE
    assert last.findings[0].reason is Reason.OVER_DAILY_LIMIT


def test_what_was_committed_is_there_after_opening_again(open_store: OpenStore) -> None:
    """File, journal, events and audit trail are the same after a restart."""
    store = open_store()
    carry_out(store, registration(1), daily_limit(1, 500), purchase(1, 1, 600), purchase(1, 2, 500))
    before = store.reader()
    file_before = before.card(key_of(1))
    entries = [entry_bytes(entry) for entry in before.entries(key_of(1))]
    events = [(row.id, row.event.kind, row.event.facts) for row in before.events()]
    audits = [(row.at_ms, row.actor, row.audit.action) for row in before.audits()]
    after = open_store().reader()
    file_after = after.card(key_of(1))
    assert file_before is not None
    assert file_after is not None
    assert file_after.version == file_before.version == 4
    assert file_after.settings == file_before.settings
    assert file_after.usage.by_channel[0].day_amount == 500
    assert [entry_bytes(entry) for entry in after.entries(key_of(1))] == entries
    assert [(row.id, row.event.kind, row.event.facts) for row in after.events()] == events
    assert [(row.at_ms, row.actor, row.audit.action) for row in after.audits()] == audits
    assert events
    assert audits


def test_a_step_that_raises_leaves_nothing_of_its_batch(store: Store) -> None:
    """All or none: the commands before the bug are not written either."""
    carry_out(store, registration(1))

    def with_a_bug(
        state: CardState | None, related: Related, command: Command, clock_ms: int
    ) -> Result:
        if command.request is not None and command.request.amount_minor == 666:
            message = "a bug"
            raise RuntimeError(message)
        return STEP(state, related, command, clock_ms)

    batch = (registration(2), purchase(1, 1), purchase(1, 2, 666))
    with pytest.raises(RuntimeError, match="a bug"):
        done(store.transact(batch, with_a_bug, NOON))
    reader = store.reader()
    file = reader.card(key_of(1))
    assert file is not None
    assert file.version == 1
    assert reader.card(key_of(2)) is None
    assert [row.position for row in reader.recent()] == [1]
    results = carry_out(store, purchase(1, 1))
    assert results[0].entry is not None
    assert results[0].entry.version == 2
    assert not results[0].is_repeat


def test_a_repeat_in_a_long_batch_of_one_card_is_known(store: Store) -> None:
    """However many messages of the card stand between the two, it is decided once."""
    many = [purchase(1, stan) for stan in range(1, 301)]
    results = carry_out(store, registration(1), *many, purchase(1, 1), purchase(1, 299))
    assert [result.is_repeat for result in results[-3:]] == [False, True, True]
    assert [result.entry and result.entry.version for result in results[-2:]] == [2, 300]


def test_a_repeat_gets_the_same_entry_and_moves_nothing(open_store: OpenStore) -> None:
    """The same message again, in the same batch, later and after a restart: the same bytes."""
    store = open_store()
    carry_out(store, registration(1))
    first, again = carry_out(store, purchase(1, 1), purchase(1, 1))
    assert again.is_repeat
    told = entry_bytes(first.entry)
    assert entry_bytes(again.entry) == told
    (later,) = carry_out(store, purchase(1, 1), at=NOON + 60_000)
    assert later.is_repeat
    assert entry_bytes(later.entry) == told
    store = open_store()
    (after_restart,) = carry_out(store, purchase(1, 1), at=NOON + 120_000)
    assert after_restart.is_repeat
    assert entry_bytes(after_restart.entry) == told
    file = store.reader().card(key_of(1))
    assert file is not None
    assert file.version == 2
    assert file.usage.by_channel[0].day_count == 1


def test_the_same_trace_with_another_amount_is_a_conflict(store: Store) -> None:
    """A changed body is refused and recorded, and the first one stays counted once."""
    carry_out(store, registration(1), purchase(1, 1, 1000))
    (conflict,) = carry_out(store, purchase(1, 1, 1001))
    assert conflict.entry is not None
    assert conflict.entry.findings[0].reason is Reason.SAME_IDENTITY_OTHER_BODY
    assert conflict.entry.duplicate_of == 2
    kinds = [row.event.kind for row in store.reader().events(card_key=key_of(1))]
    assert EventKind.CONFLICT_SEEN in kinds


def test_a_reversal_gives_back_once(open_store: OpenStore) -> None:
    """The second reversal finds the group reversed, across a restart too."""
    store = open_store()
    bought = purchase(1, 1, 4000)
    carry_out(store, registration(1), daily_limit(1, 5000), bought)
    (first,) = carry_out(store, reversal(1, 2, bought))
    assert first.entry is not None
    assert first.entry.group is not None
    assert first.entry.group.state is GroupState.REVERSED
    store = open_store()
    (second,) = carry_out(store, reversal(1, 3, bought))
    assert second.entry is not None
    assert second.entry.flags & Flag.NO_EFFECT
    file = store.reader().card(key_of(1))
    assert file is not None
    assert file.usage.by_channel[0].day_amount == 0
    latest = store.reader().latest_of_group(key_of(1), 3)
    assert latest is not None
    assert latest.version == second.entry.version


def test_a_group_that_changed_in_this_batch_is_seen_as_changed(store: Store) -> None:
    """Purchase and two reversals in one batch: the second one finds nothing to give back."""
    bought = purchase(1, 1, 4000)
    results = carry_out(
        store, registration(1), bought, reversal(1, 2, bought), reversal(1, 3, bought)
    )
    assert results[3].entry is not None
    assert results[3].entry.flags & Flag.NO_EFFECT


def test_a_reversal_that_comes_first_is_remembered(open_store: OpenStore) -> None:
    """The late request is refused, after a restart too."""
    store = open_store()
    bought = purchase(1, 1, 4000)
    carry_out(store, registration(1), reversal(1, 2, bought))
    store = open_store()
    (late,) = carry_out(store, bought)
    assert late.entry is not None
    assert late.entry.findings[0].reason is Reason.REVERSED_BEFORE_ARRIVAL


def test_an_original_is_found_by_its_version(store: Store) -> None:
    """The HTTP door names entries by version; the latest of the group comes with it."""
    carry_out(store, registration(1), purchase(1, 1, 4000))
    by_version = Command(
        key_of(1),
        request=request(7, 4000, message_class=MessageClass.REVERSAL),
        original=Original(version=2),
    )
    (result,) = carry_out(store, by_version)
    assert result.entry is not None
    assert result.entry.group is not None
    assert result.entry.group.state is GroupState.REVERSED


def test_an_idempotency_key_finds_the_first_change(open_store: OpenStore) -> None:
    """The same key and change: the first entry again; another change: a rejection."""
    store = open_store()
    carry_out(store, registration(1))
    stop = Command(
        key_of(1), change=PlaceStop(StopSource.APP), actor=STAFF, idempotency_key=b"k" * 16
    )
    (first,) = carry_out(store, stop)
    store = open_store()
    (again,) = carry_out(store, stop)
    assert again.is_repeat
    assert entry_bytes(again.entry) == entry_bytes(first.entry)
    other = Command(
        key_of(1), change=PlaceStop(StopSource.ISSUER), actor=STAFF, idempotency_key=b"k" * 16
    )
    (rejected,) = carry_out(store, other)
    assert rejected.rejection is Rejection.SAME_KEY_OTHER_BODY


def test_keys_of_one_card_are_nothing_to_another(store: Store) -> None:
    """Two cards may have the same trace; each has its own answer."""
    carry_out(store, registration(1), registration(2))
    first, second = carry_out(store, purchase(1, 1), purchase(2, 1))
    assert not first.is_repeat
    assert not second.is_repeat


def test_keys_are_found_for_seven_days_and_no_longer(open_store: OpenStore) -> None:
    """A repeat is known a second before seven days are over, and is new a second after."""
    store = open_store()
    carry_out(store, registration(1), purchase(1, 1), purchase(1, 2))
    store = open_store()
    (known,) = carry_out(store, purchase(1, 1), at=NOON + 7 * DAY - 1000)
    assert known.is_repeat
    (new,) = carry_out(store, purchase(1, 2), at=NOON + 7 * DAY + 1000)
    assert not new.is_repeat


def test_a_busy_card_remembers_every_key(open_store: OpenStore) -> None:
    """Five hundred purchases later each of them is still known, and reversals find them."""
    store = open_store()
    commands = [purchase(1, stan) for stan in range(1, 501)]
    carry_out(store, registration(1))
    for start in range(0, 500, 50):
        carry_out(store, *commands[start : start + 50], at=NOON + start)
    store = open_store()
    results = carry_out(store, *commands, at=NOON + 1000)
    assert all(result.is_repeat for result in results)
    versions = [result.entry and result.entry.version for result in results]
    assert versions == list(range(2, 502))
    (back,) = carry_out(store, reversal(1, 900, commands[3]), at=NOON + 2000)
    assert back.entry is not None
    assert back.entry.group is not None
    assert back.entry.group.version == 5


def test_room_for_one_lets_one_of_64_through(store: Store) -> None:
    """Requests of one batch for one card are decided in order, each on what the last one left."""
    carry_out(store, registration(1), daily_limit(1, 1000))
    results = carry_out(store, *[purchase(1, stan, 1000) for stan in range(1, 65)])
    outcomes = [result.entry.outcome for result in results if result.entry is not None]
    assert outcomes.count(Outcome.APPROVE) == 1
    assert outcomes[0] is Outcome.APPROVE


def test_a_rejected_command_writes_nothing(store: Store) -> None:
    """A card that was never registered has no journal afterwards either."""
    (result,) = carry_out(store, purchase(9, 1))
    assert result.rejection is Rejection.CARD_NOT_FOUND
    assert store.reader().card(key_of(9)) is None
    assert store.reader().recent() == []


def test_a_card_that_is_registered_again_stays_as_it_is(store: Store) -> None:
    """The same card, with nothing written."""
    carry_out(store, registration(1), daily_limit(1, 500))
    (again,) = carry_out(store, registration(1))
    assert again.is_repeat
    file = store.reader().card(key_of(1))
    assert file is not None
    assert file.version == 2


def test_the_journal_keeps_the_whole_command(open_store: OpenStore) -> None:
    """What is read back says the same of the message as what was sent."""
    store = open_store()
    sent = purchase(1, 1, 1234, merchant_name="洛阳 “老店”", balance_minor=77, pin_entered=True)
    carry_out(store, registration(1), sent)
    entry = open_store().reader().entry(key_of(1), 2)
    assert entry is not None
    assert pack(command_list(entry.command)) == pack(command_list(sent))


def test_a_clock_that_steps_back_restores_no_limit(store: Store) -> None:
    """What was spent still counts, though the later decision is of an earlier day."""
    carry_out(store, registration(1), daily_limit(1, 1000), purchase(1, 1, 1000))
    (result,) = carry_out(store, purchase(1, 2, 1000), at=NOON - 2 * DAY)
    assert result.entry is not None
    assert result.entry.now_ms == NOON - 2 * DAY
    assert result.entry.filed_ms == NOON
    assert result.entry.outcome is Outcome.REFUSE


def test_positions_count_the_whole_journal(store: Store) -> None:
    """Entries are numbered from 1 in the order in which they were carried out."""
    carry_out(store, registration(1), registration(2), purchase(1, 1), purchase(2, 2))
    reader = store.reader()
    rows = reader.recent()
    assert [row.position for row in rows] == [4, 3, 2, 1]
    assert [row.card_key for row in rows] == [key_of(2), key_of(1), key_of(2), key_of(1)]
    assert reader.position(key_of(1), 2) == 3
    assert reader.position(key_of(1), 3) == 0
    assert reader.position(key_of(3), 1) == 0


def test_events_are_found_by_their_id(open_store: OpenStore) -> None:
    """An id is stable, and names one event of one entry."""
    store = open_store()
    conflicts = [purchase(1, 1, amount) for amount in (600, 601, 602)]
    carry_out(store, registration(1), daily_limit(1, 500), *conflicts)
    rows = store.reader().events()
    assert len({row.id for row in rows}) == len(rows) > 1
    reader = open_store().reader()
    for row in rows:
        found = reader.event(row.id)
        assert found is not None
        assert (found.position, found.version, found.event.kind, found.event.facts) == (
            row.position,
            row.version,
            row.event.kind,
            row.event.facts,
        )
    for wrong in ("", "evt_x", f"{rows[0].id}0", rows[0].id.replace("evt", "chg")):
        assert reader.event(wrong) is None

"""Messages in every store: what waits, what receipts do, and that nothing is half written."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from zhiwei.messaging.model import Change, Inbound, Message, Planned, Receipt, Status
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.messages.connection import (
    FILE_NAME,
    SCHEMA,
    ForeignMessagesError,
    NewerMessagesError,
)
from zhiwei.stores.messages.reader import SqliteMessageReader
from zhiwei.stores.messages.store import SqliteMessageStore
from zhiwei.stores.postgres.address import Address
from zhiwei.stores.postgres.messages.reader import PostgresMessageReader
from zhiwei.stores.postgres.messages.store import PostgresMessageStore

NOW = 1_763_956_800_000
NONE: frozenset[str] = frozenset()
IN = Inbound("in_1", "+8613800138000", "ZF", NOW)


#: What these tests are about, whichever store it is.
Store: TypeAlias = "SqliteMessageStore | PostgresMessageStore"
Reader: TypeAlias = "SqliteMessageReader | PostgresMessageReader"


@pytest.fixture(params=["sqlite", "postgres"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Open the store, or open it again: what was committed must be there."""
    opened: list[Store] = []
    # Asked for by name, so that no server is started for the other one.
    url = request.getfixturevalue("message_database") if request.param == "postgres" else ""

    def again() -> Store:
        for one in opened:
            one.close()
        made = PostgresMessageStore(Address(url)) if url else SqliteMessageStore(tmp_path)
        opened[:] = [made]
        return made

    yield again
    for one in opened:
        one.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    """A new store."""
    return open_store()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SqliteMessageStore]:
    """A new `messages.db`."""
    one = SqliteMessageStore(tmp_path)
    yield one
    one.close()


@pytest.fixture
def reader(store: Store) -> Iterator[Reader]:
    """A reader of it."""
    one = store.reader()
    yield one
    one.close()


def message(number: int, lane: str = "a", **more: object) -> Message:
    """A text message."""
    first = Message(
        id=f"msg_{number:04d}_0-sms",
        event_id=f"evt_{number:04d}_0",
        kind="stop_placed",
        card_key=b"\x01" * 16,
        lane=lane,
        channel="sms",
        to="+8613800138000",
        language="zh",
        subject="",
        text="【智卫】卡已止付",
        created_ms=NOW,
    )
    return replace(first, **more)  # type: ignore[arg-type]  # a test's own


def queued(*messages: Message) -> list[Planned]:
    """To be sent."""
    return [Planned(one) for one in messages]


def due(store: Store, now: int = NOW, busy: frozenset[str] = NONE) -> list[str]:
    """Numbers of the messages that may go."""
    return [one.message.id[4:8] for one in store.due("sms", now, 100, busy)]


def sent(one: Message, remote_id: str = "") -> Change:
    """The other side took it."""
    return Change(one.id, Status.SENT, 1, 0, NOW, remote_id)


def test_a_message_comes_back_as_it_was(store: Store, reader: Reader) -> None:
    """Every field is kept."""
    one = message(1, subject="s", expires_ms=5, is_urgent=True, challenge="chg_1", language="en")
    assert store.plan([Planned(one, Status.MUTED, "quiet hours")], cursor=7, now_ms=NOW) == 1
    found = reader.message(one.id)
    assert found is not None
    assert found.message == one
    assert (found.status, found.detail) == (Status.MUTED, "quiet hours")
    assert (found.position, found.tries, found.planned_ms) == (1, 0, NOW)
    assert store.cursor() == 7


def test_the_same_event_never_makes_another(store: Store) -> None:
    """A known id is left as it is, whatever became of it."""
    one = message(1)
    store.plan(queued(one), cursor=1, now_ms=NOW)
    store.note([sent(one)])
    assert store.plan(queued(one), cursor=-1, now_ms=NOW) == 0
    assert due(store) == []
    assert store.cursor() == 1


def test_only_heads_of_lanes_go_urgent_lanes_first(store: Store) -> None:
    """Order is kept in a lane; a question makes its whole lane hurry."""
    urgent = message(5, "c", is_urgent=True)
    rows = [message(1, "a"), message(2, "a"), message(3, "b"), message(4, "c"), urgent]
    store.plan(queued(*rows), cursor=1, now_ms=NOW)
    assert due(store) == ["0004", "0001", "0003"]
    assert due(store, busy=frozenset("a")) == ["0004", "0003"]
    store.note([sent(rows[0]), sent(rows[3])])
    assert due(store) == ["0005", "0002", "0003"]
    store.note([sent(urgent)])
    assert due(store) == ["0002", "0003"]


def test_what_waits_for_its_next_try_holds_its_lane(store: Store) -> None:
    """Nothing overtakes in a lane; other lanes go on."""
    rows = [message(1, "a"), message(2, "a"), message(3, "b")]
    store.plan(queued(*rows), cursor=1, now_ms=NOW)
    store.note([Change(rows[0].id, Status.QUEUED, 1, NOW + 500, NOW, detail="busy")])
    assert due(store) == ["0003"]
    assert due(store, NOW + 499) == ["0003"]
    assert due(store, NOW + 500) == ["0001", "0003"]


def test_lanes_of_two_channels_do_not_meet(store: Store) -> None:
    """The same lane name in another channel is another lane."""
    store.plan(queued(message(1), message(2, channel="email")), cursor=1, now_ms=NOW)
    assert due(store) == ["0001"]
    assert [one.message.channel for one in store.due("email", NOW, 10, NONE)] == ["email"]


def test_lanes_agree_with_a_plain_look_at_all_messages(store: Store) -> None:
    """After many random changes, what may go is what a full look says."""
    rng = random.Random(7)
    known: dict[str, tuple[str, bool, Status, int]] = {}
    for number in range(1, 1_500 if isinstance(store, SqliteMessageStore) else 300):
        if rng.random() < 0.5 or not known:
            one = message(number, rng.choice("abcdefgh"), is_urgent=rng.random() < 0.1)
            status = rng.choice([Status.QUEUED] * 5 + [Status.MUTED])
            store.plan([Planned(one, status)], cursor=-1, now_ms=NOW)
            known[one.id] = (one.lane, one.is_urgent, status, 0)
        else:
            name = rng.choice(list(known))
            lane, is_urgent, status, _ = known[name]
            if status is Status.QUEUED:
                status = rng.choice([Status.QUEUED, Status.SENT, Status.FAILED])
                next_ms = NOW + rng.randrange(100) if status is Status.QUEUED else 0
                store.note([Change(name, status, 1, next_ms, NOW)])
            else:
                next_ms = 0
                assert store.replay([name], NOW) == 1
                status = Status.QUEUED
            known[name] = (lane, is_urgent, status, next_ms)
        now = NOW + rng.randrange(100)
        lanes: dict[str, list[str]] = {}
        for name, row in known.items():
            if row[2] is Status.QUEUED:
                lanes.setdefault(row[0], []).append(name)
        heads = [names[0] for names in lanes.values() if known[names[0]][3] <= now]
        hurry = {lane for lane, names in lanes.items() if any(known[one][1] for one in names)}
        heads.sort(key=lambda name: (known[name][0] not in hurry, name))
        assert due(store, now) == [name[4:8] for name in heads]


def test_a_receipt_finds_its_message(store: Store, reader: Reader) -> None:
    """Delivered and failed are written; later contradictions are not believed."""
    rows = [message(1, "a"), message(2, "b")]
    store.plan(queued(*rows), cursor=1, now_ms=NOW)
    store.note([sent(rows[0], "A1"), sent(rows[1], "A2")])
    found = store.note_receipt("sms", Receipt("A1", Status.DELIVERED), NOW + 5)
    assert found is not None
    assert found.status is Status.DELIVERED
    store.note_receipt("sms", Receipt("A2", Status.FAILED, "no such number"), NOW)
    store.note_receipt("sms", Receipt("A1", Status.FAILED), NOW)
    assert [one.status for one in reader.messages()] == [Status.FAILED, Status.DELIVERED]
    assert store.note_receipt("email", Receipt("A1", Status.FAILED), NOW) is None


def test_a_receipt_that_comes_first_waits(store: Store, reader: Reader) -> None:
    """It is applied when its message is noted as sent, and forgotten when it never is."""
    one = message(1)
    store.plan(queued(one), cursor=1, now_ms=NOW)
    for remote_id in ("A1", "unknown"):
        assert store.note_receipt("sms", Receipt(remote_id, Status.DELIVERED), NOW) is None
    store.note([sent(one, "A1")])
    assert [row.status for row in reader.messages()] == [Status.DELIVERED]
    assert store.forget_receipts(NOW) == 0
    assert store.forget_receipts(NOW + 1) == 1


def test_a_receipt_for_an_earlier_copy(store: Store, reader: Reader) -> None:
    """A replayed message is not failed by the receipt of its first copy, but may be delivered."""
    one = message(1)
    store.plan(queued(one), cursor=1, now_ms=NOW)
    store.note([sent(one, "A1")])
    assert store.replay([one.id], NOW) == 1
    store.note_receipt("sms", Receipt("A1", Status.FAILED), NOW)
    assert due(store) == ["0001"]
    store.note_receipt("sms", Receipt("A1", Status.DELIVERED), NOW)
    assert due(store) == []
    store.note([sent(one, "A2")])
    assert [row.status for row in reader.messages()] == [Status.DELIVERED]


def test_a_challenge_that_no_message_can_bring_is_told_once(store: Store) -> None:
    """Only when all its messages are given up, by a try or a receipt; and until it was told."""
    rows = [message(1, "a", challenge="chg_1"), message(2, "b", challenge="chg_1")]
    store.plan(queued(*rows), cursor=1, now_ms=NOW)
    store.note([Change(rows[0].id, Status.DEAD, 1, 0, NOW), sent(rows[1], "A2")])
    assert store.undeliverable(10) == []
    store.note_receipt("sms", Receipt("A2", Status.FAILED), NOW)
    assert [one.challenge for one in store.undeliverable(10)] == ["chg_1"]
    store.told_undeliverable("chg_1")
    assert store.undeliverable(10) == []


def test_a_challenge_whose_messages_were_never_to_go(store: Store) -> None:
    """One held back beside one that waits is hope; all of them held back is none."""
    rows = [message(1, "a", challenge="chg_1"), message(2, "b", challenge="chg_1")]
    store.plan([Planned(rows[0], Status.HELD_BACK), Planned(rows[1])], cursor=1, now_ms=NOW)
    assert store.undeliverable(10) == []
    store.plan(
        [Planned(message(3, "c", challenge="chg_2"), Status.HELD_BACK)], cursor=2, now_ms=NOW
    )
    assert [one.challenge for one in store.undeliverable(10)] == ["chg_2"]


def test_inbound_messages_are_carried_out_once(store: Store) -> None:
    """Taken twice is once; answered with its reply in one transaction."""
    assert store.take_in(IN)
    assert not store.take_in(IN)
    assert store.unanswered(10) == [IN]
    assert store.waiting_inbound() == 1
    reply = message(9, event_id="", kind="reply")
    store.answered(IN.id, Planned(reply), NOW)
    assert store.unanswered(10) == []
    assert store.waiting_inbound() == 0
    assert not store.take_in(IN)
    assert due(store) == ["0009"]


def test_what_was_answered_is_blanked(file: SqliteMessageStore, tmp_path: Path) -> None:
    """Nobody's number and words stay longer than they are needed."""
    file.take_in(IN)
    file.answered(IN.id, None, NOW)
    with sqlite3.connect(tmp_path / FILE_NAME) as look:
        assert look.execute("select sender, body from inbound").fetchall() == [("", "")]
    look.close()


def test_budgets_count_within_their_time(store: Store) -> None:
    """What was spent since an instant; a clock that steps back gives nothing back."""
    store.spend(["a", "a", "b"], NOW)
    store.spend(["a"], NOW + 2_000)
    assert store.spent("a", NOW) == 3
    assert store.spent("a", NOW + 1_000) == 1
    assert store.spent("a", NOW - 3_600_000) == 3
    assert store.spent("c", 0) == 0
    assert store.forget_spending(NOW + 1_000, 100) == 2
    assert store.spent("a", 0) == 1


def test_all_of_a_transaction_or_nothing(store: Store, reader: Reader) -> None:
    """A fault in the middle leaves messages, cursor, budgets and counts as they were."""

    def break_off() -> None:
        with store.together():
            store.plan(queued(message(1)), cursor=9, now_ms=NOW)
            store.spend(["a"], NOW)
            store.take_in(IN)
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - our own, above
        break_off()
    assert reader.messages() == []
    assert (store.cursor(), store.spent("a", 0), store.unanswered(1)) == (0, 0, [])
    store.plan(queued(message(2)), cursor=1, now_ms=NOW)
    assert reader.backlog() == {("sms", Status.QUEUED): 1}


def test_a_file_that_cannot_be_written_says_so(file: SqliteMessageStore, tmp_path: Path) -> None:
    """Another program's lock is told as `StoreUnavailableError`, and nothing changed."""
    file._execute("pragma busy_timeout = 10")
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(StoreUnavailableError):
        file.plan(queued(message(1)), cursor=1, now_ms=NOW)
    other.execute("rollback")
    other.close()
    assert file.plan(queued(message(1)), cursor=1, now_ms=NOW) == 1


def test_it_reads_in_every_direction(store: Store, reader: Reader) -> None:
    """By event, card, status and channel; newest first; both bounds as in the main store."""
    rows = [message(n, f"l{n}", card_key=bytes([n % 3]) * 16) for n in range(1, 31)]
    store.plan(queued(*rows), cursor=1, now_ms=NOW)
    second = replace(rows[4], id="msg_0005_0-email", lane="x", channel="email")
    store.plan([Planned(second, Status.HELD_BACK)], cursor=1, now_ms=NOW + 1)
    positions = [one.position for one in reader.messages(before=20, after=5, limit=3)]
    assert positions == [19, 18, 17]
    assert [one.position for one in reader.messages(after=5, limit=3)] == [8, 7, 6]
    of_event = reader.messages(event_id="evt_0005_0")
    assert [one.message.id for one in of_event] == [second.id, rows[4].id]
    assert len(reader.messages(card_key=b"\x01" * 16)) == 10
    assert [one.message.id for one in reader.messages(status=Status.HELD_BACK)] == [second.id]
    assert len(reader.messages(status=Status.QUEUED, channel="sms")) == 30
    assert reader.messages(status=Status.SENT, channel="sms") == []
    assert reader.message("msg_none") is None
    assert reader.oldest_queued_ms("sms") == NOW
    assert reader.oldest_queued_ms("email") == 0
    assert store.waiting("sms") == (30, NOW)
    assert store.waiting("email") == (0, 0)


def test_what_is_over_and_old_is_forgotten(store: Store, reader: Reader) -> None:
    """Messages that wait, and young ones, stay; the counts follow."""
    rows = [message(n, f"l{n}") for n in range(1, 6)]
    store.plan(queued(*rows), cursor=1, now_ms=NOW)
    store.note([sent(one, one.id) for one in rows[1:]])
    store.note([Change(rows[4].id, Status.SENT, 1, 0, NOW + 9)])
    store.take_in(IN)
    store.answered(IN.id, None, NOW)
    assert sum(store.forget_before(NOW + 9, 2) for _ in range(6)) == 4
    assert [one.message.id for one in reader.messages()] == [rows[4].id, rows[0].id]
    assert reader.backlog() == {("sms", Status.QUEUED): 1, ("sms", Status.SENT): 1}
    assert store.take_in(IN)


def test_a_clock_that_was_set_back_holds_nobody_up(store: Store) -> None:
    """A next try in a far future comes nearer."""
    one = message(1)
    store.plan(queued(one), cursor=1, now_ms=NOW)
    store.note([Change(one.id, Status.QUEUED, 1, NOW + 10**9, NOW)])
    store.hurry(NOW + 900)
    assert due(store, NOW + 899) == []
    assert due(store, NOW + 900) == ["0001"]


def test_what_waits_for_days_is_found(store: Store) -> None:
    """Oldest first; a replay begins anew."""
    rows = [message(n, f"l{n}") for n in range(1, 4)]
    for n, one in enumerate(rows):
        store.plan(queued(one), cursor=1, now_ms=NOW + n)
    store.note([Change(rows[0].id, Status.DEAD, 1, 0, NOW)])
    store.replay([rows[0].id], NOW + 50)
    found = store.overdue("sms", NOW + 2, 10)
    assert [one.message.id for one in found] == [rows[1].id]


def test_it_is_all_there_after_opening_again(open_store: Callable[[], Store]) -> None:
    """Closing and opening changes nothing."""
    first = open_store()
    first.plan(queued(message(1)), cursor=3, now_ms=NOW)
    first.take_in(IN)
    again = open_store()
    assert again.cursor() == 3
    assert due(again) == ["0001"]
    assert again.unanswered(1) == [IN]


def test_a_file_is_left_in_one_piece(tmp_path: Path) -> None:
    """Whoever closes it last leaves nothing beside it."""
    first = SqliteMessageStore(tmp_path)
    first.plan(queued(message(1)), cursor=3, now_ms=NOW)
    first.close()
    reader = SqliteMessageReader(tmp_path / FILE_NAME)
    assert len(reader.messages()) == 1
    reader.close()
    assert [one.name for one in tmp_path.iterdir()] == [FILE_NAME]


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """A database of another program, a text, and newer data are refused and not touched."""
    path = tmp_path / FILE_NAME
    with sqlite3.connect(path) as file:
        file.execute("create table theirs (a)")
    file.close()
    before = path.read_bytes()
    with pytest.raises(ForeignMessagesError):
        SqliteMessageStore(tmp_path)
    assert path.read_bytes() == before
    path.write_bytes(b"this is not a database, it is a text that happens to be here" * 20)
    with pytest.raises(ForeignMessagesError):
        SqliteMessageStore(tmp_path)
    path.unlink()
    SqliteMessageStore(tmp_path).close()
    with sqlite3.connect(path) as file:
        file.execute(f"pragma user_version = {SCHEMA + 1}")
    file.close()
    with pytest.raises(NewerMessagesError):
        SqliteMessageStore(tmp_path)
    with pytest.raises(StoreUnavailableError):
        SqliteMessageStore(tmp_path / "missing")

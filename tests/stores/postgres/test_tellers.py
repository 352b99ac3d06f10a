"""Several tellers of one database: each message once, each card in its order, whoever dies."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests.cli.test_messages import zhiwei
from tests.messaging.post import NOW, TAKEN, Post, numbers
from tests.stores.messages.test_messages import IN, NONE, due, message, queued, sent
from zhiwei.assemble_messages import open_message_store
from zhiwei.messaging.model import Answer, Change, Inbound, Message, Receipt, Status
from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.postgres.address import Address
from zhiwei.stores.postgres.messages.store import PostgresMessageStore

PATIENCE = 60.0
EVENTS = 120
CARDS = 6
TELLERS = 2


def until(is_true: Callable[[], object]) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.005)


@pytest.fixture
def database(message_database: str) -> str:
    """A database without messages."""
    return message_database


@pytest.fixture
def stores(database: str) -> Iterator[tuple[PostgresMessageStore, PostgresMessageStore]]:
    """Two tellers that live."""
    one, two = (PostgresMessageStore(Address(database)) for _ in range(2))
    for store in (one, two):
        store.renew()
    yield one, two
    for store in (one, two):
        store.close()


Two = tuple[PostgresMessageStore, PostgresMessageStore]


@pytest.fixture
def stranger(database: str) -> Iterator[psycopg.Connection]:
    """Somebody who looks at the tables, and changes them."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def let_die(stranger: psycopg.Connection, store: PostgresMessageStore) -> None:
    """Nobody has heard of a teller for too long."""
    stranger.execute(
        "update message_teller set held_until = now() - interval '1 second' where id = %s",
        (store._number,),
    )


class Streets:
    """The other side of two channels: sees what is on its way in each lane."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.most_in_a_lane = 0
        self._now: dict[str, int] = {}
        self._lock = threading.Lock()
        self._threads: set[int] = set()
        #: Both tellers have something on its way; before that, neither ends its first.
        self._have_met = threading.Event()

    async def send(self, message: Message) -> Answer:
        """Note it, and let others come in between."""
        with self._lock:
            self.sent.append(message.id)
            self._now[message.lane] = self._now.get(message.lane, 0) + 1
            self.most_in_a_lane = max(self.most_in_a_lane, self._now[message.lane])
            self._threads.add(threading.get_ident())
            if len(self._threads) == TELLERS:
                self._have_met.set()
        await asyncio.to_thread(self._have_met.wait, PATIENCE)
        await asyncio.sleep(0.001)
        with self._lock:
            self._now[message.lane] -= 1
        return TAKEN


def a_post(folder: Path, database: str, streets: Streets) -> Post:
    """A worker on the database."""
    post = Post(folder)
    post.new_store = lambda: PostgresMessageStore(Address(database))
    post.wire.at_once = CARDS // TELLERS
    post.wire.send = streets.send  # type: ignore[method-assign]  # both have the same street
    return post


@contextmanager
def at_work(post: Post) -> Iterator[None]:
    """The worker on a thread of its own, as another process would be."""
    loop, is_over = asyncio.new_event_loop(), asyncio.Event()
    is_running = threading.Event()

    async def work() -> None:
        async with post.running():
            is_running.set()
            await is_over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(work()), daemon=True)
    thread.start()
    assert is_running.wait(PATIENCE)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join(PATIENCE)
    loop.close()


def test_two_tellers_send_each_message_once_and_keep_each_card_s_order(
    tmp_path: Path, database: str, stranger: psycopg.Connection
) -> None:
    """Both plan, both send; no event is planned twice, no lane has two on their way."""
    streets = Streets()
    posts = [a_post(tmp_path, database, streets) for _ in range(TELLERS)]
    posts[1].events = posts[0].events
    with ExitStack() as stack:
        for post in posts:
            stack.enter_context(at_work(post))
        for n in range(EVENTS):
            posts[0].events.add(card=n % CARDS)
        count = "select count(*) from message where status = 1"
        until(lambda: stranger.execute(count).fetchone() == (EVENTS,))
    order = numbers(streets.sent)
    assert sorted(order) == list(range(1, EVENTS + 1))
    for card in range(CARDS):
        assert sorted(mine := [n for n in order if (n - 1) % CARDS == card]) == mine
    assert streets.most_in_a_lane == 1
    assert all(post.told.count("sent") for post in posts)
    assert sum(post.told.count("sent") for post in posts) == EVENTS
    # One is spent for each event that is planned: were one planned twice, this would show it.
    last = PostgresMessageStore(Address(database))
    assert (last.cursor(), last.spent("card", 0)) == (EVENTS, EVENTS)
    last.close()
    assert stranger.execute("select count(*) from message_lane").fetchone() == (0,)
    assert stranger.execute("select count(*) from message_teller").fetchone() == (0,)


def test_one_teller_plans_at_a_time(stores: Two) -> None:
    """The other finds the cursor taken, and afterwards moved."""
    one, two = stores
    with one.together():
        assert one.take_cursor() == 0
        with two.together():
            assert two.take_cursor() is None
        one.plan(queued(message(1)), cursor=7, now_ms=NOW)
    with two.together():
        assert two.take_cursor() == 7


def test_what_a_dead_teller_had_goes_out_again(stores: Two, stranger: psycopg.Connection) -> None:
    """Under the same ids and in order; what it says too late does no harm."""
    one, two = stores
    rows = [message(1, "a"), message(2, "a"), message(3, "b")]
    one.plan(queued(*rows), cursor=1, now_ms=NOW)
    assert due(one) == ["0001", "0003"]
    two.renew()
    assert due(two) == []
    let_die(stranger, one)
    two.renew()
    assert due(two) == ["0001", "0003"]
    # It was not dead, only slow: that its message went out is true, but the lane is not its own.
    one.note([Change(rows[2].id, Status.QUEUED, 1, 0, NOW), sent(rows[0])])
    assert due(one) == []
    two.note([sent(rows[0]), sent(rows[2])])
    one.note([Change(rows[2].id, Status.QUEUED, 2, 0, NOW)])
    one.renew()
    assert due(one) == ["0002"]
    assert stranger.execute("select status from message order by id").fetchall() == [
        (1,),
        (0,),
        (1,),
    ]


def test_a_teller_that_ends_gives_back_what_it_had(stores: Two) -> None:
    """At once, without a wait; so does a successor under the same number."""
    one, two = stores
    one.plan(queued(message(1)), cursor=1, now_ms=NOW)
    one.take_in(IN)
    assert (due(one), one.unanswered(9)) == (["0001"], [IN])
    one.close()
    assert (due(two), two.unanswered(9)) == (["0001"], [IN])
    successor = PostgresMessageStore(two._address, two._number)
    successor.renew()
    one.renew()
    assert due(one) == ["0001"]
    successor.close()


def test_nobody_is_taken_for_dead_because_the_database_was_away(
    stores: Two, stranger: psycopg.Connection
) -> None:
    """Who was late itself waits for the others as long again."""
    one, two = stores
    one.plan(queued(message(1)), cursor=1, now_ms=NOW)
    assert due(one) == ["0001"]
    for store in stores:
        let_die(stranger, store)
    two.renew()
    two.renew()
    assert due(two) == []
    assert due(one) == ["0001"]


def test_a_server_with_a_wrong_clock_goes_by_the_database_s(
    database: str, stranger: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is a day ahead, and neither loses what it has nor takes what others have."""
    right, _ = open_message_store(tmp_path, database)
    ahead = time.time_ns() + 86_400_000_000_000
    monkeypatch.setattr("zhiwei.clock.time.time_ns", lambda: ahead)
    wrong, clock = open_message_store(tmp_path, database)
    now = stranger.execute("select (extract(epoch from now()) * 1000)::bigint").fetchone()
    assert now is not None
    assert abs(clock.now_ms() - now[0]) < 60_000
    wrong.plan(queued(message(1)), cursor=1, now_ms=clock.now_ms())
    right.renew()
    assert [one.message.id for one in right.due("sms", now[0], 9, NONE)] == [message(1).id]
    wrong.renew()
    assert wrong.due("sms", clock.now_ms(), 9, NONE) == []
    held = "select count(*) from message_teller where held_until < now() + interval '1 minute'"
    assert stranger.execute(held).fetchone() == (2,)
    right.close()
    wrong.close()


def test_what_a_sender_says_is_carried_out_by_one_teller(
    stores: Two, stranger: psycopg.Connection
) -> None:
    """In its order, wherever it came in; when that one dies, by another."""
    one, two = stores
    second = Inbound("in_2", IN.sender, "Y", NOW + 1)
    other = Inbound("in_3", "+8613900139000", "Y", NOW + 2)
    two.take_in(IN)
    assert one.unanswered(9) == [IN]
    two.take_in(second)
    two.take_in(other)
    assert two.unanswered(9) == [other]
    assert one.unanswered(9) == [IN, second]
    one.answered(IN.id, None, NOW)
    assert one.unanswered(9) == [second]
    let_die(stranger, one)
    two.renew()
    assert two.unanswered(9) == [second, other]
    two.answered(second.id, None, NOW)
    assert (one.waiting_inbound(), two.waiting_inbound()) == (1, 1)
    assert stranger.execute("select sender from message_sender").fetchall() == [(other.sender,)]
    blank = "select sender, body from message_inbound where answered_ms > 0"
    assert stranger.execute(blank).fetchall() == [("", "")] * 2


def test_a_challenge_that_reaches_nobody_is_told_by_one(
    stores: Two, stranger: psycopg.Connection
) -> None:
    """And by another where that one died before it had told it."""
    one, two = stores
    lost = queued(message(1, challenge="chg_1"))
    one.plan(lost, cursor=1, now_ms=NOW)
    one.note([Change(lost[0].message.id, Status.DEAD, 1, 0, NOW)])
    assert len(one.undeliverable(9)) == 1
    assert two.undeliverable(9) == []
    let_die(stranger, one)
    two.renew()
    assert len(two.undeliverable(9)) == 1


def waits_for(stranger: psycopg.Connection, turn: int) -> int:
    """How many wait for a turn."""
    row = stranger.execute(
        "select count(*) from pg_locks where locktype = 'advisory' and objid = %s and not granted",
        (turn,),
    ).fetchone()
    assert row is not None
    return int(row[0])


def are_waiting(stranger: psycopg.Connection, count: int) -> bool:
    """Whether so many wait for the turn of receipts."""
    return waits_for(stranger, 21) == count


def test_two_who_give_up_the_last_two_hopes_at_once_tell_it(
    database: str, stores: Two, stranger: psycopg.Connection
) -> None:
    """Each has not seen the other's when it begins to look; one of them does in its turn."""
    rows = [message(1, "a", challenge="chg_1"), message(2, "b", challenge="chg_1")]
    stores[0].plan(queued(*rows), cursor=1, now_ms=NOW)
    changes = [Change(one.id, Status.FAILED, 1, 0, NOW) for one in rows]
    with psycopg.connect(database) as holder, ThreadPoolExecutor() as pool:
        holder.execute("select pg_advisory_xact_lock(2054711145, 22)")
        both = [
            pool.submit(store.note, [change]) for store, change in zip(stores, changes, strict=True)
        ]
        until(lambda: waits_for(stranger, 22) == 2)
        holder.commit()
        for one in both:
            one.result(PATIENCE)
    assert len(stores[0].undeliverable(9)) == 1


@pytest.mark.parametrize("is_receipt_first", [True, False])
def test_a_receipt_at_one_server_finds_what_another_just_sent(
    database: str, stores: Two, stranger: psycopg.Connection, is_receipt_first: bool
) -> None:
    """Whichever is written first, the message is delivered."""
    one, two = stores
    first = message(1)
    one.plan(queued(first), cursor=1, now_ms=NOW)
    assert due(one) == ["0001"]
    works: list[Callable[[], object]] = [
        lambda: one.note([sent(first, "A1")]),
        lambda: two.note_receipt("sms", Receipt("A1", Status.DELIVERED), NOW),
    ]
    if is_receipt_first:
        works.reverse()
    with psycopg.connect(database) as holder, ThreadPoolExecutor() as pool:
        holder.execute("select pg_advisory_xact_lock(2054711145, 21)")
        both = []
        for number, work in enumerate(works, 1):
            both.append(pool.submit(work))
            until(partial(are_waiting, stranger, number))
        holder.commit()
        for each in both:
            each.result(PATIENCE)
    assert stranger.execute("select status from message").fetchall() == [(2,)]
    assert stranger.execute("select count(*) from message_early_receipt").fetchone() == (0,)


def test_a_lane_is_held_although_nothing_waits_in_it(stores: Two) -> None:
    """A receipt says that an earlier copy arrived while this one is on its way; then comes more."""
    one, two = stores
    first, second = message(1), message(2)
    one.plan(queued(first), cursor=1, now_ms=NOW)
    one.note([sent(first, "A1")])
    one.replay([first.id], NOW)
    assert due(one) == ["0001"]
    two.note_receipt("sms", Receipt("A1", Status.DELIVERED), NOW)
    two.plan(queued(second), cursor=2, now_ms=NOW)
    assert due(two) == []
    one.note([sent(first, "A2")])
    assert due(two) == ["0002"]


def test_old_messages_on_their_way_elsewhere_are_not_given_up(stores: Two) -> None:
    """Another teller may be about to hear that it arrived."""
    one, two = stores
    one.plan(queued(message(1, "a"), message(2, "b")), cursor=1, now_ms=NOW)
    assert len(one.due("sms", NOW, 1, NONE)) == 1
    assert [old.message.lane for old in two.overdue("sms", NOW + 1, 9)] == ["b"]
    assert len(one.overdue("sms", NOW + 1, 9)) == 2


def test_a_lost_connection_is_made_anew(stores: Two, stranger: psycopg.Connection) -> None:
    """What begins a transaction does not even notice; what was open is undone, and says so."""
    one, _ = stores
    kill = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    stranger.execute(kill)
    one.plan(queued(message(1)), cursor=1, now_ms=NOW)

    def break_off() -> None:
        with one.together():
            one.plan(queued(message(2)), cursor=2, now_ms=NOW)
            stranger.execute(kill)
            one.spend(["a"], NOW)

    with pytest.raises(StoreUnavailableError):
        break_off()
    assert one.cursor() == 1
    assert due(one) == ["0001"]


def test_a_wait_for_standbys_that_was_cancelled_is_no_receipt(
    stores: Two, stranger: psycopg.Connection
) -> None:
    """PostgreSQL calls it done, with a warning; nobody is told that the message was taken."""
    stranger.execute(
        "create or replace function warn() returns trigger language plpgsql as"
        " $$ begin raise warning 'canceling wait'; return null; end $$"
    )
    stranger.execute(
        "create constraint trigger t after insert on message_inbound deferrable"
        " initially deferred for each row execute function warn()"
    )
    with pytest.raises(StoreUnavailableError, match="not known"):
        stores[0].take_in(IN)
    # The network brings it again, and then it is known.
    assert not stores[0].take_in(IN)


def test_what_no_text_may_hold_harms_nobody_else(stores: Two) -> None:
    """A zero byte is replaced; half a character is refused before anything was sent."""
    one, _ = stores
    with one.together():
        one.plan(queued(message(1, text="a\0b")), cursor=-1, now_ms=NOW)
        for bad in (message(2, text="\ud800"), message(2, created_ms=1 << 63)):
            with suppress(ValueError, OverflowError):
                one.plan(queued(bad), cursor=-1, now_ms=NOW)
        one.plan((), cursor=3, now_ms=NOW)
    one.note([Change(message(1).id, Status.QUEUED, 1, 0, NOW, "\0", "\0")])
    found = one.due("sms", NOW, 9, NONE)
    assert [(each.message.text, each.detail) for each in found] == [("a\ufffdb", "\ufffd")]
    assert one.cursor() == 3


def test_the_command_line_looks_and_queues_again_beside_servers(
    database: str, stores: Two, tmp_path: Path
) -> None:
    """No server need end for it; each of them may send what is queued again."""
    one, two = stores
    one.plan(queued(message(1)), cursor=1, now_ms=NOW)
    one.note([Change(message(1).id, Status.DEAD, 9, 0, NOW)])
    where = ("--data", str(tmp_path), "--database", database)
    assert zhiwei("list", *where).stdout.split()[:2] == [message(1).id, "dead"]
    assert zhiwei("replay", "--status", "dead", *where).stdout == "1 queued again\n"
    assert "queued" in zhiwei("show", message(1).id, *where).stdout
    assert due(two) == ["0001"]
    assert list(tmp_path.iterdir()) == []

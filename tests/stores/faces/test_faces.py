"""What a store of the faces promises (`FaceStore`), asked of each store that there is."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from zhiwei.ports import StoreUnavailableError
from zhiwei.stores.faces import (
    FILE_NAME,
    ForeignFacesError,
    NewerFacesError,
    SqliteFaceStore,
)
from zhiwei.stores.postgres.access.faces import PostgresFaceStore
from zhiwei.web.sign_in.model import (
    COUNTED_MS,
    DEEDS_MAX,
    PASSKEYS_MAX,
    SESSION_MS,
    Code,
    Deed,
    Face,
    FaceStore,
    Operator,
    Passkey,
    Proof,
    Role,
    Session,
)

NOW = 1_763_956_800_000
MINUTE = 60_000
SESSION = Session(
    id="a" * 64,
    face=Face.CARDHOLDER,
    subject="holder_1",
    cardholder="holder_1",
    role=Role.VIEWER,
    proof=Proof.CODE,
    created_ms=NOW,
    seen_ms=NOW,
    csrf="b" * 64,
)
PASSKEY = Passkey("cred1", Face.CARDHOLDER, "holder_1", b"\x01\x02", 0, "电话", NOW)
CODE = Code("enter|v|0|holder_1", "c" * 64, NOW, NOW + 5 * MINUTE, 5)
DEED = Deed("deed_1", SESSION.id, "set_control", "card_1", "{}", NOW, NOW + 10 * MINUTE)
#: Opens a store on the same data each time.
Open = Callable[[], FaceStore]
OPERATOR = Operator("op_1", "王芳", Role.AGENT, NOW, "wang@bank")


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Where a store is; opens one more on it, as another server or the command line does."""
    if request.param == "sqlite":
        return partial(SqliteFaceStore, tmp_path)
    # Asked for by name, so that no server is started for the other one.
    return partial(PostgresFaceStore, request.getfixturevalue("database"))


@pytest.fixture
def store(place: Open) -> Iterator[FaceStore]:
    """A new store."""
    with closing(place()) as one:
        yield one


@pytest.fixture
def other(place: Open, store: FaceStore) -> Iterator[FaceStore]:
    """The same data, opened once more."""
    assert store is not None
    with closing(place()) as one:
        yield one


def at_once(times: int, what: Callable[[int], object]) -> list[object]:
    """What each of several threads gets that begin together."""
    gate = threading.Barrier(times)
    found: list[object] = []

    def run(number: int) -> None:
        gate.wait()
        found.append(what(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_a_session_is_kept_as_it_is(store: FaceStore) -> None:
    """Every field comes back, and an unknown id is no session."""
    store.add_session(SESSION)
    operator = replace(SESSION, id="d" * 64, face=Face.OPERATOR, role=Role.OFFICER)
    store.add_session(operator)
    assert store.session(SESSION.id) == SESSION
    assert store.session(operator.id) == operator
    assert store.session("e" * 64) is None


def test_a_session_never_grows_younger(store: FaceStore) -> None:
    """A use is noted, and an earlier one that is written later changes nothing."""
    store.add_session(SESSION)
    store.touch_session(SESSION.id, NOW + MINUTE)
    store.touch_session(SESSION.id, NOW + 1)
    assert store.session(SESSION.id) == replace(SESSION, seen_ms=NOW + MINUTE)


def test_sessions_end_one_by_one_or_all_of_a_person(store: FaceStore) -> None:
    """Others' sessions go on; what an ended session asked for is gone with it."""
    for letter, subject in (("1", "holder_1"), ("2", "holder_1"), ("3", "holder_2")):
        session = letter * 64
        store.add_session(replace(SESSION, id=session, subject=subject))
        store.add_deed(replace(DEED, id=f"deed_{letter}", session=session))
    assert store.end_sessions(session_id="1" * 64) == 1
    assert store.session("1" * 64) is None
    assert store.deed("deed_1", "1" * 64, NOW) is None
    assert store.deed("deed_2", "2" * 64, NOW) is not None
    assert store.end_sessions(subject="holder_1") == 1
    assert store.deed("deed_2", "2" * 64, NOW) is None
    assert store.session("3" * 64) is not None
    assert store.end_sessions(subject="holder_1") == 0


def test_a_passkey_has_one_owner(store: FaceStore) -> None:
    """An id that is taken is not given to somebody else, and lists are of one person and face."""
    assert store.add_passkey(PASSKEY)
    assert not store.add_passkey(replace(PASSKEY, subject="holder_2", public_key=b"x"))
    assert store.passkey("cred1") == PASSKEY
    second = replace(PASSKEY, id="cred2", created_ms=NOW - 1)
    assert store.add_passkey(second)
    assert store.passkeys(Face.CARDHOLDER, "holder_1") == [PASSKEY, second]
    assert store.passkeys(Face.OPERATOR, "holder_1") == []
    assert store.rename_passkey("cred2", "平板")
    assert store.passkey("cred2") == replace(second, label="平板")
    assert store.remove_passkey("cred2")
    assert not store.remove_passkey("cred2")
    assert not store.rename_passkey("cred2", "x")


def test_passkeys_of_a_person_are_bounded(store: FaceStore) -> None:
    """Past the bound none is added; another person has room."""
    for number in range(PASSKEYS_MAX):
        assert store.add_passkey(replace(PASSKEY, id=f"cred{number}"))
    assert not store.add_passkey(replace(PASSKEY, id="one more"))
    assert store.add_passkey(replace(PASSKEY, id="other", subject="holder_2"))


def test_passkeys_that_are_added_at_once_are_bounded(store: FaceStore, other: FaceStore) -> None:
    """Two places are left; of eight who ask two servers for them, two get one."""
    for number in range(PASSKEYS_MAX - 2):
        store.add_passkey(replace(PASSKEY, id=f"cred{number}"))
    both = (store, other)
    found = at_once(8, lambda n: both[n % 2].add_passkey(replace(PASSKEY, id=f"new{n}")))
    assert found.count(True) == 2
    assert len(store.passkeys(PASSKEY.face, PASSKEY.subject)) == PASSKEYS_MAX


def test_of_two_uses_with_one_count_one_is_a_copy(store: FaceStore, other: FaceStore) -> None:
    """The same count told to two servers at once is taken by one of them."""
    store.add_passkey(replace(PASSKEY, sign_count=5))
    both = (store, other)
    found = at_once(8, lambda n: both[n % 2].use_passkey(PASSKEY.id, 6, NOW))
    assert found.count(True) == 1


@pytest.mark.parametrize(
    ("before", "told", "is_taken"),
    [(0, 0, True), (0, 1, True), (5, 6, True), (5, 5, False), (5, 4, False), (5, 0, False)],
)
def test_a_count_that_does_not_grow_is_a_copy(
    store: FaceStore, before: int, told: int, is_taken: bool
) -> None:
    """A use whose count stands still is refused and not noted, unless the device never counts."""
    kept = replace(PASSKEY, sign_count=before)
    store.add_passkey(kept)
    assert store.use_passkey("cred1", told, NOW + 1) is is_taken
    used = replace(kept, sign_count=told, used_ms=NOW + 1)
    assert store.passkey("cred1") == (used if is_taken else kept)
    assert not store.use_passkey("unknown", 1, NOW)


def test_a_code_is_used_once(store: FaceStore) -> None:
    """It works within its time, one time."""
    store.add_code(CODE)
    assert store.try_code(CODE.purpose, CODE.hash, NOW + 5 * MINUTE - 1)
    assert not store.try_code(CODE.purpose, CODE.hash, NOW)


def test_a_code_ends_with_its_time(store: FaceStore) -> None:
    """At the instant at which it expires it is over."""
    store.add_code(CODE)
    assert not store.try_code(CODE.purpose, CODE.hash, NOW + 5 * MINUTE)


def test_a_code_ends_with_its_tries(store: FaceStore) -> None:
    """The last try may be right; after it nothing is."""
    for wrong, is_taken in ((4, True), (5, False)):
        store.add_code(CODE)
        for _ in range(wrong):
            assert not store.try_code(CODE.purpose, "d" * 64, NOW)
        assert store.try_code(CODE.purpose, CODE.hash, NOW) is is_taken


def test_a_code_is_for_its_purpose(store: FaceStore) -> None:
    """For another purpose it is unknown, and a new one takes its place."""
    store.add_code(CODE)
    assert not store.try_code("deed|deed_1", CODE.hash, NOW)
    store.add_code(replace(CODE, hash="e" * 64))
    assert not store.try_code(CODE.purpose, CODE.hash, NOW)
    assert store.try_code(CODE.purpose, "e" * 64, NOW)


def test_of_many_who_use_a_code_at_once_one_may(store: FaceStore, other: FaceStore) -> None:
    """Sixteen threads over two servers, one success."""
    store.add_code(replace(CODE, tries_left=100))
    both = (store, other)
    found = at_once(16, lambda n: both[n % 2].try_code(CODE.purpose, CODE.hash, NOW))
    assert found.count(True) == 1
    assert found.count(False) == 15


def test_many_guesses_at_once_have_no_more_tries(store: FaceStore, other: FaceStore) -> None:
    """Eight wrong guesses together use five tries up, whichever server they ask."""
    store.add_code(CODE)
    both = (store, other)
    at_once(8, lambda n: both[n % 2].try_code(CODE.purpose, "d" * 64, NOW))
    assert not store.try_code(CODE.purpose, CODE.hash, NOW)


def test_a_link_is_found_by_its_hash(store: FaceStore) -> None:
    """While it is valid, and no longer."""
    store.add_code(CODE)
    assert store.code_of(CODE.hash, NOW) == CODE
    assert store.code_of("d" * 64, NOW) is None
    assert store.code_of(CODE.hash, CODE.expires_ms) is None
    store.try_code(CODE.purpose, CODE.hash, NOW)
    assert store.code_of(CODE.hash, NOW) is None


def test_things_are_counted_since_an_instant(store: FaceStore) -> None:
    """This time is among them, what lies before the instant is not, names do not mix."""
    assert store.count("a", NOW, NOW - MINUTE) == 1
    assert store.count("a", NOW, NOW - MINUTE) == 2
    assert store.count("b", NOW, NOW - MINUTE) == 1
    assert store.count("a", NOW + 1_000, NOW + 1_000) == 1
    assert store.count("a", NOW + 2_000, NOW) == 4


def test_counting_loses_nothing(store: FaceStore, other: FaceStore) -> None:
    """Eight threads that count together see eight numbers, even where their clocks differ."""
    both = (store, other)
    found = at_once(8, lambda n: both[n % 2].count("a", NOW + n * 1_000, NOW))
    assert sorted(map(str, found)) == [str(number) for number in range(1, 9)]


def test_operators_are_kept_and_replaced(store: FaceStore) -> None:
    """Oldest first; a new version takes the place of the old one."""
    later = replace(OPERATOR, id="op_0", created_ms=NOW + 1)
    store.add_operator(later)
    store.add_operator(OPERATOR)
    assert store.operators() == [OPERATOR, later]
    store.add_operator(replace(OPERATOR, disabled_ms=NOW))
    assert store.operator("op_1") == replace(OPERATOR, disabled_ms=NOW)
    assert store.operator("op_9") is None


def test_a_deed_waits_for_who_asked(store: FaceStore) -> None:
    """Another session does not see it, nor after its time, and it is taken once."""
    store.add_deed(DEED)
    assert store.deed(DEED.id, SESSION.id, NOW) == DEED
    assert store.deed(DEED.id, "f" * 64, NOW) is None
    assert store.deed(DEED.id, SESSION.id, DEED.expires_ms) is None
    assert store.take_deed(DEED.id, "f" * 64, NOW) is None
    assert store.take_deed(DEED.id, SESSION.id, DEED.expires_ms) is None
    assert store.take_deed(DEED.id, SESSION.id, NOW) == DEED
    assert store.take_deed(DEED.id, SESSION.id, NOW) is None
    assert store.deed(DEED.id, SESSION.id, NOW) is None


def test_of_many_who_take_a_deed_one_gets_it(store: FaceStore, other: FaceStore) -> None:
    """A double click does nothing twice, also where it reaches two servers."""
    store.add_deed(DEED)
    both = (store, other)
    found = at_once(8, lambda n: both[n % 2].take_deed(DEED.id, SESSION.id, NOW))
    assert found.count(DEED) == 1
    assert found.count(None) == 7


def test_deeds_of_a_session_are_bounded(store: FaceStore) -> None:
    """The oldest make room; others' are left alone."""
    store.add_deed(replace(DEED, id="other", session="f" * 64))
    for number in range(DEEDS_MAX + 1):
        store.add_deed(replace(DEED, id=f"deed_{number}"))
    assert store.deed("deed_0", SESSION.id, NOW) is None
    assert store.deed("deed_1", SESSION.id, NOW) is not None
    assert store.deed("other", "f" * 64, NOW) is not None


def test_deeds_that_are_asked_for_at_once_are_bounded(store: FaceStore, other: FaceStore) -> None:
    """However many servers a session asks at once, the newest are kept and no more."""
    both = (store, other)
    ids = [f"deed_{number}" for number in range(DEEDS_MAX + 12)]
    for start in range(0, len(ids), 8):
        some = ids[start : start + 8]
        at_once(8, lambda n, some=some: both[n % 2].add_deed(replace(DEED, id=some[n])))  # type: ignore[misc]  # bound now
    assert sum(store.deed(one, SESSION.id, NOW) is not None for one in ids) == DEEDS_MAX


def test_what_one_server_keeps_another_knows(store: FaceStore, other: FaceStore) -> None:
    """Signed in at one, known at the other; ended at the other, gone at the one."""
    store.add_session(SESSION)
    assert other.session(SESSION.id) == SESSION
    store.add_deed(DEED)
    assert other.end_sessions(subject=SESSION.subject) == 1
    assert store.session(SESSION.id) is None
    assert store.deed(DEED.id, SESSION.id, NOW) is None


def test_what_is_over_is_forgotten_and_nothing_else(store: FaceStore) -> None:
    """One row of each kind stands on each side of its bound."""
    now = NOW + SESSION_MS
    store.add_session(SESSION)
    store.add_session(replace(SESSION, id="d" * 64, created_ms=NOW + 1))
    store.add_code(replace(CODE, expires_ms=now))
    store.add_code(replace(CODE, purpose="deed|x", expires_ms=now + 1))
    store.add_deed(replace(DEED, expires_ms=now))
    store.add_deed(replace(DEED, id="deed_2", expires_ms=now + 1))
    store.count("a", now - COUNTED_MS - 1_000, 0)
    store.count("a", now - COUNTED_MS + 1_000, 0)
    store.add_passkey(PASSKEY)
    store.forget(now)
    assert store.session(SESSION.id) is None
    assert store.session("d" * 64) is not None
    assert store.try_code("deed|x", CODE.hash, now)
    assert store.deed("deed_2", SESSION.id, now) is not None
    assert store.deed(DEED.id, SESSION.id, NOW) is None
    assert store.count("a", now, 0) == 2
    assert store.passkeys(Face.CARDHOLDER, "holder_1") == [PASSKEY]


def test_what_was_kept_is_there_after_a_new_start(tmp_path: Path) -> None:
    """A second store on the same file sees it, and the file is its owner's only."""
    first = SqliteFaceStore(tmp_path)
    first.add_session(SESSION)
    first.add_passkey(PASSKEY)
    second = SqliteFaceStore(tmp_path)
    assert second.session(SESSION.id) == SESSION
    second.add_operator(OPERATOR)
    assert first.operators() == [OPERATOR]
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    first.close()
    second.close()


def test_two_may_make_the_file_at_once(tmp_path: Path) -> None:
    """The server and the command line that open a new directory together both get a whole file."""
    stores = at_once(4, lambda _: SqliteFaceStore(tmp_path))
    for number, one in enumerate(stores):
        assert isinstance(one, SqliteFaceStore)
        one.add_operator(replace(OPERATOR, id=f"op_{number}"))
    one = stores[0]
    assert isinstance(one, SqliteFaceStore)
    assert len(one.operators()) == 4
    for each in stores:
        assert isinstance(each, SqliteFaceStore)
        each.close()


def test_newer_and_foreign_files_are_refused(tmp_path: Path) -> None:
    """They are left as they are, and the error says which it is."""
    SqliteFaceStore(tmp_path).close()
    path = tmp_path / FILE_NAME
    connection = sqlite3.connect(path)
    connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(NewerFacesError, match="99"):
        SqliteFaceStore(tmp_path)
    path.write_text("this is something else, and longer than a header " * 3)
    with pytest.raises(ForeignFacesError):
        SqliteFaceStore(tmp_path)
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("create table theirs (a)")
    connection.close()
    with pytest.raises(ForeignFacesError):
        SqliteFaceStore(tmp_path)


def test_a_store_that_cannot_write_says_so(tmp_path: Path) -> None:
    """Somebody else holds the file: nothing is half written, and the next call works."""
    store = SqliteFaceStore(tmp_path)
    blocker = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    store._writer.execute("pragma busy_timeout = 0")
    blocker.execute("begin immediate")
    with pytest.raises(StoreUnavailableError, match="cannot be written"):
        store.add_session(SESSION)
    blocker.execute("rollback")
    blocker.close()
    store.add_session(SESSION)
    assert store.session(SESSION.id) == SESSION
    store.close()


def test_a_closed_store_says_so(place: Open) -> None:
    """Both reading and writing."""
    store = place()
    store.close()
    with pytest.raises(StoreUnavailableError):
        store.session("a" * 64)
    with pytest.raises(StoreUnavailableError):
        store.add_session(SESSION)

"""Paging: every list of `ports.Reader`, in both directions, against the plainest way to say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from tests.stores.cases import (
    NOON,
    STAFF,
    STEP,
    daily_limit,
    done,
    key_of,
    purchase,
    registration,
)
from tests.stores.conftest import OpenStore
from zhiwei.core.result import Audit
from zhiwei.ports import (
    ANSWER_STANDS_MS,
    ApiKey,
    Cardholder,
    CaseFile,
    Checkup,
    ContactConsent,
    MessagePreferences,
    PolicyChange,
    PolicyText,
    Record,
    RecordOvertakenError,
    RecordStandsError,
    Replacing,
    Store,
    StoredAnswer,
    Subscription,
    TrustedContact,
)

T = TypeVar("T", int, str)
BOUNDS = [(0, 0), (5, 0), (0, 5), (9, 3), (3, 9), (1, 0), (0, 1000), (1000, 0), (4, 3)]
CARDS = 7


def page(keys: Sequence[T], before: T | None, after: T | None, limit: int) -> list[T]:
    """What `ports.Reader` promises of a list, newest first."""
    found = [k for k in sorted(keys) if (not before or k < before) and (not after or k > after)]
    kept = found[:limit] if after and not before else found[-limit:]
    return kept[::-1]


@pytest.fixture
def filled(open_store: OpenStore) -> Store:
    """A few cards with purchases, refusals and changes, opened again after some of it."""
    store = open_store()
    for number in range(CARDS):
        holder = f"ch_{number % 2}"
        done(store.transact([registration(number, holder), daily_limit(number, 500)], STEP, NOON))
    store = open_store()
    for turn in range(6):
        batch = [purchase(n, 10 * turn + n, 100 + 300 * (turn % 2)) for n in range(CARDS)]
        done(store.transact(batch, STEP, NOON + turn))
    return store


@pytest.mark.parametrize(("before", "after"), BOUNDS)
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_lists_by_position_page_in_both_directions(
    filled: Store, before: int, after: int, limit: int
) -> None:
    """Journal, a card's entries, the outbox and the audit trail, whole and of one card."""
    reader = filled.reader()
    key = key_of(3)
    rows = reader.recent(limit=1000)
    assert len(rows) == CARDS * 8
    bounds = {"before": before, "after": after, "limit": limit}
    positions = [row.position for row in rows]
    assert [r.position for r in reader.recent(**bounds)] == page(positions, before, after, limit)
    versions = [row.entry.version for row in rows if row.card_key == key]
    found = [entry.version for entry in reader.entries(key, **bounds)]
    assert found == page(versions, before, after, limit)
    for list_of in (reader.events, reader.audits):
        for owner in (b"", key):
            everything = list_of(card_key=owner, limit=1000)
            assert everything
            assert all(row.card_key == key for row in everything if owner)
            positions = [row.position for row in everything]
            found = [row.position for row in list_of(card_key=owner, **bounds)]
            assert found == page(positions, before, after, limit)


@pytest.mark.parametrize("cardholder", ["", "ch_0", "ch_1", "ch_2"])
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_cards_page_in_order_of_their_key(filled: Store, cardholder: str, limit: int) -> None:
    """Upward after a key, downward before one, of one cardholder or of all."""
    reader = filled.reader()
    keys = sorted(key_of(n) for n in range(CARDS) if not cardholder or cardholder == f"ch_{n % 2}")
    for bound in [*keys, b"\x00", b"\xff" * 16]:
        after = [k for k in keys if k > bound][:limit]
        assert [
            c.card_key for c in reader.cards(cardholder=cardholder, after=bound, limit=limit)
        ] == after
        before = [k for k in keys if k < bound][-limit:]
        assert [
            c.card_key for c in reader.cards(cardholder=cardholder, before=bound, limit=limit)
        ] == before
    first = reader.cards(cardholder=cardholder, limit=limit)
    assert [c.card_key for c in first] == keys[:limit]


def test_a_card_that_nobody_knows_has_nothing(filled: Store) -> None:
    """Every question about it has an empty answer."""
    reader = filled.reader()
    key = key_of(99)
    assert reader.card(key) is None
    assert reader.entry(key, 1) is None
    assert reader.entries(key) == []
    assert reader.events(card_key=key) == []
    assert reader.audits(card_key=key) == []
    assert reader.latest_of_group(key, 1) is None


RECORDS: list[Record] = [
    Cardholder("ch_1", NOON, "李雷", phone="+8613800000001", email="a@example.cn"),
    ApiKey("key_1", NOON, "0" * 64, "cardholder", "ch_1", "phone"),
    Checkup("chk_1", NOON, "ch_1", '{"score": 80}'),
    StoredAnswer("ans_1", NOON, "ab" * 16, 201, '{"id": "x"}'),
    Subscription("sub_1", NOON, "https://example.cn/hook", ("stop_placed",), "bank"),
    PolicyText("default-1", NOON, "name = 'default'"),
    PolicyChange("pch_1", NOON, "op_1", "why", "{}", "a-1", "default-2", 0, '[["a", 1, 2, true]]'),
    MessagePreferences("ch_1", NOON, '{"balance_changed": ["push"]}', "22:00", "07:00"),
    TrustedContact("contact_1", NOON, "ch_1", "韩梅", "+8613900000001", "zh", "123456"),
    ContactConsent("contact_1", NOON, "+8613900000001", NOON + 1, NOON + 2),
    CaseFile("chg_1", NOON, "op_1", NOON + 1, "op_1", "called the customer"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_kept_and_replaced(
    open_store: OpenStore,
    record: Any,  # noqa: ANN401 - one test for records of every kind
) -> None:
    """Every kind comes back as it was given, after a restart too, and a newer form replaces it."""
    store = open_store()
    audit = Audit("record.kept", record.id, "", "{}")
    done(store.keep([record], [audit], STAFF, NOON + 5))
    reader = open_store().reader()
    assert reader.record(type(record), record.id) == record
    assert reader.record(type(record), "other") is None
    (row,) = reader.audits()
    assert (row.at_ms, row.actor, row.card_key) == (NOON + 5, STAFF, b"")
    assert (row.audit.action, row.audit.subject) == ("record.kept", record.id)
    store = open_store()
    newer = type(record)(**{**vars(record), "created_ms": NOON + 1})
    done(store.keep([newer], [], STAFF, NOON + ANSWER_STANDS_MS))
    assert store.reader().record(type(record), record.id) == newer
    assert store.reader().records(type(record)) == [newer]


@pytest.mark.parametrize("state", ["adopted", "rejected", "withdrawn"])
def test_a_decided_change_of_the_policy_is_replaced_by_nothing(store: Store, state: str) -> None:
    """Of two servers that decide it the first one's word counts, however late the other's comes."""
    proposed = PolicyChange("pch_1", NOON, "op_1", "why", "{}", "a-1", "default-2", 0)
    done(store.keep([proposed], [], STAFF, NOON))
    decided = replace(proposed, state=state, decided_by="op_2", decided_ms=NOON + 1)
    done(store.keep([decided], [], STAFF, NOON + 1))
    done(store.keep([decided], [], STAFF, NOON + 2))
    audit = Audit("policy.rejected", proposed.id, "", "")
    for other in (proposed, replace(decided, state="rejected", decided_by="op_3")):
        with pytest.raises(RecordStandsError):
            done(store.keep([other], [audit], STAFF, NOON + 10 * ANSWER_STANDS_MS))
    assert store.reader().record(PolicyChange, proposed.id) == decided
    assert not store.reader().audits()


def test_an_answer_that_stands_is_replaced_by_no_other(store: Store) -> None:
    """Of two servers that answer one call the first one's answer counts, and all of it is kept."""
    answer = StoredAnswer("idem_1", NOON, "hash", 201, "first")
    other = StoredAnswer("idem_1", NOON + 9, "hash", 201, "second")
    person = Cardholder("ch_1", NOON)
    audit = Audit("record.kept", person.id, "", "{}")
    done(store.keep([answer], [audit], STAFF, NOON))
    done(store.keep([answer], [], STAFF, NOON + 1))
    late = NOON + ANSWER_STANDS_MS - 1
    with pytest.raises(RecordStandsError):
        done(store.keep([person, other], [audit], STAFF, late))
    reader = store.reader()
    assert reader.record(StoredAnswer, answer.id) == answer
    assert reader.record(Cardholder, person.id) is None
    assert len(reader.audits()) == 1
    done(store.keep([person, other], [audit], STAFF, late + 1))
    assert reader.record(StoredAnswer, answer.id) == other
    assert reader.record(Cardholder, person.id) == person


def test_a_record_replaces_only_what_its_maker_had_seen(store: Store) -> None:
    """Where the maker says what that was; nothing of a call that is refused is kept."""
    first = Subscription("sub_1", NOON, "https://bank.example/a")
    second = replace(first, description="second")
    beside = CaseFile("chg_1", NOON)
    audit = Audit("record.kept", first.id, "", "{}")
    done(store.keep([Replacing(first, None)], [audit], STAFF, NOON))
    done(store.keep([Replacing(second, first), beside], [audit], STAFF, NOON))
    third = replace(first, description="third")
    closed = Replacing(replace(beside, note="x"), beside)
    for refused in (
        [Replacing(third, first)],
        [Replacing(third, None)],
        [Replacing(replace(second, id="sub_2"), second)],
        [closed, Replacing(replace(second, url="https://b"), first)],
    ):
        with pytest.raises(RecordOvertakenError):
            done(store.keep(refused, [audit], STAFF, NOON))
    reader = store.reader()
    assert reader.records(Subscription) == [second]
    assert reader.records(CaseFile) == [beside]
    assert len(reader.audits()) == 2
    done(store.keep([first], [], STAFF, NOON))
    assert reader.records(Subscription) == [first]


@pytest.mark.parametrize(("before", "after"), [("", ""), ("5", ""), ("", "5"), ("7", "2")])
@pytest.mark.parametrize("subject", ["", "ch_1"])
@pytest.mark.parametrize("limit", [2, 100])
def test_records_page_by_id(
    store: Store, before: str, after: str, subject: str, limit: int
) -> None:
    """Greatest id first, of one subject or of all; other kinds do not show."""
    keys = [ApiKey(str(n), NOON, "", "cardholder", f"ch_{n % 2}") for n in range(10)]
    done(store.keep([*keys, Checkup("6", NOON, "ch_1", "")], [], STAFF, NOON))
    wanted = [key.id for key in keys if not subject or key.subject == subject]
    found = store.reader().records(ApiKey, subject=subject, before=before, after=after, limit=limit)
    assert [key.id for key in found] == page(wanted, before, after, limit)


def test_a_cardholder_is_listed_under_the_phone_number(store: Store) -> None:
    """Who wrote this text message is asked by number."""
    people = [Cardholder(f"ch_{n}", NOON, phone=f"+861380000000{n}") for n in range(3)]
    done(store.keep(people, [], STAFF, NOON))
    found = store.reader().records(Cardholder, subject="+8613800000001")
    assert found == [people[1]]


def test_trusted_contacts_are_listed_by_holder_and_their_consents_by_number(store: Store) -> None:
    """Whom to tell is asked by cardholder, who wrote a text message is asked by number."""
    numbers = [f"+861390000000{n}" for n in range(3)]
    named = [
        TrustedContact(f"contact_{n}", NOON, f"ch_{n % 2}", "", number, "zh", "123456")
        for n, number in enumerate(numbers)
    ]
    said = [ContactConsent(f"contact_{n}", NOON, number) for n, number in enumerate(numbers)]
    done(store.keep([*named, *said], [], STAFF, NOON))
    reader = store.reader()
    assert reader.records(TrustedContact, subject="ch_0") == [named[2], named[0]]
    assert reader.records(ContactConsent, subject=numbers[1]) == [said[1]]

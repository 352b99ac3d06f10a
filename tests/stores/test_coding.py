"""Coding: whatever a file or an entry says comes back from its bytes, and damage never does."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stores.cases import NOON, SHANGHAI, STAFF, purchase
from tests.stores.values import (
    CHANGES,
    CONTROLS,
    KEY,
    actors,
    digests,
    entries,
    filings,
    money,
    names,
    numbers,
    parts,
    settings_,
    small,
    states,
    texts,
)
from zhiwei.core import command as commands
from zhiwei.core.card_state import (
    CardState,
    CardStatus,
    Profile,
    Settings,
)
from zhiwei.core.command import Actor
from zhiwei.core.controls import (
    CONTROL_TYPES,
    Controls,
    NightLock,
    RegionLock,
)
from zhiwei.core.entry import Entry
from zhiwei.core.event import Event, EventKind
from zhiwei.core.finding import Finding, Outcome
from zhiwei.core.reason import Reason
from zhiwei.core.result import Audit
from zhiwei.core.usage import (
    CHANNELS,
    NOTHING_SPENT,
    Spent,
    Usage,
)
from zhiwei.ports import CorruptFileError
from zhiwei.stores.coding.audit import decode_audit, encode_audit
from zhiwei.stores.coding.command import change_list, change_of
from zhiwei.stores.coding.entry import (
    Filing,
    chain_of,
    content_of,
    decode_entry,
    encode_entry,
)
from zhiwei.stores.coding.event import decode_event, encode_event
from zhiwei.stores.coding.recent import (
    decode_recent,
    encode_recent,
    record_of,
    versions_found,
    without_expired,
)
from zhiwei.stores.coding.settings import decode_settings, encode_settings
from zhiwei.stores.coding.usage import decode_usage, encode_usage


@settings(max_examples=40)
@given(settings_)
def test_settings_come_back(cold: Settings) -> None:
    """Every field, and again the same bytes."""
    blob = encode_settings(cold, KEY)
    again = decode_settings(blob, KEY)
    assert again == cold
    assert encode_settings(again, KEY) == blob


@settings(max_examples=40)
@given(states, numbers, numbers)
def test_a_file_comes_back(state: CardState, last_entry: int, last_event: int) -> None:
    """Counters, holds and all, with the places of the last rows."""
    blob = encode_usage(state, state.chain, last_entry, last_event)
    again, found = decode_usage(blob, KEY, state.settings)
    assert parts(again) == parts(state)
    assert (found.entry, found.event) == (last_entry, last_event)
    assert encode_usage(again, again.chain, last_entry, last_event) == blob


@settings(max_examples=40)
@given(entries, filings, digests, numbers, numbers)
def test_an_entry_comes_back(
    entry: Entry, filing: Filing, before: bytes, previous: int, events_from: int
) -> None:
    """What was wanted, what was decided, and where it stands; the hash does not depend on that."""
    previous, events_from = previous % 2**48, events_from % 2**48
    body = encode_entry(entry, filing, KEY, before, previous, events_from)
    filed = decode_entry(body, KEY, entry.version)
    assert parts(filed.entry) == parts(entry)
    assert parts(filed.filing) == parts(filing)
    assert (filed.chain, filed.chain_before) == (body[:16], before)
    assert (filed.previous, filed.events_from) == (previous, events_from)
    assert chain_of(KEY, before, content_of(body)) == filed.chain
    elsewhere = encode_entry(filed.entry, filed.filing, KEY, before, 0, 0)
    assert elsewhere[:16] == body[:16]


@settings(max_examples=40)
@given(entries, st.data())
def test_one_flipped_bit_of_an_entry_is_found(entry: Entry, data: st.DataObject) -> None:
    """All but the places, which another row confirms."""
    body = bytearray(encode_entry(entry, Filing((), ()), KEY, bytes(16), 7, 9))
    at = data.draw(st.integers(0, len(body) - 1).filter(lambda n: not 32 <= n < 44))
    body[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptFileError):
        decode_entry(bytes(body), KEY, entry.version)


@settings(max_examples=40)
@given(states, st.data())
def test_one_flipped_bit_of_a_file_is_found(state: CardState, data: st.DataObject) -> None:
    """In either part, anywhere; and a part of another card is no part of this one."""
    usage = encode_usage(state, state.chain, 1, 1)
    cold = encode_settings(state.settings, KEY)
    for blob, decode in (
        (usage, lambda b, key: decode_usage(b, key, state.settings)),
        (cold, decode_settings),
    ):
        changed = bytearray(blob)
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at] ^= 1 << data.draw(st.integers(0, 7))
        with pytest.raises(CorruptFileError):
            decode(bytes(changed), KEY)
        with pytest.raises(CorruptFileError):
            decode(blob, KEY[::-1])


@given(st.binary(max_size=200), states)
def test_any_bytes_give_a_value_or_the_one_error(raw: bytes, state: CardState) -> None:
    """Nothing else is ever raised for damage."""
    for decode in (
        lambda: decode_settings(raw, KEY),
        lambda: decode_usage(raw, KEY, state.settings),
        lambda: decode_entry(raw, KEY, 1),
        lambda: decode_event(raw, KEY, 1),
        lambda: decode_audit(raw, KEY),
        lambda: decode_recent(raw, KEY),
    ):
        with pytest.raises(CorruptFileError):
            decode()


@given(
    st.dictionaries(names, money | texts | st.lists(texts, max_size=2), max_size=4),
    st.sampled_from(EventKind),
    numbers,
    small,
    numbers,
)
def test_an_event_comes_back(
    facts: dict[str, Any], kind: EventKind, at_ms: int, place: int, previous: int
) -> None:
    """Kind, facts and place; it belongs to one entry of one card."""
    body = encode_event(Event(kind, facts), KEY, 5, at_ms, place, previous)
    filed = decode_event(body, KEY, 5)
    assert parts(filed.event) == parts(Event(kind, facts))
    assert (filed.at_ms, filed.place, filed.previous) == (at_ms, place, previous)
    with pytest.raises(CorruptFileError):
        decode_event(body, KEY, 6)


@given(st.builds(Audit, texts, texts, texts, texts), actors, numbers)
def test_an_audit_line_comes_back(audit: Audit, actor: Actor, at_ms: int) -> None:
    """When, who and what."""
    found = decode_audit(encode_audit(audit, actor, KEY, at_ms), KEY)
    assert (found[0], found[1], parts(found[2])) == (at_ms, actor, parts(audit))


def test_every_kind_of_change_has_its_own_bytes() -> None:
    """A change that somebody adds must be kept as well."""
    classes = {
        name
        for name, value in inspect.getmembers(commands, inspect.isclass)
        if value.__module__ == commands.__name__ and dataclasses.is_dataclass(value)
    }
    assert classes - {"Actor"} == set(CHANGES)
    assert set(CONTROLS) == set(CONTROL_TYPES)


@settings(max_examples=40)
@given(st.one_of(*CHANGES.values()))
def test_a_change_comes_back(change: Any) -> None:  # noqa: ANN401 - any of fourteen classes
    """Every kind of change, every field."""
    assert change_of(change_list(change)) == change


@given(st.lists(st.tuples(digests, st.integers(1, 2**32 - 1), small), max_size=20), small)
def test_recent_keys_are_found_for_seven_days(
    filed: list[tuple[bytes, int, int]], now: int
) -> None:
    """The records say exactly which entries were filed under a digest, and since when."""
    hour = 3_600_000
    filed = sorted(filed, key=lambda row: row[2])
    records = b"".join(record_of(digest, version, at * hour) for digest, version, at in filed)
    blob = encode_recent(records, 77, KEY)
    assert decode_recent(blob, KEY) == (records, 77)
    for digest, _, _ in filed:
        expected = [v for d, v, at in filed if d == digest and at + 7 * 24 > now]
        found = versions_found(records, digest, now * hour)
        assert found == list(dict.fromkeys(expected))
    kept = without_expired(records, now * hour)
    assert len(kept) == 16 * len([at for _, _, at in filed if at + 7 * 24 > now])


@given(st.binary(min_size=16, max_size=16))
def test_a_digest_is_not_found_inside_two_others(digest: bytes) -> None:
    """Records stand side by side; what begins in the middle of one is no record."""
    shifted = digest[8:] + digest[:8]
    records = record_of(digest, 1, 0) + record_of(digest, 2, 0)
    inside = records[4:12]
    expected = [1, 2] if inside == digest[:8] else []
    assert versions_found(records, inside + shifted, 0) == expected


def test_the_first_format_is_never_changed(data_dir: Path) -> None:
    """These bytes are stored somewhere by now; a new format gets a new number."""
    profile = Profile(
        "ch_1",
        "1111",
        "CNY",
        SHANGHAI,
        has_chip=True,
        network="unionpay",
        status=CardStatus.ACTIVE,
        created_ms=NOON,
    )
    cold = Settings(profile, Controls(region_lock=RegionLock(("41", "31")), night_lock=NightLock()))
    spent = (Spent(1, 1, 2, 2, 3, 3, 4, 4), *[NOTHING_SPENT] * (CHANNELS - 1))
    state = CardState(KEY, 3, NOON, bytes(16), cold, Usage(20416, 2917, 24310, 2025, spent, ()))
    entry = Entry(
        version=2,
        now_ms=NOON,
        filed_ms=NOON,
        command=purchase(1, 17),
        outcome=Outcome.REFUSE,
        policy_version="default-1",
        findings=(Finding(Outcome.REFUSE, Reason.NIGHT_LOCK_ACTIVE, "night_lock", (("at", 5),)),),
    )
    actual = {
        "settings": encode_settings(cold, KEY),
        "usage": encode_usage(state, bytes(16), 9, 8),
        "entry": encode_entry(entry, Filing((KEY,), (1, 0, 2)), KEY, bytes(16), 7, 6),
        "event": encode_event(Event(EventKind.STOP_PLACED, {"reference": "x"}), KEY, 2, NOON, 0, 0),
        "audit": encode_audit(Audit("stop.placed", "x", "", "{}"), STAFF, KEY, NOON),
        "recent": encode_recent(record_of(KEY, 2, NOON), 0, KEY),
    }
    stored = (data_dir / "stores" / "format_1.txt").read_text(encoding="utf-8")
    assert stored == "".join(f"{name} {blob.hex()}\n" for name, blob in actual.items())

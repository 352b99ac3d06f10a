"""Small things of the HTTP door: times, masks, strict JSON, ids of records."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zhiwei.core.errors import NotAllowedValueError
from zhiwei.gateways.http.masking import masked
from zhiwei.gateways.http.problems import Problem
from zhiwei.gateways.http.record_ids import IdMint, request_id
from zhiwei.gateways.http.strict_json import DEPTH_MAX, document_in
from zhiwei.gateways.http.times import instant_ms, instant_text


@given(st.integers(min_value=0, max_value=253_402_300_799_999))
@example(0)
@example(1_763_956_800_001)
def test_an_instant_is_read_as_it_was_written(at_ms: int) -> None:
    """To the millisecond, from 1970 to 9999."""
    text = instant_text(at_ms)
    assert instant_ms(text, "/x") == at_ms
    assert len(text) == 24
    assert text.endswith("Z")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2025-11-24T12:00:00+08:00", "2025-11-24T04:00:00.000Z"),
        ("2025-11-24t04:00:00z", "2025-11-24T04:00:00.000Z"),
        ("2025-11-24T04:00:00.5Z", "2025-11-24T04:00:00.500Z"),
        ("2025-11-24T04:00:00.123999999Z", "2025-11-24T04:00:00.123Z"),
        ("2025-11-23T23:30:00-04:30", "2025-11-24T04:00:00.000Z"),
    ],
)
def test_other_ways_to_write_an_instant_are_understood(text: str, same: str) -> None:
    """RFC 3339 with any offset; finer digits are dropped, not rounded."""
    assert instant_text(instant_ms(text, "")) == same


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2025-11-24",
        "2025-11-24T04:00:00",
        "2025-11-24T04:00:00+0800",
        "2025-02-30T00:00:00Z",
        "2025-11-24T24:00:00Z",
        "2025-11-24T23:59:60Z",
        "1969-12-31T23:59:59Z",
        "2025-11-24T04:00:00.Z",
        "２025-11-24T04:00:00Z",
        "2025-11-24T04:00:00+99:00",
    ],
)
def test_what_is_no_instant_is_refused_with_its_place(text: str) -> None:
    """No date without a time, no time without an offset, nothing before 1970."""
    with pytest.raises(NotAllowedValueError) as caught:
        instant_ms(text, "/until")
    assert caught.value.pointer == "/until"


@pytest.mark.parametrize(
    "text",
    [
        "6212345678901232",
        "6212 3456 7890 1232",
        "6212-3456-7890-1232",
        "6212345678901232=2512",
        "６２１２３４５６７８９０１２３２",
        "x" * 79 + "6212345678901232",
        "621234567",
    ],
)
def test_what_may_be_a_card_number_is_hidden(text: str) -> None:
    """However it is grouped or written, and wherever the text is cut."""
    for longest in (10, 40, 80, 200):
        hidden = masked(f"`{text}` is wrong", longest)
        assert len(hidden) <= longest
        digits = "".join(c for c in hidden if c.isdigit())
        assert len(digits) < 5


def test_short_numbers_are_shown() -> None:
    """A mask that hides everything explains nothing."""
    assert masked("at most 262144 bytes, 3 places") == "at most 262144 bytes, 3 places"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=8,
)


@given(json_values)
def test_json_is_read_as_json(value: object) -> None:
    """What the standard reader writes is what ours reads."""
    assert document_in(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":1,"a":1}',
        b'{"x":{"a":1,"a":2}}',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"\xef\xbb\xbf{}",
        b"\xff",
        b"1 2",
        b"9" * 5000,
        b'"\\ud800"',
        b'{"\\ud800":1}',
        b"[" * 100_000 + b"]" * 100_000,
        b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1),
    ],
)
def test_what_has_no_one_meaning_is_not_json(body: bytes) -> None:
    """Twice the same name, numbers that are none, half a surrogate pair, endless nesting."""
    with pytest.raises(Problem) as caught:
        document_in(body)
    assert caught.value.code == "malformed_json"


def test_nesting_within_the_bound_is_read() -> None:
    """Sixteen deep is enough for any body here."""
    assert document_in(b"[" * DEPTH_MAX + b"]" * DEPTH_MAX)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Never another exception."""
    with contextlib.suppress(Problem):
        document_in(body)


def test_ids_of_records_sort_by_their_making() -> None:
    """Within one millisecond, and when the clock steps back."""
    mint = IdMint()
    ids = [mint.new("holder", at_ms) for at_ms in (5, 5, 5, 9, 9, 3, 3, 10)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert all(len(made) == len("holder_") + 26 for made in ids)


def test_a_request_id_has_no_digits() -> None:
    """So no log takes it for a card number."""
    ids = {request_id() for _ in range(100)}
    assert len(ids) == 100
    assert not any(c.isdigit() for made in ids for c in made)

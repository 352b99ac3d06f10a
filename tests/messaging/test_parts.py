"""How many parts a text has, at both sides of every bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhiwei.messaging.parts import (
    GSM7_BASIC,
    GSM7_EXTENSION,
    Encoding,
    encoding_of,
    size_of,
    split,
)


def test_the_alphabet_is_whole() -> None:
    """127 characters and the escape in the basic table, ten in the extension; none in both."""
    assert len(GSM7_BASIC) == 127
    assert len(GSM7_EXTENSION) == 10
    assert not GSM7_BASIC & GSM7_EXTENSION


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts"),
    [
        ("", Encoding.GSM7, 0, 1),
        ("a" * 160, Encoding.GSM7, 160, 1),
        ("a" * 161, Encoding.GSM7, 161, 2),
        ("a" * 306, Encoding.GSM7, 306, 2),
        ("a" * 307, Encoding.GSM7, 307, 3),
        ("é£ÄΩ" * 40, Encoding.GSM7, 160, 1),
        ("[" * 80, Encoding.GSM7, 160, 1),
        ("[" * 81, Encoding.GSM7, 162, 2),
        # 153 is odd, and no bracket is cut in two: 76 of them go into a part.
        ("[" * 152, Encoding.GSM7, 304, 2),
        ("[" * 153, Encoding.GSM7, 306, 3),
        ("止" * 70, Encoding.UCS2, 70, 1),
        ("止" * 71, Encoding.UCS2, 71, 2),
        ("止" * 134, Encoding.UCS2, 134, 2),
        ("止" * 135, Encoding.UCS2, 135, 3),
        ("a" * 70 + "…", Encoding.UCS2, 71, 2),
        ("ç" + "a" * 69, Encoding.UCS2, 70, 1),
        ("😀" * 35, Encoding.UCS2, 70, 1),
        # 67 is odd, and no pair is split: 33 of them go into a part.
        ("😀" * 66, Encoding.UCS2, 132, 2),
        ("😀" * 67, Encoding.UCS2, 134, 3),
        ("`", Encoding.UCS2, 1, 1),
    ],
)
def test_a_text_has_as_many_parts_as_its_units_need(
    text: str, encoding: Encoding, units: int, parts: int
) -> None:
    """160 and 153 septets, 70 and 67 units."""
    size = size_of(text)
    assert (size.encoding, size.units, size.parts) == (encoding, units, parts)


@given(st.text(st.sampled_from("aé[€止😀…\n"), max_size=400))
def test_nothing_is_lost_and_no_part_is_too_long(text: str) -> None:
    """Parts put together are the text, and each fits."""
    parts = split(text)
    assert "".join(parts) == text
    size = size_of(text)
    bound = size.encoding.single if len(parts) == 1 else size.encoding.concatenated
    for part in parts:
        if encoding_of(text) is Encoding.UCS2:
            assert len(part.encode("utf-16-be")) // 2 <= bound
        else:
            assert sum(2 if c in GSM7_EXTENSION else 1 for c in part) <= bound
    assert size.parts == len(parts)

"""Bytes that phones and gateways send, and the texts that they mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhiwei.gateways.sms.encoding import TEXT_MAX, parts_of, text_of
from zhiwei.gateways.sms.sent_ids import kept_id
from zhiwei.messaging.parts import Encoding


@pytest.mark.parametrize(
    ("body", "coding", "text"),
    [
        ("是".encode("utf-16-be"), 8, "是"),
        ("否".encode("utf-16-be"), 0x18, "否"),
        ("𠮷ＺＦ＃1".encode("utf-16-be"), 8, "𠮷ＺＦ＃1"),
        (b"ZF#1234", 0, "ZF#1234"),
        (b"ZF#1234", 1, "ZF#1234"),
        (b"ZF#1234", 3, "ZF#1234"),
        (b"\x00\x02\x1b\x65", 0, "@$€"),
        (b"caf\xe9", 3, "café"),
        # Wrong data coding: UCS-2 told as the default alphabet, as ASCII, as Latin-1.
        ("不是本人".encode("utf-16-be"), 0, "不是本人"),
        ("ZF#1234".encode("utf-16-be"), 0, "ZF#1234"),
        ("ZF＃1234".encode("utf-16-be"), 1, "ZF＃1234"),
        ("不是本人，谢谢".encode("utf-16-be"), 3, "不是本人，谢谢"),
        # UTF-8 and GB told as something else.
        ("不是本人".encode(), 8, "不是本人"),
        ("是".encode(), 8, "是"),
        ("不是本人".encode(), 0, "不是本人"),
        ("不是本人".encode("gb2312"), 0, "不是本人"),
        ("不是本人".encode("gb18030"), 15, "不是本人"),
        (b"N", 8, "N"),
        ("是".encode("utf-16"), 8, "是"),
        ("是\0".encode("utf-16-be"), 8, "是"),
        (b"", 8, ""),
    ],
)
def test_a_text_is_read_whatever_the_data_coding_says(body: bytes, coding: int, text: str) -> None:
    """As declared, unless it plainly cannot be that."""
    assert text_of(body, coding) == text


def test_two_letters_of_ascii_are_not_taken_for_a_chinese_character() -> None:
    """`OK` is U+4F4B too; what is declared as the default alphabet stays that."""
    assert [text_of(text, 0) for text in (b"OK", b"no", b"STOP")] == ["OK", "no", "STOP"]


@given(st.binary(max_size=300), st.integers(0, 255))
def test_any_bytes_are_some_text_that_can_be_stored(body: bytes, coding: int) -> None:
    """Never an error, never a lone surrogate or a zero, never longer than the bound."""
    text = text_of(body, coding)
    assert text.encode().decode() == text
    assert "\0" not in text
    assert len(text) <= TEXT_MAX


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=400))
def test_parts_hold_the_whole_text_and_fit_a_radio_message(text: str) -> None:
    """140 bytes with the header; every part is whole characters."""
    for allow_gsm7 in (True, False):
        parts = parts_of("msg_a-sms", text, allow_gsm7=allow_gsm7)
        assert "".join(part.text for part in parts) == text
        for place, part in enumerate(parts, 1):
            head = part.body[:6] if part.is_one_of_many else b""
            assert part.is_one_of_many == (len(parts) > 1)
            assert not head or head[4:] == bytes((len(parts) & 0xFF, place & 0xFF))
            size = len(part.body) - len(head)
            assert size <= ((153 if head else 160) if part.encoding is Encoding.GSM7 else 140)
            if part.encoding is Encoding.UCS2:
                assert part.body[len(head) :].decode("utf-16-be") == part.text
                assert len(part.body) <= 140


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("0000AB01", "ab01"),
        ("0xAB", "ab"),
        ("000", "0"),
        ("MSG-7", "msg-7"),
        ("\0\n", ""),
        ("", ""),
    ],
)
def test_ids_are_kept_in_one_spelling(told: str, kept: str) -> None:
    """Small letters, without leading zeros, and nothing that cannot be seen."""
    assert kept_id(told) == kept

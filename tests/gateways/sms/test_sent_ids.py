"""Which message a receipt means, also after a restart, when nothing is remembered."""

from __future__ import annotations

import pytest

from zhiwei.gateways.sms.deliver import Notice
from zhiwei.gateways.sms.sent_ids import IdStyle, SentIds
from zhiwei.messaging.model import Receipt, Status

NUMBER = "8613800138000"


def _told(ids: SentIds, *spelled: str, source: str = NUMBER) -> str:
    receipt = ids.receipt_of(Notice(spelled, Status.DELIVERED, ""), source, "95588")
    return receipt.remote_id if receipt else ""


@pytest.mark.parametrize(
    ("style", "told", "found"),
    [
        (IdStyle.HEX_DECIMAL, "0000000100", "64"),
        (IdStyle.DECIMAL_HEX, "00000064", "100"),
        (IdStyle.SAME, "00000064", "64"),
        (IdStyle.AUTO, "00000064", "64"),
        (IdStyle.HEX_DECIMAL, "ab-1", "ab-1"),
    ],
)
def test_after_a_restart_the_settings_say_how_ids_are_spelled(
    style: IdStyle, told: str, found: str
) -> None:
    """Nothing is remembered, so the spelling decides."""
    assert _told(SentIds(style), told) == found


def test_the_number_tells_two_readings_apart_and_the_right_one_is_learned() -> None:
    """`100` is one message in decimal and another in hex; the number was written to with one."""
    ids = SentIds()
    ids.remember("100", "100", "8613900139000")
    ids.remember("64", "64", NUMBER)
    assert _told(ids, "100") == "64"
    # Of a message before the restart: as the last one was spelled.
    assert _told(ids, "4096", source="8613700137000") == "1000"


def test_an_id_of_another_number_is_not_meant() -> None:
    """A receipt of a message before the restart must not mark somebody else's."""
    ids = SentIds(IdStyle.SAME)
    ids.remember("100", "100", "8613900139000")
    assert _told(ids, "100") == ""


def test_a_receipt_without_a_number_is_taken_at_its_word() -> None:
    """Some SMSCs leave the address out."""
    ids = SentIds()
    ids.remember("ab", "ab", NUMBER)
    assert _told(ids, "171", source="") == "ab"


def test_the_memory_is_bounded() -> None:
    """Old ids go; receipts for them are passed on as they are spelled."""
    ids = SentIds()
    for number in range(60_000):
        ids.remember(f"n{number}", f"n{number}", NUMBER)
    assert _told(ids, "n1") == "n1"
    first = ids.receipt_of(Notice(("n59999",), Status.FAILED, "UNDELIV"), NUMBER, "")
    assert first == Receipt("n59999", Status.FAILED, "UNDELIV")

"""The second fence: whatever comes into a log line, no card number comes out of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.canary.forms import Secret
from tests.canary.scanner import Scanner
from zhiwei.logs import masked

PAN = "4111111111111111"
SCANNER = Scanner([Secret("the card", PAN)])


@pytest.mark.parametrize(
    "text",
    [
        PAN,
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111 - 1111 - 1111 - 1111",
        "4111_1111_1111_1111",
        f"16{PAN}000000000000012345",
        f"{PAN}=28122011739184625307",
        f"{PAN}D28122011739184625307",
        f"B{PAN}^DOE/JOHN^2812201",
        f"invalid literal for int() with base 10: '{PAN}x'",
        f"/v1/cards/{PAN}/controls",
        PAN.translate({ord("0") + n: 0xFF10 + n for n in range(10)}),
    ],
)
def test_no_text_shows_a_card_number(text: str) -> None:
    """However a number is written, only its last four digits are left."""
    assert SCANNER.in_bytes("a line", masked(text).encode()) == []


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T12:00:00.123456Z",
        "127.0.0.1:8583",
        "192.168.100.200",
        "card_0123456789abcdefghijklmnop",
        "frame of 8193 bytes",
        "DE39 62, STAN 123456",
    ],
)
def test_harmless_texts_stay_readable(text: str) -> None:
    """Instants, addresses, ids and trace numbers are what a log is for."""
    assert masked(text) == text


#: Run by itself, since setting up logs is for a whole program.
_PROGRAM = """
import structlog
from zhiwei.logs import set_up_logs
set_up_logs(as_json=True)
number = int(input())
try:
    {}[f"no amount: {number}"]
except KeyError:
    structlog.get_logger().error(
        "it_broke", text=str(number), values=[str(number)], number=number, at_ms=1763900000123,
        share=0.5, exc_info=True, request_id="req_00000000000002lag0hkpaeu22",
    )
"""


def test_every_value_of_a_line_is_masked() -> None:
    """Texts, lists, numbers and the texts of exceptions are masked; instants and ids are not."""
    program = [sys.executable, "-c", _PROGRAM]
    done = subprocess.run(program, input=PAN.encode(), capture_output=True, check=True)
    for word in (
        b"it_broke",
        b"KeyError",
        b"1763900000123",
        b"0.5",
        b"********1111",
        b"req_00000000000002lag0hkpaeu22",
    ):
        assert word in done.stderr
    assert SCANNER.in_bytes("the line", done.stderr) == []

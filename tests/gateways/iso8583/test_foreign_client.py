"""`iso8583sim`, a foreign program, as a live client: it talks to the house and gets its answers."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from tests.gateways.iso8583.house import House, open_house, run

from zhiwei.gateways.iso8583.frame import framing

PROGRAM = Path(sys.executable).with_name("iso8583sim")
#: The card number in its sample messages.
SAMPLE_PAN = "4111111111111111"

#: Our dialect, and the simulator's own options for the same form.
FORMS = [
    ("unionpay-ascii", "binary2", "none", ("--format", "ascii-binary")),
    ("iso87-ascii", "binary2", "none", ("--format", "ascii-binary")),
    ("iso87-ascii", "binary2", "none", ("--format", "ascii-hex")),
    ("iso87-ascii-hex", "ascii4", "none", ("--format", "ascii-hex", "--header", "4a")),
    ("iso87-bcd", "binary2", "none", ("--format", "bcd")),
    ("iso87-bcd", "binary2", "tpdu", ("--format", "bcd", "--tpdu", "6000010002")),
]


async def _simulator(house: House, *arguments: str) -> str:
    """What the simulator prints."""
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM),
        *arguments,
        *("--host", "127.0.0.1", "--port", str(house.port)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"COLUMNS": "200", "NO_COLOR": "1"},
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


@pytest.mark.parametrize(("dialect", "length", "header", "options"), FORMS)
def test_the_simulator_s_messages_are_decided_and_it_reads_the_answers(
    dialect: str, length: str, header: str, options: tuple[str, ...]
) -> None:
    """Two hundred authorizations over two lines: every one is answered, and approved."""

    async def story() -> None:
        form = framing(length, header)
        async with open_house(dialect, form=form) as house:
            await house.register(SAMPLE_PAN, has_chip=True)
            printed = await _simulator(
                house, "load", "-n", "200", "-c", "20", "--connections", "2", *options
            )
            assert "00: 200" in printed
            assert house.watch.faults == []
            assert sum(house.watch.batches) == 200 + 1

    run(story)


def test_the_simulator_s_unknown_card_is_answered_14() -> None:
    """A card that nobody registered."""

    async def story() -> None:
        async with open_house("iso87-ascii") as house:
            printed = await _simulator(house, "load", "-n", "5")
            assert "14: 5" in printed

    run(story)

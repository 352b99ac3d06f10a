"""Peer (b): `iso8583sim serve`, a mock issuer from PyPI, as its own program with 15 rules.

It keeps nothing and counts nothing: each rule looks at the message alone. The rules ask of the
message what our controls ask of it (amounts by kind, categories, places, cards), and the last one
approves, so that most messages walk through all of them, as they do through our judges.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from zhiwei.bench.cards import pan_of

#: The format that both programs read: ASCII fields, binary bitmap, two-byte length.
FORMAT: Final = "ascii-binary"
LISTENING: Final = r"listening on [\d.]+:(\d+)"


def rules() -> list[dict[str, object]]:
    """Return the fifteen rules, first match wins."""
    stopped = [pan_of(card) for card in range(0, 400, 100)]
    return [
        _rule("62", pan_prefix=stopped),
        _rule("45", fields={"22": "801"}),
        _rule("62", fields={"19": "840", "18": "6011"}),
        _rule("62", fields={"19": "250", "18": "6011"}),
        _rule("62", fields={"19": "392", "18": "5411"}),
        _rule("62", fields={"32": "01028210", "18": "6011"}),
        _rule("62", fields={"32": "01028510"}, amount_gt=5_000_000),
        _rule("61", mti=["0200"], fields={"3": "010000"}, amount_gt=2_000_000),
        _rule("61", mti=["0200"], fields={"3": "460000"}, amount_gt=5_000_000),
        _rule("01", mti=["0200"], fields={"22": "021"}, amount_gt=2_000_000),
        _rule("01", mti=["0200", "0100"], amount_gt=4_000_000),
        _rule("57", fields={"18": "7995"}),
        _rule("57", fields={"18": "6051"}),
        _rule("61", mti=["0200"], fields={"22": "072"}, amount_gt=100_000),
        _rule("00"),
    ]


def _rule(respond: str, **match: object) -> dict[str, object]:
    """Write one rule as the rules file has it."""
    return {"match": match, "respond": respond}


def command(folder: Path) -> list[str]:
    """Write the rules file into `folder`; return the command that serves by it."""
    path = folder / "sim-rules.json"
    path.write_text(json.dumps({"rules": rules()}, indent=1))
    program = Path(sys.executable).with_name("iso8583sim")
    return [str(program), "serve", "--port", "0", "--format", FORMAT, "--rules", str(path)]

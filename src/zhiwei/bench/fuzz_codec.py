"""Fuzzing the codec in this very process: any bytes give a message or a typed error.

The work is bounded by what comes out, not by a clock: at most 128 fields, and no more characters
than the bytes can hold (two digits a byte).
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from zhiwei.bench.fuzz_frames import FrameMaker
from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.faults import DecodeError
from zhiwei.gateways.iso8583.message import FIELDS_MAX, Message
from zhiwei.gateways.iso8583.tables import PLANS_MAX

#: Public test numbers, which nobody holds.
STRANGERS: Final = ("4111" + "1" * 12, "5555" * 3 + "4444", "4242" * 4)
_TURN: Final = 200


@dataclass
class CodecReport:
    """What came of the bytes."""

    decoded: int = 0
    messages: int = 0
    #: Errors by fault.
    faults: Counter[str] = field(default_factory=Counter)
    #: Bytes that did neither, or too much: dialect, what happened, and the bytes in hexadecimal.
    broken: list[str] = field(default_factory=list)


def fuzz_codec(
    seconds: float, seed: int, decode: Callable[[Codec, bytes], Message] | None = None
) -> CodecReport:
    """Give bytes to the codec of every dialect in turn, for some seconds.

    `decode` replaces the codec's own (a test does, to see that a fault is noticed).
    """
    dice = random.Random(seed)  # noqa: S311 - a test's dice, no secret
    read = decode or (lambda codec, raw: codec.decode(raw, 0, len(raw)))
    makers = [FrameMaker(name, dice, STRANGERS) for name in dialects.names()]
    codecs = [Codec(maker.dialect) for maker in makers]
    report = CodecReport()
    for maker in makers:
        maker.fill()
    end = time.monotonic() + seconds
    while time.monotonic() < end and len(report.broken) < 10:
        for maker, codec in zip(makers, codecs, strict=True):
            for _ in range(_TURN):
                _give(report, codec, _bytes(maker, dice), read)
            if len(codec.reader.plans) > PLANS_MAX:
                report.broken.append(f"{maker.dialect.name}: {len(codec.reader.plans)} plans")
    return report


def _bytes(maker: FrameMaker, dice: random.Random) -> bytes:
    """Random bytes, the head of a message with random bytes behind it, or a hostile frame's own."""
    draw = dice.random()
    if draw < 0.2:
        return dice.randbytes(dice.choice((0, 1, 7, 60, 400)))
    if draw < 0.4:
        return maker.message()[: dice.randrange(24)] + dice.randbytes(dice.randrange(300))
    form = maker.dialect.framing
    return maker.hostile()[form.length_size + form.reserved + form.header.size :]


def _give(
    report: CodecReport, codec: Codec, raw: bytes, read: Callable[[Codec, bytes], Message]
) -> None:
    report.decoded += 1
    try:
        message = read(codec, raw)
        report.messages += 1
    except DecodeError as error:
        report.faults[error.fault.value] += 1
        message = error.partial
    except Exception as error:  # noqa: BLE001 - whatever else it is, it is what is looked for
        _broke(report, codec, type(error).__name__, raw)
        return
    characters = sum(map(len, message.values)) + sum(map(len, (message.binaries or {}).values()))
    if len(message.layout.numbers) > FIELDS_MAX or characters > 2 * len(raw):
        _broke(report, codec, f"{characters} characters", raw)


def _broke(report: CodecReport, codec: Codec, what: str, raw: bytes) -> None:
    report.broken.append(f"{codec.dialect.name}: {what}: {raw[:200].hex()}")

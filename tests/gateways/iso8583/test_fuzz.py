"""Fuzzing the door: mutated golden frames never crash or hang it, and leave nothing behind."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import time
import tracemalloc
from pathlib import Path

import pytest
from tests.gateways.iso8583.house import NO_RESULT, VAULT, Watch

from zhiwei.core.result import Rejection, rejected
from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.gateways.iso8583.answers import Answers
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.door import Door
from zhiwei.gateways.iso8583.faults import FrameError
from zhiwei.gateways.iso8583.frame import split
from zhiwei.gateways.iso8583.translate import Translator
from zhiwei.gateways.response_codes import load

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
DIALECTS = sorted(path.stem for path in GOLDEN.glob("*.json"))
#: How long `make test-slow` fuzzes all dialects together.
SECONDS = float(os.environ.get("ZHIWEI_FUZZ_SECONDS", "600"))


class Fuzzer:
    """One door and the frames that it is fed with."""

    def __init__(self, name: str, seed: int) -> None:
        dialect = dialects.named(name)
        self.watch = Watch()
        self.door = Door(
            Codec(dialect),
            dialect.framing,
            Translator(dialect, VAULT.card_key, lambda: bytes(8)),
            Answers(dialect, load(), NO_RESULT),
            self.watch,
        )
        book = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
        self.seeds = [bytes.fromhex(row["frame"]) for row in book["frames"]]
        self.chance = random.Random(seed)

    def mutated(self) -> bytes:
        """A golden frame with some of its bytes changed, cut out, doubled or put elsewhere."""
        chance = self.chance
        frame = bytearray(chance.choice(self.seeds))
        for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
            at = chance.randrange(len(frame) + 1)
            match chance.randrange(6):
                case 0:
                    frame[at:at] = chance.randbytes(chance.randrange(4))
                case 1:
                    del frame[at : at + chance.randrange(1, 9)]
                case 2:
                    frame[at:at] = frame[at : at + chance.randrange(1, 30)]
                case 3:
                    other = chance.choice(self.seeds)
                    frame[at:] = other[at:]
                case 4 if at < len(frame):
                    frame[at] ^= 1 << chance.randrange(8)
                case _ if at < len(frame):
                    frame[at] = chance.choice(b"\x00\xff0129AFf =D^\x80")
        if chance.random() < 0.8 and len(frame) > 4:
            # Most of them keep a right length, so that the fields behind it are reached.
            lead = self.door.framing.length_size + self.door.framing.reserved
            frame[:2] = (max(len(frame) - lead, 0) & 0xFFFF).to_bytes(2, "big")
        return bytes(frame)

    def feed(self) -> int:
        """Feed one buffer of a few frames; returns how many messages were understood."""
        buffer = b"".join([self.mutated() for _ in range(self.chance.randrange(1, 4))])
        spans: list[int] = []
        with contextlib.suppress(FrameError):
            split(self.door.framing, buffer, 0, spans)
        intake = self.door.take(buffer, spans)
        answers = [rejected(self.chance.choice(tuple(Rejection))) for _ in intake.commands]
        frames = self.door.frames(intake.waiting, answers)
        assert len(frames) == len(intake.commands)
        assert all(len(frame) > 4 for frame in (*frames, *intake.answers))
        self.watch.faults.clear()
        return len(intake.commands)


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("seed", range(3))
def test_mutated_frames_are_answered_or_dropped(name: str, seed: int) -> None:
    """A thousand buffers a seed; a seed that fails is a test that can be run again."""
    fuzzer = Fuzzer(name, seed)
    understood = sum(fuzzer.feed() for _ in range(1000))
    # If the mutations were too wild, nothing behind the codec would have been tried.
    assert understood > 100


@pytest.mark.slow
@pytest.mark.parametrize("name", DIALECTS)
def test_ten_minutes_of_mutations_leave_the_memory_flat(name: str) -> None:
    """No crash, no hang, and after the caches are full no more memory than before."""
    fuzzer = Fuzzer(name, random.SystemRandom().randrange(1 << 32))
    for _ in range(20_000):
        fuzzer.feed()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    end = time.monotonic() + SECONDS / len(DIALECTS)
    turns = 0
    while time.monotonic() < end:
        for _ in range(1000):
            fuzzer.feed()
        turns += 1
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert turns > 0
    assert grown < 4_000_000, f"{grown} bytes more after {turns} thousand buffers"

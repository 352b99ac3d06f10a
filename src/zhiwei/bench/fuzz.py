"""Fuzz: hostile bytes over TCP against the real server, which must stay alive, quick and small.

In batches, many lines at once say what `fuzz_lines` and `fuzz_frames` make up. After each batch a
fresh connection asks for an echo (0800) and for a balance; both must be answered in time. Then
SIGTERM must end the server with exit code 0, and `zhiwei verify` must find nothing amiss.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from zhiwei.bench import contenders
from zhiwei.bench.cards import pan_of
from zhiwei.bench.fuzz_codec import STRANGERS, CodecReport, fuzz_codec
from zhiwei.bench.fuzz_frames import FrameMaker
from zhiwei.bench.fuzz_lines import Caller, Heard, NoEndError, asked
from zhiwei.bench.populate import populate
from zhiwei.bench.processes import Server, resident_bytes
from zhiwei.gateways.iso8583 import dialect as dialects
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.faults import DecodeError, FrameError
from zhiwei.gateways.iso8583.frame import split, wrap
from zhiwei.gateways.iso8583.message import Message

_DIALECT: Final = "unionpay-ascii"
#: The share of the time after which caches count as full, and that of the part without a server.
_WARM: Final = 0.25
_CODEC: Final = 0.1
#: Resident memory may grow by this much after the warm-up: what was decided is kept, and the
#: allocator's arenas come and go.
GROWTH_MAX_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class FuzzOptions:
    """How long, and how wild."""

    minutes: float = 10.0
    seed: int = 1
    connections: int = 24
    cards: int = 200
    #: An answer that takes longer counts as a hang.
    patience_seconds: float = 5.0


@dataclass
class FuzzReport:
    """What the server heard, and how it took it."""

    seed: int = 0
    seconds: float = 0.0
    batches: int = 0
    probes: int = 0
    #: Probes that were not answered, or wrongly.
    failed_probes: int = 0
    slowest_probe_seconds: float = 0.0
    crashes: int = 0
    exit_code: int = -1
    verify_code: int = -1
    verify_words: str = ""
    rss_start_bytes: int = 0
    rss_warm_bytes: int = 0
    rss_end_bytes: int = 0
    rss_growth_max_bytes: int = GROWTH_MAX_BYTES
    heard: Heard = field(default_factory=Heard)
    codec: CodecReport = field(default_factory=CodecReport)

    @property
    def format_errors(self) -> int:
        """Frames that were answered with a format error (30)."""
        return self.heard.answers["30"]

    @property
    def hangs(self) -> int:
        """Lines and probes that were not answered in time."""
        return self.heard.hangs + self.failed_probes

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong, by every account."""
        is_small = self.rss_end_bytes - self.rss_warm_bytes <= self.rss_growth_max_bytes
        wrong = (self.crashes, self.hangs, self.heard.unreadable, self.heard.wrongly_approved)
        codes = (self.exit_code, self.verify_code)
        return not (any(wrong) or any(codes) or self.codec.broken) and is_small and self.probes > 0

    def lines(self) -> list[str]:
        """The report for eyes."""
        heard, mib = self.heard, 1 << 20
        codes = ", ".join(f"{code or '(none)'} {n:,}" for code, n in sorted(heard.answers.items()))
        start, warm, end = self.rss_start_bytes, self.rss_warm_bytes, self.rss_end_bytes
        sent = f"connections {heard.connections:,}; frames {heard.frames:,}"
        alone = self.codec
        told = [
            f"seed {self.seed}; {self.seconds:.0f} s; batches {self.batches:,}",
            f"sent: {sent}; {heard.bytes_sent / mib:.1f} MiB",
            f"answers by code: {codes}",
            f"format errors (30): {self.format_errors:,}; unreadable answers: {heard.unreadable}",
            f"approvals of unknown cards: {heard.wrongly_approved}",
            f"probes: {self.probes}, slowest {self.slowest_probe_seconds * 1000:.0f} ms",
            f"crashes: {self.crashes}; hangs: {self.hangs}",
            f"resident MiB: start {start / mib:.1f}, warm {warm / mib:.1f}, end {end / mib:.1f}",
            f"it may grow by {self.rss_growth_max_bytes / mib:.0f} MiB after the warm-up",
            f"exit code after SIGTERM: {self.exit_code}; zhiwei verify: {self.verify_code}",
            f"codec alone: {alone.decoded:,} byte strings; {alone.messages:,} messages",
            f"typed errors: {sum(alone.faults.values()):,}; others: {len(alone.broken)}",
            *alone.broken,
        ]
        return [*told, self.verify_words] if self.verify_code else told


def fuzz(options: FuzzOptions, say: Callable[[float], None] = lambda _share: None) -> FuzzReport:
    """Fuzz a server of our own, in a folder that is removed afterwards; `say` is told the share."""
    folder = contenders.scratch_folder()
    try:
        return _Fuzzing(options, folder / "fuzz", say).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Fuzzing:
    """One run."""

    def __init__(self, options: FuzzOptions, data: Path, say: Callable[[float], None]) -> None:
        self._options: Final = options
        self._data: Final = data
        self._say: Final = say
        self._dice: Final = random.Random(options.seed)  # noqa: S311 - a test's dice, no secret
        self._report: Final = FuzzReport(options.seed)
        self._codec: Final = Codec(dialects.named(_DIALECT))
        self._stan = 0

    def run(self) -> FuzzReport:
        """The codec alone, then the server, then what the server left behind."""
        options, report = self._options, self._report
        seconds = options.minutes * 60
        begun = time.monotonic()
        report.codec = fuzz_codec(seconds * _CODEC, options.seed)
        populate(self._data, options.cards, by_commands=True)
        server = contenders.ours(self._data).server
        try:
            report.rss_start_bytes = resident_bytes(server.process.pid)
            asyncio.run(self._attack(server, seconds * (1 - _CODEC)))
            report.rss_end_bytes = resident_bytes(server.process.pid)
            report.crashes += server.process.poll() is not None
        finally:
            report.exit_code = server.stop()
        report.verify_code, report.verify_words = _verified(self._data)
        report.seconds = time.monotonic() - begun
        self._say(1.0)
        return report

    async def _attack(self, server: Server, seconds: float) -> None:
        """Batch after batch, as long as there is time and the server lives."""
        options, report, dice = self._options, self._report, self._dice
        caller = Caller(server.port, dice, options.patience_seconds, report.heard)
        known = FrameMaker(_DIALECT, dice, tuple(pan_of(card) for card in range(options.cards)))
        strange = FrameMaker(_DIALECT, dice, STRANGERS)
        foreign = [FrameMaker(name, dice, STRANGERS) for name in dialects.names()]
        begun = time.monotonic()
        while (spent := time.monotonic() - begun) < seconds and server.process.poll() is None:
            self._say(spent / seconds)
            if report.rss_warm_bytes == 0 and spent > seconds * _WARM:
                report.rss_warm_bytes = resident_bytes(server.process.pid)
            lines = []
            for number in range(options.connections):
                maker = (known, known, strange, dice.choice(foreign))[number % 4]
                lines.append(caller.line(maker, self._codec, has_cards=maker is known))
            await asyncio.gather(*lines)
            report.batches += 1
            await self._probe(server)
        report.rss_warm_bytes = report.rss_warm_bytes or report.rss_start_bytes

    async def _probe(self, server: Server) -> None:
        """An echo and a known-good question, each on a fresh connection."""
        self._stan += 1
        trace: dict[int, str | bytes] = {7: f"{self._stan:010}", 11: f"{self._stan % 10**6:06}"}
        inquiry = {2: pan_of(0), 3: "310000", 22: "051", 25: "00", 32: "01024930"}
        inquiry |= {37: f"{self._stan:012}", 41: "PROBE001", 42: "898493060110001", 49: "156"}
        for mti, fields in (("0800", {**trace, 70: "301"}), ("0200", {**trace, **inquiry})):
            self._report.probes += 1
            begun = time.monotonic()
            form = self._codec.dialect.framing
            frame = wrap(form, b"", self._codec.encode(Message.of(mti, fields)))
            try:
                raw = await asked(server.port, frame, self._options.patience_seconds)
                is_right = self._is_answer(raw, str(trace[11]))
            except NoEndError:
                is_right = False
            self._report.failed_probes += not is_right
            spent = time.monotonic() - begun
            slowest = max(self._report.slowest_probe_seconds, spent)
            self._report.slowest_probe_seconds = slowest

    def _is_answer(self, raw: bytes, stan: str) -> bool:
        """Whether this is one approval with the trace that was asked with."""
        spans: list[int] = []
        try:
            split(self._codec.dialect.framing, raw, 0, spans)
            (start, end) = spans
            message = self._codec.decode(raw, start, end)
        except (FrameError, DecodeError, ValueError):
            return False
        return message.text(39) == "00" and message.text(11) == stan


def _verified(data: Path) -> tuple[int, str]:
    """Let `zhiwei verify` look at what the server left."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "zhiwei", "verify", "--data", str(data)],
        capture_output=True,
        text=True,
        check=False,
        env={**contenders.python_path(), "PATH": ""},
    )
    return done.returncode, (done.stdout + done.stderr)[-2_000:]

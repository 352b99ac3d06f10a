"""The load generator as a program: `python -m zhiwei.bench.load --port PORT` prints JSON.

It is a process of its own so that its cost can be told from the server's.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import subprocess
import sys
import time
from collections.abc import Sequence

from zhiwei.bench.answers import AnswerBook
from zhiwei.bench.generator import Generator, Pace
from zhiwei.bench.message import Framing
from zhiwei.bench.over_http import HttpAnswerBook, as_http
from zhiwei.bench.processes import Server, ServerFailedError
from zhiwei.bench.traffic import Plan, compose
from zhiwei.bench.verdict import Verdict, judge


@dataclasses.dataclass(frozen=True)
class Load:
    """One run of the generator: where to, what, how fast."""

    port: int
    plan: Plan
    pace: Pace
    host: str = "127.0.0.1"
    #: Processes whose CPU time is counted as the server's.
    watched: tuple[int, ...] = ()
    #: Where messages are posted as JSON; empty: ISO 8583.
    http_path: str = ""

    def arguments(self) -> list[str]:
        """Write the run as the program's arguments; the same as what `read_arguments` reads."""
        plan, pace = self.plan, self.pace
        told = {
            "host": self.host,
            "port": self.port,
            "seconds": pace.seconds,
            "rate": pace.rate,
            "window": pace.window,
            "patience": pace.patience_seconds,
            "messages": plan.messages,
            "connections": plan.connections,
            "cards": plan.cards,
            "skew": plan.skew,
            "seed": plan.seed,
            "run": plan.run,
            "header": plan.framing.header,
            "tpdu": plan.framing.tpdu.hex(),
            "http": self.http_path,
        }
        words = [f"--{name}={value}" for name, value in told.items()]
        words += [f"--watch={pid}" for pid in self.watched]
        if not plan.retries:
            words.append("--no-retries")
        return words


def read_arguments(words: Sequence[str] | None = None) -> Load:
    """Read the program's arguments; ends the program with a message where they are wrong."""
    parser = argparse.ArgumentParser(prog="python -m zhiwei.bench.load", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rate", type=int, default=0, help="messages per second; 0 = saturation")
    parser.add_argument("--window", type=int, default=64, help="in flight per connection")
    parser.add_argument("--patience", type=float, default=5.0, help="seconds for the last answers")
    parser.add_argument("--messages", type=int, default=0, help="0 = rate x seconds, or 400,000")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--cards", type=int, default=10_000)
    parser.add_argument("--skew", choices=("uniform", "zipf"), default="uniform")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", type=int, help="0-9999, in every RRN; default: from the clock")
    parser.add_argument("--header", choices=("2b", "4a"), default="2b")
    parser.add_argument("--tpdu", type=bytes.fromhex, default=b"")
    parser.add_argument("--http", default="", help="post as JSON to this path, not ISO 8583")
    parser.add_argument("--watch", type=int, action="append", default=[], help="pid of the server")
    parser.add_argument("--no-retries", action="store_true", help="no repeats and reversals")
    told = parser.parse_args(words)
    messages = told.messages or (int(told.rate * told.seconds) if told.rate else 400_000)
    plan = Plan(
        messages=messages,
        connections=told.connections,
        cards=told.cards,
        seed=told.seed,
        skew=told.skew,
        run=told.run if told.run is not None else int(time.time()) % 10_000,
        framing=Framing(told.header, told.tpdu),
        retries=not told.no_retries,
    )
    pace = Pace(told.seconds, told.rate, told.window, told.patience)
    return Load(told.port, plan, pace, told.host, tuple(told.watch), told.http)


def run(load: Load) -> Verdict:
    """Write the traffic, send it, and judge what came back."""
    traffic = compose(load.plan)
    kind = AnswerBook
    if load.http_path:
        traffic = as_http(traffic, load.plan.framing.prefix_bytes, load.http_path)
        kind = HttpAnswerBook
    book = kind(traffic.rows, load.plan.run, load.plan.framing, traffic.repeat_of)
    generator = Generator(traffic, book, (load.host, load.port), load.pace, load.watched)
    # A collection in the middle of a run would be seen as the server's latency.
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        seen = generator.run()
    finally:
        gc.enable()
        gc.unfreeze()
    return judge(traffic, load.pace, seen)


def run_apart(load: Load, server: Server) -> Verdict:
    """Run the generator as a program of its own, so that its cost can be told from the server's.

    Raises `ServerFailedError` with what it said, and what the server said last, where it fails.
    """
    command = [sys.executable, "-m", "zhiwei.bench.load", *load.arguments()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    if done.returncode:
        last = "\n".join(server.lines[-6:])
        raise ServerFailedError(f"the load on {server.name} failed: {done.stderr[-600:]}\n{last}")
    told = json.loads(done.stdout)
    del told["clean"]
    return Verdict(**told)


def main() -> None:
    """Run once and print the verdict."""
    verdict = run(read_arguments())
    json.dump({**dataclasses.asdict(verdict), "clean": verdict.clean}, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()

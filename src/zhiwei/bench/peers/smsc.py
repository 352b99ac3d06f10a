"""The receiving side of `zhiwei bench alerts`: an SMSC that notes when each text arrived.

`python -m zhiwei.bench.peers.smsc FILE [PORT]` prints `smsc 127.0.0.1:PORT` once it listens, and
adds a line `NUMBER NANOSECONDS` for each text (`time.monotonic_ns` of its first part on the wire).
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from zhiwei.simulate.smsc import Account, Arrived, Smsc

ACCOUNT = Account("bench", "bench")


async def serve(path: Path, port: int) -> None:
    """Take texts until SIGTERM; port 0 takes a free one."""
    done = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, done.set)
    with path.open("a", buffering=1) as file:

        def arrived(text: Arrived) -> None:
            file.write(f"{text.destination} {text.at_ns}\n")

        smsc = Smsc(ACCOUNT, arrived)
        port = await smsc.start(port=port)
        sys.stdout.write(f"smsc 127.0.0.1:{port}\n")
        sys.stdout.flush()
        await done.wait()
        await smsc.stop()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))

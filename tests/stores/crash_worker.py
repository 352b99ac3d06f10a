"""A process that decides and commits until it is killed, and says what it has acknowledged.

`python crash_worker.py DIRECTORY SEED`. A line for each committed batch, after the commit: the
number of the batch, and for each of its commands version and digest of the entry that answers it.
"""

from __future__ import annotations

import sys
from hashlib import blake2b
from pathlib import Path
from random import Random

from tests.stores.cases import (
    NOON,
    STEP,
    daily_limit,
    done,
    purchase,
    registration,
    reversal,
)
from zhiwei.core.command import Command
from zhiwei.core.result import Result
from zhiwei.stores.coding.entry import Filing, encode_entry
from zhiwei.stores.sqlite.store import Bounds, SqliteStore

CARDS = 60
#: So small that sweeping, trimming and throwing out of memory go on all the time.
TIGHT = Bounds(cards_max=40, opened_max=20, round_entries=500)


def batch_of(seed: int, number: int) -> list[Command]:
    """The commands of a batch; the same for the same seed and number."""
    random = Random(seed * 1_000_003 + number)
    if number == 0:
        return [registration(card) for card in range(CARDS)]
    commands: list[Command] = []
    for place in range(random.randrange(1, 40)):
        card = random.randrange(CARDS)
        stan = seed * 1_000_000 + number * 100 + place
        bought = purchase(card, stan, random.randrange(1, 50_000))
        what = random.randrange(20)
        if what == 0:
            commands.append(daily_limit(card, random.randrange(1_000_000, 9_000_000)))
        elif what < 4:
            commands += [bought, reversal(card, stan + 50, bought)]
        elif what < 6:
            commands += [bought, bought]
        else:
            commands.append(bought)
    return commands


def said_of(result: Result) -> str:
    """Version and digest of the entry that answers a command."""
    entry = result.entry
    if entry is None:
        return "0:-"
    told = encode_entry(entry, Filing((), ()), b"", bytes(16), 0, 0)
    return f"{entry.version}:{blake2b(told, digest_size=8).hexdigest()}"


def main() -> None:
    """Commit batches until killed."""
    directory, seed = Path(sys.argv[1]), int(sys.argv[2])
    store = SqliteStore(directory, bounds=TIGHT)
    number = 0
    while True:
        results = done(store.transact(batch_of(seed, number), STEP, NOON + number))
        sys.stdout.write(f"{number} {' '.join(said_of(result) for result in results)}\n")
        sys.stdout.flush()
        number += 1
        if number % 7 == 0:
            done(store.tidy(NOON + number))


if __name__ == "__main__":
    main()

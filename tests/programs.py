"""Programs that tests start: whatever a test finds, none of them outlives it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager


@contextmanager
def started(
    words: Sequence[str], environment: Mapping[str, str], *, with_errors: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """A program whose output is read; it is killed where the test ends before it does.

    Without that a failed assertion would wait for the program for ever (`Popen` does).
    """
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if with_errors else None,
        text=True,
        env=dict(environment),
    ) as process:
        try:
            yield process
        finally:
            process.kill()

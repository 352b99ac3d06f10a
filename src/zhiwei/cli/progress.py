"""Progress bars: shown on standard error while something takes long, and only where eyes are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def on_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function to be told how many of how many steps are done; the bar goes when all are."""
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = progress.add_task(what, total=None)

    def tell(done: int, total: int) -> None:
        if done < total and not progress.live.is_started:
            progress.start()
        progress.update(task, completed=done, total=max(total, 1))
        if done >= total:
            progress.stop()

    try:
        yield tell
    finally:
        progress.stop()

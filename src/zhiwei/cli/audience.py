"""What people see of a story: coloured lines on a terminal, plain ones in a pipe."""

from __future__ import annotations

import os
from typing import Final, final

import typer
from rich.console import Console
from rich.text import Text

from zhiwei.simulate.telling import LANGUAGES, Language, Line, Tone

_LOOKS: Final[dict[Tone, tuple[str, str]]] = {
    Tone.TITLE: ("\n■ ", "bold cyan"),
    Tone.STORY: ("  ", ""),
    Tone.SENT: ("    ", "blue"),
    Tone.APPROVED: ("    ", "green"),
    Tone.REFUSED: ("    ", "bold red"),
    Tone.ASKED: ("    ", "bold yellow"),
    Tone.WHY: ("      ", "magenta"),
    Tone.PROOF: ("  ✓ ", "cyan"),
    Tone.WRONG: ("  ✗ ", "bold white on red"),
}


def language_named(name: str) -> Language:
    """`zh` or `en` as named; as the environment speaks where nothing is named.

    Raises:
        typer.BadParameter: another language.
    """
    if name not in ("", *LANGUAGES):
        raise typer.BadParameter(f"`{name[:8]}` is not one of {', '.join(LANGUAGES)}")
    if name:
        return "zh" if name == "zh" else "en"
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        told = os.environ.get(variable)
        if told:
            return "zh" if told.lower().startswith("zh") else "en"
    return "en"


@final
class Terminal:
    """Shows a story on a console, in one language."""

    def __init__(self, console: Console, language: Language) -> None:
        self.console: Final = console
        self.language: Final = language

    def hear(self, tone: Tone, line: Line) -> None:
        """Show one sentence."""
        prefix, style = _LOOKS[tone]
        # The text is not markup: a merchant's name may hold brackets.
        self.console.print(Text(prefix + line.of(self.language), style=style))


@final
class Silence:
    """Listens and shows nothing; for `--json`."""

    def hear(self, tone: Tone, line: Line) -> None:
        """Nothing is shown."""

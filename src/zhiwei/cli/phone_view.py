"""What people see of a phone: a screen with its texts on a terminal, plain lines in a pipe."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Final, final

from rich.align import Align
from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from zhiwei.simulate.telling import Language, Line

if TYPE_CHECKING:
    from zhiwei.simulate.phone import Bubble, Phone

#: How long the phone waits for who holds it, before it answers by itself.
_PATIENCE_SECONDS: Final = 20.0
_SCREEN_COLUMNS: Final = 46
_BUBBLE_COLUMNS: Final = 34
_BUBBLES_SHOWN: Final = 2
#: As much as fits in one SMS of UCS-2.
_TEXT_MAX: Final = 70

_PROMPT: Final = Line("写回复，或直接回车发送", "write a reply, or just press Enter to send")
_HERS: Final = Line("的手机", "'s phone")


@final
class Lines:
    """Each text is one line; nobody holds the phone."""

    def __init__(self, console: Console, language: Language) -> None:
        self._console: Final = console
        self._language: Final = language

    def show(self, phone: Phone) -> None:
        """Print what is new."""
        bubble = phone.bubbles[-1]
        arrow = "→" if bubble.is_own else "←"
        line = f"    [{_owner(phone, self._language)}] {arrow} {bubble.text}"
        self._console.print(Text(line))

    async def written(self, phone: Phone, suggestion: str) -> str:
        """Nobody writes."""
        return ""


@final
class Screen:
    """The phone drawn on a terminal, and held by whoever sits there."""

    def __init__(self, console: Console, language: Language, *, is_held: bool) -> None:
        """`is_held` = the person at the terminal may write; else it answers by itself."""
        self._console: Final = console
        self._language: Final = language
        self._is_held: Final = is_held

    def show(self, phone: Phone) -> None:
        """Draw the screen with the last texts."""
        title = f"📱 {_owner(phone, self._language)} · 95588"
        rows = [_drawn(bubble) for bubble in phone.bubbles[-_BUBBLES_SHOWN:]]
        screen = Panel(
            Group(*rows), title=title, width=_SCREEN_COLUMNS, border_style="bright_black"
        )
        # Elsewhere lines are left to the terminal to wrap; a phone's screen wraps its own.
        self._console.print(screen, soft_wrap=False)

    async def written(self, phone: Phone, suggestion: str) -> str:
        """What the person types within their time; empty = nothing, or only Enter."""
        if not self._is_held:
            return ""
        words = f"  📱 {_PROMPT.of(self._language)} [{suggestion}] ({_PATIENCE_SECONDS:.0f} s): "
        self._console.print(Text(words, "bold green"), end="")
        line = await _line_of(sys.stdin.fileno(), _PATIENCE_SECONDS)
        if line is None:
            self._console.print()
        return "".join(c for c in line or "" if c.isprintable()).strip()[:_TEXT_MAX]


def _drawn(bubble: Bubble) -> Align:
    """Own texts right and green, others left."""
    style = "black on green" if bubble.is_own else "black on white"
    text = Panel.fit(Text(bubble.text), style=style, padding=(0, 1))
    text.width = min(_BUBBLE_COLUMNS, Text(bubble.text).cell_len + 4)
    return Align(text, "right" if bubble.is_own else "left")


def _owner(phone: Phone, language: Language) -> str:
    """Whose phone it is, in a language: the owner's names stand one after the other."""
    zh, _, en = phone.owner.partition(" ")
    return f"{zh if language == 'zh' else en}{_HERS.of(language)}"


async def _line_of(descriptor: int, seconds: float) -> str | None:
    """A line from a terminal, None if none comes in time; no thread is left waiting for it."""
    loop = asyncio.get_running_loop()
    read: asyncio.Future[bytes] = loop.create_future()

    def ready() -> None:
        if not read.done():
            read.set_result(os.read(descriptor, 4096))

    loop.add_reader(descriptor, ready)
    try:
        return (await asyncio.wait_for(read, seconds)).decode("utf-8", "replace")
    except TimeoutError:
        return None
    finally:
        loop.remove_reader(descriptor)

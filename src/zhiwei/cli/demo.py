"""`zhiwei demo`: the guardian at work, from a fresh start to a crash and back, in a minute or two.

Exit codes: 0 everything was as claimed · 1 something was not; it is named · 3 the demonstration
cannot be held (the message says why) · 130 interrupted.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, final

import typer

from zhiwei.core.errors import ZhiweiError

if TYPE_CHECKING:
    from rich.console import Console

    from zhiwei.demo.server import Server
    from zhiwei.demo.show import Plan, Show
    from zhiwei.simulate.bank import Bank
    from zhiwei.simulate.phone import View
    from zhiwei.simulate.telling import Language
    from zhiwei.simulate.traffic import Exchange

_EXIT_NO: Final = 1
_EXIT_INTERRUPTED: Final = 130
#: The board is drawn, and the server's lists are read, so often a second.
_DRAWN_PER_SECOND: Final = 4
#: Seconds between two lines where no terminal is.
_LINE_SECONDS: Final = 2.0
_BEAT_SECONDS: Final = 0.35


class NotEmptyError(ZhiweiError):
    """the demonstration needs an empty folder"""


def demo(
    fast: Annotated[
        bool, typer.Option("--fast", help="A smaller town and no pauses: about 20 seconds.")
    ] = False,
    keep_running: Annotated[
        bool,
        typer.Option(
            "--keep-running",
            help="Leave the server on at the end, until Ctrl-C; so it is at a terminal anyway.",
        ),
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="Keep the data here; default: a folder that goes away.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed is the same town.")] = 2026,
    lang: Annotated[str, typer.Option(help="zh or en; default: as the environment.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Only a summary, for machines.")] = False,
) -> None:
    """See it work: real ISO 8583 messages, decided by cardholders' controls, killed and recovered.

    Starts a server of its own in test mode, on free ports; nothing of yours is touched.

    Example: `zhiwei demo`

    Example: `zhiwei demo --keep-running --lang zh`
    """
    from rich.console import Console

    from zhiwei.cli.audience import language_named
    from zhiwei.demo.show import FAST, Plan

    plan = FAST if fast else Plan()
    console = Console(highlight=False, soft_wrap=True)
    is_for_eyes = console.is_terminal and not as_json
    if is_for_eyes and not fast:
        plan = dataclasses.replace(plan, beat_seconds=_BEAT_SECONDS)
    language = language_named(lang)
    plan = dataclasses.replace(plan, seed=seed, locale=language)
    house = Evening(plan, console, language, is_json=as_json, keeps=keep_running)
    folder = data if data is not None else Path(tempfile.mkdtemp(prefix="zhiwei-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise NotEmptyError(f"`{folder}` is not empty; name a folder that is, or a new one")
    try:
        raise typer.Exit(asyncio.run(house.hold(folder)))
    except asyncio.CancelledError:
        raise typer.Exit(_EXIT_INTERRUPTED) from None
    finally:
        if data is None:
            shutil.rmtree(folder, ignore_errors=True)


@final
class Evening:
    """One demonstration, from the first line to the last."""

    def __init__(
        self,
        plan: Plan,
        console: Console,
        language: Language,
        *,
        is_json: bool,
        keeps: bool,
    ) -> None:
        self._plan: Final = plan
        self._console: Final = console
        self._language: Final = language
        self._is_json: Final = is_json
        #: A person who sits at a terminal is left with the pages; a script is not kept waiting.
        self._stays: Final = keeps or (
            not is_json and console.is_terminal and sys.stdin.isatty() and plan.beat_seconds > 0
        )

    async def hold(self, folder: Path) -> int:
        """Hold it; the exit code."""
        from zhiwei.cli.audience import Silence, Terminal
        from zhiwei.demo.server import Server
        from zhiwei.demo.show import Show
        from zhiwei.simulate.phone import Phones

        _end_in_order()
        phones = Phones(self._view())
        await phones.start()
        messages = folder / "messages.toml"
        phones.write_settings(messages)
        server = Server(folder / "data", folder / "server.log", messages)
        audience = Silence() if self._is_json else Terminal(self._console, self._language)
        show = Show(server, self._plan, audience, self._watch, phones)
        began = time.monotonic()
        try:
            await show.play()
            self._conclude(show, server, time.monotonic() - began)
            if self._stays and show.claims.held:
                await self._stay(server)
        finally:
            await asyncio.to_thread(server.stop)
            await phones.stop()
        return 0 if show.claims.held else _EXIT_NO

    def _view(self) -> View:
        """Who shows the phones: nobody, plain lines, or a screen that a person may hold."""
        from zhiwei.cli.phone_view import Lines, Screen
        from zhiwei.simulate.phone import Nobody

        if self._is_json:
            return Nobody()
        if not self._console.is_terminal:
            return Lines(self._console, self._language)
        is_held = sys.stdin.isatty() and self._plan.beat_seconds > 0
        return Screen(self._console, self._language, is_held=is_held)

    async def _watch(
        self, bank: Bank, run: Callable[[Callable[[Exchange], None]], Awaitable[None]]
    ) -> None:
        """Show the town's day while it runs."""
        from rich.live import Live

        from zhiwei.cli.audience import Terminal
        from zhiwei.demo.board import Board
        from zhiwei.simulate.telling import Tone

        board = Board(bank, self._language)
        if self._is_json:
            await run(board.hear)
            return
        running = asyncio.ensure_future(run(board.hear))
        if self._console.is_terminal:
            with Live(console=self._console, auto_refresh=False, transient=True) as live:
                while not running.done():
                    await board.refresh()
                    live.update(board.render(), refresh=True)
                    await asyncio.wait({running}, timeout=1 / _DRAWN_PER_SECOND)
            await board.refresh()
            self._console.print(board.render())
        else:
            terminal = Terminal(self._console, self._language)
            while not running.done():
                await asyncio.wait({running}, timeout=_LINE_SECONDS)
                terminal.hear(Tone.STORY, board.line())
        await running

    def _conclude(self, show: Show, server: Server, seconds: float) -> None:
        """The last lines, or the summary."""
        claims = show.claims
        if self._is_json:
            document = summary(show, seconds)
            typer.echo(json.dumps(document, ensure_ascii=False))
            return
        is_zh = self._language == "zh"
        self._console.print()
        if not claims.held:
            for claim in claims.failed:
                self._console.print(f"✗ {claim.act}: {claim.text}", style="bold red", markup=False)
            self._console.print("demo: not everything was as claimed", style="bold red")
            return
        total = len(claims.all)
        done = (
            f"演示完成：{total} 项全部如所述（{seconds:.0f} 秒）"
            if is_zh
            else f"demo: done; all {total} claims held ({seconds:.0f} s)"
        )
        self._console.print(done, style="bold green")
        lines = self._try_now(show, server) if self._stays else _TRY_NEXT
        self._console.print("接下来试试：" if is_zh else "Try next:")
        for line in lines:
            self._console.print(f"  {line}", markup=False)

    def _try_now(self, show: Show, server: Server) -> tuple[str, ...]:
        """Lines that work against the server while it is kept running."""
        customer, operator = show.faces.links(show.whose) if show.whose is not None else ("", "")
        is_zh = self._language == "zh"
        auth = f"-H 'Authorization: Bearer {show.key}'"
        doors = f"--connect {server.host}:{server.port} --http {server.http}"
        return (
            f"{customer}  ({'持卡人页面' if is_zh else 'the cardholder page'})",
            f"{operator}  ({'运营控制台' if is_zh else 'the console'})",
            f"curl -s {auth} {server.http}/v1/cards/{show.card_id}/controls",
            f"curl -s {auth} '{server.http}/v1/authorizations?decision=decline&limit=3'",
            f"curl -s {server.http}/metrics | grep zhiwei",
            f"ZHIWEI_KEY={show.key} zhiwei simulate {doors} --register --move-clock --scene all",
            f"{server.http}/docs  (the API, in a browser)",
        )

    async def _stay(self, server: Server) -> None:
        """Leave the server on until a person ends it."""
        is_zh = self._language == "zh"
        if not self._is_json:
            hint = (
                "服务器继续运行，Ctrl-C 结束" if is_zh else "The server stays on; Ctrl-C ends it."
            )
            self._console.print(hint)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return


def _end_in_order() -> None:
    """Ctrl-C, a closed terminal or a polite kill: the server must not outlive the show.

    Ctrl-C also where the shell has it ignored, as it does for what a script starts with `&`.
    """
    task = asyncio.current_task()
    assert task is not None, "the show is a task"
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)


_TRY_NEXT: Final = (
    "zhiwei demo --keep-running        the same, and the server stays on for curl",
    "zhiwei serve --data ./data        a server of your own",
    "zhiwei simulate --scene list      fraud scenes against any server",
    "zhiwei decide --help              what would a file of messages be answered?",
    "docs/start.md                     from here to your own bank",
)


def summary(show: Show, seconds: float) -> dict[str, Any]:
    """The demonstration for machines."""
    return {
        "object": "demo",
        "as_claimed": show.claims.held,
        "seconds": round(seconds, 1),
        **dataclasses.asdict(show.numbers),
        "claims": show.claims.documents(),
    }

"""`zhiwei verify`: is everything that is stored whole, right, and the sum of its journal?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from zhiwei.journal.verify import Report

#: Something is wrong.
EXIT_NO = 1
_SHOWN = 50


def verify(
    data: Annotated[Path, typer.Option(help="The server's data directory.")] = Path("data"),
    database: Annotated[
        str,
        typer.Option(
            envvar="ZHIWEI_DATABASE",
            show_envvar=True,
            help="postgresql://… instead of the file in --data.",
        ),
    ] = "",
    after: Annotated[
        str, typer.Option(help="With --database: go on behind this card (hexadecimal).")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Replay every card, recount every counter, check every row; also beside a running server.

    With --database, a run that is interrupted, or whose database goes away, tells what it found so
    far and behind which card another one goes on.

    Exit code 0: nothing is wrong. 1: something is, and it says what and where.

    Example: `zhiwei verify --data ./data`
    """
    from zhiwei.assemble_store import verify_main_store
    from zhiwei.cli.progress import on_progress
    from zhiwei.journal.verify import Report
    from zhiwei.ports import StoreUnavailableError

    report = Report()
    behind = _card_key(after)
    # The last card that was told of.
    done = [behind]
    try:
        with on_progress("verifying") as progress:
            report = verify_main_store(
                data,
                database,
                progress,
                behind,
                lambda card_key: done.__setitem__(0, card_key),
                report,
            )
    except (KeyboardInterrupt, StoreUnavailableError):
        if done[0] != behind:
            _tell(report, done[0], as_json=as_json)
            typer.echo(f"interrupted; go on with --after {done[0].hex()}", err=True)
        raise
    _tell(report, b"", as_json=as_json)
    if not report.is_clean:
        raise typer.Exit(EXIT_NO)


def _tell(report: Report, behind: bytes, *, as_json: bool) -> None:
    """What was found; `behind` is the last card where that is not all."""
    if as_json:
        document = {
            "clean": report.is_clean,
            "cards": report.cards,
            "entries": report.entries,
            "events": report.events,
            "audits": report.audits,
            "records": report.records,
            "cut": report.cut,
            "go_on_after": behind.hex() or None,
            "problem_count": report.count,
            "problems": [{"place": p.place, "what": p.what} for p in report.problems],
        }
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    for problem in report.problems[:_SHOWN]:
        typer.echo(f"{problem.place}: {problem.what}")
    if report.count > _SHOWN:
        typer.echo(f"... and {report.count - _SHOWN} more (--json lists up to 1000)")
    verdict = "clean" if report.is_clean else f"{report.count} problems"
    typer.echo(
        f"{'so far ' if behind else ''}{verdict}: {report.cards} cards, {report.entries} entries,"
        f" {report.events} events, {report.audits} audit lines, {report.records} records"
    )
    if report.cut:
        typer.echo(f"{report.cut} cards could be followed only from what was not dropped")


def _card_key(text: str) -> bytes:
    """The card behind which to go on; none = from the first one."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        message = "the key of a card as a run that was interrupted says it: 32 hexadecimal digits"
        raise typer.BadParameter(message, param_hint="--after") from None

"""`zhiwei verify`: is everything that is stored whole, right, and the sum of its journal?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

#: Something is wrong.
EXIT_NO = 1
_SHOWN = 50


def verify(
    data: Annotated[Path, typer.Option(help="The server's data directory.")] = Path("data"),
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Replay every card, recount every counter, check every row; also beside a running server.

    Exit code 0: nothing is wrong. 1: something is, and it says what and where.

    Example: `zhiwei verify --data ./data`
    """
    from zhiwei.cli.progress import on_progress
    from zhiwei.journal.verify import verify as verify_file
    from zhiwei.stores.sqlite.connection import FILE_NAME

    with on_progress("verifying") as progress:
        report = verify_file(data / FILE_NAME, progress)
    if as_json:
        document = {
            "clean": report.is_clean,
            "cards": report.cards,
            "entries": report.entries,
            "events": report.events,
            "audits": report.audits,
            "records": report.records,
            "problem_count": report.count,
            "problems": [{"place": p.place, "what": p.what} for p in report.problems],
        }
        typer.echo(json.dumps(document, ensure_ascii=False))
    else:
        for problem in report.problems[:_SHOWN]:
            typer.echo(f"{problem.place}: {problem.what}")
        if report.count > _SHOWN:
            typer.echo(f"... and {report.count - _SHOWN} more (--json lists up to 1000)")
        verdict = "clean" if report.is_clean else f"{report.count} problems"
        typer.echo(
            f"{verdict}: {report.cards} cards, {report.entries} entries, {report.events} events,"
            f" {report.audits} audit lines, {report.records} records"
        )
    if not report.is_clean:
        raise typer.Exit(EXIT_NO)

"""`zhiwei migrate`: bring the schema of a database up to date, and finish what was begun."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def migrate(
    database: Annotated[
        str,
        typer.Option(
            envvar="ZHIWEI_DATABASE", show_envvar=True, help="postgresql://… of the database."
        ),
    ],
    finish: Annotated[
        bool,
        typer.Option(
            "--finish", help="No server of an older version is left: none can serve afterwards."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Bring the schema of a PostgreSQL database up to date, beside running servers.

    A server does that at its start too; what it adds does not disturb older ones. With --finish,
    what only newer servers can live with is done as well; it is refused while an older one is
    connected. A file in a data directory needs none of this.

    Example: `zhiwei migrate --database postgresql://zhiwei@db1/zhiwei --finish`
    """
    from zhiwei.assemble_store import migrate_database

    at = migrate_database(database, is_last=finish)
    if as_json:
        typer.echo(json.dumps({"schema": at.number, "finished": at.finished}))
    else:
        typer.echo(f"schema {at.number}, finished up to {at.finished}")

"""`zhiwei export`, `zhiwei import` and `zhiwei backup`: the data as a whole, elsewhere."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from zhiwei.core.errors import ZhiweiError

if TYPE_CHECKING:
    from zhiwei.stores.postgres.snapshot import PostgresSnapshot
    from zhiwei.stores.sqlite.snapshot import Snapshot

DataDir = Annotated[Path, typer.Option("--data", help="The server's data directory.")]
Database = Annotated[
    str,
    typer.Option(
        "--database",
        envvar="ZHIWEI_DATABASE",
        show_envvar=True,
        help="postgresql://… instead of the files in --data.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For machines: counts as JSON.")]


class FileError(ZhiweiError):
    """the file cannot be read or written"""


def export(
    file: Annotated[str, typer.Argument(help="Where to; `-` is standard output.")],
    data: DataDir = Path("data"),
    database: Database = "",
    as_json: AsJson = False,
) -> None:
    """Write all data as JSON Lines, also beside a running server. The vault's key is not in it.

    Example: `zhiwei export cards.jsonl --data ./data`
    """
    from zhiwei.cli.progress import on_progress
    from zhiwei.journal.export import export_whole, keys_in
    from zhiwei.stores.sqlite.snapshot import Snapshot

    try:
        with (
            on_progress("exporting") as progress,
            _whole(data, database) as whole,
            _target(file) as out,
        ):
            keys = keys_in(data) if isinstance(whole, Snapshot) else whole.keys()
            tally = export_whole(whole, keys, out, progress)
            out.flush()
    except OSError as error:
        raise FileError(f"`{file}` cannot be written: {error.strerror}") from None
    _say(tally.document(), as_json=as_json, to_error=file == "-")


def take_in(
    file: Annotated[str, typer.Argument(help="Where from; `-` is standard input.")],
    data: DataDir = Path("data"),
    database: Database = "",
    as_json: AsJson = False,
) -> None:
    """Fill a new data directory or database from an export; every card's hash must agree.

    Bring the vault's key along by hand (`vault.key`), or no card will be recognized.

    Example: `zhiwei import cards.jsonl --data ./new-data`
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _source(file) as source:
        asyncio.run(_take_in(source, data, database, as_json=as_json))


async def _take_in(source: IO[str], data: Path, database: str, *, as_json: bool) -> None:
    from zhiwei.assemble_access import open_keyring
    from zhiwei.assemble_store import open_main_store
    from zhiwei.cli.progress import on_progress
    from zhiwei.journal.taking_in import take_in as fill

    store = open_main_store(data, database).store
    try:
        with (
            on_progress("importing") as progress,
            open_keyring(data, database) as keyring,
        ):
            tally = await fill(source, store, keyring, progress)
    finally:
        await store.close()
    _say(tally.document(), as_json=as_json)


def backup(
    target: Annotated[Path, typer.Argument(help="A new directory for the copy.")],
    data: DataDir = Path("data"),
    database: Database = "",
    as_json: AsJson = False,
) -> None:
    """Copy the data as of one instant while the server goes on. Keep the vault's key elsewhere.

    Example: `zhiwei backup /backups/monday --data ./data`
    """
    from zhiwei.cli.progress import on_progress
    from zhiwei.journal.backup import backup as copy

    with on_progress("copying") as progress:
        size = copy(data, target, progress, has_cards=not database)
    if database:
        typer.echo(
            "the database, with keys and sign-ins, is not in it; back that up by its own means",
            err=True,
        )
    _say({"bytes": size, "target": str(target)}, as_json=as_json)


def _whole(data: Path, database: str) -> PostgresSnapshot | Snapshot:
    """The data to be read, as of now.

    Raises:
        ZhiweiError: they cannot be read.
    """
    from zhiwei.assemble_store import snapshot_of

    return snapshot_of(data, database)


@contextmanager
def _source(file: str) -> Iterator[IO[str]]:
    """The file to read."""
    if file == "-":
        yield sys.stdin
        return
    try:
        source = Path(file).open(encoding="utf-8")  # noqa: SIM115 - closed below, errors told apart
    except OSError as error:
        raise FileError(f"`{file}` cannot be read: {error.strerror}") from None
    with source:
        yield source


def _target(file: str) -> IO[str]:
    """The file to write, readable for its owner only."""
    if file == "-":
        return os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    return os.fdopen(handle, "w", encoding="utf-8")


def _say(counts: dict[str, object], *, as_json: bool, to_error: bool = False) -> None:
    line = ", ".join(f"{name} {value}" for name, value in counts.items())
    typer.echo(json.dumps(counts) if as_json else f"done: {line}", err=to_error)

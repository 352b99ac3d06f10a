"""`zhiwei serve`: the guardian, on SQLite or PostgreSQL, over ISO 8583 and HTTP."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from zhiwei.core.errors import ZhiweiError

Database = Annotated[
    str,
    typer.Option(
        envvar="ZHIWEI_DATABASE",
        show_envvar=True,
        help="postgresql://USER@HOST:PORT/NAME instead of a file in --data; several HOST:PORT"
        " with commas. Put the password into PGPASSWORD or ~/.pgpass.",
    ),
]
WithoutMessages = Annotated[
    bool,
    typer.Option("--without-messages", help="Other servers send the messages of this database."),
]
Workers = Annotated[
    int,
    typer.Option(
        min=1, max=64, help="Processes behind the two ports; more than one needs --database."
    ),
]

TestMode = Annotated[
    bool,
    typer.Option("--test-mode", help="The clock can be set; messages go to this machine only."),
]


class BadAddressError(ZhiweiError):
    """an address is `HOST:PORT`, for example `127.0.0.1:8080`; port 0 takes a free one"""


class AddressInUseError(ZhiweiError):
    """the address cannot be listened on"""


def serve(
    data: Annotated[Path, typer.Option(help="Data directory; made where there is none.")] = Path(
        "data"
    ),
    database: Database = "",
    http: Annotated[str, typer.Option(help="HOST:PORT of the HTTP door.")] = "127.0.0.1:8080",
    iso8583: Annotated[
        str, typer.Option(help="HOST:PORT of the ISO 8583 door.")
    ] = "127.0.0.1:8583",
    dialect: Annotated[
        str, typer.Option(help="How messages are written on the ISO 8583 door.")
    ] = "unionpay-ascii",
    length: Annotated[
        str, typer.Option(help="Length before each message: binary2, ascii4, ...")
    ] = "",
    header: Annotated[str, typer.Option(help="Header after the length: none, tpdu, ...")] = "",
    policy: Annotated[Path | None, typer.Option(help="The issuer's policy (TOML).")] = None,
    response_codes: Annotated[
        Path | None, typer.Option(help="Table of response codes (TOML) instead of the built-in.")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="Key for card numbers; default: vault.key in --data.")
    ] = None,
    messages: Annotated[
        Path | None,
        typer.Option(help="How messages are delivered (messages.toml); default: webhooks only."),
    ] = None,
    faces: Annotated[
        Path | None,
        typer.Option(help="Where the pages are seen and who signs people in (faces.toml)."),
    ] = None,
    without_messages: WithoutMessages = False,
    workers: Workers = 1,
    test_mode: TestMode = False,
    log_format: Annotated[str, typer.Option(help="json or console.")] = "",
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve; prints one line for each door once it listens. SIGTERM ends it cleanly.

    Example: `zhiwei serve --data ./data --http 127.0.0.1:8080 --iso8583 127.0.0.1:8583`
    """
    from zhiwei.assemble import Options
    from zhiwei.logs import set_up_logs

    logs_json = (log_format or _usual_format()) == "json"
    set_up_logs(as_json=logs_json, level=log_level)
    options = Options(
        data_dir=data,
        database=database,
        without_messages=without_messages,
        http=_address(http),
        iso8583=_address(iso8583),
        dialect=dialect,
        length=length,
        header=header,
        policy_file=policy,
        response_codes_file=response_codes,
        key_file=key_file,
        is_test_mode=test_mode,
        messages_file=messages,
        faces_file=faces,
        logs_json=logs_json,
        log_level=log_level,
    )
    _run_until_ended(options, workers)


def _run_until_ended(options: object, workers: int) -> None:
    """Serve until a signal ends it.

    Raises:
        AddressInUseError: a door could not be opened.
    """
    import uvloop

    try:
        uvloop.run(_run(options, workers))
    except OSError as error:
        raise AddressInUseError(f"cannot start: {error.strerror or error}") from None


async def _run(options: object, workers: int) -> None:
    from zhiwei.assemble import Options, run_house
    from zhiwei.cli.progress import on_progress
    from zhiwei.workers.supervisor import serve_with_workers

    assert isinstance(options, Options)
    until = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, until.set)
    if workers > 1:
        await serve_with_workers(options, workers, _announce, until)
        return
    with on_progress("reading the cards") as progress:
        await run_house(options, _announce, until, progress)


def _announce(line: str) -> None:
    typer.echo(line)
    sys.stdout.flush()


def _usual_format() -> str:
    """Logs for eyes where eyes are."""
    return "console" if sys.stderr.isatty() else "json"


def _address(text: str) -> tuple[str, int]:
    """Host and port.

    Raises:
        BadAddressError: the text is not `HOST:PORT`.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        message = f"`{text[:60]}` is not `HOST:PORT` like `127.0.0.1:8080`; port 0 takes a free one"
        raise BadAddressError(message)
    return host, int(port)

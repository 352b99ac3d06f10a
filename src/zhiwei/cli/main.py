"""`zhiwei`: the commands, and the one place where an error becomes an exit code.

Exit codes: 0 done · 1 done, and the answer is no (`verify` found something) · 2 wrong words on the
command line · 3 cannot be done (the message says why and what to do) · 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Final

import typer

import zhiwei
from zhiwei.cli.bench import bench
from zhiwei.cli.bench_postgres import failover, postgres
from zhiwei.cli.decide import decide
from zhiwei.cli.demo import demo
from zhiwei.cli.faces import enter, operators
from zhiwei.cli.keys import keys
from zhiwei.cli.messages import messages
from zhiwei.cli.migrate import migrate
from zhiwei.cli.serve import serve
from zhiwei.cli.simulate import simulate
from zhiwei.cli.texts import texts
from zhiwei.cli.transfer import backup, export, take_in
from zhiwei.cli.verify import verify
from zhiwei.core.errors import ZhiweiError
from zhiwei.vault import holds_card_number

EXIT_NO: Final = 1
EXIT_WRONG: Final = 2
EXIT_CANNOT: Final = 3
EXIT_INTERRUPTED: Final = 130

app = typer.Typer(
    name="zhiwei",
    help="智卫 zhiwei: the guardian of card accounts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for command in (serve, demo, simulate, decide, verify, export, backup, migrate, texts, enter):
    app.command()(command)
bench.command()(postgres)
bench.command()(failover)
app.command("import")(take_in)
app.add_typer(keys, name="keys")
app.add_typer(operators, name="operators")
app.add_typer(messages, name="messages")
app.add_typer(bench, name="bench")


class CardNumberInWordsError(ZhiweiError):
    """a card number does not belong on a command line, where everyone on the machine sees it"""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"zhiwei {zhiwei.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Every cardholder decides what their card may do; every decision is durable and explained."""


def main() -> None:
    """Run the command line; the entry point of the package."""
    if not __debug__:
        # Assertions guard what is stored; without them a bug could be written down.
        sys.stderr.write("zhiwei: does not run with `python -O`; start it without\n")
        raise SystemExit(EXIT_CANNOT)
    if any(holds_card_number(word) for word in sys.argv[1:]):
        sys.stderr.write(f"zhiwei: {CardNumberInWordsError()}\n")
        raise SystemExit(EXIT_WRONG)
    # Data, keys, exports and backups are for their owner only.
    os.umask(0o077)
    try:
        app()
    except ZhiweiError as error:
        from zhiwei.logs import masked

        sys.stderr.write(f"zhiwei: {masked(str(error))}\n")
        raise SystemExit(EXIT_CANNOT) from None
    except KeyboardInterrupt:
        raise SystemExit(EXIT_INTERRUPTED) from None

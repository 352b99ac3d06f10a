"""`zhiwei bench postgres` and `zhiwei bench failover`: beyond one machine, measured and broken."""

from __future__ import annotations

import dataclasses
import importlib.util
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from zhiwei.cli.bench import EXIT_NO, Json, fields, print_json
from zhiwei.cli.progress import on_progress


def postgres(
    quick: Annotated[bool, typer.Option(help="One short round, for a look in between.")] = False,
    as_json: Json = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="Interleaved rounds.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="Length of one run.")] = None,
    cards: Annotated[int | None, typer.Option(min=64, help="Cards in each database.")] = None,
    contenders: Annotated[
        str | None, typer.Option(help="Of zhiwei, fastapi, plpgsql; with commas.")
    ] = None,
) -> None:
    """Run ours on PostgreSQL and its rivals in turn, and judge by what is required.

    The rivals: a service by hand (FastAPI + psycopg, one transaction for each authorization), and a
    PL/pgSQL function driven by pgbench. Each has a PostgreSQL of its own, all set alike and
    durable. Exit code 1 where something that is required was not met, or not measured.

    Example: `zhiwei bench postgres --quick --contenders fastapi,plpgsql`
    """
    _need_driver()
    from zhiwei.bench.postgres import compare, standing

    told: dict[str, Any] = {
        "rounds": rounds,
        "seconds": seconds,
        "cards": cards,
        "contenders": None if contenders is None else _named(contenders),
    }
    chosen = {name: value for name, value in told.items() if value is not None}
    options = dataclasses.replace(compare.QUICK if quick else compare.Options(), **chosen)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("clusters", total=None)

        def say(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total or None)

        found = compare.Comparison(options, say).run()
    if as_json:
        print_json(found.everything())
    else:
        standing.show(found, Console())
    if not found.is_met:
        raise typer.Exit(EXIT_NO)


def failover(
    rounds: Annotated[int, typer.Option(min=0, help="How often the primary is killed.")] = 50,
    partitions: Annotated[
        int, typer.Option(min=0, help="How often the standbys are cut off, in five ways.")
    ] = 20,
    rate: Annotated[int, typer.Option(min=50, help="Messages a second meanwhile.")] = 400,
    seed: Annotated[int, typer.Option(help="Draws the order and the instants.")] = 1,
    by_hand: Annotated[
        bool,
        typer.Option("--by-hand", help="A service by hand in our place, to see what is found."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Kill PostgreSQL's primary under load and promote a standby; cut standbys off, cancel commits.

    A primary with two synchronous standbys. 0 acknowledged decisions may be lost, 0 counted twice,
    0 approved while no standby has them; else exit code 1. What a round shows is told as it ends.

    Example: `zhiwei bench failover --rounds 5 --partitions 5`
    """
    _need_driver()
    from zhiwei.bench.postgres import failover as failing

    if not rounds + partitions:
        raise typer.BadParameter("nothing is to be done: at least one round or partition")
    options = failing.FailoverOptions(
        rounds=rounds, partitions=partitions, rate=rate, seed=seed, by_hand=by_hand
    )
    with on_progress("primaries lost, standbys cut off") as tell:
        found = failing.failover(options, lambda one: tell(one.number, rounds + partitions))
    if as_json:
        gaps = {"p50": found.gap_seconds(0.5), "p99": found.gap_seconds(0.99)}
        print_json({**fields(found), "gap_seconds": gaps, "clean": found.is_clean})
    else:
        print("\n".join(found.lines()))
    if not found.is_clean:
        raise typer.Exit(EXIT_NO)


def _need_driver() -> None:
    """See that the driver is there; raises `ServerFailedError` where it is not."""
    from zhiwei.bench.processes import ServerFailedError

    if importlib.util.find_spec("psycopg") is None:
        raise ServerFailedError("psycopg is not installed (it is in the dev dependencies)")


def _named(text: str) -> tuple[str, ...]:
    """Read names with commas between them; refuses a name that nobody has."""
    from zhiwei.bench.postgres.field import FIELD

    names = tuple(filter(None, text.split(",")))
    strangers = [name for name in names if name not in FIELD]
    if strangers or not names:
        raise typer.BadParameter(f"`{text[:60]}`: name some of {', '.join(FIELD)}, with commas")
    return names

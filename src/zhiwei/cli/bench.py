"""`zhiwei bench`: how many decisions a second, beside the peers; `crash` and `races` beside it."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from zhiwei.cli.progress import on_progress

if TYPE_CHECKING:
    from zhiwei.bench.crash import CrashReport

bench = typer.Typer(
    help="Measure the server beside its peers, and try to break it.",
    invoke_without_command=True,
    no_args_is_help=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Rounds = Annotated[int, typer.Option(min=1, help="How often.")]
#: Done, and the answer is no; as `cli.main` says.
EXIT_NO = 1


def fields(report: object) -> dict[str, object]:
    """A report by its fields; `dataclasses.asdict` cannot take a Counter apart."""
    names = [one.name for one in dataclasses.fields(report)]  # type: ignore[arg-type]  # it is one
    return {name: _plain(getattr(report, name)) for name in names}


def _plain(value: object) -> object:
    """A value as JSON has it."""
    if dataclasses.is_dataclass(value):
        return fields(value)
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def print_json(document: object) -> None:
    """Print one JSON object and nothing else."""
    json.dump(document, sys.stdout, ensure_ascii=False)
    sys.stdout.write("\n")


@bench.callback()
def compare(
    context: typer.Context,
    quick: Annotated[bool, typer.Option(help="One short round, for a look in between.")] = False,
    as_json: Json = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="Interleaved rounds.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.5, help="Length of one run.")] = None,
    cards: Annotated[int | None, typer.Option(min=1, help="Cards in the store.")] = None,
    many_cards: Annotated[
        int | None, typer.Option(min=0, help="Cards of the second store; 0 leaves it out.")
    ] = None,
    peers: Annotated[
        str | None, typer.Option(help="Of iso8583sim, echo, echo-uvloop, postgres; with commas.")
    ] = None,
) -> None:
    """Run ours and the peers in turn, round after round, and print every run.

    All get the same ISO 8583 messages from the same open-loop generator over TCP. Peers that this
    machine does not have are left out, and the report says so.

    Example: `zhiwei bench --quick --peers iso8583sim,echo`
    """
    if context.invoked_subcommand:
        return
    from zhiwei.bench import report
    from zhiwei.bench import run as runs

    told: dict[str, Any] = {
        "rounds": rounds,
        "seconds": seconds,
        "cards": cards,
        "many_cards": many_cards,
        "peers": None if peers is None else tuple(filter(None, peers.split(","))),
    }
    chosen = {name: value for name, value in told.items() if value is not None}
    options = dataclasses.replace(runs.QUICK if quick else runs.Options(), **chosen)
    found = runs.bench(options, Console(stderr=True))
    if as_json:
        print_json(found.everything())
    else:
        report.show(found, Console())


@bench.command()
def crash(
    rounds: Rounds = 200,
    cards: Annotated[int, typer.Option(min=1, help="Cards in the store.")] = 500,
    seed: Annotated[int, typer.Option(help="Draws the instants of the kills.")] = 1,
    as_json: Json = False,
) -> None:
    """Kill the server (`kill -9`) at random points under load, and look for what was lost.

    0 acknowledged decisions may be lost, 0 counted twice. Exit code 1 where one was.

    Example: `zhiwei bench crash --rounds 20`
    """
    from zhiwei.bench import crash as crashes

    options = crashes.CrashOptions(rounds=rounds, cards=cards, seed=seed)
    with on_progress("kill -9, and start again") as tell:
        found = crashes.crash(options, lambda one: tell(one.number, rounds))
    if as_json:
        print_json({**fields(found), "clean": found.is_clean})
    else:
        _tell_crashes(found)
    if not found.is_clean:
        raise typer.Exit(EXIT_NO)


def _tell_crashes(found: CrashReport) -> None:
    rounds, seen = found.rounds, found.examination
    print(f"kills: {len(rounds)}; messages sent: {sum(one.sent for one in rounds):,}")
    print(f"acknowledged before a kill: {found.acknowledged:,}")
    print(f"slowest start after a kill: {max(one.ready_seconds for one in rounds):.2f} s")
    for one in rounds:
        if not one.is_clean:
            print(f"round {one.number}: {dataclasses.asdict(one)}")
    print(f"journal entries compared: {seen.entries:,}")
    for what in ("lost", "doubled", "altered", "miscounted"):
        numbers = getattr(seen, what)
        print(f"{what}: {len(numbers)} {numbers[:10] if numbers else ''}")
    print(f"zhiwei verify: exit code {found.verify_code}")
    if found.verify_code:
        print(found.verify_words)


@bench.command()
def delivery(
    rounds: Rounds = 200,
    seed: Annotated[int, typer.Option(help="Draws the instants of the kills.")] = 1,
    as_json: Json = False,
) -> None:
    """Kill the worker that sends messages at random points, and take its receiver away for a day.

    0 messages may be lost, each card's keep their order, and repeats have the same id; else exit
    code 1.

    Example: `zhiwei bench delivery --rounds 20`
    """
    from zhiwei.bench import delivery as deliveries

    with on_progress("kill -9, and start again") as tell:
        found = deliveries.delivery(
            deliveries.DeliveryOptions(rounds=rounds, seed=seed), lambda done: tell(done, rounds)
        )
    if as_json:
        print_json({**fields(found), "clean": found.is_clean})
    else:
        print("\n".join(found.lines()))
    if not found.is_clean:
        raise typer.Exit(EXIT_NO)


@bench.command()
def races(
    rounds: Rounds = 1_000,
    requests: Annotated[int, typer.Option(min=2, help="Requests at once.")] = 64,
    seed: Annotated[int, typer.Option(help="Draws the order of the requests.")] = 1,
    servers: Annotated[
        int, typer.Option(min=1, max=16, help="More than one share a database of PostgreSQL.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Send many requests at once for one card with room for one; one must win.

    With several servers the requests are spread over them. Exit code 1 where a race had another
    end.

    Example: `zhiwei bench races --rounds 100`
    """
    from zhiwei.bench import races as contests

    with on_progress("races") as tell:
        found = contests.races(
            contests.RaceOptions(rounds, requests, seed, servers), lambda done: tell(done, rounds)
        )
    if as_json:
        print_json({**fields(found), "clean": found.is_clean})
    else:
        print(f"races: {found.rounds:,} of {requests} requests each, room for one")
        for approved, times in sorted(found.approvals.items()):
            print(f"approvals {approved}: {times:,} times")
        print(f"unanswered: {found.unanswered}")
    if not found.is_clean:
        raise typer.Exit(EXIT_NO)


@bench.command()
def sequences(
    count: Annotated[int, typer.Option(min=1, help="How many sequences.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Seed of the first; the next has the next.")] = 1,
    processes: Annotated[int, typer.Option(min=0, help="0 = two where there are two cores.")] = 0,
    as_json: Json = False,
) -> None:
    """Send random sequences through the guardian, and hold the counters against a recount.

    Requests, repeats, conflicts, reversals, completions, refunds, answers, changed controls, and a
    clock that jumps. What breaks a rule is told with its seed and the fewest steps that break it;
    exit code 1.

    Example: `zhiwei bench sequences --count 1 --seed 4711` plays sequence 4711 again.
    """
    from zhiwei.bench import sequences as lives

    with on_progress("sequences") as tell:
        found = lives.sequences(
            lives.SequenceOptions(count, seed, processes), lambda done: tell(done, count)
        )
    if as_json:
        print_json({**fields(found), "clean": found.is_clean})
    else:
        print("\n".join(found.lines()))
    if not found.is_clean:
        raise typer.Exit(EXIT_NO)


@bench.command()
def fuzz(
    minutes: Annotated[float, typer.Option(min=0.05, help="How long.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Draws every byte that is sent.")] = 1,
    connections: Annotated[int, typer.Option(min=1, help="Lines at once.")] = 24,
    as_json: Json = False,
) -> None:
    """Send hostile bytes to the ISO 8583 door of a real server, and see that it stays well.

    0 crashes, 0 hangs, flat memory, no approval for a card nobody has, every answer readable, and
    a clean `zhiwei verify` afterwards; else exit code 1. The codec of every dialect is fuzzed too.

    Example: `zhiwei bench fuzz --minutes 1 --seed 7`
    """
    from zhiwei.bench import fuzz as fuzzing

    with on_progress("hostile bytes") as tell:
        found = fuzzing.fuzz(
            fuzzing.FuzzOptions(minutes, seed, connections),
            lambda share: tell(int(share * 1000), 1000),
        )
    if as_json:
        print_json({**fields(found), "clean": found.is_clean})
    else:
        print("\n".join(found.lines()))
    if not found.is_clean:
        raise typer.Exit(EXIT_NO)


@bench.command()
def alerts(
    rate: Annotated[int, typer.Option(min=1, help="Alerts a second.")] = 500,
    seconds: Annotated[float, typer.Option(min=0.5, help="How long.")] = 20.0,
    cards: Annotated[int, typer.Option(min=1, help="Cards, each with a number.")] = 2_000,
    as_json: Json = False,
) -> None:
    """Measure from a decision to the text message on the wire (`submit_sm`).

    A real server, a real SMSC, requests over ISO 8583 that are all refused and told. Exit code 1
    where a text is missing, one came twice, or the p99 from request to wire is over 300 ms.

    Example: `zhiwei bench alerts --rate 500 --seconds 20`
    """
    from zhiwei.bench import alerts as texts

    count = int(rate * seconds)
    with on_progress("alerts") as tell:
        found = texts.alerts(
            texts.AlertOptions(rate, seconds, cards), lambda done: tell(done, count)
        )
    if as_json:
        print_json({**fields(found), "clean": found.is_clean, "in_time": found.is_in_time})
    else:
        print("\n".join(found.lines()))
    if not (found.is_clean and found.is_in_time):
        raise typer.Exit(EXIT_NO)


@bench.command()
def inbound(
    count: Annotated[int, typer.Option(min=1, help="How many messages.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Draws every message.")] = 1,
    as_json: Json = False,
) -> None:
    """Send forged and malformed text messages by both doors, and look for what they did.

    0 may loosen anything, 0 may tell a stranger whether a number or card exists, 0 may crash; else
    exit code 1.

    Example: `zhiwei bench inbound --count 1000 --seed 7`
    """
    from zhiwei.bench import inbound as forging

    with on_progress("forged messages") as tell:
        found = forging.inbound(forging.InboundOptions(count, seed), lambda done: tell(done, count))
    if as_json:
        print_json({**fields(found), "clean": found.is_clean})
    else:
        print("\n".join(found.lines()))
    if not found.is_clean:
        raise typer.Exit(EXIT_NO)


@bench.command()
def preview(
    decisions: Annotated[int, typer.Option(min=1, help="Messages of the card in 90 days.")] = 5_000,
    seed: Annotated[int, typer.Option(help="Draws the history.")] = 1,
    as_json: Json = False,
) -> None:
    """Measure what a control would have stopped in a card's last 90 days, and replay it.

    A history made by the guardian on SQLite; each type of control is tried. Exit code 1 where a
    preview is not what a replay of the whole journal says, or takes a second or more.

    Example: `zhiwei bench preview --decisions 5000`
    """
    from zhiwei.bench import previewing

    count = len(previewing.CONTROLS)
    with on_progress("controls on trial") as tell:
        found = previewing.previewing(
            previewing.PreviewOptions(decisions, seed), lambda done: tell(done, count)
        )
    if as_json:
        print_json({**fields(found), "clean": found.is_clean, "in_time": found.is_in_time})
    else:
        print("\n".join(found.lines()))
    if not (found.is_clean and found.is_in_time):
        raise typer.Exit(EXIT_NO)


@bench.command()
def pages(
    decisions: Annotated[int, typer.Option(min=1, help="Decisions that are kept.")] = 1_000,
    tries: Annotated[int, typer.Option(min=1, help="How often each page is asked for.")] = 50,
    as_json: Json = False,
) -> None:
    """Measure how long the server takes for every page of both faces.

    Exit code 1 where the median of a page is over 30 ms.

    Example: `zhiwei bench pages --decisions 1000`
    """
    from zhiwei.bench.pages import measure_pages

    with on_progress("pages") as tell:
        found = measure_pages(decisions, tries, tell)
    if as_json:
        print_json({**fields(found), "in_time": found.is_in_time})
    else:
        print("\n".join(found.lines()))
    if not found.is_in_time:
        raise typer.Exit(EXIT_NO)

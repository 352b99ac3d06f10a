"""`zhiwei simulate`: the bank, its terminals and its customers, against a running server.

Exit codes: 0 everything was answered, and every scene went as expected · 1 something was not ·
2 wrong words on the command line · 3 no connection, or the server refuses · 130 interrupted.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
from typing import TYPE_CHECKING, Annotated, Any, Final, final

import typer

from zhiwei.core.errors import NotAllowedValueError

if TYPE_CHECKING:
    from zhiwei.simulate.session import Options, Session
    from zhiwei.simulate.stage import Record
    from zhiwei.simulate.telling import Language
    from zhiwei.simulate.traffic import Exchange, Tally

_SEEDS: Final = 4_000
#: A dialect between terminals and their acquirer, which knows where they stand.
_TERMINALS: Final = "unionpay-terminal"
_PORT_MAX: Final = 65_535
_EXIT_NO: Final = 1
#: A pause after each sentence of a scene, for eyes.
_BEAT_SECONDS: Final = 0.5


Connect = Annotated[str, typer.Option(help="The server's ISO 8583 door, HOST:PORT.")]
Rate = Annotated[
    float, typer.Option(help="Messages a second; 0 = in real time, as people live.", min=0)
]
Seed = Annotated[
    int | None, typer.Option(help="The same seed is the same stream; default: a new one.")
]
Scenes = Annotated[
    list[str] | None,
    typer.Option(help="Play a fraud scene instead: `list` shows them, `all` plays them."),
]
Key = Annotated[
    str, typer.Option(help="An issuer key for it.", envvar="ZHIWEI_KEY", show_envvar=True)
]
Register = Annotated[
    bool, typer.Option("--register", help="Register the cards and their controls first.")
]
MoveClock = Annotated[
    bool,
    typer.Option("--move-clock", help="Move the server's clock along (its --test-mode only)."),
]


def simulate(
    connect: Connect = "127.0.0.1:8583",
    dialect: Annotated[str, typer.Option(help="Message dialect.")] = "unionpay-ascii",
    rate: Rate = 5.0,
    count: Annotated[int, typer.Option(help="Things people do; 0 = until interrupted.", min=0)] = 0,
    seed: Seed = None,
    customers: Annotated[int, typer.Option(help="How many people.", min=1, max=50_000)] = 40,
    scene: Scenes = None,
    http: Annotated[str, typer.Option(help="The server's HTTP door, to ask for reasons.")] = "",
    key: Key = "",
    register: Register = False,
    move_clock: MoveClock = False,
    begin: Annotated[str, typer.Option(help="When the story begins, RFC 3339; default: now.")] = "",
    lang: Annotated[str, typer.Option(help="zh or en; default: as the environment.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines, for machines.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only refusals and the sum.")] = False,
) -> None:
    """Send believable card messages: a stream of everyday use, or fraud scenes as stories.

    Cards are of a test range that nobody was ever issued; the same seed gives the same people.

    Example: `export ZHIWEI_KEY=zw_…; zhiwei simulate --http http://127.0.0.1:8080 --register`

    Example: `zhiwei simulate --http http://127.0.0.1:8080 --register --scene cloned-card`
    """
    from zhiwei.cli.audience import language_named
    from zhiwei.simulate.scenes import SCENES
    from zhiwei.simulate.session import Options
    from zhiwei.simulate.traffic import Pace

    if scene and "list" in scene:
        for one in SCENES.values():
            typer.echo(f"{one.name:<16} {one.title.zh}  {one.title.en}")
        return
    if (register or move_clock) and not (http and key):
        raise typer.BadParameter("--register and --move-clock need --http and --key")
    if scene and dialect == _TERMINALS:
        message = f"scenes go abroad, and `{_TERMINALS}` knows no countries; use another dialect"
        raise typer.BadParameter(message, param_hint="--scene")
    host, port = _address(connect)
    options = Options(
        host=host,
        port=port,
        dialect=dialect,
        seed=secrets.randbelow(_SEEDS) if seed is None else seed,
        customers=customers,
        begin_ms=_instant(begin),
        pace=Pace(rate, count),
        http=http,
        key=key,
        registers=register,
        moves_clock=move_clock,
    )
    shows = Shows(language_named(lang), is_json=as_json, is_quiet=quiet)
    raise typer.Exit(asyncio.run(_run(options, _scenes(scene or []), shows)))


def _scenes(wanted: list[str]) -> tuple[str, ...]:
    """The scenes of these names."""
    from zhiwei.simulate.scenes import SCENES

    if "all" in wanted:
        return tuple(SCENES)
    for name in wanted:
        if name not in SCENES:
            known = ", ".join(SCENES)
            message = f"`{name[:40]}` is not one of {known}, all, list"
            raise typer.BadParameter(message, param_hint="--scene")
    return tuple(wanted)


def _address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > _PORT_MAX:
        raise typer.BadParameter(f"`{text[:60]}` is not HOST:PORT", param_hint="--connect")
    return host.strip("[]"), int(port)


def _instant(text: str) -> int:
    """UTC ms of an RFC 3339 time; now for an empty text."""
    from zhiwei.clock import SystemClock
    from zhiwei.gateways.http.times import instant_ms

    try:
        return instant_ms(text, "--begin") if text else SystemClock().now_ms()
    except NotAllowedValueError as error:
        raise typer.BadParameter(str(error), param_hint="--begin") from None


@final
class Shows:
    """How the simulation is shown."""

    def __init__(self, language: Language, *, is_json: bool, is_quiet: bool) -> None:
        from rich.console import Console

        self.language: Final = language
        self.is_json: Final = is_json
        self.is_quiet: Final = is_quiet
        self.console: Final = Console(highlight=False, soft_wrap=True)
        self.progress: Final = Console(stderr=True)

    def json(self, document: dict[str, Any]) -> None:
        """One line for machines."""
        typer.echo(json.dumps(document, ensure_ascii=False))


async def _run(options: Options, scenes: tuple[str, ...], shows: Shows) -> int:
    """Connect, register if wanted, and play; the exit code."""
    from zhiwei.simulate.session import session

    if not shows.is_json:
        shows.console.print(f"seed {options.seed} (the same again with --seed {options.seed})")
    async with session(options) as one:
        if scenes:
            return await _play(one, scenes, shows)
        if options.registers:
            await _register(one, shows)
        return await _stream(one, shows)


async def _register(one: Session, shows: Shows) -> None:
    from rich.progress import Progress

    with Progress(console=shows.progress, transient=True) as progress:
        task = progress.add_task("registering", total=len(one.people))
        await one.register(lambda done: progress.update(task, completed=done))


async def _play(one: Session, scenes: tuple[str, ...], shows: Shows) -> int:
    """Play scenes one after the other."""
    from zhiwei.cli.audience import Silence, Terminal

    audience = Silence() if shows.is_json else Terminal(shows.console, shows.language)
    beat = _BEAT_SECONDS if shows.console.is_terminal and not shows.is_json else 0.0
    exit_code = 0
    for name in scenes:
        record = await one.scene(name, audience, beat)
        if not record.is_as_expected:
            exit_code = _EXIT_NO
        if shows.is_json:
            shows.json(_scene_document(record, one.options.seed))
    return exit_code


async def _stream(one: Session, shows: Shows) -> int:
    """Send until it is enough, or until a person interrupts."""
    narrator = Narrator(one, shows)
    task = asyncio.create_task(one.stream(narrator.hear))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        tally = await task
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    await narrator.finish()
    if shows.is_json:
        shows.json({"object": "summary", "seed": one.options.seed, **tally_document(tally)})
    else:
        shows.console.print(_sum_line(tally, shows.language))
        if tally.codes.get("14"):
            shows.console.print(
                "14 = no such card: register these people with --register --http URL --key KEY"
            )
    return 0 if not tally.unanswered else _EXIT_NO


@final
class Narrator:
    """Tells of every exchange; asks for the reason of what was not approved."""

    def __init__(self, one: Session, shows: Shows) -> None:
        self._one: Final = one
        self._shows: Final = shows
        self._asking: Final[set[asyncio.Task[None]]] = set()

    def hear(self, exchange: Exchange) -> None:
        """Tell of one exchange, at once or as soon as its reason is known."""
        answer = exchange.answer
        is_refused = answer is not None and not answer.is_approved
        if self._shows.is_quiet and answer is not None and not is_refused:
            return
        if is_refused and self._one.bank is not None:
            task = asyncio.create_task(self._with_reason(exchange))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        else:
            self._tell(exchange, [])

    async def finish(self) -> None:
        """Wait for the reasons that are still asked for."""
        if self._asking:
            await asyncio.gather(*self._asking)

    async def _with_reason(self, exchange: Exchange) -> None:
        self._tell(exchange, await self._one.reasons.of(exchange.sent))

    def _tell(self, exchange: Exchange, reasons: list[dict[str, Any]]) -> None:
        from rich.text import Text

        from zhiwei.simulate.codes import meaning_of

        sent, answer = exchange.sent, exchange.answer
        what = "" if sent.doing is None else sent.doing.line().of(self._shows.language)
        if self._shows.is_json:
            self._shows.json(
                {
                    "object": "exchange",
                    "role": exchange.role.value,
                    "mti": sent.message.mti,
                    "stan": sent.stan,
                    "what": what,
                    "code": None if answer is None else answer.code,
                    "milliseconds": None if answer is None else round(answer.milliseconds, 3),
                    "reasons": [reason["code"] for reason in reasons],
                }
            )
            return
        code = "no answer" if answer is None else answer.code
        style = "green" if code == "00" else "bold red"
        line = Text(f"{sent.message.mti} {sent.stan} {what or exchange.role.value} → ")
        line.append(code, style)
        if answer is not None:
            line.append(f" {meaning_of(code).of(self._shows.language)}")
        for reason in reasons:
            line.append(f"\n      {reason['message'][self._shows.language]}", "magenta")
        self._shows.console.print(line)


def tally_document(tally: Tally) -> dict[str, Any]:
    """The sum for machines."""
    return {
        "sent": tally.sent,
        "approved": tally.approved,
        "not_approved": tally.refused,
        "unanswered": tally.unanswered,
        "repeats": tally.repeats,
        "repeats_answered_the_same": tally.repeats_same,
        "reversals": tally.reversals,
        "codes": dict(sorted(tally.codes.items())),
        "p50_ms": round(tally.percentile(500), 3),
        "p99_ms": round(tally.percentile(990), 3),
    }


def _sum_line(tally: Tally, language: Language) -> str:
    p50, p99 = tally.percentile(500), tally.percentile(990)
    if language == "zh":
        return (
            f"发送 {tally.sent}，批准 {tally.approved}，未批准 {tally.refused}，"
            f"无应答 {tally.unanswered}，重发 {tally.repeats}（应答相同 {tally.repeats_same}），"
            f"冲正 {tally.reversals}，p50 {p50:.1f} ms，p99 {p99:.1f} ms"
        )
    return (
        f"sent {tally.sent}, approved {tally.approved}, not approved {tally.refused}, "
        f"unanswered {tally.unanswered}, repeats {tally.repeats} "
        f"(same answer {tally.repeats_same}), reversals {tally.reversals}, "
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    )


def _scene_document(record: Record, seed: int) -> dict[str, Any]:
    return {
        "object": "scene",
        "scene": record.scene,
        "seed": seed,
        "as_expected": record.is_as_expected,
        "messages": record.messages,
        "expectations": [
            {"text": expectation.text, "met": expectation.is_met}
            for expectation in record.expectations
        ],
    }

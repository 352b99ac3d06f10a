"""`zhiwei decide`: messages in, decisions out, with the reasons; nothing is written anywhere.

Exit codes: 0 every line was decided (a refusal is a decision) · 1 some lines could not be read;
they are named · 2 wrong words on the command line · 3 cannot be done · 130 interrupted.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final, final

import typer

from zhiwei.core.errors import NotAllowedValueError, ZhiweiError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from zhiwei.gateways.iso8583.dialect import Dialect
    from zhiwei.ports import Store
    from zhiwei.simulate.telling import Language
    from zhiwei.trial.desk import Row
    from zhiwei.trial.wishes import Wish
    from zhiwei.vault import Vault

_EXIT_NO: Final = 1
#: Files longer than this get a progress bar.
_LARGE_BYTES: Final = 262_144
_STYLES: Final = {"approve": "green", "decline": "bold red", "challenge": "bold yellow"}


class UnreadableFileError(ZhiweiError):
    """the file cannot be read"""


def decide(
    file: Annotated[Path, typer.Argument(help="JSON Lines, or with --frames hexadecimal; - = in.")],
    data: Annotated[
        Path | None, typer.Option(help="Decide on a copy of this data directory; it is only read.")
    ] = None,
    database: Annotated[
        str,
        typer.Option(help="postgresql://…: decide on copies of its cards; it is only read."),
    ] = "",
    frames: Annotated[
        str, typer.Option(help="Lines are messages of this dialect, in hexadecimal.")
    ] = "",
    policy: Annotated[Path | None, typer.Option(help="The issuer's policy (TOML).")] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="Key for card numbers; default: vault.key in --data.")
    ] = None,
    at: Annotated[
        str, typer.Option(help="RFC 3339; the clock stands here until a line says `at`.")
    ] = "",
    lang: Annotated[str, typer.Option(help="zh or en; default: as the environment.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines, for machines.")] = False,
) -> None:
    """Decide a file of messages and print the decisions with their reasons.

    Without --data, every card is new: its first line opens its file (CNY, Beijing time, with a
    chip), or a `register` line does. With --data, cards are those of the directory, as they are; so
    are the policy and the response codes that were adopted last, unless --policy names another. The
    same holds with --database, of which those cards are read that the lines name; the key is that
    of --data (`data` where it is not given), or --key-file. ZHIWEI_DATABASE is not looked at.

    A line is a message as of `POST /v1/authorizations`, `{"card", "control", "settings"}`,
    `{"card", "register": {…}}`, `{"card", "stop": true}` or `{"reverses": LINE}`; each may say
    `at`. Empty lines and lines that begin with `#` are passed over.

    Example: `zhiwei decide trial.jsonl` with these two lines:

    `{"card": "A", "control": "night_lock", "settings": {}, "at": "2026-11-23T15:30:00Z"}`

    `{"card": "A", "kind": "purchase", "channel": "pos", "medium": "chip", "amount": 6800,
    "currency": "CNY", "merchant": {"region": "41"}}`
    """
    from zhiwei.cli.audience import language_named
    from zhiwei.clock import SystemClock
    from zhiwei.gateways.http.times import instant_ms
    from zhiwei.gateways.iso8583.dialect import named

    try:
        now_ms = instant_ms(at, "--at") if at else SystemClock().now_ms()
    except NotAllowedValueError as error:
        raise typer.BadParameter(str(error), param_hint="--at") from None
    dialect = named(frames) if frames else None
    printer = Printer(language_named(lang), is_json=as_json)
    sources = Sources(data, database, key_file)
    trial = Trial(file, sources, dialect, policy, now_ms, printer)
    raise typer.Exit(asyncio.run(trial.run()))


@dataclass(frozen=True)
class Sources:
    """Where the cards come from; nowhere = each is new."""

    data: Path | None
    #: URL; empty = none.
    database: str
    key_file: Path | None

    @property
    def are_none(self) -> bool:
        """Each card is new."""
        return self.data is None and not self.database

    @property
    def key_path(self) -> Path:
        """Where the key is.

        Raises:
            UnreadableFileError: there is none.
        """
        path = self.key_file or (self.data or Path("data")) / "vault.key"
        if not path.is_file():
            raise UnreadableFileError(f"there is no key file `{path}`; name it with --key-file")
        return path


@final
class Trial:
    """One run of the command."""

    def __init__(
        self,
        file: Path,
        sources: Sources,
        dialect: Dialect | None,
        policy: Path | None,
        now_ms: int,
        printer: Printer,
    ) -> None:
        self._file: Final = file
        self._sources: Final = sources
        self._dialect: Final = dialect
        self._policy: Final = policy
        self._now_ms: Final = now_ms
        self._printer: Final = printer
        self._bad = 0

    async def run(self) -> int:
        """Decide everything; the exit code."""
        from rich.console import Console
        from rich.progress import Progress

        from zhiwei.core.zone import zones_come_from
        from zhiwei.gateways.in_force import in_force_of
        from zhiwei.guardian import guardian_under
        from zhiwei.policy_file import load_policy
        from zhiwei.trial.desk import Desk
        from zhiwei.words import load_sentences
        from zhiwei.zones import load_zone

        zones_come_from(load_zone)
        policy = None if self._policy is None else load_policy(self._policy)
        async with AsyncExitStack() as stack:
            # Rows and a bar on one terminal would run into each other.
            is_hidden = sys.stdout.isatty()
            progress = Progress(console=Console(stderr=True), transient=True, disable=is_hidden)
            stack.enter_context(progress)
            store, vault = await self._store(stack, progress)
            in_force = in_force_of(store.reader(), policy)
            desk = Desk(
                guardian_under(in_force.policy),
                store,
                vault,
                in_force.codes,
                load_sentences(),
                now_ms=self._now_ms,
                opens_cards=self._sources.are_none,
                dialect=self._dialect,
            )
            for wish in self._wishes(stack, progress):
                try:
                    self._printer.row(await desk.carry_out(wish))
                except ZhiweiError as error:
                    self._complain(wish.number, str(error))
        self._printer.finish(self._bad)
        return _EXIT_NO if self._bad else 0

    async def _store(self, stack: AsyncExitStack, progress: Progress) -> tuple[Store, Vault]:
        """A store that forgets, or copies of the data; and the vault that knows their cards."""
        from zhiwei.assemble_store import postgres_snapshot
        from zhiwei.stores.memory import MemoryStore
        from zhiwei.stores.sqlite.store import SqliteStore
        from zhiwei.trial.copies import copy_of
        from zhiwei.trial.on_demand import CardsOnDemand
        from zhiwei.vault import KEY_BYTES, Vault, open_vault

        sources = self._sources
        if sources.are_none:
            return MemoryStore(), Vault(bytes(KEY_BYTES))
        vault = open_vault(sources.key_path)
        if sources.database:
            snapshot = stack.enter_context(postgres_snapshot(sources.database))
            cards = CardsOnDemand(snapshot)
            await cards.bring_policies()
            return cards, vault
        assert sources.data is not None
        task = progress.add_task("copying", total=None)
        folder = stack.enter_context(
            copy_of(
                sources.data, lambda done, total: progress.update(task, completed=done, total=total)
            )
        )
        progress.remove_task(task)
        store = SqliteStore(folder)
        stack.push_async_callback(store.close)
        return store, vault

    def _wishes(self, stack: ExitStack | AsyncExitStack, progress: Progress) -> Iterator[Wish]:
        """The readable lines; the others are complained about."""
        from zhiwei.gateways.iso8583.codec import Codec
        from zhiwei.trial.wishes import LINE_MAX, BadLineError, wish_of_hex, wish_of_json

        codec = None if self._dialect is None else Codec(self._dialect)
        lines, size = self._open(stack)
        task = progress.add_task("deciding", total=size, visible=size > _LARGE_BYTES)
        number = 0
        while raw := lines.readline(LINE_MAX + 1):
            number += 1
            progress.update(task, advance=len(raw))
            if len(raw) > LINE_MAX:
                self._complain(number, f"longer than {LINE_MAX} bytes")
                while raw and not raw.endswith(b"\n"):
                    raw = lines.readline(LINE_MAX)
                continue
            if not raw.strip() or raw.lstrip().startswith(b"#"):
                continue
            try:
                text = raw.decode("utf-8").strip()
                if codec is None:
                    yield wish_of_json(number, text)
                else:
                    yield wish_of_hex(number, text, codec)
            except UnicodeDecodeError:
                self._complain(number, "not UTF-8")
            except BadLineError as error:
                self._complain(number, str(error))

    def _open(self, stack: ExitStack | AsyncExitStack) -> tuple[BinaryIO, int]:
        """The file and its size; 0 = not known."""
        if str(self._file) == "-":
            return sys.stdin.buffer, 0
        try:
            lines = stack.enter_context(self._file.open("rb"))
            return lines, self._file.stat().st_size
        except OSError as error:
            message = f"`{self._file}` cannot be read: {error.strerror}"
            raise UnreadableFileError(message) from None

    def _complain(self, number: int, reason: str) -> None:
        self._bad += 1
        from zhiwei.logs import masked

        self._printer.bad_line(number, masked(reason))


@final
class Printer:
    """Prints rows as they come: aligned for eyes, or one JSON object a line."""

    def __init__(self, language: Language, *, is_json: bool) -> None:
        self._language: Final = language
        self._is_json: Final = is_json
        self._console: Final = _console()
        self._counts: Final[dict[str, int]] = {}

    def row(self, row: Row) -> None:
        """One decision with its reasons."""
        from rich.text import Text

        self._counts[row.decision] = self._counts.get(row.decision, 0) + 1
        if self._is_json:
            self._print_json(row.document())
            return
        line = Text(f"{row.line:>5}  {row.card:<8} {row.what}  ")
        line.append(row.decision, _STYLES.get(row.decision, "cyan"))
        if row.code:
            line.append(f" {row.code}")
        if row.repeat_of:
            line.append(f"  (the message of line {row.repeat_of} again)")
        self._console.print(line)
        for reason in row.reasons:
            lifted = f"  [lifted by {reason['lifted_by']}]" if reason["lifted_by"] else ""
            sentence = reason["message"][self._language]
            self._console.print(
                Text(f"         {reason['code']} ({reason['control']}): {sentence}{lifted}", "dim")
            )

    def bad_line(self, number: int, reason: str) -> None:
        """A line that could not be read; its content is not repeated."""
        if self._is_json:
            self._print_json({"line": number, "error": reason})
        else:
            sys.stdout.flush()
            sys.stderr.write(f"line {number}: {reason}\n")

    def finish(self, bad: int) -> None:
        """The sum."""
        if self._is_json:
            return
        parts = [f"{count} {decision}" for decision, count in sorted(self._counts.items())]
        if bad:
            parts.append(f"{bad} unreadable")
        self._console.print(", ".join(parts) or "nothing to decide")

    def _print_json(self, document: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)

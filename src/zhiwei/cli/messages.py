"""`zhiwei messages`: what was sent, what became of it, and sending again what was given up."""

from __future__ import annotations

import asyncio
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zhiwei.core.errors import ZhiweiError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zhiwei.assemble_messages import ShownMessages
    from zhiwei.messaging.model import MessageReader, Tracked

messages = typer.Typer(
    help="Messages to people and systems.", no_args_is_help=True, rich_markup_mode="markdown"
)

DataDir = Annotated[Path, typer.Option("--data", help="The server's data directory.")]
Database = Annotated[
    str,
    typer.Option(
        envvar="ZHIWEI_DATABASE",
        show_envvar=True,
        help="postgresql://… where the messages are not in --data.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
_CHUNK = 500


class StatusWord(StrEnum):
    """States of a message, as the API names them."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    DEAD = "dead"
    EXPIRED = "expired"
    MUTED = "muted"
    HELD_BACK = "held_back"


class ChannelWord(StrEnum):
    """Ways to people and systems."""

    SMS = "sms"
    EMAIL = "email"
    PUSH = "push"
    WEBHOOK = "webhook"
    CHAT = "chat"


Status = Annotated[
    StatusWord | None, typer.Option(help=f"In this state only: {', '.join(StatusWord)}.")
]
Channel = Annotated[
    ChannelWord | None, typer.Option(help=f"Of one channel only: {', '.join(ChannelWord)}.")
]
Card = Annotated[str, typer.Option(help="Of one card only: `card_...`.")]


class NoMessagesError(ZhiweiError):
    """there are no messages in this data directory"""


class NoSuchMessageError(ZhiweiError):
    """there is no such message"""


class NotReplayableError(ZhiweiError):
    """a message in this state is not sent again"""


class ServerRunsError(ZhiweiError):
    """a server runs on these data; replay over its API instead"""


@messages.command("list")
def list_messages(
    data: DataDir = Path("data"),
    status: Status = None,
    channel: Channel = None,
    card: Card = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    database: Database = "",
    as_json: AsJson = False,
) -> None:
    """List messages, newest first, also beside a running server. Addresses are not shown whole.

    Example: `zhiwei messages list --status dead --channel sms --data ./data`
    """
    from itertools import islice

    reader = _reader(data, database)
    for tracked in islice(_all(reader, status, channel, card), limit):
        document = _document(tracked, with_text=False)
        if as_json:
            typer.echo(json.dumps(document, ensure_ascii=False))
        else:
            typer.echo(_line(document))
    reader.close()


@messages.command()
def show(
    message: Annotated[str, typer.Argument(help="Id of the message: `msg_...`.")],
    data: DataDir = Path("data"),
    database: Database = "",
    as_json: AsJson = False,
) -> None:
    """Show one message with its text and what became of it.

    Example: `zhiwei messages show msg_… --data ./data`
    """
    reader = _reader(data, database)
    document = _document(_found(reader, message), with_text=True)
    reader.close()
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    for name, value in document.items():
        if value is not None and name != "object":
            typer.echo(f"{name:<12} {value}")


@messages.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of messages.")] = None,
    data: DataDir = Path("data"),
    status: Annotated[
        StatusWord | None, typer.Option(help="All in this state: `dead`, `failed`, `held_back`.")
    ] = None,
    channel: Channel = None,
    card: Card = "",
    database: Database = "",
    as_json: AsJson = False,
) -> None:
    """Queue messages again that failed, were given up or held back.

    Servers on a database may run meanwhile. One on the files of `--data` must not: while it runs,
    use `POST /v1/messages/{id}/replay` or `POST /v1/message_replays`. Ids stay, so a receiver that
    had one already can tell. The audit trail names the command line.

    Example: `zhiwei messages replay --status dead --channel sms --data ./data`
    """
    if bool(ids) == (status is not None):
        raise typer.BadParameter("name messages, or say `--status`")
    if ids and (channel is not None or card):
        raise typer.BadParameter("`--channel` and `--card` go with `--status`")
    reader = _reader(data, database)
    if ids:
        chosen = [_found(reader, one) for one in ids]
    else:
        chosen = list(_all(reader, status, channel, card))
    reader.close()
    count = asyncio.run(_replayed(data, database, chosen))
    typer.echo(json.dumps({"replayed": count}) if as_json else f"{count} queued again")


@messages.command()
def secret(
    data: DataDir = Path("data"),
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="The vault's key, where it lies elsewhere.")
    ] = None,
) -> None:
    """Print the secret under which a web gateway signs the messages that it brings.

    It belongs to the vault's key, and holds unless `messages.toml` names secrets of your own.

    Example: `zhiwei messages secret --data ./data`
    """
    from base64 import b64encode

    from zhiwei.assemble import VAULT_FILE_NAME
    from zhiwei.gateways.http.signatures import PURPOSE
    from zhiwei.vault import open_vault

    path = key_file or data / VAULT_FILE_NAME
    if not path.exists():
        raise NoMessagesError(f"there is no key file `{path}`; the server makes it")
    derived = open_vault(path).derived_secret(PURPOSE)
    typer.echo(f"whsec_{b64encode(derived).decode()}")


async def _replayed(data: Path, database: str, chosen: Sequence[Tracked]) -> int:
    """Queue these messages again, with an audit line for each, written first."""
    from zhiwei.assemble_messages import open_message_store
    from zhiwei.assemble_store import open_main_store
    from zhiwei.clock import SystemClock
    from zhiwei.core.command import Actor, Via
    from zhiwei.core.result import Audit
    from zhiwei.messaging.replay import may_be_replayed
    from zhiwei.messaging_process.orders import LOCK_NAME
    from zhiwei.stores.sqlite.lock import DataInUseError, DirectoryLock

    for tracked in chosen:
        if not may_be_replayed(tracked):
            message = f"`{tracked.message.id}` is {tracked.status.word}, and is not sent again"
            raise NotReplayableError(message)
    audits = [
        Audit("message.replayed", one.message.id, one.status.word, "queued") for one in chosen
    ]
    try:
        # Who sends the messages of a file holds this one; on a database everybody may.
        lock = None if database else DirectoryLock(data, LOCK_NAME)
        main = open_main_store(data, database).store
    except DataInUseError as error:
        raise ServerRunsError(f"{error}; or use `POST /v1/message_replays` there") from None
    try:
        now_ms = SystemClock().now_ms()
        await main.keep([], audits, Actor("cli", Via.CLI, is_staff=True), now_ms)
        store, clock = open_message_store(data, database)
        count = store.replay([one.message.id for one in chosen], clock.now_ms())
        store.close()
    finally:
        await main.close()
        if lock is not None:
            lock.release()
    return count


def _reader(data: Path, database: str) -> ShownMessages:
    """A reader of the messages of a database, or of a data directory.

    Raises:
        NoMessagesError: there is no such file.
    """
    from zhiwei.assemble_messages import open_message_reader
    from zhiwei.stores.messages.connection import FILE_NAME

    if not database and not (data / FILE_NAME).exists():
        raise NoMessagesError(f"there are no messages in `{data}`")
    return open_message_reader(data, database)


def _all(
    reader: MessageReader, status: StatusWord | None, channel: ChannelWord | None, card: str
) -> Iterator[Tracked]:
    """All messages of a choice, newest first."""
    from zhiwei.core.ids import card_key_of
    from zhiwei.messaging.model import Status as MessageStatus

    card_key = card_key_of(card) if card else b""
    if card_key is None:
        raise typer.BadParameter(f"`{card[:40]}` is not the id of a card")
    before = 0
    while True:
        rows = reader.messages(
            status=None if status is None else MessageStatus[status.name],
            channel=channel or "",
            card_key=card_key,
            before=before,
            limit=_CHUNK,
        )
        yield from rows
        if len(rows) < _CHUNK:
            return
        before = rows[-1].position


def _found(reader: MessageReader, message: str) -> Tracked:
    tracked = reader.message(message)
    if tracked is None:
        raise NoSuchMessageError(f"there is no message `{message[:80]}`")
    return tracked


def _document(tracked: Tracked, *, with_text: bool) -> dict[str, Any]:
    """A message as the API shows it."""
    from zhiwei.gateways.http.messages import message_document

    return message_document(tracked, with_text=with_text)


def _line(document: dict[str, Any]) -> str:
    """A message on one line."""
    words = [
        document["id"],
        f"{document['status']:<9}",
        f"{document['channel']:<7}",
        f"{document['tries']} tries",
        document["created_at"],
        document["kind"],
        document["detail"] or "",
    ]
    return "  ".join(words).rstrip()

"""`zhiwei keys`: make, list and revoke the keys of the HTTP door, also while the server runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from zhiwei.assemble_access import open_keyring
from zhiwei.cli.serve import Database
from zhiwei.clock import SystemClock
from zhiwei.core.errors import ZhiweiError
from zhiwei.gateways.http.keys import new_key, scope_and_subject
from zhiwei.ports import ApiKey

keys = typer.Typer(help="Keys of the HTTP door.", no_args_is_help=True, rich_markup_mode="markdown")

DataDir = Annotated[
    Path, typer.Option("--data", help="The server's data directory.", show_default=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


class NoSuchKeyError(ZhiweiError):
    """there is no such key, or it was revoked before"""


@keys.command("create")
def create(
    scope: Annotated[str, typer.Option(help="`issuer`, `operator` or `cardholder:<id>`.")],
    data: DataDir = Path("data"),
    database: Database = "",
    label: Annotated[str, typer.Option(help="Whose it is, for the list.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a key and print it once; it is kept as a hash only.

    Example: `zhiwei keys create --scope issuer --data ./data`
    """
    name, subject = scope_and_subject(scope)
    if not database:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    record, text = new_key(name, subject, label, SystemClock().now_ms())
    with open_keyring(data, database) as keyring:
        keyring.add(record)
    typer.echo(json.dumps({"id": record.id, "scope": scope, "key": text}) if as_json else text)


@keys.command("list")
def list_keys(
    data: DataDir = Path("data"), database: Database = "", as_json: AsJson = False
) -> None:
    """List the keys, without their secrets.

    Example: `zhiwei keys list --data ./data`
    """
    with open_keyring(data, database) as keyring:
        found = keyring.all()
    for key in found:
        document = _document(key)
        if as_json:
            typer.echo(json.dumps(document))
        else:
            state = f"revoked {document['revoked_at']}" if key.revoked_ms else "valid"
            typer.echo(f"{key.id}  {document['scope']:<40}  {state}  {key.label}".rstrip())


@keys.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="The id that `keys list` shows.")],
    data: DataDir = Path("data"),
    database: Database = "",
) -> None:
    """Revoke a key for good; running servers refuse it from its next call.

    Example: `zhiwei keys revoke key_… --data ./data`
    """
    with open_keyring(data, database) as keyring:
        is_revoked = keyring.revoke(key_id, SystemClock().now_ms())
    if not is_revoked:
        raise NoSuchKeyError(f"`{key_id[:40]}` is no key of these data, or was revoked")
    typer.echo(f"{key_id} revoked")


def _document(key: ApiKey) -> dict[str, str]:
    return {
        "id": key.id,
        "scope": f"{key.scope}:{key.subject}" if key.subject else key.scope,
        "label": key.label,
        "created_at": _instant(key.created_ms),
        "revoked_at": _instant(key.revoked_ms) if key.revoked_ms else "",
    }


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")

"""`zhiwei enter` and `zhiwei operators`: let people in, also while the server runs."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from zhiwei.assemble_access import knows_cardholder, open_face_store
from zhiwei.cli.serve import Database
from zhiwei.clock import SystemClock
from zhiwei.core.errors import ZhiweiError

if TYPE_CHECKING:
    from zhiwei.web.sign_in.model import Operator

operators = typer.Typer(
    help="People at the issuer's desk.", no_args_is_help=True, rich_markup_mode="markdown"
)

DataDir = Annotated[
    Path, typer.Option("--data", help="The server's data directory.", show_default=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
ROLES: Final = ("viewer", "agent", "officer")
_NAME_MAX: Final = 80


class NoSuchPersonError(ZhiweiError):
    """`WHO` is `cardholder:<id>` or `operator:<id>`, of somebody whom these data know"""


class NoSuchOperatorError(ZhiweiError):
    """there is no such operator"""


class BadOperatorError(ZhiweiError):
    """an operator has a name of 1 to 80 characters, and the role `viewer`, `agent` or `officer`"""


def enter(
    who: Annotated[str, typer.Argument(help="`cardholder:<id>` or `operator:<id>`.")],
    data: DataDir = Path("data"),
    database: Database = "",
) -> None:
    """Print the path of a link that lets somebody in: once, within 15 minutes.

    A link that was made for them before is over. Put the pages' address in front of it.

    Example: `zhiwei enter operator:op_… --data ./data`
    """
    from zhiwei.web.sign_in.codes import new_link
    from zhiwei.web.sign_in.model import Face

    kind, _, subject = who.partition(":")
    if not database and not data.is_dir():
        raise NoSuchPersonError
    with closing(open_face_store(data, database)) as store:
        if kind == "operator":
            face = Face.OPERATOR
            operator = store.operator(subject)
            is_known = operator is not None and not operator.disabled_ms
        elif kind == "cardholder":
            face = Face.CARDHOLDER
            is_known = knows_cardholder(data, database, subject)
        else:
            raise NoSuchPersonError
        if not is_known:
            raise NoSuchPersonError
        typer.echo(new_link(store, face, subject, SystemClock().now_ms()))


@operators.command("add")
def add(
    name: Annotated[str, typer.Argument(help="As colleagues know them.")],
    role: Annotated[
        str,
        typer.Option(help="`viewer` looks, `agent` also tightens, `officer` also changes policy."),
    ],
    oidc_subject: Annotated[
        str, typer.Option(help="Who the bank's identity provider says they are.")
    ] = "",
    data: DataDir = Path("data"),
    database: Database = "",
    as_json: AsJson = False,
) -> None:
    """Add an operator and print their id; `zhiwei enter operator:<id>` lets them in first.

    Example: `zhiwei operators add 王芳 --role agent --data ./data`
    """
    from zhiwei.gateways.http.record_ids import IdMint
    from zhiwei.web.sign_in.model import Operator, Role

    plain = " ".join(name.split())
    if role not in ROLES or not 0 < len(plain) <= _NAME_MAX or not plain.isprintable():
        raise BadOperatorError
    now_ms = SystemClock().now_ms()
    operator = Operator(
        IdMint().new("op", now_ms), plain, Role[role.upper()], now_ms, oidc_subject.strip()
    )
    if not database:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with closing(open_face_store(data, database)) as store:
        store.add_operator(operator)
    typer.echo(json.dumps(_document(operator), ensure_ascii=False) if as_json else operator.id)


@operators.command("list")
def list_operators(
    data: DataDir = Path("data"), database: Database = "", as_json: AsJson = False
) -> None:
    """List the operators.

    Example: `zhiwei operators list --data ./data`
    """
    with closing(open_face_store(data, database)) as store:
        found = store.operators()
    for operator in found:
        if as_json:
            typer.echo(json.dumps(_document(operator), ensure_ascii=False))
        else:
            state = "disabled" if operator.disabled_ms else "active"
            role = operator.role.name.lower()
            typer.echo(f"{operator.id}  {role:<8} {state:<9} {operator.name}")


@operators.command("disable")
def disable(
    operator_id: Annotated[str, typer.Argument(help="The id that `operators list` shows.")],
    data: DataDir = Path("data"),
    database: Database = "",
) -> None:
    """Let an operator in no more; their sessions end at once.

    Example: `zhiwei operators disable op_… --data ./data`
    """
    with closing(open_face_store(data, database)) as store:
        operator = store.operator(operator_id)
        if operator is None:
            raise NoSuchOperatorError(f"`{operator_id[:40]}` is no operator of these data")
        if not operator.disabled_ms:
            store.add_operator(replace(operator, disabled_ms=SystemClock().now_ms()))
        store.end_sessions(subject=operator.id)
    typer.echo(f"{operator_id} disabled")


def _document(operator: Operator) -> dict[str, object]:
    return {
        "id": operator.id,
        "name": operator.name,
        "role": operator.role.name.lower(),
        "oidc_subject": operator.oidc_subject,
        "is_disabled": bool(operator.disabled_ms),
    }

"""Rows of the faces' tables as values, and back; columns are ordered as in each `queries.sql`."""

from __future__ import annotations

from typing import Any

from zhiwei.web.sign_in.model import Code, Deed, Face, Operator, Passkey, Proof, Role, Session


def session_row(session: Session) -> tuple[Any, ...]:
    """The parameters of `add_session`."""
    return (
        session.id,
        int(session.face),
        session.subject,
        session.cardholder,
        int(session.role),
        int(session.proof),
        session.created_ms,
        session.seen_ms,
        session.csrf,
    )


def session_of(row: tuple[Any, ...]) -> Session:
    """A session."""
    return Session(
        id=row[0],
        face=Face(row[1]),
        subject=row[2],
        cardholder=row[3],
        role=Role(row[4]),
        proof=Proof(row[5]),
        created_ms=row[6],
        seen_ms=row[7],
        csrf=row[8],
    )


def passkey_row(passkey: Passkey) -> tuple[Any, ...]:
    """The first parameters of `add_passkey`."""
    return (
        passkey.id,
        int(passkey.face),
        passkey.subject,
        passkey.public_key,
        passkey.sign_count,
        passkey.label,
        passkey.created_ms,
        passkey.used_ms,
    )


def passkey_of(row: tuple[Any, ...]) -> Passkey:
    """A passkey."""
    return Passkey(row[0], Face(row[1]), *row[2:])


def code_row(code: Code) -> tuple[Any, ...]:
    """The parameters of `add_code`."""
    return code.purpose, code.hash, code.created_ms, code.expires_ms, code.tries_left


def code_of(row: tuple[Any, ...]) -> Code:
    """A code."""
    return Code(*row)


def operator_row(operator: Operator) -> tuple[Any, ...]:
    """The parameters of `add_operator`."""
    return (
        operator.id,
        operator.name,
        int(operator.role),
        operator.created_ms,
        operator.oidc_subject,
        operator.disabled_ms,
    )


def operator_of(row: tuple[Any, ...]) -> Operator:
    """An operator."""
    return Operator(row[0], row[1], Role(row[2]), *row[3:])


def deed_row(deed: Deed) -> tuple[Any, ...]:
    """The parameters of `add_deed`."""
    return (
        deed.id,
        deed.session,
        deed.name,
        deed.card,
        deed.form,
        deed.created_ms,
        deed.expires_ms,
    )


def deed_of(row: tuple[Any, ...]) -> Deed:
    """A deed."""
    return Deed(*row)

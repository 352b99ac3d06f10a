"""Commands: from an endpoint to the card's file and back."""

from __future__ import annotations

import secrets

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Change, Command, Original
from zhiwei.core.entry import Entry
from zhiwei.core.request import Request
from zhiwei.core.result import Result
from zhiwei.gateways.http.caller import Caller, as_of_now
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.presentation import decision_document, unreadable_document
from zhiwei.gateways.http.problems import Problem, problem_of_rejection


def change_command(
    caller: Caller, card_key: bytes, change: Change, idempotency_key: bytes = b""
) -> Command:
    """What a person wants of a card."""
    return Command(
        card_key,
        change=change,
        actor=caller.actor,
        idempotency_key=idempotency_key,
        nonce=secrets.token_bytes(8),
    )


def message_command(
    caller: Caller,
    card_key: bytes,
    request: Request,
    original: Original | None = None,
    idempotency_key: bytes = b"",
) -> Command:
    """A card message."""
    return Command(
        card_key,
        request=request,
        original=original,
        actor=caller.actor,
        idempotency_key=idempotency_key,
        nonce=secrets.token_bytes(8),
    )


async def carried_out(house: House, command: Command) -> Result:
    """The result of one command.

    Raises:
        Problem: the command was rejected.
    """
    (result,) = await house.submit([command])
    return accepted(result)


def accepted(result: Result) -> Result:
    """A result that is no rejection.

    Raises:
        Problem: the command was rejected.
    """
    if result.rejection is not None:
        raise problem_of_rejection(result.rejection)
    return result


def entry_in(result: Result) -> Entry:
    """The entry of a result that has one."""
    assert result.entry is not None, "a card message always leaves an entry"
    return result.entry


def decided(house: House, result: Result, card_key: bytes) -> Document:
    """The decision of a card message."""
    entry = entry_in(result)
    if entry.version == 0:
        return unreadable_document(house, card_key, entry)
    state = result.state or state_after(house, result, card_key)
    return decision_document(house, state, entry)


def state_after(house: House, result: Result, card_key: bytes) -> CardState:
    """The card's file after a command, as it is now; after a replay it is read again."""
    state = result.state or house.reader.card(card_key)
    if state is None:
        raise Problem("card_not_found")
    return as_of_now(house, state)

"""Registration: opening a card's file, and what the issuer says of the card later."""

from __future__ import annotations

from zhiwei.core.card_state import CHAIN_START, CardState, Settings
from zhiwei.core.command import Command, Register
from zhiwei.core.entry import Entry
from zhiwei.core.finding import Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.result import Audit, Result


def register(policy: Policy, command: Command, change: Register, clock_ms: int) -> Result:
    """Open the file of a card that has none.

    A card that has one is left as it is (see `changes`).
    """
    state = CardState(command.card_key, 1, clock_ms, CHAIN_START, Settings(change.profile))
    entry = Entry(
        version=1,
        now_ms=clock_ms,
        filed_ms=clock_ms,
        command=command,
        outcome=Outcome.APPROVE,
        policy_version=policy.version,
    )
    audit = Audit("card.registered", change.profile.cardholder, "", change.profile.tail)
    keys = (command.idempotency_key,) if command.idempotency_key else ()
    return Result(state=state, entry=entry, audits=(audit,), keys=keys)

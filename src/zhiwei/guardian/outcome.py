"""Outcome of a change.

The entry that a change of the file leaves, with its events and audit lines.
"""

from __future__ import annotations

from zhiwei.core.card_state import Settings
from zhiwei.core.entry import Entry
from zhiwei.core.event import Event
from zhiwei.core.finding import Outcome
from zhiwei.core.result import Audit, Result
from zhiwei.core.usage import Usage
from zhiwei.guardian.case import Case


def changed(
    case: Case,
    *,
    settings: Settings,
    usage: Usage | None = None,
    events: tuple[Event, ...] = (),
    audits: tuple[Audit, ...] = (),
    note: str = "",
    flags: int = 0,
) -> Result:
    """The result of a change that was carried out."""
    state = case.state.followed_by(case.moment.now_ms, settings=settings, usage=usage)
    entry = Entry(
        version=state.version,
        now_ms=case.moment.now_ms,
        filed_ms=state.last_ms,
        command=case.command,
        outcome=Outcome.APPROVE,
        policy_version=case.policy.version,
        asked=case.state.settings.controls.mask,
        note=note,
        flags=flags,
    )
    key = case.command.idempotency_key
    return Result(
        state=state,
        entry=entry,
        events=(*case.events, *events),
        audits=audits,
        keys=(key,) if key else (),
    )


def unchanged(case: Case) -> Result:
    """What was wanted is so already.

    Nothing is written, and the file is handed back as it stands.
    """
    return Result(state=case.state, is_repeat=True)

"""Named: the earlier entry or hold that a message is about."""

from __future__ import annotations

from zhiwei.core.card_state import Hold
from zhiwei.core.entry import Entry
from zhiwei.core.request import MessageClass, Request
from zhiwei.guardian.case import Case


def original_of(case: Case) -> Entry | None:
    """The earlier entry that this command is about.

    It is named by version, or by what the message repeats of it.
    """
    named = case.command.original
    if named is None:
        return None
    best: Entry | None = None
    for entry in case.related.by_key:
        request = entry.command.request
        if request is None or entry.duplicate_of or request.message_class is MessageClass.REVERSAL:
            continue
        if named.version:
            if entry.version == named.version:
                return entry
        elif named.trace_key and entry.command.trace_key == named.trace_key:
            if named.terminal and request.terminal and named.terminal != request.terminal:
                continue
            # The newest wins; an entry with the same RRN beats any other.
            if best is None or request.rrn == named.rrn or not _has_rrn(best, named.rrn):
                best = entry
    return best


def hold_for(case: Case, request: Request) -> Hold | None:
    """The hold that a completion completes.

    It is found by the entry it names, or by authorization code and merchant.
    """
    original = original_of(case)
    if original is not None and original.group is not None:
        for hold in case.state.holds:
            if hold.group == original.group.version:
                return hold
    if not request.auth_code:
        return None
    for hold in case.state.holds:
        if hold.auth_code == request.auth_code and hold.merchant_id == request.merchant_id:
            return hold
    return None


def _has_rrn(entry: Entry, rrn: str) -> bool:
    request = entry.command.request
    return request is not None and bool(rrn) and request.rrn == rrn

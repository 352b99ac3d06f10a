"""Stop and lock (止付、锁卡): one tap for a card, one tap for all; opening asks for proof.

"It was not me" (不是我) stops the card and opens a case at the issuer's desk.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Any, Final

from fastapi.concurrency import run_in_threadpool

from zhiwei.core.card_state import CardState, StopSource
from zhiwei.core.command import Change, Command, LiftStop, PlaceStop, RemoveControl, SetControl
from zhiwei.core.controls import CardLock
from zhiwei.core.documents import etag
from zhiwei.core.ids import entry_of
from zhiwei.core.result import Audit
from zhiwei.ports import CaseFile, RecordOvertakenError, Replacing
from zhiwei.web.cardholder.deeds import Act, BadFormError, Fields, Kind, field
from zhiwei.web.cardholder.visit import Home, Visit


def switch_stands(cards: tuple[CardState, ...]) -> bool:
    """Whether the kill switch holds any of these cards."""
    stops = [card.settings.stop for card in cards]
    return any(stop is not None and stop.source is StopSource.KILL_SWITCH for stop in stops)


def _stop(_card: CardState, _fields: Fields, _now_ms: int) -> Change:
    return PlaceStop(StopSource.APP)


def _lift(_card: CardState, _fields: Fields, _now_ms: int) -> Change:
    return LiftStop()


def _stop_all(_card: CardState, _fields: Fields, _now_ms: int) -> Change:
    return PlaceStop(StopSource.KILL_SWITCH)


def _lift_all(_card: CardState, _fields: Fields, _now_ms: int) -> Change:
    return LiftStop(only_source=StopSource.KILL_SWITCH)


def _lock(card: CardState, _fields: Fields, _now_ms: int) -> Change:
    current = card.settings.controls.card_lock
    return SetControl(
        "card_lock",
        CardLock(),
        if_match="" if current is None else etag(current),
        if_none_match=current is None,
    )


def _unlock(card: CardState, _fields: Fields, _now_ms: int) -> Change:
    current = card.settings.controls.card_lock
    return RemoveControl("card_lock", if_match="" if current is None else etag(current))


async def _not_me(home: Home, visit: Visit, fields: Fields, _is_strong: bool) -> bool:
    """Stop the card at once, and have the desk look into the payment.

    The case is opened first: a card that is stopped without one would be nobody's business.
    """
    named = entry_of("auth", field(fields, "payment"))
    cards = [card for card in visit.cards if named is not None and card.card_key == named[0]]
    if named is None or not cards:
        raise BadFormError("form.unknown")
    entry = await run_in_threadpool(home.house.reader.entry, *named)
    if entry is None or entry.command.request is None:
        raise BadFormError("form.unknown")
    house, actor, payment = home.house, visit.actor(), field(fields, "payment")
    if await run_in_threadpool(house.reader.record, CaseFile, payment) is None:
        audit = Audit("payment.denied", payment, "", "not_mine")
        # Where another server opens it at this moment, that is as good.
        with suppress(RecordOvertakenError):
            begun = CaseFile(payment, visit.now_ms)
            await house.keep([Replacing(begun, None)], [audit], actor)
    change = PlaceStop(StopSource.APP)
    command = Command(named[0], change=change, actor=actor, nonce=secrets.token_bytes(8))
    await house.submit([command])
    return True


def _told_not_me(_fields: Fields) -> tuple[str, dict[str, Any]]:
    return "told.not_me", {}


def _tail(key: str) -> Any:  # noqa: ANN401 - a function that `Kind.told` takes
    """Says what will change with the card's tail."""
    return lambda card, _fields: (key, {"tail": card.settings.profile.tail})


KINDS: Final = (
    Kind("stop_card", _stop, _tail("told.stop_card"), "done.stop_card"),
    Kind("lift_stop", _lift, _tail("told.lift_stop"), "done.lift_stop"),
    Kind("kill_switch", _stop_all, _tail("told.kill_switch"), "done.kill_switch", for_all=True),
    Kind(
        "lift_kill_switch",
        _lift_all,
        _tail("told.lift_kill_switch"),
        "done.lift_kill_switch",
        for_all=True,
    ),
    Kind("lock_card", _lock, _tail("told.lock_card"), "done.lock_card"),
    Kind("unlock_card", _unlock, _tail("told.unlock_card"), "done.unlock_card"),
)
ACTS: Final = (Act("not_me", _not_me, _told_not_me, "done.not_me"),)

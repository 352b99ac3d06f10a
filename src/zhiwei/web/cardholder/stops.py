"""Stop and lock (止付、锁卡): one tap for a card, one tap for all; opening asks for proof."""

from __future__ import annotations

from typing import Any, Final

from zhiwei.core.card_state import CardState, StopSource
from zhiwei.core.command import Change, LiftStop, PlaceStop, RemoveControl, SetControl
from zhiwei.core.controls import CardLock
from zhiwei.core.documents import etag
from zhiwei.web.cardholder.deeds import Fields, Kind


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

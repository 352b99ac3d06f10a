"""Alerts (提醒): what the cardholder is told of, on which channels, and in which hours quietly.

Alerts are controls of the card. Preferences are the person's and hold for all cards: they are kept
by the same functions as the API's, with the same rule for what must not fall silent.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Change
from zhiwei.core.controls import BalanceChangeAlert, BalanceInquiryAlert, Control, DeclineAlert
from zhiwei.core.errors import NotAllowedValueError
from zhiwei.gateways.http.preferences import chosen_preferences, preferences_document
from zhiwei.messaging.kinds import CHANNELS_OF_CARDHOLDERS, CHOOSABLE, NEVER_SILENT
from zhiwei.ports import MessagePreferences, RecordOvertakenError, Replacing
from zhiwei.web.cardholder.amounts import (
    amount_in,
    amount_text,
    etag_of,
    one_of,
    remove_as_seen,
    set_as_seen,
)
from zhiwei.web.cardholder.deeds import BadFormError, Fields, Kind, field, why_not
from zhiwei.web.cardholder.visit import Home, Visit, card_path

_TYPES: Final = ("decline_alert", "balance_inquiry_alert", "balance_change_alert")
#: Channels of the balance-change alert; none = the usual ones.
_CHANNELS: Final = ("sms", "app", "email")
_HOURS: Final = tuple(f"{hour:02}:00" for hour in range(24))
_LOUD: Final = frozenset(kind.word for kind in NEVER_SILENT)
_STALE: Final = "rejected.precondition_failed"


def alert_routes(home: Home) -> APIRouter:
    """`/me/cards/{card}/alerts`, and where its form of preferences goes."""
    router = APIRouter(include_in_schema=False)

    @router.get("/me/cards/{card}/alerts")
    async def look(request: Request, card: str) -> Response:
        visit = await home.pages.visit(request, card=card)
        facts = await run_in_threadpool(_facts, home, visit)
        return home.pages.page(visit, "alerts.html", facts)

    @router.post("/me/cards/{card}/alerts/messages")
    async def choose(request: Request, card: str) -> Response:
        visit = await home.pages.visit(request, card=card)
        fields = await home.pages.form(request, visit.session)
        to = card_path(visit.the_card, "alerts")
        try:
            await _keep(home, visit, fields)
        except (BadFormError, NotAllowedValueError) as error:
            key, facts = _why_not(error)
            told = {"why": home.pages.say(visit, key, **facts), "back": to}
            return home.pages.page(visit, "sorry.html", told, status=422)
        return home.pages.away(visit, to, "alerts.done_messages")

    return router


def _facts(home: Home, visit: Visit) -> dict[str, Any]:
    """The alerts of the card, and the preferences of the person."""
    card = visit.the_card
    code = card.settings.profile.currency
    change = card.settings.controls.balance_change_alert
    kept = home.house.reader.record(MessagePreferences, visit.holder.id)
    preferences = preferences_document(visit.holder.id, kept)
    quiet = preferences["quiet_hours"] or {"start": "", "end": ""}
    return {
        "card": card,
        "currency": code,
        "types": [(name, card.settings.controls.of_type(name) is not None) for name in _TYPES],
        "etags": {name: etag_of(card, name) for name in _TYPES},
        "threshold": "" if change is None else amount_text(change.threshold, code),
        "chosen": () if change is None else change.channels,
        "channels": _CHANNELS,
        "kinds": [_kind(preferences, word) for word in _ordered()],
        "ways": CHANNELS_OF_CARDHOLDERS,
        "quiet": quiet,
        "hours": sorted({*_HOURS, *(time for time in quiet.values() if time)}),
        "seen": _seen(kept),
    }


def _ordered() -> list[str]:
    """Kinds of messages; what may be fraud comes first."""
    return sorted(CHOOSABLE, key=lambda word: word not in _LOUD)


def _kind(preferences: dict[str, Any], word: str) -> tuple[str, bool, list[str]]:
    """A kind of message, whether it must be heard of, and where it goes now."""
    ways = preferences["channels"].get(word, preferences["defaults"][word])
    return word, word in _LOUD, ways


def _seen(kept: MessagePreferences | None) -> str:
    """Which preferences a form has seen."""
    return "0" if kept is None else str(kept.created_ms)


async def _keep(home: Home, visit: Visit, fields: Fields) -> None:
    """Keep what was chosen. Sent twice, the second one changes nothing.

    Raises:
        BadFormError: half a form, or it was changed elsewhere in the meantime.
        NotAllowedValueError: what may be fraud would fall silent; hours that are none.
    """
    if field(fields, "all", "") != "1":
        # A form that arrived in part would silence what it does not name.
        raise BadFormError("form.missing", field="all")
    kept = await run_in_threadpool(home.house.reader.record, MessagePreferences, visit.holder.id)
    now = preferences_document(visit.holder.id, kept)
    channels = {word: fields.get(f"way.{word}", []) for word in CHOOSABLE}
    # What is as the house sends it anyway is not chosen, and follows the house when that changes.
    wanted = {
        word: ways
        for word, ways in channels.items()
        if word in now["channels"] or set(ways) != set(now["defaults"][word])
    }
    quiet = (field(fields, "quiet_start", ""), field(fields, "quiet_end", ""))
    made = chosen_preferences(visit.holder.id, kept, wanted, quiet, visit.now_ms)
    if made is None:
        return
    if field(fields, "seen", "") != _seen(kept):
        raise BadFormError(_STALE)
    try:
        await home.house.keep((Replacing(made.record, kept),), (made.audit,), visit.actor())
    except RecordOvertakenError:
        raise BadFormError(_STALE) from None


def _why_not(error: BadFormError | NotAllowedValueError) -> tuple[str, dict[str, object]]:
    """The sentence; preferences have rules that no control has."""
    if isinstance(error, NotAllowedValueError):
        if error.code == "channel_required":
            return "alerts.channel_required", {}
        if error.pointer.startswith("/channels"):
            return "form.unknown", {}
    return why_not(error)


def _set(card: CardState, fields: Fields, _now_ms: int) -> Change:
    name = one_of(fields, "control", _TYPES)
    return set_as_seen(name, _alert(card, name, fields), fields)


def _alert(card: CardState, name: str, fields: Fields) -> Control:
    """The alert that a form says."""
    if name == "decline_alert":
        return DeclineAlert()
    if name == "balance_inquiry_alert":
        return BalanceInquiryAlert()
    channels = tuple(fields.get("channel", []))
    return BalanceChangeAlert(amount_in(card, fields, "threshold"), channels)


def _remove(_card: CardState, fields: Fields, _now_ms: int) -> Change:
    return remove_as_seen(one_of(fields, "control", _TYPES), fields)


def _told_set(_card: CardState, fields: Fields) -> tuple[str, dict[str, Any]]:
    return f"alerts.told_set.{one_of(fields, 'control', _TYPES)}", {}


def _told_remove(_card: CardState, fields: Fields) -> tuple[str, dict[str, Any]]:
    return f"alerts.told_remove.{one_of(fields, 'control', _TYPES)}", {}


KINDS: Final = (
    Kind("alert_set", _set, _told_set, "alerts.done_set"),
    Kind("alert_remove", _remove, _told_remove, "alerts.done_remove"),
)

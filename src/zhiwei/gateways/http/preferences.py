"""`/v1/cardholders/{id}/message_preferences`: on which channels a cardholder wants what, and when.

A cardholder may set their own. Nothing here can silence what may be fraud or what opens a card up:
quiet hours do not hold for it, and of questions at least one channel stays chosen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from zhiwei.core.result import Audit
from zhiwei.gateways.http.caller import EVERYBODY, TheCaller, TheHouse, reachable_cardholder
from zhiwei.gateways.http.cardholders import CardholderPath
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document
from zhiwei.gateways.http.replies import reply
from zhiwei.gateways.http.shapes import Body, Instant, Shape
from zhiwei.gateways.http.times import instant_text
from zhiwei.messaging.kinds import CHANNELS_OF_CARDHOLDERS, NEVER_SILENT, WAYS
from zhiwei.messaging.preferences import check, preferences_of, quiet_hours
from zhiwei.ports import MessagePreferences

router = APIRouter(
    prefix="/v1/cardholders/{cardholder}/message_preferences",
    tags=["Messages"],
    route_class=Gate,
)

ChannelName = Literal["sms", "push", "email"]
Word = Annotated[str, Field(max_length=80)]
TimeOfDay = Annotated[
    str,
    Field(pattern=r"^[0-9]{2}:[0-9]{2}$", description="`HH:MM`.", examples=["22:00"]),
]
_DEFAULTS: Final = {kind.word: list(ways.channels) for kind, ways in WAYS.items()}
_NEVER_SILENT: Final = sorted(kind.word for kind in NEVER_SILENT)


class QuietHours(Body):
    """Hours in which only what may be fraud, and what opens a card up, makes a sound."""

    start: TimeOfDay
    end: TimeOfDay = Field(description="Not quiet any more; may lie on the next day.")


class QuietHoursShape(Shape):
    """Quiet hours on each card's own clock."""

    start: TimeOfDay
    end: TimeOfDay


class PreferencesBody(Body):
    """What a cardholder wants from now on; it replaces what was wanted before."""

    channels: dict[Word, Annotated[list[Word], Field(max_length=8)]] = Field(
        default={},
        max_length=64,
        description="By type of event: `sms`, `push`, `email`. A type that is not named goes where"
        " the house sends it; no channels = not wanted.",
        examples=[{"transaction_declined": ["push", "sms"], "limit_nearly_reached": []}],
    )
    quiet_hours: QuietHours | None = None


class PreferencesShape(Shape):
    """What a cardholder wants, and what happens otherwise."""

    object: Literal["message_preferences"]
    cardholder: str
    channels: dict[str, list[ChannelName]]
    quiet_hours: QuietHoursShape | None
    defaults: dict[str, list[ChannelName]] = Field(
        description="Channels of each type where none were chosen."
    )
    never_silent: list[str] = Field(
        description="Types that quiet hours never mute and that keep at least one channel."
        " Loosenings of any type are told to all contacts besides."
    )
    updated_at: Instant | None = Field(description="null: nothing was ever chosen.")


@router.get("", **call(EVERYBODY, PreferencesShape), summary="Read message preferences")
async def read(house: TheHouse, caller: TheCaller, cardholder: CardholderPath) -> Response:
    """What was chosen, and the channels of everything else."""
    holder = reachable_cardholder(house, caller, cardholder)
    kept = house.reader.record(MessagePreferences, holder.id)
    return reply(preferences_document(holder.id, kept))


@router.put("", **call(EVERYBODY, PreferencesShape), summary="Set message preferences")
async def put(
    house: TheHouse, caller: TheCaller, cardholder: CardholderPath, body: PreferencesBody
) -> Response:
    """Choose channels and quiet hours. It holds for messages that are planned from now on."""
    holder = reachable_cardholder(house, caller, cardholder)
    quiet = body.quiet_hours
    hours = ("", "") if quiet is None else (quiet.start, quiet.end)
    old = house.reader.record(MessagePreferences, holder.id)
    made = chosen_preferences(holder.id, old, body.channels, hours, house.clock.now_ms())
    if made is not None:
        await house.keep((made.record,), (made.audit,), caller.actor)
        old = made.record
    return reply(preferences_document(holder.id, old))


@dataclass(frozen=True)
class Chosen:
    """Preferences that differ from those before."""

    record: MessagePreferences
    audit: Audit


def chosen_preferences(
    cardholder: str,
    old: MessagePreferences | None,
    channels: Mapping[str, Sequence[str]],
    quiet: tuple[str, str],
    now_ms: int,
) -> Chosen | None:
    """What is to be kept of a choice, for the API and for pages; None = it is as it was.

    Args:
        cardholder: whose preferences they are.
        old: what was chosen before; None = nothing ever.
        channels: by word of a kind; empty = not wanted.
        quiet: start and end as `HH:MM`; both empty = no quiet hours.
        now_ms: the instant.

    Raises:
        NotAllowedValueError: an unknown kind or channel, what must not fall silent, or bad hours.
    """
    check(channels)
    start, end = quiet
    quiet_hours(start, end)
    new = MessagePreferences(
        id=cardholder,
        created_ms=max(now_ms, 1),
        channels=_channels_text(channels),
        quiet_start=start,
        quiet_end=end,
    )
    if old is not None and _told(old) == _told(new):
        return None
    return Chosen(new, Audit("message_preferences.set", cardholder, _told(old), _told(new)))


def preferences_document(cardholder: str, kept: MessagePreferences | None) -> Document:
    """Preferences as the API shows them."""
    preferences = preferences_of(kept)
    quiet: Document | None = None
    if kept is not None and preferences.quiet is not None:
        quiet = {"start": kept.quiet_start, "end": kept.quiet_end}
    return {
        "object": "message_preferences",
        "cardholder": cardholder,
        "channels": {kind: list(chosen) for kind, chosen in sorted(preferences.channels.items())},
        "quiet_hours": quiet,
        "defaults": _DEFAULTS,
        "never_silent": _NEVER_SILENT,
        "updated_at": None if kept is None else instant_text(kept.created_ms),
    }


def _channels_text(channels: Mapping[str, Sequence[str]]) -> str:
    """Chosen channels as they are kept: in one order, so that the same choice is the same text."""
    chosen = {
        kind: [channel for channel in CHANNELS_OF_CARDHOLDERS if channel in wanted]
        for kind, wanted in sorted(channels.items())
    }
    return json.dumps(chosen, separators=(",", ":"))


def _told(kept: MessagePreferences | None) -> str:
    """What the audit trail says."""
    if kept is None:
        return ""
    quiet = f"{kept.quiet_start}-{kept.quiet_end}" if kept.quiet_start else ""
    return json.dumps({"channels": json.loads(kept.channels), "quiet_hours": quiet})

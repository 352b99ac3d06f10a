"""Preferences: on which channels a cardholder wants what, and quiet hours, as values.

`ports.MessagePreferences` is how they are kept; here is what they mean. Rules for what may be
chosen are checked where they are set (`check`), so that what is kept can be relied on; what was
kept under other rules is read as far as it still makes sense.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from zhiwei.core.documents import time_of_day_ms
from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.windows import DailyWindow
from zhiwei.messaging.kinds import CHANNELS_OF_CARDHOLDERS, CHOOSABLE, NEVER_SILENT
from zhiwei.ports import MessagePreferences

_NOTHING_CHOSEN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


@dataclass(frozen=True)
class Preferences:
    """What a cardholder wants."""

    #: Channels by word of a kind; a kind that is not there goes where the house sends it.
    channels: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NOTHING_CHOSEN)
    #: On each card's own clock; None = no quiet hours.
    quiet: DailyWindow | None = None


NO_PREFERENCES: Final = Preferences()


def preferences_of(record: MessagePreferences | None) -> Preferences:
    """What a kept record means. Never raises: what cannot be read is as if it were not chosen."""
    if record is None:
        return NO_PREFERENCES
    channels: dict[str, tuple[str, ...]] = {}
    try:
        kept = json.loads(record.channels)
    except ValueError:
        kept = {}
    for kind, chosen in kept.items() if isinstance(kept, dict) else ():
        if kind in CHOOSABLE and isinstance(chosen, list):
            channels[kind] = tuple([c for c in CHANNELS_OF_CARDHOLDERS if c in chosen])
    try:
        quiet = quiet_hours(record.quiet_start, record.quiet_end)
    except NotAllowedValueError:
        quiet = None
    return Preferences(MappingProxyType(channels), quiet)


def quiet_hours(start: str, end: str) -> DailyWindow | None:
    """Quiet hours `[start, end)` as `HH:MM`; they may cross midnight. None where both are empty.

    Raises:
        NotAllowedValueError: a time is none, or start and end are the same.
    """
    if not start and not end:
        return None
    place = "/quiet_hours"
    opens_ms = time_of_day_ms(start, f"{place}/start")
    closes_ms = time_of_day_ms(end, f"{place}/end")
    try:
        return DailyWindow(opens_ms, closes_ms)
    except NotAllowedValueError as error:
        pointer = f"{place}{error.pointer}"
        raise NotAllowedValueError(pointer, error.code, str(error)) from None


def check(channels: Mapping[str, Sequence[str]]) -> None:
    """Hold a choice of channels to the rules.

    Raises:
        NotAllowedValueError: an unknown kind or channel, or a kind that must not fall silent.
    """
    for kind, chosen in channels.items():
        pointer = f"/channels/{kind[:40]}"
        if kind not in CHOOSABLE:
            message = f"there are: {', '.join(sorted(CHOOSABLE))}"
            raise NotAllowedValueError(pointer, "unknown_kind", message)
        for index, channel in enumerate(chosen):
            if channel not in CHANNELS_OF_CARDHOLDERS:
                message = f"there are: {', '.join(CHANNELS_OF_CARDHOLDERS)}"
                raise NotAllowedValueError(f"{pointer}/{index}", "unknown_channel", message)
        if len(set(chosen)) != len(chosen):
            raise NotAllowedValueError(pointer, "duplicate_channel", "name each channel once")
        if not chosen and CHOOSABLE[kind] in NEVER_SILENT:
            message = "of what may be fraud you must hear on one channel at least"
            raise NotAllowedValueError(pointer, "channel_required", message)

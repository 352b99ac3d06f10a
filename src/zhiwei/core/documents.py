"""Controls as documents: the shape that the API shows, the audit trail keeps and the store files.

One shape for all, so that what a cardholder sent is what an auditor reads. Amounts are whole minor
units; times of day are `HH:MM`, with seconds only where they are not zero.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, TypeAlias

from zhiwei.core.controls import (
    BalanceChangeAlert,
    BalanceInquiryAlert,
    CardLock,
    CategoryLock,
    Control,
    DeclineAlert,
    LargeSpendVerification,
    Limit,
    LimitChannel,
    Limits,
    MagstripeVerification,
    Measure,
    NightLock,
    OnlineLock,
    OverseasLock,
    OverseasOnlineLock,
    Period,
    RegionLock,
    Scope,
)
from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.windows import HOUR_MS, MINUTE_MS, NIGHT, DailyWindow

Document: TypeAlias = "dict[str, Any]"

#: Controls that have nothing to set but being there.
_SIMPLE: Final[dict[str, type[Any]]] = {
    "overseas_online_lock": OverseasOnlineLock,
    "card_lock": CardLock,
    "balance_inquiry_alert": BalanceInquiryAlert,
    "decline_alert": DeclineAlert,
}


def time_text(time_of_day_ms: int) -> str:
    """`HH:MM`, or `HH:MM:SS` or `HH:MM:SS.mmm` where that is needed."""
    hours, rest = divmod(time_of_day_ms, HOUR_MS)
    minutes, rest = divmod(rest, MINUTE_MS)
    seconds, milliseconds = divmod(rest, 1000)
    text = f"{hours:02}:{minutes:02}"
    if seconds or milliseconds:
        text += f":{seconds:02}"
    return f"{text}.{milliseconds:03}" if milliseconds else text


def time_of_day_ms(text: str, pointer: str) -> int:
    """Milliseconds after midnight of `HH:MM[:SS[.mmm]]`; `24:00` is the end of the day.

    Raises:
        NotAllowedValueError: not a time of day.
    """
    clock, _, fraction = text.partition(".")
    parts = clock.split(":")
    digits = [*parts, fraction] if fraction else parts
    fits = len(parts) in (2, 3) and all(len(p) == 2 for p in parts) and len(fraction) in (0, 3)
    if not fits or not all(p.isascii() and p.isdigit() for p in digits):
        raise NotAllowedValueError(pointer, "bad_time", f"`{text[:16]}` is not a time like `23:00`")
    hours, minutes = int(parts[0]), int(parts[1])
    seconds = int(parts[2]) if len(parts) == 3 else 0
    total = hours * HOUR_MS + minutes * MINUTE_MS + seconds * 1000 + int(fraction or "0")
    if minutes > 59 or seconds > 59 or total > 24 * HOUR_MS:
        raise NotAllowedValueError(pointer, "bad_time", f"`{text[:16]}` is not a time of day")
    return total


def document_of(control: Control) -> Document:
    """The document of a control, without its type."""
    if isinstance(control, RegionLock):
        return {"regions": list(control.regions)}
    if isinstance(control, OverseasLock):
        return {"countries": list(control.countries)}
    if isinstance(control, NightLock):
        document: Document = _window_document(control.window)
        document["scope"] = control.scope.name.lower()
        if control.time_zone:
            document["time_zone"] = control.time_zone
        return document
    if isinstance(control, OnlineLock):
        return _window_document(control.window) if control.window is not None else {}
    if isinstance(control, CategoryLock):
        return {"mccs": list(control.mccs)}
    if isinstance(control, Limits):
        document = {"items": [limit_document(item) for item in control.items]}
        if control.refunds_restore:
            document["refunds"] = "restore_original_window"
        return document
    if isinstance(control, MagstripeVerification | LargeSpendVerification):
        return {"threshold": control.threshold}
    if isinstance(control, BalanceChangeAlert):
        return {"threshold": control.threshold, "channels": list(control.channels)}
    return {}


def control_from(control_type: str, document: Mapping[str, Any]) -> Control:
    """The control that a document says; the inverse of `document_of`.

    Types of values are the door's to check; this checks what the values mean.

    Raises:
        NotAllowedValueError: a value lies outside the rules, with the JSON pointer of the field.
    """
    if control_type in _SIMPLE:
        simple: Control = _SIMPLE[control_type]()
        return simple
    match control_type:
        case "region_lock":
            return RegionLock(tuple(document["regions"]))
        case "overseas_lock":
            return OverseasLock(tuple(document.get("countries", ())))
        case "night_lock":
            scope = _member(Scope, document.get("scope", "domestic"), "/scope")
            window = _window(document) or NIGHT
            return NightLock(window, Scope(scope), document.get("time_zone") or "")
        case "online_lock":
            return OnlineLock(_window(document))
        case "category_lock":
            return CategoryLock(tuple(document["mccs"]))
        case "limits":
            items = tuple(
                limit_from(item, f"/items/{i}") for i, item in enumerate(document["items"])
            )
            return Limits(items, document.get("refunds", "ignore") == "restore_original_window")
        case "magstripe_verification":
            return MagstripeVerification(document["threshold"])
        case "large_spend_verification":
            return LargeSpendVerification(document["threshold"])
        case "balance_change_alert":
            channels = tuple(document.get("channels", ()))
            return BalanceChangeAlert(document.get("threshold", 0), channels)
        case _:
            message = f"`{control_type[:40]}` is not a type of control"
            raise NotAllowedValueError("", "unknown_control_type", message)


def limit_document(limit: Limit) -> Document:
    """The document of one limit: its value stands under the name of its measure."""
    document: Document = {
        "channel": limit.channel.name.lower(),
        "measure": limit.measure.name.lower(),
        "period": limit.period.name.lower(),
        limit.measure.name.lower(): limit.value,
    }
    if limit.seconds:
        document["seconds"] = limit.seconds
    return document


def limit_from(document: Mapping[str, Any], pointer: str = "") -> Limit:
    """The limit that a document says.

    Raises:
        NotAllowedValueError: a value lies outside the rules.
    """
    channel = _member(LimitChannel, document["channel"], f"{pointer}/channel")
    measure = Measure(_member(Measure, document["measure"], f"{pointer}/measure"))
    period = _member(Period, document["period"], f"{pointer}/period")
    name = measure.name.lower()
    other = "count" if measure is Measure.AMOUNT else "amount"
    if document.get(name) is None or document.get(other) is not None:
        message = f"a limit of measure `{name}` has `{name}` and not `{other}`"
        raise NotAllowedValueError(f"{pointer}/{name}", "value_missing", message)
    try:
        return Limit(
            LimitChannel(channel),
            measure,
            Period(period),
            document[name],
            document.get("seconds") or 0,
        )
    except NotAllowedValueError as error:
        place = error.pointer or f"/{name}"
        raise NotAllowedValueError(pointer + place, error.code, str(error)) from None


def etag(control: Control) -> str:
    """Strong validator of a control: equal exactly when the documents are equal."""
    text = json.dumps([type(control).__name__, document_of(control)], sort_keys=True)
    return f'"{blake2b(text.encode(), digest_size=12).hexdigest()}"'


def _window_document(window: DailyWindow) -> Document:
    return {"start": time_text(window.start_ms), "end": time_text(window.end_ms)}


def _window(document: Mapping[str, Any]) -> DailyWindow | None:
    """The window of a document; None where neither start nor end is given."""
    start, end = document.get("start"), document.get("end")
    if start is None and end is None:
        return None
    if start is None or end is None:
        missing = "/start" if start is None else "/end"
        raise NotAllowedValueError(
            missing, "time_missing", "give both `start` and `end`, or neither"
        )
    return DailyWindow(time_of_day_ms(start, "/start"), time_of_day_ms(end, "/end"))


def _member(kind: type[Any], text: str, pointer: str) -> int:
    """Number of an enum member by its lower-case name."""
    for member in kind:
        if member.name.lower() == text:
            return int(member)
    names = ", ".join(m.name.lower() for m in kind)
    raise NotAllowedValueError(
        pointer, "unknown_value", f"`{str(text)[:40]}` is not one of {names}"
    )

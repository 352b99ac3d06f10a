"""Control forms: what the fields of a control's form mean, and the three deeds that all share.

`set_control`, `remove_control` and `cancel_control` take the type as a field. What a value may be
is for the core to say (`control_from`); here texts become documents, and no more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from zhiwei.core.card_state import CardState
from zhiwei.core.command import CancelPending, Change, RemoveControl, SetControl
from zhiwei.core.controls import CONTROL_TYPES, Control, Limits
from zhiwei.core.documents import control_from, document_of, etag
from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.money import BY_CODE, major_units
from zhiwei.core.place import COUNTRY_BY_ALPHA3, PROVINCES
from zhiwei.core.request import DOMESTIC
from zhiwei.web.cardholder.deeds import BadFormError, Fields, Kind, field
from zhiwei.web.cardholder.merchant_groups import mccs_of
from zhiwei.words.names import country_named, country_names

_HOUR: Final = re.compile(r"(?:[01]?[0-9]|2[0-4])", re.ASCII)
_AMOUNT: Final = re.compile(r"([0-9]{1,13})(?:\.([0-9]{1,4}))?", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,7}", re.ASCII)
_FIELDS_MAX: Final = 64


def control_of_form(control_type: str, fields: Fields, card: CardState) -> Control:
    """The control that a form says.

    Raises:
        BadFormError: a field is missing or cannot be read.
        NotAllowedValueError: a value lies outside the rules.
    """
    if control_type not in CONTROL_TYPES:
        raise BadFormError("form.unknown")
    if control_type == "limits":
        return limits_of_form(fields, card)
    return control_from(control_type, _document(control_type, fields, card))


def _document(control_type: str, fields: Fields, card: CardState) -> dict[str, Any]:
    match control_type:
        case "region_lock":
            return {"regions": _several(fields, "regions")}
        case "overseas_lock":
            return {"countries": [_country(text) for text in _several(fields, "countries")]}
        case "night_lock":
            return {**_window(fields), "scope": field(fields, "scope", "domestic")}
        case "online_lock":
            return _window(fields) if field(fields, "hours", "all") == "window" else {}
        case "category_lock":
            kept = _several(fields, "mccs")
            return {"mccs": sorted({*mccs_of(_several(fields, "groups")), *kept})}
        case "magstripe_verification" | "large_spend_verification":
            return {"threshold": amount_minor(field(fields, "threshold"), card)}
        case "balance_change_alert":
            threshold = amount_minor(field(fields, "threshold", "0"), card)
            return {"threshold": threshold, "channels": _several(fields, "channels")}
        case _:
            return {}


def limits_of_form(fields: Fields, card: CardState) -> Limits:
    """The card's limits with one added or changed, or one taken away (`drop` names its place)."""
    current = card.settings.controls.limits
    items = [] if current is None else [_item(one) for one in document_of(current)["items"]]
    drop = field(fields, "drop", "")
    if drop:
        if not _COUNT.fullmatch(drop) or int(drop) >= len(items):
            raise BadFormError("form.unknown")
        items.pop(int(drop))
    else:
        wanted = _limit(fields, card)
        items = [one for one in items if _slot(one) != _slot(wanted)]
        items.append(wanted)
    document = {"items": items, "refunds": "ignore"}
    if current is not None and current.refunds_restore:
        document["refunds"] = "restore_original_window"
    control = control_from("limits", document)
    assert isinstance(control, Limits), "that is what was asked for"
    return control


def _limit(fields: Fields, card: CardState) -> dict[str, Any]:
    measure = field(fields, "measure")
    value = field(fields, "value")
    wanted: dict[str, Any] = {
        "channel": field(fields, "channel"),
        "measure": measure,
        "period": field(fields, "period"),
    }
    if measure == "count":
        if not _COUNT.fullmatch(value):
            raise BadFormError("form.bad_count")
        wanted["count"] = int(value)
    else:
        wanted["amount"] = amount_minor(value, card)
    seconds = field(fields, "seconds", "")
    if seconds:
        if not _COUNT.fullmatch(seconds):
            raise BadFormError("form.bad_count")
        wanted["seconds"] = int(seconds)
    return wanted


def _item(one: Mapping[str, Any]) -> dict[str, Any]:
    return dict(one)


def _slot(one: Mapping[str, Any]) -> tuple[object, ...]:
    """What makes a limit another one than the others."""
    return one["channel"], one["measure"], one["period"], one.get("seconds", 0)


def amount_minor(text: str, card: CardState) -> int:
    """An amount as people write it (`200`, `1,999.50`) in minor units of the card's currency.

    Raises:
        BadFormError: it is no amount, or has more decimals than the currency.
    """
    exponent = BY_CODE[card.settings.profile.currency].exponent
    match = _AMOUNT.fullmatch(text.replace(",", "").replace("，", "").strip())
    if match is None or len(match[2] or "") > exponent:
        raise BadFormError("form.bad_amount")
    return int(match[1] + (match[2] or "").ljust(exponent, "0"))


def amount_text(minor: int, card: CardState) -> str:
    """The same the other way, for a field that is filled in already."""
    return major_units(minor, card.settings.profile.currency).replace(",", "")


def _several(fields: Fields, name: str) -> list[str]:
    """All values of a name that are not empty.

    Raises:
        BadFormError: there are more than any form has.
    """
    values = [value.strip() for value in fields.get(name, []) if value.strip()]
    if len(values) > _FIELDS_MAX:
        raise BadFormError("form.unknown")
    return values


def _window(fields: Fields) -> dict[str, str]:
    """Whole hours: `23` is 23:00."""
    start, end = field(fields, "start"), field(fields, "end")
    if not _HOUR.fullmatch(start) or not _HOUR.fullmatch(end):
        raise BadFormError("not_allowed.bad_time")
    return {"start": f"{int(start):02d}:00", "end": f"{int(end):02d}:00"}


def _country(text: str) -> str:
    """A country as people write it: its name in either language, or its letters.

    Raises:
        NotAllowedValueError: there is no such country or region.
    """
    found = country_named(text)
    if found is None:
        raise NotAllowedValueError("/countries", "unknown_country", "no such country or region")
    return found


def countries(language: str) -> list[tuple[str, str]]:
    """What the overseas lock may name: letters and name, by name."""
    names = country_names(language)
    return sorted(((code, names[code]) for code in COUNTRY_BY_ALPHA3 if code != DOMESTIC), key=_by)


def provinces(language: str) -> list[tuple[str, str]]:
    """All 34: code and name."""
    return [(p.code, p.zh if language == "zh" else p.en) for p in PROVINCES.values()]


def _by(pair: tuple[str, str]) -> str:
    return pair[1]


def _set(card: CardState, fields: Fields, _now_ms: int) -> Change:
    control_type = field(fields, "type")
    control = control_of_form(control_type, fields, card)
    seen = field(fields, "etag", "")
    return SetControl(control_type, control, if_match=seen, if_none_match=not seen)


def _remove(_card: CardState, fields: Fields, _now_ms: int) -> Change:
    return RemoveControl(field(fields, "type"), if_match=field(fields, "etag"))


def _drop_limit(card: CardState, fields: Fields, _now_ms: int) -> Change:
    """Take one limit away; the last one takes the control with it."""
    current = card.settings.controls.limits
    seen = field(fields, "etag")
    if current is not None and len(current.items) == 1:
        return RemoveControl("limits", if_match=seen)
    return SetControl("limits", limits_of_form(fields, card), if_match=seen)


def _cancel(_card: CardState, fields: Fields, _now_ms: int) -> Change:
    return CancelPending(field(fields, "type"))


def _told_of(key: str) -> Any:  # noqa: ANN401 - a function that `Kind.told` takes
    def told(card: CardState, fields: Fields) -> tuple[str, dict[str, Any]]:
        control = field(fields, "type", "limits")
        return f"{key}.{control}", {"tail": card.settings.profile.tail}

    return told


def etag_of(card: CardState, control_type: str) -> str:
    """What the form of a control says it starts from; empty = it was not set."""
    control = card.settings.controls.of_type(control_type)
    return "" if control is None else etag(control)


KINDS: Final = (
    Kind("set_control", _set, _told_of("told.set"), "done.set_control"),
    Kind("remove_control", _remove, _told_of("told.remove"), "done.remove_control"),
    Kind("drop_limit", _drop_limit, _told_of("told.set"), "done.set_control"),
    Kind("cancel_control", _cancel, _told_of("told.set"), "done.cancel_control"),
)

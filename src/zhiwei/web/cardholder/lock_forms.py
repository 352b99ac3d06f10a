"""Lock forms: what the fields of a lock's form mean, and the deeds that all locks share.

What a value may be is for the core to say (`control_from`); here texts become documents, no more.
"""

from __future__ import annotations

import re
from typing import Any, Final

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Change
from zhiwei.core.documents import control_from
from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.place import COUNTRY_BY_ALPHA3, PROVINCES
from zhiwei.core.request import DOMESTIC
from zhiwei.web.cardholder.amounts import cancel, one_of, remove_as_seen, set_as_seen
from zhiwei.web.cardholder.deeds import BadFormError, Fields, Kind, field
from zhiwei.web.cardholder.merchant_groups import mccs_of
from zhiwei.words.names import country_named, country_names

#: In the order of the page.
LOCKS: Final = (
    "region_lock",
    "overseas_lock",
    "night_lock",
    "online_lock",
    "overseas_online_lock",
    "category_lock",
    "card_lock",
)
_TIME: Final = re.compile(r"([0-9]{1,2})(?::([0-5][0-9]))?", re.ASCII)
_HOURS: Final = 24
_FIELDS_MAX: Final = 64


def _document(lock: str, fields: Fields) -> dict[str, Any]:
    """The document that a form says; a lock without settings has an empty one."""
    match lock:
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
        case _:
            return {}


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
    """Times as the form has them: `23` and `23:00` are the same."""
    times: list[str] = []
    for name in ("start", "end"):
        match = _TIME.fullmatch(field(fields, name))
        if match is None or int(match[1]) > _HOURS:
            raise BadFormError("not_allowed.bad_time")
        times.append(f"{int(match[1]):02d}:{match[2] or '00'}")
    return {"start": times[0], "end": times[1]}


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


def _set(_card: CardState, fields: Fields, _now_ms: int) -> Change:
    lock = one_of(fields, "type", LOCKS)
    return set_as_seen(lock, control_from(lock, _document(lock, fields)), fields)


def _remove(_card: CardState, fields: Fields, _now_ms: int) -> Change:
    return remove_as_seen(one_of(fields, "type", LOCKS), fields)


def _cancel(_card: CardState, fields: Fields, _now_ms: int) -> Change:
    return cancel(one_of(fields, "type", LOCKS))


def _told_of(key: str) -> Any:  # noqa: ANN401 - a function that `Kind.told` takes
    def told(card: CardState, fields: Fields) -> tuple[str, dict[str, Any]]:
        tail = card.settings.profile.tail
        return f"{key}.{one_of(fields, 'type', LOCKS)}", {"tail": tail}

    return told


KINDS: Final = (
    Kind("lock_set", _set, _told_of("told.set"), "done.lock_set"),
    Kind("lock_remove", _remove, _told_of("told.remove"), "done.lock_remove"),
    Kind("lock_cancel", _cancel, _told_of("told.set"), "done.lock_cancel"),
)

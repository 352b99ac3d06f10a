"""What if: the same request once more on an edited copy of the card, decided and thrown away.

The guardian's own step decides, on values in memory: nothing is written, because a step writes
nothing. Three answers stand side by side: what was decided then, what would be decided on the card
as it is now, and what on the edited copy; so one sees what the edit does and what time has done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from zhiwei.core.card_state import CardState, CardStatus, Settings, Stop, StopSource
from zhiwei.core.command import Command
from zhiwei.core.controls import CONTROL_TYPES, Control
from zhiwei.core.documents import control_from, document_of, limit_document, time_text
from zhiwei.core.entry import Entry
from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.request import Request
from zhiwei.core.windows import Moment
from zhiwei.core.zone import DAY_MS
from zhiwei.gateways.http.authorizations import evaluation_documents
from zhiwei.gateways.http.house import Document, House, Rehearse
from zhiwei.gateways.http.presentation import DECISIONS

#: Controls that are only there or not.
SWITCHES: Final = ("overseas_online_lock", "card_lock")
#: Controls with a list of codes, and the name of the list.
LISTS: Final = {"region_lock": "regions", "overseas_lock": "countries", "category_lock": "mccs"}
#: Controls with hours of the day.
WINDOWS: Final = ("night_lock", "online_lock")
#: Controls with a threshold in minor units.
THRESHOLDS: Final = ("magstripe_verification", "large_spend_verification")
#: What can be edited: every control that judges.
EDITABLE: Final = (*SWITCHES, *LISTS, *WINDOWS, *THRESHOLDS, "limits")
_TEXT_MAX: Final = 400


@dataclass(frozen=True)
class Edit:
    """What is otherwise on the copy; empty or absent = as it is."""

    #: The card's status in lower case.
    status: str = ""
    #: `yes` or `no`.
    stopped: str = ""
    chip: str = ""
    #: Time of day of the decision on the card's clock, `HH:MM`.
    time: str = ""
    #: Amount in minor units.
    amount: str = ""
    #: By type of control: how it is set on the copy, as the form says it; `off` = not set.
    controls: Mapping[str, str] | None = None

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Edit:
        """The edit of an address; controls are told by their type."""
        told = {name: query.get(name, "").strip()[:_TEXT_MAX] for name in _PLAIN}
        controls = {
            name: query[name].strip()[:_TEXT_MAX]
            for name in EDITABLE
            if query.get(name, "").strip()
        }
        return cls(**told, controls=controls)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is edited."""
        return not self.controls and not any(getattr(self, name) for name in _PLAIN)


_PLAIN: Final = ("status", "stopped", "chip", "time", "amount")


@dataclass(frozen=True)
class Answer:
    """One of the answers that stand side by side."""

    #: `approve`, `challenge` or `decline`.
    decision: str
    at_ms: int
    evaluations: list[Document]
    entry: Entry


@dataclass(frozen=True)
class Comparison:
    """What was, what would be now, and what would be on the edited copy."""

    then: Answer
    now: Answer
    edited: Answer


def compared(house: House, state: CardState, entry: Entry, edit: Edit) -> Comparison:
    """Decide the request of an entry again, as the card is and as the copy is. Writes nothing.

    Raises:
        NotAllowedValueError: a value of the edit is not allowed; `pointer` names its field.
    """
    rehearse = house.rehearse
    assert rehearse is not None, "a console needs a house that can rehearse"
    copy = edited_copy(state, edit)
    at_ms = _instant(state, entry, edit)
    request = _request(entry, edit)
    return Comparison(
        then=_answer(house, state, entry, entry.now_ms),
        now=_rehearsed(house, rehearse, state, _request(entry, Edit()), entry.now_ms),
        edited=_rehearsed(house, rehearse, copy, request, at_ms),
    )


def edited_copy(state: CardState, edit: Edit) -> CardState:
    """The card's file with an edit, in memory.

    Raises:
        NotAllowedValueError: a value is not allowed.
    """
    settings = state.settings
    profile = settings.profile
    if edit.status:
        profile = replace(profile, status=_status(edit.status))
    if edit.chip in ("yes", "no"):
        profile = replace(profile, has_chip=edit.chip == "yes")
    controls = settings.controls
    for name, text in (edit.controls or {}).items():
        controls = controls.changed(name, _control(name, text, controls.of_type(name)))
    settings = replace(settings, profile=profile, controls=controls)
    settings = _stopped(settings, edit.stopped, state.last_ms)
    return CardState(
        state.card_key,
        state.version,
        state.last_ms,
        state.chain,
        settings,
        state.usage,
        state.holds,
        state.inquiries,
    )


def form_text(control_type: str, control: Control | None) -> str:
    """A control as the form shows it: `41, 61`, `23:00-05:00`, `500000`; empty = not set."""
    if control is None:
        return ""
    document = document_of(control)
    if control_type in LISTS:
        # A lock without countries closes them all, which is not the same as no lock.
        return ", ".join(document[LISTS[control_type]]) or "none"
    if control_type in WINDOWS:
        window = getattr(control, "window", None)
        if window is None:
            return "always"
        return f"{time_text(window.start_ms)}-{time_text(window.end_ms)}"
    if control_type in THRESHOLDS:
        return str(document["threshold"])
    if control_type == "limits":
        items = [limit_document(item) for item in getattr(control, "items", ())]
        return "; ".join(_limit_text(item) for item in items)
    return "on"


def _limit_text(item: Document) -> str:
    seconds = f"/{item['seconds']}" if "seconds" in item else ""
    words = f"{item['channel']} {item['measure']} {item['period']}{seconds}"
    return f"{words} {item[item['measure']]}"


def _control(control_type: str, text: str, old: Control | None) -> Control | None:
    """The control that the form says; the inverse of `form_text`."""
    if text.casefold() in ("off", "-"):
        return None
    document: dict[str, Any] = {} if old is None else document_of(old)
    if control_type in LISTS:
        codes = [part.strip() for part in text.replace("、", ",").replace("，", ",").split(",")]
        document = {LISTS[control_type]: [c for c in codes if c and c != "none"]}
    elif control_type in WINDOWS:
        document = _window(control_type, document, text)
    elif control_type in THRESHOLDS:
        document = {"threshold": _whole(text, control_type)}
    elif control_type == "limits":
        document = {"items": [_limit(part) for part in text.split(";") if part.strip()]}
    try:
        return control_from(control_type, document)
    except NotAllowedValueError as error:
        raise NotAllowedValueError(control_type, error.code, str(error)) from None


def _window(control_type: str, document: dict[str, Any], text: str) -> dict[str, Any]:
    kept = {k: v for k, v in document.items() if k not in ("start", "end")}
    if text == "always" and control_type == "online_lock":
        return kept
    start, dash, end = text.replace(" ", "").partition("-")
    if not dash:
        message = "write hours like `23:00-05:00`"
        raise NotAllowedValueError(control_type, "bad_window", message)
    return {**kept, "start": start, "end": end}


def _limit(text: str) -> dict[str, Any]:
    parts = text.split()
    if len(parts) != 4:
        message = "write a limit like `atm amount day 500000`"
        raise NotAllowedValueError("limits", "bad_limit", message)
    channel, measure, period, value = parts
    period, _, seconds = period.partition("/")
    document: dict[str, Any] = {"channel": channel, "measure": measure, "period": period}
    document[measure] = _whole(value, "limits")
    if seconds:
        document["seconds"] = _whole(seconds, "limits")
    return document


def _whole(text: str, pointer: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise NotAllowedValueError(pointer, "bad_number", "a whole number of at most 15 digits")
    return int(text)


def _status(text: str) -> CardStatus:
    for status in CardStatus:
        if status.name.lower() == text:
            return status
    raise NotAllowedValueError("status", "unknown_status", f"`{text[:16]}` is no status of a card")


def _stopped(settings: Settings, wish: str, at_ms: int) -> Settings:
    if wish == "no":
        return replace(settings, stop=None)
    if wish == "yes" and settings.stop is None:
        return replace(settings, stop=Stop(at_ms, StopSource.ISSUER, "000000"))
    return settings


def _instant(state: CardState, entry: Entry, edit: Edit) -> int:
    """The decision's own day, at another time on the card's clock where one is told."""
    if not edit.time:
        return entry.now_ms
    hours, colon, minutes = edit.time.partition(":")
    is_time = colon and all(p.isascii() and p.isdigit() and len(p) == 2 for p in (hours, minutes))
    if not is_time or int(hours) > 23 or int(minutes) > 59:
        raise NotAllowedValueError("time", "bad_time", "write a time of day like `23:00`")
    zone = state.settings.profile.zone
    day = Moment(entry.now_ms, zone).day
    of_day_ms = (int(hours) * 60 + int(minutes)) * 60_000
    # By the clock on the wall, also on a day that has 23 or 25 hours.
    guess = day * DAY_MS + of_day_ms - zone.offset_ms(entry.now_ms)
    return day * DAY_MS + of_day_ms - zone.offset_ms(guess)


def _request(entry: Entry, edit: Edit) -> Request:
    """The request without its trace, so that it is no repeat of itself."""
    asked = entry.command.request
    assert asked is not None, "only card messages are tried again"
    facts = {name: getattr(asked, name) for name in Request.__slots__}
    facts |= {"stan": "", "rrn": "", "transmitted_at": ""}
    if edit.amount:
        amount = _whole(edit.amount, "amount")
        if asked.billing_amount_minor >= 0 and asked.amount_minor:
            facts["billing_amount_minor"] = (
                asked.billing_amount_minor * amount // asked.amount_minor
            )
        facts["amount_minor"] = amount
    return Request(**facts)


def _rehearsed(
    house: House, rehearse: Rehearse, state: CardState, request: Request, at_ms: int
) -> Answer:
    command = Command(state.card_key, request=request, nonce=bytes(8))
    result = rehearse(state, command, at_ms)
    assert result.entry is not None, "a card message always leaves an entry"
    return _answer(house, state, result.entry, at_ms)


def _answer(house: House, state: CardState, entry: Entry, at_ms: int) -> Answer:
    evaluations = evaluation_documents(house, state, entry)
    return Answer(DECISIONS[entry.outcome], at_ms, evaluations, entry)


assert set(EDITABLE) <= set(CONTROL_TYPES)

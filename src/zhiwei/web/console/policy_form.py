"""PolicyForm: the issuer's policy as the fields of a form, and what a filled-in form asks for.

A value is judged by who judges it for the API too (`PolicyDesk.drafted`, `response_codes.checked`,
the card's own `CategoryLock`); here a text becomes that value, and the fault finds its field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from zhiwei.core.controls import CategoryLock, LimitChannel, Measure, Period
from zhiwei.core.errors import NotAllowedValueError, ZhiweiError
from zhiwei.core.money import major_units
from zhiwei.core.policy import Policy
from zhiwei.gateways.in_force import Difference, InForce, differences, named
from zhiwei.gateways.response_codes import (
    CAPTURE_CODES,
    NEVER_RETRY,
    ResponseCodes,
    ResponseCodesError,
    checked,
)
from zhiwei.policy_file import PolicyError, settings_of
from zhiwei.vault import holds_card_number, text_without_numbers
from zhiwei.web.console.policy_words import KINDS, Kind

Values: TypeAlias = "dict[str, str]"

#: Bounds of the form: every setting, every code of some networks, and many ceilings.
FIELDS_MAX: Final = 2_000
BYTES_MAX: Final = 262_144
#: Empty lines for new ceilings, and the most that are read.
_NEW_CEILINGS: Final = 3
_CEILINGS_MAX: Final = 100
CEILING_PARTS: Final = ("channel", "measure", "period", "value", "seconds")
CEILING_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "channel": tuple(one.name.lower() for one in LimitChannel),
    "measure": tuple(one.name.lower() for one in Measure),
    "period": tuple(one.name.lower() for one in Period),
}
#: The answer to "which institutions", beside the list of them.
EVERY: Final = "licensed_institutions.every"
_WHOLE: Final = re.compile(r"-?[0-9]{1,16}")
_MONEY: Final = re.compile(r"([0-9]{1,14})(?:\.([0-9]{1,2}))?")
_BETWEEN_ITEMS: Final = re.compile(r"[\s,;，；、]+")


class FaultError(ZhiweiError):
    """a field of the form cannot be used"""

    def __init__(self, word: str) -> None:
        super().__init__()
        #: Names the sentence (`policy.fault.…`).
        self.word: Final = word


@dataclass(frozen=True)
class Draft:
    """What a filled-in form asks for."""

    policy: Policy
    codes: ResponseCodes
    #: Against what is in force.
    differences: tuple[Difference, ...]
    #: Field → word of the fault; with one of them the rest means nothing.
    faults: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Tells whether what is sent is what was looked at."""
        return named("seen", self.policy, self.codes).version

    @property
    def tables(self) -> Mapping[str, Any] | None:
        """All response codes where one of them is another; else None."""
        is_other = any(each.setting.startswith("response_codes.") for each in self.differences)
        return self.codes.document() if is_other else None


def code_field(network: str, part: str, name: str) -> str:
    """The field of a response code."""
    return f"code.{network}.{part}.{name}"


def filled(now: InForce) -> Values:
    """The form as it is before anybody wrote into it."""
    values: Values = {"base": now.policy.version, "name": "policy", "note": "", "seen": ""}
    for setting, value in settings_of(now.policy).items():
        values |= _fields_of(setting, value)
    for network, table in now.codes.document().items():
        for part, rows in table.items():
            values |= {code_field(network, part, name): code for name, code in rows.items()}
    return values


def sent(now: InForce, form: Mapping[str, str]) -> Values:
    """The form as somebody sent it; what is missing in it stays as it is."""
    values = filled(now)
    known = {name: form[name] for name in values if name in form and not _is_ceiling(name)}
    kept = {name: text for name, text in values.items() if not _is_ceiling(name)}
    ceilings = {
        ceiling_field(n, part): form.get(ceiling_field(n, part), "")
        for n in range(_CEILINGS_MAX)
        for part in CEILING_PARTS
        if ceiling_field(n, "value") in form
    }
    if not ceilings:
        ceilings = {name: text for name, text in values.items() if _is_ceiling(name)}
    return {**kept, **known, **ceilings}


def shown_again(values: Values, faults: Mapping[str, str]) -> Values:
    """The same without card numbers, which somebody may have put into a text."""
    hidden = {name: text_without_numbers(values[name]) for name in {"name", "note", *faults}}
    return {**values, **hidden}


def ceiling_field(row: int, part: str) -> str:
    """A field of the ceiling on a row of the form, counted from 0."""
    return f"ceilings.{row}.{part}"


def ceiling_rows(values: Values) -> range:
    """Rows of ceilings: those that say something, and some for new ones."""
    used = [n for n in range(_CEILINGS_MAX) if values.get(ceiling_field(n, "value"))]
    return range(min(max(used, default=-1) + 1 + _NEW_CEILINGS, _CEILINGS_MAX))


def draft_of(values: Values, now: InForce, drafted: Callable[[Mapping[str, Any]], Policy]) -> Draft:
    """What the form asks for, and every fault in it; `drafted` is the desk's."""
    faults: dict[str, str] = {}
    settings = settings_of(now.policy)
    for setting in KINDS:
        if setting == "ceilings":
            settings[setting] = _ceilings(values, drafted, faults)
            continue
        try:
            settings[setting] = _value(setting, values)
            drafted({setting: settings[setting]})
        except (FaultError, PolicyError) as error:
            faults[setting] = error.word if isinstance(error, FaultError) else _word(setting)
            settings[setting] = settings_of(now.policy)[setting]
    codes = _codes(values, now.codes, faults)
    if not values["note"].strip():
        faults["note"] = "note_missing"
    try:
        policy = drafted(settings)
    except PolicyError:
        # Each alone was well; only ceilings can contradict each other.
        faults["ceilings"] = "ceiling"
        policy = now.policy
    found = differences((now.policy, now.codes), (policy, codes))
    return Draft(replace(policy, version=""), codes, found, faults)


def _fields_of(setting: str, value: Any) -> Values:  # noqa: ANN401 - whatever JSON holds
    """A value of the policy as texts of fields."""
    match KINDS[setting]:
        case Kind.CEILINGS:
            return {
                ceiling_field(n, part): text
                for n, limit in enumerate(value)
                for part, text in _ceiling_texts(limit).items()
            }
        case Kind.YES_NO:
            return {setting: "yes" if value else "no"}
        case Kind.MONEY:
            return {setting: "" if value < 0 else _major(value)}
        case Kind.TEXTS:
            return {setting: "\n".join(value)}
        case Kind.TEXTS_OR_ALL:
            return {setting: "\n".join(value or ()), EVERY: "yes" if value is None else "no"}
        case _:
            return {setting: str(value)}


def _ceiling_texts(limit: Mapping[str, Any]) -> Values:
    is_amount = limit["measure"] == "amount"
    return {
        "channel": limit["channel"],
        "measure": limit["measure"],
        "period": limit["period"],
        "value": _major(limit["amount"]) if is_amount else str(limit["count"]),
        "seconds": str(limit["seconds"]) if limit.get("seconds") else "",
    }


def _value(setting: str, values: Values) -> Any:  # noqa: ANN401 - whatever JSON holds
    """What a field says, as the policy file would.

    Raises:
        FaultError: it says nothing of this kind.
    """
    text = values[setting].strip()
    match KINDS[setting]:
        case Kind.CHOICE:
            return text
        case Kind.YES_NO:
            return _truth(text)
        case Kind.MONEY:
            return _minor(text) if text else -1
        case Kind.TEXTS_OR_ALL:
            return None if _truth(values[EVERY]) else _items(setting, text)
        case Kind.TEXTS:
            return _items(setting, text)
        case _:
            return _whole(text, "whole")


def _truth(text: str) -> bool:
    if text not in ("yes", "no"):
        raise FaultError("choice")
    return text == "yes"


def _whole(text: str, word: str) -> int:
    if _WHOLE.fullmatch(text) is None:
        raise FaultError(word)
    return int(text)


def _minor(text: str) -> int:
    """Minor units of `20,000.00`, which is how the page itself writes it, or `20000`."""
    match = _MONEY.fullmatch(text.replace(",", ""))
    if match is None:
        raise FaultError("money")
    return int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))


def _major(minor: int) -> str:
    return major_units(minor, "CNY").replace(",", "")


def _items(setting: str, text: str) -> list[str]:
    """The items of a list.

    Raises:
        FaultError: one of them is no category, or holds a card number.
    """
    items = sorted({item for item in _BETWEEN_ITEMS.split(text) if item})
    for item in items:
        if setting == "closed_mccs":
            _check_mcc(item)
        if not item.isprintable() or holds_card_number(item):
            raise FaultError("item")
    return items


def _check_mcc(item: str) -> None:
    try:
        CategoryLock((item,))
    except NotAllowedValueError:
        raise FaultError("mcc") from None


def _ceilings(
    values: Values,
    drafted: Callable[[Mapping[str, Any]], Policy],
    faults: dict[str, str],
) -> list[dict[str, Any]]:
    """The ceilings of the rows that say one; a fault is noted with its row."""
    found: list[dict[str, Any]] = []
    for row in ceiling_rows(values):
        said = {part: values.get(ceiling_field(row, part), "").strip() for part in CEILING_PARTS}
        if not said["value"]:
            continue
        try:
            limit = _ceiling(said)
            drafted({"ceilings": [limit]})
            found.append(limit)
        except (FaultError, PolicyError):
            faults[ceiling_field(row, "value")] = "ceiling"
    return found


def _ceiling(said: Values) -> dict[str, Any]:
    measure = said["measure"]
    is_amount = measure == "amount"
    limit: dict[str, Any] = {
        "channel": said["channel"],
        "measure": measure,
        "period": said["period"],
        "amount" if is_amount else "count": _minor(said["value"])
        if is_amount
        else _whole(said["value"], "ceiling"),
    }
    if said["seconds"]:
        limit["seconds"] = _whole(said["seconds"], "ceiling")
    return limit


def _codes(values: Values, codes: ResponseCodes, faults: dict[str, str]) -> ResponseCodes:
    """The tables that the form says; those of now where a field is at fault."""
    wanted = codes.document()
    is_whole = True
    for network, table in codes.document().items():
        for part, rows in table.items():
            for name, old in rows.items():
                field = code_field(network, part, name)
                new = values[field].strip().upper()
                if new == old.upper():
                    continue
                try:
                    checked(_with(codes, network, part, name, new))
                except ResponseCodesError:
                    faults[field] = _code_word(new)
                    is_whole = False
                else:
                    wanted[network][part][name] = new
    return checked(wanted) if is_whole else codes


def _with(codes: ResponseCodes, network: str, part: str, name: str, code: str) -> Mapping[str, Any]:
    """All tables with one code made another."""
    document = codes.document()
    document[network][part][name] = code
    return document


def _code_word(code: str) -> str:
    """Why a code was refused, in a word."""
    if code in CAPTURE_CODES:
        return "capture"
    if code == NEVER_RETRY:
        return "never_retry"
    return "approves" if code == "00" else "code"


def _word(setting: str) -> str:
    """Why the policy refused a value of a kind that was right."""
    kind = KINDS[setting]
    if kind in (Kind.MINUTES, Kind.HOURS, Kind.DAYS):
        return "time"
    return {Kind.CHOICE: "choice", Kind.MONEY: "money", Kind.COUNT: "whole"}.get(kind, "item")


def _is_ceiling(name: str) -> bool:
    return name.startswith("ceilings.")

"""The issuer's policy as a file (TOML): read, checked, and given a version.

Unknown names and values outside the rules are errors with the place in the file; a typing error in
a policy must never become a default.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from zhiwei.core.controls import AMOUNT_MAX
from zhiwei.core.documents import limit_document, limit_from
from zhiwei.core.errors import NotAllowedValueError, ZhiweiError
from zhiwei.core.policy import DEFAULT_POLICY, BalanceAlertsFrom, OnUnknown, Policy

_BYTES_MAX: Final = 1 << 20
_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS
#: Settings of the file that end so are kept in milliseconds.
_UNITS_MS: Final = {"minutes": _MINUTE_MS, "hours": _HOUR_MS, "days": _DAY_MS}
#: Longest time that a setting may say, ten years; the stores' numbers have 64 bits.
_LONGEST_MS: Final = 3_653 * _DAY_MS


class PolicyError(ZhiweiError):
    """the policy file cannot be used"""


def load_policy(path: Path) -> Policy:
    """The policy of a file; its version is its name in the file and a digest of its text.

    Raises:
        PolicyError: the file cannot be read, is not TOML, or says something that is not allowed.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise PolicyError(f"the policy file cannot be read: {error.strerror}") from None
    if len(raw) > _BYTES_MAX:
        raise PolicyError(f"the policy file is larger than {_BYTES_MAX} bytes")
    try:
        document = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyError(f"the policy file is not TOML: {error}") from None
    digest = blake2b(raw, digest_size=4).hexdigest()
    policy = policy_from(document)
    return replace(policy, version=f"{document.get('name', 'policy')}-{digest}")


def stored_text(policy: Policy) -> str:
    """The whole policy as JSON, to be kept with the decisions that were made under it."""
    document: dict[str, object] = {}
    for field in fields(policy):
        value = getattr(policy, field.name)
        if field.name == "ceilings":
            document[field.name] = [limit_document(limit) for limit in value]
        elif isinstance(value, frozenset):
            document[field.name] = sorted(value)
        else:
            document[field.name] = value
    return json.dumps(document, sort_keys=True)


def policy_of_stored(text: str) -> Policy:
    """The policy of `stored_text`.

    Raises:
        PolicyError: the text is not what `stored_text` made.
    """
    try:
        document = json.loads(text)
        values: dict[str, Any] = {}
        for field in fields(DEFAULT_POLICY):
            default = getattr(DEFAULT_POLICY, field.name)
            value = document.get(field.name, default)
            if field.name == "ceilings":
                value = tuple(limit_from(item) for item in value)
            elif isinstance(default, OnUnknown):
                value = OnUnknown(value)
            elif isinstance(default, BalanceAlertsFrom):
                # A policy from before there was a choice told of postings only.
                value = BalanceAlertsFrom(document.get(field.name, BalanceAlertsFrom.POSTINGS))
            elif isinstance(value, list):
                value = frozenset(value)
            values[field.name] = value
        return Policy(**values)
    except (ValueError, KeyError, TypeError, AttributeError, NotAllowedValueError) as error:
        raise PolicyError(f"a stored policy cannot be read: {error}") from None


def policy_from(document: Mapping[str, Any]) -> Policy:
    """The policy that a document says; what it does not say stays as in the default policy.

    Raises:
        PolicyError: an unknown name, or a value outside the rules.
    """
    changes: dict[str, Any] = {}
    for name, value in document.items():
        if name == "name":
            _text(name, value)
            continue
        read = _READERS.get(name)
        if read is None:
            names = ", ".join(sorted(_READERS))
            raise PolicyError(f"`{name[:40]}` is not a setting of the policy; there are: {names}")
        field, reader = read
        changes[field] = reader(name, value)
    return replace(DEFAULT_POLICY, **changes)


def settings_of(policy: Policy) -> dict[str, Any]:
    """The policy in the words and units of the file: `policy_from` gives it back, unnamed.

    What JSON alone can say: `licensed_institutions` is None where every one counts as licensed.
    """
    document: dict[str, Any] = {}
    for name, (field, _) in _READERS.items():
        value = getattr(policy, field)
        if field == "ceilings":
            value = [limit_document(limit) for limit in value]
        elif isinstance(value, frozenset):
            value = sorted(value)
        elif isinstance(value, OnUnknown | BalanceAlertsFrom):
            value = value.name.lower()
        elif name != field:
            value //= _UNITS_MS[name.rpartition("_")[2]]
        document[name] = value
    return document


def _whole(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -1 <= value <= AMOUNT_MAX:
        raise PolicyError(f"`{name}` is a whole number up to {AMOUNT_MAX}, not {value!r:.40}")
    return value


def _milliseconds(name: str, value: object, unit_ms: int, unit: str) -> int:
    number = _whole(name, value)
    if number < 0:
        raise PolicyError(f"`{name}` is at least 0 {unit}")
    if number * unit_ms > _LONGEST_MS:
        raise PolicyError(f"`{name}` is at most {_LONGEST_MS // unit_ms} {unit}")
    return number * unit_ms


def _milliseconds_of_minutes(name: str, value: object) -> int:
    return _milliseconds(name, value, _MINUTE_MS, "minutes")


def _milliseconds_of_hours(name: str, value: object) -> int:
    return _milliseconds(name, value, _HOUR_MS, "hours")


def _milliseconds_of_days(name: str, value: object) -> int:
    return _milliseconds(name, value, _DAY_MS, "days")


def _truth(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise PolicyError(f"`{name}` is true or false, not {value!r:.40}")
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise PolicyError(f"`{name}` is a text, not {value!r:.40}")
    return value


def _texts(name: str, value: object) -> frozenset[str]:
    if not isinstance(value, list):
        raise PolicyError(f"`{name}` is a list of texts, not {value!r:.40}")
    return frozenset(_text(name, item) for item in value)


def _mccs(name: str, value: object) -> frozenset[str]:
    """Merchant category codes (ISO 18245); one with a typing error would close nothing."""
    for code in (codes := _texts(name, value)):
        if len(code) != 4 or not (code.isascii() and code.isdigit()):
            raise PolicyError(f"`{name}` has codes of four digits, not {code!r:.40}")
    return codes


def _texts_or_all(name: str, value: object) -> frozenset[str] | None:
    """None, which only JSON can say, is every one of them."""
    return None if value is None else _texts(name, value)


def _on_unknown(name: str, value: object) -> OnUnknown:
    for choice in OnUnknown:
        if choice.name.lower() == value:
            return choice
    choices = ", ".join(choice.name.lower() for choice in OnUnknown)
    raise PolicyError(f"`{name}` is one of {choices}, not {value!r:.40}")


def _balance_alerts_from(name: str, value: object) -> BalanceAlertsFrom:
    for choice in BalanceAlertsFrom:
        if choice.name.lower() == value:
            return choice
    choices = ", ".join(choice.name.lower() for choice in BalanceAlertsFrom)
    raise PolicyError(f"`{name}` is one of {choices}, not {value!r:.40}")


def _ceilings(name: str, value: object) -> tuple[Any, ...]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise PolicyError(f"`{name}` is a list of tables [[{name}]]")
    for item in value:
        _check_limit(name, item)
    try:
        return tuple(limit_from(item, f"/{name}/{i}") for i, item in enumerate(value))
    except NotAllowedValueError as error:
        raise PolicyError(f"`{error.pointer}`: {error}") from None
    except (KeyError, TypeError) as error:
        raise PolicyError(
            f"a ceiling needs channel, measure, period and a value: {error}"
        ) from None


def _check_limit(name: str, item: Mapping[str, object]) -> None:
    """Raise for a name that a ceiling does not have, and for a number that is not whole."""
    for part, value in item.items():
        if part not in _LIMIT_PARTS:
            raise PolicyError(f"`{name}` has no `{part[:40]}`; a ceiling has {_LIMIT_WORDS}")
        if not isinstance(value, str if part in _LIMIT_TEXTS else int) or isinstance(value, bool):
            what = "text" if part in _LIMIT_TEXTS else "whole number"
            raise PolicyError(f"`{part}` of `{name}` is a {what}, not {value!r:.40}")


_LIMIT_TEXTS: Final = ("channel", "measure", "period")
_LIMIT_PARTS: Final = (*_LIMIT_TEXTS, "amount", "count", "seconds")
_LIMIT_WORDS: Final = ", ".join(_LIMIT_PARTS)

_READERS: Final[dict[str, tuple[str, Callable[[str, object], object]]]] = {
    "on_unknown_location_atm": ("on_unknown_location_atm", _on_unknown),
    "on_unknown_location_pos": ("on_unknown_location_pos", _on_unknown),
    "refuse_when_a_rule_fails": ("refuse_when_a_rule_fails", _truth),
    "ceilings": ("ceilings", _ceilings),
    "closed_mccs": ("closed_mccs", _mccs),
    "flagged_terminals": ("flagged_terminals", _texts),
    "licensed_institutions": ("licensed_institutions", _texts_or_all),
    "magstripe_threshold": ("magstripe_threshold", _whole),
    "challenge_minutes": ("challenge_ms", _milliseconds_of_minutes),
    "pass_minutes": ("pass_ms", _milliseconds_of_minutes),
    "challenges_per_hour": ("challenges_per_hour", _whole),
    "sms_may_approve": ("sms_may_approve", _truth),
    "hold_days": ("hold_ms", _milliseconds_of_days),
    "cooling_off_hours": ("cooling_off_ms", _milliseconds_of_hours),
    "new_contact_cooling_off_hours": ("new_contact_cooling_off_ms", _milliseconds_of_hours),
    "inquiry_alert_every_minutes": ("inquiry_alert_every_ms", _milliseconds_of_minutes),
    "balance_alerts_from": ("balance_alerts_from", _balance_alerts_from),
    "permission_max_days": ("permission_max_ms", _milliseconds_of_days),
}
#: Names that a policy file may set, for the reference page.
POLICY_SETTINGS: Final = tuple(sorted((*_READERS, "name")))


#: Settings that say something, in the order in which they are shown.
SETTINGS: Final = tuple(_READERS)


def field_of(setting: str) -> str:
    """The field of `Policy` that a setting of the file fills; `name` is a part of its version."""
    return "version" if setting == "name" else _READERS[setting][0]

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

from zhiwei.core.documents import limit_document, limit_from
from zhiwei.core.errors import NotAllowedValueError, ZhiweiError
from zhiwei.core.policy import DEFAULT_POLICY, BalanceAlertsFrom, OnUnknown, Policy

_BYTES_MAX: Final = 1 << 20
_MINUTE_MS: Final = 60_000


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


def _whole(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < -1:
        raise PolicyError(f"`{name}` is a whole number, not {value!r:.40}")
    return value


def _milliseconds_of_minutes(name: str, value: object) -> int:
    minutes = _whole(name, value)
    if minutes < 0:
        raise PolicyError(f"`{name}` is at least 0 minutes")
    return minutes * _MINUTE_MS


def _milliseconds_of_hours(name: str, value: object) -> int:
    return _milliseconds_of_minutes(name, value) * 60


def _milliseconds_of_days(name: str, value: object) -> int:
    return _milliseconds_of_hours(name, value) * 24


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
    try:
        return tuple(limit_from(item, f"/{name}/{i}") for i, item in enumerate(value))
    except NotAllowedValueError as error:
        raise PolicyError(f"`{error.pointer}`: {error}") from None
    except (KeyError, TypeError) as error:
        raise PolicyError(
            f"a ceiling needs channel, measure, period and a value: {error}"
        ) from None


_READERS: Final[dict[str, tuple[str, Callable[[str, object], object]]]] = {
    "on_unknown_location_atm": ("on_unknown_location_atm", _on_unknown),
    "on_unknown_location_pos": ("on_unknown_location_pos", _on_unknown),
    "refuse_when_a_rule_fails": ("refuse_when_a_rule_fails", _truth),
    "ceilings": ("ceilings", _ceilings),
    "closed_mccs": ("closed_mccs", _texts),
    "flagged_terminals": ("flagged_terminals", _texts),
    "licensed_institutions": ("licensed_institutions", _texts),
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


def field_of(setting: str) -> str:
    """The field of `Policy` that a setting of the file fills; `name` is a part of its version."""
    return "version" if setting == "name" else _READERS[setting][0]

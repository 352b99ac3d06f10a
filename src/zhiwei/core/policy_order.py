"""Which policy is looser: the settings after whose change something could be approved.

Such a change needs a second pair of eyes (四眼原则). Where it depends on more than the values, a
setting counts as looser: a signature too many does no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from zhiwei.core.limit_order import all_implied
from zhiwei.core.policy import OnUnknown, Policy

#: How lenient each choice is about an unknown place.
_LENIENCE: Final = {OnUnknown.DECLINE: 0, OnUnknown.CHALLENGE: 1, OnUnknown.ALLOW: 2}


def loosens(old: Policy, new: Policy) -> tuple[str, ...]:
    """Names of the settings (fields of `Policy`) that loosen, in the order of the fields.

    None = whatever was refused or asked about under `old` is not simply approved under `new`, by
    the settings themselves and for the same file of a card.
    """
    return tuple(
        name
        for name, is_looser in _LOOSENS.items()
        if is_looser(getattr(old, name), getattr(new, name))
    )


def _never(_old: object, _new: object) -> bool:
    """No request is answered by it."""
    return False


def _is_more(old: int, new: int) -> bool:
    return new > old


def _is_less(old: int, new: int) -> bool:
    return new < old


def _is_other(old: int, new: int) -> bool:
    return new != old


def _is_more_lenient(old: OnUnknown, new: OnUnknown) -> bool:
    return _LENIENCE[new] > _LENIENCE[old]


def _begins(old: bool, new: bool) -> bool:
    return new and not old


def _ends(old: bool, new: bool) -> bool:
    return old and not new


def _leaves_out(old: frozenset[str], new: frozenset[str]) -> bool:
    return not old <= new


def _asks_later(old: int, new: int) -> bool:
    """A threshold went up, or away (-1)."""
    return old >= 0 and (new < 0 or new > old)


#: A setting that is missing here would be changed by one person alone: a test walks the fields.
_LOOSENS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "version": _never,
    "on_unknown_location_atm": _is_more_lenient,
    "on_unknown_location_pos": _is_more_lenient,
    "refuse_when_a_rule_fails": _ends,
    "ceilings": lambda old, new: not all_implied(new, old),
    "closed_mccs": _leaves_out,
    "flagged_terminals": _leaves_out,
    # The check-up warns of the others; no answer depends on it.
    "licensed_institutions": _never,
    "magstripe_threshold": _asks_later,
    "challenge_ms": _is_more,
    "pass_ms": _is_more,
    # Past it nobody is asked, so nobody can say yes.
    "challenges_per_hour": _is_more,
    "sms_may_approve": _begins,
    # A shorter hold gives its amount back earlier; a longer one lets a late completion pass.
    "hold_ms": _is_other,
    "cooling_off_ms": _is_less,
    "new_contact_cooling_off_ms": _is_less,
    "inquiry_alert_every_ms": _never,
    "balance_alerts_from": _never,
    "permission_max_ms": _is_more,
}
#: Settings that somebody thought about, for the test that walks the fields.
ORDERED_SETTINGS: Final = tuple(_LOOSENS)

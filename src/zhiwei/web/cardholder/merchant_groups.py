"""Kinds of shops in people's words, and the merchant category codes (MCC, ISO 18245) of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from zhiwei.web.cardholder.deeds import BadFormError

#: Name of a group (its sentence is `group.<name>`) and its codes.
GROUPS: Final[dict[str, tuple[str, ...]]] = {
    # Betting, casinos, lotteries.
    "gambling": ("7800", "7801", "7802", "7995"),
    # Quasi cash, crypto assets, money transfer.
    "quasi_cash": ("4829", "6051", "6540"),
    # Digital games, arcades.
    "games": ("5816", "7993", "7994"),
    # Dating, escorts, teleservices of that kind.
    "dating": ("5967", "7273"),
    # Direct and telephone marketing.
    "telemarketing": ("5962", "5964", "5965", "5966", "5968", "5969"),
    # Jewellery, gold, watches: what is turned into money quickly.
    "jewellery": ("5094", "5944"),
    # Pawn shops.
    "pawn": ("5933",),
    # Bars, liquor, tobacco.
    "bars": ("5813", "5921", "5993"),
}


def mccs_of(names: Iterable[str]) -> set[str]:
    """The codes of several groups.

    Raises:
        BadFormError: there is no such group.
    """
    found: set[str] = set()
    for name in names:
        if name not in GROUPS:
            raise BadFormError("form.unknown")
        found.update(GROUPS[name])
    return found


def split(mccs: Iterable[str]) -> tuple[list[str], list[str]]:
    """The groups that are wholly named, and the codes that belong to none of those."""
    named = set(mccs)
    groups = [name for name, codes in GROUPS.items() if named.issuperset(codes)]
    return groups, sorted(named - mccs_of(groups))

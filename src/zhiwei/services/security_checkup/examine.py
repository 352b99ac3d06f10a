"""Examine: all checks over all cards of one customer, as one report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from zhiwei.core.card_state import CardState, CardStatus
from zhiwei.core.ids import card_id
from zhiwei.core.policy import Policy
from zhiwei.services.security_checkup import checks
from zhiwei.services.security_checkup.checks import CardCheck, Gap
from zhiwei.services.security_checkup.history import CardHistory
from zhiwei.services.security_checkup.report import (
    RULES_VERSION,
    CheckupFinding,
    Device,
    Mode,
    Report,
    grade_of,
)


@dataclass(frozen=True)
class _CardRule:
    """A check of each card, and what failing it on all cards costs."""

    id: str
    points: int
    check: CardCheck


#: Checks of cards, dearest first.
_CARD_RULES: Final = (
    _CardRule("pure_magstripe", 20, checks.pure_magstripe),
    _CardRule("no_balance_alert", 15, checks.no_balance_alert),
    _CardRule("overseas_lock_off", 10, checks.overseas_lock_off),
    _CardRule("night_lock_off", 5, checks.night_lock_off),
    _CardRule("region_lock_off", 5, checks.region_lock_off),
    _CardRule("limits_never_set", 5, checks.limits_never_set),
)
#: Tips cost nothing; only the full check-up gives them.
_TIPS: Final = (
    _CardRule("balance_inquiry_alert_off", 0, checks.balance_inquiry_alert_off),
    _CardRule("overseas_online_lock_off", 0, checks.overseas_online_lock_off),
    _CardRule("dormant", 0, checks.dormant),
)
_UNLICENSED: Final = "unlicensed_institution"
_UNLICENSED_POINTS: Final = 20
_MANY_BINDINGS: Final = "many_bindings"
_MANY_BINDINGS_POINTS: Final = 5
_UNSAFE_DEVICE: Final = "unsafe_device"
_UNSAFE_DEVICE_POINTS: Final = 15


def examine(
    cards: Sequence[CardState],
    histories: Sequence[CardHistory],
    policy: Policy,
    now_ms: int,
    mode: Mode,
    device: Device | None = None,
) -> Report:
    """Look over a customer's cards.

    Cards that are closed, lost, frozen or stopped cannot be debited and are left out. A check that
    fails on some of several cards costs its share; each card's part is told as a finding of its
    own.

    Args:
        cards: files of the customer's cards, as of now.
        histories: use of the cards (`history_of`); ignored in a quick check-up.
        policy: the issuer's policy.
        now_ms: the instant, UTC ms.
        mode: quick or full.
        device: what the app says of the phone; None = nothing.
    """
    examined = tuple([card for card in _in_order(cards) if _can_be_debited(card)])
    known: dict[bytes, CardHistory] = {}
    if mode is Mode.FULL:
        known = {history.card_key: history for history in histories}
    findings: list[CheckupFinding] = []
    checked: list[str] = []
    rules = _CARD_RULES + _TIPS if mode is Mode.FULL else _CARD_RULES
    for rule in rules:
        checked.append(rule.id)
        for index, card in enumerate(examined):
            gap = rule.check(card, known.get(card.card_key), now_ms)
            if gap is not None:
                share = _share(rule.points, index, len(examined))
                findings.append(_finding(rule.id, rule.points, share, card, gap))
    findings.extend(_about_links(examined, known))
    checked.extend([_UNLICENSED, _MANY_BINDINGS])
    skipped: list[tuple[str, str]] = []
    if mode is Mode.FULL and device is not None:
        checked.append(_UNSAFE_DEVICE)
        findings.extend(_about_device(device))
    else:
        why = "mode" if mode is Mode.QUICK else "no_device_data"
        skipped.append((_UNSAFE_DEVICE, why))
    if mode is Mode.QUICK:
        skipped.extend([(tip.id, "mode") for tip in _TIPS])
    findings.sort(key=_dearest_first)
    score = max(100 - sum([finding.points for finding in findings]), 0)
    return Report(
        rules_version=RULES_VERSION,
        mode=mode,
        examined_ms=now_ms,
        cards=tuple([card_id(card.card_key) for card in examined]),
        score=score,
        grade=grade_of(score),
        next_step=_next_step(findings),
        findings=tuple(findings),
        checked=tuple(checked),
        skipped=tuple(skipped),
    )


def _about_links(
    cards: tuple[CardState, ...], known: dict[bytes, CardHistory]
) -> list[CheckupFinding]:
    """What is wrong with the links to payment institutions."""
    findings: list[CheckupFinding] = []
    links = checks.linked(cards)
    unlicensed: list[tuple[CardState, Gap]] = []
    for card, binding in links:
        gap = checks.unlicensed_institution(card, binding)
        if gap is not None:
            unlicensed.append((card, gap))
    for index, (card, gap) in enumerate(unlicensed):
        share = _share(_UNLICENSED_POINTS, index, len(unlicensed))
        findings.append(_finding(_UNLICENSED, _UNLICENSED_POINTS, share, card, gap))
    many = checks.many_bindings(links, known)
    if many is not None:
        points = _MANY_BINDINGS_POINTS
        findings.append(_finding(_MANY_BINDINGS, points, points, None, many))
    return findings


def _about_device(device: Device) -> list[CheckupFinding]:
    """What is wrong with the phone; the worst thing is told."""
    sentence = ""
    if device.is_rooted:
        sentence = "rooted"
    elif device.has_screen_lock is False:
        sentence = "no_screen_lock"
    elif device.is_system_current is False:
        sentence = "old_system"
    if not sentence:
        return []
    points = _UNSAFE_DEVICE_POINTS
    return [_finding(_UNSAFE_DEVICE, points, points, None, Gap(sentence, {}, None))]


def _finding(
    name: str, points: int, share: int, card: CardState | None, gap: Gap
) -> CheckupFinding:
    """A gap as a finding."""
    card_text = "" if card is None else card_id(card.card_key)
    return CheckupFinding(
        name, _severity(points), share, card_text, gap.sentence, gap.evidence, gap.fix
    )


def _severity(points: int) -> str:
    """How bad a check's failing is, by what it costs."""
    if points >= 15:
        return "high"
    if points >= 10:
        return "medium"
    return "low" if points > 0 else "tip"


def _share(points: int, index: int, count: int) -> int:
    """What the `index`-th of `count` parts costs; all parts together cost `points`."""
    return points * (index + 1) // count - points * index // count


def _next_step(findings: list[CheckupFinding]) -> int:
    """The dearest finding that has a fix; -1 = none has."""
    for index, finding in enumerate(findings):
        if finding.fix is not None:
            return index
    return -1


def _in_order(cards: Sequence[CardState]) -> list[CardState]:
    """Cards by age, so that the same customer always reads the same report."""
    return sorted(cards, key=_age)


def _age(card: CardState) -> tuple[int, bytes]:
    return (card.settings.profile.created_ms, card.card_key)


def _can_be_debited(card: CardState) -> bool:
    """Neither closed, lost or frozen, nor stopped."""
    return card.settings.profile.status is CardStatus.ACTIVE and card.settings.stop is None


def _dearest_first(finding: CheckupFinding) -> tuple[int, int]:
    return (-_SEVERITIES.index(finding.severity), -finding.points)


_SEVERITIES: Final = ("tip", "low", "medium", "high")

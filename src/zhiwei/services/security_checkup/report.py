"""What a check-up says: findings with evidence and fixes, score, grade, best next step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, TypeAlias

#: Version of the checks and their points; kept with each report.
RULES_VERSION: Final = "2026.1"

#: Grade by lowest score.
GRADES: Final = ((90, "excellent"), (75, "good"), (60, "fair"), (0, "poor"))

EvidenceFacts: TypeAlias = "dict[str, int | str | list[str]]"
FixBody: TypeAlias = "dict[str, Any]"


class Mode(IntEnum):
    """How deep the check-up looks."""

    #: 快速检测: settings and bindings.
    QUICK = 0
    #: 全面检测: settings, bindings, 12 months of use, and the device where the app tells of it.
    FULL = 1


@dataclass(frozen=True)
class Device:
    """What the holder's app says of the phone (手机使用环境); None = it did not say."""

    is_rooted: bool | None = None
    has_screen_lock: bool | None = None
    is_system_current: bool | None = None


@dataclass(frozen=True)
class Fix:
    """A call that mends the finding, ready to be sent."""

    #: `PUT` or `DELETE`.
    method: str
    path: str
    body: FixBody | None = None


@dataclass(frozen=True)
class CheckupFinding:
    """One gap."""

    #: Name of the check, for example `overseas_lock_off`.
    id: str
    #: `high`, `medium`, `low`, or `tip` (costs no points).
    severity: str
    points: int
    #: Public id of the card; empty where the finding is about the customer as a whole.
    card: str
    #: Which of the sentences fits the evidence: words key `checkup.<id>.<sentence>`.
    sentence: str
    #: Numbers and names from the customer's own data that the sentence needs.
    evidence: EvidenceFacts
    fix: Fix | None


@dataclass(frozen=True)
class Report:
    """The whole result."""

    rules_version: str
    mode: Mode
    examined_ms: int
    #: Public ids of the cards that were looked at.
    cards: tuple[str, ...]
    #: 0-100; 100 = nothing found that costs points.
    score: int
    #: `excellent`, `good`, `fair` or `poor`.
    grade: str
    #: The finding to mend first; -1 = none has a fix.
    next_step: int
    #: Dearest first.
    findings: tuple[CheckupFinding, ...]
    #: Names of the checks that were made.
    checked: tuple[str, ...]
    #: Names of the checks that could not be made, and why: `mode` or `no_device_data`.
    skipped: tuple[tuple[str, str], ...]


def grade_of(score: int) -> str:
    """The grade of a score."""
    for lowest, grade in GRADES:
        if score >= lowest:
            return grade
    raise AssertionError(score)


def document(report: Report) -> dict[str, Any]:
    """The report as JSON shows and keeps it; sentences are added where people read it."""
    return {
        "rules_version": report.rules_version,
        "mode": report.mode.name.lower(),
        "examined_ms": report.examined_ms,
        "cards": list(report.cards),
        "score": report.score,
        "grade": report.grade,
        "next_step": report.next_step if report.next_step >= 0 else None,
        "findings": [_finding_document(finding) for finding in report.findings],
        "checked": list(report.checked),
        "skipped": [{"id": name, "why": why} for name, why in report.skipped],
    }


def _finding_document(finding: CheckupFinding) -> dict[str, Any]:
    """One finding as JSON."""
    fix: dict[str, Any] | None = None
    if finding.fix is not None:
        fix = {"method": finding.fix.method, "path": finding.fix.path, "body": finding.fix.body}
    return {
        "id": finding.id,
        "severity": finding.severity,
        "points": finding.points,
        "card": finding.card or None,
        "sentence": finding.sentence,
        "evidence": dict(finding.evidence),
        "fix": fix,
    }

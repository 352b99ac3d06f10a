"""The combination: every control is asked, all findings are kept, and the strictest wins.

This is the law of the house (SEMANTICS 5): refuse > challenge > approve, whatever the order. It
knows no room by name; it is handed the judges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, final

from zhiwei.core.card_state import CardState, Permission, PermissionKind
from zhiwei.core.finding import NO_OPINION, Finding, Findings, Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.reason import LIFTABLE_BY_PERMISSION, Reason
from zhiwei.core.request import Request
from zhiwei.core.windows import Moment

#: A judge says what its control finds about a request; it is given the file as of the moment
#: (windows rolled, expired things gone) and changes nothing. An empty tuple means: no opinion.
Judge: TypeAlias = "Callable[[Policy, CardState, Request, Moment], Findings]"


@final
class Verdict:
    """The combined answer."""

    __slots__ = ("findings", "outcome", "permissions")

    def __init__(
        self, outcome: Outcome, findings: Findings, permissions: tuple[Permission, ...]
    ) -> None:
        self.outcome: Final = outcome
        #: In order of precedence; lifted ones come last.
        self.findings: Final = findings
        #: The permissions that lifted findings, to be consumed if the request is approved.
        self.permissions: Final = permissions


_APPROVED: Final = Verdict(Outcome.APPROVE, NO_OPINION, ())


def decide(
    judges: tuple[tuple[str, Judge], ...],
    policy: Policy,
    state: CardState,
    request: Request,
    moment: Moment,
) -> Verdict:
    """Ask all judges and combine what they find.

    A judge that raises has found `RULE_FAILED`: unknown means closed, and says so. That is the one
    place where an exception of a rule is caught.
    """
    found: list[Finding] = []
    for name, judge in judges:
        try:
            opinion = judge(policy, state, request, moment)
        except Exception as error:  # noqa: BLE001 - any bug of a rule is a refusal, never a crash
            outcome = Outcome.REFUSE if policy.refuse_when_a_rule_fails else Outcome.APPROVE
            opinion = (
                Finding(outcome, Reason.RULE_FAILED, name, (("error", type(error).__name__),)),
            )
        if opinion:
            found.extend(opinion)
    if not found:
        return _APPROVED
    used: tuple[Permission, ...] = ()
    if state.settings.permissions:
        found, used = _after_permissions(state, found, request, moment)
    return Verdict(strictest(found), in_order(found), used)


def strictest(findings: list[Finding]) -> Outcome:
    """The strictest outcome among the findings that stand."""
    outcome = Outcome.APPROVE
    for finding in findings:
        if not finding.lifted_by and finding.outcome > outcome:
            outcome = finding.outcome
    return outcome


def in_order(findings: list[Finding]) -> Findings:
    """Findings that stand before lifted ones, refusals first, then by precedence of the reason."""
    return tuple(
        sorted(
            findings, key=lambda f: (bool(f.lifted_by), -int(f.outcome), int(f.reason), f.control)
        )
    )


def _after_permissions(
    state: CardState, findings: list[Finding], request: Request, moment: Moment
) -> tuple[list[Finding], tuple[Permission, ...]]:
    """The findings with those marked that permissions lift, and the permissions that lifted any.

    Permissions that may be used again go first, so that a one-use pass is spent only where it is
    needed.
    """
    fitting = [p for p in state.settings.permissions if fits(p, state, request, moment)]
    fitting.sort(key=lambda p: p.uses_left >= 0)
    used: list[Permission] = []
    for permission in fitting:
        lifted_any = False
        for index, finding in enumerate(findings):
            if finding.stands and _lifts(permission, finding):
                findings[index] = Finding(
                    finding.outcome, finding.reason, finding.control, finding.facts, permission.id
                )
                lifted_any = True
        if lifted_any:
            used.append(permission)
    return findings, tuple(used)


def _lifts(permission: Permission, finding: Finding) -> bool:
    """Whether a permission may lift this finding at all."""
    if finding.reason not in LIFTABLE_BY_PERMISSION:
        return False
    return not permission.controls or finding.control in permission.controls


def fits(permission: Permission, state: CardState, request: Request, moment: Moment) -> bool:
    """Whether a permission speaks about this request.

    Time, place, merchant, currency, amount and uses left must all fit.
    """
    if not permission.from_ms <= moment.now_ms < permission.until_ms or permission.uses_left == 0:
        return False
    # A pass is bound to its merchant even where the message named none.
    is_bound = bool(permission.merchant_id) or permission.kind is PermissionKind.PASS
    if is_bound and permission.merchant_id != request.merchant_id:
        return False
    if permission.countries and request.country not in permission.countries:
        return False
    if permission.regions and request.region not in permission.regions:
        return False
    if permission.currency and permission.currency != request.currency:
        return False
    billed = billed_minor(state, request)
    asked = request.amount_minor if permission.kind is PermissionKind.PASS else billed
    # An amount that nobody told in the card's currency could be any.
    if permission.amount_max >= 0 and not 0 <= asked <= permission.amount_max:
        return False
    if permission.total_max < 0:
        return True
    return billed >= 0 and permission.total_used + billed <= permission.total_max


def billed_minor(state: CardState, request: Request) -> int:
    """The amount in the card's own currency, minor units; -1 = not told.

    The billing amount where there is one, else the transaction's own.
    """
    currency = state.settings.profile.currency
    if request.billing_currency == currency and request.billing_amount_minor >= 0:
        return request.billing_amount_minor
    # Nothing is nothing in every currency.
    is_known = request.currency == currency or request.amount_minor == 0
    return request.amount_minor if is_known else -1

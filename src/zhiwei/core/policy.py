"""Policy: the issuer's own bounds and defaults, as one value with a version.

Policy is data that the operator keeps; a decision records the version that it was made under.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from zhiwei.core.controls import Limit
from zhiwei.core.finding import Outcome
from zhiwei.core.request import Channel, Request
from zhiwei.core.windows import HOUR_MS, MINUTE_MS


class OnUnknown(IntEnum):
    """What an unknown location means where a lock needs to know it (SEMANTICS 5)."""

    DECLINE = 0
    ALLOW = 1
    CHALLENGE = 2


class BalanceAlertsFrom(IntEnum):
    """What the balance-change alert (余额变动提醒) is told from. Numbers are stored."""

    #: The core bank's postings only.
    POSTINGS = 0
    #: Approved card messages with a balance only.
    AUTHORIZATIONS = 1
    #: Both; a movement that comes both ways is told once.
    BOTH = 2


@dataclass(frozen=True)
class Policy:
    """What the issuer decided for all its cards."""

    #: Name of this version; written into every decision.
    version: str = "default-2"
    #: A lock needs the place and nobody told it, at an ATM: decline, allow or challenge.
    on_unknown_location_atm: OnUnknown = OnUnknown.DECLINE
    #: The same at a POS.
    on_unknown_location_pos: OnUnknown = OnUnknown.CHALLENGE
    #: What a rule that fails inside means: refuse (the default), or let the others decide.
    refuse_when_a_rule_fails: bool = True
    #: Ceilings that no cardholder can exceed, in the card's currency; the smaller of both holds.
    ceilings: tuple[Limit, ...] = ()
    #: Categories that the issuer closed for every card (MCCs).
    closed_mccs: frozenset[str] = frozenset()
    #: Terminals known as non-standard (非标终端), as `acquirer/terminal` or `terminal`.
    flagged_terminals: frozenset[str] = frozenset()
    #: Institutions with a payment licence; None = every institution counts as licensed.
    licensed_institutions: frozenset[str] | None = None
    #: Threshold of the magstripe verification where the cardholder set none, minor units of CNY
    #: cards: over 20,000.00 [银办发〔2017〕120号]; -1 = no default.
    magstripe_threshold: int = 2_000_000
    #: How long a question stays open.
    challenge_ms: int = 10 * MINUTE_MS
    #: How long a pass lasts.
    pass_ms: int = 15 * MINUTE_MS
    #: Questions that one card may be asked in an hour; past it the request is refused without
    #: asking.
    challenges_per_hour: int = 10
    #: Whether "yes" by SMS with the reference may leave a pass.
    sms_may_approve: bool = True
    #: How long a pre-authorization holds its amount.
    hold_ms: int = 30 * 24 * HOUR_MS
    #: Cooling-off of every loosening; 0 = at once.
    cooling_off_ms: int = 0
    #: Cooling-off of loosenings while a device or number is new.
    new_contact_cooling_off_ms: int = 12 * HOUR_MS
    #: One balance-inquiry alert per terminal in this time.
    inquiry_alert_every_ms: int = 10 * MINUTE_MS
    #: What the balance-change alert is told from: `postings`, `authorizations` that tell a balance,
    #: or `both`; a movement that comes both ways is told once.
    balance_alerts_from: BalanceAlertsFrom = BalanceAlertsFrom.BOTH
    #: Longest temporary permission and travel plan.
    permission_max_ms: int = 90 * 24 * HOUR_MS

    def outcome_of_unknown_place(self, channel: Channel) -> Outcome:
        """What a lock finds that needs a place which nobody told (SEMANTICS 5).

        An unknown channel could be an ATM or a POS: the stricter choice of the two holds.
        """
        atm = _OUTCOMES[self.on_unknown_location_atm]
        if channel is Channel.ATM:
            return atm
        pos = _OUTCOMES[self.on_unknown_location_pos]
        return max(atm, pos) if channel is Channel.UNKNOWN else pos

    def has_flagged(self, request: Request) -> bool:
        """Whether the terminal is non-standard (非标终端).

        The message says so, or the issuer's list does.
        """
        if request.terminal_flagged:
            return True
        if not self.flagged_terminals or not request.terminal:
            return False
        return (
            request.terminal in self.flagged_terminals
            or f"{request.acquirer}/{request.terminal}" in self.flagged_terminals
        )


_OUTCOMES: Final = {
    OnUnknown.DECLINE: Outcome.REFUSE,
    OnUnknown.ALLOW: Outcome.APPROVE,
    OnUnknown.CHALLENGE: Outcome.CHALLENGE,
}

DEFAULT_POLICY = Policy()

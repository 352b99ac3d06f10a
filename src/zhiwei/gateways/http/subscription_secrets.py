"""Secrets of subscriptions: derived from the vault's key, shown once, kept nowhere.

A subscription's record says how often its secret was changed (`generation`); each generation is a
secret of its own. For a day after a change messages are signed under the old one too, so that a
receiver can change over without losing one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from zhiwei.gateways.http.house import CardVault
from zhiwei.gateways.outgoing.signing import secret_text
from zhiwei.ports import Subscription

#: How long the secret before a change stays valid.
OVERLAP_MS: Final = 24 * 3_600_000
#: Secrets that may be valid at once; whoever changes faster loses the oldest early.
_VALID_MAX: Final = 8


def secrets_of(vault: CardVault, subscription: Subscription, now_ms: int) -> list[str]:
    """All secrets (`whsec_…`) that are valid at an instant of the house's clock, newest first."""
    newest = subscription.generation
    old = _old(subscription, now_ms)
    return [_secret(vault, subscription.id, newest - back) for back in range(old + 1)]


def with_new_secret(subscription: Subscription, now_ms: int) -> Subscription:
    """The subscription after a change of its secret."""
    still = subscription.rotated_ms[len(subscription.rotated_ms) - _old(subscription, now_ms) :]
    return replace(
        subscription,
        generation=subscription.generation + 1,
        rotated_ms=(*still, now_ms)[1 - _VALID_MAX :],
    )


def old_secret_until(subscription: Subscription, now_ms: int) -> int:
    """Until when the secret before the last change signs too (UTC ms); 0 = it does not."""
    return subscription.rotated_ms[-1] + OVERLAP_MS if _old(subscription, now_ms) else 0


def _old(subscription: Subscription, now_ms: int) -> int:
    """How many secrets before the newest are valid still."""
    valid = 0
    for changed_ms in reversed(subscription.rotated_ms):
        if now_ms >= changed_ms + OVERLAP_MS:
            break
        valid += 1
    return valid


def _secret(vault: CardVault, subscription_id: str, generation: int) -> str:
    # The first generation is as it was before secrets could be changed.
    suffix = f"|{generation}" if generation else ""
    return secret_text(vault.derived_secret(f"webhook|{subscription_id}{suffix}"))

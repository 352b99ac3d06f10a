"""Samples: one event of each kind and variant, with facts as the guardian writes them.

They are what `zhiwei texts` shows, and what the tests hold the catalogues to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from zhiwei.core.card_state import (
    Binding,
    CardState,
    CardStatus,
    Challenge,
    ChallengeState,
    Permission,
    PermissionKind,
    Profile,
    Settings,
)
from zhiwei.core.event import Event, EventFacts, EventKind
from zhiwei.core.usage import UNUSED
from zhiwei.core.windows import HOUR_MS, MINUTE_MS
from zhiwei.core.zone import Zone
from zhiwei.ports import EventRow

#: 2025-11-24 12:00 in Shanghai.
NOON_MS: Final = 1_763_956_800_000
_CARD_KEY: Final = bytes(range(16))
_ZONE: Final = Zone("Asia/Shanghai", [0], [8 * HOUR_MS])
_TAIL: Final = "1234"
_DAY_MS: Final = 24 * HOUR_MS
_NAMES: Final = {
    "zh": {
        "jeweller": "周大福珠宝深圳万象城店",
        "grocer": "盒马鲜生",
        "bank": "中国银行人民路支行",
        "institution": "支付宝",
    },
    "en": {
        "jeweller": "Chow Tai Fook Shenzhen MixC",
        "grocer": "Freshippo",
        "bank": "Bank of China Renmin Road",
        "institution": "Alipay",
    },
}


@dataclass(frozen=True)
class Sample:
    """An event to show."""

    #: The kind's word, with `.variant` where there is one.
    name: str
    row: EventRow


def sample_card(language: str = "zh") -> CardState:
    """The card that the samples are of; names are in the language."""
    question = Challenge(
        id="chg_sample",
        reference="123456",
        state=ChallengeState.EXPIRED,
        version=7,
        asked_ms=NOON_MS - 10 * MINUTE_MS,
        expires_ms=NOON_MS,
        merchant_id="898110000000001",
        merchant_name=_NAMES[language]["jeweller"],
        amount_minor=2_580_000,
        currency="CNY",
        reasons=("large_spend_verification",),
        controls=("large_spend_verification",),
    )
    travel = Permission(
        "exc_sample",
        PermissionKind.TRAVEL,
        NOON_MS,
        NOON_MS + 7 * _DAY_MS,
        countries=("JPN", "THA"),
    )
    binding = Binding(
        id="bind_sample",
        institution="Z2004944000010",
        name=_NAMES[language]["institution"],
        since_ms=NOON_MS,
        is_open=True,
        is_licensed=True,
    )
    profile = Profile(
        cardholder="holder_sample",
        tail=_TAIL,
        currency="CNY",
        zone=_ZONE,
        has_chip=True,
        network="unionpay",
        status=CardStatus.ACTIVE,
        created_ms=NOON_MS,
    )
    settings = Settings(profile, challenges=(question,), permissions=(travel,), bindings=(binding,))
    return CardState(_CARD_KEY, 9, NOON_MS, bytes(16), settings, UNUSED, (), ())


def samples(language: str = "zh") -> list[Sample]:
    """All of them, in the order of the kinds; names are in the language."""
    found: list[Sample] = []
    for place, (name, facts) in enumerate(_SAMPLES):
        kind = EventKind[name.partition(".")[0].upper()]
        told = {key: _NAMES[language].get(str(value), value) for key, value in facts.items()}
        row = EventRow(place + 1, f"evt_sample{place}", _CARD_KEY, 9, NOON_MS, Event(kind, told))
        found.append(Sample(name, row))
    return found


_QUESTION: Final[EventFacts] = {
    "challenge": "chg_sample",
    "reference": "123456",
    "amount": 2_580_000,
    "currency": "CNY",
    "merchant": "jeweller",
    "tail": _TAIL,
    "expires_ms": NOON_MS + 10 * MINUTE_MS,
}
_POSTING: Final[EventFacts] = {
    "tail": _TAIL,
    "at_ms": NOON_MS,
    "business": "purchase",
    "amount": 12_850,
    "currency": "CNY",
    "direction": "out",
    "counterparty_tail": "5678",
    "counterparty_name": "grocer",
    "reference": "T20251124001",
    "reverses": "",
    "channels": [],
    "balance": 1_023_450,
}
_CLOSED: Final = '{"countries": []}'
_OPENED: Final = '{"countries": ["JPN"]}'
_ACTIVE: Final = '{"status": "active", "has_chip": true}'
_SAMPLES: Final[tuple[tuple[str, EventFacts], ...]] = (
    (
        "transaction_declined",
        {
            "tail": _TAIL,
            "at_ms": NOON_MS,
            "kind": "cash_withdrawal",
            "channel": "atm",
            "amount": 500_000,
            "currency": "CNY",
            "merchant": "bank",
            "country": "CHN",
            "region": "44",
            "reasons": ["night_lock_active"],
            "controls": ["night_lock"],
        },
    ),
    ("challenge_created", {**_QUESTION, "reasons": ["location_unknown"]}),
    ("challenge_created.magstripe", {**_QUESTION, "reasons": ["magstripe_verification"]}),
    ("challenge_created.large_spend", {**_QUESTION, "reasons": ["large_spend_verification"]}),
    ("challenge_answered", {**_QUESTION, "answer": "approve"}),
    ("challenge_answered.denied", {**_QUESTION, "answer": "deny"}),
    (
        "balance_inquired",
        {
            "tail": _TAIL,
            "at_ms": NOON_MS,
            "channel": "atm",
            "acquirer": "01030000",
            "terminal": "00012345",
            "merchant": "",
            "country": "CHN",
            "region": "44",
            "untold": 3,
            "refused": 0,
        },
    ),
    ("balance_changed", _POSTING),
    (
        "balance_changed.reversal",
        {
            **_POSTING,
            "business": "reversal",
            "direction": "in",
            "counterparty_tail": "",
            "counterparty_name": "",
            "reverses": "T20251123017",
            "original_at_ms": NOON_MS - _DAY_MS,
            "original_amount": 12_850,
            "original_currency": "CNY",
        },
    ),
    ("control_updated", {"control": "night_lock", "old": "", "new": "{}", "loosened": 0}),
    (
        "control_updated.loosened",
        {"control": "overseas_lock", "old": _CLOSED, "new": _OPENED, "loosened": 1},
    ),
    (
        "loosening_pending",
        {"control": "overseas_lock", "available_ms": NOON_MS + 12 * HOUR_MS, "new": ""},
    ),
    ("loosening_cancelled", {"control": "overseas_lock"}),
    ("loosening_took_effect", {"control": "overseas_lock", "new": ""}),
    (
        "stop_placed",
        {"reference": "ZF00123456", "source": "app", "tail": _TAIL, "at_ms": NOON_MS},
    ),
    ("stop_lifted", {"reference": "ZF00123456"}),
    (
        "permission_granted",
        {"permission": "exc_sample", "until_ms": NOON_MS + 7 * _DAY_MS},
    ),
    ("permission_revoked", {"permission": "exc_sample"}),
    ("permission_used", {"permission": "exc_sample"}),
    ("conflict_seen", {"first_version": 5}),
    ("advice_bypassed_control", {"reasons": ["over_daily_limit"]}),
    (
        "limit_nearly_reached",
        {
            "tail": _TAIL,
            "channel": "atm",
            "measure": "amount",
            "period": "day",
            "used": 1_600_000,
            "limit": 2_000_000,
            "resets_ms": NOON_MS + 12 * HOUR_MS,
        },
    ),
    ("binding_created", {"institution": "Z2004944000010"}),
    ("binding_removed", {"institution": "Z2004944000010"}),
    ("binding_switched", {"binding": "bind_sample", "now": "closed"}),
    ("binding_switched.opened", {"binding": "bind_sample", "now": "open"}),
    (
        "card_updated",
        {"old": _ACTIVE, "new": '{"status": "frozen", "has_chip": true}'},
    ),
    ("contact_changed", {"at_ms": NOON_MS, "until_ms": NOON_MS + 43_200_000}),
    ("case_opened", {"challenge": "chg_sample", "reference": "123456"}),
    ("rule_failed", {"controls": ["night_lock"]}),
    ("challenge_expired", {"challenge": "chg_sample", "reference": "123456"}),
    ("challenge_undeliverable", {"challenge": "chg_sample"}),
    ("transaction_reversed", {"original_version": 8, "amount": 12_850}),
)

"""The bench's cards as commands of ours: who they are, and the controls of their habits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from zhiwei.bench.cards import pan_of
from zhiwei.bench.habits import CLOSED_CATEGORIES, STRIPE_THRESHOLD_MINOR, Habits, habits_of
from zhiwei.core.card_state import CardState, CardStatus, Profile, Stop, StopSource
from zhiwei.core.command import Actor, Command, PlaceStop, Register, SetControl, Via
from zhiwei.core.controls import (
    CONTROL_TYPES,
    BalanceChangeAlert,
    BalanceInquiryAlert,
    CategoryLock,
    Controls,
    LargeSpendVerification,
    Limit,
    LimitChannel,
    Limits,
    MagstripeVerification,
    Measure,
    NightLock,
    OverseasLock,
    Period,
    RegionLock,
)
from zhiwei.core.result import Related, Result
from zhiwei.core.windows import HOUR_MS, DailyWindow
from zhiwei.core.zone import zone_named
from zhiwei.guardian.desk import Guardian
from zhiwei.vault import Vault

#: Where the bench's cards live.
ZONE: Final = "Asia/Shanghai"
_BANK: Final = Actor("bench", Via.CLI, is_strong=True, is_staff=True)


class Registrar:
    """Writes the commands that register cards with their controls."""

    def __init__(self, vault: Vault, night: tuple[int, int], day_limit_minor: int | None) -> None:
        """Take the hours of the night lock, and a day's limit that replaces the habits' own."""
        self._vault: Final = vault
        self._window: Final = DailyWindow(night[0] * HOUR_MS, night[1] * HOUR_MS)
        self._day_limit_minor: Final = day_limit_minor
        #: What `controls_of` made, by the identity of the habits, which many cards share.
        self._known: Final[dict[int, Controls]] = {}

    def register(self, card: int, clock_ms: int) -> Command:
        """Open the card's file."""
        pan = pan_of(card)
        profile = Profile(
            cardholder=f"bench-{card // 2}",
            tail=pan[-4:],
            currency="CNY",
            zone=zone_named(ZONE),
            has_chip=habits_of(card).has_chip,
            network="unionpay",
            status=CardStatus.ACTIVE,
            created_ms=clock_ms,
        )
        return Command(self._vault.card_key(pan), change=Register(profile), actor=_BANK)

    def settings(self, card: int) -> Iterator[Command]:
        """Set each control of the card by a command of its own."""
        key = self._vault.card_key(pan_of(card))
        controls = self.controls_of(card)
        for control_type in CONTROL_TYPES:
            control = controls.of_type(control_type)
            if control is not None:
                yield Command(key, change=SetControl(control_type, control), actor=_BANK)
        if habits_of(card).is_stopped:
            yield Command(key, change=PlaceStop(StopSource.ISSUER), actor=_BANK, nonce=bytes(8))

    def controls_of(self, card: int) -> Controls:
        """Return the controls that the card's habits mean."""
        habits = habits_of(card)
        known = self._known.get(id(habits))
        if known is None:
            known = self._known[id(habits)] = self._controls(habits)
        return known

    def _controls(self, habits: Habits) -> Controls:
        threshold = habits.large_spend_threshold_minor
        countries = habits.countries
        return Controls(
            region_lock=RegionLock(habits.regions) if habits.regions else None,
            overseas_lock=None if countries is None else OverseasLock(countries),
            night_lock=NightLock(self._window) if habits.night_lock else None,
            category_lock=CategoryLock(CLOSED_CATEGORIES) if habits.category_lock else None,
            limits=Limits(self._limits(habits)),
            magstripe_verification=MagstripeVerification(STRIPE_THRESHOLD_MINOR),
            large_spend_verification=LargeSpendVerification(threshold) if threshold else None,
            balance_inquiry_alert=BalanceInquiryAlert() if habits.inquiry_alert else None,
            balance_change_alert=BalanceChangeAlert() if habits.change_alert else None,
        )

    def _limits(self, habits: Habits) -> tuple[Limit, ...]:
        day = habits.day_limit_minor if self._day_limit_minor is None else self._day_limit_minor
        amount, count = Measure.AMOUNT, Measure.COUNT
        per_transaction = habits.transaction_limit_minor
        return (
            Limit(LimitChannel.ALL, amount, Period.TRANSACTION, per_transaction),
            Limit(LimitChannel.ALL, amount, Period.DAY, day),
            Limit(LimitChannel.ALL, amount, Period.MONTH, habits.month_limit_minor),
            Limit(LimitChannel.ALL, count, Period.DAY, habits.day_count_limit),
            Limit(LimitChannel.ATM, amount, Period.DAY, habits.atm_day_limit_minor),
        )


class OneEntryStep:
    """A step that registers a card with all its controls in one entry.

    Only for measuring: the file is as if each control had been set, but the journal does not say
    who set them, so `zhiwei verify` would rightly object.
    """

    def __init__(self, guardian: Guardian, registrar: Registrar, cards: dict[bytes, int]) -> None:
        """Take which card a key belongs to."""
        self._guardian: Final = guardian
        self._registrar: Final = registrar
        self._cards: Final = cards

    def __call__(
        self, state: CardState | None, related: Related, command: Command, clock_ms: int
    ) -> Result:
        """Register, and put the controls in."""
        result = self._guardian.step(state, related, command, clock_ms)
        if result.state is None:
            return result
        card = self._cards[command.card_key]
        file = result.state
        settings = replace(file.settings, controls=self._registrar.controls_of(card))
        if habits_of(card).is_stopped:
            settings = replace(settings, stop=Stop(clock_ms, StopSource.ISSUER, "bench"))
        full = CardState(file.card_key, file.version, file.last_ms, file.chain, settings)
        return Result(
            state=full,
            entry=result.entry,
            events=result.events,
            audits=result.audits,
            keys=result.keys,
        )

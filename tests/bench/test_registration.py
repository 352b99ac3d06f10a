"""Filling a store: the habits of the bench's cards become controls, by commands or at once."""

from __future__ import annotations

import asyncio

import pytest

from zhiwei import zones
from zhiwei.bench.cards import pan_of
from zhiwei.bench.habits import habits_of
from zhiwei.bench.registration import OneEntryStep, Registrar
from zhiwei.core.policy import DEFAULT_POLICY
from zhiwei.guardian import guardian_under
from zhiwei.guardian.desk import Guardian
from zhiwei.stores.memory import MemoryStore
from zhiwei.vault import Vault

CARDS = range(300)
NOON_MS = 1_790_000_000_000
VAULT = Vault(bytes(32))


@pytest.fixture
def guardian() -> Guardian:
    """The guardian under the default policy."""
    assert zones.load_zone("Asia/Shanghai") is not None
    return guardian_under(DEFAULT_POLICY)


@pytest.mark.parametrize("by_commands", [True, False], ids=["by commands", "at once"])
def test_every_card_gets_the_controls_of_its_habits(guardian: Guardian, by_commands: bool) -> None:
    """Both ways of filling end in the same settings; no command is rejected."""
    registrar = Registrar(VAULT, (12, 18), None)
    store = MemoryStore()
    opening = [registrar.register(card, NOON_MS) for card in CARDS]
    if by_commands:
        settings = [command for card in CARDS for command in registrar.settings(card)]
        results = asyncio.run(store.transact([*opening, *settings], guardian.step, NOON_MS))
    else:
        keys = {command.card_key: card for card, command in enumerate(opening)}
        step = OneEntryStep(guardian, registrar, keys)
        results = asyncio.run(store.transact(opening, step, NOON_MS))
    assert all(result.rejection is None for result in results)
    stopped = 0
    for card in CARDS:
        state = store.reader().card(VAULT.card_key(pan_of(card)))
        assert state is not None
        assert state.settings.controls == registrar.controls_of(card)
        assert state.settings.profile.has_chip is habits_of(card).has_chip
        assert (state.settings.stop is not None) is habits_of(card).is_stopped
        assert not state.settings.pending
        stopped += state.settings.stop is not None
    assert stopped > 0


def test_a_days_limit_can_be_given_for_all(guardian: Guardian) -> None:
    """The races need room for exactly one."""
    registrar = Registrar(VAULT, (12, 18), 10_000)
    for card in CARDS:
        limits = registrar.controls_of(card).limits
        assert limits is not None
        day = [item.value for item in limits.items if item.slot == (0, 0, 1, 0)]
        assert day == [10_000]

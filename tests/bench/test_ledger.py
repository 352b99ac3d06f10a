"""The client's record against a store: equal where they agree, and every difference is found."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from zhiwei.bench.cards import pan_of
from zhiwei.bench.ledger import Answer, Ledger, examine
from zhiwei.bench.message import encode
from zhiwei.bench.registration import Registrar
from zhiwei.bench.traffic import Plan, Traffic, compose
from zhiwei.core.command import Command
from zhiwei.core.policy import DEFAULT_POLICY
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.dialect import named
from zhiwei.gateways.iso8583.translate import Translator
from zhiwei.guardian import guardian_under
from zhiwei.stores.memory import MemoryStore
from zhiwei.vault import Vault
from zhiwei.zones import load_zone

VAULT = Vault(bytes(32))
CARDS = 40


@dataclass
class Day:
    """A client and a store that lived through the same messages."""

    ledger: Ledger
    store: MemoryStore
    traffic: Traffic
    commands: list[Command]
    clock_ms: int = 1_790_000_000_000

    def decide(self, command: Command) -> bytes:
        """Have a command decided, and write the answer as the client sees it."""
        step = guardian_under(DEFAULT_POLICY).step
        result = asyncio.run(self.store.transact([command], step, self.clock_ms))[0]
        assert result.entry is not None
        fields = {39: b"00" if result.entry.outcome == 0 else b"62"}
        if result.entry.auth_code:
            fields[38] = result.entry.auth_code.encode()
        return encode("0210", fields)[0]


@pytest.fixture
def day() -> Day:
    """800 messages for 40 cards, decided and booked."""
    assert load_zone("Asia/Shanghai") is not None
    traffic = compose(Plan(800, 1, CARDS, run=3))
    dialect = named("unionpay-ascii")
    codec = Codec(dialect)
    translator = Translator(dialect, VAULT.card_key, lambda: bytes(8))
    frames = [traffic.row(row) for row in range(traffic.rows)]
    commands = [translator.command(codec.decode(frame, 2, len(frame))) for frame in frames]
    day = Day(Ledger(), MemoryStore(), traffic, commands)
    registrar = Registrar(VAULT, (12, 18), None)
    step = guardian_under(DEFAULT_POLICY).step
    opening = [registrar.register(card, day.clock_ms) for card in range(CARDS)]
    settings = [command for card in range(CARDS) for command in registrar.settings(card)]
    asyncio.run(day.store.transact([*opening, *settings], step, day.clock_ms))
    repeats = set(traffic.repeat_of.values())
    bodies = {row: day.decide(command) for row, command in enumerate(commands)}
    assert repeats
    assert traffic.reversal_of
    kept = {row: body for row, body in bodies.items() if row not in repeats}
    day.ledger.book(traffic, kept, 2)
    return day


def test_a_store_that_did_what_it_said_is_clean(day: Day) -> None:
    """Approvals, refusals, repeats and reversals all agree with the client's own sums."""
    found = examine(day.ledger, day.store.reader(), VAULT)
    assert found.is_clean, found
    assert found.entries == len(day.ledger.answers)
    assert sum(day.ledger.used_minor.values()) > 0


def test_an_answer_without_an_entry_is_lost(day: Day) -> None:
    """What the client holds an answer to must be in the journal."""
    day.ledger.answers["000399999999"] = Answer("00", "123456")
    assert examine(day.ledger, day.store.reader(), VAULT).lost == ["000399999999"]


def test_an_entry_that_says_something_else_is_altered(day: Day) -> None:
    """Outcome and authorization code in the journal must be those that were told."""
    approved = [rrn for rrn, told in day.ledger.answers.items() if told.auth_code]
    day.ledger.answers[approved[0]] = Answer("62", "")
    day.ledger.answers[approved[1]] = Answer("00", "999999")
    altered = examine(day.ledger, day.store.reader(), VAULT).altered
    assert sorted(altered) == sorted(approved[:2])


def test_a_card_that_was_counted_twice_is_found(day: Day) -> None:
    """A purchase that the client was never told of shows in the sum of its card."""
    card = next(card for card in sorted(day.ledger.cards) if day.ledger.used_times[card] > 1)
    day.ledger.used_minor[card] -= 100
    assert len(examine(day.ledger, day.store.reader(), VAULT).miscounted) == 1
    day.ledger.used_minor[card] += 100
    day.ledger.used_times[card] -= 1
    found = examine(day.ledger, day.store.reader(), VAULT).miscounted
    assert [line[:4] for line in found] == [pan_of(card)[-4:]]


def test_a_message_that_was_decided_twice_is_doubled(day: Day) -> None:
    """A store that forgot a message's identity, and decided it again, is found out."""
    row = next(r for r in range(day.traffic.rows) if r not in day.traffic.reversal_of)
    request = day.commands[row].request
    assert request is not None
    # Another forwarder makes another identity of it; the retrieval reference stays the same.
    other = Translator(named("unionpay-ascii"), VAULT.card_key, lambda: bytes(8))
    frame = day.traffic.row(row).replace(b"0800010000", b"0800020000")
    twin = other.command(Codec(named("unionpay-ascii")).decode(frame, 2, len(frame)))
    day.decide(twin)
    assert examine(day.ledger, day.store.reader(), VAULT).doubled == [request.rrn]

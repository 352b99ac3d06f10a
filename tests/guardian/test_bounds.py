"""What the desk bounds, and what it answers to commands that no card message makes."""

from __future__ import annotations

from dataclasses import replace

from tests.core.histories import HOLDER, POLICY, History
from tests.core.strategies import KEY, START_MS, ZONES

from zhiwei.core.card_state import (
    BINDINGS_MAX,
    CHALLENGES_MAX,
    HOLDS_MAX,
    PERMISSIONS_MAX,
    CardStatus,
    ChallengeState,
    Permission,
    PermissionKind,
    Profile,
    StopSource,
)
from zhiwei.core.command import (
    AnswerChallenge,
    Change,
    Command,
    GrantPermission,
    LiftStop,
    Original,
    PlaceStop,
    Register,
    SetControl,
)
from zhiwei.core.controls import (
    LargeSpendVerification,
    Limit,
    LimitChannel,
    Limits,
    Measure,
    Period,
)
from zhiwei.core.entry import Flag
from zhiwei.core.finding import Outcome
from zhiwei.core.policy import Policy
from zhiwei.core.reason import Reason
from zhiwei.core.request import Channel, Kind, MessageClass, Request
from zhiwei.core.result import Rejection, Result
from zhiwei.core.usage import ROLLING_SPENDS_MAX
from zhiwei.core.zone import DAY_MS
from zhiwei.guardian import guardian_under
from zhiwei.stores.memory import MemoryStore
from zhiwei.testing.scenario.play import finished


def a_card() -> History:
    """A registered card in Shanghai."""
    return History(ZONES[0])


def sent(
    card: History,
    kind: Kind = Kind.PURCHASE,
    amount: int = 100,
    *,
    channel: Channel = Channel.POS,
    original: Original | None = None,
    **more: object,
) -> Result:
    """A message, at a POS unless told."""
    request = card._new(kind, channel, amount, **more)
    return card.carry_out(request=request, original=original)


def keyed(card: History, change: Change, key: bytes) -> Result:
    """A change with an Idempotency-Key."""
    command = Command(KEY, change=change, actor=HOLDER, idempotency_key=key, nonce=bytes(8))
    step = guardian_under(POLICY).step
    return finished(card.store.transact([command], step, card.now_ms))[0]


def test_a_card_that_was_never_registered_is_not_found() -> None:
    """Neither messages nor changes open a file; only registration does."""
    store = MemoryStore()
    step = guardian_under(POLICY).step
    commands = [
        Command(KEY, request=Request(kind=Kind.PURCHASE)),
        Command(KEY, change=PlaceStop(StopSource.SMS)),
    ]
    for result in finished(store.transact(commands, step, START_MS)):
        assert result.rejection is Rejection.CARD_NOT_FOUND
    assert store.card(KEY) is None


def test_a_card_that_is_registered_again_is_the_same_card() -> None:
    """Nothing of it changes, whatever the second registration says."""
    card = a_card()
    before = card.state
    profile = replace(before.settings.profile, tail="9999")
    assert card.carry_out(change=Register(profile)).is_repeat
    assert card.state is before


def test_registration_keeps_its_idempotency_key() -> None:
    """A repeated registration with the same key is answered with the first entry."""
    store = MemoryStore()
    step = guardian_under(POLICY).step
    profile = Profile(
        "holder",
        "0001",
        "CNY",
        ZONES[0],
        has_chip=True,
        network="visa",
        status=CardStatus.ACTIVE,
        created_ms=START_MS,
    )
    command = Command(KEY, change=Register(profile), idempotency_key=b"k" * 16)
    first = finished(store.transact([command], step, START_MS))[0]
    again = finished(store.transact([command], step, START_MS))[0]
    assert first.entry is not None
    assert again.is_repeat
    assert again.entry is first.entry


def test_an_idempotency_key_names_one_change() -> None:
    """The same change again is answered as before; another one with the key is rejected."""
    card = a_card()
    first = keyed(card, PlaceStop(StopSource.APP), b"k" * 16)
    card.carry_out(change=LiftStop())
    again = keyed(card, PlaceStop(StopSource.APP), b"k" * 16)
    assert again.is_repeat
    assert again.entry is first.entry
    assert card.state.settings.stop is None
    other = keyed(card, PlaceStop(StopSource.SMS), b"k" * 16)
    assert other.rejection is Rejection.SAME_KEY_OTHER_BODY
    command = Command(KEY, request=Request(kind=Kind.PURCHASE), idempotency_key=b"k" * 16)
    mixed = finished(card.store.transact([command], guardian_under(POLICY).step, card.now_ms))[0]
    assert mixed.rejection is Rejection.SAME_KEY_OTHER_BODY


def test_no_more_institutions_are_linked_than_a_file_holds() -> None:
    """One that is linked already may ask again."""
    card = a_card()
    for number in range(BINDINGS_MAX):
        result = sent(card, Kind.BINDING, 0, channel=Channel.QUICK_PAY, institution=f"I{number}")
        assert result.entry is not None
        assert result.entry.outcome is Outcome.APPROVE
    full = sent(card, Kind.BINDING, 0, channel=Channel.QUICK_PAY, institution="ONE_MORE")
    assert full.entry is not None
    assert [f.reason for f in full.entry.findings] == [Reason.INSTITUTION_BLOCKED]
    again = sent(card, Kind.BINDING, 0, channel=Channel.QUICK_PAY, institution="I0")
    assert again.entry is not None
    assert again.entry.outcome is Outcome.APPROVE
    assert len(card.state.settings.bindings) == BINDINGS_MAX


def test_no_more_permissions_are_granted_than_a_file_holds() -> None:
    """The one too many is rejected."""
    card = a_card()
    permission = Permission("", PermissionKind.TEMPORARY, card.now_ms, card.now_ms + DAY_MS)
    results = [
        card.carry_out(change=GrantPermission(permission)) for _ in range(PERMISSIONS_MAX + 1)
    ]
    assert results[-1].rejection is Rejection.TOO_MANY_PERMISSIONS
    assert all(result.rejection is None for result in results[:-1])


def test_references_of_open_questions_differ_even_if_the_dice_fall_alike() -> None:
    """Two questions with the same nonce get two references; beyond the bound none is asked."""
    store = MemoryStore()
    policy = Policy(challenges_per_hour=100)
    step = guardian_under(policy).step
    card = a_card()
    command = card.commands[0][0]
    finished(store.transact([command], step, START_MS))
    threshold = SetControl("large_spend_verification", LargeSpendVerification(0))
    finished(store.transact([Command(KEY, change=threshold, actor=HOLDER)], step, START_MS))
    outcomes = []
    for number in range(CHALLENGES_MAX + 1):
        request = Request(kind=Kind.PURCHASE, amount_minor=1 + number, currency="CNY")
        asked = Command(KEY, request=request, nonce=bytes(8))
        entry = finished(store.transact([asked], step, START_MS))[0].entry
        assert entry is not None
        outcomes.append(entry.outcome)
    state = store.card(KEY)
    assert state is not None
    references = [challenge.reference for challenge in state.settings.challenges]
    assert references == [f"{number:06d}" for number in range(CHALLENGES_MAX)]
    assert outcomes == [Outcome.CHALLENGE] * CHALLENGES_MAX + [Outcome.REFUSE]


def test_a_question_may_be_named_by_its_reference_only_while_it_is_open_first() -> None:
    """Of two questions that carried one reference, the open one is meant."""
    card = a_card()
    card.carry_out(change=SetControl("large_spend_verification", LargeSpendVerification(10)))
    sent(card, amount=20)
    challenge = card.state.settings.challenges[0]
    answered = card.carry_out(change=AnswerChallenge(challenge.reference, is_yes=True))
    assert answered.entry is not None
    assert card.state.settings.challenges[0].state is ChallengeState.APPROVED
    assert card.state.settings.challenges[0].answered_via == "app"


def test_past_the_bound_the_first_hold_to_lapse_is_forgotten_and_stays_counted() -> None:
    """A file holds so many open pre-authorizations and no more."""
    card = a_card()
    for _ in range(HOLDS_MAX + 1):
        sent(card, Kind.PREAUTHORIZATION, 1)
    assert len(card.state.holds) == HOLDS_MAX
    assert card.state.usage.by_channel[LimitChannel.ALL].day_amount == HOLDS_MAX + 1
    forgotten = sent(card, message_class=MessageClass.REVERSAL, original=Original(version=2))
    assert forgotten.entry is not None
    assert forgotten.entry.flags & Flag.NO_EFFECT


def test_a_rolling_window_remembers_so_many_spends_and_counts_the_older_no_shorter() -> None:
    """Past the bound two old spends become one at the later instant: never less is counted."""
    card = a_card()
    limit = Limit(LimitChannel.ALL, Measure.COUNT, Period.ROLLING, ROLLING_SPENDS_MAX + 2, 3600)
    card.carry_out(change=SetControl("limits", Limits((limit,))))
    results = []
    for _ in range(ROLLING_SPENDS_MAX + 3):
        card.now_ms += 1
        results.append(sent(card))
    assert len(card.state.usage.rolling) == ROLLING_SPENDS_MAX
    assert sum(spend.count for spend in card.state.usage.rolling) == ROLLING_SPENDS_MAX + 2
    last = results[-1].entry
    assert last is not None
    assert [f.reason for f in last.findings] == [Reason.OVER_ROLLING_COUNT]


def test_the_hash_of_the_last_entry_is_filled_in_by_the_store() -> None:
    """A file with its chain is otherwise the same file."""
    state = a_card().state
    chained = state.chained(b"c" * 16)
    assert chained.chain == b"c" * 16
    assert (chained.version, chained.settings, chained.usage) == (
        state.version,
        state.settings,
        state.usage,
    )

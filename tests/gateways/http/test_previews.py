"""Previews against the truth: what a preview counts is what the control would have stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from tests.gateways.http.house import DAY, HOUR, NOON, OTHER_PAN, PAN, World, memory_world

from zhiwei import preview as previews
from zhiwei.core.command import Actor, Command, Original, SetControl, Via
from zhiwei.core.documents import control_from
from zhiwei.core.finding import Outcome
from zhiwei.core.ids import card_key_of
from zhiwei.core.request import Channel, Kind, Medium, MessageClass, PlaceSource, Request
from zhiwei.core.result import Result
from zhiwei.gateways.http.house import Settings
from zhiwei.gateways.http.previews import preview

STRONG = Actor("key_test", Via.HTTP, is_strong=True, is_staff=True)


@dataclass(frozen=True)
class Ask:
    """A purchase: how long after the last one, how much, where, by what."""

    after_ms: int
    amount: int
    region: str
    channel: Channel
    kind: Kind


ASKS = st.builds(
    Ask,
    after_ms=st.sampled_from([0, 1, 20_000, HOUR, 7 * HOUR, DAY, 9 * DAY]),
    amount=st.sampled_from([0, 1, 400, 500, 999, 1000]),
    region=st.sampled_from(["11", "44", ""]),
    channel=st.sampled_from([Channel.ATM, Channel.POS, Channel.ONLINE, Channel.QUICK_PAY]),
    kind=st.sampled_from([Kind.PURCHASE, Kind.CASH_WITHDRAWAL, Kind.PREAUTHORIZATION]),
)


def _limits(*items: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "limits", {"items": list(items)}


CONTROLS: list[tuple[str, dict[str, Any]]] = [
    ("region_lock", {"regions": ["11"]}),
    ("night_lock", {"scope": "all"}),
    ("overseas_lock", {}),
    ("online_lock", {"start": "20:00", "end": "08:00"}),
    ("category_lock", {"mccs": ["5411"]}),
    ("card_lock", {}),
    ("large_spend_verification", {"threshold": 499}),
    ("decline_alert", {}),
    _limits({"channel": "all", "measure": "amount", "period": "transaction", "amount": 500}),
    _limits({"channel": "all", "measure": "amount", "period": "day", "amount": 1000}),
    _limits({"channel": "pos", "measure": "amount", "period": "week", "amount": 1500}),
    _limits({"channel": "atm", "measure": "count", "period": "month", "count": 2}),
    _limits({"channel": "online", "measure": "amount", "period": "year", "amount": 2000}),
    _limits(
        {"channel": "all", "measure": "count", "period": "rolling", "count": 1, "seconds": 3600}
    ),
]


class Street:
    """Two cards that are asked for the same; the second one has a control."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.plain, self.controlled = world.card(PAN), world.card(OTHER_PAN)

    def key(self, card: str) -> bytes:
        """Card key of an id."""
        found = card_key_of(card)
        assert found is not None
        return found

    def set(self, control: str, body: dict[str, Any]) -> None:
        """Set the control on the second card."""
        change = SetControl(control, control_from(control, body))
        self._do(Command(self.key(self.controlled), change=change, actor=STRONG, nonce=b"n" * 8))

    def ask(self, card: str, ask: Ask, original: int = 0, **more: Any) -> Result:  # noqa: ANN401 - fields of a request
        """Ask for one card."""
        fields: dict[str, Any] = {
            "kind": ask.kind,
            "channel": ask.channel,
            "medium": Medium.CHIP,
            "amount_minor": ask.amount,
            "currency": "CNY",
            "merchant_id": "M1",
            "mcc": "5411",
            "country": "CHN" if ask.region else "JPN",
            "region": ask.region,
            "place_source": PlaceSource.GIVEN,
            **more,
        }
        named = Original(version=original) if original else None
        request = Request(**fields)
        command = Command(
            self.key(card), request=request, original=named, actor=STRONG, nonce=b"n" * 8
        )
        return self._do(command)

    def preview(self, control: str, body: dict[str, Any]) -> dict[str, Any]:
        """The preview of the control on the first card."""
        state = self._world.house.reader.card(self.key(self.plain))
        assert state is not None
        return preview(self._world.house, state, control, control_from(control, body))

    def _do(self, command: Command) -> Result:
        (result,) = asyncio.run(self._world.submit([command]))
        assert result.rejection is None
        return result


@pytest.mark.parametrize(("control", "body"), CONTROLS)
@examples(max_examples=15)
@given(asks=st.lists(ASKS, max_size=12))
def test_a_preview_counts_what_the_control_stops(
    control: str, body: dict[str, Any], asks: list[Ask]
) -> None:
    """The same requests to a card that had the control from the start: the same answers."""
    world = memory_world()
    street = Street(world)
    street.set(control, body)
    stopped = {Outcome.APPROVE: 0, Outcome.REFUSE: 0, Outcome.CHALLENGE: 0}
    for ask in asks:
        world.clock.advance(ask.after_ms)
        assert _outcome(street.ask(street.plain, ask)) is Outcome.APPROVE
        stopped[_outcome(street.ask(street.controlled, ask))] += 1
    # A card is asked at most so many questions an hour; past it the answer is a plain refusal.
    found = street.preview(control, body)
    expected = stopped[Outcome.REFUSE] + stopped[Outcome.CHALLENGE]
    since = world.clock.now_ms() - 90 * DAY
    if since <= NOON:
        assert found["would_decline"] + found["would_challenge"] == expected
        assert found["of"] == len(asks)
    assert len(found["examples"]) == min(5, found["would_decline"] + found["would_challenge"])
    world.close()


def _outcome(result: Result) -> Outcome:
    assert result.entry is not None
    return result.entry.outcome


@pytest.fixture
def street() -> Iterator[Street]:
    """Two cards."""
    world = memory_world()
    yield Street(world)
    world.close()


BUY = Ask(0, 600, "44", Channel.POS, Kind.PREAUTHORIZATION)
DAILY = {"items": [{"channel": "all", "measure": "amount", "period": "day", "amount": 1000}]}


def test_an_increment_is_tried_as_well(street: Street) -> None:
    """It counts its difference, and may be what would have been stopped."""
    held = street.ask(street.plain, BUY)
    assert held.entry is not None
    first = held.entry.version
    for amount in (400, 1):
        street.ask(
            street.plain,
            BUY,
            original=first,
            message_class=MessageClass.INCREMENT,
            amount_minor=amount,
        )
    found = street.preview("limits", DAILY)
    assert (found["would_decline"], found["of"]) == (1, 3)
    assert found["examples"][0]["amount"] == 1


def test_a_completion_for_more_counts_and_for_less_gives_back(street: Street) -> None:
    """Later purchases find what is left."""
    held = street.ask(street.plain, BUY)
    assert held.entry is not None
    street.ask(
        street.plain, BUY, original=held.entry.version, kind=Kind.COMPLETION, amount_minor=100
    )
    street.ask(street.plain, BUY, kind=Kind.PURCHASE, amount_minor=900)
    assert street.preview("limits", DAILY)["would_decline"] == 0
    more = street.ask(street.plain, BUY, kind=Kind.PREAUTHORIZATION, amount_minor=0)
    assert more.entry is not None
    street.ask(
        street.plain, BUY, original=more.entry.version, kind=Kind.COMPLETION, amount_minor=50
    )
    street.ask(street.plain, BUY, kind=Kind.PURCHASE, amount_minor=1)
    assert street.preview("limits", DAILY)["would_decline"] == 1


def test_what_follows_a_stopped_request_is_left_out(street: Street) -> None:
    """Its reversal gives nothing back, since it spent nothing."""
    street.ask(street.plain, BUY, amount_minor=900)
    second = street.ask(street.plain, BUY, amount_minor=500)
    assert second.entry is not None
    street.ask(
        street.plain, BUY, original=second.entry.version, message_class=MessageClass.REVERSAL
    )
    street.ask(street.plain, BUY, amount_minor=101)
    found = street.preview("limits", DAILY)
    assert (found["would_decline"], found["of"]) == (2, 3)


def test_a_long_journal_is_walked_to_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the preview says that it is not complete."""
    monkeypatch.setattr(previews, "_CHUNK", 5)
    world = memory_world(settings=Settings(preview_entries_max=20))
    street = Street(world)
    for _ in range(19):
        street.ask(street.plain, BUY, amount_minor=0)
    whole = street.preview("card_lock", {})
    assert (whole["is_complete"], whole["of"]) == (True, 19)
    for _ in range(10):
        street.ask(street.plain, BUY, amount_minor=0)
    part = street.preview("card_lock", {})
    assert (part["is_complete"], part["of"]) == (False, 20)
    world.close()

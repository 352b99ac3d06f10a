"""Values on the way between two processes arrive as they left."""

from __future__ import annotations

from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector
from tests.messaging.post import NOW
from tests.stores.cases import registration

from zhiwei.core.card_state import Stop, StopSource
from zhiwei.core.command import Actor, AnswerChallenge, Command, MarkUndeliverable, PlaceStop, Via
from zhiwei.core.policy import DEFAULT_POLICY
from zhiwei.core.result import NOTHING_RELATED, Rejection, Result, rejected
from zhiwei.guardian import guardian_under
from zhiwei.messaging.backoff import BreakerState
from zhiwei.messaging.model import Message, Status
from zhiwei.messaging.reply import PlacedStop, Reply, Taken
from zhiwei.messaging_metrics import MessagingMetrics
from zhiwei.process_link import wire
from zhiwei.stores.coding.command import command_list

KEY = bytes(range(16))
PHONE = "+8613800138000"
HOUSE = Actor("messaging", Via.CLI, is_staff=True)


def over_the_wire(value: object) -> Any:  # noqa: ANN401 - whatever was sent
    """What arrives."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


def test_commands_arrive() -> None:
    """Those that messaging gives."""
    commands = [
        Command(KEY, change=PlaceStop(StopSource.SMS), actor=Actor("+86", Via.SMS), nonce=b"n" * 8),
        Command(KEY, change=AnswerChallenge("123456", is_yes=False), actor=HOUSE),
        Command(KEY, change=MarkUndeliverable("chl_1"), actor=HOUSE, idempotency_key=b"k" * 16),
    ]
    told = wire.commands_of(over_the_wire(wire.commands_list(commands)))
    assert [one.card_key for one in told] == [KEY] * 3
    assert [command_list(one) for one in told] == [command_list(one) for one in commands]
    assert [one.change for one in told] == [one.change for one in commands]


def test_results_arrive_with_the_file_and_without_the_entry() -> None:
    """A stop, the same stop again, an earlier answer, and a rejection."""
    step = guardian_under(DEFAULT_POLICY).step
    opening = registration(1)
    opened = step(None, NOTHING_RELATED, opening, NOW)
    stop = Command(opening.card_key, change=PlaceStop(StopSource.SMS), actor=HOUSE)
    stopped = step(opened.state, NOTHING_RELATED, stop, NOW)
    again = step(stopped.state, NOTHING_RELATED, stop, NOW)
    assert again.is_repeat
    results = [stopped, again, Result(entry=stopped.entry, is_repeat=True)]
    results.append(rejected(Rejection.CHALLENGE_EXPIRED))
    commands = [stop] * len(results)
    told = wire.results_of(commands, over_the_wire(wire.results_list(commands, results)))
    assert [one.is_repeat for one in told] == [False, True, True, False]
    assert [one.state is None for one in told] == [False, False, True, True]
    for one in told[:2]:
        assert one.state is not None
        assert stopped.state is not None
        assert one.state.settings == stopped.state.settings
        assert one.state.version == stopped.state.version
    assert [one.rejection for one in told] == [None, None, None, Rejection.CHALLENGE_EXPIRED]


def test_messages_and_outcomes_arrive() -> None:
    """Field by field."""
    message = Message(
        id="msg_1-sub_1",
        event_id="",
        kind="test",
        card_key=KEY,
        lane="lane",
        channel="webhook",
        to="sub_1",
        language="",
        subject="",
        text="{}",
        created_ms=NOW,
        is_urgent=True,
    )
    assert wire.messages_of(over_the_wire(wire.messages_list([message]))) == [message]
    placed = PlacedStop(KEY, Stop(NOW, StopSource.SMS, "TS1234"))
    reply = Reply("stopped", ("一", "二"), "zh", PHONE, "chl_1", (placed,), is_to_be_sent=False)
    for taken in (Taken(reply, "msg_in_1-reply"), Taken(Reply("neutral", (), "zh"))):
        assert wire.taken_of(over_the_wire(wire.taken_list(taken))) == taken


def test_series_read_the_same_on_both_sides() -> None:
    """Counters, gauges and histograms, with their labels."""
    registry = CollectorRegistry()
    metrics = MessagingMetrics(registry)
    metrics.planned("sms", Status.QUEUED, 3)
    metrics.sent("sms", 0.02)
    metrics.sent("sms", 2.0)
    metrics.breaker("sms", BreakerState.OPEN)
    metrics.backlog("webhook", 7, 1.5)

    class Series(Collector):
        """What arrived."""

        def collect(self) -> Any:  # noqa: ANN401 - as the base has it
            """All of it."""
            return wire.metrics_of(over_the_wire(wire.metrics_list(registry.collect())))

    other = CollectorRegistry()
    other.register(Series())
    assert generate_latest(other) == generate_latest(registry)

"""Wire: how commands, results, messages and metrics look on the way between two processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from typing import Any, Final

from prometheus_client import Metric
from prometheus_client.samples import Sample

from zhiwei.core.card_state import CHAIN_START, Stop, StopSource
from zhiwei.core.command import Command
from zhiwei.core.result import Rejection, Result
from zhiwei.messaging.model import Message
from zhiwei.messaging.reply import PlacedStop, Reply, Taken
from zhiwei.stores.coding.command import command_list, command_of
from zhiwei.stores.coding.settings import decode_settings, encode_settings
from zhiwei.stores.coding.usage import decode_usage, encode_usage

_REJECTIONS: Final = {int(rejection): rejection for rejection in Rejection}


def commands_list(commands: Sequence[Command]) -> list[Any]:
    """Commands with the keys of their cards."""
    return [[command.card_key, command_list(command)] for command in commands]


def commands_of(rows: list[Any]) -> list[Command]:
    """The commands of a list."""
    return [command_of(row, card_key) for card_key, row in rows]


def results_list(commands: Sequence[Command], results: Sequence[Result]) -> list[Any]:
    """What commands did: rejection, whether it had been done before, and the file afterwards.

    Entries, events and audit lines stay where they were written.
    """
    rows: list[Any] = []
    for command, result in zip(commands, results, strict=True):
        rejection = None if result.rejection is None else int(result.rejection)
        file = None
        if result.state is not None:
            key, state = command.card_key, result.state
            file = [encode_settings(state.settings, key), encode_usage(state, CHAIN_START, 0, 0)]
        rows.append([rejection, result.is_repeat, file])
    return rows


def results_of(commands: Sequence[Command], rows: list[Any]) -> list[Result]:
    """The results of a list."""
    results: list[Result] = []
    for command, (rejection, is_repeat, file) in zip(commands, rows, strict=True):
        state = None
        if file is not None:
            key = command.card_key
            state, _ = decode_usage(file[1], key, decode_settings(file[0], key))
        told = None if rejection is None else _REJECTIONS[rejection]
        results.append(Result(state=state, is_repeat=is_repeat, rejection=told))
    return results


def messages_list(messages: Sequence[Message]) -> list[Any]:
    """Messages, field by field."""
    return [astuple(message) for message in messages]


def messages_of(rows: list[Any]) -> list[Message]:
    """The messages of a list."""
    return [Message(*row) for row in rows]


def taken_list(taken: Taken) -> list[Any]:
    """What an inbound message did, with its reply."""
    reply = taken.reply
    stops = [
        [placed.card_key, placed.stop.since_ms, int(placed.stop.source), placed.stop.reference]
        for placed in reply.stops
    ]
    return [
        taken.message,
        reply.outcome,
        reply.texts,
        reply.locale,
        reply.number,
        reply.challenge,
        stops,
        reply.is_to_be_sent,
    ]


def taken_of(row: list[Any]) -> Taken:
    """The outcome of a list."""
    message, outcome, texts, locale, number, challenge, stops, is_to_be_sent = row
    placed = [PlacedStop(key, Stop(since, StopSource(by), ref)) for key, since, by, ref in stops]
    reply = Reply(outcome, tuple(texts), locale, number, challenge, tuple(placed), is_to_be_sent)
    return Taken(reply, message)


def metrics_list(metrics: Iterable[Metric]) -> list[Any]:
    """Series of one process as they stand now."""
    return [
        [
            metric.name,
            metric.documentation,
            metric.type,
            [[sample.name, sample.labels, sample.value] for sample in metric.samples],
        ]
        for metric in metrics
    ]


def metrics_of(rows: list[Any]) -> list[Metric]:
    """The series of a list."""
    metrics: list[Metric] = []
    for name, what, kind, samples in rows:
        metric = Metric(name, what, kind)
        metric.samples = [Sample(name, labels, value) for name, labels, value in samples]
        metrics.append(metric)
    return metrics

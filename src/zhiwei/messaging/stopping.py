"""Stopping: how a text message stops cards, and what is replied; for cardholders and contacts."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeAlias, final

from zhiwei.core.card_state import CardState, CardStatus, Stop, StopSource
from zhiwei.core.command import Actor, Change, Command, PlaceStop, Via
from zhiwei.core.identity import idempotency_key
from zhiwei.core.result import Result
from zhiwei.core.settle import settled
from zhiwei.core.windows import Moment
from zhiwei.messaging.reply import Outcome, PlacedStop, Reply
from zhiwei.ports import Reader

Facts: TypeAlias = "Mapping[str, int | str | list[str]]"
#: Kinds of commands that stop something (`services.stop_payment`).
STOPS: Final = frozenset(("STOP_ALL", "STOP_ONLY_CARD", "STOP_TAIL"))
#: Tails that one sentence lists.
_TAILS_MAX: Final = 10
_CHUNK: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Texts(Protocol):
    """The sentences that people read."""

    def text(self, key: str, language: str, facts: Facts) -> str:
        """One sentence in one language."""
        ...


class Submit(Protocol):
    """Hands commands to the engine."""

    def __call__(self, commands: list[Command]) -> Awaitable[list[Result]]:
        """Carry out all or none, durably, in order.

        Raises:
            StoreUnavailableError: nothing was done.
        """
        ...


@dataclass(frozen=True)
class StopWish:
    """Who wants cards stopped, and how it is told."""

    number: str
    language: str
    message_id: str
    source: StopSource
    #: `Actor.who` for a card.
    who: Callable[[CardState], str]
    #: Stands before `stopped` and `already_stopped` in the keys of the sentences.
    key: str = "sms."
    #: Whose card it is, for a third person's eyes.
    name: Callable[[CardState], str] = lambda _: ""


@final
class Stopping:
    """Reads cards as of now and stops them."""

    def __init__(self, reader: Reader, submit: Submit, texts: Texts) -> None:
        self._reader: Final = reader
        self._submit: Final = submit
        self._texts: Final = texts

    def cards(self, cardholders: Iterable[str], now_ms: int) -> list[CardState]:
        """Cards of these people that are not closed, as of now."""
        states: list[CardState] = []
        for cardholder in cardholders:
            after = b""
            while True:
                chunk = self._reader.cards(cardholder=cardholder, after=after, limit=_CHUNK)
                states.extend(_as_of(state, now_ms) for state in chunk)
                if len(chunk) < _CHUNK:
                    break
                after = chunk[-1].card_key
        return [s for s in states if s.settings.profile.status is not CardStatus.CLOSED]

    def after(self, result: Result, before: CardState) -> CardState:
        """A card's file after a command; after a repeat it is read again."""
        return result.state or self._reader.card(before.card_key) or before

    async def stopped(self, wish: StopWish, states: Sequence[CardState]) -> Reply | None:
        """Stop cards, all or none, and tell each with time and reference; None = none stands."""
        change = PlaceStop(wish.source)
        first = [command(s, change, wish.who(s), wish.message_id, "stop") for s in states]
        results = await self._submit(first)
        texts: list[str] = []
        stops: list[PlacedStop] = []
        is_new = False
        for before, result in zip(states, results, strict=True):
            after = self.after(result, before)
            # A repeat of the same message comes without the file, what is so already comes with it.
            was_done = result.is_repeat and result.state is None
            if after.settings.stop is None and was_done:
                # An id that was used before, and the stop was lifted since: a stop always works.
                (again,) = await self._submit([command(before, change, wish.who(before))])
                after, was_done = self.after(again, before), True
            stop = after.settings.stop
            if stop is None:
                continue
            was_stopped = before.settings.stop is not None and not was_done
            is_new = is_new or not was_stopped
            stops.append(PlacedStop(before.card_key, stop))
            key = f"{wish.key}{'already_stopped' if was_stopped else 'stopped'}"
            facts = {**stop_facts(before, stop), "name": wish.name(before)}
            texts.append(self._texts.text(key, wish.language, facts))
        if not stops:
            return None
        outcome: Outcome = "stopped" if is_new else "already_stopped"
        return Reply(outcome, tuple(texts), wish.language, wish.number, stops=tuple(stops))


def command(
    state: CardState, change: Change, who: str, message_id: str = "", operation: str = ""
) -> Command:
    """What a message wants of a card; with an id and an operation it is done once."""
    key = b""
    if message_id and operation:
        key = idempotency_key(f"sms|{operation}", message_id)
    return Command(
        state.card_key,
        change=change,
        actor=Actor(who, Via.SMS),
        idempotency_key=key,
        nonce=secrets.token_bytes(8),
    )


def stop_facts(state: CardState, stop: Stop | None) -> dict[str, int | str | list[str]]:
    """Tail, time on the card's own clock, and reference of a stop."""
    profile = state.settings.profile
    if stop is None:
        return {"tail": profile.tail, "time": "", "reference": ""}
    local = _EPOCH + timedelta(milliseconds=profile.zone.local_ms(stop.since_ms))
    return {
        "tail": profile.tail,
        "time": local.strftime("%m-%d %H:%M"),
        "reference": stop.reference,
    }


def tails_of(states: Sequence[CardState]) -> list[str]:
    """Tails to list, not more than a message can hold."""
    tails = [state.settings.profile.tail for state in states]
    return tails if len(tails) <= _TAILS_MAX else [*tails[:_TAILS_MAX], "…"]


def _as_of(state: CardState, now_ms: int) -> CardState:
    """A card's file with what time alone has changed."""
    current, _ = settled(state, Moment(now_ms, state.settings.profile.zone))
    return current

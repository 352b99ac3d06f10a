"""Caller: who sent a call, by its key; what each scope may reach.

- `issuer`: the bank's own systems. Everything; it alone may assert that the cardholder was strongly
  authenticated for this very call (`Authentication-Strength: strong`).
- `operator`: the bank's desk. Reads everything, tightens, and says what state a card is in; it
  sends
  no transactions and loosens nothing.
- `cardholder:<id>`: one person's app. Reaches that person's cards only; others' do not exist for it
  (404). It tightens at once; a loosening needs the issuer's word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Actor, Via
from zhiwei.core.ids import card_key_of
from zhiwei.core.settle import settled
from zhiwei.core.windows import Moment
from zhiwei.gateways.http.house import House
from zhiwei.gateways.http.keys import CARDHOLDER, ISSUER, OPERATOR
from zhiwei.gateways.http.problems import Problem
from zhiwei.ports import ApiKey, Cardholder

#: Which scopes may make a call.
EVERYBODY: tuple[str, ...] = (ISSUER, OPERATOR, CARDHOLDER)
STAFF: tuple[str, ...] = (ISSUER, OPERATOR)
ISSUER_ONLY: tuple[str, ...] = (ISSUER,)


@dataclass(frozen=True)
class Caller:
    """A key that was presented, and what its bearer asserts."""

    key: ApiKey
    #: An issuer's word that the cardholder was strongly authenticated for this call.
    is_strong: bool

    @property
    def is_staff(self) -> bool:
        """Acts for the issuer, not as a cardholder."""
        return self.key.scope != CARDHOLDER

    @property
    def only_cardholder(self) -> str:
        """The one cardholder that this key reaches; empty = all."""
        return "" if self.is_staff else self.key.subject

    @property
    def actor(self) -> Actor:
        """As commands and the audit trail name the caller."""
        return Actor(self.key.id, Via.HTTP, self.is_strong, self.is_staff)

    def may_reach(self, cardholder: str) -> bool:
        """Whether what belongs to a cardholder exists for this caller."""
        return self.is_staff or self.key.subject == cardholder


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


#: What an endpoint asks for by name: the house, and who calls.
TheHouse = Annotated[House, Depends(_house)]
TheCaller = Annotated[Caller, Depends(_caller)]


def reachable_card(house: House, caller: Caller, card: str) -> CardState:
    """The card of an id, if there is one that the caller may see; as it is now.

    Raises:
        Problem: `card_not_found`.
    """
    card_key = card_key_of(card)
    state = None if card_key is None else house.reader.card(card_key)
    if state is None or not caller.may_reach(state.settings.profile.cardholder):
        raise Problem("card_not_found")
    return as_of_now(house, state)


def reachable_cardholder(house: House, caller: Caller, cardholder: str) -> Cardholder:
    """The cardholder of an id, if there is one that the caller may see.

    Raises:
        Problem: `cardholder_not_found`.
    """
    found = house.reader.record(Cardholder, cardholder) if caller.may_reach(cardholder) else None
    if found is None:
        raise Problem("cardholder_not_found")
    return found


def moment_of(house: House, state: CardState) -> Moment:
    """Now, in the card's own zone."""
    return Moment(house.clock.now_ms(), state.settings.profile.zone)


def as_of_now(house: House, state: CardState) -> CardState:
    """The file with what time alone has changed: cooling-offs over, what ran out gone."""
    current, _ = settled(state, moment_of(house, state))
    return current

"""The bank: registers customers and their cards, and sets what they have switched on.

It goes through the HTTP door like any bank would. Registering the same customers again changes
nothing: the same number is the same card, and a control that is already set stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from zhiwei.simulate.http_door import HttpDoor, HttpDoorError
from zhiwei.simulate.people import Control, Customer
from zhiwei.simulate.telling import Language

#: Calls at once while a population is registered.
_AT_ONCE: Final = 4


@dataclass(frozen=True)
class Account:
    """A customer as the server knows them."""

    customer: Customer
    cardholder_id: str
    card_id: str


@final
class Bank:
    """The issuer's own systems, with an issuer key."""

    def __init__(self, door: HttpDoor, locale: Language = "zh") -> None:
        """`locale` = the language that its customers are written to in."""
        self.door: Final = door
        self._locale: Final = locale
        #: Whom it registered, by card id.
        self.accounts: Final[dict[str, Account]] = {}

    def register(self, customer: Customer) -> Account:
        """Make the cardholder, the card and its controls, as far as they are not there yet.

        Raises:
            HttpDoorError: the server refuses, or does not answer.
        """
        person = {"name": customer.name_zh, "locale": self._locale}
        if customer.phone:
            person["phone"] = customer.phone
        # The same person is not made twice when a population is registered again.
        once = {"Idempotency-Key": f"zhiwei-simulate-{customer.card}"}
        made = self.door.call("POST", "/v1/cardholders", person, headers=once)
        card = self.door.call(
            "POST",
            "/v1/cards",
            {
                "pan": customer.pan,
                "cardholder": made.document["id"],
                "currency": "CNY",
                "time_zone": "Asia/Shanghai",
                "has_chip": customer.has_chip,
                "network": "unionpay",
            },
        ).document
        account = Account(customer, card["cardholder"], card["id"])
        self.accounts[account.card_id] = account
        for control in customer.controls:
            self.first_set(account, control)
        return account

    def first_set(self, account: Account, control: Control) -> bool:
        """Set a control unless the card has one of its type; whether it was set now."""
        kind, document = control
        try:
            self.door.call(
                "PUT",
                f"/v1/cards/{account.card_id}/controls/{kind}",
                document,
                headers={"If-None-Match": "*"},
            )
        except HttpDoorError as error:
            if error.status == 412:
                return False
            raise
        return True

    async def register_all(
        self, customers: Sequence[Customer], on_done: Callable[[int], Any] = lambda _: None
    ) -> list[Account]:
        """Register a population, a few at once; `on_done` is told how many are done.

        Raises:
            HttpDoorError: the server refuses, or does not answer.
        """
        places = asyncio.Semaphore(_AT_ONCE)
        done = 0

        async def one(customer: Customer) -> Account:
            nonlocal done
            async with places:
                account = await asyncio.to_thread(self.register, customer)
            done += 1
            on_done(done)
            return account

        return list(await asyncio.gather(*(one(customer) for customer in customers)))

    def move_clock(self, now: str) -> None:
        """Set the server's clock (`--test-mode` only) to an RFC 3339 instant.

        Raises:
            HttpDoorError: the server has no such clock (404), or refuses.
        """
        self.door.call("PUT", "/v1/test_helpers/clock", {"now": now})

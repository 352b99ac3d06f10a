"""The crash: traffic at full speed, `kill -9`, restart, and the proof from the outside.

The clients keep a record of what the server acknowledged. Afterwards every message is sent again as
a repeat: what was acknowledged must get the very same bytes again, and every counter must be the
sum of what was approved, once each.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from zhiwei.gateways.iso8583.dialect import Dialect
from zhiwei.simulate.acquirer import Acquirer, Sent
from zhiwei.simulate.bank import Account, Bank
from zhiwei.simulate.doings import Deed, Doing, How
from zhiwei.simulate.habits import SUPERMARKET
from zhiwei.simulate.people import CUSTOMERS_MAX, Customer, Trade, card_number
from zhiwei.simulate.places import SHANGHAI
from zhiwei.simulate.wire import Answer, NoAnswerError, Wire, connect

#: Cards, connections, and messages in flight on each connection.
CARDS: Final = 6
LINES: Final = 3
_WINDOW: Final = 16
#: Limits so high that nothing reaches them; they make the server count.
_AMOUNT_MAX: Final = 10**12
_COUNT_MAX: Final = 1_000_000


@dataclass
class Book:
    """What the clients know."""

    acknowledged: list[tuple[Sent, Answer]] = field(default_factory=list)
    #: Sent, and no answer came before the crash.
    open: list[Sent] = field(default_factory=list)

    def approved_minor(self, card: int) -> int:
        """The sum of what was approved for a card."""
        return sum(d.amount_minor for d in self._approved(card))

    def approved_count(self, card: int) -> int:
        """How many purchases of a card were approved."""
        return len(self._approved(card))

    def _approved(self, card: int) -> list[Doing]:
        return [
            sent.doing
            for sent, answer in self.acknowledged
            if answer.is_approved and sent.doing is not None and sent.doing.customer.card == card
        ]


@dataclass(frozen=True)
class Counters:
    """What the server has counted for one card today."""

    amount_minor: int
    count: int


def crash_customers(seed: int) -> list[Customer]:
    """The cards of the crash: nothing is switched on but counting."""
    limits = {
        "items": [
            {"channel": "all", "measure": "amount", "period": "day", "amount": _AMOUNT_MAX},
            {"channel": "all", "measure": "count", "period": "day", "count": _COUNT_MAX},
        ]
    }
    return [
        Customer(
            number=number,
            name_zh=f"压力{number}",
            name_en=f"Stress {number}",
            trade=Trade.OFFICE,
            home=SHANGHAI,
            has_chip=True,
            payday=10,
            income_minor=0,
            controls=(("limits", limits),),
            card=card_number(seed, CUSTOMERS_MAX - 100 - number),
        )
        for number in range(CARDS)
    ]


async def flood(
    address: tuple[str, int],
    dialect: Dialect,
    acquirer: Acquirer,
    customers: Sequence[Customer],
    at_ms: int,
    book: Book,
) -> None:
    """Send purchases as fast as answers come, until the server is gone."""
    rng = random.Random(at_ms)  # noqa: S311 - amounts, not secrets
    wires = [await connect(*address, dialect) for _ in range(LINES)]

    async def one_client(wire: Wire) -> None:
        while True:
            doing = Doing(
                at_ms,
                rng.choice(customers),
                Deed.PURCHASE,
                How.CHIP,
                SUPERMARKET,
                SHANGHAI,
                rng.randrange(100, 20_000),
            )
            sent = acquirer.request(doing)
            try:
                book.acknowledged.append((sent, await wire.ask(sent.message)))
            except NoAnswerError:
                book.open.append(sent)
                return

    clients = (one_client(wire) for wire in wires for _ in range(_WINDOW))
    await asyncio.gather(*clients)
    for wire in wires:
        await wire.close()


async def resend(
    address: tuple[str, int], dialect: Dialect, acquirer: Acquirer, sent: Sequence[Sent]
) -> list[Answer]:
    """Send messages again as repeats; the answers in the same order.

    Raises:
        NoAnswerError: one was not answered.
    """
    wire = await connect(*address, dialect)
    places = asyncio.Semaphore(_WINDOW * LINES)

    async def one(message: Sent) -> Answer:
        async with places:
            return await wire.ask(acquirer.repeat(message).message)

    try:
        return list(await asyncio.gather(*(one(message) for message in sent)))
    finally:
        await wire.close()


async def counters(bank: Bank, account: Account) -> Counters:
    """What the server has counted for a card today."""
    reply = await bank.door.acall("GET", f"/v1/cards/{account.card_id}/limits")
    used = {row["measure"]: row["used"] for row in reply.rows if row["period"] == "day"}
    return Counters(used["amount"], used["count"])

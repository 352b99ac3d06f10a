"""Reasons: why a message was not approved, as the server's HTTP door tells it afterwards.

The wire says two characters (DE39). The sentence behind them is in the decision, which is found by
its trace and retrieval reference.
"""

from __future__ import annotations

from typing import Final, final

from zhiwei.simulate.acquirer import Sent
from zhiwei.simulate.bank import Account
from zhiwei.simulate.http_door import Document, HttpDoor, HttpDoorError

#: How many of the last decisions are looked through for the one that was just answered.
_LOOKED_THROUGH: Final = 50


@final
class Reasons:
    """Asks one server. Without a door nothing is known, and nothing is asked."""

    def __init__(self, door: HttpDoor | None) -> None:
        self._door: Final = door
        #: Registered cards by their number in the test range.
        self.accounts: Final[dict[int, Account]] = {}

    async def of(self, sent: Sent) -> list[Document]:
        """The reasons of a decision, the first one first; empty where none can be found."""
        decision = await self.decision(sent)
        return [] if decision is None else list(decision["reasons"])

    async def decision(self, sent: Sent) -> Document | None:
        """The server's own record of a decision, None where it cannot be found."""
        if self._door is None or sent.doing is None:
            return None
        account = self.accounts.get(sent.doing.customer.card)
        which = f"&card={account.card_id}" if account is not None else ""
        path = f"/v1/authorizations?limit={_LOOKED_THROUGH}{which}"
        try:
            reply = await self._door.acall("GET", path)
        except HttpDoorError:
            return None
        same = (
            row for row in reply.rows if (row["stan"], row["rrn"] or "") == (sent.stan, sent.rrn)
        )
        return next(same, None)

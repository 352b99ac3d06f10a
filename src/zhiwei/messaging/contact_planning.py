"""ContactPlanning: what trusted contacts (信任联系人) are told of an event by text message.

Only what stops or opens a card: never a payment, an amount or a balance. The cardholder's
preferences and quiet hours do not hold for it, since who has taken over an app must not be able to
silence it first. It has a budget of its own, so that it never uses up the cardholder's.
"""

from __future__ import annotations

from typing import Final, final

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Via
from zhiwei.core.event import EventKind
from zhiwei.messaging.budgets import Budgets, Tier
from zhiwei.messaging.contacts import Contact, agreed_contacts, masked_name
from zhiwei.messaging.kinds import loosens
from zhiwei.messaging.lanes import lane_of, message_id
from zhiwei.messaging.model import SMS, Message, Planned, Status
from zhiwei.messaging.texts import Texts
from zhiwei.ports import Cardholder, EventRow, Reader


def is_for_contacts(row: EventRow) -> bool:
    """Whether contacts hear of it. A "no" to a question is told by the stop that it places."""
    return row.event.kind is EventKind.STOP_PLACED or loosens(row)


@final
class ContactPlanning:
    """Makes the messages to contacts. One thread at a time may use it."""

    def __init__(self, reader: Reader, texts: Texts) -> None:
        self._reader: Final = reader
        self._texts: Final = texts

    def planned(
        self, row: EventRow, state: CardState, holder: Cardholder, budgets: Budgets
    ) -> list[Planned]:
        """One message to each contact who agreed before the event; those who know it get none."""
        if not is_for_contacts(row):
            return []
        contacts = agreed_contacts(self._reader, holder.id)
        by = self._stopped_by(row) if contacts else ""
        return [
            self._one(row, state, holder, contact, budgets)
            for contact in contacts
            if contact.said.agreed_ms <= row.at_ms and contact.id != by
        ]

    def _one(
        self,
        row: EventRow,
        state: CardState,
        holder: Cardholder,
        contact: Contact,
        budgets: Budgets,
    ) -> Planned:
        named = contact.named
        name = masked_name(holder.name, named.locale)
        message = Message(
            id=message_id(row, named.id),
            event_id=row.id,
            kind=row.event.kind.word,
            card_key=row.card_key,
            lane=lane_of(row, SMS, named.phone),
            channel=SMS,
            to=named.phone,
            language=named.locale,
            subject="",
            text=self._texts.for_contact(row, state, name, named.locale),
            created_ms=row.at_ms,
            is_urgent=True,
        )
        used_up = budgets.take(row.card_key, named.phone, Tier.CONTACT)
        if used_up:
            return Planned(message, Status.HELD_BACK, f"budget of the {used_up} is used up")
        return Planned(message)

    def _stopped_by(self, row: EventRow) -> str:
        """The contact whose own text placed a stop, and who had the reply; empty = none did."""
        if row.event.facts.get("source") != "contact":
            return ""
        entry = self._reader.entry(row.card_key, row.version)
        actor = None if entry is None else entry.command.actor
        return "" if actor is None or actor.via is not Via.SMS else actor.who

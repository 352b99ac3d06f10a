"""Why: one decision with every control that was asked, its numbers, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.entry import Entry, Flag
from zhiwei.core.ids import card_id, entry_of
from zhiwei.gateways.http.authorizations import authorization_document, evaluation_documents
from zhiwei.gateways.http.house import Document, House
from zhiwei.vault import text_without_numbers

_FLAGS: Final = {
    "past_control": Flag.PAST_CONTROL,
    "unmatched": Flag.UNMATCHED,
    "no_effect": Flag.NO_EFFECT,
    "pending": Flag.PENDING,
}
#: Fields of the message, as it was understood, in the order of the wire: number there, name here.
MESSAGE_FIELDS: Final = (
    ("DE3", "kind"),
    ("DE4", "amount_minor"),
    ("DE6", "billing_amount_minor"),
    ("DE7", "transmitted_at"),
    ("DE11", "stan"),
    ("DE12/13", "local_time"),
    ("DE18", "mcc"),
    ("DE22", "medium"),
    ("DE32", "acquirer"),
    ("DE33", "forwarder"),
    ("DE37", "rrn"),
    ("DE38", "auth_code"),
    ("DE41", "terminal"),
    ("DE42", "merchant_id"),
    ("DE43", "merchant_name"),
    ("DE49", "currency"),
    ("DE51", "billing_currency"),
    ("", "channel"),
    ("", "country"),
    ("", "region"),
    ("", "place_source"),
    ("", "institution"),
    ("", "initiator"),
    ("", "pin_entered"),
    ("", "terminal_flagged"),
)


@dataclass(frozen=True)
class Why:
    """A decision as its page shows it."""

    state: CardState
    entry: Entry
    #: As the API shows it.
    document: Document
    #: Every control that was asked; those that said something first.
    evaluations: list[Document]
    #: Words of `Flag` that the entry carries.
    flags: tuple[str, ...]
    #: The message as it was understood: number on the wire, name, value; without what is unknown.
    message: tuple[tuple[str, str, str], ...]

    @property
    def card(self) -> str:
        """The card's id."""
        return card_id(self.state.card_key)


def why(house: House, authorization: str) -> Why | None:
    """The decision of an id; None where there is none. Blocking: for a thread."""
    named = entry_of("auth", authorization)
    state = None if named is None else house.reader.card(named[0])
    entry = None if named is None else house.reader.entry(*named)
    if state is None or entry is None or entry.command.request is None:
        return None
    return Why(
        state=state,
        entry=entry,
        document=authorization_document(house, state, entry),
        evaluations=evaluation_documents(house, state, entry),
        flags=tuple(word for word, bit in _FLAGS.items() if entry.flags & bit),
        message=_message(entry),
    )


def _message(entry: Entry) -> tuple[tuple[str, str, str], ...]:
    """The facts of the message. The number of the card is not among them; it was never kept."""
    request = entry.command.request
    assert request is not None, "only card messages are explained"
    facts: list[tuple[str, str, str]] = []
    for number, name in MESSAGE_FIELDS:
        value = getattr(request, name)
        if value in ("", -1, False):
            continue
        # A member of an enumeration is a number whose name people know.
        word = getattr(value, "name", None)
        text = word.lower() if isinstance(word, str) else str(value)
        facts.append((number, name, text_without_numbers(text)))
    return tuple(facts)

"""Trusted contacts (信任联系人): whom a cardholder named, what they said, what follows from both.

A contact is told of what opens or stops a card and may stop it, never anything else. Both sides opt
in: the cardholder names somebody with strong proof, and that person agrees by text message with the
reference of the invitation. Either ends it at any time, and nothing but a new invitation begins it
again. Values and rules only; who keeps and sends is elsewhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol

from zhiwei.core.command import Actor, Via
from zhiwei.core.result import Audit
from zhiwei.core.windows import HOUR_MS
from zhiwei.messaging.model import SMS, Clock, Message
from zhiwei.ports import Cardholder, ContactConsent, Reader, Record, TrustedContact

#: Contacts that a cardholder may have at once, open invitations included.
CONTACTS_MAX: Final = 3
#: Invitations of one cardholder in an hour, and to one number in a day, whoever invites.
INVITATIONS_PER_HOUR: Final = 3
INVITATIONS_PER_NUMBER: Final = 3
#: Who ended or refused it is not asked again by the same cardholder for so long.
NOT_AGAIN_MS: Final = 24 * HOUR_MS
#: An invitation that is not answered for so long is over.
INVITATION_MS: Final = 7 * 24 * HOUR_MS
#: Kind of the messages to contacts that tell no event of a card.
INVITED: Final = "contact_invited"
ENDED: Final = "contact_ended"

_DAY_MS: Final = 24 * HOUR_MS
#: More than a number may have live, so a listing is never cut short of one.
_CHUNK: Final = 100
_TEXT_MAX: Final = 200
_AGREE: Final = re.compile(r"(?:同意|AGREE)#?([0-9]{6})?")
_END: Final = frozenset(("退订", "END", "拒绝", "TD"))


class ContactState(StrEnum):
    """Where a trusted contact stands."""

    INVITED = "invited"
    AGREED = "agreed"
    #: By either side, or the invitation was not answered in time.
    ENDED = "ended"


class Word(StrEnum):
    """What a contact may say by text message."""

    AGREE = "agree"
    END = "end"


@dataclass(frozen=True)
class Contact:
    """Both sides of one trusted contact."""

    named: TrustedContact
    said: ContactConsent

    @property
    def id(self) -> str:
        """`contact_…`, of both records, and `Actor.who` of what the contact does."""
        return self.named.id

    @property
    def cardholder(self) -> str:
        """Whose contact it is."""
        return self.named.subject

    @property
    def ended_ms(self) -> int:
        """When the first side ended it; 0 = neither did."""
        return min([at_ms for at_ms in (self.named.ended_ms, self.said.ended_ms) if at_ms] or [0])

    @property
    def is_agreed(self) -> bool:
        """Whether both sides want it, and neither has ended it; no time alone changes that."""
        return self.said.agreed_ms > 0 and not self.ended_ms

    def state(self, now_ms: int) -> ContactState:
        """Where it stands at an instant (UTC ms)."""
        if self.ended_ms:
            return ContactState.ENDED
        if self.is_agreed:
            return ContactState.AGREED
        is_old = now_ms >= self.named.created_ms + INVITATION_MS
        return ContactState.ENDED if is_old else ContactState.INVITED


class Keep(Protocol):
    """Keeps records that are in no card's file."""

    def __call__(
        self, records: Sequence[Record], audits: Sequence[Audit], actor: Actor
    ) -> Awaitable[None]:
        """Keep all or none, durably.

        Raises:
            StoreUnavailableError: nothing was kept.
        """
        ...


class Settle(Protocol):
    """Has the serving process keep what a contact said."""

    def __call__(self, contact_id: str, word: str) -> Awaitable[None]:
        """Keep it, durably; nothing where it changes nothing (`said_by`).

        Raises:
            StoreUnavailableError: nothing was kept.
        """
        ...


def contact_of(reader: Reader, contact_id: str) -> Contact | None:
    """A contact by its id, ended or not."""
    named = reader.record(TrustedContact, contact_id)
    said = reader.record(ContactConsent, contact_id)
    return None if named is None or said is None else Contact(named, said)


def contacts_of(reader: Reader, cardholder: str) -> list[Contact]:
    """All contacts of a cardholder, those that ended lately too; newest first."""
    named = reader.records(TrustedContact, subject=cardholder, limit=_CHUNK)
    both = [(one, reader.record(ContactConsent, one.id)) for one in named]
    return [Contact(one, said) for one, said in both if said is not None]


def agreed_contacts(reader: Reader, cardholder: str) -> list[Contact]:
    """Those who are told, and may stop a card; oldest first."""
    return [c for c in reversed(contacts_of(reader, cardholder)) if c.is_agreed]


def contacts_with(reader: Reader, number: str) -> list[Contact]:
    """All contacts with a number (E.164), those that ended lately too; newest first."""
    said = reader.records(ContactConsent, subject=number, limit=_CHUNK)
    both = [(reader.record(TrustedContact, one.id), one) for one in said]
    return [Contact(named, one) for named, one in both if named is not None]


def why_not(reader: Reader, cardholder: Cardholder, number: str, now_ms: int) -> str:
    """Why a cardholder may not invite a number now; empty where it may be.

    Words: `own_number`, `too_many_contacts`, `too_many_invitations`.
    """
    if number in (cardholder.phone, cardholder.former_phone):
        return "own_number"
    mine = contacts_of(reader, cardholder.id)
    if sum(1 for c in mine if c.state(now_ms) is not ContactState.ENDED) >= CONTACTS_MAX:
        return "too_many_contacts"
    theirs = contacts_with(reader, number)
    is_refused = any(
        c.cardholder == cardholder.id and 0 <= now_ms - c.said.ended_ms < NOT_AGAIN_MS
        for c in theirs
    )
    lately = [c for c in mine if now_ms - c.named.created_ms < HOUR_MS]
    today = [c for c in theirs if now_ms - c.named.created_ms < _DAY_MS]
    is_often = len(lately) >= INVITATIONS_PER_HOUR or len(today) >= INVITATIONS_PER_NUMBER
    return "too_many_invitations" if is_refused or is_often else ""


def said_by(contact: Contact, word: str, now_ms: int) -> tuple[ContactConsent, Audit, Actor] | None:
    """What is kept when a contact says `agree` or `end` by text; None where nothing changes."""
    state = contact.state(now_ms)
    actor = Actor(contact.id, Via.SMS)
    if word == Word.AGREE and state is ContactState.INVITED:
        said = replace(contact.said, agreed_ms=now_ms)
        return said, Audit("trusted_contact.agreed", contact.id, state, "agreed"), actor
    if word == Word.END and state is not ContactState.ENDED:
        said = replace(contact.said, ended_ms=now_ms)
        return said, Audit("trusted_contact.left", contact.id, state, "ended"), actor
    return None


def settler(reader: Reader, keep: Keep, clock: Clock) -> Settle:
    """What keeps the words of contacts, beside the store that keeps them."""

    async def settle(contact_id: str, word: str) -> None:
        contact = contact_of(reader, contact_id)
        kept = None if contact is None else said_by(contact, word, clock.now_ms())
        if kept is not None:
            said, audit, actor = kept
            await keep([said], [audit], actor)

    return settle


def read_word(text: str) -> tuple[Word, str] | None:
    """What a contact says and the reference given (empty = none); None where it is neither.

    Case, spaces of every width, full-width letters and digits, and a final stop do not matter.
    """
    if len(text) > _TEXT_MAX:
        return None
    plain = unicodedata.normalize("NFKC", text).upper()
    squeezed = "".join([c for c in plain if not (c.isspace() or unicodedata.category(c) == "Cf")])
    squeezed = squeezed.rstrip("。.!")
    if squeezed in _END:
        return Word.END, ""
    match = _AGREE.fullmatch(squeezed)
    return None if match is None else (Word.AGREE, match[1] or "")


def masked_name(name: str, language: str) -> str:
    """A name as a third person reads it: the first letter and a star (李*, L***)."""
    first = next((c for c in unicodedata.normalize("NFKC", name) if c.isalpha()), "")
    if not first:
        return "持卡人" if language == "zh" else "A cardholder"
    return f"{first}*" if ord(first) > 0x2E7F else f"{first.upper()}***"


def contact_message(contact: Contact, kind: str, text: str, now_ms: int) -> Message:
    """A message to a contact that tells no event of a card: `INVITED` or `ENDED`."""
    return Message(
        id=f"msg_{contact.id}-{kind.rpartition('_')[2]}",
        event_id="",
        kind=kind,
        card_key=b"",
        lane=contact.id,
        channel=SMS,
        to=contact.named.phone,
        language=contact.named.locale,
        subject="",
        text=text,
        created_ms=now_ms,
        expires_ms=now_ms + INVITATION_MS if kind == INVITED else 0,
    )

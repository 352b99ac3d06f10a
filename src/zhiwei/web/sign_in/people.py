"""People: who stands behind a phone number, a passkey, a link or an identity provider's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, final

from zhiwei.messaging.contacts import Contact, contact_of, contacts_with
from zhiwei.ports import Cardholder, Reader
from zhiwei.web.sign_in.model import Face, FaceStore, Role


@dataclass(frozen=True)
class Person:
    """Somebody who may sign in."""

    face: Face
    #: Cardholder id, contact id or operator id.
    subject: str
    #: Whose cards are shown; empty for an operator.
    cardholder: str
    #: VIEWER unless an operator.
    role: Role
    name: str
    #: E.164; empty = no code can be sent. Never in a log.
    phone: str
    #: `zh` or `en`.
    language: str


class People(Protocol):
    """Finds people. Thread-safe; reads files, so off the loop."""

    def of(self, face: Face, subject: str) -> Person | None:
        """Somebody who may sign in now (an operator who was disabled may not)."""
        ...

    def by_phone(self, number: str) -> Person | None:
        """Who signs in by codes to this E.164 number; None where that is not exactly one."""
        ...

    def by_oidc(self, face: Face, name: str) -> Person | None:
        """Who the issuer's identity provider calls so."""
        ...


@final
class HousePeople:
    """The cardholders of the house, their trusted contacts, and the operators of its desk."""

    def __init__(self, reader: Reader, store: FaceStore) -> None:
        self._reader: Final = reader
        self._store: Final = store

    def of(self, face: Face, subject: str) -> Person | None:
        """Somebody who may sign in now."""
        if face is Face.CARDHOLDER:
            found = self._reader.record(Cardholder, subject)
            return None if found is None else _cardholder(found)
        if face is Face.OPERATOR:
            operator = self._store.operator(subject)
            if operator is None or operator.disabled_ms:
                return None
            return Person(face, operator.id, "", operator.role, operator.name, "", "zh")
        contact = contact_of(self._reader, subject)
        return _contact(contact) if contact is not None and contact.is_agreed else None

    def by_phone(self, number: str) -> Person | None:
        """The cardholder with this number; where there is none, the trusted contact with it.

        Of several who share it none, since it tells too little: they sign in with a passkey or a
        link.
        """
        found = self._reader.records(Cardholder, subject=number, limit=2)
        if found:
            return _cardholder(found[0]) if len(found) == 1 else None
        contacts = [c for c in contacts_with(self._reader, number) if c.is_agreed]
        return _contact(contacts[0]) if len(contacts) == 1 else None

    def by_oidc(self, face: Face, name: str) -> Person | None:
        """An operator by `oidc_subject`, a cardholder by id."""
        if not name:
            return None
        if face is Face.OPERATOR:
            named = [one for one in self._store.operators() if one.oidc_subject == name]
            return self.of(face, named[0].id) if len(named) == 1 else None
        return self.of(face, name) if face is Face.CARDHOLDER else None


def _cardholder(record: Cardholder) -> Person:
    return Person(
        Face.CARDHOLDER,
        record.id,
        record.id,
        Role.VIEWER,
        record.name,
        record.phone,
        record.locale,
    )


def _contact(contact: Contact) -> Person:
    named = contact.named
    return Person(
        Face.CONTACT, named.id, named.subject, Role.VIEWER, named.name, named.phone, named.locale
    )

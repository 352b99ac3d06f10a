"""SignIn: how somebody gets in, by which way, and what is written down of it.

Every way ends in `_entered`: an audit line first, then a new session. Nothing here knows of HTTP;
the pages are in `pages.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.concurrency import run_in_threadpool

from zhiwei.core.command import Actor, Via
from zhiwei.core.result import Audit
from zhiwei.gateways.http.house import House
from zhiwei.messaging.numbers import may_be_answered, sender_number
from zhiwei.web.sign_in.codes import Asked, Codes, link_of, sign_in_purpose, take_link
from zhiwei.web.sign_in.model import Face, FaceStore, Passkey, Proof, Session
from zhiwei.web.sign_in.notices import Notices
from zhiwei.web.sign_in.oidc import Oidc
from zhiwei.web.sign_in.passkeys import Passkeys, label_of
from zhiwei.web.sign_in.people import HousePeople, People, Person
from zhiwei.web.sign_in.sessions import Sessions
from zhiwei.web.sign_in.settings import FaceSettings
from zhiwei.web.sign_in.site import Site

#: Keys are added and removed within so long after a sign-in; later one signs in again, so that a
#: phone that is left open for a minute does not become somebody else's for good.
FRESH_MS: Final = 5 * 60_000
#: Where providers send people back to, by face.
BACK: Final = {Face.CARDHOLDER: "/sign-in/back", Face.OPERATOR: "/console/sign-in/back"}


@dataclass(frozen=True)
class SignIn:
    """The parts that let people in."""

    house: House
    store: FaceStore
    sessions: Sessions
    codes: Codes
    passkeys: Passkeys
    notices: Notices
    people: People
    site: Site
    #: Identity providers by face; none where people sign in otherwise.
    oidc: Mapping[Face, Oidc] = field(default_factory=dict)


@dataclass(frozen=True)
class Entered:
    """Somebody is in."""

    #: Value of the session's cookie.
    cookie: str
    session: Session
    person: Person


def sign_in_of(
    house: House,
    store: FaceStore,
    site: Site,
    settings: FaceSettings,
    *,
    sends_sms: bool,
    people: People | None = None,
) -> SignIn:
    """Put the parts together.

    `sends_sms` = messages.toml has the table `sms`; without it nobody gets a code. `people` None =
    the house's cardholders and operators.
    """
    clock = house.clock
    secret = house.vault.derived_secret("faces")
    queue = house.messages.queue if house.messages is not None and sends_sms else None
    oidc = {
        face: Oidc(provider, f"{site.origin}{BACK[face]}", store, clock, secret)
        for face, provider in (
            (Face.CARDHOLDER, settings.cardholders),
            (Face.OPERATOR, settings.operators),
        )
        if provider is not None
    }
    return SignIn(
        house=house,
        store=store,
        sessions=Sessions(store, clock),
        codes=Codes(store, clock, house.words.text, queue, secret),
        passkeys=Passkeys(store, clock, site),
        notices=Notices(house.reader, clock, house.words.text, queue),
        people=people if people is not None else HousePeople(house.reader, store),
        site=site,
        oidc=oidc,
    )


def phone_of(text: str) -> str:
    """E.164 of what somebody typed; empty where no text message could be sent there."""
    number = sender_number(text)
    return number if may_be_answered(number) else ""


async def ask_code(desk: SignIn, number: str) -> Asked:
    """Count a wish for a code; the same whether the number is known or not.

    The code itself is sent by `send_code` after the answer: the time that takes tells nothing then.
    """
    return await run_in_threadpool(desk.codes.may_ask, number)


async def send_code(desk: SignIn, visit: str, number: str) -> None:
    """Send a code to sign in with, if the number is exactly one person's."""
    person = await run_in_threadpool(desk.people.by_phone, number)
    if person is not None and desk.codes.is_on:
        purpose = sign_in_purpose(visit, person.face, person.subject)
        await desk.codes.send(purpose, person.phone, person.language)


async def enter_by_code(desk: SignIn, visit: str, number: str, code: str) -> Entered | None:
    """Let in who has the code; None where it is wrong, over, of another browser, or nobody's."""
    person = await run_in_threadpool(desk.people.by_phone, number)
    subject = "" if person is None else person.subject
    face = Face.CARDHOLDER if person is None else person.face
    purpose = sign_in_purpose(visit, face, subject)
    is_right = await run_in_threadpool(desk.codes.is_right, purpose, code)
    return await _entered(desk, person, Proof.CODE) if is_right and person is not None else None


async def enter_by_passkey(desk: SignIn, visit: str, answer: str) -> Entered | None:
    """Let in whose device answered; None where the person may not enter any more.

    Raises:
        BadPasskeyError: no device of ours did.
    """
    passkey = await run_in_threadpool(desk.passkeys.who, visit, answer)
    person = await run_in_threadpool(desk.people.of, passkey.face, passkey.subject)
    return await _entered(desk, person, Proof.PASSKEY)


async def person_of_link(desk: SignIn, token: str) -> Person | None:
    """Whom a link would let in; it stays valid."""
    now_ms = desk.house.clock.now_ms()
    found = await run_in_threadpool(link_of, desk.store, token, now_ms)
    return None if found is None else await run_in_threadpool(desk.people.of, *found)


async def enter_by_link(desk: SignIn, token: str) -> Entered | None:
    """Let in who has the link, once."""
    now_ms = desk.house.clock.now_ms()
    found = await run_in_threadpool(take_link, desk.store, token, now_ms)
    if found is None:
        return None
    person = await run_in_threadpool(desk.people.of, *found)
    return await _entered(desk, person, Proof.LINK)


async def enter_by_oidc(
    desk: SignIn, face: Face, visit: str, state: str, code: str
) -> Entered | None:
    """Let in whom the issuer's provider knows; None where the house does not know them.

    Raises:
        OidcError: the provider's answer cannot be believed.
    """
    name = await run_in_threadpool(desk.oidc[face].finish, visit, state, code)
    person = await run_in_threadpool(desk.people.by_oidc, face, name)
    return await _entered(desk, person, Proof.OIDC)


async def sign_out(desk: SignIn, cookie: str, session: Session) -> None:
    """End a session."""
    await run_in_threadpool(desk.sessions.end, cookie)
    await _written(desk, session, Audit("session.ended", session.subject, "", ""))


async def end_all_sessions(desk: SignIn, session: Session) -> int:
    """End all sessions of who asks, this one too; returns how many."""
    ended = await run_in_threadpool(desk.sessions.end_all, session.subject)
    told = json.dumps({"sessions": ended})
    await _written(desk, session, Audit("session.all_ended", session.subject, told, ""))
    return ended


def is_fresh(desk: SignIn, session: Session) -> bool:
    """Whether somebody signed in a moment ago, so that they may change their keys."""
    return desk.house.clock.now_ms() - session.created_ms < FRESH_MS


async def add_passkey(
    desk: SignIn, session: Session, person: Person, answer: str, label: str
) -> Passkey:
    """Keep a new key of who asks, and tell their phone.

    Raises:
        BadPasskeyError: the device did not answer what it was asked.
        TooManyPasskeysError: it is known, or there are too many.
    """
    assert is_fresh(desk, session), "the page asks first"
    passkey = await run_in_threadpool(desk.passkeys.add, session, person, answer, label)
    new = json.dumps({"label": passkey.label}, ensure_ascii=False)
    await _written(desk, session, Audit("passkey.added", passkey.id[:64], "", new))
    await desk.notices.passkey_added(person)
    return passkey


async def rename_passkey(desk: SignIn, session: Session, passkey_id: str, label: str) -> bool:
    """Call a key of who asks something else; False where they have no such key."""
    passkey = await _own(desk, session, passkey_id)
    if passkey is None:
        return False
    name = label_of(label)
    old, new = (json.dumps({"label": one}, ensure_ascii=False) for one in (passkey.label, name))
    await _written(desk, session, Audit("passkey.renamed", passkey.id[:64], old, new))
    return await run_in_threadpool(desk.store.rename_passkey, passkey.id, name)


async def remove_passkey(desk: SignIn, session: Session, passkey_id: str) -> bool:
    """Forget a key of who asks; False where they have no such key."""
    passkey = await _own(desk, session, passkey_id)
    if passkey is None:
        return False
    old = json.dumps({"label": passkey.label}, ensure_ascii=False)
    await _written(desk, session, Audit("passkey.removed", passkey.id[:64], old, ""))
    return await run_in_threadpool(desk.store.remove_passkey, passkey.id)


def actor_of(face: Face, subject: str, *, is_strong: bool = False) -> Actor:
    """Who acts in a session."""
    is_staff = face is Face.OPERATOR
    via = Via.CONSOLE if is_staff else Via.APP
    return Actor(subject, via, is_strong=is_strong, is_staff=is_staff)


async def _own(desk: SignIn, session: Session, passkey_id: str) -> Passkey | None:
    found = await run_in_threadpool(desk.store.passkey, passkey_id)
    if found is None or (found.face, found.subject) != (session.face, session.subject):
        return None
    return found


async def _entered(desk: SignIn, person: Person | None, proof: Proof) -> Entered | None:
    """Write it down, and open a session; None where nobody may enter."""
    if person is None:
        return None
    told = json.dumps({"face": person.face.name.lower(), "proof": proof.name.lower()})
    audit = Audit("session.opened", person.subject, "", told)
    await desk.house.keep((), (audit,), actor_of(person.face, person.subject))
    cookie, session = await run_in_threadpool(
        desk.sessions.open, person.face, person.subject, person.cardholder, person.role, proof
    )
    return Entered(cookie, session, person)


async def _written(desk: SignIn, session: Session, audit: Audit) -> None:
    await desk.house.keep((), (audit,), actor_of(session.face, session.subject))

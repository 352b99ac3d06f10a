"""Proof: a loosening waits until who asked for it has shown once more who they are.

By a passkey, whose signature covers the change, or by a one-time code whose text says what it is
for. A deed belongs to the session that asked, is proved once and done once. A trusted contact
proves nothing: they may tighten, never loosen.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from starlette.concurrency import run_in_threadpool

from zhiwei.core.errors import ZhiweiError
from zhiwei.web.sign_in.codes import Asked, deed_purpose
from zhiwei.web.sign_in.entering import SignIn
from zhiwei.web.sign_in.model import Deed, Face, Session
from zhiwei.web.sign_in.people import Person

#: A deed waits for so long.
DEED_MS: Final = 10 * 60_000


class NotProvableError(ZhiweiError):
    """a trusted contact may tighten, never loosen"""


class DeedGoneError(ZhiweiError):
    """the change waits no more: it was made, it is too old, or it was asked for elsewhere"""


class Way(StrEnum):
    """How a change can be proved."""

    PASSKEY = "passkey"
    CODE = "code"


async def waiting(desk: SignIn, session: Session, deed_id: str) -> Deed:
    """The change that waits for this session.

    Raises:
        NotProvableError: a contact asks.
        DeedGoneError: there is none.
    """
    _may_prove(session)
    now_ms = desk.house.clock.now_ms()
    deed = await run_in_threadpool(desk.store.deed, deed_id, session.id, now_ms)
    if deed is None:
        raise DeedGoneError
    return deed


async def ways(desk: SignIn, session: Session) -> tuple[Way, ...]:
    """How this person can prove something, the better way first; empty = not at all.

    Raises:
        NotProvableError: a contact asks.
    """
    _may_prove(session)
    found: list[Way] = []
    if await run_in_threadpool(desk.store.passkeys, session.face, session.subject):
        found.append(Way.PASSKEY)
    person = await _person(desk, session)
    if person is not None and person.phone and desk.codes.is_on:
        found.append(Way.CODE)
    return tuple(found)


async def send_code(desk: SignIn, session: Session, deed: Deed, what: str) -> Asked:
    """Send a code for this change; `what` says it in the person's language, in a few words.

    Raises:
        NotProvableError: a contact asks.
        DeedGoneError: the person has no number, or no messages can be sent.
    """
    _may_prove(session)
    person = await _person(desk, session)
    if person is None or not person.phone or not desk.codes.is_on:
        raise DeedGoneError("no text message can be sent to this person")
    asked = await run_in_threadpool(desk.codes.may_ask, person.phone, "deed")
    if asked is Asked.TAKEN:
        await desk.codes.send(deed_purpose(deed.id), person.phone, person.language, what)
    return asked


async def prove_by_code(desk: SignIn, session: Session, deed_id: str, code: str) -> Deed | None:
    """The deed, to be done now and by the caller only; None where the code is wrong.

    Raises:
        NotProvableError: a contact asks.
        DeedGoneError: it waits no more; of two who prove it at once, one gets it.
    """
    deed = await waiting(desk, session, deed_id)
    if not await run_in_threadpool(desk.codes.is_right, deed_purpose(deed.id), code):
        return None
    return await _taken(desk, session, deed)


async def ask_passkey(desk: SignIn, session: Session, deed_id: str) -> str:
    """What the browser is to ask the device, JSON.

    Raises:
        NotProvableError: a contact asks.
        DeedGoneError: it waits no more.
    """
    deed = await waiting(desk, session, deed_id)
    return await run_in_threadpool(desk.passkeys.ask_for, session, deed)


async def prove_by_passkey(desk: SignIn, session: Session, deed_id: str, answer: str) -> Deed:
    """The deed, to be done now and by the caller only.

    Raises:
        NotProvableError: a contact asks.
        DeedGoneError: it waits no more; of two who prove it at once, one gets it.
        BadPasskeyError: the device's answer does not prove this change.
    """
    deed = await waiting(desk, session, deed_id)
    await run_in_threadpool(desk.passkeys.prove, session, deed, answer)
    return await _taken(desk, session, deed)


async def _taken(desk: SignIn, session: Session, deed: Deed) -> Deed:
    now_ms = desk.house.clock.now_ms()
    taken = await run_in_threadpool(desk.store.take_deed, deed.id, session.id, now_ms)
    if taken is None:
        raise DeedGoneError
    return taken


async def _person(desk: SignIn, session: Session) -> Person | None:
    return await run_in_threadpool(desk.people.of, session.face, session.subject)


def _may_prove(session: Session) -> None:
    """Whether this face may loosen at all.

    Raises:
        NotProvableError: it is a contact.
    """
    if session.face is Face.CONTACT:
        raise NotProvableError

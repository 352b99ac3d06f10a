"""What every page of the console is made with: the house, who looks, and how a page is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from zhiwei.core.command import Actor, Via
from zhiwei.core.errors import ZhiweiError
from zhiwei.core.result import Audit
from zhiwei.gateways.http.house import House
from zhiwei.ports import Record
from zhiwei.web.console.cases import Cases
from zhiwei.web.console.watch import Watch
from zhiwei.web.sign_in.model import FaceStore, Role, Session

PREFIX: Final = "/console"


class NotYourRoleError(ZhiweiError):
    """an operator of this role may look at it and not do it"""


class NothingHereError(ZhiweiError):
    """there is no such thing"""


class Pages(Protocol):
    """The frame, as the console asks for it."""

    async def operator(self, request: Request) -> Session:
        """The session of the operator who calls.

        Raises:
            HTTPException: nobody is signed in; the answer leads to the sign-in page.
        """
        ...

    async def form(self, request: Request, session: Session) -> Mapping[str, str]:
        """The fields of a form that was made for this session.

        Raises:
            HTTPException: it was made for another one, or is too large.
        """
        ...

    def page(
        self,
        request: Request,
        session: Session,
        template: str,
        facts: Mapping[str, object],
        status: int = 200,
    ) -> Response:
        """A page of a template, in the caller's language. Blocking: for a thread."""
        ...

    def text(self, request: Request, template: str, facts: Mapping[str, object]) -> str:
        """A piece of a page, for what is sent while it is open."""
        ...


@dataclass(frozen=True)
class Console:
    """Everything behind the operators' pages."""

    house: House
    faces: FaceStore
    pages: Pages
    watch: Watch
    cases: Cases

    async def page(
        self, request: Request, session: Session, template: str, **facts: object
    ) -> Response:
        """Draw a page in a thread, with what every page shows."""

        def draw() -> Response:
            told = {
                "operator": session,
                "may_act": session.role >= Role.AGENT,
                "may_govern": session.role >= Role.OFFICER,
                "cases_open": self.cases.open_count(),
                "now_ms": self.house.clock.now_ms(),
                "path": request.url.path,
                "messages_on": self.house.messages is not None,
                **facts,
            }
            return self.pages.page(request, session, f"console/{template}", told)

        return await run_in_threadpool(draw)

    async def note(self, session: Session, *audits: Audit, records: Sequence[Record] = ()) -> None:
        """Write audit lines, and records with them.

        Raises:
            StoreUnavailableError: nothing was written; then nothing is shown or done either.
        """
        await self.house.keep(records, audits, actor_of(session))


def console_of(house: House, faces: FaceStore, pages: Pages) -> Console:
    """The console of a house; it reads nothing before somebody looks."""
    watch = Watch(house.reader, house.clock.now_ms)
    return Console(house, faces, pages, watch, Cases(house.reader))


def actor_of(session: Session) -> Actor:
    """The operator as commands and the audit trail name them."""
    return Actor(session.subject, Via.CONSOLE, is_staff=True)


def must_be(session: Session, role: Role) -> None:
    """Raise unless the operator may do what this role may.

    Raises:
        NotYourRoleError: the role is too small.
    """
    if session.role < role:
        raise NotYourRoleError


def position_in(text: str) -> int:
    """A position in an address; 0 where it is none."""
    is_number = text.isascii() and text.isdigit() and len(text) <= 18
    return int(text) if is_number else 0

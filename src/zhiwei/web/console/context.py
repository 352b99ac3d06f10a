"""What every page of the console is made with: the house, who looks, and how a page is drawn."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from zhiwei.core.command import Actor, Via
from zhiwei.core.errors import ZhiweiError
from zhiwei.core.result import Audit
from zhiwei.gateways.http.house import House
from zhiwei.ports import Kept
from zhiwei.web.console.cases import Cases
from zhiwei.web.console.watch import Watch
from zhiwei.web.sign_in import cookies
from zhiwei.web.sign_in.counter import CSRF_FIELD, ENTRANCE, form_of
from zhiwei.web.sign_in.model import Face, FaceStore, Role, Session
from zhiwei.web.sign_in.sessions import Sessions, csrf_token, is_csrf_token
from zhiwei.web.sign_in.site import Site

Handler: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]

PREFIX: Final = "/console"


class NotYourRoleError(ZhiweiError):
    """an operator of this role may look at it and not do it"""


class NothingHereError(ZhiweiError):
    """there is no such thing"""


class NobodyError(ZhiweiError):
    """no operator is signed in"""


class StaleFormError(ZhiweiError):
    """the form was made for another session"""


class Frame(Protocol):
    """What every page shares."""

    def page(
        self, request: Request, template: str, facts: Mapping[str, Any], *, status: int = 200
    ) -> Response:
        """A page in the reader's language, with the headers that all pages have."""
        ...

    def text(self, request: Request, template: str, facts: Mapping[str, Any]) -> str:
        """A piece of a page in the reader's language, for what is sent while it is open."""
        ...


@dataclass(frozen=True)
class Console:
    """Everything behind the operators' pages."""

    house: House
    faces: FaceStore
    sessions: Sessions
    site: Site
    frame: Frame
    watch: Watch
    cases: Cases

    async def operator(self, request: Request) -> Session:
        """The session of the operator who calls.

        Raises:
            NobodyError: nobody is signed in, or it is no operator.
        """
        cookie = cookies.value_of(request, cookies.SESSION, self.site)
        session = await run_in_threadpool(self.sessions.session_of, cookie)
        if session is None or session.face is not Face.OPERATOR:
            raise NobodyError
        return session

    async def form(self, request: Request, session: Session, **bounds: int) -> Mapping[str, str]:
        """The fields of a form that was made for this session; `bounds` as `form_of` has them.

        Raises:
            StaleFormError: it was made for another one, or is no form.
        """
        found = await form_of(request, **bounds)
        if not is_csrf_token(session, found.get(CSRF_FIELD, "")):
            raise StaleFormError
        return found

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
                "csrf": csrf_token(session),
                "session": session,
                **facts,
            }
            return self.frame.page(request, f"console/{template}", told)

        return await run_in_threadpool(draw)

    async def note(self, session: Session, *audits: Audit, records: Sequence[Kept] = ()) -> None:
        """Write audit lines, and records with them.

        Raises:
            RecordOvertakenError: nothing was written; somebody else changed one meanwhile.
            StoreUnavailableError: nothing was written; then nothing is shown or done either.
        """
        await self.house.keep(records, audits, actor_of(session))


def console_of(
    house: House, faces: FaceStore, sessions: Sessions, site: Site, frame: Frame
) -> Console:
    """The console of a house; it reads nothing before somebody looks."""
    watch = Watch(house.reader, house.clock.now_ms)
    return Console(house, faces, sessions, site, frame, watch, Cases(house.reader))


class DeskRoute(APIRoute):
    """A route that answers what went wrong with a page; `app.state.console` is the console."""

    def get_route_handler(self) -> Handler:
        """The handler, with the pages for what it could not do."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            console: Console = request.app.state.console
            try:
                return await inner(request)
            except NobodyError:
                return RedirectResponse(ENTRANCE[Face.OPERATOR], 303)
            except ZhiweiError as error:
                why, status = _sorry(error)
            return await run_in_threadpool(
                console.frame.page, request, "console/sorry.html", {"why": why}, status=status
            )

        return handle


def _sorry(error: ZhiweiError) -> tuple[str, int]:
    """What a page says of an error, and its status."""
    if isinstance(error, NothingHereError):
        return "nothing", 404
    if isinstance(error, NotYourRoleError):
        return "role", 403
    if isinstance(error, StaleFormError):
        return "form", 403
    return "busy", 503


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

"""The issuer's policy: what is in force, proposals, and what two officers make of them (四眼)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from zhiwei.core.errors import NotAllowedValueError, ZhiweiError
from zhiwei.core.policy import DEFAULT_POLICY
from zhiwei.gateways.in_force import InForce
from zhiwei.gateways.policy_desk import (
    PROPOSED,
    ChangeDecidedError,
    ChangeNotFoundError,
    ChangeView,
    NotProposerError,
    PolicyDesk,
    PolicyFixedError,
    SecondOfficerError,
    StalePolicyError,
    TooManyChangesError,
    UnchangedPolicyError,
)
from zhiwei.gateways.response_codes import ANSWERS
from zhiwei.policy_file import settings_of
from zhiwei.ports import PolicyChange
from zhiwei.web.console import policy_form
from zhiwei.web.console.context import (
    PREFIX,
    Console,
    DeskRoute,
    NothingHereError,
    actor_of,
    must_be,
    position_in,
)
from zhiwei.web.console.policy_form import Draft, Values, code_field
from zhiwei.web.console.policy_words import CHOICES, GROUPS
from zhiwei.web.sign_in.model import Role, Session

_HERE: Final = f"{PREFIX}/policy"
#: Adopted versions on one page.
_VERSIONS_SHOWN: Final = 20
#: What the desk may say, as the name of a sentence (`policy.problem.…`).
_PROBLEMS: Final[Mapping[type[ZhiweiError], str]] = {
    ChangeDecidedError: "decided",
    NotProposerError: "not_proposer",
    PolicyFixedError: "fixed",
    SecondOfficerError: "second_officer",
    StalePolicyError: "stale",
    TooManyChangesError: "too_many",
    UnchangedPolicyError: "unchanged",
}
_BAD_FORM: Final = 422
_CONFLICT: Final = 409


@dataclass(frozen=True)
class _Allowed:
    """What an operator may do with a change, as far as one can say before the desk is asked."""

    approve: bool = False
    reject: bool = False
    withdraw: bool = False
    #: They are the proposer, and somebody else has to adopt it.
    waits_for_second: bool = False


def policy_routes(console: Console) -> APIRouter:
    """What is in force, what is proposed, and what was adopted before."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=DeskRoute)
    house = console.house

    @router.get("/policy")
    async def read(request: Request, before: str = "") -> Response:
        session = await console.operator(request)
        now = house.in_force()
        desk = house.policies
        versions: list[PolicyChange] = []
        proposals: list[ChangeView] = []
        if desk is not None:
            versions = await run_in_threadpool(desk.versions)
            proposals = await run_in_threadpool(desk.open_changes)
        current = next((one for one in versions if now.number and one.number == now.number), None)
        bound = position_in(before)
        older = [one for one in versions if not bound or one.number < bound]
        page = older[:_VERSIONS_SHOWN]
        return await console.page(
            request,
            session,
            "policy.html",
            now=now,
            names=await run_in_threadpool(_names, console),
            adopted=current,
            settings=settings_of(now.policy),
            defaults=settings_of(DEFAULT_POLICY),
            groups=GROUPS,
            tables=now.codes.document(),
            answers=ANSWERS,
            can_change=desk is not None and not now.fixed,
            proposals=proposals,
            versions=[desk.view(one) for one in page] if desk is not None else [],
            more=page[-1].number if len(older) > len(page) else 0,
        )

    @router.get("/policy/changes/{change}")
    async def read_change(request: Request, change: str, problem: str = "") -> Response:
        session = await console.operator(request)
        view = await run_in_threadpool(_change, _desk(console), change)
        return await console.page(
            request,
            session,
            "policy_change.html",
            view=view,
            names=await run_in_threadpool(_names, console),
            change=view.change,
            allowed=_allowed(session, view, house.in_force()),
            now=house.in_force(),
            problem=problem if problem in _PROBLEMS.values() else "",
        )

    return router


def policy_form_routes(console: Console) -> APIRouter:
    """Where a change is written, looked at, and proposed."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=DeskRoute)
    # Two clicks are two calls at once: the second waits, and finds what the first has made.
    one_by_one = asyncio.Lock()

    @router.get("/policy/new")
    async def empty(request: Request) -> Response:
        session = await console.operator(request)
        must_be(session, Role.OFFICER)
        now = console.house.in_force()
        _desk(console)
        problem = "fixed" if now.fixed else ""
        values = policy_form.filled(now)
        return await _form_page(console, request, session, now, values, problem=problem)

    @router.post("/policy/new")
    async def filled(request: Request) -> Response:
        session = await console.operator(request)
        must_be(session, Role.OFFICER)
        bounds = {"fields_max": policy_form.FIELDS_MAX, "bytes_max": policy_form.BYTES_MAX}
        form = await console.form(request, session, **bounds)
        desk = _desk(console)
        async with one_by_one:
            now = desk.current()
            values = policy_form.sent(now, form)
            drafting = policy_form.draft_of
            draft = await run_in_threadpool(drafting, values, now, desk.drafted)
            problem = _not_now(now, values, draft)
            is_looked_at = not draft.faults and values["seen"] == draft.digest
            if problem or not is_looked_at or form.get("step") != "propose":
                return await _form_page(
                    console, request, session, now, values, draft=draft, problem=problem
                )
            return await _proposed(console, request, session, now, values, draft)

    return router


def policy_change_routes(console: Console) -> APIRouter:
    """What is decided about a change."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=DeskRoute)

    @router.post("/policy/changes/{change}/{step}")
    async def decide(request: Request, change: str, step: str) -> Response:
        session = await console.operator(request)
        must_be(session, Role.OFFICER)
        await console.form(request, session)
        desk, actor = _desk(console), actor_of(session)
        steps: Mapping[str, Callable[[], Awaitable[ChangeView]]] = {
            "approve": lambda: desk.approve(actor, change),
            "reject": lambda: desk.reject(actor, change),
            "withdraw": lambda: desk.withdraw(actor, change),
        }
        if step not in steps:
            raise NothingHereError
        here = f"{_HERE}/changes/{change}"
        try:
            await steps[step]()
        except ChangeNotFoundError:
            raise NothingHereError from None
        except tuple(_PROBLEMS) as error:
            return RedirectResponse(f"{here}?problem={_PROBLEMS[type(error)]}", 303)
        return RedirectResponse(here, 303)

    return router


def _not_now(now: InForce, values: Values, draft: Draft) -> str:
    """Why this form cannot be proposed, whatever stands in it; empty = it can."""
    if now.fixed:
        return "fixed"
    if values["base"] != now.policy.version:
        return "stale"
    return "" if draft.differences or draft.faults else "unchanged"


async def _proposed(
    console: Console, request: Request, session: Session, now: InForce, values: Values, draft: Draft
) -> Response:
    """Propose it, and go to it; a proposal that they made just now is not made twice."""
    desk = _desk(console)
    for view in await run_in_threadpool(desk.open_changes):
        if _is_same(view, session, now, values, draft):
            return RedirectResponse(f"{_HERE}/changes/{view.change.id}", 303)
    problem, faults = "", dict(draft.faults)
    try:
        view = await desk.propose(
            actor_of(session),
            draft.policy,
            draft.tables,
            name=values["name"].strip(),
            note=_note(values),
            base=values["base"],
        )
        return RedirectResponse(f"{_HERE}/changes/{view.change.id}", 303)
    except NotAllowedValueError as error:
        faults[_FIELDS.get(error.pointer, "note")] = error.code
    except tuple(_PROBLEMS) as error:
        problem = _PROBLEMS[type(error)]
    again = Draft(draft.policy, draft.codes, draft.differences, faults)
    return await _form_page(console, request, session, now, values, draft=again, problem=problem)


#: Where the desk's pointers are on the page.
_FIELDS: Final = {"/name": "name", "/note": "note", "/policy": "note"}


def _is_same(
    view: ChangeView, session: Session, now: InForce, values: Values, draft: Draft
) -> bool:
    """Whether an open change is what this form would make once more."""
    change = view.change
    return (
        change.proposer == session.subject
        and change.base == now.policy.version
        and change.note == _note(values)
        and view.differences == draft.differences
    )


def _note(values: Values) -> str:
    """The note with the line ends of this house; a browser sends others."""
    return values["note"].replace("\r\n", "\n").strip()


async def _form_page(
    console: Console,
    request: Request,
    session: Session,
    now: InForce,
    values: Values,
    *,
    draft: Draft | None = None,
    problem: str = "",
) -> Response:
    """The form; with a draft also what it would change, and what is wrong with it."""
    faults = {} if draft is None else draft.faults
    is_ready = draft is not None and not faults and not problem
    hidden = {
        "base": now.policy.version,
        "seen": draft.digest if draft is not None and is_ready else "",
    }
    answer = await console.page(
        request,
        session,
        "policy_form.html",
        now=now,
        values={**policy_form.shown_again(values, faults), **hidden},
        draft=draft,
        faults=faults,
        problem=problem,
        is_ready=is_ready,
        groups=GROUPS,
        choices=CHOICES,
        every=policy_form.EVERY,
        ceiling_rows=policy_form.ceiling_rows(values),
        ceiling_choices=policy_form.CEILING_CHOICES,
        ceiling_field=policy_form.ceiling_field,
        tables=now.codes.document(),
        code_field=code_field,
    )
    answer.status_code = _CONFLICT if problem else _BAD_FORM if faults else 200
    return answer


def _allowed(session: Session, view: ChangeView, now: InForce) -> _Allowed:
    if session.role < Role.OFFICER or view.change.state != PROPOSED:
        return _Allowed()
    is_mine = view.change.proposer == session.subject
    waits = is_mine and view.needs_second
    can_hold = not view.is_stale and not now.fixed
    return _Allowed(
        approve=can_hold and not waits,
        reject=not is_mine,
        withdraw=is_mine,
        waits_for_second=can_hold and waits,
    )


def _names(console: Console) -> dict[str, str]:
    """Names of the operators by their ids; who proposed by the API has none."""
    return {one.id: one.name for one in console.faces.operators()}


def _change(desk: PolicyDesk, change: str) -> ChangeView:
    try:
        return desk.change(change)
    except ChangeNotFoundError:
        raise NothingHereError from None


def _desk(console: Console) -> PolicyDesk:
    """Where changes are made.

    Raises:
        NothingHereError: this house makes none.
    """
    if console.house.policies is None:
        raise NothingHereError
    return console.house.policies

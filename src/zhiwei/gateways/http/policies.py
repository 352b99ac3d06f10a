"""`/v1/policy` and `/v1/policy_changes`: the issuer's rules for all cards, and their changes.

A loosening, and any change of response codes, needs two keys: one proposes, another adopts (四眼).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from zhiwei.core.errors import ZhiweiError
from zhiwei.gateways.http.caller import STAFF, TheCaller, TheHouse
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.idempotency import Made, once
from zhiwei.gateways.http.pagination import ThePage, listed
from zhiwei.gateways.http.problems import Fault, Problem
from zhiwei.gateways.http.record_lists import records_page
from zhiwei.gateways.http.replies import reply
from zhiwei.gateways.http.shapes import Anything, Body, Instant, ListOf, Shape
from zhiwei.gateways.http.times import instant_text
from zhiwei.gateways.policy_desk import (
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
from zhiwei.gateways.response_codes import ResponseCodesError
from zhiwei.policy_file import PolicyError, settings_of
from zhiwei.ports import PolicyChange

router = APIRouter(prefix="/v1", tags=["Policy"], route_class=Gate)

_PROBLEMS: Final[dict[type[ZhiweiError], str]] = {
    ChangeDecidedError: "policy_change_decided",
    ChangeNotFoundError: "policy_change_not_found",
    NotProposerError: "not_the_proposer",
    PolicyFixedError: "policy_fixed",
    SecondOfficerError: "second_officer_required",
    StalePolicyError: "policy_stale",
    TooManyChangesError: "too_many_policy_changes",
    UnchangedPolicyError: "policy_unchanged",
}
ChangePath = Annotated[str, Path(max_length=80, description="Id of the change.")]
State = Literal["proposed", "adopted", "rejected", "withdrawn"]


class PolicyShape(Shape):
    """What is in force."""

    object: Literal["policy"]
    version: str
    number: int = Field(description="How many versions were adopted up to this one.")
    since: Instant | None = Field(description="When it was adopted; null = it is none of them.")
    fixed: list[Literal["policy", "response_codes"]] = Field(
        description="What is a file that the server was started with; then nothing can be changed."
    )
    settings: dict[str, Any] = Field(description="In the words and units of the policy file.")
    response_codes: dict[str, Any] = Field(description="Tables by network, in full.")


class DifferenceShape(Shape):
    """One setting or response code that a change makes another."""

    setting: str
    old: Anything
    new: Anything
    loosens: bool


class PolicyChangeShape(Shape):
    """A change of the policy."""

    object: Literal["policy_change"]
    id: str
    state: State
    version: str
    base: str = Field(description="Version that it was proposed on.")
    number: int | None
    note: str
    proposed_by: str
    decided_by: str | None
    needs_second: bool = Field(description="Somebody else than its proposer must adopt it.")
    stale: bool = Field(description="Another version was adopted since it was proposed.")
    differences: list[DifferenceShape]
    created_at: Instant
    decided_at: Instant | None


class PolicyChangeBody(Body):
    """What is to be changed; settings that are not named stay as they are."""

    base: Annotated[
        str, Field(max_length=80, description="`version` of the policy that you looked at.")
    ]
    name: Annotated[
        str, Field(max_length=40, description="The version will be called so, with a digest.")
    ] = "policy"
    note: Annotated[str, Field(max_length=500, description="Why.")] = ""
    settings: dict[str, Any] = Field(
        default={}, description="In the words and units of the policy file."
    )
    response_codes: Annotated[
        dict[str, Any] | None,
        Field(description="All tables, as in `response_codes.toml`; null = they stay."),
    ] = None


@router.get("/policy", **call(STAFF, PolicyShape), summary="Read the policy in force")
async def read_policy(house: TheHouse, caller: TheCaller) -> Response:
    """Bounds, defaults and response codes as they hold now."""
    now = house.in_force()
    answer = {
        "object": "policy",
        "version": now.policy.version,
        "number": now.number,
        "since": instant_text(now.since_ms) if now.number else None,
        "fixed": list(now.fixed),
        "settings": settings_of(now.policy),
        "response_codes": now.codes.document(),
    }
    return reply(answer)


@router.get(
    "/policy_changes", **call(STAFF, ListOf[PolicyChangeShape]), summary="List changes of policy"
)
async def list_changes(house: TheHouse, caller: TheCaller, page: ThePage) -> Response:
    """Newest first."""
    desk = _desk(house)
    found, has_more = records_page(house, PolicyChange, page)
    return reply(listed([change_document(desk.view(each)) for each in found], has_more))


@router.get(
    "/policy_changes/{change}", **call(STAFF, PolicyChangeShape), summary="Read a change of policy"
)
async def read_change(house: TheHouse, caller: TheCaller, change: ChangePath) -> Response:
    """One change, with what differs."""
    try:
        return reply(change_document(_desk(house).change(change)))
    except ZhiweiError as error:
        raise _problem_of(error) from None


@router.post(
    "/policy_changes", **call(STAFF, PolicyChangeShape, 201), summary="Propose a change of policy"
)
async def propose(
    request: Request, house: TheHouse, caller: TheCaller, body: PolicyChangeBody
) -> Response:
    """Propose other settings or response codes; nothing holds before it is adopted."""

    async def work() -> Made:
        desk = _desk(house)
        try:
            view = await desk.propose(
                caller.actor,
                desk.drafted(body.settings),
                body.response_codes,
                name=body.name,
                note=body.note,
                base=body.base,
            )
        except ZhiweiError as error:
            raise _problem_of(error) from None
        return Made(change_document(view))

    return await once(request, house, caller, "policy_changes", work)


@router.post(
    "/policy_changes/{change}/approve",
    **call(STAFF, PolicyChangeShape),
    summary="Adopt a change of policy",
)
async def approve(
    request: Request, house: TheHouse, caller: TheCaller, change: ChangePath
) -> Response:
    """Adopt it: every decision from now on is made under it.

    A loosening or a change of response codes is adopted with another key than it was proposed with.
    """
    work = _deciding(lambda: _desk(house).approve(caller.actor, change))
    return await once(request, house, caller, f"policy_change.approve|{change}", work)


@router.post(
    "/policy_changes/{change}/reject",
    **call(STAFF, PolicyChangeShape),
    summary="Reject a change of policy",
)
async def reject(
    request: Request, house: TheHouse, caller: TheCaller, change: ChangePath
) -> Response:
    """Have it not adopted."""
    work = _deciding(lambda: _desk(house).reject(caller.actor, change))
    return await once(request, house, caller, f"policy_change.reject|{change}", work)


@router.post(
    "/policy_changes/{change}/withdraw",
    **call(STAFF, PolicyChangeShape),
    summary="Withdraw a change of policy",
)
async def withdraw(
    request: Request, house: TheHouse, caller: TheCaller, change: ChangePath
) -> Response:
    """Take one's own proposal back."""
    work = _deciding(lambda: _desk(house).withdraw(caller.actor, change))
    return await once(request, house, caller, f"policy_change.withdraw|{change}", work)


def change_document(view: ChangeView) -> Document:
    """A change as the API shows it."""
    change = view.change
    return {
        "object": "policy_change",
        "id": change.id,
        "state": change.state,
        "version": change.version,
        "base": change.base,
        "number": change.number or None,
        "note": change.note,
        "proposed_by": change.proposer,
        "decided_by": change.decided_by or None,
        "needs_second": view.needs_second,
        "stale": view.is_stale,
        "differences": [
            {"setting": each.setting, "old": each.old, "new": each.new, "loosens": each.loosens}
            for each in view.differences
        ],
        "created_at": instant_text(change.created_ms),
        "decided_at": instant_text(change.decided_ms) if change.decided_by else None,
    }


def _deciding(decide: Callable[[], Awaitable[ChangeView]]) -> Callable[[], Awaitable[Made]]:
    """The work of deciding about a change."""

    async def work() -> Made:
        try:
            return Made(change_document(await decide()), status=200)
        except ZhiweiError as error:
            raise _problem_of(error) from None

    return work


def _desk(house: House) -> PolicyDesk:
    """Where changes are made.

    Raises:
        Problem: `policy_fixed`.
    """
    if house.policies is None:
        raise Problem("policy_fixed")
    return house.policies


def _problem_of(error: ZhiweiError) -> Exception:
    """The problem that an error of the desk is; others stay what they are."""
    if isinstance(error, PolicyError | ResponseCodesError):
        pointer = "/settings" if isinstance(error, PolicyError) else "/response_codes"
        return Problem("not_allowed", str(error), errors=(Fault(pointer, "bad_value", str(error)),))
    code = _PROBLEMS.get(type(error))
    return error if code is None else Problem(code)

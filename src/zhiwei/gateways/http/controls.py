"""`/v1/cards/{card}/controls`: what the cardholder set, one document for each type.

A tightening acts at once. A loosening needs strong authentication, and waits where a cooling-off
applies: then the answer is 202, the control shows what is `pending`, and it can be cancelled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import ConfigDict, Field

from zhiwei.core.card_state import CardState, PendingChange
from zhiwei.core.command import CancelPending, RemoveControl, SetControl
from zhiwei.core.controls import CONTROL_TYPES, Control
from zhiwei.core.documents import control_from, document_of, etag
from zhiwei.core.ids import card_id
from zhiwei.gateways.http.caller import EVERYBODY, Caller, TheCaller, TheHouse, reachable_card
from zhiwei.gateways.http.commands import carried_out, change_command, state_after
from zhiwei.gateways.http.control_bodies import BODIES
from zhiwei.gateways.http.etags import is_known, precondition_in
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.pagination import ThePage, listed, page_of_sorted
from zhiwei.gateways.http.problems import Problem
from zhiwei.gateways.http.replies import reply
from zhiwei.gateways.http.shapes import Anything, Body, CardId, Instant, ListOf, Shape
from zhiwei.gateways.http.times import instant_text

router = APIRouter(prefix="/v1/cards/{card}/controls", tags=["Controls"], route_class=Gate)

CardPath = Annotated[str, Path(max_length=80, description="Id of the card.")]
ControlType = Annotated[
    str,
    Path(description="Type of control.", json_schema_extra={"enum": list(CONTROL_TYPES)}),
]


class PendingShape(Shape):
    """A loosening that waits for its cooling-off."""

    object: Literal["pending_change"]
    control: dict[str, Anything] | None = Field(description="As it will be; null = removed.")
    asked_at: Instant
    available_at: Instant


class ControlShape(Shape):
    """A control as it is set now; its settings stand beside these members."""

    model_config = ConfigDict(extra="allow")

    object: Literal["control"]
    type: str = Field(json_schema_extra={"enum": list(CONTROL_TYPES)})
    card: CardId
    is_set: bool
    pending: PendingShape | None
    available_at: Instant | None = Field(description="When what is pending takes effect.")


@router.get("", **call(EVERYBODY, ListOf[ControlShape]), summary="List a card's controls")
async def list_controls(
    house: TheHouse, caller: TheCaller, card: CardPath, page: ThePage
) -> Response:
    """Those that are set or about to be, in the order of `/v1/control_types`; cursors are types."""
    state = reachable_card(house, caller, card)
    names = [
        name
        for name in CONTROL_TYPES
        if state.settings.controls.of_type(name) is not None or pending_of(state, name) is not None
    ]
    rows, has_more = page_of_sorted(page, names, str)
    return reply(listed([control_document(state, name) for name in rows], has_more))


@router.get("/{control_type}", **call(EVERYBODY, ControlShape), summary="Read a control")
async def read(
    request: Request,
    house: TheHouse,
    caller: TheCaller,
    card: CardPath,
    control_type: ControlType,
) -> Response:
    """The control with its `ETag`; 304 where `If-None-Match` names it."""
    state = reachable_card(house, caller, card)
    control = known_type(state, control_type)
    if control is None and pending_of(state, control_type) is None:
        raise Problem("control_not_found")
    if control is not None and is_known(request, etag(control)):
        return Response(status_code=304, headers={"ETag": etag(control)})
    return _shown(state, control_type)


@router.delete(
    "/{control_type}",
    **call(EVERYBODY, ControlShape, s202=ControlShape),
    summary="Remove a control",
)
async def remove(
    request: Request,
    house: TheHouse,
    caller: TheCaller,
    card: CardPath,
    control_type: ControlType,
) -> Response:
    """Take the control away; of a lock or limit that is a loosening."""
    state = reachable_card(house, caller, card)
    current = known_type(state, control_type)
    if current is None:
        raise Problem("control_not_found")
    wanted = precondition_in(request, current)
    change = RemoveControl(control_type, if_match=wanted.if_match)
    return await _changed(house, caller, state, control_type, change)


@router.delete(
    "/{control_type}/pending",
    **call(EVERYBODY, ControlShape),
    summary="Cancel a loosening that waits",
)
async def cancel(
    house: TheHouse, caller: TheCaller, card: CardPath, control_type: ControlType
) -> Response:
    """The control stays as it is; a tightening, so it needs no proof."""
    state = reachable_card(house, caller, card)
    known_type(state, control_type)
    command = change_command(caller, state.card_key, CancelPending(control_type))
    result = await carried_out(house, command)
    return _shown(state_after(house, result, state.card_key), control_type)


async def set_control(
    request: Request,
    house: House,
    caller: Caller,
    card: str,
    control_type: str,
    document: Document,
) -> Response:
    """Set a control as a whole."""
    state = reachable_card(house, caller, card)
    control = control_from(control_type, document)
    current = state.settings.controls.of_type(control_type)
    wanted = precondition_in(request, current)
    change = SetControl(control_type, control, wanted.if_match, wanted.if_none_match)
    return await _changed(house, caller, state, control_type, change)


def document_in(body: Body | None) -> Document:
    """The settings in a body, without what was not given."""
    return {} if body is None else body.model_dump(exclude_none=True)


def known_type(state: CardState, control_type: str) -> Control | None:
    """The control of a type, None where it is not set.

    Raises:
        Problem: `unknown_control_type`.
    """
    if control_type not in CONTROL_TYPES:
        raise Problem("unknown_control_type", f"there are: {', '.join(CONTROL_TYPES)}")
    return state.settings.controls.of_type(control_type)


def pending_of(state: CardState, control_type: str) -> PendingChange | None:
    """The loosening of a control that waits."""
    for change in state.settings.pending:
        if change.control_type == control_type:
            return change
    return None


def control_document(state: CardState, control_type: str) -> Document:
    """A control as the API shows it."""
    control = state.settings.controls.of_type(control_type)
    pending = pending_of(state, control_type)
    return {
        "object": "control",
        "type": control_type,
        "card": card_id(state.card_key),
        "is_set": control is not None,
        **({} if control is None else document_of(control)),
        "pending": None if pending is None else _pending_document(pending),
        "available_at": None if pending is None else instant_text(pending.available_ms),
    }


def _pending_document(pending: PendingChange) -> Document:
    return {
        "object": "pending_change",
        "control": None if pending.control is None else document_of(pending.control),
        "asked_at": instant_text(pending.asked_ms),
        "available_at": instant_text(pending.available_ms),
    }


async def _changed(
    house: House,
    caller: Caller,
    state: CardState,
    control_type: str,
    change: SetControl | RemoveControl,
) -> Response:
    """Carry the change out: 200 at once, or 202 where it waits."""
    result = await carried_out(house, change_command(caller, state.card_key, change))
    after = state_after(house, result, state.card_key)
    status = 200 if pending_of(after, control_type) is None else 202
    return _shown(after, control_type, status)


def _shown(state: CardState, control_type: str, status: int = 200) -> Response:
    """The control with its ETag."""
    control = state.settings.controls.of_type(control_type)
    headers = {} if control is None else {"ETag": etag(control)}
    return reply(control_document(state, control_type), status, headers)


def _put_for(control_type: str, model: type[Body]) -> Callable[..., Awaitable[Response]]:
    """The endpoint that sets controls of one type, so that the document knows each body."""

    async def put(
        request: Request,
        house: TheHouse,
        caller: TheCaller,
        card: CardPath,
        body: Any = None,  # noqa: ANN401 - the annotation is filled in below
    ) -> Response:
        return await set_control(request, house, caller, card, control_type, document_in(body))

    needs_body = any(field.is_required() for field in model.model_fields.values())
    put.__annotations__["body"] = model if needs_body else model | None
    if needs_body:
        put.__defaults__ = None
    put.__doc__ = (
        f"{model.__doc__}\n\nSent with `If-None-Match: *` the first time, and with the `ETag` that"
        " was read in `If-Match` afterwards."
    )
    return put


for _type, _model in BODIES.items():
    router.add_api_route(
        f"/{_type}",
        _put_for(_type, _model),
        methods=["PUT"],
        operation_id=f"put_{_type}",
        summary=f"Set the {_type}",
        **call(EVERYBODY, ControlShape, s202=ControlShape),
    )


@router.put("/{control_type}", **call(EVERYBODY, ControlShape), include_in_schema=False)
async def set_unknown(
    house: TheHouse, caller: TheCaller, card: CardPath, control_type: ControlType
) -> Response:
    """Say that there is no such type of control."""
    known_type(reachable_card(house, caller, card), control_type)
    raise AssertionError("every known type has a route of its own")

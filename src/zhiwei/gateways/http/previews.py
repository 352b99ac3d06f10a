"""`POST …/controls/{type}:preview`: a control as it would be, tried on the card's last 90 days."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import Control
from zhiwei.core.documents import control_from, document_of
from zhiwei.core.ids import card_id
from zhiwei.gateways.http.caller import EVERYBODY, TheCaller, TheHouse, moment_of, reachable_card
from zhiwei.gateways.http.control_bodies import BODIES
from zhiwei.gateways.http.controls import CardPath, ControlType, document_in, known_type
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.presentation import DECISIONS, authorization_id, sentence
from zhiwei.gateways.http.replies import reply
from zhiwei.gateways.http.shapes import Anything, Body, CardId, Instant, Sentence, Shape
from zhiwei.gateways.http.times import instant_text
from zhiwei.preview import DAYS, Stopped
from zhiwei.preview import preview as tried

router = APIRouter(prefix="/v1/cards/{card}/controls", tags=["Controls"], route_class=Gate)

#: Approvals that are shown, the newest of those that would have been stopped.
_EXAMPLES_MAX: Final = 5


class Example(Shape):
    """One approval that the control would have stopped."""

    authorization: str
    decision: Literal["decline", "challenge"]
    reason: str
    message: Sentence
    kind: str
    amount: int
    currency: str
    merchant: str | None
    decided_at: Instant


class PreviewShape(Shape):
    """What the control would have stopped."""

    object: Literal["control_preview"]
    type: str
    card: CardId
    control: dict[str, Anything] = Field(description="The control as it was understood.")
    since: Instant
    days: int
    would_decline: int
    would_challenge: int
    of: int = Field(description="How many approvals were looked at.")
    examples: list[Example] = Field(description="The newest of them.")
    is_complete: bool = Field(description="False where the journal was too long to walk wholly.")


def preview(house: House, state: CardState, control_type: str, control: Control) -> Document:
    """Walk the card's journal with the control on trial."""
    found = tried(
        house.policy,
        house.reader,
        state,
        control_type,
        control,
        moment_of(house, state).now_ms,
        entries_max=house.settings.preview_entries_max,
    )
    examples = found.stopped[:_EXAMPLES_MAX]
    return {
        "object": "control_preview",
        "type": control_type,
        "card": card_id(state.card_key),
        "control": document_of(control),
        "since": instant_text(found.since_ms),
        "days": DAYS,
        "would_decline": found.would_decline,
        "would_challenge": found.would_challenge,
        "of": found.of,
        "examples": [_example(house, state, stopped) for stopped in examples],
        "is_complete": found.is_complete,
    }


def _example(house: House, state: CardState, stopped: Stopped) -> Document:
    entry, finding = stopped.entry, stopped.finding
    request = entry.command.request
    assert request is not None, "only card messages are stopped"
    return {
        "authorization": authorization_id(state.card_key, entry.version),
        "decision": DECISIONS[finding.outcome],
        "reason": finding.reason.code,
        "message": sentence(house, state.settings.profile.currency, finding),
        "kind": request.kind.name.lower(),
        "amount": request.amount_minor,
        "currency": request.currency or state.settings.profile.currency,
        "merchant": request.merchant_name or None,
        "decided_at": instant_text(entry.now_ms),
    }


def _preview_for(control_type: str, model: type[Body]) -> Callable[..., Awaitable[Response]]:
    """The endpoint that previews controls of one type."""

    async def try_out(
        house: TheHouse,
        caller: TheCaller,
        card: CardPath,
        body: Any = None,  # noqa: ANN401 - the annotation is filled in below
    ) -> Response:
        state = reachable_card(house, caller, card)
        control = control_from(control_type, document_in(body))
        document = await run_in_threadpool(preview, house, state, control_type, control)
        return reply(document)

    needs_body = any(field.is_required() for field in model.model_fields.values())
    try_out.__annotations__["body"] = model if needs_body else model | None
    if needs_body:
        try_out.__defaults__ = None
    try_out.__doc__ = (
        "Try the control on the card's own approvals of the last 90 days. Nothing is changed."
    )
    return try_out


for _type, _model in BODIES.items():
    router.add_api_route(
        f"/{_type}:preview",
        _preview_for(_type, _model),
        methods=["POST"],
        operation_id=f"preview_{_type}",
        summary=f"Preview a {_type}",
        **call(EVERYBODY, PreviewShape),
    )


@router.post("/{control_type}:preview", **call(EVERYBODY, PreviewShape), include_in_schema=False)
async def preview_unknown(
    house: TheHouse, caller: TheCaller, card: CardPath, control_type: ControlType
) -> Response:
    """Say that there is no such type of control."""
    known_type(reachable_card(house, caller, card), control_type)
    raise AssertionError("every known type has a route of its own")

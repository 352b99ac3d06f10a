"""`/v1/event_subscriptions`: addresses that want to hear of events (webhooks, Standard Webhooks).

They are registered, listed, changed, switched off and on, and deleted; what else can be done with
them is in `subscription_calls`, how secrets come about in `subscription_secrets`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.event import EventKind
from zhiwei.core.result import Audit
from zhiwei.gateways.http.caller import ISSUER_ONLY, STAFF, TheCaller, TheHouse
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.idempotency import Made, once
from zhiwei.gateways.http.pagination import ThePage, listed
from zhiwei.gateways.http.problems import Problem
from zhiwei.gateways.http.record_lists import records_page
from zhiwei.gateways.http.replies import reply
from zhiwei.gateways.http.shapes import Body, Instant, Line, ListOf, Shape
from zhiwei.gateways.http.subscription_secrets import old_secret_until, secrets_of
from zhiwei.gateways.http.times import instant_text
from zhiwei.ports import Replacing, Subscription
from zhiwei.vault import holds_card_number

router = APIRouter(prefix="/v1/event_subscriptions", tags=["Events"], route_class=Gate)

_WORDS = {kind.word for kind in EventKind}
EventTypes = Annotated[list[Annotated[str, Field(max_length=80)]], Field(max_length=100)]
DisabledReason = Literal["gone", "by_request"]
SubscriptionPath = Annotated[str, Path(max_length=80, description="Id of the subscription.")]


class SubscriptionBody(Body):
    """Where events shall be sent."""

    url: Annotated[str, Field(max_length=2048, description="https, without user or fragment.")]
    events: EventTypes = Field(default=[], description="Types of events; none named = all.")
    description: Line | None = None


class SubscriptionChange(Body):
    """What is new; what is not given stays."""

    enabled: bool | None = Field(default=None, description="Switch delivery on or off.")
    events: EventTypes | None = Field(default=None, description="Types of events; [] = all.")
    description: Line | None = None


class SubscriptionShape(Shape):
    """A subscription."""

    object: Literal["event_subscription"]
    id: str
    url: str
    events: list[str]
    description: str | None
    delivering: bool = Field(
        description="Whether events are sent there now: it is on, and this server sends messages."
    )
    disabled_at: Instant | None = Field(description="Switched off since.")
    disabled_reason: DisabledReason | None = Field(
        description="`gone`: the endpoint answered 410; `by_request`: by a call."
    )
    old_secret_until: Instant | None = Field(
        description="Until then messages are signed under the secret before the last change too."
    )
    created_at: Instant


class NewSubscription(SubscriptionShape):
    """A subscription with its signing secret, which is shown this once."""

    secret: str


class SubscriptionDeleted(Shape):
    """A subscription that was deleted."""

    object: Literal["event_subscription"]
    id: str
    deleted: Literal[True]


@router.post("", **call(ISSUER_ONLY, NewSubscription, 201), summary="Subscribe to events")
async def create(
    request: Request, house: TheHouse, caller: TheCaller, body: SubscriptionBody
) -> Response:
    """Register an address."""
    _check_address(body.url, may_be_plain=house.test_clock is not None)
    events = _event_words(body.events)

    async def work() -> Made:
        now_ms = house.clock.now_ms()
        subscription = Subscription(
            id=house.mint.new("sub", now_ms),
            created_ms=now_ms,
            url=body.url,
            events=events,
            description=body.description or "",
        )
        audit = Audit("event_subscription.created", subscription.id, "", told(house, subscription))
        (secret,) = secrets_of(house.vault, subscription, now_ms)
        answer = {**subscription_document(house, subscription), "secret": secret}
        return Made(answer, (subscription,), (audit,))

    return await once(request, house, caller, "event_subscriptions", work)


@router.get("", **call(STAFF, ListOf[SubscriptionShape]), summary="List subscriptions")
async def list_subscriptions(house: TheHouse, caller: TheCaller, page: ThePage) -> Response:
    """Newest first."""

    def stands(subscription: Subscription) -> bool:
        return subscription.deleted_ms == 0

    found, has_more = records_page(house, Subscription, page, wanted=stands)
    return reply(listed([subscription_document(house, s) for s in found], has_more))


@router.get("/{subscription}", **call(STAFF, SubscriptionShape), summary="Read a subscription")
async def read(house: TheHouse, caller: TheCaller, subscription: SubscriptionPath) -> Response:
    """One subscription."""
    return reply(subscription_document(house, known_subscription(house, subscription)))


@router.patch(
    "/{subscription}", **call(ISSUER_ONLY, SubscriptionShape), summary="Change a subscription"
)
async def change(
    house: TheHouse, caller: TheCaller, subscription: SubscriptionPath, body: SubscriptionChange
) -> Response:
    """Switch it off or on again, or say which events it wants.

    What ended while it was off can be sent again with `replay`.
    """
    old = known_subscription(house, subscription)
    new = replace(
        old,
        events=old.events if body.events is None else _event_words(body.events),
        description=old.description if body.description is None else body.description,
    )
    if body.enabled is True:
        new = replace(new, disabled_ms=0, disabled_reason="")
    elif body.enabled is False and not old.disabled_ms:
        new = _switched_off(new, house.clock.now_ms(), "by_request")
    if new != old:
        audit = Audit("event_subscription.updated", old.id, told(house, old), told(house, new))
        await house.keep((Replacing(new, old),), (audit,), caller.actor)
    return reply(subscription_document(house, new))


@router.delete(
    "/{subscription}", **call(ISSUER_ONLY, SubscriptionDeleted), summary="Delete a subscription"
)
async def delete(house: TheHouse, caller: TheCaller, subscription: SubscriptionPath) -> Response:
    """Send nothing more there."""
    known = known_subscription(house, subscription)
    gone = replace(known, deleted_ms=max(house.clock.now_ms(), 1))
    audit = Audit("event_subscription.deleted", known.id, told(house, known), "")
    await house.keep((Replacing(gone, known),), (audit,), caller.actor)
    return reply({"object": "event_subscription", "id": known.id, "deleted": True})


def subscription_document(house: House, subscription: Subscription) -> Document:
    """A subscription as the API shows it."""
    until_ms = old_secret_until(subscription, house.clock.now_ms())
    disabled_ms = subscription.disabled_ms
    return {
        "object": "event_subscription",
        "id": subscription.id,
        "url": subscription.url,
        "events": list(subscription.events),
        "description": subscription.description or None,
        "delivering": house.messages is not None and not disabled_ms,
        "disabled_at": instant_text(disabled_ms) if disabled_ms else None,
        "disabled_reason": subscription.disabled_reason or None,
        "old_secret_until": instant_text(until_ms) if until_ms else None,
        "created_at": instant_text(subscription.created_ms),
    }


def told(house: House, subscription: Subscription) -> str:
    """A subscription as the audit trail has it."""
    return json.dumps(subscription_document(house, subscription))


def switched_off_as_gone(
    subscription: Subscription, now_ms: int
) -> tuple[Subscription, Audit] | None:
    """A subscription whose endpoint answered 410, with its audit line; None where it is off.

    The messaging part keeps both, as the house itself.
    """
    if subscription.deleted_ms or subscription.disabled_ms:
        return None
    off = _switched_off(subscription, now_ms, "gone")
    return off, Audit("event_subscription.disabled", off.id, "", off.disabled_reason)


def known_subscription(house: House, subscription: str) -> Subscription:
    """A subscription that stands, on or off.

    Raises:
        Problem: `subscription_not_found`.
    """
    found = house.reader.record(Subscription, subscription)
    if found is None or found.deleted_ms:
        raise Problem("subscription_not_found")
    return found


def _switched_off(subscription: Subscription, now_ms: int, reason: str) -> Subscription:
    return replace(subscription, disabled_ms=max(now_ms, 1), disabled_reason=reason)


def _event_words(events: list[str]) -> tuple[str, ...]:
    for index, word in enumerate(events):
        if word not in _WORDS:
            message = f"there are: {', '.join(sorted(_WORDS))}"
            raise NotAllowedValueError(f"/events/{index}", "unknown_event", message)
    return tuple(sorted(set(events)))


def _check_address(url: str, *, may_be_plain: bool) -> None:
    """Raise unless the URL can be sent to safely; plain http only in test mode."""
    schemes = ("https", "http") if may_be_plain else ("https",)
    try:
        parts = urlsplit(url)
        is_good = (
            parts.scheme in schemes
            and bool(parts.hostname)
            and parts.username is None
            and not parts.fragment
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        is_good = False
    is_good = is_good and not holds_card_number(url)
    if not is_good or not url.isascii() or not url.isprintable() or " " in url:
        message = f"an address is {' or '.join(schemes)}, with a host, without user or fragment"
        raise NotAllowedValueError("/url", "bad_url", message)

"""`/v1/event_subscriptions`: addresses that want to hear of events (webhooks, Standard Webhooks).

They can be registered, listed and deleted; this version does not deliver yet, and says so. The
signing secret is shown once and kept nowhere: it is derived from the vault's key and the
subscription's id.
"""

from __future__ import annotations

import json
from base64 import b64encode
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
from zhiwei.gateways.http.times import instant_text
from zhiwei.ports import Subscription
from zhiwei.vault import holds_card_number

router = APIRouter(prefix="/v1/event_subscriptions", tags=["Events"], route_class=Gate)

_WORDS = {kind.word for kind in EventKind}
SubscriptionPath = Annotated[str, Path(max_length=80, description="Id of the subscription.")]


class SubscriptionBody(Body):
    """Where events shall be sent."""

    url: Annotated[str, Field(max_length=2048, description="https, without user or fragment.")]
    events: Annotated[list[Annotated[str, Field(max_length=80)]], Field(max_length=100)] = Field(
        default=[], description="Types of events; none named = all."
    )
    description: Line | None = None


class SubscriptionShape(Shape):
    """A subscription."""

    object: Literal["event_subscription"]
    id: str
    url: str
    events: list[str]
    description: str | None
    delivering: Literal[False] = Field(description="This version registers and does not send yet.")
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
    for index, word in enumerate(body.events):
        if word not in _WORDS:
            message = f"there are: {', '.join(sorted(_WORDS))}"
            raise NotAllowedValueError(f"/events/{index}", "unknown_event", message)

    async def work() -> Made:
        now_ms = house.clock.now_ms()
        subscription = Subscription(
            id=house.mint.new("sub", now_ms),
            created_ms=now_ms,
            url=body.url,
            events=tuple(sorted(set(body.events))),
            description=body.description or "",
        )
        document = subscription_document(subscription)
        audit = Audit("event_subscription.created", subscription.id, "", json.dumps(document))
        secret = signing_secret(house, subscription.id)
        return Made({**document, "secret": secret}, (subscription,), (audit,))

    return await once(request, house, caller, "event_subscriptions", work)


@router.get("", **call(STAFF, ListOf[SubscriptionShape]), summary="List subscriptions")
async def list_subscriptions(house: TheHouse, caller: TheCaller, page: ThePage) -> Response:
    """Newest first."""

    def stands(subscription: Subscription) -> bool:
        return subscription.deleted_ms == 0

    found, has_more = records_page(house, Subscription, page, wanted=stands)
    return reply(listed([subscription_document(s) for s in found], has_more))


@router.get("/{subscription}", **call(STAFF, SubscriptionShape), summary="Read a subscription")
async def read(house: TheHouse, caller: TheCaller, subscription: SubscriptionPath) -> Response:
    """One subscription."""
    return reply(subscription_document(_known(house, subscription)))


@router.delete(
    "/{subscription}", **call(ISSUER_ONLY, SubscriptionDeleted), summary="Delete a subscription"
)
async def delete(house: TheHouse, caller: TheCaller, subscription: SubscriptionPath) -> Response:
    """Send nothing more there."""
    known = _known(house, subscription)
    gone = replace(known, deleted_ms=max(house.clock.now_ms(), 1))
    old = json.dumps(subscription_document(known))
    audit = Audit("event_subscription.deleted", known.id, old, "")
    await house.keep((gone,), (audit,), caller.actor)
    return reply({"object": "event_subscription", "id": known.id, "deleted": True})


def subscription_document(subscription: Subscription) -> Document:
    """A subscription as the API shows it."""
    return {
        "object": "event_subscription",
        "id": subscription.id,
        "url": subscription.url,
        "events": list(subscription.events),
        "description": subscription.description or None,
        "delivering": False,
        "created_at": instant_text(subscription.created_ms),
    }


def signing_secret(house: House, subscription: str) -> str:
    """`whsec_…` of a subscription, as Standard Webhooks writes it."""
    secret = house.vault.derived_secret(f"webhook|{subscription}")
    return "whsec_" + b64encode(secret).decode()


def _known(house: House, subscription: str) -> Subscription:
    found = house.reader.record(Subscription, subscription)
    if found is None or found.deleted_ms:
        raise Problem("subscription_not_found")
    return found


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

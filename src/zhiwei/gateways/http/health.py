"""`/healthz`, `/readyz`, `/metrics`: for what watches over the server. They need no key."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from zhiwei.gateways.http.caller import TheHouse
from zhiwei.gateways.http.problems import Problem
from zhiwei.gateways.http.replies import reply
from zhiwei.gateways.http.shapes import Shape

router = APIRouter(tags=["Health"])


class Health(Shape):
    """How it is."""

    status: Literal["ok", "ready"]
    #: What the store promises less than it should; left out where there is nothing.
    weaknesses: list[str] | None = None


@router.get("/healthz", response_model=None, responses={200: {"model": Health}}, summary="Alive?")
async def health() -> Response:
    """The process answers."""
    return reply({"status": "ok"})


@router.get("/readyz", response_model=None, responses={200: {"model": Health}}, summary="Ready?")
async def ready(house: TheHouse) -> Response:
    """The house takes work; 503 while it starts, closes, or cannot write."""
    why = house.unready()
    if why:
        raise Problem("unavailable", why, headers={"Retry-After": "1"})
    told: dict[str, object] = {"status": "ready"}
    if house.weaknesses:
        told["weaknesses"] = list(house.weaknesses)
    return reply(told)


@router.get(
    "/metrics",
    response_model=None,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    summary="Prometheus metrics",
)
def metrics(house: TheHouse) -> Response:
    """Counts and times; nothing of a card, a person or a merchant."""
    # Not on the loop: another process may be asked for its series.
    text = generate_latest(house.shown_metrics)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

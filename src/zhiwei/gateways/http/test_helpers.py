"""`/v1/test_helpers/clock`: only with `--test-mode`; the clock stands still where it is put."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response

from zhiwei.gateways.http.caller import STAFF, TheCaller, TheHouse
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import House
from zhiwei.gateways.http.problems import Problem
from zhiwei.gateways.http.replies import reply
from zhiwei.gateways.http.shapes import Body, Instant, Shape
from zhiwei.gateways.http.times import instant_ms, instant_text

router = APIRouter(prefix="/v1/test_helpers", tags=["Test helpers"], route_class=Gate)


class ClockBody(Body):
    """What time it shall be."""

    now: Instant


class ClockShape(Shape):
    """What time it is."""

    object: Literal["clock"]
    now: Instant


@router.get("/clock", **call(STAFF, ClockShape), summary="Read the test clock")
async def read(house: TheHouse, caller: TheCaller) -> Response:
    """What time it is for every decision."""
    return _shown(house)


@router.put("/clock", **call(STAFF, ClockShape), summary="Set the test clock")
async def move(house: TheHouse, caller: TheCaller, body: ClockBody) -> Response:
    """Stand still at an instant, earlier or later.

    Locks look at the clock as it is; setting it earlier restores no limit that was used.
    """
    if house.test_clock is None:
        raise Problem("route_not_found")
    house.test_clock.move_to(instant_ms(body.now, "/now"))
    return _shown(house)


def _shown(house: House) -> Response:
    return reply({"object": "clock", "now": instant_text(house.clock.now_ms())})

"""`openapi.json`: the contract of the HTTP door, as the server publishes it in test mode."""

from __future__ import annotations

import json
from typing import Any, cast

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from zhiwei.clock import ManualClock
from zhiwei.gateways.http.app import build_app
from zhiwei.gateways.http.house import House


def openapi_text() -> str:
    """The document."""
    return json.dumps(bare_app().openapi(), ensure_ascii=False, indent=1) + "\n"


def bare_app(metrics: CollectorRegistry | None = None) -> FastAPI:
    """The application with nothing behind its door, for what it says of itself."""
    absent = cast("Any", None)
    house = House(
        submit=absent,
        keep=absent,
        reader=absent,
        find_key=absent,
        in_force=absent,
        clock=absent,
        vault=absent,
        words=absent,
        rooms=absent,
        metrics=metrics or CollectorRegistry(),
        unready=absent,
        test_clock=ManualClock(),
    )
    return build_app(house)

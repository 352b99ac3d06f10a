"""`/v1/control_types`: what this issuer offers, its bounds and defaults, and who may change it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import Field

from zhiwei.core.controls import (
    AMOUNT_MAX,
    CATEGORIES_MAX,
    CONTROL_TYPES,
    COUNT_MAX,
    LIMITS_MAX,
    PLACES_MAX,
    ROLLING_SECONDS_MAX,
    ROLLING_SECONDS_MIN,
    LimitChannel,
    Measure,
    NightLock,
    Period,
    Scope,
)
from zhiwei.core.documents import document_of, limit_document
from zhiwei.core.place import PROVINCES
from zhiwei.core.policy import Policy
from zhiwei.gateways.http.caller import EVERYBODY, TheCaller, TheHouse
from zhiwei.gateways.http.control_bodies import BODIES
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.pagination import ThePage, listed, page_of_sorted
from zhiwei.gateways.http.problems import Problem
from zhiwei.gateways.http.replies import reply
from zhiwei.gateways.http.shapes import Anything, ListOf, Sentence, Shape

router = APIRouter(prefix="/v1/control_types", tags=["Controls"], route_class=Gate)


class Who(Shape):
    """Who may do it, by scope of the key, and with which proof."""

    tighten: list[str]
    loosen: list[str]
    loosening_needs: Literal["strong_authentication"]
    cooling_off_seconds: int
    cooling_off_seconds_new_contact: int = Field(
        description="While the cardholder's device or number is new."
    )


class ControlTypeShape(Shape):
    """A type of control as this issuer offers it."""

    object: Literal["control_type"]
    type: str
    name: Sentence
    description: str
    bounds: dict[str, Anything]
    defaults: dict[str, Anything] = Field(description="What a setting is where it is not given.")
    by_issuer: dict[str, Anything] = Field(description="What holds where nothing is set.")
    changed_by: Who


@router.get("", **call(EVERYBODY, ListOf[ControlTypeShape]), summary="List types of controls")
async def list_types(house: TheHouse, caller: TheCaller, page: ThePage) -> Response:
    """All types; cursors are types."""
    rows, has_more = page_of_sorted(page, CONTROL_TYPES, str)
    return reply(listed([type_document(house, name) for name in rows], has_more))


@router.get("/{control_type}", **call(EVERYBODY, ControlTypeShape), summary="Read a control type")
async def read(
    house: TheHouse,
    caller: TheCaller,
    control_type: Annotated[str, Path(json_schema_extra={"enum": list(CONTROL_TYPES)})],
) -> Response:
    """Bounds, defaults, and who may change it."""
    if control_type not in CONTROL_TYPES:
        raise Problem("unknown_control_type", f"there are: {', '.join(CONTROL_TYPES)}")
    return reply(type_document(house, control_type))


def type_document(house: House, control_type: str) -> Document:
    """One type as the API shows it."""
    policy = house.policy
    return {
        "object": "control_type",
        "type": control_type,
        "name": house.words.service(control_type),
        "description": (BODIES[control_type].__doc__ or "").strip(),
        "bounds": _bounds(control_type),
        "defaults": _defaults(control_type),
        "by_issuer": _by_issuer(control_type, policy),
        "changed_by": {
            "tighten": list(EVERYBODY),
            "loosen": ["issuer"],
            "loosening_needs": "strong_authentication",
            "cooling_off_seconds": policy.cooling_off_ms // 1000,
            "cooling_off_seconds_new_contact": policy.new_contact_cooling_off_ms // 1000,
        },
    }


def _bounds(control_type: str) -> Document:
    """What the values may be."""
    threshold = {"threshold": {"min": 0, "max": AMOUNT_MAX, "unit": "minor units"}}
    bounds: dict[str, Document] = {
        "region_lock": {
            "regions": {
                "min_items": 1,
                "max_items": PLACES_MAX,
                "values": [
                    {"code": p.code, "name": {"zh": p.zh, "en": p.en}} for p in PROVINCES.values()
                ],
            }
        },
        "overseas_lock": {
            "countries": {
                "min_items": 0,
                "max_items": PLACES_MAX,
                "format": "ISO 3166-1 alpha-3, alpha-2 or number",
                "excluded": ["CHN"],
            }
        },
        "night_lock": {
            "start": {"min": "00:00", "max": "23:59:59.999"},
            "end": {"min": "00:00", "max": "24:00"},
            "time_zone": {"format": "IANA time zone"},
            "scope": {"values": [scope.name.lower() for scope in Scope]},
        },
        "online_lock": {
            "start": {"min": "00:00", "max": "23:59:59.999"},
            "end": {"min": "00:00", "max": "24:00"},
        },
        "category_lock": {
            "mccs": {"min_items": 1, "max_items": CATEGORIES_MAX, "format": "four digits"}
        },
        "limits": {
            "items": {"min_items": 1, "max_items": LIMITS_MAX},
            "channel": {"values": [channel.name.lower() for channel in LimitChannel]},
            "measure": {"values": [measure.name.lower() for measure in Measure]},
            "period": {"values": [period.name.lower() for period in Period]},
            "amount": {"min": 0, "max": AMOUNT_MAX, "unit": "minor units"},
            "count": {"min": 0, "max": COUNT_MAX},
            "seconds": {"min": ROLLING_SECONDS_MIN, "max": ROLLING_SECONDS_MAX},
            "refunds": {"values": ["ignore", "restore_original_window"]},
        },
        "magstripe_verification": threshold,
        "large_spend_verification": threshold,
        "balance_change_alert": {**threshold, "channels": {"values": ["sms", "app", "email"]}},
    }
    return bounds.get(control_type, {})


def _defaults(control_type: str) -> Document:
    """What a setting is where the body does not give it."""
    defaults: dict[str, Document] = {
        "overseas_lock": {"countries": []},
        "night_lock": {**document_of(NightLock()), "time_zone": None},
        "online_lock": {"start": None, "end": None},
        "limits": {"refunds": "ignore"},
        "balance_change_alert": {"threshold": 0, "channels": []},
    }
    return defaults.get(control_type, {})


def _by_issuer(control_type: str, policy: Policy) -> Document:
    """What the issuer's policy says for cards without this control."""
    if control_type == "limits":
        return {"ceilings": [limit_document(ceiling) for ceiling in policy.ceilings]}
    if control_type == "magstripe_verification" and policy.magstripe_threshold >= 0:
        return {"threshold": policy.magstripe_threshold}
    if control_type in ("region_lock", "overseas_lock", "overseas_online_lock"):
        return {
            "on_unknown_location_atm": policy.on_unknown_location_atm.name.lower(),
            "on_unknown_location_pos": policy.on_unknown_location_pos.name.lower(),
        }
    return {}

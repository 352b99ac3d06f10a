"""Schemathesis tries to break the door from its own published contract; the same calls every time.

Calls are made about things that exist, so that they reach the work behind the checks. Every answer
must be one that the contract promises: status, media type and shape; what is not allowed by the
contract must be refused; and nothing is ever an internal error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from tests.gateways.http.house import OTHER_PAN, World, memory_world

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
]


#: One house for all calls; what one of them leaves, the next one finds.
WORLD = memory_world()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The house, closed at the end."""
    yield WORLD
    WORLD.close()


@pytest.fixture(scope="module")
def ids(world: World) -> dict[str, str]:
    """Ids of things that exist, by the name of the parameter."""
    holder = world.cardholder(phone="13800138000")
    card = world.card(OTHER_PAN, cardholder=holder)
    world.issuer.set(card, "large_spend_verification", {"threshold": 100})
    decided = world.decision(card)
    until = {"until": "2025-12-24T00:00:00Z"}
    binding = world.issuer.post("/v1/bindings", {"card": card, "institution": "48212200"})
    posting = world.issuer.post("/v1/postings", {"card": card, "amount": 1, "business": "x"})
    contact = world.strong.post(
        f"/v1/cardholders/{holder}/trusted_contacts", {"name": "x", "phone": "13900139000"}
    )
    address = {"url": "https://bank.example"}
    return {
        "card": card,
        "contact": contact.json()["id"],
        "cardholder": holder,
        "authorization": decided["id"],
        "challenge": decided["challenge"]["id"],
        "exception": world.strong.post(f"/v1/cards/{card}/exceptions", until).json()["id"],
        "binding": binding.json()["binding"],
        "posting": posting.json()["id"],
        "checkup": world.issuer.post("/v1/security_checkups", {"cardholder": holder}).json()["id"],
        "event": world.issuer.get("/v1/events").json()["data"][0]["id"],
        "subscription": world.issuer.post("/v1/event_subscriptions", address).json()["id"],
    }


schema = schemathesis.openapi.from_asgi("/openapi.json", WORLD.app)


@schema.parametrize()
@settings(
    max_examples=8,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_that_the_contract_promises(
    case: Case[Any], world: World, ids: dict[str, str]
) -> None:
    """For calls that the contract allows, and for calls that it does not."""
    wrong = {
        place
        for place, part in (case.meta.components if case.meta else {}).items()
        if part.mode is GenerationMode.NEGATIVE
    }
    if ParameterLocation.PATH not in wrong:
        for name in case.path_parameters or {}:
            case.path_parameters[name] = ids.get(name, case.path_parameters[name])
    response = case.call(headers={"Authorization": f"Bearer {world.issuer.key}"})
    # The key's header is always right here, and an unknown id is simply not found.
    may_refuse = wrong & {ParameterLocation.BODY, ParameterLocation.QUERY}
    checks = [c for c in CHECKS if may_refuse or c is not negative_data_rejection]
    case.validate_response(response, checks=checks)

"""All routes of the console, as one router."""

from __future__ import annotations

from fastapi import APIRouter

from zhiwei.web.console.cards import card_routes, card_work_routes, decision_routes
from zhiwei.web.console.context import Console
from zhiwei.web.console.lists import audit_routes, list_routes, search_routes
from zhiwei.web.console.live import live_routes
from zhiwei.web.console.policies import policy_change_routes, policy_form_routes, policy_routes
from zhiwei.web.console.work import case_routes, case_work_routes, operator_routes, post_routes


def console_router(console: Console) -> APIRouter:
    """The operators' pages under `/console`."""
    router = APIRouter()
    for routes in (
        live_routes,
        list_routes,
        search_routes,
        audit_routes,
        card_routes,
        card_work_routes,
        decision_routes,
        case_routes,
        case_work_routes,
        post_routes,
        operator_routes,
        policy_routes,
        policy_form_routes,
        policy_change_routes,
    ):
        router.include_router(routes(console))
    return router

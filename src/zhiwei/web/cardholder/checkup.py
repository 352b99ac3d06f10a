"""Check-up (账户安全检测): score, findings in the customer's own data, and a fix for each."""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Change, RemoveBinding, SetControl
from zhiwei.core.controls import CONTROL_TYPES
from zhiwei.core.documents import control_from
from zhiwei.gateways.http.checkups import examined
from zhiwei.gateways.http.house import Document
from zhiwei.ports import Checkup
from zhiwei.web.cardholder.deeds import BadFormError, Fields, Kind, field
from zhiwei.web.cardholder.visit import Home, Visit

#: Circumference of the ring that shows the score (radius 42), in its own units.
RING: Final = 264
_BODY_MAX: Final = 4_096


def checkup_routes(home: Home) -> APIRouter:
    """`/me/checkup`: how things stand now, or (after a full one) as it was found."""
    router = APIRouter(include_in_schema=False)

    @router.get("/me/checkup")
    async def look(request: Request) -> Response:
        visit = await home.pages.visit(request)
        kept = request.query_params.get("report", "")
        facts = await run_in_threadpool(_facts, home, visit, kept)
        return home.pages.page(visit, "checkup.html", facts)

    @router.post("/me/checkup")
    async def run(request: Request) -> Response:
        visit = await home.pages.visit(request)
        await home.pages.form(request, visit.session)
        made = await run_in_threadpool(examined, home.house, visit.holder.id, "full")
        await home.house.keep(made.records, made.audits, visit.actor())
        to = f"/me/checkup?report={made.answer['id']}"
        return home.pages.away(visit, to, "checkup.done")

    return router


def _facts(home: Home, visit: Visit, kept: str) -> dict[str, Any]:
    """The report that is shown, with the form of each fix."""
    found = home.house.reader.record(Checkup, kept) if kept else None
    is_full = found is not None and found.subject == visit.holder.id
    report: Document
    if found is not None and is_full:
        report = json.loads(found.report)
    else:
        report = examined(home.house, visit.holder.id, "quick").answer
    return {
        "report": report,
        "is_full": is_full,
        "ring": report["score"] * RING // 100,
        "fixes": [fix_form(visit, finding) for finding in report["findings"]],
    }


def fix_form(visit: Visit, finding: Document) -> dict[str, Any] | None:
    """Where the form of a fix goes, and its fields; None where there is none to tap."""
    fix = finding["fix"]
    if fix is None or visit.is_contact:
        return None
    parts = str(fix["path"]).split("/")
    if fix["method"] == "PUT" and len(parts) == 6 and parts[5] in CONTROL_TYPES:
        etag = fix["headers"].get("If-Match", "")
        fields = {"control": parts[5], "body": json.dumps(fix["body"] or {}), "etag": etag}
        return {"card": parts[3], "deed": "apply_fix", "fields": fields}
    if fix["method"] == "DELETE" and parts[2] == "bindings":
        for card in visit.cards:
            if any(binding.id == parts[3] for binding in card.settings.bindings):
                return {"card": finding["card"], "deed": "fix_binding", "fields": {"id": parts[3]}}
    return None


def _apply(_card: CardState, fields: Fields, _now_ms: int) -> Change:
    """Set the control that a finding proposes, if the card is still as it was examined."""
    control_type, text = field(fields, "control"), field(fields, "body")
    if control_type not in CONTROL_TYPES or len(text) > _BODY_MAX:
        raise BadFormError("form.unknown")
    etag = field(fields, "etag", "")
    try:
        control = control_from(control_type, json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadFormError("form.unknown") from None
    return SetControl(control_type, control, if_match=etag, if_none_match=not etag)


def _unlink(_card: CardState, fields: Fields, _now_ms: int) -> Change:
    return RemoveBinding(field(fields, "id"))


def _told_apply(card: CardState, fields: Fields) -> tuple[str, dict[str, Any]]:
    control_type = field(fields, "control")
    if control_type not in CONTROL_TYPES:
        raise BadFormError("form.unknown")
    return f"told.apply_fix.{control_type}", {"tail": card.settings.profile.tail}


def _told_unlink(card: CardState, _fields: Fields) -> tuple[str, dict[str, Any]]:
    return "told.fix_binding", {"tail": card.settings.profile.tail}


KINDS: Final = (
    Kind("apply_fix", _apply, _told_apply, "done.apply_fix"),
    Kind("fix_binding", _unlink, _told_unlink, "done.apply_fix"),
)

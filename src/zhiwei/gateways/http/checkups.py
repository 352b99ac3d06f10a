"""`/v1/security_checkups`: what is set up badly for a person, with ready fixes (账户安全检测)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import ConfigDict, Field

from zhiwei.core.card_state import CardState
from zhiwei.core.controls import CONTROL_TYPES
from zhiwei.core.documents import etag
from zhiwei.core.entry import Entry
from zhiwei.core.ids import card_key_of
from zhiwei.core.result import Audit
from zhiwei.core.zone import DAY_MS
from zhiwei.gateways.http.caller import (
    EVERYBODY,
    TheCaller,
    TheHouse,
    as_of_now,
    reachable_cardholder,
)
from zhiwei.gateways.http.gate import Gate, call
from zhiwei.gateways.http.house import Document, House
from zhiwei.gateways.http.idempotency import Made, once
from zhiwei.gateways.http.journal import cards_of
from zhiwei.gateways.http.pagination import ThePage, listed
from zhiwei.gateways.http.problems import Problem
from zhiwei.gateways.http.record_lists import records_page
from zhiwei.gateways.http.replies import reply
from zhiwei.gateways.http.shapes import Anything, Body, Instant, ListOf, Sentence, Shape
from zhiwei.gateways.http.times import instant_text
from zhiwei.ports import Checkup

router = APIRouter(prefix="/v1/security_checkups", tags=["Security check-up"], route_class=Gate)

#: How far back a full check-up reads, and how many entries of one card at most.
_LOOKED_BACK_MS: Final = 365 * DAY_MS
_CHUNK: Final = 500
_ENTRIES_MAX: Final = 50_000


class DeviceBody(Body):
    """What the app says of the phone (手机使用环境); what it does not say is not judged."""

    is_rooted: bool | None = None
    has_screen_lock: bool | None = None
    is_system_current: bool | None = None


class CheckupBody(Body):
    """Whom to check, and how deep."""

    cardholder: Annotated[str, Field(max_length=80)] = Field(description="Id of the cardholder.")
    mode: Literal["quick", "full"] = Field(
        default="full", description="快速检测 or 全面检测; `full` reads 12 months of use too."
    )
    device: DeviceBody | None = None


class FixShape(Shape):
    """A call that mends the finding, ready to be sent as it stands."""

    method: Literal["PUT", "DELETE"]
    path: str
    headers: dict[str, str]
    body: dict[str, Anything] | None


class CheckupFindingShape(Shape):
    """One gap."""

    id: str
    severity: Literal["high", "medium", "low", "tip"]
    points: int
    card: str | None
    sentence: str
    message: Sentence
    evidence: dict[str, Anything]
    fix: FixShape | None


class CheckupShape(Shape):
    """A report."""

    model_config = ConfigDict(extra="allow")

    object: Literal["security_checkup"]
    id: str
    cardholder: str
    mode: Literal["quick", "full"]
    score: int = Field(ge=0, le=100)
    grade: Literal["excellent", "good", "fair", "poor"]
    grade_word: Sentence
    next_step: CheckupFindingShape | None = Field(description="The single best next step.")
    findings: list[CheckupFindingShape]
    rules_version: str
    examined_at: Instant


@router.post("", **call(EVERYBODY, CheckupShape, 201), summary="Run a security check-up")
async def run(request: Request, house: TheHouse, caller: TheCaller, body: CheckupBody) -> Response:
    """Look over all cards of a person; the report is kept with the version of its rules."""
    holder = reachable_cardholder(house, caller, body.cardholder)

    async def work() -> Made:
        device = None if body.device is None else body.device.model_dump()
        return await run_in_threadpool(examined, house, holder.id, body.mode, device)

    return await once(request, house, caller, "security_checkups", work)


def examined(house: House, cardholder: str, mode: str, device: Document | None = None) -> Made:
    """Look over all cards of a person, `quick` or `full`: the report, and what is to be kept of it.

    It reads; for a thread.
    """
    now_ms = house.clock.now_ms()
    states = [as_of_now(house, state) for state in cards_of(house, cardholder)]
    report = house.rooms.examine(
        states,
        lambda state: _entries(house, state, now_ms - _LOOKED_BACK_MS),
        mode,
        device,
        now_ms,
    )
    checkup_id = house.mint.new("chk", now_ms)
    document = _document(house, checkup_id, cardholder, report, states)
    record = Checkup(checkup_id, now_ms, cardholder, json.dumps(document, ensure_ascii=False))
    summary = json.dumps({"score": document["score"], "mode": mode})
    audit = Audit("security_checkup.run", cardholder, "", summary)
    return Made(document, (record,), (audit,))


@router.get("", **call(EVERYBODY, ListOf[CheckupShape]), summary="List security check-ups")
async def list_checkups(
    house: TheHouse,
    caller: TheCaller,
    page: ThePage,
    cardholder: Annotated[str, Query(max_length=80, description="Of one person only.")] = "",
) -> Response:
    """Newest first."""
    if cardholder:
        reachable_cardholder(house, caller, cardholder)
    subject = cardholder or caller.only_cardholder
    found, has_more = records_page(house, Checkup, page, subject=subject)
    return reply(listed([json.loads(checkup.report) for checkup in found], has_more))


@router.get("/{checkup}", **call(EVERYBODY, CheckupShape), summary="Read a security check-up")
async def read(
    house: TheHouse, caller: TheCaller, checkup: Annotated[str, Path(max_length=80)]
) -> Response:
    """The report as it was given."""
    found = house.reader.record(Checkup, checkup)
    if found is None or not caller.may_reach(found.subject):
        raise Problem("checkup_not_found")
    return reply(json.loads(found.report))


def _document(
    house: House, checkup_id: str, cardholder: str, report: Document, states: list[CardState]
) -> Document:
    """The report as the API shows and keeps it."""
    told: Document = house.words.checkup(report)
    findings = [_with_headers(finding, states) for finding in told["findings"]]
    first = told["next_step"]
    rest = {
        name: value
        for name, value in told.items()
        if name not in ("findings", "next_step", "examined_ms")
    }
    return {
        "object": "security_checkup",
        "id": checkup_id,
        "cardholder": cardholder,
        **rest,
        "next_step": None if first is None else findings[first],
        "findings": findings,
        "examined_at": instant_text(told["examined_ms"]),
    }


def _with_headers(finding: Document, states: list[CardState]) -> Document:
    """A finding whose fix says which state it starts from, so that it can be sent as it stands."""
    fix = finding["fix"]
    if fix is None:
        return finding
    headers: dict[str, str] = {}
    parts = str(fix["path"]).split("/")
    if len(parts) == 6 and parts[4] == "controls" and parts[5] in CONTROL_TYPES:
        card_key = card_key_of(parts[3])
        for state in states:
            if state.card_key == card_key:
                control = state.settings.controls.of_type(parts[5])
                headers = {"If-None-Match": "*"} if control is None else {"If-Match": etag(control)}
    return {**finding, "fix": {**fix, "headers": headers}}


def _entries(house: House, state: CardState, since_ms: int) -> Iterator[Entry]:
    """A card's entries since an instant, newest first; a bounded number of them."""
    before = 0
    for _ in range(_ENTRIES_MAX // _CHUNK):
        if before == 1:
            return
        chunk = house.reader.entries(state.card_key, before=before, limit=_CHUNK)
        for entry in chunk:
            if entry.filed_ms < since_ms:
                return
            yield entry
        if len(chunk) < _CHUNK:
            return
        before = chunk[-1].version

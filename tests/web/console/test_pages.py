"""The console's pages over HTTP: what they show, who may act, and what is written of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI
from tests.gateways.http.house import NOON, PAN
from tests.gateways.http.post_office import PostOffice
from tests.web.console.desk import Desk
from tests.web.console.frame import COOKIE, Visitors, app_of, words

from zhiwei.core.command import Actor, Change
from zhiwei.core.controls import CONTROL_TYPES
from zhiwei.core.reason import Reason
from zhiwei.core.result import Audit
from zhiwei.messaging.model import SMS, Message, Planned, Status
from zhiwei.metrics import Metrics
from zhiwei.ports import CaseFile, Kept
from zhiwei.services import JUDGES
from zhiwei.stores.faces import SqliteFaceStore
from zhiwei.web.sign_in.model import Role
from zhiwei.web.sign_in.sessions import csrf_token

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HOSTILE = "<script>alert(1)</script>\u202eevil" + "长" * 60


class Visitor:
    """An operator with a browser that keeps a cookie."""

    def __init__(self, desk: Desk, app: FastAPI, visitors: Visitors, who: str, role: Role) -> None:
        self.desk = desk
        self.app = app
        self.visitors = visitors
        self.cookie, self._session = visitors.sign_in(who, role)
        self.language = "en"

    def get(self, path: str) -> httpx.Response:
        """A page."""
        return self.desk.world.run(self._call("GET", path, None))

    def post(self, path: str, form: Mapping[str, str] | None = None) -> httpx.Response:
        """A form of this session."""
        return self.desk.world.run(self.sent(path, form))

    async def sent(self, path: str, form: Mapping[str, str] | None = None) -> httpx.Response:
        """The same, for tests that send several at once."""
        told = {"csrf": csrf_token(self._session), **(form or {})}
        return await self._call("POST", path, urlencode(told).encode())

    async def _call(self, method: str, path: str, body: bytes | None) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app)
        cookies = {COOKIE: self.cookie, "zwl": self.language}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://desk", cookies=cookies
        ) as client:
            return await client.request(method, path, content=body, headers=_FORM)


class Room:
    """A console with people at it."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk = desk
        desk.world.house = replace(desk.world.house, metrics=Metrics().registry)
        self.faces = SqliteFaceStore(folder)
        self.visitors = Visitors(self.faces, desk.world.clock)
        self.app = app_of(desk.world.house, self.visitors)

    def visitor(self, role: Role = Role.AGENT, who: str = "op_agent") -> Visitor:
        """Somebody who is signed in."""
        return Visitor(self.desk, self.app, self.visitors, who, role)

    def opened_again(self) -> Room:
        """The same room, after the house has got something new."""
        self.app = app_of(self.desk.world.house, self.visitors)
        return self

    def actions(self) -> list[str]:
        """What the audit trail says, newest first."""
        return [row.audit.action for row in self.desk.reader.audits(limit=20)]


@pytest.fixture
def room(desk: Desk, tmp_path: Path) -> Iterator[Room]:
    """A console on a house with one card."""
    made = Room(desk, tmp_path)
    yield made
    made.faces.close()


@pytest.fixture
def post_office(desk: Desk, tmp_path: Path) -> Iterator[PostOffice]:
    """Messages for the house."""
    office = PostOffice(desk.world, tmp_path)
    yield office
    office.close()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_is_there_in_both_languages(room: Room, language: str) -> None:
    """All pages answer, and none shows a key instead of a sentence."""
    question = room.desk.denied()
    decision = f"auth_{question.partition('_')[2]}"
    visitor = room.visitor()
    visitor.language = language
    for path in (
        "",
        "?span=24h",
        "/decisions",
        "/decisions?outcome=challenge&span=1h",
        "/search?q=1232",
        "/search?q=王",
        f"/cards/{room.desk.card}",
        f"/cards/{room.desk.card}?kind=audit",
        f"/customers/{room.desk.holder}",
        f"/decisions/{decision}",
        f"/decisions/{decision}/what-if?large_spend_verification=off&stopped=no",
        "/cases",
        f"/cases/{question}",
        "/messages",
        "/audit",
        "/operators",
    ):
        answer = visitor.get(f"/console{path}")
        assert answer.status_code == 200, (path, answer.text)
        assert "console." not in re.sub(r'"/[^"]*"|console\.exported', "", answer.text), path
        assert "<style" not in answer.text
        assert " style=" not in answer.text
        assert not re.search(r"<script(?! src)", answer.text)


def test_both_catalogues_have_the_same_keys_and_placeholders() -> None:
    """A sentence of one language is in the other, with the same things filled in."""
    zh, en = words("zh"), words("en")
    assert zh.keys() == en.keys()
    for key, text in zh.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", en[key])), key


def test_every_reason_control_and_change_has_its_words() -> None:
    """What the code can name, the catalogue can say."""
    keys = words("en").keys()
    assert {f"console.reason.{reason.code}" for reason in Reason} <= keys
    assert {
        f"console.control.{name}" for name in (*CONTROL_TYPES, *dict(JUDGES), "issuer", "binding")
    } <= keys
    assert {f"console.sent.{status.word}" for status in Status} <= keys
    names = [name.strip() for name in str(Change).split("|")]
    words_of_changes = {re.sub("([A-Z])", r"_\1", name).lower()[1:] for name in names}
    assert {f"console.change.{word}" for word in words_of_changes} <= keys


def test_every_look_at_a_card_is_audited(room: Room) -> None:
    """Story, why, what if, case and customer each leave a line that names who looked."""
    question = room.desk.denied()
    decision = f"auth_{question.partition('_')[2]}"
    visitor = room.visitor(Role.VIEWER, "op_viewer")
    for path in (
        f"cards/{room.desk.card}",
        f"decisions/{decision}",
        f"decisions/{decision}/what-if",
        f"cases/{question}",
        f"customers/{room.desk.holder}",
    ):
        assert visitor.get(f"/console/{path}").status_code == 200
    rows = room.desk.reader.audits(limit=5)
    assert [row.audit.new for row in rows] == ["", "case", "what_if", "why", "story"]
    assert {row.actor.who for row in rows} == {"op_viewer"}
    assert rows[-1].audit.subject == room.desk.card


def test_a_viewer_cannot_act(room: Room) -> None:
    """No button is drawn, and a form that comes all the same does nothing."""
    question = room.desk.denied()
    viewer = room.visitor(Role.VIEWER, "op_viewer")
    assert '<form method="post"' not in viewer.get(f"/console/cases/{question}").text
    stop = f"cards/{room.desk.card}/stop"
    for path in (f"cases/{question}/close", stop, "messages/replay", "operators/op_other/end"):
        assert viewer.post(f"/console/{path}", {"note": "x"}).status_code == 403
    assert "case.closed" not in room.actions()


def test_an_agent_stops_a_card_for_a_caller(room: Room) -> None:
    """At once, once, in the agent's name; a viewer has no such button, and neither lifts it."""
    path = f"/console/cards/{room.desk.card}"
    assert "/stop" not in room.visitor(Role.VIEWER, "op_viewer").get(path).text
    agent = room.visitor()
    assert f'action="{path}/stop"' in agent.get(path).text
    assert agent.post(f"{path}/stop", {"csrf": "forged"}).status_code == 403
    assert room.desk.pay(amount=100)[0]["decision"] == "approve"
    for _ in range(2):
        assert agent.post(f"{path}/stop").status_code == 303
    stop = room.desk.world.issuer.get(f"/v1/cards/{room.desk.card}/stop").json()
    assert stop["source"] == "issuer"
    assert room.desk.pay(amount=100)[0]["decision"] == "decline"
    placed = [row for row in room.desk.reader.audits(limit=20) if "stop" in row.audit.action]
    assert [row.actor.who for row in placed] == ["op_agent"]
    page = agent.get(path).text
    assert "/stop" not in page
    assert stop["reference"] in page


def test_a_form_of_another_session_is_refused(room: Room) -> None:
    """Without the session's token nothing is done."""
    question = room.desk.denied()
    agent = room.visitor()
    answer = agent.post(f"/console/cases/{question}/close", {"note": "x", "csrf": "forged"})
    assert answer.status_code == 403
    assert "case.closed" not in room.actions()


def test_a_case_is_taken_closed_and_opened_again(room: Room) -> None:
    """Each step shows on the page and in the audit trail; a second closing says what it is."""
    question = room.desk.denied()
    agent = room.visitor()
    here = f"/console/cases/{question}"
    assert '<b class="count">1</b>' in agent.get("/console/cases").text
    assert agent.post(f"{here}/assign").status_code == 303
    assert "op_agent" in agent.get("/console/cases?assignee=op_agent").text
    assert agent.post(f"{here}/close", {"note": " "}).headers["Location"].endswith("problem=note")
    assert agent.post(f"{here}/close", {"note": f"spoke; {PAN}"}).status_code == 303
    shown = agent.get(here).text
    assert "spoke" in shown
    assert PAN not in shown
    again = agent.post(f"{here}/close", {"note": "again"})
    assert again.headers["Location"].endswith("problem=closed")
    assert agent.post(f"{here}/reopen").status_code == 303
    actions = [a for a in room.actions() if a.startswith("case.")]
    assert actions == ["case.reopened", "case.closed", "case.assigned"]


def test_of_two_colleagues_the_second_is_told(room: Room) -> None:
    """The case was given to somebody at another server since it was read; that stays."""
    question = room.desk.denied()
    house = room.desk.world.house

    async def keep_late(records: Sequence[Kept], audits: Sequence[Audit], actor: Actor) -> None:
        if records:
            taken = CaseFile(question, house.clock.now_ms(), assignee="op_other")
            await house.keep((taken,), (), actor)
        await house.keep(records, audits, actor)

    room.desk.world.house = replace(house, keep=keep_late)
    agent = room.opened_again().visitor()
    here = f"/console/cases/{question}"
    told = agent.post(f"{here}/assign").headers["Location"]
    assert told == f"{here}?problem=changed"
    shown = agent.get(told).text
    assert "op_other" in shown
    assert "A colleague changed this case" in shown
    assert "case.assigned" not in room.actions()


def test_hostile_names_stay_text(room: Room) -> None:
    """Markup is escaped, marks of direction are gone, and lists cut a name."""
    (decision,) = room.desk.pay(merchant={"id": "M1", "name": HOSTILE, "country": "CHN"})
    visitor = room.visitor()
    for path in ("", "/decisions", f"/decisions/{decision['id']}", f"/cards/{room.desk.card}"):
        text = visitor.get(f"/console{path}").text
        assert "<script>alert" not in text
        assert "\u202e" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "长" * 60 not in visitor.get("/console").text
    text = visitor.get(f"/console/search?{urlencode({'q': HOSTILE})}").text
    assert "<script>alert" not in text


def test_search_never_shows_a_card_number(room: Room) -> None:
    """Sixteen digits get a word of advice and are not repeated."""
    answer = room.visitor().get(f"/console/search?q={PAN}")
    assert answer.status_code == 200
    assert PAN not in answer.text
    assert "last four" in answer.text


def test_csv_holds_the_filtered_list_and_is_audited(room: Room) -> None:
    """What was taken out of the house, by whom and with which filter, is written down."""
    room.desk.pay(2)
    answer = room.visitor().get("/console/decisions.csv?outcome=approve")
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert len(answer.text.strip().splitlines()) == 3
    row = room.desk.reader.audits(limit=1)[0]
    assert (row.audit.action, row.audit.subject) == ("console.exported", "decisions")
    assert '"rows": 2' in row.audit.new
    assert "outcome=approve" in row.audit.new
    audit = room.visitor().get("/console/audit.csv?action=console.exported")
    assert "outcome=approve" in audit.text


def test_what_if_shows_both_sides_and_names_a_wrong_field(room: Room) -> None:
    """The address holds the edit; a value that no card could have is marked."""
    room.desk.world.strong.set(room.desk.card, "region_lock", {"regions": ["41"]})
    (decision,) = room.desk.pay()
    here = f"/console/decisions/{decision['id']}/what-if"
    text = room.visitor().get(f"{here}?region_lock=off").text
    sides = re.findall(r'data-side="(\w+)".*?class="outcome (\w+)"', text, re.DOTALL)
    assert sides == [("then", "decline"), ("now", "decline"), ("edited", "approve")]
    wrong = room.visitor().get(f"{here}?region_lock=99").text
    assert 'aria-invalid="true"' in wrong
    assert "region_lock" in wrong


def test_a_dead_letter_is_replayed(room: Room, post_office: PostOffice) -> None:
    """One press queues it, the audit trail says so before, and a second press does nothing."""
    desk = room.desk
    message = Message(
        "msg_1-sms", "", "reply", desk.card_key, "lane", SMS, "+8613800138000", "zh", "", "hi", NOON
    )
    planned = Planned(message, Status.DEAD, "no answer for days")
    post_office.there(lambda: post_office.store.plan([planned], cursor=-1, now_ms=NOON))
    agent = room.opened_again().visitor()
    text = agent.get("/console/messages?status=dead").text
    assert 'data-message="msg_1-sms"' in text
    assert "8613800138000" not in text
    answer = agent.post("/console/messages/replay", {"message": "msg_1-sms"})
    assert answer.headers["Location"].endswith("sent=1")
    tracked = post_office.reader.message("msg_1-sms")
    assert tracked is not None
    assert tracked.status is Status.QUEUED
    again = agent.post("/console/messages/replay", {"message": "msg_1-sms"})
    assert again.headers["Location"].endswith("sent=0")
    assert room.actions().count("message.replayed") == 1
    story = agent.get(f"/console/cards/{desk.card}?kind=message").text
    assert "reply" in story


def test_an_officer_ends_a_colleagues_session(room: Room) -> None:
    """The colleague's next page is the sign-in, and the audit trail names both."""
    agent = room.visitor(Role.AGENT, "op_agent")
    officer = room.visitor(Role.OFFICER, "op_officer")
    assert agent.get("/console").status_code == 200
    assert officer.post("/console/operators/op_agent/end").status_code == 303
    answer = agent.get("/console")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/sign-in")
    row = room.desk.reader.audits(limit=1)[0]
    assert (row.audit.subject, row.actor.who) == ("op_agent", "op_officer")


def test_an_expired_session_gives_the_sign_in(room: Room) -> None:
    """Half an hour unused, and the next page leads to the entrance; nothing is shown or written."""
    agent = room.visitor()
    room.desk.world.clock.move_to(NOON + 31 * 60_000)
    answer = agent.get(f"/console/cards/{room.desk.card}")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/sign-in")
    assert "card.viewed" not in room.actions()


def test_what_is_not_there_is_not_there(room: Room) -> None:
    """Ids that name nothing are 404, whatever they look like."""
    visitor = room.visitor()
    for path in ("cards/card_x", "customers/holder_x", "decisions/auth_x", "cases/chg_x"):
        assert visitor.get(f"/console/{path}").status_code == 404


def test_the_stream_tells_a_new_decision(room: Room) -> None:
    """A listener gets the row of a payment that was made after it came, as the table has it."""
    visitor = room.visitor()
    room.desk.world.run(asyncio.sleep(0))
    told = room.desk.world.run(_first_news(room, visitor))
    assert "event: news" in told
    assert "data-row" in told


async def _first_news(room: Room, visitor: Visitor) -> str:
    """Open the stream, pay, and read up to the first news."""
    console = room.app.state.console
    received: list[str] = []
    is_over = asyncio.Event()
    sent_request = False

    async def receive() -> dict[str, object]:
        nonlocal sent_request
        if not sent_request:
            sent_request = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await is_over.wait()
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, object]) -> None:
        body = message.get("body")
        if isinstance(body, bytes):
            received.append(body.decode())
            if b"event: news" in body:
                is_over.set()

    cookie = f"{COOKIE}={visitor.cookie}; zwl=en".encode()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/console/live",
        "raw_path": b"/console/live",
        "query_string": b"",
        "headers": [(b"cookie", cookie)],
        "scheme": "http",
        "server": ("desk", 80),
        "client": ("desk", 1),
    }
    streaming = asyncio.create_task(room.app(scope, receive, send))
    while not console.watch.is_primed:  # noqa: ASYNC110 - the watch has no event for it
        await asyncio.sleep(0.01)
    await _paid(room.desk)
    await asyncio.wait_for(is_over.wait(), 10)
    await asyncio.wait_for(streaming, 10)
    assert console.watch.listeners == 0
    return "".join(received)


async def _paid(desk: Desk) -> None:
    body = {"card": desk.card, "kind": "purchase", "channel": "pos", "amount": 1, "currency": "CNY"}
    headers = {"Authorization": f"Bearer {desk.world.issuer.key}"}
    content = httpx.Request("POST", "http://x", json=body).content
    sent = {**headers, "Content-Type": "application/json"}
    answer = await desk.world.send("POST", "/v1/authorizations", content, sent)
    assert answer.status_code == 200

"""History of the cardholder's page, and the exception for one payment, over HTTP and in process."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from tests.gateways.http.house import World, sqlite_world
from tests.web.cardholder.person import Person, person, session_cookie
from tests.web.cardholder.test_activity import HOSTILE, large
from tests.web.town import SHOP, Town

from zhiwei.core.card_state import ChallengeState
from zhiwei.core.command import Change, Command, Via
from zhiwei.core.entry import Entry
from zhiwei.core.ids import card_key_of
from zhiwei.core.request import Channel, Kind, Medium, MessageClass
from zhiwei.core.request import Request as CardMessage
from zhiwei.gateways.http.app import build_app
from zhiwei.stores.faces import SqliteFaceStore
from zhiwei.web.app import FaceParts, open_faces
from zhiwei.web.cardholder.history import PAGE
from zhiwei.web.frame.words import load_face_words
from zhiwei.web.sign_in.model import Face, Proof, Role
from zhiwei.web.sign_in.sessions import Sessions
from zhiwei.web.sign_in.settings import FaceSettings
from zhiwei.web.sign_in.site import site_at
from zhiwei.words import LANGUAGES
from zhiwei.words.remedies import REMEDIES

#: Most entries that one look at a history may read.
_READ_MAX = 330
_MANY = 5_000


class Counting:
    """A reader that counts the entries it hands out."""

    def __init__(self, reader: Any) -> None:  # noqa: ANN401 - any reader
        self._reader = reader
        self.read = 0

    def entries(self, card_key: bytes, **asked: int) -> list[Entry]:
        """The same entries."""
        found: list[Entry] = self._reader.entries(card_key, **asked)
        self.read += len(found)
        return found

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the reader has
        return getattr(self._reader, name)


class Long:
    """A card with very many payments, and its cardholder before the pages."""

    def __init__(self, folder: Path) -> None:
        self.world: World = sqlite_world(folder)
        holder = self.world.cardholder(name="王小明")
        self.card = self.world.card(cardholder=holder)
        card_key = card_key_of(self.card)
        assert card_key is not None
        payments = [Command(card_key, request=_paid(number)) for number in range(_MANY)]
        self.world.run(self.world.submit(payments))
        self.counting = Counting(self.world.house.reader)
        house = replace(self.world.house, reader=self.counting, metrics=CollectorRegistry())
        self.faces = SqliteFaceStore(folder)
        sessions = Sessions(self.faces, self.world.clock)
        self.cookie = sessions.open(Face.CARDHOLDER, holder, holder, Role.VIEWER, Proof.LINK)[0]
        self.world.app = build_app(house)
        parts = FaceParts(self.faces, site_at("http://localhost"), FaceSettings(), sends_sms=False)
        open_faces(self.world.app, house, parts)

    def get(self, path: str) -> httpx.Response:
        """Open a page; what it reads is counted from nothing."""
        self.counting.read = 0
        headers: Mapping[str, str | bytes] = {"Cookie": f"zw={self.cookie}"}
        return self.world.run(self.world.send("GET", path, None, headers))

    def close(self) -> None:
        """Let go of the stores."""
        self.faces.close()
        self.world.close()


def _paid(number: int) -> CardMessage:
    return CardMessage(
        kind=Kind.PURCHASE,
        channel=Channel.POS,
        medium=Medium.CHIP,
        amount_minor=100 + number,
        currency="CNY",
        merchant_id="M1",
        merchant_name="小店",
        country="CHN",
        region="41",
        stan=f"{number % 1_000_000:06}",
        rrn=f"{number:012}",
    )


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Long]:
    """One for all tests of this module; they only read."""
    made = Long(tmp_path_factory.mktemp("long"))
    yield made
    made.close()


@pytest.mark.parametrize("show", ["all", "declined", "changes"])
@pytest.mark.parametrize("before", ["", "&before=2500", "&before=31"])
def test_a_look_reads_a_bounded_part(long: Long, show: str, before: str) -> None:
    """Wherever one looks in 5,000 decisions, and whatever is filtered, little is read."""
    page = long.get(f"/me/cards/{long.card}/history?show={show}{before}")
    assert page.status_code == 200
    assert 0 < long.counting.read <= _READ_MAX
    assert page.text.count('<li class="word-') <= PAGE


def test_an_empty_part_says_that_older_ones_were_not_looked_at(long: Long) -> None:
    """None among the latest is not none at all; the last part says so in the end."""
    path, seen = f"/me/cards/{long.card}/history?show=changes", 0
    page = long.get(path)
    assert "最近的 300 条里没有这样的记录" in page.text
    while "before=" in page.text:
        assert "还没有记录" not in page.text
        path = page.text.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
        page, seen = long.get(path), seen + 1
    assert seen == -(-(_MANY + 1) // 300) - 1
    assert "卡片登记" in page.text


def once_form(one: Person, card: str, version: int) -> dict[str, str]:
    """The form that allows a payment once."""
    return one.form(f"/me/cards/{card}/history/{version}", f"/me/cards/{card}/do/allow_once")


def test_an_exception_is_bound_to_what_was_refused(town: Town) -> None:
    """Merchant, or the place where none was named; always a ceiling; only what stood in the way."""
    card = town.card()
    town.control(card, "region_lock", {"regions": ["11"]})
    town.authorize(card)
    town.authorize(card, merchant={**SHOP, "id": "M77"})
    with person(town, card.cardholder) as one:
        placed, named = once_form(one, card.id, 3), once_form(one, card.id, 4)
        assert "只限这个地方，不超过 68.00 CNY" in one.text(f"/me/cards/{card.id}/history/3")
        assert "只限这家商户，不超过 68.00 CNY" in one.text(f"/me/cards/{card.id}/history/4")
        proof = one.client.post(f"/me/cards/{card.id}/do/allow_once", data=named)
        assert "不超过 68.00 CNY" in one.text(proof.headers["location"]), "what is proved"
    bounds = ("merchant", "country", "region", "currency", "amount_max", "controls")
    assert [placed[n] for n in bounds] == ["", "CHN", "41", "CNY", "6800", "region_lock"]
    assert [named[n] for n in bounds] == ["M77", "", "", "CNY", "6800", "region_lock"]


@pytest.mark.parametrize(
    "changed",
    [
        {"controls": ""},
        {"controls": ","},
        {"amount_max": "-1"},
        {"amount_max": ""},
        {"amount_max": "1e9"},
        {"amount_max": "９"},
        {"amount_max": "9" * 40},
        {"currency": "XXQ"},
        {"country": "Atlantis"},
        {"region": "99"},
        {"merchant": "M" * 65},
    ],
    ids=str,
)
def test_an_exception_without_bounds_cannot_be_asked_for(
    town: Town, changed: dict[str, str]
) -> None:
    """A form that somebody changed: a clear page, and nobody is asked to prove anything."""
    card = town.card()
    town.control(card, "region_lock", {"regions": ["11"]})
    town.authorize(card)
    with person(town, card.cardholder) as one:
        form = once_form(one, card.id, 3)
        answer = one.client.post(f"/me/cards/{card.id}/do/allow_once", data={**form, **changed})
        assert answer.status_code == 422


def test_where_an_exception_would_not_help_the_page_says_so(town: Town) -> None:
    """A limit is no matter of exceptions, and a stopped card pays nothing."""
    card = town.card()
    limit = {"channel": "all", "measure": "amount", "period": "day", "amount": 10_000}
    town.control(card, "limits", {"items": [limit]})
    town.control(card, "region_lock", {"regions": ["11"]})
    town.authorize(card, 20_000)
    town.authorize(card, 500)
    path = f"/me/cards/{card.id}/history"
    with person(town, card.cardholder) as one:
        over = one.text(f"{path}/4")
        assert "这一笔不能这样放行" in over
        assert "放行一次（15 分钟）" not in over
        assert "放行一次（15 分钟）" in one.text(f"{path}/5")
        one.press(f"{path}/5", "/me/do/not_me")
        assert "请先在首页解除" in one.text(f"{path}/5")
        town.authorize(card, 700)
        assert 'href="/me"' in one.get(f"{path}/7").text, "the way to the stop"


def test_a_payment_that_is_asked_about_leads_to_the_question(town: Town) -> None:
    """It is answered there, once, and not let through from two places."""
    card = town.card()
    question = large(town, card)
    with person(town, card.cardholder) as one:
        page = one.get(f"/me/cards/{card.id}/history/3").text
        assert f"/me/questions/{question['id']}" in page
        assert "allow_once" not in page
        one.press(f"/me/questions/{question['id']}", f"/me/cards/{card.id}/do/answer_no")
        page = one.get(f"/me/cards/{card.id}/history/3").text
        assert "看看当时的确认" in page


def test_not_me_stops_the_card_from_an_entry(town: Town) -> None:
    """And comes back to the entry, which says no more that it could be stopped."""
    card = town.card()
    town.authorize(card)
    path = f"/me/cards/{card.id}/history/2"
    with person(town, card.cardholder) as one:
        done = one.press(path, "/me/do/not_me")
        assert done.headers["location"] == path
        page = one.text(path)
        assert "已止付。银行会调查这一笔" in page
        assert "不是我，马上止付" not in page
        assert "您在这里操作" in one.text(f"/me/cards/{card.id}/history/3")
    assert town.authorize(card)["decision"] == "decline"


def test_not_me_opens_one_case_at_the_desk(town: Town) -> None:
    """However often it is said; never about somebody else's payment, or about what is none."""
    card, other = town.card(), town.card()
    paid, others = town.authorize(card)["id"], town.authorize(other)["id"]
    path = f"/me/cards/{card.id}/history/2"
    with person(town, card.cardholder) as one:
        for payment in (others, "auth_x", ""):
            fields: dict[str, object] = {"payment": payment}
            assert one.press(path, "/me/do/not_me", fields).status_code == 422
        form = one.form(path, "/me/do/not_me")
        assert form["payment"] == paid
        for _ in range(2):
            assert one.client.post("/me/do/not_me", data=form).status_code == 303
    rows = town.call("GET", "/v1/audit_events?limit=100").rows
    denied = [row for row in rows if row["action"] == "payment.denied"]
    assert [row for row in denied if others in str(row)] == []
    assert len([row for row in denied if paid in str(row)]) == 1
    cookie = session_cookie(town, "", Face.OPERATOR, town.operator("李经理", "agent"), Role.AGENT)
    cookies = {"zw": cookie}
    with httpx.Client(base_url=town.site, cookies=cookies) as agent:
        assert f"/console/cases/{paid}" in agent.get("/console/cases").text
        case = agent.get(f"/console/cases/{paid}").text
        assert "便民超市" in case
        assert card.cardholder in case


def test_what_is_no_payment_is_not_shown_as_one(town: Town) -> None:
    """A refund, an inquiry without an amount, a change by the bank."""
    card = town.card()
    town.authorize(card, 500, kind="refund")
    town.authorize(card, 0, kind="balance_inquiry", channel="atm")
    town.control(card, "night_lock", {"start": "23:00", "end": "05:00"})
    with person(town, card.cardholder) as one:
        listed = one.text(f"/me/cards/{card.id}/history")
        assert "退货" in listed
        assert "余额查询" in listed
        assert "0.00 CNY" not in listed.replace("5.00 CNY", "")
        assert "银行系统" in one.text(f"/me/cards/{card.id}/history/4")


@pytest.mark.parametrize(
    "name",
    [
        HOSTILE[:40],
        "\u200f\u202e\u200fmoc.elpmaxe",
        "长" * 40,
        "W" * 40,
        "'\"><img src=x onerror=alert(1)>",
        "{{ 7 * 7 }} {merchant}",
        "6212345678901232",
    ],
    ids=["script", "direction", "long", "wide", "attribute", "template", "number"],
)
def test_names_of_strangers_are_text(town: Town, name: str) -> None:
    """On the home page, in the question, in the history and in what is proved."""
    card = town.card()
    question = large(town, card, merchant={**SHOP, "name": name})
    path = f"/me/questions/{question['id']}"
    with person(town, card.cardholder) as one:
        where = one.press(path, f"/me/cards/{card.id}/do/answer_yes").headers["location"]
        pages = ("/me", "/me/questions", path, "/me/history", f"/me/cards/{card.id}/history/3")
        for address in (*pages, where):
            page = one.get(address)
            assert page.status_code == 200
            assert "<script>alert" not in page.text
            assert "<img src=x" not in page.text
            assert not set("\u200f\u202e") & set(page.text), address
            assert "6212345678901232" not in page.text


def test_a_blocked_institution_leads_to_linked_payments(town: Town) -> None:
    """The way to the switch, from the debit that it refused."""
    card = town.card()
    body = {"card": card.id, "institution": "kuaifu", "name": "快付"}
    link = town.call("POST", "/v1/bindings", body).document["binding"]
    with person(town, card.cardholder) as one:
        path = f"/me/cards/{card.id}/do/binding_switch"
        one.press(f"/me/cards/{card.id}/bindings", path, {"open": "0"}, id=link)
        refused = town.authorize(
            card, channel="quick_pay", medium="credential_on_file", institution="kuaifu"
        )
        assert refused["decision"] == "decline"
        page = one.get(f"/me/cards/{card.id}/history/4")
        assert page.status_code == 200
        assert f'href="/me/cards/{card.id}/bindings"' in page.text


def test_everything_that_can_stand_in_a_history_has_its_words() -> None:
    """Each kind, channel, door, change and advice; a missing word would be an error page."""
    changes = [name.strip() for name in str(Change).split("|")]
    wanted = {f"kind.{kind.name.lower()}" for kind in Kind}
    wanted |= {f"channel.{channel.name.lower()}" for channel in Channel}
    wanted |= {f"via.{via.name.lower()}" for via in Via} | {"via.contact"}
    wanted |= {f"message.{one.name.lower()}" for one in MessageClass if one.name != "REQUEST"}
    wanted |= {f"change.{snake(name)}" for name in changes}
    wanted |= {f"remedy.{remedy}" for remedy in REMEDIES.values()}
    wanted |= {f"question.state.{state.name.lower()}" for state in ChallengeState}
    for language in LANGUAGES:
        assert sorted(wanted - load_face_words().keys(language)) == []


def snake(name: str) -> str:
    """`SetControl` as `set_control`."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()

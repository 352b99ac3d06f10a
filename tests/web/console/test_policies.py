"""The pages of the policy over HTTP: who may do what, and what each mistake is answered with."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.gateways.http.house import PAN
from tests.web.console.desk import Desk
from tests.web.console.test_pages import Room, Visitor

from zhiwei.core.policy import DEFAULT_POLICY
from zhiwei.gateways.response_codes import ANSWERS
from zhiwei.policy_file import SETTINGS, settings_of
from zhiwei.web.console.policy_words import KINDS
from zhiwei.web.frame.words import load_face_words
from zhiwei.web.sign_in.model import Role

NEW = "/console/policy/new"


class _Fields(HTMLParser):
    """The fields of the form that holds `base`, as a browser would send them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._open = ""
        self._is_select = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a field."""
        told = {name: value or "" for name, value in attrs}
        if tag == "input" and "name" in told:
            self.found.setdefault(told["name"], told.get("value", ""))
        elif tag in ("select", "textarea"):
            self._open, self._is_select = told["name"], tag == "select"
        elif tag == "option" and ("selected" in told or self._open not in self.found):
            self.found[self._open] = told["value"]

    def handle_data(self, data: str) -> None:
        """Note what stands in a text area."""
        if self._open and not self._is_select:
            self.found[self._open] = self.found.get(self._open, "") + data

    def handle_endtag(self, tag: str) -> None:
        """A field ends."""
        if tag in ("select", "textarea"):
            self.found.setdefault(self._open, "")
            self._open = ""


def fields_of(page: str) -> dict[str, str]:
    """The fields of the form on a page."""
    reader = _Fields()
    reader.feed(page[page.index('class="policy-form"') :])
    return reader.found


@pytest.fixture
def room(desk: Desk, tmp_path: Path) -> Iterator[Room]:
    """A console on a house with one card."""
    made = Room(desk, tmp_path)
    yield made
    made.faces.close()


@pytest.fixture
def ann(room: Room) -> Visitor:
    """An officer."""
    return room.visitor(Role.OFFICER, "op_ann")


@pytest.fixture
def ben(room: Room) -> Visitor:
    """Another officer."""
    return room.visitor(Role.OFFICER, "op_ben")


def proposed(visitor: Visitor, **changes: str) -> str:
    """Fill in the form, look at the differences, propose; the path of the change."""
    form = fields_of(visitor.get(NEW).text)
    form |= {"note": "spring", "step": "preview", **changes}
    looked_at = visitor.post(NEW, form)
    assert looked_at.status_code == 200, unescape(looked_at.text)
    made = visitor.post(NEW, fields_of(looked_at.text) | {"step": "propose"})
    assert made.status_code == 303, made.text
    return made.headers["location"]


def refused(visitor: Visitor, **changes: str) -> str:
    """The page for a form that is not right."""
    form = fields_of(visitor.get(NEW).text) | {"note": "spring", **changes}
    answer = visitor.post(NEW, form)
    assert answer.status_code == 422, answer.text
    assert 'aria-invalid="true"' in answer.text
    assert not re.search(r'value="propose"', answer.text)
    return unescape(answer.text)


def row_of(page: str, setting: str) -> str:
    """The row of a setting on a page."""
    found = re.search(rf'<tr data-setting="{re.escape(setting)}">.*?</tr>', page, re.DOTALL)
    assert found is not None, setting
    return unescape(found[0])


def test_every_setting_answer_and_choice_has_its_words() -> None:
    """What a policy can say, the pages can say; a new setting is not forgotten."""
    assert set(KINDS) == set(SETTINGS)
    keys = load_face_words().keys("en")
    wanted = {f"policy.setting.{name}" for name in SETTINGS}
    wanted |= {f"policy.hint.{name}" for name in SETTINGS}
    wanted |= {f"policy.answer.{name}" for name in ANSWERS}
    assert wanted <= keys


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_pages_are_there_in_both_languages(room: Room, ann: Visitor, language: str) -> None:
    """None shows a key instead of a sentence, and nothing stands inline."""
    path = proposed(
        ann,
        **{
            "closed_mccs": "7995 6011",
            "hold_days": "7",
            "magstripe_threshold": "",
            "ceilings.0.value": "5000.5",
            "ceilings.1.measure": "count",
            "ceilings.1.period": "rolling",
            "ceilings.1.value": "3",
            "ceilings.1.seconds": "60",
        },
    )
    ann.language = language
    for page in ("/console/policy", NEW, path):
        answer = ann.get(page)
        assert answer.status_code == 200, page
        shown = re.sub(r'"[^"]*"|policy\.proposed', "", answer.text)
        assert "policy." not in shown, page
        assert " style=" not in answer.text
        assert not re.search(r"<script(?! src)", answer.text)


def test_what_is_in_force_is_told_with_units_and_defaults(room: Room, ann: Visitor) -> None:
    """Each setting in people's words, its value, its default, and the tables of codes."""
    policy = replace(DEFAULT_POLICY, version="own-1", hold_ms=7 * 86_400_000)
    room.desk.world.in_force = replace(room.desk.world.in_force, policy=policy)
    page = ann.get("/console/policy").text
    assert "own-1" in page
    assert "7 days" in row_of(page, "hold_days")
    assert "30 days" in row_of(page, "hold_days")
    assert "20,000.00 CNY" in row_of(page, "magstripe_threshold")
    assert "the same" in row_of(page, "magstripe_threshold")
    assert "ask the cardholder first" in row_of(page, "on_unknown_location_pos")
    for network in room.desk.world.in_force.codes.networks:
        assert f'<th scope="col">{network}</th>' in page


def test_the_form_says_what_is_in_force(room: Room, ann: Visitor) -> None:
    """Sent as it came, it changes nothing, whatever the policy holds."""
    document = {
        "ceilings": [{"channel": "atm", "measure": "count", "period": "rolling", "count": 3,
                      "seconds": 60},
                     {"channel": "pos", "measure": "amount", "period": "day", "amount": 12_345}],
        "closed_mccs": ["6011", "7995"],
        "flagged_terminals": ["01020000/87654321", "12345678"],
        "licensed_institutions": [],
        "magstripe_threshold": -1,
        "sms_may_approve": False,
    }  # fmt: skip
    policies = room.desk.world.house.policies
    assert policies is not None
    policy = policies.drafted(document)
    room.desk.world.in_force = replace(room.desk.world.in_force, policy=policy)
    assert settings_of(policy) == {**settings_of(policy), **document}
    form = fields_of(ann.get(NEW).text) | {"note": "spring"}
    answer = ann.post(NEW, form)
    assert answer.status_code == 409
    assert "nothing to propose" in answer.text


def test_a_loosening_needs_a_second_officer(room: Room, ann: Visitor, ben: Visitor) -> None:
    """Its proposer is told so, whatever they send; with the other's yes it holds at once."""
    path = proposed(ann, hold_days="7", challenges_per_hour="20")
    mine = ann.get(path).text
    assert "loosens" in row_of(mine, "challenges_per_hour")
    assert 'id="waits"' in mine
    assert f"{path}/approve" not in mine
    told = ann.post(f"{path}/approve")
    assert told.headers["location"] == f"{path}?problem=second_officer"
    page = ann.get(told.headers["location"]).text
    assert "It was not adopted" in page
    assert room.desk.world.in_force.number == 0
    assert f"{path}/approve" in ben.get(path).text
    assert ben.post(f"{path}/approve").headers["location"] == path
    after = room.desk.world.in_force
    assert (after.number, after.policy.challenges_per_hour) == (1, 20)
    assert room.desk.pay()[0]["policy_version"] == after.policy.version
    page = ann.get("/console/policy").text
    assert after.policy.version in page
    assert "proposed by op_ann 王, adopted by op_ben 王" in page
    assert 'class="adopted"' in page
    assert room.actions()[:2] == ["policy.adopted", "policy.proposed"]


def test_a_tightening_is_adopted_by_its_proposer(room: Room, ann: Visitor) -> None:
    """The difference of a list is what came; the word says that nothing loosens."""
    path = proposed(ann, closed_mccs="7995, 6011")
    page = ann.get(path).text
    assert "does not loosen" in row_of(page, "closed_mccs")
    assert "added: 6011, 7995" in row_of(page, "closed_mccs")
    assert ann.post(f"{path}/approve").headers["location"] == path
    assert room.desk.world.in_force.policy.closed_mccs == {"7995", "6011"}


def test_a_response_code_is_changed_for_one_network(room: Room, ann: Visitor, ben: Visitor) -> None:
    """It is named with its network and reason, and needs two although it loosens nothing."""
    path = proposed(ann, **{"code.visa.reasons.card_lost": "05"})
    row = row_of(ann.get(path).text, "response_codes.visa.reasons.card_lost")
    assert "visa · Card lost" in row
    assert ann.post(f"{path}/approve").headers["location"].endswith("problem=second_officer")
    ben.post(f"{path}/approve")
    tables = room.desk.world.in_force.codes.document()
    assert tables["visa"]["reasons"]["card_lost"] == "05"
    assert tables["unionpay"]["reasons"]["card_lost"] == "62"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT])
def test_only_officers_propose_and_decide(room: Room, ann: Visitor, role: Role) -> None:
    """Others look, see no button, and are refused whatever they send."""
    path = proposed(ann, closed_mccs="7995")
    other = room.visitor(role, "op_other")
    assert NEW not in other.get("/console/policy").text
    page = other.get(path)
    assert page.status_code == 200
    assert "Only officers" in page.text
    assert 'action="/console/policy' not in page.text
    assert other.get(NEW).status_code == 403
    assert other.post(NEW, {"step": "propose"}).status_code == 403
    for step in ("approve", "reject", "withdraw"):
        assert other.post(f"{path}/{step}").status_code == 403
    assert room.desk.world.in_force.number == 0


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("hold_days", "-1", "0 or more"),
        ("hold_days", "4000", "at most ten years"),
        ("hold_days", "7.5", "whole number"),
        ("challenges_per_hour", "many", "whole number"),
        ("challenges_per_hour", "9" * 16, "whole number"),
        ("magstripe_threshold", "20000.005", "two decimals"),
        ("magstripe_threshold", "9" * 14, "two decimals"),
        ("closed_mccs", "7995 gambling", "four digits"),
        ("closed_mccs", "79950", "four digits"),
        ("ceilings.0.value", "12.345", "this ceiling"),
        ("code.visa.reasons.card_lost", "04", "keep the card"),
        ("code.unionpay.answers.challenge", "07", "keep the card"),
        ("code.visa.reasons.night_lock_active", "57", "forbids a retry"),
        ("code.visa.reasons.night_lock_active", "00", "00 approves"),
        ("code.visa.reasons.night_lock_active", "5", "two letters or digits"),
        ("note", "  ", "write a reason"),
    ],
)
def test_a_field_that_is_not_right_is_named(
    ann: Visitor, field: str, text: str, words: str
) -> None:
    """The page says what is wrong and where, and keeps what was written."""
    page = refused(ann, **{field: text})
    found = re.search(rf'id="fault-{re.escape(field)}">([^<]*)<', page)
    assert found is not None
    assert words in found[1]
    assert fields_of(page)[field] == text


@pytest.mark.parametrize("field", ["on_unknown_location_pos", "sms_may_approve"])
def test_a_choice_that_was_not_offered_is_named(ann: Visitor, field: str) -> None:
    """Only a form that somebody made themselves can say it."""
    page = refused(ann, **{field: "maybe"})
    assert f'id="fault-{field}">choose one of those offered<' in page


def test_a_count_without_a_period_is_no_ceiling(ann: Visitor) -> None:
    """The row of the ceiling is named."""
    rows = {"measure": "count", "period": "transaction", "value": "3"}
    page = refused(ann, **{f"ceilings.1.{part}": text for part, text in rows.items()})
    assert 'id="fault-ceilings.1.value"' in page


def test_names_and_notes_are_judged_by_the_desk(room: Room, ann: Visitor) -> None:
    """A card number in a note is refused, and not shown again."""
    form = fields_of(ann.get(NEW).text) | {"hold_days": "7", "note": f"for {PAN}"}
    looked_at = ann.post(NEW, form)
    assert PAN not in looked_at.text
    seen = fields_of(looked_at.text)["seen"]
    sent = {**form, "seen": seen, "step": "propose"}
    answer = ann.post(NEW, sent)
    assert answer.status_code == 422
    assert "no card number" in answer.text
    assert PAN not in answer.text
    named = ann.post(NEW, {**sent, "note": "spring", "name": "Q1 2026"})
    assert named.status_code == 422
    assert "small letters" in named.text
    terminal = refused(ann, flagged_terminals=PAN)
    assert PAN not in terminal
    assert "policy.proposed" not in room.actions()


def test_nothing_is_proposed_that_was_not_looked_at(ann: Visitor) -> None:
    """Whoever writes on after the look gets another look first."""
    form = fields_of(ann.get(NEW).text) | {"note": "spring", "hold_days": "7"}
    first = ann.post(NEW, {**form, "step": "propose"})
    assert first.status_code == 200
    assert 'value="propose"' in first.text
    other = fields_of(first.text) | {"hold_days": "8", "step": "propose"}
    second = ann.post(NEW, other)
    assert second.status_code == 200
    assert "8 days" in row_of(second.text, "hold_days")


def test_a_double_click_proposes_and_adopts_once(room: Room, ann: Visitor) -> None:
    """The second click leads to what the first has made."""
    form = fields_of(ann.get(NEW).text) | {"note": "a\r\nb", "closed_mccs": "7995"}
    form |= {"seen": fields_of(ann.post(NEW, form).text)["seen"], "step": "propose"}
    one, two = ann.post(NEW, form), ann.post(NEW, form)
    path = one.headers["location"]
    assert two.headers["location"] == path
    assert room.actions().count("policy.proposed") == 1
    ann.post(f"{path}/approve")
    again = ann.post(f"{path}/approve")
    assert again.headers["location"] == f"{path}?problem=decided"
    assert "decided before" in ann.get(again.headers["location"]).text
    assert room.actions().count("policy.adopted") == 1


def test_two_officers_at_once_adopt_one(room: Room, ann: Visitor, ben: Visitor) -> None:
    """Of two changes on one version the later one is out of date, and says so."""
    one, other = proposed(ann, closed_mccs="7995"), proposed(ben, closed_mccs="6011")
    written = fields_of(ben.get(NEW).text) | {"note": "late", "hold_days": "7"}
    ann.post(f"{one}/approve")
    late = ben.post(f"{other}/approve")
    assert late.headers["location"] == f"{other}?problem=stale"
    page = ben.get(other).text
    assert "Another version came into force" in page
    assert f"{other}/approve" not in page
    assert "out of date" in ben.get("/console/policy").text
    stale = ben.post(NEW, written)
    assert stale.status_code == 409
    assert "Another version came into force" in stale.text
    assert "taken out: 7995" in row_of(stale.text, "closed_mccs")
    assert "7 days" in row_of(stale.text, "hold_days")
    assert 'value="propose"' not in stale.text
    again = fields_of(stale.text)
    assert again["base"] == room.desk.world.in_force.policy.version
    assert ben.post(NEW, again | {"closed_mccs": "7995"}).status_code == 200


def test_calls_at_the_same_moment_make_one_change(room: Room, ann: Visitor) -> None:
    """Two calls that overlap are done one after the other."""
    form = fields_of(ann.get(NEW).text) | {"note": "spring", "closed_mccs": "7995"}
    form |= {"seen": fields_of(ann.post(NEW, form).text)["seen"], "step": "propose"}

    async def both() -> set[str]:
        answers = await asyncio.gather(ann.sent(NEW, form), ann.sent(NEW, form))
        return {answer.headers["location"] for answer in answers}

    assert len(room.desk.world.run(both())) == 1
    assert room.actions().count("policy.proposed") == 1


def test_a_change_is_rejected_by_others_and_withdrawn_by_its_proposer(
    room: Room, ann: Visitor, ben: Visitor
) -> None:
    """Each sees the button that is theirs, and the desk refuses the other."""
    one, other = proposed(ann, closed_mccs="7995"), proposed(ann, closed_mccs="6011")
    assert f"{one}/withdraw" not in ben.get(one).text
    assert ben.post(f"{one}/withdraw").headers["location"] == f"{one}?problem=not_proposer"
    ben.post(f"{one}/reject")
    assert "rejected" in ann.get(one).text
    assert f"{other}/reject" not in ann.get(other).text
    ann.post(f"{other}/withdraw")
    page = ann.get(other).text
    assert "withdrawn" in page
    assert f"{other}/approve" not in page
    assert room.desk.world.in_force.number == 0


def test_a_file_is_only_looked_at(room: Room, ann: Visitor) -> None:
    """Where the server was started with a file, the page says so and has no button."""
    path = proposed(ann, closed_mccs="7995")
    written = fields_of(ann.get(NEW).text) | {"note": "late", "hold_days": "7"}
    room.desk.world.in_force = replace(room.desk.world.in_force, fixed=("policy",))
    page = ann.get("/console/policy").text
    assert "data-fixed" in page
    assert NEW not in page
    assert f"{path}/approve" not in ann.get(path).text
    assert ann.post(f"{path}/approve").headers["location"].endswith("problem=fixed")
    assert ann.get(NEW).status_code == 409
    assert ann.post(NEW, written).status_code == 409


def test_a_house_without_a_desk_is_looked_at(room: Room) -> None:
    """The policy in force is there; nothing else is."""
    room.desk.world.house = replace(room.desk.world.house, policies=None)
    officer = room.opened_again().visitor(Role.OFFICER, "op_ann")
    assert officer.get("/console/policy").status_code == 200
    assert officer.get(NEW).status_code == 404
    assert officer.get("/console/policy/changes/pch_1").status_code == 404


def test_strange_calls_are_answered_with_a_page(room: Room, ann: Visitor) -> None:
    """An unknown change, an unknown step, a form of nobody, and somebody who is not signed in."""
    path = proposed(ann, closed_mccs="7995")
    assert ann.get("/console/policy/changes/pch_1").status_code == 404
    assert ann.post("/console/policy/changes/pch_1/approve").status_code == 404
    assert ann.post(f"{path}/forget").status_code == 404
    assert ann.post(f"{path}/approve", {"csrf": "other"}).status_code == 403
    assert ann.post(NEW, {"csrf": "other"}).status_code == 403
    assert ann.post(NEW, {"note": "x" * 300_000}).status_code == 403
    ann.cookie = "nobody"
    assert ann.get("/console/policy").headers["location"] == "/console/sign-in"
    assert room.desk.world.in_force.number == 0


def test_many_versions_are_shown_page_by_page(room: Room, ann: Visitor) -> None:
    """The newest twenty first, and the way to the older ones."""
    for number in range(22):
        path = proposed(ann, closed_mccs=" ".join(f"{1000 + n}" for n in range(number + 1)))
        ann.post(f"{path}/approve")
    page = ann.get("/console/policy").text
    assert page.count('class="adopted"') == 20
    older = ann.get("/console/policy?before=3").text
    assert older.count('class="adopted"') == 2
    assert 'href="/console/policy?before=3"' in page

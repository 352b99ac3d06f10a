"""Search, ledger, story, why, what if, cases and the trail, on a real store."""

from __future__ import annotations

import csv
import io

import pytest
from tests.gateways.http.house import NOON, OTHER_PAN, PAN
from tests.web.console.desk import Desk

from zhiwei.core.errors import NotAllowedValueError
from zhiwei.core.ids import entry_of
from zhiwei.web.console import cases as cases_module
from zhiwei.web.console import search as search_module
from zhiwei.web.console.cases import CaseClosedError, Cases, NoteMissingError, assigned, closed
from zhiwei.web.console.filters import AuditFilter, DecisionFilter
from zhiwei.web.console.ledger import ledger_page
from zhiwei.web.console.search import Hits, search
from zhiwei.web.console.sheets import audits_sheet, decisions_sheet, safe
from zhiwei.web.console.story import Mark, story_page
from zhiwei.web.console.trail import looked_at_card, trail_page
from zhiwei.web.console.what_if import Comparison, Edit, compared, form_text
from zhiwei.web.console.why import why


def test_the_ledger_is_narrowed_and_paged(desk: Desk) -> None:
    """Pages of a filtered list hold each decision once and end where the journal does."""
    desk.world.strong.set(desk.card, "region_lock", {"regions": ["41"]})
    declined = [d["id"] for d in desk.pay(5)]
    desk.pay(2, merchant={"id": "M2", "country": "CHN", "region": "41"})
    wanted = DecisionFilter(outcome="decline", reason="region_lock_active", place="44")
    found: list[str] = []
    before = 0
    while True:
        page = ledger_page(desk.reader, desk.names, wanted, NOON, before=before, limit=2)
        found += [row.id for row in page.rows]
        before = page.next_before
        if not before:
            break
    assert found == declined[::-1]
    of_card = DecisionFilter(card=desk.card, outcome="approve")
    assert len(ledger_page(desk.reader, desk.names, of_card, NOON).rows) == 2


def test_a_walk_ends_at_its_bound_and_goes_on(desk: Desk) -> None:
    """A filter that finds nothing looks at no more than it may, and says where it stopped."""
    desk.pay(6)
    wanted = DecisionFilter(outcome="challenge")
    page = ledger_page(desk.reader, desk.names, wanted, NOON, walk_max=4)
    assert (page.rows, page.walked, page.next_before) == ((), 4, 4)


def test_search_finds_by_tail_name_phone_id_and_reference(desk: Desk) -> None:
    """Each way that a caller may name a card, a customer or a decision leads there."""
    (decision,) = desk.pay()

    def find(text: str) -> Hits:
        return search(desk.reader, desk.names, text)

    assert [c.card_key for c in find("1232").cards] == [desk.card_key]
    assert [c.card_key for c in find(desk.card).cards] == [desk.card_key]
    assert [h.id for h in find("小明").customers] == [desk.holder]
    assert [h.id for h in find("+8613800138000").customers] == [desk.holder]
    assert [h.id for h in find(desk.holder).customers] == [desk.holder]
    assert find(decision["id"]).entry == entry_of("auth", decision["id"])
    assert [d.id for d in find("RRN000000001").decisions] == [decision["id"]]
    assert [d.id for d in find(decision["authorization_code"]).decisions] == [decision["id"]]
    assert find("9999").is_empty
    assert find("9999").stretches[0].is_all


def test_search_finds_questions_and_stops_by_what_customers_quote(desk: Desk) -> None:
    """The six digits of a question and the reference of a stop lead to decision and card."""
    question = desk.denied()
    state = desk.reader.card(desk.card_key)
    assert state is not None
    assert state.settings.stop is not None
    (asked,) = state.settings.challenges
    found = search(desk.reader, desk.names, asked.reference)
    assert [d.challenge_id for d in found.decisions] == [question]
    by_stop = search(desk.reader, desk.names, state.settings.stop.reference)
    assert [c.card_key for c in by_stop.cards] == [desk.card_key]


def test_a_card_number_is_not_looked_for(desk: Desk) -> None:
    """Sixteen digits are refused and never given back."""
    found = search(desk.reader, desk.names, f" {PAN} ")
    assert found.is_card_number
    assert PAN not in repr(found)


def test_a_bounded_search_says_so_and_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first stretch names its end, and the next one begins there."""
    desk.world.card(OTHER_PAN)
    monkeypatch.setattr(search_module, "CARDS_MAX", 1)
    monkeypatch.setattr(search_module, "_CHUNK", 1)
    first = search(desk.reader, desk.names, "0005")
    (stretch,) = first.stretches
    assert not stretch.is_all
    second = search(desk.reader, desk.names, "0005", cards_after=stretch.go_on)
    assert len(first.cards) + len(second.cards) == 1


def test_a_story_holds_everything_once_newest_first(desk: Desk) -> None:
    """Decisions, changes and audit lines are laid together; pages leave nothing out."""
    desk.denied()
    desk.pay(4)
    whole = story_page(desk.reader, None, desk.card_key, Mark(), limit=100)
    assert whole.next_mark == ""
    assert {told.kind for told in whole.lines} == {"decision", "change", "audit"}
    instants = [told.at_ms for told in whole.lines]
    assert instants == sorted(instants, reverse=True)
    paged = []
    mark = Mark()
    while True:
        page = story_page(desk.reader, None, desk.card_key, mark, limit=3)
        paged += [told.item for told in page.lines]
        if not page.next_mark:
            break
        mark = Mark.read(page.next_mark)
    assert len(paged) == len(whole.lines)
    decisions = story_page(desk.reader, None, desk.card_key, Mark(), kind="decision", limit=2)
    assert [told.kind for told in decisions.lines] == ["decision"] * 2
    assert decisions.next_mark


def test_marks_that_are_none_begin_at_the_top() -> None:
    """An address that somebody typed wrong shows the first page."""
    assert Mark.read("1.2") == Mark.read("a.b.c") == Mark.read("1.2." + "9" * 20) == Mark()
    assert str(Mark.read("7.8.9")) == "7.8.9"


def test_why_names_every_control_that_was_asked(desk: Desk) -> None:
    """The lock that refused and the ones that had no objection are there, with numbers."""
    desk.world.strong.set(desk.card, "region_lock", {"regions": ["41"]})
    desk.world.strong.set(desk.card, "night_lock", {})
    (decision,) = desk.pay(
        merchant={"id": "M1", "name": f"店{PAN}", "country": "CHN", "region": "44"}
    )
    shown = why(desk.world.house, decision["id"])
    assert shown is not None
    results = {e["control"]: e["result"] for e in shown.evaluations}
    assert results["region_lock"] == "decline"
    assert results["night_lock"] == "approve"
    assert shown.document["policy_version"] == desk.world.policy.version
    assert ("DE37", "rrn", "RRN000000001") in shown.message
    assert PAN not in str(shown.message)
    assert why(desk.world.house, "auth_nothing") is None


def _what_if(desk: Desk, decision: dict[str, object], **edit: str) -> Comparison:
    named = entry_of("auth", str(decision["id"]))
    assert named is not None
    state, entry = desk.reader.card(named[0]), desk.reader.entry(*named)
    assert state is not None
    assert entry is not None
    return compared(desk.world.house, state, entry, Edit.read(edit))


def test_what_if_differs_as_it_should_and_writes_nothing(desk: Desk) -> None:
    """Without the lock it would pass, at night it would not, frozen it never would."""
    desk.world.strong.set(desk.card, "region_lock", {"regions": ["41"]})
    (decision,) = desk.pay()
    before = desk.reader.recent(), desk.reader.audits(), desk.reader.events()
    state = desk.reader.card(desk.card_key)
    assert state is not None
    without = _what_if(desk, decision, region_lock="off")
    assert (without.then.decision, without.now.decision) == ("decline", "decline")
    assert without.edited.decision == "approve"
    assert _what_if(desk, decision, region_lock="41, 44").edited.decision == "approve"
    night = {"region_lock": "off", "night_lock": "23:00-05:00"}
    assert _what_if(desk, decision, **night).edited.decision == "approve"
    assert _what_if(desk, decision, **night, time="23:00").edited.decision == "decline"
    assert _what_if(desk, decision, **night, time="05:00").edited.decision == "approve"
    frozen = _what_if(desk, decision, region_lock="off", status="frozen").edited
    assert frozen.decision == "decline"
    limited = _what_if(desk, decision, region_lock="off", limits="pos amount day 9999").edited
    assert limited.decision == "decline"
    asked = _what_if(desk, decision, region_lock="off", large_spend_verification="5000").edited
    assert asked.decision == "challenge"
    assert _what_if(desk, decision, region_lock="off", stopped="yes").edited.decision == "decline"
    after = desk.reader.recent(), desk.reader.audits(), desk.reader.events()
    assert [len(rows) for rows in after] == [len(rows) for rows in before]
    again = desk.reader.card(desk.card_key)
    assert again is not None
    assert (again.version, again.chain) == (state.version, state.chain)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("region_lock", "99"),
        ("region_lock", "41,44,11,12"),
        ("overseas_lock", "CHN"),
        ("night_lock", "23"),
        ("limits", "pos amount day lots"),
        ("limits", "everywhere"),
        ("large_spend_verification", "-1"),
        ("time", "25:00"),
        ("amount", "1.5"),
        ("status", "happy"),
    ],
)
def test_what_if_says_which_field_is_not_allowed(desk: Desk, field: str, value: str) -> None:
    """A value that no card could have is refused with the name of its field."""
    (decision,) = desk.pay()
    with pytest.raises(NotAllowedValueError) as caught:
        _what_if(desk, decision, **{field: value})
    assert caught.value.pointer == field


def test_a_form_says_controls_as_it_reads_them(desk: Desk) -> None:
    """What the form shows of a card, sent back unchanged, is the same card."""
    set_ = desk.world.strong.set
    set_(desk.card, "region_lock", {"regions": ["41", "61"]})
    set_(desk.card, "overseas_lock", {"countries": []})
    set_(desk.card, "night_lock", {"start": "22:30", "end": "06:00", "scope": "all"})
    item = {"channel": "atm", "measure": "amount", "period": "day", "amount": 500_000}
    set_(desk.card, "limits", {"items": [item]})
    (decision,) = desk.pay(merchant={"id": "M1", "country": "CHN", "region": "41"})
    state = desk.reader.card(desk.card_key)
    assert state is not None
    controls = state.settings.controls
    told = {
        name: form_text(name, controls.of_type(name))
        for name in ("region_lock", "overseas_lock", "night_lock", "limits")
    }
    assert told["night_lock"] == "22:30-06:00"
    found = _what_if(desk, decision, **told)
    assert found.edited.entry.asked == found.now.entry.asked
    assert found.edited.decision == "approve"


def test_no_opens_a_case_that_is_assigned_and_closed(desk: Desk) -> None:
    """A denied question is in the list, and every step of the desk's work is kept."""
    cases = Cases(desk.reader)
    assert cases.page() == ([], "")
    question = desk.denied()
    (case,), _ = cases.page(state="open")
    assert case.opened.id == question
    assert cases.open_count() == 1
    file, audit = assigned(case, "op_1")
    desk.keep([file], [audit])
    mine, _ = cases.page(assignee="op_1")
    assert [c.opened.id for c in mine] == [question]
    with pytest.raises(NoteMissingError):
        closed(mine[0], "op_1", "  ", NOON)
    file, audit = closed(mine[0], "op_1", f"called; card {PAN}", NOON)
    assert PAN not in file.note
    desk.keep([file], [audit])
    assert cases.page(state="open") == ([], "")
    again = cases.of(question)
    assert again is not None
    assert not again.is_open
    with pytest.raises(CaseClosedError):
        assigned(again, "op_2")
    assert [r.audit.action for r in desk.reader.audits(limit=2)] == ["case.closed", "case.assigned"]


def test_a_case_beyond_the_list_is_found_by_its_id(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the audit trail is longer than the first look, the list says that it is not whole."""
    question = desk.denied()
    monkeypatch.setattr(cases_module, "READ_BACK_MAX", 1)
    monkeypatch.setattr(cases_module, "_CHUNK", 1)
    lines = [looked_at_card(desk.card_key, "story") for _ in range(3)]
    desk.keep([], lines)
    cases = Cases(desk.reader)
    assert cases.page()[0] == []
    assert not cases.is_whole
    found = cases.of(question)
    assert found is not None
    assert found.is_open


def test_the_trail_is_narrowed_by_action_person_and_day(desk: Desk) -> None:
    """Filters leave the lines that they name; days are those of Beijing."""
    desk.denied()
    by_action = trail_page(desk.reader, AuditFilter(action="challenge.denied"))
    assert [row.audit.action for row in by_action.rows] == ["challenge.denied"]
    everything = len(trail_page(desk.reader, AuditFilter()).rows)
    today = AuditFilter(since="2025-11-24", until="2025-11-24")
    assert len(trail_page(desk.reader, today).rows) == everything
    assert trail_page(desk.reader, AuditFilter(since="2025-11-25")).rows == ()
    assert trail_page(desk.reader, AuditFilter(until="2025-11-23")).rows == ()
    assert trail_page(desk.reader, AuditFilter(who="nobody")).rows == ()


def test_sheets_hold_no_formula_and_no_card_number(desk: Desk) -> None:
    """A merchant's name stays text in a spreadsheet, whatever it is."""
    hostile = '=HYPERLINK("http://x","y")'
    desk.pay(merchant={"id": "M1", "name": hostile})
    page = ledger_page(desk.reader, desk.names, DecisionFilter(), NOON)
    lines = list(csv.DictReader(io.StringIO(decisions_sheet(page.rows).lstrip("\ufeff"))))
    assert lines[0]["merchant"] == f"'{hostile}"
    assert lines[0]["decision"] == "approve"
    assert PAN not in safe(f"a {PAN}")
    assert "challenge.denied" not in audits_sheet(desk.reader.audits())


def test_filters_live_in_the_address() -> None:
    """What is read from an address and written back is the same; unknown spans are dropped."""
    wanted = DecisionFilter.read({"outcome": "decline", "span": "1h", "x": "1", "place": " 44 "})
    assert wanted == DecisionFilter(outcome="decline", span="1h", place="44")
    assert wanted.query(before="7") == "outcome=decline&place=44&span=1h&before=7"
    assert DecisionFilter.read({"span": "9y"}).is_empty

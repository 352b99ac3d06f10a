"""What pages say: the same in both languages, and every sentence that a template asks for."""

from __future__ import annotations

import re
import string
from importlib.resources import files
from pathlib import Path

import pytest

from zhiwei.core.result import Rejection
from zhiwei.web.cardholder.lock_forms import LOCKS
from zhiwei.web.cardholder.rooms import KINDS
from zhiwei.web.frame.words import MissingWordError, load_face_words

WORDS = load_face_words()
WEB = Path(str(files("zhiwei.web")))
SAID = re.compile(r"""\b(?:say|_)\(\s*["']([a-z0-9_.]+)["']\s*[,)]""")


def test_every_sentence_is_there_in_both_languages() -> None:
    """Neither language has more to say."""
    assert WORDS.keys("zh") == WORDS.keys("en")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_sentence_that_a_template_asks_for_exists(language: str) -> None:
    """Keys that are written out; those that are put together have tests of their own pages."""
    asked = {
        (path.name, key)
        for path in WEB.glob("templates/**/*.html")
        for key in SAID.findall(path.read_text(encoding="utf-8"))
    }
    assert len(asked) > 60
    assert [one for one in sorted(asked) if one[1] not in WORDS.keys(language)] == []


def test_both_languages_name_the_same_facts() -> None:
    """A number that is told in one language is told in the other."""

    def named(language: str, key: str) -> set[str]:
        template = WORDS._tables[language][key]
        return {name for _, name, _, _ in string.Formatter().parse(template) if name}

    odd = [key for key in WORDS.keys("zh") if named("zh", key) != named("en", key)]
    assert odd == []


def test_a_sentence_that_is_missing_is_a_fault_of_ours() -> None:
    """It is never an empty place on a page."""
    with pytest.raises(MissingWordError):
        WORDS.say("zh", "nobody.said.this")


def test_no_template_has_style_or_script_inside() -> None:
    """The strict policy would refuse it, silently, on a customer's phone."""
    bad = re.compile(
        r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE
    )
    found = [
        path.name
        for path in WEB.glob("templates/**/*.html")
        if bad.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_every_form_that_changes_something_carries_its_token() -> None:
    """A POST without one would be refused; but for language and looks, which everybody may set."""
    form = re.compile(r"<form\b[^>]*method=\"post\"[^>]*>(.*?)</form>", re.IGNORECASE | re.DOTALL)
    token = re.compile(r"c\.hidden\(|form_fields\(|form_token\(|name=\"csrf\"")
    missing = [
        path.name
        for path in WEB.glob("templates/**/*.html")
        for match in form.finditer(path.read_text(encoding="utf-8"))
        if not token.search(match[0]) and "/me/appearance" not in match[0]
    ]
    assert missing == []


def test_every_way_that_a_form_can_be_wrong_has_its_sentence() -> None:
    """Whatever the core refuses, and whatever the guardian rejects."""
    core = WEB.parent / "core"
    raised = re.compile(r"NotAllowedValueError\((?:[^()]|\([^()]*\))*?\"([a-z]+_[a-z_]+)\"")
    codes = {code for path in core.glob("*.py") for code in raised.findall(path.read_text("utf-8"))}
    assert {"empty_window", "domestic_country", "bad_mcc"} <= codes
    wanted = {f"not_allowed.{code}" for code in codes}
    wanted |= {"not_allowed.too_few_regions", "not_allowed.duplicate_region"}
    wanted |= {f"rejected.{rejection.code}" for rejection in Rejection}
    assert sorted(wanted - WORDS.keys("zh")) == []


def test_every_deed_says_what_it_does() -> None:
    """Before it is proved, and when it is done; for every type of control."""
    wanted = {kind.done for kind in KINDS}
    wanted |= {f"{word}.{name}" for word in ("told.set", "told.remove") for name in LOCKS}
    wanted |= {f"{word}.{name}" for word in ("stops", "not") for name in LOCKS}
    assert sorted(wanted - WORDS.keys("zh")) == []

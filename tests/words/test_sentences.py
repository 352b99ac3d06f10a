"""Every sentence is there in both languages, and says its facts."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Formatter

import pytest

from zhiwei.core.controls import CONTROL_TYPES
from zhiwei.core.reason import LIFTABLE_BY_PERMISSION, Reason
from zhiwei.core.request import Channel
from zhiwei.services import JUDGES
from zhiwei.testing.scenario import play, read_scenarios
from zhiwei.words import LANGUAGES, Sentences, catalogue, load_sentences
from zhiwei.words.remedies import REMEDIES, remedy_of
from zhiwei.words.sentences import MissingSentenceError

WORDS = load_sentences()
SCENARIOS = Path(__file__).parents[1] / "services" / "scenarios"


def source(language: str) -> str:
    """The file of a language's catalogue."""
    path = files("zhiwei.words").joinpath("locale", language, "LC_MESSAGES", "zhiwei.po")
    return path.read_text("utf-8")


def test_both_languages_have_the_same_keys() -> None:
    """Nothing is said in one language only."""
    assert set(catalogue("zh")) == set(catalogue("en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_entry_of_a_catalogue_is_read_once(language: str) -> None:
    """No key stands twice, none is empty or waits for its translator, and none is lost."""
    keys = re.findall(r'^msgid "(.+)"$', source(language), re.MULTILINE)
    assert len(keys) == len(set(keys))
    assert set(keys) == set(catalogue(language))
    assert source(language).startswith("# ")
    assert f'"Language: {language}\\n"' in source(language)


def test_both_languages_say_the_same_facts() -> None:
    """No language leaves out what the other tells."""
    english = catalogue("en")
    for key, sentence in catalogue("zh").items():
        told = {name for _, name, _, _ in Formatter().parse(sentence) if name}
        also = {name for _, name, _, _ in Formatter().parse(english[key]) if name}
        assert told == also, key


def test_who_writes_stands_first_in_every_reply_and_is_the_issuers_own() -> None:
    """Operators of mobile networks want a signature in Chinese brackets."""
    words = load_sentences({"zh": "南山银行", "en": "Nanshan Bank"})
    for key in catalogue("zh"):
        if key.startswith("sms."):
            assert words.text(key, "zh", {}).startswith("【南山银行】")
            assert words.text(key, "en", {}).startswith("[Nanshan Bank] ")
    assert WORDS.text("sms.no_card", "zh", {}).startswith("【智卫】")


def test_every_reason_has_a_sentence_for_both_sides_and_a_remedy_that_is_told() -> None:
    """Cardholder, operator, and what can be done."""
    for reason in Reason:
        for said in (WORDS.sentence(reason), WORDS.operator_sentence(reason)):
            assert set(said) == set(LANGUAGES)
            assert all(said.values())
        assert all(WORDS.advice(WORDS.remedy(reason)).values())
    assert set(REMEDIES) == set(Reason)


def test_every_service_and_control_has_a_name() -> None:
    """The names of rooms, controls and judges."""
    for name in (*CONTROL_TYPES, *(name for name, _ in JUDGES), "security_checkup"):
        assert all(WORDS.service(name).values())


def test_every_channel_has_a_name() -> None:
    """Channels of messages are said in words as well."""
    for channel in Channel:
        for language in LANGUAGES:
            assert WORDS.text(f"channel.{channel.name.lower()}", language, {})


def test_a_refusal_says_its_numbers_and_places() -> None:
    """Amounts with their currency, provinces and countries by name, lengths of time in words."""
    over = (("channel", "atm"), ("used", 48_000), ("limit", 50_000), ("currency", "CNY"))
    assert WORDS.sentence(Reason.OVER_DAILY_LIMIT, over) == {
        "zh": "超过ATM每日限额 CNY 500.00，今日已用 CNY 480.00。",
        "en": "Over the daily limit of CNY 500.00 (ATM); CNY 480.00 is used today.",
    }
    count = (
        ("channel", "pos"),
        ("measure", "count"),
        ("used", 3),
        ("limit", 3),
        ("seconds", 90),
        ("currency", "CNY"),
    )
    assert WORDS.sentence(Reason.OVER_ROLLING_COUNT, count)["en"] == (
        "Over the 3 payments in 90 s (POS); there were 3."
    )
    region = WORDS.sentence(Reason.REGION_LOCK_ACTIVE, (("region", "44"),))
    assert (region["zh"], region["en"]) == (
        "地区锁已开启，广东不在您设置的常用地内。",
        "Your region lock is on, and Guangdong is not among your places.",
    )
    country = WORDS.sentence(Reason.OVERSEAS_LOCK_ACTIVE, (("country", "JPN"),))
    assert "日本" in country["zh"]
    assert "Japan" in country["en"]
    unknown = WORDS.sentence(Reason.OVERSEAS_LOCK_ACTIVE, (("country", "XXX"),))
    assert "XXX" in unknown["en"]
    days = WORDS.sentence(Reason.OVER_ROLLING_COUNT, (("seconds", 172_800),))
    assert "2 d" in days["en"]
    since = WORDS.operator_sentence(Reason.STOP_PAYMENT_ACTIVE, (("since_ms", 0),))
    assert "1970-01-01T00:00:00+00:00" in since["en"]


def test_a_fact_that_was_not_recorded_is_left_open() -> None:
    """An old journal must stay readable."""
    assert WORDS.sentence(Reason.CATEGORY_LOCK_ACTIVE)["en"].endswith("(…).")


def test_every_finding_of_the_scenarios_has_all_facts_that_its_sentences_need() -> None:
    """No sentence of a decision that the tables show is left open."""
    seen: set[Reason] = set()
    for path in sorted(SCENARIOS.glob("*.txt")):
        for scenario in read_scenarios(path):
            stage = play(scenario)
            for card in stage.cards.values():
                for entry in stage.entries(card):
                    for finding in entry.findings:
                        if finding.reason is Reason.INSTITUTION_BLOCKED and not finding.facts:
                            continue
                        seen.add(finding.reason)
                        said = (
                            *WORDS.sentence(finding.reason, finding.facts).values(),
                            *WORDS.operator_sentence(finding.reason, finding.facts).values(),
                        )
                        assert not [text for text in said if "…" in text], (path.name, said)
    assert set(Reason) - seen == {Reason.RULE_FAILED, Reason.STATE_UNREADABLE}


@pytest.mark.parametrize(
    ("reason", "facts", "control", "remedy"),
    [
        (Reason.NIGHT_LOCK_ACTIVE, (), "night_lock", "exception"),
        (Reason.OVER_DAILY_LIMIT, (("limit", 100), ("amount", 60)), "limits", "wait"),
        (Reason.OVER_DAILY_LIMIT, (("limit", 100), ("amount", 101)), "limits", "change_control"),
        (Reason.OVER_DAILY_LIMIT, (("limit", 100), ("amount", 101)), "issuer", "contact_issuer"),
        (Reason.OVER_DAILY_COUNT, (("limit", 0), ("count", 1)), "limits", "change_control"),
        (Reason.OVER_TRANSACTION_LIMIT, (), "issuer", "contact_issuer"),
        (Reason.LARGE_SPEND_VERIFICATION, (), "", "answer_challenge"),
        (Reason.CARD_FROZEN, (), "", "contact_issuer"),
    ],
)
def test_the_remedy_is_one_that_helps(
    reason: Reason, facts: tuple[tuple[str, int | str], ...], control: str, remedy: str
) -> None:
    """Waiting does not help where one payment alone is too much; the issuer's rules are its own."""
    assert remedy_of(reason, facts, control) == remedy


def test_what_a_permission_lifts_is_remedied_by_one_or_by_an_answer() -> None:
    """The remedy and the law of the house agree."""
    for reason in LIFTABLE_BY_PERMISSION:
        assert REMEDIES[reason] in ("exception", "answer_challenge")
    assert {r for r in Reason if REMEDIES[r] == "exception"} <= LIFTABLE_BY_PERMISSION


def test_a_check_up_is_told_in_words() -> None:
    """Each finding has its sentence, and the grade its word."""
    path = SCENARIOS / "security_checkup.txt"
    from zhiwei.core.policy import DEFAULT_POLICY
    from zhiwei.services import security_checkup
    from zhiwei.services.security_checkup import Mode

    told: set[str] = set()
    for scenario in read_scenarios(path):
        stage = play(scenario)
        for card in stage.cards.values():
            state = stage.state(card)
            histories = [security_checkup.history_of(state, stage.entries(card), stage.now_ms)]
            for mode in Mode:
                report = security_checkup.examine(
                    [state], histories, DEFAULT_POLICY, stage.now_ms, mode
                )
                document = WORDS.checkup(security_checkup.document(report))
                assert set(document["grade_word"]) == set(LANGUAGES)
                for finding in document["findings"]:
                    told.add(finding["id"])
                    assert "…" not in "".join(finding["message"].values()), finding
    assert {"overseas_lock_off", "night_lock_off", "region_lock_off", "limits_never_set"} <= told


def test_a_missing_sentence_is_an_error_that_names_it() -> None:
    """A catalogue with holes is found where it is read, not by a cardholder."""
    with pytest.raises(MissingSentenceError, match=r"no sentence `reason\.card_lost` in `en`"):
        Sentences({"en": {}}).sentence(Reason.CARD_LOST)


def test_no_sentence_has_a_link() -> None:
    """No message to a cardholder carries anything to click."""
    for language in LANGUAGES:
        for sentence in catalogue(language).values():
            assert re.search(r"https?:|www\.|[a-z]\.(com|cn|net)\b", sentence) is None

"""What people read: every kind, both languages, short, without links and without secrets."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from zhiwei.core.card_state import CardState
from zhiwei.core.event import NOT_FOR_CARDHOLDERS, Event, EventKind
from zhiwei.core.zone import Zone
from zhiwei.messaging.kinds import CHAT_KINDS, WAYS
from zhiwei.messaging.model import EMAIL, PUSH, SMS
from zhiwei.messaging.parts import Encoding, size_of
from zhiwei.messaging.samples import NOON_MS, Sample, sample_card, samples
from zhiwei.messaging.settings import AlertSettings
from zhiwei.messaging.tellers import TELLERS
from zhiwei.messaging.texts import Text, Texts
from zhiwei.messaging.wording import name_of
from zhiwei.ports import EventRow
from zhiwei.words import LANGUAGES, load_sentences

WORDS = load_sentences()
TEXTS = Texts(WORDS, AlertSettings())
TO_CARDHOLDERS = [
    pytest.param(language, sample, id=f"{sample.name}-{language}")
    for language in LANGUAGES
    for sample in samples(language)
    if sample.row.event.kind not in NOT_FOR_CARDHOLDERS
]
SIGNATURES = {"zh": "【智卫】", "en": "[Zhiwei] "}


def row_of(kind: EventKind, /, **facts: Any) -> EventRow:  # noqa: ANN401 - facts of any shape
    """An event of the sample's card."""
    return EventRow(1, "evt_1", bytes(range(16)), 9, NOON_MS, Event(kind, facts))


def told(kind: EventKind, language: str = "zh", /, **facts: Any) -> str:  # noqa: ANN401 - as above
    """The text message about an event."""
    return TEXTS.of(row_of(kind, **facts), sample_card(language), language).body


def in_zone(zone: Zone) -> CardState:
    """The sample's card in another zone."""
    state = sample_card()
    profile = replace(state.settings.profile, zone=zone)
    return state.followed_by(NOON_MS, settings=replace(state.settings, profile=profile))


def test_every_kind_has_its_teller_and_its_sample() -> None:
    """A new kind of event is not forgotten by the texts, the planner or the preview."""
    assert set(TELLERS) == set(EventKind)
    assert {sample.row.event.kind for sample in samples()} == set(EventKind)
    assert set(WAYS) == set(EventKind) - NOT_FOR_CARDHOLDERS


def test_every_sentence_of_messages_is_used() -> None:
    """Each in the catalogue is the text or subject of some sample."""
    used: set[str] = set()

    class Watched:
        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever sentences have
            return getattr(WORDS, name)

        def text(self, key: str, language: str, facts: Any) -> str:  # noqa: ANN401 - as above
            used.add(key)
            return WORDS.text(key, language, facts)

    watched: Any = Watched()
    texts = Texts(watched, AlertSettings())
    for sample in samples():
        texts.of(sample.row, sample_card(), "zh")
        if sample.row.event.kind in CHAT_KINDS:
            texts.for_operators(sample.row, sample_card(), "zh")
    from zhiwei.words import catalogue

    kept = {key for key in catalogue("zh") if key.startswith(("message.", "chat."))}
    assert kept == {key for key in used if key.startswith(("message.", "chat."))}


@pytest.mark.parametrize(("language", "sample"), TO_CARDHOLDERS)
def test_a_text_message_is_signed_short_whole_and_without_links(
    language: str, sample: Sample
) -> None:
    """Signature first, one part, nothing left open, nothing to click, no long number."""
    body = TEXTS.of(sample.row, sample_card(language), language).body
    assert body.startswith(SIGNATURES[language])
    assert size_of(body).parts == 1, (size_of(body), body)
    assert size_of(body).encoding is (Encoding.UCS2 if language == "zh" else Encoding.GSM7)
    assert not re.search(r"https?:|www\.|[a-z]\.[a-z]{2}|://|@", body), body
    assert not re.search(r"\d{12}", body), body
    assert "{" not in body
    assert "  " not in body
    assert "None" not in body
    if sample.row.event.kind is not EventKind.CARD_UPDATED or sample.name == "card_updated":
        assert "1234" in body


@pytest.mark.parametrize(("language", "sample"), TO_CARDHOLDERS)
def test_letters_and_pushes_say_names_in_full(language: str, sample: Sample) -> None:
    """There is room in them, so no name is cut; a push has no signature."""
    state = sample_card(language)
    for channel in (EMAIL, PUSH):
        text = TEXTS.of(sample.row, state, language, channel=channel)
        assert text.subject
        assert "…" not in text.body + text.subject
        assert "..." not in text.body
        assert text.body.startswith(SIGNATURES[language]) is (channel == EMAIL)
        assert not re.search(r"https?:|www\.|://", text.body)
        # What can be done by replying can be done by replying to a text message only.
        assert "回复Y" not in text.body
        assert "回复ZF" not in text.body
        assert "eply ZF" not in text.body


def test_a_question_says_what_where_and_how_to_answer() -> None:
    """Amount, merchant and reference, and the reply; a name is cut to make it fit."""
    found = {s.name: TEXTS.of(s.row, sample_card(), "zh").body for s in samples()}
    assert found["challenge_created.large_spend"] == (
        "【智卫】尾号1234在周大福珠宝深…大额消费25,800.00元，是您吗？"
        "请于12:10前回复Y123456同意、N123456拒绝并止付。"
    )
    assert found["challenge_created.magstripe"] == (
        "【智卫】尾号1234在周大福珠宝…刷磁条消费25,800.00元，是您吗？"
        "请于12:10前回复Y123456同意、N123456拒绝并止付。"
    )
    # Of other questions a "yes" counts in the app only, so no text asks for one.
    assert "Y123456" not in found["challenge_created"]
    assert "N123456" in found["challenge_created"]


def test_where_the_policy_takes_no_yes_by_sms_no_text_asks_for_one() -> None:
    """The issuer may allow a "no" only."""
    texts = Texts(WORDS, AlertSettings(), sms_may_approve=lambda: False)
    for sample in samples():
        if sample.row.event.kind is EventKind.CHALLENGE_CREATED:
            body = texts.of(sample.row, sample_card(), "zh").body
            assert "Y123456" not in body
            assert "回复N123456" in body
            assert size_of(body).parts == 1


def test_time_is_the_cards_own() -> None:
    """Noon in Shanghai is four in the morning in London, and the evening before in Honolulu."""
    row = row_of(EventKind.STOP_LIFTED, reference="ZF00000001")
    hour = 3_600_000
    for offset, shown in ((8, "11-24 12:00"), (0, "11-24 04:00"), (-10, "11-23 18:00")):
        state = in_zone(Zone("Test/Zone", [0], [offset * hour]))
        assert f"于{shown}解除" in TEXTS.of(row, state, "zh").body


@pytest.mark.parametrize(
    ("amount", "currency", "zh", "en"),
    [
        (5_000, "JPY", "JPY5,000", "JPY 5,000"),
        (1_234_567, "KWD", "KWD1,234.567", "KWD 1,234.567"),
        (12_850, "CNY", "128.50元", "CNY 128.50"),
        (5, "CNY", "0.05元", "CNY 0.05"),
        (12_850, "XXX", "一笔款项", "an amount"),
        ("12850", "CNY", "一笔款项", "an amount"),
    ],
)
def test_amounts_have_the_exponent_of_their_currency(
    amount: object, currency: str, zh: str, en: str
) -> None:
    """A yen has no hundredths, a dinar has thousandths; nothing is guessed."""
    facts = {"amount": amount, "currency": currency, "direction": "out", "business": "purchase"}
    assert f"支出{zh}" in told(EventKind.BALANCE_CHANGED, **facts)
    assert en in told(EventKind.BALANCE_CHANGED, "en", **facts)


def test_a_balance_change_says_its_parts_and_leaves_out_what_is_not_known() -> None:
    """Direction, business, amount, the other side, balance."""
    facts: dict[str, Any] = {
        "at_ms": NOON_MS,
        "direction": "out",
        "business": "水电费",
        "amount": 8_800,
        "currency": "CNY",
    }
    begin = "【智卫】尾号1234于11-24 12:00水电费支出88.00元"
    assert told(EventKind.BALANCE_CHANGED, **facts) == f"{begin}。"
    facts |= {"counterparty_tail": "5678", "balance": 0}
    assert told(EventKind.BALANCE_CHANGED, **facts) == f"{begin}，对方尾号5678，余额0.00元。"
    facts |= {"counterparty_name": "国家电网"}
    assert "，对方国家电网（尾号5678）" in told(EventKind.BALANCE_CHANGED, **facts)


def test_a_reversal_names_its_original() -> None:
    """By its time and, where it is another, its amount; else by the bank's own number."""
    facts: dict[str, Any] = {
        "at_ms": NOON_MS,
        "direction": "in",
        "business": "reversal",
        "amount": 5_000,
        "currency": "CNY",
        "reverses": "T20251123017",
    }
    begin = "【智卫】尾号1234于11-24 12:00冲正收入50.00元，原交易："
    assert told(EventKind.BALANCE_CHANGED, **facts) == f"{begin}编号T20251123017。"
    facts |= {"original_at_ms": NOON_MS - 86_400_000, "original_amount": 5_000}
    assert told(EventKind.BALANCE_CHANGED, **facts) == f"{begin}11-23 12:00。"
    facts |= {"original_amount": 20_000, "original_currency": "CNY"}
    assert told(EventKind.BALANCE_CHANGED, **facts) == f"{begin}11-23 12:00 200.00元。"


def test_a_balance_inquiry_says_where_and_how_many_were_not_told() -> None:
    """A kiosk abroad with a name, a refused one, and what came before it."""
    facts: dict[str, Any] = {"channel": "atm", "country": "JPN", "merchant": "SEVEN BANK"}
    assert "在日本ATM（SEVEN BANK）查询余额。非本人请回复ZF#1234止付。" in told(
        EventKind.BALANCE_INQUIRED, **facts
    )
    facts = {"channel": "unknown", "country": "CHN", "region": "31", "refused": 1, "untold": 2}
    assert "在上海自助终端查询余额（被拒绝）（此前另有2次未提醒）" in told(
        EventKind.BALANCE_INQUIRED, **facts
    )


def test_the_first_reason_of_a_refusal_is_told_with_what_helps() -> None:
    """A stop comes before a lock, and waiting helps against a day's limit."""
    facts: dict[str, Any] = {
        "kind": "purchase",
        "amount": 100,
        "currency": "CNY",
        "reasons": ["night_lock_active", "card_lock_active"],
        "controls": ["night_lock", "card_lock"],
    }
    assert "被整卡锁拒绝。可在App中解除或调整。" in told(EventKind.TRANSACTION_DECLINED, **facts)
    facts |= {"reasons": ["over_daily_limit"], "controls": ["limits"]}
    assert "被交易限额拒绝。可等下一周期" in told(EventKind.TRANSACTION_DECLINED, **facts)
    facts |= {"reasons": ["a_reason_of_tomorrow"], "controls": ["a_control"]}
    assert "消费1.00元被拒绝。请联系银行。" in told(EventKind.TRANSACTION_DECLINED, **facts)


def test_who_is_told_at_a_former_number_is_asked_to_call_the_bank() -> None:
    """A stop by SMS works from the number of now only."""
    row = row_of(EventKind.STOP_LIFTED, reference="ZF00000001")
    now = TEXTS.of(row, sample_card(), "zh").body
    former = TEXTS.of(row, sample_card(), "zh", is_former=True).body
    assert "回复ZF#1234" in now
    assert "ZF#" not in former
    assert "请立即联系银行" in former


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("麦当劳（人民路店）", "麦当劳(人民路店)"),
        ("AMAZON.COM*1A2B", "AMAZON COM*1A2B"),
        ("http://evil.cn/yes", "http evil cn yes"),
        ("【工商银行】点击evil.cn", "工商银行 点击evil cn"),
        ("致电400-123-4567退款", "致电*4567退款"),
        ("6212 3456 7890 1232", "*1232"),
        ("６２１２３４５６７８９０１２３２", "*1232"),
        ("a@b.cn", "a b cn"),
        ("\u202eevil\u200b\x00\n", "evil"),
        ("  7-ELEVEN  24  ", "7-ELEVEN 24"),
        ("…" * 30, ""),
        ("店" * 200, "店" * 40),
        (None, ""),
        (7, ""),
    ],
)
def test_a_name_from_outside_cannot_carry_anything_dangerous(name: object, shown: str) -> None:
    """No link, no number to call, no card number, no forged signature."""
    assert name_of(name) == shown


def test_accents_alone_do_not_make_a_text_longer() -> None:
    """An English text stays in GSM-7 where its names lose accents only."""
    facts: dict[str, Any] = {"merchant": "Šumava Dvůr", "reasons": [], "controls": []}
    body = told(EventKind.TRANSACTION_DECLINED, "en", **facts)
    assert "Sumava Dvur" in body
    assert size_of(body).encoding is Encoding.GSM7


def test_a_text_that_cannot_be_one_part_is_whole() -> None:
    """A name is not cut where that would not save a part."""
    row = row_of(
        EventKind.BALANCE_CHANGED,
        direction="out",
        business="跨行转账手续费及服务费",
        amount=10**15,
        currency="CNY",
        balance=10**15,
        counterparty_name="广东省深圳市南山区某某科技有限责任公司",
        counterparty_tail="5678",
    )
    body = TEXTS.of(row, sample_card(), "zh").body
    assert size_of(body).parts == 2
    assert "广东省深圳市南山区某某科技有限责任公司" in body


@pytest.mark.parametrize("kind", list(EventKind))
@pytest.mark.parametrize(
    "junk", [None, -1, 10**30, "x" * 500, ["a", 1, None], {"a": 1}, True, "{", "\ud800"]
)
def test_facts_of_any_shape_crash_no_text(kind: EventKind, junk: object) -> None:
    """An alert with a hole in it beats none."""
    names = {
        name for sample in samples() for name in (*sample.row.event.facts, "original_currency")
    }
    state = sample_card()
    for facts in ({}, dict.fromkeys(names, junk), *({name: junk} for name in names)):
        row = row_of(kind, **facts)
        for channel in (SMS, EMAIL, PUSH):
            text = TEXTS.of(row, state, "zh", channel=channel)
            assert text.body
            assert text.subject
        assert isinstance(TEXTS.for_operators(row, state, "en"), Text)
        assert len(TEXTS.of(row, state, "en").body) < 1_000

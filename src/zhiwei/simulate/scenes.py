"""The fraud scenes: what thieves do, message by message, and what the guardian says to it.

Each has its own customer with the controls that the story needs. On a server in test mode the clock
is moved to the hours of the story; otherwise what depends on the hour is not expected.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from zhiwei.simulate import texting
from zhiwei.simulate.acquirer import Sent
from zhiwei.simulate.codes import control_name
from zhiwei.simulate.days import instant, local_day
from zhiwei.simulate.doings import ATM, QUICK_PAY_INSTITUTION, Deed, Doing, How, Shop
from zhiwei.simulate.habits import DEPARTMENT_STORE, ELECTRONICS, SUPERMARKET
from zhiwei.simulate.people import CUSTOMERS_MAX, Control, Customer, Trade, card_number
from zhiwei.simulate.places import BANGKOK, GUANGZHOU, LUOYANG, SHANGHAI, City
from zhiwei.simulate.stage import Stage
from zhiwei.simulate.telling import Line, Tone

_ANSWERS: Final[dict[str, Line]] = {
    "approve": Line("批准", "approved"),
    "decline": Line("拒绝", "refused"),
}
Play: TypeAlias = "Callable[[Stage, int, int], Awaitable[None]]"

#: Minutes after midnight of the hours at which things happen; the last one is the next day.
_AFTERNOON: Final = 15 * 60 + 20
_EVENING: Final = 20 * 60 + 5
_LATE: Final = 23 * 60 + 40
_NIGHT: Final = 24 * 60 + 2 * 60 + 14

_JEWELLER: Final = Shop("GOLD AND JEWELS", "金店", "5944")
_WALLET: Final = Shop("FAST WALLET", "快付钱包", "6012", QUICK_PAY_INSTITUTION, 7)


@dataclass(frozen=True)
class Scene:
    """One story that can be played by name."""

    name: str
    title: Line
    play: Play


async def cloned_card(stage: Stage, seed: int, day: int) -> None:
    """A copied card is tried out by a balance inquiry, and emptied abroad at night."""
    victim = _victim(
        seed, 1, "林静", "Lin Jing", LUOYANG,
        ("region_lock", {"regions": ["41", "61"]}),
        ("overseas_lock", {"countries": []}),
        ("night_lock", {}),
        ("balance_inquiry_alert", {}),
    )  # fmt: skip
    test = Doing(instant(day, _AFTERNOON), victim, Deed.INQUIRY, How.CHIP, ATM, GUANGZHOU)
    await stage.clock(test.at_ms)
    await stage.register(test)
    await stage.tell(
        "林静住在洛阳，她的卡被人复制了。她开着地区锁（河南、陕西）、境外锁和夜间锁。",
        "Lin Jing lives in Luoyang; her card was copied. Her region lock names Henan and "
        "Shaanxi, and her overseas and night locks are on.",
    )
    await stage.tell(
        "骗子先在广州的取款机上查余额，看看卡里有多少钱。",
        "The thief first asks for the balance at a cash machine in Guangzhou.",
    )
    _, answer = await stage.send(test)
    stage.expect_approved(answer, "a balance inquiry (locks do not look at it)")
    if await _was_told(stage, test, "balance_inquired"):
        await stage.tell(
            "查余额不受锁的限制，但给林静的提醒已经写入发件箱：不是您本人？",
            "Locks do not look at inquiries, but an alert for Lin Jing is in the outbox: not you?",
            Tone.PROOF,
        )
        await texting.hear(stage, test, f"ZF#{victim.tail}", "the balance-inquiry alert")
    await _drained_elsewhere(stage, test, day)
    await _drained_abroad(stage, victim, day)
    home = instant(day + 1, 9 * 60)
    await stage.clock(home)
    await stage.tell(
        "第二天上午，林静自己在洛阳照常买菜。",
        "The next morning Lin Jing herself shops in Luoyang as always.",
    )
    _, answer = await stage.send(
        Doing(home, victim, Deed.PURCHASE, How.CHIP, SUPERMARKET, LUOYANG, 8_650)
    )
    stage.expect_approved(answer, "a purchase at home by day")


async def _drained_elsewhere(stage: Stage, test: Doing, day: int) -> None:
    """Cash in the evening and gold at night, in a province that is not the cardholder's."""
    cash = replace(test, at_ms=instant(day, _EVENING), deed=Deed.CASH, amount_minor=2_000_000)
    await stage.clock(cash.at_ms)
    await stage.send(cash)
    stage.expect_reason("region_lock_active")
    late = replace(
        cash,
        at_ms=instant(day, _LATE),
        deed=Deed.PURCHASE,
        shop=_JEWELLER,
        amount_minor=1_680_000,
    )
    await stage.clock(late.at_ms)
    await stage.send(late)
    stage.expect_reason("region_lock_active")
    if stage.moves_clock:
        stage.expect_reason("night_lock_active")


async def _drained_abroad(stage: Stage, victim: Customer, day: int) -> None:
    """Cash and gold after midnight in Bangkok."""
    await stage.clock(instant(day, _NIGHT))
    await stage.tell("凌晨，卡出现在曼谷。", "After midnight the card shows up in Bangkok.")
    for minutes, shop, deed, fen in (
        (0, ATM, Deed.CASH, 500_000),
        (3, ATM, Deed.CASH, 200_000),
        (9, _JEWELLER, Deed.PURCHASE, 1_800_000),
    ):
        at_ms = instant(day, _NIGHT + minutes)
        amount = BANGKOK.local_minor(fen, 10_000)
        drained = Doing(at_ms, victim, deed, How.CHIP, shop, BANGKOK, amount)
        await stage.send(drained)
        stage.expect_reason("overseas_lock_active")


async def telecom_fraud(stage: Stage, seed: int, day: int) -> None:
    """A caller talks somebody into binding a wallet, and debits it through the night."""
    victim = _victim(
        seed, 2, "陈国华", "Chen Guohua", SHANGHAI,
        ("online_lock", {"start": "22:00", "end": "06:00"}),
        ("limits", {"items": [
            {"channel": "quick_pay", "measure": "amount", "period": "day", "amount": 200_000},
            {"channel": "quick_pay", "measure": "amount", "period": "transaction",
             "amount": 100_000},
        ]}),
    )  # fmt: skip
    first = Doing(
        instant(day, _EVENING), victim, Deed.PURCHASE, How.QUICK_PAY, _WALLET, SHANGHAI, 50_000
    )
    await stage.clock(first.at_ms)
    await stage.register(first)
    await stage.tell(
        "有人自称“客服”，骗陈国华把卡绑到一个钱包上。他的线上/快捷支付锁 22:00–06:00 生效，"
        "快捷支付单笔限 1,000 元、日限 2,000 元。",
        "A caller who claims to be customer service has Chen Guohua link a wallet to his card. "
        "His online and quick-pay lock holds from 22:00 to 06:00; quick pay is limited to "
        "CNY 1,000 each and 2,000 a day.",
    )
    await _bind(stage, first, "approve")
    _, answer = await stage.send(first)
    stage.expect_approved(answer, "the first small debit")
    _, answer = await stage.send(replace(first, amount_minor=490_000))
    stage.expect_reason("over_transaction_limit")
    await stage.clock(instant(day, _NIGHT))
    await stage.tell(
        "夜里老人睡着了，扣款一笔接一笔，还要再绑一家。",
        "At night, while he sleeps, debits come one after another, and one more binding.",
    )
    for minutes in (0, 1, 2):
        at_ms = instant(day, _NIGHT + minutes)
        await stage.send(replace(first, at_ms=at_ms, amount_minor=99_900))
        if stage.moves_clock:
            stage.expect_reason("online_lock_active")
    await _bind(stage, replace(first, shop=replace(_WALLET, number=8)), "decline")
    await stage.tell(
        "陈国华看到提醒，发短信：ZF", "He sees the alerts and sends a text message: ZF"
    )
    await texting.write_to_stop(stage, first, "ZF")
    _, answer = await stage.send(replace(first, at_ms=instant(day, _NIGHT + 5), amount_minor=100))
    stage.expect_reason("stop_payment_active")


async def fallback(stage: Stage, seed: int, day: int) -> None:
    """The stripe of a chip card is copied: it is refused outright, and the chip goes on working."""
    victim = _victim(seed, 3, "周敏", "Zhou Min", GUANGZHOU)
    at_ms = instant(day, _AFTERNOON)
    stripe = Doing(at_ms, victim, Deed.PURCHASE, How.FALLBACK, DEPARTMENT_STORE, GUANGZHOU, 380_000)
    await stage.clock(stripe.at_ms)
    await stage.register(stripe)
    await stage.tell(
        "周敏的卡有芯片。骗子只复制得了磁条，芯片复制不了。",
        "Zhou Min's card has a chip. The thief could copy its stripe; a chip cannot be copied.",
    )
    await stage.send(stripe)
    stage.expect_reason("magstripe_fallback")
    await stage.tell(
        "骗子的终端谎称这是一张纯磁条卡；卡的档案说它有芯片。",
        "The thief's terminal now claims that the card has no chip; the card's file knows better.",
    )
    await stage.send(replace(stripe, how=How.STRIPE))
    stage.expect_reason("magstripe_fallback")
    _, answer = await stage.send(replace(stripe, how=How.CHIP))
    stage.expect_approved(answer, "the same purchase by chip")


async def large_purchase(stage: Stage, seed: int, day: int) -> None:
    """A large purchase is asked about; "yes" opens it once, for this merchant and amount."""
    victim = _victim(
        seed, 5, "赵芳", "Zhao Fang", SHANGHAI,
        ("large_spend_verification", {"threshold": 500_000}),
    )  # fmt: skip
    at_ms = instant(day, _AFTERNOON)
    first = Doing(at_ms, victim, Deed.PURCHASE, How.CHIP, ELECTRONICS, SHANGHAI, 680_000)
    await stage.clock(first.at_ms)
    await stage.register(first)
    await stage.tell(
        "赵芳要求 5,000 元以上的消费先问她本人。",
        "Zhao Fang wants to be asked about purchases above CNY 5,000.",
    )
    sent, _ = await stage.send(first)
    stage.expect_reason("large_spend_verification")
    await _answer_question(stage, sent)
    if stage.knows_controls:
        await stage.tell("店员再刷一次。", "The clerk tries once more.")
        _, answer = await stage.send(replace(first, at_ms=at_ms + 60_000))
        stage.expect_approved(answer, "the same purchase after a yes")
        await stage.send(replace(first, at_ms=at_ms + 120_000))
        stage.expect_reason("large_spend_verification")
        await stage.tell(
            "确认只能用一次：同样的消费再来，又要先问。",
            "A yes is good for one purchase: the same again is asked about again.",
            Tone.PROOF,
        )


async def lost_answer(stage: Stage, seed: int, day: int) -> None:
    """Answers get lost: a repeat gets the same answer and counts once, a reversal gives back."""
    victim = _victim(
        seed, 4, "马磊", "Ma Lei", SHANGHAI,
        ("limits", {"items": [
            {"channel": "all", "measure": "amount", "period": "day", "amount": 100_000}]}),
    )  # fmt: skip
    at_ms = instant(day, _AFTERNOON)
    first = Doing(at_ms, victim, Deed.PURCHASE, How.CHIP, ELECTRONICS, SHANGHAI, 60_000)
    await stage.clock(first.at_ms)
    await stage.register(first)
    await stage.tell(
        "马磊每天最多花 1,000 元。网络不好，应答丢了。",
        "Ma Lei spends at most CNY 1,000 a day. The line is bad and an answer gets lost.",
    )
    sent, answer = await stage.send(first)
    stage.expect_approved(answer, "CNY 600.00 of 1,000.00")
    lost = Line(
        "应答丢失，终端重发同一报文", "the answer is lost; the terminal repeats its message"
    )
    repeated = await stage.deliver(stage.acquirer.repeat(sent), lost)
    is_same = (repeated.code, repeated.auth_code) == (answer.code, answer.auth_code)
    stage.expect(is_same, "the repeat gets the same answer")
    await _used(stage, first, 60_000)
    await stage.send(replace(first, at_ms=at_ms + 60_000, amount_minor=50_000))
    stage.expect_reason("over_daily_limit")
    taken_back = Line("终端冲正第一笔", "the terminal takes the first purchase back")
    reversal = stage.acquirer.reversal(sent)
    answer = await stage.deliver(reversal, taken_back)
    stage.expect_approved(answer, "the reversal")
    again = Line("冲正也重发一次", "the reversal is repeated too")
    answer = await stage.deliver(stage.acquirer.repeat(reversal), again)
    stage.expect_approved(answer, "the repeated reversal")
    await _used(stage, first, 0)
    _, answer = await stage.send(replace(first, at_ms=at_ms + 120_000, amount_minor=100_000))
    stage.expect_approved(answer, "exactly the daily limit")
    await _used(stage, first, 100_000)


async def not_me(stage: Stage, seed: int, day: int) -> None:
    """A thief asks for the balance and buys gold; "no" by text message stops the card."""
    victim = _victim(
        seed, 6, "何雨", "He Yu", LUOYANG,
        ("large_spend_verification", {"threshold": 500_000}),
        ("balance_inquiry_alert", {}),
    )  # fmt: skip
    test = Doing(instant(day, _EVENING), victim, Deed.INQUIRY, How.CHIP, ATM, GUANGZHOU)
    await stage.clock(test.at_ms)
    await stage.register(test)
    await stage.tell(
        "何雨的卡在别人手里，手机在自己手里。",
        "He Yu's card is in a thief's hands, her phone is in her own.",
    )
    _, answer = await stage.send(test)
    stage.expect_approved(answer, "a balance inquiry")
    await texting.hear(stage, test, f"ZF#{victim.tail}", "the balance-inquiry alert")
    gold = replace(test, deed=Deed.PURCHASE, shop=_JEWELLER, amount_minor=1_680_000)
    sent, _ = await stage.send(gold)
    stage.expect_reason("large_spend_verification")
    decision = await stage.reasons.decision(sent)
    question = None if decision is None else decision["challenge"]
    if question is None:
        stage.expect(not stage.knows_controls, "a question was asked")
        return
    no = f"N{question['reference']}"
    await texting.hear(stage, test, no, f"question {question['reference']}")
    await stage.tell("不是本人，回复拒绝。", "It is not her, and she says so.", Tone.ASKED)
    await texting.write_to_stop(stage, test, no)
    await stage.tell(
        "骗子改买便宜的，每一笔都被拒绝。",
        "The thief tries something cheaper; all of it is refused.",
    )
    for minutes, fen in ((2, 19_900), (3, 100)):
        cheap = replace(gold, at_ms=gold.at_ms + minutes * 60_000, amount_minor=fen)
        await stage.send(replace(cheap, shop=SUPERMARKET))
        stage.expect_reason("stop_payment_active")


SCENES: Final[dict[str, Scene]] = {
    scene.name: scene
    for scene in (
        Scene("cloned-card", Line("一张被复制的卡", "A cloned card"), cloned_card),
        Scene("telecom-fraud", Line("电信诈骗", "Telecom fraud"), telecom_fraud),
        Scene("fallback", Line("降级磁条", "A chip card by its stripe"), fallback),
        Scene("large-purchase", Line("大额消费核实", "A large purchase"), large_purchase),
        Scene("lost-answer", Line("丢失的应答", "A lost answer"), lost_answer),
        Scene("not-me", Line("不是我", "Not me"), not_me),
    )
}


async def play(scene: Scene, stage: Stage, seed: int, now_ms: int) -> None:
    """Play a scene on the day of `now_ms` (Beijing time)."""
    stage.open(scene.name, scene.title)
    await scene.play(stage, seed, local_day(now_ms))


def _victim(
    seed: int, number: int, name_zh: str, name_en: str, home: City, *controls: Control
) -> Customer:
    """The customer of one scene; the last card numbers of a seed are theirs."""
    return Customer(
        number=number,
        name_zh=name_zh,
        name_en=name_en,
        trade=Trade.OFFICE,
        home=home,
        has_chip=True,
        payday=10,
        income_minor=1_200_000,
        controls=controls,
        card=card_number(seed, CUSTOMERS_MAX - number),
        # Nobody's: 130 0000 and what tells seeds and scenes apart.
        phone=f"+86130{seed % 10_000:04d}{number:04d}",
    )


async def _was_told(stage: Stage, doing: Doing, kind: str) -> bool:
    """Whether the outbox holds an alert of this kind for the card; False where it is not known."""
    account = stage.account_of(doing)
    if stage.bank is None or account is None:
        return False
    reply = await stage.bank.door.acall("GET", f"/v1/alerts?card={account.card_id}&limit=20")
    was_told = kind in [row["type"] for row in reply.rows]
    stage.expect(was_told, f"an alert `{kind}` is in the outbox")
    return was_told


async def _used(stage: Stage, doing: Doing, amount_minor: int) -> None:
    """The day's counter stands at an amount."""
    account = stage.account_of(doing)
    if stage.bank is None or account is None:
        return
    reply = await stage.bank.door.acall("GET", f"/v1/cards/{account.card_id}/limits")
    used = next(row["used"] for row in reply.rows if row["period"] == "day")
    stage.expect(used == amount_minor, f"used today is {amount_minor} (found: {used})")
    await stage.tell(
        f"今日已用 {used / 100:,.2f} 元", f"used today: CNY {used / 100:,.2f}", Tone.PROOF
    )


async def _bind(stage: Stage, doing: Doing, decision: str) -> None:
    """A payment institution asks to link the card (快捷支付签约); that is an HTTP call."""
    account = stage.account_of(doing)
    if stage.bank is None or account is None:
        return
    shop = doing.shop
    body = {
        "card": account.card_id,
        "institution": f"{shop.institution}{doing.city.region}",
        "name": f"{shop.en.title()} {shop.number}",
    }
    await stage.tell(f"{shop.zh} 申请绑卡", f"{shop.en.title()} asks to link the card", Tone.SENT)
    answer = (await stage.bank.door.acall("POST", "/v1/bindings", body)).document
    found = answer["decision"]
    tone = Tone.APPROVED if found == "approve" else Tone.REFUSED
    words = _ANSWERS.get(found, Line(found, found))
    await stage.tell(f"签约：{words.zh}", f"binding: {words.en}", tone)
    for reason in answer["reasons"]:
        message, name = reason["message"], control_name(reason["control"])
        await stage.tell(f"{name.zh}：{message['zh']}", f"{name.en}: {message['en']}", Tone.WHY)
    if decision == "approve" or stage.moves_clock:
        stage.expect(found == decision, f"the binding is answered `{decision}` (found: {found})")


async def _answer_question(stage: Stage, sent: Sent) -> None:
    """The cardholder says yes in the app, after strong authentication."""
    decision = await stage.reasons.decision(sent)
    question = None if decision is None else decision["challenge"]
    if stage.bank is None or question is None:
        stage.expect(not stage.knows_controls, "a question was asked")
        return
    await stage.tell(
        f"问题 {question['reference']} 已发给持卡人；本人在手机银行里确认。",
        f"question {question['reference']} goes out; the cardholder says yes in the app.",
        Tone.ASKED,
    )
    path = f"/v1/challenges/{question['id']}/respond"
    answer = await stage.bank.door.acall("POST", path, {"response": "approve"}, strong=True)
    status = answer.document["status"]
    stage.expect(status == "approved", f"the question is answered (found: {status})")

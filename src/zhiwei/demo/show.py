"""The show: the acts of the demonstration in their order, each with what it claims."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, final

from zhiwei.core.money import major_units
from zhiwei.core.place import PROVINCES
from zhiwei.demo import checks
from zhiwei.demo.checks import Claims
from zhiwei.demo.crash import (
    CARDS,
    LINES,
    Book,
    counters,
    crash_customers,
    flood,
    resend,
)
from zhiwei.demo.faces import Faces, Whose
from zhiwei.demo.server import Server, ServerError
from zhiwei.gateways.http.times import instant_text
from zhiwei.gateways.iso8583.dialect import Dialect, named
from zhiwei.simulate.acquirer import Acquirer
from zhiwei.simulate.bank import Account, Bank
from zhiwei.simulate.codes import control_name
from zhiwei.simulate.days import beijing, instant, local_day, stream
from zhiwei.simulate.http_door import Document, HttpDoor
from zhiwei.simulate.people import Trade, population
from zhiwei.simulate.phone import Phones
from zhiwei.simulate.scenes import SCENES, play
from zhiwei.simulate.session import ClockFollower
from zhiwei.simulate.stage import Stage
from zhiwei.simulate.telling import Audience, Language, Line, Tone
from zhiwei.simulate.traffic import Exchange, Pace, Traffic
from zhiwei.simulate.wire import Wire, connect

DIALECT: Final = "unionpay-ascii"
#: The day of the show begins at this minute of its Friday and ends shortly after the next midnight.
_MORNING: Final = 6 * 60 + 40
_MIDNIGHT: Final = 24 * 60 + 30
_FRIDAY: Final = 4
#: The town's cards were registered so long before.
_KNOWN_FOR_DAYS: Final = 100
#: The town's line is bad: so many answers out of a thousand get lost, and are asked for again.
_LOST_PER_MILLE: Final = 50

#: Shows the town's day while it runs: is given the run, a listener to feed, and ends with it.
Watch: TypeAlias = (
    "Callable[[Bank, Callable[[Callable[[Exchange], None]], Awaitable[None]]], Awaitable[None]]"
)


@dataclass(frozen=True)
class Plan:
    """How big and how slow the show is."""

    seed: int = 2026
    customers: int = 160
    #: Messages a second while the town lives its day.
    rate: float = 45.0
    #: Seconds of traffic before the crash.
    crash_seconds: float = 1.5
    #: A pause after each sentence.
    beat_seconds: float = 0.0
    #: Language of the cardholders' text messages.
    locale: Language = "zh"


#: For tests and impatient people.
FAST: Final = Plan(customers=24, rate=200.0, crash_seconds=0.6)


@dataclass
class Numbers:
    """What the show counted, for machines."""

    start_seconds: float = 0.0
    restart_seconds: float = 0.0
    town: dict[str, Any] = field(default_factory=dict)
    acknowledged: int = 0
    acknowledged_per_second: float = 0.0
    unanswered: int = 0
    verify: str = ""
    score_before: int = 0
    score_after: int = 0


@final
class Show:
    """One demonstration on one server."""

    def __init__(
        self,
        server: Server,
        plan: Plan,
        audience: Audience,
        watch: Watch,
        phones: Phones | None = None,
    ) -> None:
        """`phones` = those that the server's text messages reach."""
        self._server: Final = server
        self._plan: Final = plan
        self._audience: Final = audience
        self._watch: Final = watch
        self._phones: Final = phones
        self._dialect: Final[Dialect] = named(DIALECT)
        self._acquirer: Final = Acquirer(self._dialect)
        self.claims: Final = Claims(audience)
        self.numbers: Final = Numbers()
        self.key = ""
        #: A card of the show, for whoever wants to look on.
        self.card_id = ""
        self.faces: Final = Faces(server, self.claims, lambda: HttpDoor(server.http, self.key))
        #: Whose pages were shown; None before that.
        self.whose: Whose | None = None
        self._hero: Account | None = None
        self._now_ms = 0

    async def play(self) -> None:
        """All acts.

        Raises:
            ZhiweiError: something cannot even be tried; what is wrong, but goes on, is a claim.
        """
        today = local_day(int(time.time() * 1000))
        # 1970-01-01 was a Thursday; the show's Friday is the next one from today.
        friday = today + (_FRIDAY - (today + 3)) % 7
        bank = await self._opening(friday)
        try:
            await self._town(bank, friday)
            why = await self._fraud(bank, friday + 1)
            await self._crash(bank, friday + 3)
            await self._explain(bank, why)
            await self._checkup(bank)
            await self._pages(bank, why)
        finally:
            bank.door.close()

    async def _opening(self, friday: int) -> Bank:
        """Start the server, make a key, register the town."""
        self._title("开业", "Opening")
        self.numbers.start_seconds = await asyncio.to_thread(self._server.start)
        server = self._server
        await self._tell(
            f"服务器已启动（进程 {server.pid}，{self.numbers.start_seconds:.1f} 秒）："
            f"{server.http}，ISO 8583 {server.host}:{server.port}，数据 {server.data}",
            f"the server is up (process {server.pid}, {self.numbers.start_seconds:.1f} s): "
            f"{server.http}, ISO 8583 at {server.host}:{server.port}, data in {server.data}",
        )
        self.key = await asyncio.to_thread(server.key, "issuer")
        bank = Bank(HttpDoor(server.http, self.key), locale=self._plan.locale)
        registered_ms = instant(friday - _KNOWN_FOR_DAYS, _MORNING)
        await asyncio.to_thread(bank.move_clock, instant_text(registered_ms))
        people = population(self._plan.seed, self._plan.customers)
        began = time.monotonic()
        accounts = await bank.register_all(people)
        took = time.monotonic() - began
        controls = sum(len(person.controls) for person in people)
        # Somebody who never looked at the security page, best with a card without a chip.
        self._hero = min(accounts, key=lambda a: (len(a.customer.controls), a.customer.has_chip))
        self.card_id = self._hero.card_id
        await self._app_sets_a_control(bank, accounts)
        self.claims.claim(
            checks.OPENING,
            held=len({account.card_id for account in accounts}) == len(people),
            line=Line(
                f"{len(people)} 位客户的卡和 {controls} 项设置已通过 HTTP 登记（{took:.1f} 秒）",
                f"{len(people)} cards and {controls} controls are registered over HTTP "
                f"({took:.1f} s)",
            ),
        )
        return bank

    async def _app_sets_a_control(self, bank: Bank, accounts: list[Account]) -> None:
        """One cardholder does it with a key of their own, which reaches their own card only."""
        shopkeeper = next(a for a in accounts if a.customer.trade is Trade.SHOPKEEPER)
        scope = f"cardholder:{shopkeeper.cardholder_id}"
        app = Bank(bank.door.with_key(await asyncio.to_thread(self._server.key, scope)))
        control = ("category_lock", {"mccs": ["7995"]})
        was_set = await asyncio.to_thread(app.first_set, shopkeeper, control)
        card = (await app.door.acall("GET", "/v1/cards")).rows
        app.door.close()
        self.claims.claim(
            checks.OPENING,
            held=was_set and [row["id"] for row in card] == [shopkeeper.card_id],
            line=Line(
                f"{shopkeeper.customer.name_zh} 在自己的手机银行里关闭了赌博类商户；"
                "这把钥匙只看得到他自己的卡",
                f"{shopkeeper.customer.name_en} closes gambling merchants in the app; that key "
                "sees no other card",
            ),
        )

    async def _town(self, bank: Bank, friday: int) -> None:
        """A day of the town, with the clock moved along."""
        self._title("小镇的一天", "A day of the town")
        people = population(self._plan.seed, self._plan.customers)
        begin_ms, end_ms = instant(friday, _MORNING), instant(friday, _MIDNIGHT)
        follower = ClockFollower(bank)
        wire = await self._connect()
        began = time.monotonic()
        tallies: list[Traffic] = []

        async def run(listener: Callable[[Exchange], None]) -> None:
            traffic = Traffic(
                wire,
                self._acquirer,
                self._plan.seed,
                listener,
                on_time=follower.follow,
                lost_per_mille=_LOST_PER_MILLE,
            )
            tallies.append(traffic)
            pace = Pace(rate=self._plan.rate, until_ms=end_ms)
            await traffic.run(stream(self._plan.seed, people, begin_ms), pace)

        await self._watch(bank, run)
        await wire.close()
        tally = tallies[0].tally
        took = time.monotonic() - began
        self._now_ms = end_ms
        self.numbers.town = {
            "sent": tally.sent,
            "approved": tally.approved,
            "not_approved": tally.refused,
            "unanswered": tally.unanswered,
            "repeats": tally.repeats,
            "p50_ms": round(tally.percentile(500), 2),
            "p99_ms": round(tally.percentile(990), 2),
            "seconds": round(took, 1),
        }
        p50, p99 = tally.percentile(500), tally.percentile(990)
        self.claims.claim(
            checks.TOWN,
            held=not tally.unanswered and tally.approved > 0 and not tally.codes.get("96"),
            line=Line(
                f"{tally.sent} 条报文全部得到应答：批准 {tally.approved}，未批准 {tally.refused}；"
                f"p50 {p50:.1f} ms，p99 {p99:.1f} ms",
                f"all {tally.sent} messages were answered: {tally.approved} approved, "
                f"{tally.refused} not; p50 {p50:.1f} ms, p99 {p99:.1f} ms",
            ),
        )
        self.claims.claim(
            checks.TOWN,
            held=tally.repeats == tally.repeats_same > 0,
            line=Line(
                f"重发 {tally.repeats} 条，应答逐字节相同",
                f"{tally.repeats} repeats got the very same answers, byte for byte",
            ),
        )

    async def _fraud(self, bank: Bank, day: int) -> str:
        """The fraud scenes; the card whose refusals are explained later."""
        wire = await self._connect()
        stage = Stage(
            wire,
            self._acquirer,
            self._audience,
            bank=bank,
            moves_clock=True,
            beat_seconds=self._plan.beat_seconds,
            phones=self._phones,
        )
        for scene in SCENES.values():
            await play(scene, stage, self._plan.seed, instant(day, 720))
            for expectation in stage.record.expectations:
                self.claims.note(
                    f"{checks.FRAUD}: {scene.name}", expectation.text, held=expectation.is_met
                )
            met = sum(expectation.is_met for expectation in stage.record.expectations)
            total = len(stage.record.expectations)
            await self._tell(
                f"{met}/{total} 项与预期相符", f"{met} of {total} as expected", Tone.PROOF
            )
        await wire.close()
        victims = [a for a in stage.reasons.accounts.values() if a.customer.number == 1]
        return victims[0].card_id

    async def _crash(self, bank: Bank, day: int) -> None:
        """Full speed, `kill -9`, restart, and the proof."""
        self._title("断电", "The plug is pulled")
        at_ms = instant(day, 600)
        await asyncio.to_thread(bank.move_clock, instant_text(at_ms))
        customers = crash_customers(self._plan.seed)
        accounts = await bank.register_all(customers)
        book = Book()
        address = (self._server.host, self._server.port)
        flooding = asyncio.create_task(
            flood(address, self._dialect, self._acquirer, customers, at_ms, book)
        )
        await asyncio.sleep(self._plan.crash_seconds)
        pid = self._server.pid
        await asyncio.to_thread(self._server.kill)
        await flooding
        self.numbers.acknowledged, self.numbers.unanswered = len(book.acknowledged), len(book.open)
        rate = len(book.acknowledged) / self._plan.crash_seconds
        self.numbers.acknowledged_per_second = round(rate)
        await self._tell(
            f"{LINES} 条线路、{CARDS} 张卡全速消费：{len(book.acknowledged)} 笔已应答"
            f"（约每秒 {rate:,.0f} 笔），然后 kill -9 {pid}；{len(book.open)} 笔在途没有应答",
            f"{LINES} lines, {CARDS} cards at full speed: {len(book.acknowledged)} answered "
            f"(about {rate:,.0f}/s), then kill -9 {pid}; {len(book.open)} in flight unanswered",
        )
        self.numbers.restart_seconds = await asyncio.to_thread(self._server.start)
        await asyncio.to_thread(bank.move_clock, instant_text(at_ms))
        await self._tell(
            f"服务器重新启动（{self.numbers.restart_seconds:.1f} 秒），终端重发没有应答的报文",
            f"the server is back ({self.numbers.restart_seconds:.1f} s); the terminals repeat "
            "what was not answered",
        )
        await self._prove(bank, accounts, book)

    async def _prove(self, bank: Bank, accounts: list[Account], book: Book) -> None:
        """Nothing acknowledged is lost, nothing is counted twice."""
        address = (self._server.host, self._server.port)
        answers = await resend(address, self._dialect, self._acquirer, book.open)
        first_time = [answer.is_approved for answer in answers]
        acknowledged = list(book.acknowledged)
        book.acknowledged += zip(book.open, answers, strict=True)
        self.claims.claim(
            checks.CRASH,
            held=bool(acknowledged) and all(first_time),
            line=Line(
                f"没有应答的 {len(answers)} 笔现在都有了应答",
                f"the {len(answers)} unanswered ones have their answers now",
            ),
        )
        again = await resend(
            address, self._dialect, self._acquirer, [sent for sent, _ in acknowledged]
        )
        same = sum(
            first.raw == second.raw for (_, first), second in zip(acknowledged, again, strict=True)
        )
        self.claims.claim(
            checks.CRASH,
            held=same == len(acknowledged),
            line=Line(
                f"断电前应答过的 {len(acknowledged)} 笔全部重发：{same} 笔应答逐字节相同，一笔不丢",
                f"all {len(acknowledged)} that were answered before are sent again: {same} get "
                "the same bytes; none was lost",
            ),
        )
        wrong = 0
        for account in accounts:
            counted = await counters(bank, account)
            card = account.customer.card
            wrong += counted.amount_minor != book.approved_minor(card)
            wrong += counted.count != book.approved_count(card)
        total = sum(book.approved_minor(account.customer.card) for account in accounts)
        self.claims.claim(
            checks.CRASH,
            held=wrong == 0,
            line=Line(
                f"{len(accounts)} 张卡的计数与客户端记录一致：共 {total / 100:,.2f} 元，"
                "没有重复计数",
                f"the counters of all {len(accounts)} cards equal the clients' record: "
                f"CNY {total / 100:,.2f}, nothing counted twice",
            ),
        )
        await self._verify()

    async def _verify(self) -> None:
        """`zhiwei verify` finds nothing wrong, beside the running server."""
        try:
            said = await asyncio.to_thread(
                self._server.command, "verify", "--data", str(self._server.data)
            )
            is_clean = True
        except ServerError as error:
            said, is_clean = str(error), False
        self.numbers.verify = said.strip().splitlines()[-1] if said.strip() else ""
        line = Line(
            f"zhiwei verify：{self.numbers.verify}", f"zhiwei verify: {self.numbers.verify}"
        )
        self.claims.claim(checks.CRASH, held=is_clean, line=line)

    async def _explain(self, bank: Bank, card_id: str) -> None:
        """Why was it refused? Every control that was asked, and what it found."""
        self._title("为什么被拒绝？", "Why was it refused?")
        path = f"/v1/authorizations?card={card_id}&decision=decline&limit=20"
        refused = (await bank.door.acall("GET", path)).rows
        most = max(refused, key=lambda row: len(row["reasons"]))
        merchant = most["merchant"]
        province = PROVINCES[merchant["region"]]
        money = f"{most['currency']} {major_units(most['amount'], most['currency'])}"
        at = beijing_of(most["decided_at"])
        await self._tell(
            f"{at} {province.zh} {merchant['name']} {money}：拒绝 {most['response_code']}",
            f"{at} {merchant['name'].title()}, {province.en}, {money}: refused with "
            f"{most['response_code']}",
        )
        rows = (await bank.door.acall("GET", f"/v1/authorizations/{most['id']}/evaluations")).rows
        for row in rows:
            await self._tell_evaluation(row)
        said_no = [row for row in rows if row["result"] != "approve"]
        self.claims.claim(
            checks.WHY,
            held=len(said_no) == len(most["reasons"]) >= 2 and len(rows) > len(said_no),
            line=Line(
                f"问了 {len(rows)} 项控制，{len(said_no)} 项说不",
                f"{len(rows)} controls were asked, {len(said_no)} said no",
            ),
        )

    async def _tell_evaluation(self, row: Document) -> None:
        name = control_name(row["control"])
        if row["result"] == "approve":
            await self._tell(f"{name.zh}：无异议", f"{name.en}: no objection")
            return
        message = row["message"]
        await self._tell(f"{name.zh}：{message['zh']}", f"{name.en}: {message['en']}", Tone.WHY)

    async def _checkup(self, bank: Bank) -> None:
        """The security check-up, one fix, and the check-up again."""
        self._title("账户安全检测", "The security check-up")
        hero = self._hero
        assert hero is not None, "the opening registers somebody"
        before = await self._examined(bank, hero)
        for finding in before["findings"][:4]:
            message = finding["message"]
            points = finding["points"]
            await self._tell(
                (f"−{points} 分：" if points else "建议：") + message["zh"],
                (f"-{points} points: " if points else "tip: ") + message["en"],
                Tone.WHY,
            )
        fixable = [finding for finding in before["findings"] if finding["fix"]]
        if not fixable:
            self.claims.claim(
                checks.CHECKUP,
                held=False,
                line=Line("没有可以一键优化的项目", "there is nothing that one tap would mend"),
            )
            return
        fix = fixable[0]["fix"]
        await bank.door.acall(fix["method"], fix["path"], fix["body"], headers=fix["headers"])
        await self._tell(
            f"一键优化：{fix['method']} {fix['path'].rsplit('/', 1)[-1]}",
            f"one tap mends it: {fix['method']} {fix['path'].rsplit('/', 1)[-1]}",
        )
        after = await self._examined(bank, hero)
        self.numbers.score_before, self.numbers.score_after = before["score"], after["score"]
        self.claims.claim(
            checks.CHECKUP,
            held=after["score"] > before["score"],
            line=Line(
                f"{hero.customer.name_zh} 的得分：{before['score']}（{before['grade_word']['zh']}）"
                f"→ {after['score']}（{after['grade_word']['zh']}）",
                f"{hero.customer.name_en}'s score: {before['score']} "
                f"({before['grade_word']['en']}) → {after['score']} ({after['grade_word']['en']})",
            ),
        )

    async def _pages(self, bank: Bank, card_id: str) -> None:
        """Both faces, opened and used as people do."""
        self._title("两张面孔", "The two faces")
        path = f"/v1/authorizations?card={card_id}&decision=decline&limit=1"
        refused = (await bank.door.acall("GET", path)).rows[0]["id"]
        card = (await bank.door.acall("GET", f"/v1/cards/{card_id}")).document
        self.whose = Whose(card["cardholder"], card_id, refused)
        await self.faces.show(self.whose)

    async def _examined(self, bank: Bank, hero: Account) -> Document:
        body = {"cardholder": hero.cardholder_id, "mode": "full"}
        return (await bank.door.acall("POST", "/v1/security_checkups", body)).document

    async def _connect(self) -> Wire:
        return await connect(self._server.host, self._server.port, self._dialect)

    def _title(self, zh: str, en: str) -> None:
        self._audience.hear(Tone.TITLE, Line(zh, en))

    async def _tell(self, zh: str, en: str, tone: Tone = Tone.STORY) -> None:
        self._audience.hear(tone, Line(zh, en))
        if self._plan.beat_seconds:
            await asyncio.sleep(self._plan.beat_seconds)


def beijing_of(instant_rfc3339: str) -> str:
    """Date and time in Beijing of an instant as the API writes it."""
    at = datetime.fromisoformat(instant_rfc3339)
    return f"{beijing(int(at.astimezone(UTC).timestamp() * 1000)):%m-%d %H:%M}"

"""The board: what is going on, drawn a few times a second, from the server's own lists."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Final, final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from zhiwei.core.money import major_units
from zhiwei.core.place import PROVINCES
from zhiwei.simulate.bank import Bank
from zhiwei.simulate.days import beijing
from zhiwei.simulate.http_door import Document, HttpDoorError
from zhiwei.simulate.telling import Language, Line
from zhiwei.simulate.traffic import Exchange, Role

_DECISIONS_SHOWN: Final = 12
_ALERTS_SHOWN: Final = 6
#: Seconds over which the rate is averaged.
_RATE_SECONDS: Final = 2.0

_KINDS: Final[dict[str, Line]] = {
    "purchase": Line("消费", "purchase"),
    "cash_withdrawal": Line("取现", "cash"),
    "transfer_out": Line("转账", "transfer"),
    "balance_inquiry": Line("查余额", "balance inquiry"),
    "preauthorization": Line("预授权", "pre-authorization"),
    "completion": Line("预授权完成", "completion"),
    "void": Line("撤销", "void"),
    "refund": Line("退货", "refund"),
}
_DECISIONS: Final[dict[str, tuple[Line, str]]] = {
    "approve": (Line("批准", "approved"), "green"),
    "decline": (Line("拒绝", "refused"), "bold red"),
    "challenge": (Line("核实", "asked"), "bold yellow"),
}


_ALERTS: Final[dict[str, Line]] = {
    "transaction_declined": Line("交易被拒绝", "a payment was refused"),
    "challenge_created": Line("请确认是否本人", "is this you? please confirm"),
    "balance_inquired": Line("余额被查询：不是您？", "somebody asked for the balance: not you?"),
    "balance_changed": Line("余额变动", "the balance changed"),
    "transaction_reversed": Line("交易已冲正", "a payment was taken back"),
    "limit_nearly_reached": Line("限额将用完", "a limit is nearly used up"),
    "control_updated": Line("设置已更改", "a setting was changed"),
    "stop_placed": Line("卡片已止付", "the card is stopped"),
    "binding_created": Line("新增快捷支付签约", "a payment institution was linked"),
}


@final
class Board:
    """Counts what the clients see, and reads the last decisions and alerts from the server."""

    def __init__(self, bank: Bank, language: Language) -> None:
        self._bank: Final = bank
        self._language: Final = language
        self._counts: Final[Counter[str]] = Counter()
        self._answered_at: Final[deque[float]] = deque()
        self.now_ms = 0
        self._decisions: list[Document] = []
        self._alerts: list[Document] = []

    def hear(self, exchange: Exchange) -> None:
        """Count one exchange."""
        if exchange.role is Role.NETWORK or exchange.answer is None:
            return
        self._answered_at.append(time.monotonic())
        code = exchange.answer.code
        outcome = "approve" if code == "00" else "challenge" if code == "01" else "decline"
        self._counts[outcome] += 1
        if exchange.sent.doing is not None:
            self.now_ms = max(self.now_ms, exchange.sent.doing.at_ms)

    @property
    def rate(self) -> float:
        """Decisions a second, over the last seconds."""
        now = time.monotonic()
        while self._answered_at and self._answered_at[0] < now - _RATE_SECONDS:
            self._answered_at.popleft()
        return len(self._answered_at) / _RATE_SECONDS

    async def refresh(self) -> None:
        """Read the server's lists; what cannot be read stays as it was."""
        try:
            decisions = await self._bank.door.acall(
                "GET", f"/v1/authorizations?limit={_DECISIONS_SHOWN}"
            )
            alerts = await self._bank.door.acall("GET", f"/v1/alerts?limit={_ALERTS_SHOWN}")
        except HttpDoorError:
            return
        self._decisions, self._alerts = decisions.rows, alerts.rows

    def render(self) -> RenderableType:
        """The board as it is now."""
        return Group(self._headline(), self._decision_table(), self._alert_panel())

    def line(self) -> Line:
        """The counts as one line, where no terminal is."""
        stamp = f"{beijing(self.now_ms):%H:%M}" if self.now_ms else "--:--"
        approved, declined = self._counts["approve"], self._counts["decline"]
        asked = self._counts["challenge"]
        return Line(
            f"{stamp}  批准 {approved}  拒绝 {declined}  核实 {asked}  每秒 {self.rate:.0f} 笔",
            f"{stamp}  approved {approved}  refused {declined}  asked {asked}  "
            f"{self.rate:.0f} decisions/s",
        )

    def _headline(self) -> Text:
        return Text(self.line().of(self._language), "bold")

    def _decision_table(self) -> Table:
        is_zh = self._language == "zh"
        table = Table(expand=True, title=("最近的决定" if is_zh else "last decisions"))
        for name in ("时间", "卡", "交易", "决定") if is_zh else ("time", "card", "what", "answer"):
            table.add_column(name, no_wrap=name not in ("决定", "answer"))
        for row in self._decisions:
            table.add_row(*self._decision(row))
        return table

    def _decision(self, row: Document) -> tuple[Text, ...]:
        kind = _KINDS.get(row["kind"], Line(row["kind"], row["kind"])).of(self._language)
        money = ""
        if row["amount"]:
            money = f" {row['currency']} {major_units(row['amount'], row['currency'])}"
        merchant = row["merchant"]
        province = PROVINCES.get(merchant["region"] or "")
        place = merchant["country"] or ""
        if province is not None:
            place = province.zh if self._language == "zh" else province.en
        word, style = _DECISIONS[row["decision"]]
        answer = Text(word.of(self._language), style)
        if row["reasons"]:
            first = row["reasons"][0]
            answer.append(f" {first['message'][self._language]}", "dim")
        return (
            Text(_clock(row["decided_at"])),
            Text(self._whose(row["card"])),
            Text(f"{kind}{money} · {(merchant['name'] or '').title()}, {place}"),
            answer,
        )

    def _whose(self, card_id: str) -> str:
        """A card by its holder's name and its last four digits."""
        account = self._bank.accounts.get(card_id)
        if account is None:
            return card_id[-6:]
        person = account.customer
        name = person.name_zh if self._language == "zh" else person.name_en
        return f"{name} *{person.tail}"

    def _alert_panel(self) -> Panel:
        lines = [
            Text(
                f"{_clock(alert['created_at'])}  {self._whose(alert['card'])}  "
                f"{alert_line(alert).of(self._language)}"
            )
            for alert in self._alerts
        ]
        title = "待发的提醒" if self._language == "zh" else "alerts in the outbox"
        return Panel(Group(*lines), title=title)


def alert_line(alert: Document) -> Line:
    """An alert in one line: what it is about, and the fact that matters most."""
    kind, facts = alert["type"], alert["data"]
    name = _ALERTS.get(kind, Line(kind, kind))
    told = ""
    if isinstance(facts.get("amount"), int):
        currency = str(facts.get("currency") or "CNY")
        told = f" {currency} {major_units(facts['amount'], currency)}"
    if isinstance(facts.get("reference"), str):
        told += f" #{facts['reference']}"
    if isinstance(facts.get("control"), str):
        told += f" {facts['control']}"
    return Line(name.zh + told, name.en + told)


def _clock(instant: str) -> str:
    """Hours and minutes in Beijing of an RFC 3339 instant in UTC."""
    hour = (int(instant[11:13]) + 8) % 24
    return f"{hour:02d}:{instant[14:16]}:{instant[17:19]}"

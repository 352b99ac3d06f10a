"""The board: what is going on, drawn a few times a second, from the server's own lists."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any, Final, final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from zhiwei.core.money import major_units
from zhiwei.simulate.days import beijing
from zhiwei.simulate.http_door import Document, HttpDoor, HttpDoorError
from zhiwei.simulate.telling import Language, Line
from zhiwei.simulate.traffic import Exchange, Role

_DECISIONS_SHOWN: Final = 12
_EVENTS_SHOWN: Final = 6
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


@final
class Board:
    """Counts what the clients see, and reads the last decisions and alerts from the server."""

    def __init__(self, door: HttpDoor, language: Language) -> None:
        self._door: Final = door
        self._language: Final = language
        self._counts: Final[Counter[str]] = Counter()
        self._answered_at: Final[deque[float]] = deque()
        self.now_ms = 0
        self._decisions: list[Document] = []
        self._events: list[Document] = []

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
            decisions = await self._door.acall(
                "GET", f"/v1/authorizations?limit={_DECISIONS_SHOWN}"
            )
            events = await self._door.acall("GET", f"/v1/alerts?limit={_EVENTS_SHOWN}")
        except HttpDoorError:
            return
        self._decisions, self._events = decisions.rows, events.rows

    def render(self) -> RenderableType:
        """The board as it is now."""
        return Group(self._headline(), self._decision_table(), self._event_panel())

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
        place = "-".join(filter(None, (merchant["country"], merchant["region"])))
        word, style = _DECISIONS[row["decision"]]
        answer = Text(word.of(self._language), style)
        if row["reasons"]:
            first = row["reasons"][0]
            answer.append(f" {first['message'][self._language]}", "dim")
        return (
            Text(_clock(row["decided_at"])),
            Text(row["card"][-6:]),
            Text(f"{kind}{money} · {merchant['name'] or ''} {place}"),
            answer,
        )

    def _event_panel(self) -> Panel:
        lines = [Text(f"{_clock(e['created_at'])} {event_words(e)}") for e in self._events]
        title = "待发的提醒" if self._language == "zh" else "alerts in the outbox"
        return Panel(Group(*lines), title=title)


def event_words(event: Document) -> str:
    """An event in one line: its type and the facts that a message would tell."""
    facts: dict[str, Any] = event.get("data") or {}
    shown = (
        f"{name}={value}"
        for name, value in facts.items()
        if isinstance(value, str | int) and len(str(value)) <= 24
    )
    return f"{event['type']}  {'  '.join(list(shown)[:5])}"


def _clock(instant: str) -> str:
    """Hours and minutes in Beijing of an RFC 3339 instant in UTC."""
    hour = (int(instant[11:13]) + 8) % 24
    return f"{hour:02d}:{instant[14:16]}:{instant[17:19]}"

"""Lines of a scenario file: words, times on the card's own clock, amounts, errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from zoneinfo import ZoneInfo

from zhiwei.core.errors import ZhiweiError
from zhiwei.core.money import currency

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_CLOCK: Final = re.compile(r"(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{3}))?)?([+-]\d{2}:\d{2})?")
_SPAN: Final = re.compile(r"(\d+)(ms|[smhdw])")
_SPAN_MS: Final = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}


class ScenarioError(ZhiweiError):
    """a scenario does not say what it should, or what happened is not what it says"""


@dataclass(frozen=True)
class Line:
    """One line that says something: `words -> expected`, without its comment."""

    file: str
    number: int
    words: tuple[str, ...]
    expected: tuple[str, ...]

    def error(self, message: str) -> ScenarioError:
        """An error of this line."""
        return ScenarioError(f"{self.file}:{self.number}: {message}")


def read_lines(text: str, file: str) -> list[Line]:
    """The lines that say something; `# ` at the start or after a space begins a comment."""
    lines: list[Line] = []
    for number, raw in enumerate(text.splitlines(), 1):
        said = re.split(r"(?:^|\s)#(?:\s|$)", raw, maxsplit=1)[0].strip()
        if not said:
            continue
        left, _, right = said.partition("->")
        lines.append(Line(file, number, tuple(left.split()), tuple(right.split())))
    return lines


class Words:
    """The words of a line, taken one after the other."""

    def __init__(self, line: Line, words: tuple[str, ...]) -> None:
        self.line = line
        self._words = words
        self._next = 0

    def __bool__(self) -> bool:
        return self._next < len(self._words)

    def peek(self) -> str:
        """The next word, left in its place; empty at the end."""
        return self._words[self._next] if self else ""

    def take(self, what: str = "another word") -> str:
        """The next word."""
        if not self:
            raise self.line.error(f"expected {what} at the end of the line")
        self._next += 1
        return self._words[self._next - 1]

    def takes(self, word: str) -> bool:
        """Take the next word if it is this one."""
        if self.peek() != word:
            return False
        self._next += 1
        return True

    def amount(self, code: str) -> int:
        """The next word as an amount in minor units: `100.00` for CNY, `500` for JPY."""
        return amount_minor(self.line, self.take("an amount"), code)

    def looks_like_amount(self) -> bool:
        """Whether the next word is a number."""
        return re.fullmatch(r"-?\d[\d.]*", self.peek()) is not None

    def span_ms(self) -> int:
        """The next word as a length of time."""
        return span_ms(self.line, self.take("a length of time like `10m`"))

    def number(self) -> int:
        """The next word as a whole number."""
        word = self.take("a whole number")
        if not word.isdigit():
            raise self.line.error(f"`{word}` is not a whole number")
        return int(word)

    def instant_ms(self, zone_name: str, now_ms: int) -> int:
        """The next words as an instant: `[Mon] [2026-03-02] 23:00[:00[.000]][+01:00]` or `+10m`."""
        if self.peek().startswith("+"):
            return now_ms + span_ms(self.line, self.take()[1:])
        zone = ZoneInfo(zone_name)
        weekday = self.take() if self.peek() in _WEEKDAYS else ""
        local = (_EPOCH + timedelta(milliseconds=now_ms)).astimezone(zone)
        if _DATE.fullmatch(self.peek()):
            date = self._date()
        else:
            date = datetime(local.year, local.month, local.day)  # noqa: DTZ001 - a wall-clock date
        if weekday and _WEEKDAYS[date.weekday()] != weekday:
            raise self.line.error(f"{date:%Y-%m-%d} is a {_WEEKDAYS[date.weekday()]}")
        word = self.take("a time like `23:00`")
        match = _CLOCK.fullmatch(word)
        if match is None:
            raise self.line.error(f"`{word}` is not a time like `23:00:00.000`")
        hour, minute, second, milli, offset = match.groups()
        clock = timedelta(
            hours=int(hour),
            minutes=int(minute),
            seconds=int(second or 0),
            milliseconds=int(milli or 0),
        )
        return _instant_ms(self.line, date + clock, zone, offset)

    def _date(self) -> datetime:
        """The next word as a date."""
        word = self.take("a date")
        try:
            return datetime.strptime(word, "%Y-%m-%d")  # noqa: DTZ007 - a wall-clock date
        except ValueError:
            raise self.line.error(f"`{word}` is not a date") from None


def amount_minor(line: Line, word: str, code: str) -> int:
    """An amount of a currency in minor units; the digits after the point must be the currency's."""
    exponent = currency(code).exponent
    pattern = rf"-?\d+\.\d{{{exponent}}}" if exponent else r"-?\d+"
    if re.fullmatch(pattern, word) is None:
        raise line.error(f"`{word}` is not an amount of {code} with {exponent} decimals")
    return int(word.replace(".", ""))


def span_ms(line: Line, word: str) -> int:
    """A length of time: `15m`, `9m59s999ms`, `12h`, `1d`."""
    if not re.fullmatch(rf"({_SPAN.pattern})+", word):
        raise line.error(f"`{word}` is not a length of time like `10m` or `1d12h`")
    return sum(int(count) * _SPAN_MS[unit] for count, unit in _SPAN.findall(word))


def _instant_ms(line: Line, wall: datetime, zone: ZoneInfo, offset: str | None) -> int:
    """The instant of a wall-clock time; one that comes twice, or never, needs its offset."""
    if offset:
        hours, minutes = offset[1:].split(":")
        east = timedelta(hours=int(hours), minutes=int(minutes))
        at = wall.replace(tzinfo=timezone(-east if offset[0] == "-" else east))
        if at.astimezone(zone).replace(tzinfo=None) != wall:
            raise line.error(f"{offset} is not the offset of {zone.key} at {wall}")
        return _milliseconds(at)
    first = wall.replace(tzinfo=zone, fold=0)
    if first.utcoffset() != wall.replace(tzinfo=zone, fold=1).utcoffset():
        raise line.error(f"{wall} comes twice or never in {zone.key}; add its offset")
    return _milliseconds(first)


def _milliseconds(at: datetime) -> int:
    """UTC epoch milliseconds of an aware time."""
    return (at - _EPOCH) // timedelta(milliseconds=1)

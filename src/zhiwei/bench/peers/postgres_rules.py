"""The rules of the peers on PostgreSQL: the questions that our services ask, in a plain function.

Written apart from `zhiwei.services` so that the comparison stands on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Self

from zhiwei.bench.cards import PROVINCES

_PROVINCE_OF: Final = {region: province for province, region in PROVINCES}
_COUNTRY_OF: Final = {"344": "HKG", "446": "MAC"}


def region_of(acquirer: str) -> str:
    """Return the province (GB/T 2260) of an acquirer in the country, empty of one abroad."""
    return _PROVINCE_OF.get(acquirer[4:], "")


@dataclass
class Question:
    """What a message asks, as far as the rules look at it."""

    mti: str
    pan: bytes
    processing: str
    amount: int
    mcc: str
    country: str
    region: str
    entry: str
    identity: str
    #: Identity of the message that a reversal takes back, empty otherwise.
    original: str

    @classmethod
    def read(cls, body: bytes, offsets: dict[int, int]) -> Self:
        """Read an ISO 8583 message of the bench."""

        def text(number: int, width: int) -> str:
            return body[offsets[number] : offsets[number] + width].decode()

        mti = body[:4].decode()
        acquirer = text(32, 8)
        original = ""
        if 90 in offsets:
            told = text(90, 42)
            original = f"{told[10:20]}{told[4:10]}{told[23:31]}"
        return cls(
            mti=mti,
            pan=body[offsets[2] : offsets[2] + 16],
            processing=text(3, 6),
            amount=int(text(4, 12)),
            mcc=text(18, 4),
            country=text(19, 3),
            region=region_of(acquirer),
            entry=text(22, 3),
            identity=f"{'R' if mti[1] == '4' else ''}{text(7, 10)}{text(11, 6)}{acquirer}",
            original=original,
        )

    @property
    def is_reversal(self) -> bool:
        """Whether it takes an earlier message back."""
        return self.mti[1] == "4"

    @property
    def is_in_person(self) -> bool:
        """Whether the card was there and money would leave by it."""
        return self.entry[:2] in ("05", "07", "02") and self.processing[:2] != "31"


@dataclass
class File:
    """The card's row."""

    version: int
    is_stopped: bool
    has_chip: bool
    regions: list[str]
    countries: list[str] | None
    night_start: int
    night_end: int
    transaction_limit: int
    atm_day_limit: int
    day_limit: int
    month_limit: int
    day_count_limit: int
    large_spend_threshold: int
    closed_categories: list[str]
    inquiry_alert: bool
    change_alert: bool
    day: date
    month: date
    atm_day_used: int
    day_used: int
    day_count: int
    month_used: int

    @classmethod
    def of(cls, row: tuple[Any, ...], now: datetime) -> Self:
        """Read a row and begin the windows that `now` lies in."""
        file = cls(*row)
        today = now.date()
        if file.day != today:
            file.day, file.atm_day_used, file.day_used, file.day_count = today, 0, 0, 0
        if file.month != today.replace(day=1):
            file.month, file.month_used = today.replace(day=1), 0
        return file

    def counters(self) -> tuple[object, ...]:
        """Return the counters in the order of the update."""
        used = (self.atm_day_used, self.day_used, self.day_count, self.month_used)
        return (self.day, self.month, *used)

    def count(self, amount: int, times: int, *, at_atm: bool) -> None:
        """Count, or with negative numbers give back."""
        self.day_used += amount
        self.month_used += amount
        self.day_count += times
        if at_atm:
            self.atm_day_used += amount


def judge(
    file: File, question: Question, now: datetime, stripe_threshold: int
) -> tuple[str, list[str]]:
    """Ask every rule; return the strictest one's code and the messages that are owed."""
    if question.processing[:2] == "31":
        return "00", ["balance_inquiry"] if file.inquiry_alert else []
    codes = [
        *_locks(file, question, now),
        *_limits(file, question),
        *_questions(file, question, stripe_threshold),
    ]
    if codes:
        return codes[0], ["challenge" if codes[0] == "01" else "declined"]
    file.count(question.amount, 1, at_atm=question.mcc == "6011")
    return "00", ["balance_change"] if file.change_alert else []


def _locks(file: File, question: Question, now: datetime) -> list[str]:
    """Stop, medium, places, night, categories."""
    found = []
    if file.is_stopped:
        found.append("62")
    if question.entry == "021" and file.has_chip:
        found.append("45")
    if question.is_in_person:
        if question.country == "156":
            if file.regions and question.region not in file.regions:
                found.append("62")
        elif file.countries is not None and _COUNTRY_OF.get(question.country) not in file.countries:
            found.append("62")
        start, end = file.night_start, file.night_end
        inside = start <= now.hour < end if start <= end else now.hour >= start or now.hour < end
        if start != end and inside:
            found.append("62")
    if question.mcc in file.closed_categories:
        found.append("57")
    return found


def _limits(file: File, question: Question) -> list[str]:
    """Per transaction, per day at the ATM, per day, per month; amounts and count."""
    found = []
    amount = question.amount
    if amount > file.transaction_limit:
        found.append("61")
    if question.mcc == "6011" and file.atm_day_used + amount > file.atm_day_limit:
        found.append("61")
    if file.day_used + amount > file.day_limit or file.month_used + amount > file.month_limit:
        found.append("61")
    if file.day_count + 1 > file.day_count_limit:
        found.append("65")
    return found


def _questions(file: File, question: Question, stripe_threshold: int) -> list[str]:
    """Large spending, and stripe purchases above the threshold, are asked about."""
    found = []
    is_purchase = question.processing[:2] in ("00", "03")
    if is_purchase and file.large_spend_threshold and question.amount > file.large_spend_threshold:
        found.append("01")
    if is_purchase and question.entry == "021" and question.amount > stripe_threshold:
        found.append("01")
    return found


def taken_back(
    file: File, original: tuple[Any, ...] | None, now: datetime
) -> tuple[str, list[str]]:
    """Give back what the original took, to the windows that it was counted in."""
    if (
        original is not None
        and original[4]
        and original[5].astimezone(now.tzinfo).date() == file.day
    ):
        file.count(-original[2], -1, at_atm=original[1][:2] in ("01", "46"))
    return "00", ["reversed"]

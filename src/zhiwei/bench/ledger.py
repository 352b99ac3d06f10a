"""The client's own record of what it was answered, and what must therefore stand in the store.

It knows nothing of how the server counts: it adds up the amounts that were approved to it and takes
off what was taken back, card by card. The examination then compares, entry by entry and card by
card.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from zhiwei.bench.cards import pan_of
from zhiwei.bench.message import offsets_of
from zhiwei.bench.scenes import INQUIRY
from zhiwei.bench.traffic import Traffic
from zhiwei.core.controls import LimitChannel
from zhiwei.core.finding import Outcome
from zhiwei.core.request import MessageClass
from zhiwei.ports import Reader
from zhiwei.vault import Vault

#: Entries that are read at once.
_PAGE = 2_000
_APPROVED = b"00"


@dataclass(frozen=True)
class Answer:
    """What one message was answered: its code and its authorization code."""

    code: str
    auth_code: str

    @classmethod
    def read(cls, body: bytes) -> Answer:
        """Read an answer from its MTI on."""
        at = offsets_of(body, 39)
        auth = body[at[38] : at[38] + 6].decode() if 38 in at else ""
        return cls(body[at[39] : at[39] + 2].decode(), auth)


@dataclass
class Ledger:
    """What a client knows after all its rounds."""

    #: Answers by retrieval reference number, requests and reversals apart (both have their own).
    answers: dict[str, Answer] = field(default_factory=dict)
    #: Approved and not taken back, in minor units, and how many times, by card number.
    used_minor: Counter[int] = field(default_factory=Counter)
    used_times: Counter[int] = field(default_factory=Counter)
    cards: set[int] = field(default_factory=set)

    def book(self, traffic: Traffic, bodies: dict[int, bytes], prefix: int) -> None:
        """Book the final answers of one round, in the order of the rows."""
        taken_back: set[int] = set()
        for row in sorted(bodies):
            frame = traffic.row(row)[prefix:]
            at = offsets_of(frame, 37)
            answer = Answer.read(bodies[row])
            self.answers[frame[at[37] : at[37] + 12].decode()] = answer
            card = traffic.cards[row]
            self.cards.add(card)
            if answer.code.encode() != _APPROVED:
                continue
            amount = int(frame[at[4] : at[4] + 12])
            original = traffic.reversal_of.get(row)
            if original is None:
                if frame[at[3] : at[3] + 2] != INQUIRY:
                    self.used_minor[card] += amount
                    self.used_times[card] += 1
            elif original not in taken_back and _was_approved(bodies.get(original)):
                taken_back.add(original)
                self.used_minor[card] -= amount
                self.used_times[card] -= 1


def _was_approved(body: bytes | None) -> bool:
    return body is not None and Answer.read(body).code.encode() == _APPROVED


@dataclass
class Examination:
    """How the store compares with the client's record; the lists hold RRNs, or tails of cards."""

    #: Acknowledged to the client, but not in the journal.
    lost: list[str] = field(default_factory=list)
    #: In the journal more than once.
    doubled: list[str] = field(default_factory=list)
    #: In the journal with another outcome or authorization code than the client was told.
    altered: list[str] = field(default_factory=list)
    #: Cards whose counters are not the sum of what the client was approved.
    miscounted: list[str] = field(default_factory=list)
    entries: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether the store says exactly what the client was told."""
        return not (self.lost or self.doubled or self.altered or self.miscounted)


def examine(ledger: Ledger, reader: Reader, vault: Vault) -> Examination:
    """Compare the whole journal and every card's counters with the client's record."""
    found = Examination()
    times: Counter[str] = Counter()
    position = 0
    while page := reader.recent(before=position, limit=_PAGE):
        position = min(row.position for row in page)
        for row in page:
            request = row.entry.command.request
            if request is None:
                continue
            found.entries += 1
            times[request.rrn] += 1
            told = ledger.answers.get(request.rrn)
            if told is None:
                continue
            approved = row.entry.outcome is Outcome.APPROVE
            same_auth = row.entry.auth_code == told.auth_code
            is_request = request.message_class is MessageClass.REQUEST
            if approved != (told.code == "00") or (is_request and not same_auth):
                found.altered.append(request.rrn)
    found.lost = [rrn for rrn in ledger.answers if times[rrn] == 0]
    found.doubled = [rrn for rrn, count in times.items() if count > 1]
    for card in sorted(ledger.cards):
        state = reader.card(vault.card_key(pan_of(card)))
        spent = None if state is None else state.usage.by_channel[LimitChannel.ALL]
        counted = (0, 0) if spent is None else (spent.year_amount, spent.year_count)
        if counted != (ledger.used_minor[card], ledger.used_times[card]):
            told_so = (ledger.used_minor[card], ledger.used_times[card])
            found.miscounted.append(f"{pan_of(card)[-4:]}: {counted} in the store, {told_so} told")
    return found

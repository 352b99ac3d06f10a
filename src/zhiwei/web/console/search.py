"""Search: one box for ids, tails, names, phone numbers and references.

What an index leads to (ids, a customer's phone number) is found whatever there is. The store keeps
no index of tails, names and references, and one would have to be paid by every registration and
every decision; so these are looked for in a bounded stretch, and the answer says how far it went
and goes on from there when asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from zhiwei.core.card_state import CardState
from zhiwei.core.ids import card_id, card_key_of, entry_of
from zhiwei.ports import Cardholder, Reader
from zhiwei.vault import text_without_numbers
from zhiwei.web.console.ledger import journal_from
from zhiwei.web.console.rows import CardNames, DecisionRow, row_of

#: How much of each kind one search looks through.
CARDS_MAX: Final = 4_000
HOLDERS_MAX: Final = 4_000
ENTRIES_MAX: Final = 4_000
#: Hits of one kind that are shown.
HITS_MAX: Final = 50
_CHUNK: Final = 200
_TEXT_MAX: Final = 100
_PHONE: Final = re.compile(r"\+[0-9]{6,15}")
_REFERENCE: Final = re.compile(r"[A-Za-z0-9]{4,32}")
#: Ids that name an entry of a card's journal.
_ENTRY_PREFIXES: Final = ("auth", "chg", "stop", "exc", "pass", "bind", "evt")


@dataclass(frozen=True)
class Stretch:
    """How far a search through one kind went."""

    #: `cards`, `customers` or `entries`.
    kind: str
    looked_at: int
    #: Whether that was all there is.
    is_all: bool
    #: Where it goes on, in the address; empty = nowhere.
    go_on: str = ""


@dataclass(frozen=True)
class Hits:
    """What a search found."""

    text: str
    #: The words look like a card number, which is not looked for and not shown again.
    is_card_number: bool = False
    cards: tuple[CardState, ...] = ()
    customers: tuple[Cardholder, ...] = ()
    decisions: tuple[DecisionRow, ...] = ()
    #: `(card key, version)` of an entry that an id names.
    entry: tuple[bytes, int] | None = None
    stretches: tuple[Stretch, ...] = field(default=())

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found."""
        return not (self.cards or self.customers or self.decisions or self.entry)


@dataclass(frozen=True)
class _Asked:
    reader: Reader
    names: CardNames
    #: What was typed, without spaces around it.
    text: str
    #: Where the search through cards, customers and entries begins.
    cards_after: bytes = b""
    holders_before: str = ""
    entries_before: int = 0


def search(
    reader: Reader,
    names: CardNames,
    text: str,
    *,
    cards_after: str = "",
    holders_before: str = "",
    entries_before: int = 0,
) -> Hits:
    """Find cards, customers and decisions. Blocking: for a thread."""
    words = text.strip()[:_TEXT_MAX]
    if not words:
        return Hits("")
    if not _PHONE.fullmatch(words) and text_without_numbers(words) != words:
        return Hits("", is_card_number=True)
    asked = _Asked(
        reader,
        names,
        words,
        card_key_of(cards_after) or b"",
        holders_before[:_TEXT_MAX],
        entries_before,
    )
    named = _by_id(asked)
    if named is not None:
        return named
    return _by_words(asked, is_first=not (cards_after or holders_before or entries_before))


def _by_id(asked: _Asked) -> Hits | None:
    """What an id names; None where the words are no id."""
    words = asked.text
    prefix = words.partition("_")[0]
    card_key = card_key_of(words)
    if card_key is not None:
        state = asked.reader.card(card_key)
        return Hits(words, cards=() if state is None else (state,))
    if prefix in _ENTRY_PREFIXES:
        # The id of an event or message has the place within its entry behind it.
        for candidate in (words, words.rpartition("_")[0]):
            named = entry_of(prefix, candidate)
            if named is not None:
                is_there = asked.reader.entry(*named) is not None
                return Hits(words, entry=named if is_there else None)
    holder = asked.reader.record(Cardholder, words)
    return None if holder is None else Hits(words, customers=(holder,))


def _by_words(asked: _Asked, *, is_first: bool) -> Hits:
    """Whatever the words may mean; all of it is looked for."""
    words = asked.text
    stretches: list[Stretch] = []
    cards: list[CardState] = []
    customers: list[Cardholder] = []
    decisions: list[DecisionRow] = []
    if _PHONE.fullmatch(words):
        customers = asked.reader.records(Cardholder, subject=words, limit=HITS_MAX)
        return Hits(words, customers=tuple(customers))
    is_tail = len(words) == 4 and words.isascii() and words.isdigit()
    if is_tail and (is_first or asked.cards_after):
        cards, stretch = _cards_of_tail(asked)
        stretches.append(stretch)
    if not words.isdigit() and (is_first or asked.holders_before):
        customers, stretch = _customers_named(asked)
        stretches.append(stretch)
    if _REFERENCE.fullmatch(words) and not is_tail and (is_first or asked.entries_before):
        decisions, stopped, stretch = _of_reference(asked)
        cards.extend(stopped)
        stretches.append(stretch)
    return Hits(
        words,
        cards=tuple(cards),
        customers=tuple(customers),
        decisions=tuple(decisions),
        stretches=tuple(stretches),
    )


def _cards_of_tail(asked: _Asked) -> tuple[list[CardState], Stretch]:
    found: list[CardState] = []
    looked_at = 0
    after = asked.cards_after
    while looked_at < CARDS_MAX and len(found) < HITS_MAX:
        chunk = asked.reader.cards(after=after, limit=_CHUNK)
        looked_at += len(chunk)
        found.extend(card for card in chunk if card.settings.profile.tail == asked.text)
        if len(chunk) < _CHUNK:
            return found, Stretch("cards", looked_at, is_all=not asked.cards_after)
        after = chunk[-1].card_key
    return found, Stretch("cards", looked_at, is_all=False, go_on=card_id(after))


def _customers_named(asked: _Asked) -> tuple[list[Cardholder], Stretch]:
    """Customers whose name holds the words, newest first."""
    found: list[Cardholder] = []
    looked_at = 0
    before = asked.holders_before
    words = asked.text.casefold()
    while looked_at < HOLDERS_MAX and len(found) < HITS_MAX:
        chunk = asked.reader.records(Cardholder, before=before, limit=_CHUNK)
        looked_at += len(chunk)
        found.extend(one for one in chunk if words in one.name.casefold())
        if len(chunk) < _CHUNK:
            return found, Stretch("customers", looked_at, is_all=not asked.holders_before)
        before = chunk[-1].id
    return found, Stretch("customers", looked_at, is_all=False, go_on=before)


def _of_reference(asked: _Asked) -> tuple[list[DecisionRow], list[CardState], Stretch]:
    """Decisions by RRN, STAN, authorization code or question; cards by a stop's reference."""
    is_it = _reference_test(asked)
    found: list[DecisionRow] = []
    cards: dict[bytes, CardState] = {}
    looked_at = 0
    for one in journal_from(asked.reader, b"", asked.entries_before):
        looked_at += 1
        row = row_of(one, asked.names)
        if row is not None and is_it(row):
            found.append(row)
        elif row is None and one.entry.note == asked.text:
            state = asked.reader.card(one.card_key)
            if state is not None:
                cards[one.card_key] = state
        if looked_at == ENTRIES_MAX or len(found) + len(cards) == HITS_MAX:
            is_over = one.position == 1
            go_on = "" if is_over else str(one.position)
            return found, [*cards.values()], Stretch("entries", looked_at, is_over, go_on)
    return found, [*cards.values()], Stretch("entries", looked_at, is_all=not asked.entries_before)


def _reference_test(asked: _Asked) -> Callable[[DecisionRow], bool]:
    """Whether a row carries the reference; a question's stands in its card's file for a day."""
    words = asked.text.casefold()
    states: dict[bytes, CardState | None] = {}

    def is_it(row: DecisionRow) -> bool:
        if words in (row.rrn.casefold(), row.stan, row.auth_code):
            return True
        if not row.challenge_id:
            return False
        if row.card_key not in states:
            states[row.card_key] = asked.reader.card(row.card_key)
        state = states[row.card_key]
        if state is None:
            return False
        questions = state.settings.challenges
        return any(q.id == row.challenge_id and q.reference == asked.text for q in questions)

    return is_it

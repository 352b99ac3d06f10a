"""The sweep: rows are rewritten in turn, and the log is let go of as soon as nobody needs it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zhiwei.stores.sqlite.cards import Slot, Sweep

#: A commit: cards that it moves, and groups that it sweeps.
Commits = list[tuple[list[int], int]]


class Walk:
    """A sweep at work, and by number of the card: the last commit in its row, and in memory."""

    def __init__(self, cards: int, round_entries: int) -> None:
        self.cards = cards
        self.sweep = Sweep(round_entries)
        self.sweep.begin(1, 0)
        self.slots = [Slot(n, n.to_bytes(4, "big"), b"", b"", b"") for n in range(1, cards + 1)]
        self.in_row = [0] * cards
        self.in_memory = [0] * cards

    def commit(self, moved: list[int], groups: int) -> None:
        """As the store does it: what is swept is as it was before the commit, or as it is after."""
        sweep = self.sweep
        swept = sweep.proposal(groups, self.cards) if groups else []
        sweep.log_number += 1
        for number in moved:
            self.in_memory[number - 1] = sweep.log_number
        for slot in swept:
            self.in_row[slot.number - 1] = self.in_memory[slot.number - 1]
        sweep.note_entries(len(moved), self.cards)
        if groups:
            sweep.confirm(groups, self.cards)
        for number in moved:
            sweep.note_moved(self.slots[number - 1])

    def check(self) -> None:
        """What may be deleted from the log is in the rows."""
        for row, memory in zip(self.in_row, self.in_memory, strict=True):
            assert row == memory or memory > self.sweep.swept_log


@given(
    cards=st.integers(1, 200),
    commits=st.lists(
        st.tuples(st.lists(st.integers(0, 199), max_size=6), st.integers(0, 5)), max_size=120
    ),
)
def test_nothing_that_a_row_lacks_leaves_the_log(cards: int, commits: Commits) -> None:
    """Otherwise a file would be too old after a crash, and its limits too wide."""
    walk = Walk(cards, 1_000)
    for moved, groups in commits:
        walk.commit([1 + number % cards for number in moved], groups)
        walk.check()


def test_the_log_holds_little_more_than_one_round() -> None:
    """It is what the start after a crash reads. One entry a commit: a row of the log for each."""
    walk = Walk(6_000, 2_000)
    longest = 0
    for at in range(20_000):
        walk.commit([1 + at * 2_654_435_761 % 6_000], walk.sweep.groups_for(1, 6_000))
        longest = max(longest, walk.sweep.log_number - walk.sweep.swept_log)
        if at % 997 == 0:
            walk.check()
    assert longest <= 2_000 * 1.15
    assert walk.sweep.swept_log > 17_000

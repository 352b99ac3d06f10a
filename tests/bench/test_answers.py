"""The book of answers: each answer to its row, and whatever is wrong with one is seen."""

from __future__ import annotations

import pytest

from zhiwei.bench.answers import AnswerBook, UnreadableAnswerError
from zhiwei.bench.message import Framing, encode

PLAIN = Framing()


def answer(
    row: int, code: str = "00", *, run: int = 7, stan: int = -1, framing: Framing = PLAIN
) -> bytes:
    """Write the answer to a row as a server would; a refusal has no authorization code."""
    number = f"{run:04d}{row:08d}"
    fields = {
        2: b"6200000000000005",
        3: b"000000",
        11: (f"{stan:06d}" if stan >= 0 else number[-6:]).encode(),
        32: b"01021000",
        37: number.encode(),
        39: code.encode(),
        41: b"TERMINAL",
    }
    if code == "00":
        fields[38] = b"123456"
    return framing.frame(encode("0210", fields)[0])


def book(rows: int = 10, repeat_of: dict[int, int] | None = None) -> AnswerBook:
    """An empty book of run 7."""
    return AnswerBook(rows, 7, PLAIN, repeat_of or {})


def told(pages: AnswerBook, row: int) -> str:
    """The code that a row was answered with, empty where it was not."""
    return pages.codes[pages.code_of[row]]


def test_an_answer_is_booked_to_its_row() -> None:
    """Approvals and refusals, which differ in shape, are read from one buffer."""
    pages = book()
    data = answer(3) + answer(1, "61") + answer(2)
    assert pages.absorb(data, 500) == (3, len(data))
    assert [told(pages, row) for row in range(5)] == ["", "61", "00", "00", ""]
    assert list(pages.done_ns[:4]) == [0, 500, 500, 500]


@pytest.mark.parametrize("framing", [PLAIN, Framing("4a"), Framing("2b", b"\x60\x00\x00\x00\x01")])
def test_a_stream_may_be_cut_anywhere(framing: Framing) -> None:
    """Whatever the buffers' borders, every answer is booked once."""
    data = b"".join(answer(row, framing=framing) for row in range(4))
    for cut in range(len(data)):
        pages = AnswerBook(10, 7, framing, {})
        count, used = pages.absorb(data[:cut], 1)
        more, _ = pages.absorb(data[used:], 2)
        assert count + more == 4
        assert [told(pages, row) for row in range(5)] == ["00"] * 4 + [""]
        assert pages.unexpected == pages.duplicates == 0


def test_a_second_answer_is_a_duplicate() -> None:
    """A row that was sent once may be answered once."""
    pages = book()
    pages.absorb(answer(3) + answer(3), 1)
    assert pages.duplicates == 1


def test_a_repeat_has_an_answer_of_its_own_and_it_must_be_the_same() -> None:
    """The second answer belongs to the repeat; a third, or one that differs, is seen."""
    pages = book(repeat_of={3: 5, 4: 6})
    pages.absorb(answer(3) + answer(3) + answer(4, "61") + answer(4, "00"), 1)
    assert told(pages, 5) == "00"
    assert pages.differing_repeats == 1
    assert pages.duplicates == 0
    pages.absorb(answer(3), 2)
    assert pages.duplicates == 1


@pytest.mark.parametrize(
    "wrong", [answer(3, run=8), answer(3, stan=4), answer(99)], ids=["run", "stan", "row"]
)
def test_an_answer_to_something_else_is_unexpected(wrong: bytes) -> None:
    """Another run's number, a STAN that does not fit, a row that was never written."""
    pages = book()
    pages.absorb(wrong, 1)
    assert pages.unexpected == 1
    assert not any(pages.code_of)


def test_an_answer_that_cannot_be_read_ends_the_run() -> None:
    """Noise is no answer, and what follows it cannot be trusted."""
    with pytest.raises(UnreadableAnswerError, match="cannot be read"):
        book().absorb(b"\x00\x10" + b"0210" + b"\x00" * 12, 1)

"""Questions that block: answers, errors, and an other side that is slow or gone."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from zhiwei.ports import CorruptFileError, StoreUnavailableError
from zhiwei.process_link.asking import Answering, Asker
from zhiwei.process_link.frames import OtherProcessError

Answers = dict[str, Callable[[Any], Any]]


@pytest.fixture(name="gate")
def _gate() -> Iterator[threading.Event]:
    """Opens what is slow; at the end in any case."""
    gate = threading.Event()
    yield gate
    gate.set()


def damaged(_value: object) -> None:
    """A file that cannot be read."""
    raise CorruptFileError("the checksum does not fit")


def asking(answers: Answers, seconds: float = 20.0) -> tuple[Asker, Answering]:
    """Both sides."""
    near, far = socket.socketpair()
    return Asker(near, seconds), Answering(far, answers)


def test_questions_are_answered_in_turn() -> None:
    """Bytes of any size and None come back as they were given."""
    asker, answering = asking({"same": lambda value: value})
    for value in (None, b"", b"\x00" * 300_000, [b"a", None], 7):
        assert asker.ask("same", value) == value
    asker.close()
    answering.close()


def test_errors_are_raised_where_it_was_asked() -> None:
    """And the next question is answered."""
    asker, answering = asking({"damaged": damaged, "one": lambda _: 1})
    with pytest.raises(CorruptFileError, match="checksum"):
        asker.ask("damaged", None)
    with pytest.raises(OtherProcessError):
        asker.ask("unheard_of", None)
    assert asker.ask("one", None) == 1
    asker.close()
    answering.close()


def test_nobody_there_is_told() -> None:
    """When the other side has closed, asking fails at once."""
    asker, answering = asking({"one": lambda _: 1})
    answering.close()
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            asker.ask("one", None)


def test_a_late_answer_is_never_taken_for_another(gate: threading.Event) -> None:
    """After a question that was given up nothing is asked any more."""
    asker, answering = asking({"slow": lambda _: gate.wait(), "one": lambda _: 1}, seconds=0.05)
    with pytest.raises(StoreUnavailableError):
        asker.ask("slow", None)
    gate.set()
    with pytest.raises(StoreUnavailableError):
        asker.ask("one", None)
    answering.close()

"""Asking: one side puts a question and blocks until the other, a thread for this alone, answers.

For code that runs to its end on a loop and needs a value in the middle; questions are answered from
memory, in well under a millisecond.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, final

from zhiwei.ports import StoreUnavailableError
from zhiwei.process_link.frames import FRAME_MAX, LENGTH_BYTES, answered, framed, told
from zhiwei.stores.coding.frame import unpack


@final
class Asker:
    """Puts questions; one thread at a time."""

    def __init__(self, end: socket.socket, seconds: float = 10.0) -> None:
        """`seconds` is how long an answer may take."""
        end.settimeout(seconds)
        self._end: Final = end

    def ask(self, name: str, value: object) -> Any:  # noqa: ANN401 - whatever the question gives
        """The answer.

        Raises:
            StoreUnavailableError: nobody answers (any more).
            ZhiweiError: what answering raised.
        """
        try:
            self._end.sendall(framed([name, value]))
            answer = _received(self._end)
        except OSError:
            # An answer that came later would be taken for that to the next question.
            self._end.close()
            answer = None
        if answer is None:
            raise StoreUnavailableError("the other process does not answer")
        return answered(answer)

    def close(self) -> None:
        """Ask nothing more."""
        self._end.close()


@final
class Answering:
    """A thread that answers until the other side is gone or `close`."""

    def __init__(self, end: socket.socket, answers: Mapping[str, Callable[[Any], Any]]) -> None:
        """Begin; `answers` are called on the thread."""
        end.settimeout(None)
        self._end: Final = end
        self._answers: Final = answers
        self._thread: Final = threading.Thread(target=self._run, name="answers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer nothing more."""
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _run(self) -> None:
        with self._end:
            try:
                while (question := _received(self._end)) is not None:
                    self._end.sendall(framed(self._answer(question[0], question[1])))
            except OSError:
                pass

    def _answer(self, name: str, value: object) -> list[Any]:
        try:
            return [self._answers[name](value)]
        except Exception as error:  # noqa: BLE001 - it is raised again by who asked
            return told(error, name)


def _received(end: socket.socket) -> list[Any] | None:
    """The next frame; None at the end."""
    head = _exactly(end, LENGTH_BYTES)
    if head is None:
        return None
    size = int.from_bytes(head, "big")
    body = _exactly(end, size) if size <= FRAME_MAX else None
    return None if body is None else list(unpack(body))


def _exactly(end: socket.socket, size: int) -> bytes | None:
    """So many bytes; None when the other side is gone before."""
    parts: list[bytes] = []
    while size:
        part = end.recv(size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)

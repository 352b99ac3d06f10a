"""Reading answers: whole receive buffers in, "row answered with code at time" out.

An answer belongs to the row that its retrieval reference number names; its STAN must agree. Where
the fields stand is learned once per shape of answer (MTI and bitmap) and checked on every message.
"""

from __future__ import annotations

from array import array
from typing import Final

from zhiwei.bench.message import Framing, offsets_of
from zhiwei.core.errors import ZhiweiError

#: What stands for an answer without a response code (an echoed request).
NO_CODE: Final = "--"


class UnreadableAnswerError(ZhiweiError):
    """the server sent something that is no answer"""


class AnswerBook:
    """Everything that came back in one run, by row, as ISO 8583 has it.

    Rows are those of `Traffic`. `done_ns[row]` is when the answer was in hand (0 = not yet),
    `code_of[row]` an index into `codes` (0 = not yet).
    """

    def __init__(
        self,
        rows: int,
        run: int,
        framing: Framing,
        repeat_of: dict[int, int],
        bodies: dict[int, bytes] | None = None,
    ) -> None:
        self.framing: Final = framing
        self.done_ns: Final = array("q", bytes(8 * rows))
        self.code_of: Final = bytearray(rows)
        #: Each row's first answer as it came, from its MTI; None where nobody wants them.
        self.bodies: Final = bodies
        #: Response codes met so far; position 0 stands for "no answer yet".
        self.codes: Final[list[str]] = [""]
        #: Answers that name a row of another run or no row at all, or that contradict themselves.
        self.unexpected = 0
        #: Second answers to rows that were sent once.
        self.duplicates = 0
        #: Repeats that were answered otherwise than their original.
        self.differing_repeats = 0
        self.answered = 0
        self._rows: Final = rows
        self._run: Final = b"%04d" % (run % 10_000)
        self._repeat_of: Final = repeat_of
        self._index_of: Final[dict[bytes, int]] = {}
        #: Offsets of STAN, RRN and response code from the MTI, by MTI and first bitmap.
        self._shapes: Final[dict[bytes, tuple[int, int, int]]] = {}

    def absorb(self, data: bytes, now_ns: int) -> tuple[int, int]:
        """Book every whole answer in `data`; return how many they were and the bytes they took.

        Raises `UnreadableAnswerError` where the stream cannot be followed any further.
        """
        end = len(data)
        at = 0
        count = 0
        binary = self.framing.header == "2b"
        header = 2 if binary else 4
        tpdu = len(self.framing.tpdu)
        shapes = self._shapes
        run = self._run
        done_ns = self.done_ns
        code_of = self.code_of
        index_of = self._index_of
        bodies = self.bodies
        while end - at > header:
            if binary:
                after = at + 2 + (data[at] << 8 | data[at + 1])
            else:
                after = at + 4 + int(data[at : at + 4])
            if after > end:
                break
            mti = at + header + tpdu
            shape = shapes.get(data[mti : mti + 12])
            if shape is None:
                shape = self._learn(data[mti:after])
            rrn = mti + shape[1]
            number = data[rrn : rrn + 12]
            if number[6:] != data[mti + shape[0] : mti + shape[0] + 6] or number[:4] != run:
                self.unexpected += 1
                at = after
                count += 1
                continue
            row = int(number[4:])
            code = data[mti + shape[2] : mti + shape[2] + 2] if shape[2] else b"--"
            index = index_of.get(code, 0) or self._index(code)
            if row < self._rows and not code_of[row]:
                code_of[row] = index
                done_ns[row] = now_ns
                if bodies is not None:
                    bodies[row] = data[mti:after]
            else:
                self._again(row, index, now_ns)
            at = after
            count += 1
        self.answered += count
        return count, at

    def _learn(self, body: bytes) -> tuple[int, int, int]:
        """Find where an answer of this shape has its numbers; keep it for the next one."""
        try:
            offsets = offsets_of(body, 39)
            shape = (offsets[11], offsets[37], offsets.get(39, 0))
        except (ValueError, KeyError, IndexError) as error:
            raise UnreadableAnswerError(
                f"an answer of {len(body)} bytes that begins `{body[:12].hex()}` cannot be read"
            ) from error
        self._shapes[body[:12]] = shape
        return shape

    def _index(self, code: bytes) -> int:
        self.codes.append(code.decode("ascii", "replace"))
        index = len(self.codes) - 1
        self._index_of[code] = index
        return index

    def _again(self, row: int, index: int, now_ns: int) -> None:
        """Book a further answer to a row: the repeat's, or one too many."""
        repeat = self._repeat_of.get(row)
        if repeat is None:
            if row < self._rows:
                self.duplicates += 1
            else:
                self.unexpected += 1
        elif self.code_of[repeat]:
            self.duplicates += 1
        else:
            if index != self.code_of[row]:
                self.differing_repeats += 1
            self.code_of[repeat] = index
            self.done_ns[repeat] = now_ns

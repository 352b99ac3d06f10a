"""The same traffic as JSON over HTTP, for peers that speak nothing else.

Every message of a run becomes a `POST` of one length, so that the generator sends it as it sends
frames: slices of one bytearray. An answer is a JSON object with `rrn`, `stan` and `code`.
"""

from __future__ import annotations

import json
from typing import Any, Final, final

from zhiwei.bench.answers import AnswerBook, UnreadableAnswerError
from zhiwei.bench.message import offsets_of
from zhiwei.bench.traffic import Traffic

#: Fields that are sent: name, number, characters.
_FIELDS: Final = (
    ("pan", 2, 16),
    ("processing", 3, 6),
    ("transmitted", 7, 10),
    ("stan", 11, 6),
    ("mcc", 18, 4),
    ("country", 19, 3),
    ("entry", 22, 3),
    ("acquirer", 32, 8),
    ("forwarder", 33, 8),
    ("rrn", 37, 12),
    ("terminal", 41, 8),
    ("merchant", 42, 15),
    ("currency", 49, 3),
)
_LENGTH: Final = b"content-length:"


def document_of(frame: bytes) -> dict[str, object]:
    """Write a message of the bench (from its MTI on) as the JSON object that peers are sent."""
    at = offsets_of(frame, 90)
    told: dict[str, object] = {
        name: frame[at[number] : at[number] + width].decode() for name, number, width in _FIELDS
    }
    told |= {"mti": frame[:4].decode(), "amount": int(frame[at[4] : at[4] + 12])}
    if 90 in at:
        # DE90: MTI, STAN, transmission time, acquirer and forwarder of what is taken back.
        original = frame[at[90] : at[90] + 42].decode()
        told["original"] = f"{original[10:20]}{original[4:10]}{original[23:31]}"
    return told


def as_http(traffic: Traffic, prefix: int, path: str) -> Traffic:
    """Write a run's frames, each after `prefix` bytes, as requests to `path`, all of one length."""
    bodies = [
        json.dumps(document_of(traffic.row(row)[prefix:]), separators=(",", ":")).encode()
        for row in range(traffic.rows)
    ]
    # White space after a JSON value belongs to it.
    width = max(map(len, bodies))
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nContent-Length: {width}\r\n\r\n"
    ).encode()
    arena = bytearray(b"".join([head + body.ljust(width) for body in bodies]))
    return Traffic(
        arena,
        len(head) + width,
        traffic.share,
        traffic.connections,
        traffic.repeat_of,
        traffic.reversal_of,
        traffic.cards,
    )


@final
class HttpAnswerBook(AnswerBook):
    """As `AnswerBook`, of answers over HTTP."""

    def absorb(self, data: bytes, now_ns: int) -> tuple[int, int]:
        """Book every whole answer in `data`; return how many they were and the bytes they took.

        Raises `UnreadableAnswerError` for an answer that is not 200, or without a length.
        """
        at = count = 0
        while (end := data.find(b"\r\n\r\n", at)) >= 0:
            head = data[at:end].lower()
            length = head.find(_LENGTH)
            if length < 0 or not head.startswith(b"http/1.1 200"):
                seen = data[at : end + 200].decode("ascii", "replace")
                raise UnreadableAnswerError(f"a peer answered: {seen}")
            after = end + 4 + int(head[length + len(_LENGTH) :].split(b"\r\n", 1)[0])
            if after > len(data):
                break
            self._book(json.loads(data[end + 4 : after]), now_ns)
            at = after
            count += 1
        self.answered += count
        return count, at

    def _book(self, answer: dict[str, Any], now_ns: int) -> None:
        number = answer["rrn"].encode()
        if number[6:] != answer["stan"].encode() or number[:4] != self._run:
            self.unexpected += 1
            return
        row = int(number[4:])
        code = answer["code"].encode()
        index = self._index_of.get(code, 0) or self._index(code)
        if row < self._rows and not self.code_of[row]:
            self.code_of[row] = index
            self.done_ns[row] = now_ns
        else:
            self._again(row, index, now_ns)

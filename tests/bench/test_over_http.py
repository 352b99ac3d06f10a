"""Traffic over HTTP: the same messages as JSON, and answers that are read whatever their pieces."""

from __future__ import annotations

import json

import pytest

from zhiwei.bench.answers import UnreadableAnswerError
from zhiwei.bench.message import Framing
from zhiwei.bench.over_http import HttpAnswerBook, as_http, document_of
from zhiwei.bench.traffic import Plan, Traffic, compose

PLAN = Plan(2_000, 4, 100, run=7)


def messages() -> Traffic:
    """A run of the bench."""
    return compose(PLAN)


def body_of(request: bytes) -> dict[str, object]:
    """The JSON object of one request."""
    head, _, body = request.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    told: dict[str, object] = json.loads(body)
    return told


def response(row: int, code: str = "00") -> bytes:
    """What a service answers to a row."""
    number = f"{PLAN.run:04d}{row:08d}"
    body = json.dumps({"rrn": number, "stan": number[6:], "code": code, "auth_code": None})
    head = f"HTTP/1.1 200 OK\r\ndate: today\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def book(traffic: Traffic) -> HttpAnswerBook:
    """An empty book for a run."""
    return HttpAnswerBook(traffic.rows, PLAN.run, Framing(), traffic.repeat_of)


def test_every_message_becomes_a_request_of_one_length() -> None:
    """Row by row the same card, amount and numbers; a reversal names its original."""
    traffic = messages()
    over_http = as_http(traffic, Framing().prefix_bytes, "/decide")
    assert len(over_http.arena) == over_http.stride * traffic.rows
    for row in range(traffic.rows):
        request = over_http.row(row)
        assert request.startswith(b"POST /decide HTTP/1.1\r\n")
        told = body_of(request)
        assert told == document_of(traffic.row(row)[Framing().prefix_bytes :])
        assert told["rrn"] == f"{PLAN.run:04d}{row:08d}" or row in traffic.repeat_of.values()
        if row in traffic.reversal_of:
            first = body_of(over_http.row(traffic.reversal_of[row]))
            assert told["original"] == f"{first['transmitted']}{first['stan']}{first['acquirer']}"
            assert told["amount"] == first["amount"]
    assert traffic.reversal_of


def test_answers_are_read_in_whatever_pieces_they_come() -> None:
    """Byte by byte or all at once: the same rows with the same codes."""
    traffic = messages()
    stream = response(3) + response(5, "62") + response(4, "01")
    for step in (1, 7, len(stream)):
        found, rest = book(traffic), b""
        for at in range(0, len(stream), step):
            rest += stream[at : at + step]
            _count, used = found.absorb(rest, 1_000 + at)
            rest = rest[used:]
        assert rest == b""
        assert [found.codes[found.code_of[row]] for row in (3, 4, 5)] == ["00", "01", "62"]
        assert found.answered == 3
        assert found.unexpected == found.duplicates == 0


def test_strange_answers_are_counted() -> None:
    """A second answer, one of another run, one whose numbers disagree."""
    traffic = messages()
    row = next(row for row in range(traffic.rows) if row not in traffic.repeat_of)
    found = book(traffic)
    found.absorb(response(row) * 2, 1)
    found.absorb(response(row).replace(b'"0007', b'"0008'), 1)
    assert found.duplicates == 1
    assert found.unexpected == 1


def test_an_error_of_the_server_ends_the_run() -> None:
    """A 500 is nobody's answer: the run cannot be judged."""
    with pytest.raises(UnreadableAnswerError, match="500 Internal"):
        book(messages()).absorb(b"HTTP/1.1 500 Internal\r\ncontent-length: 2\r\n\r\nno", 1)

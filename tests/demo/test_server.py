"""The server of the demonstration: started, killed, restarted, and told when it cannot start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zhiwei.demo.board import alert_line
from zhiwei.demo.server import Server, ServerError
from zhiwei.simulate.bank import Bank
from zhiwei.simulate.http_door import HttpDoor
from zhiwei.simulate.people import population


def test_it_comes_back_at_the_same_doors(tmp_path: Path) -> None:
    """After `kill -9` the addresses, the keys and the cards are the ones from before."""
    server = Server(tmp_path / "data", tmp_path / "server.log")
    server.start()
    doors: list[HttpDoor] = []
    try:
        before = (server.http, server.host, server.port, server.pid)
        doors.append(HttpDoor(server.http, server.key("issuer")))
        bank = Bank(doors[0])
        account = bank.register(population(21, 1)[0])
        server.kill()
        assert server.pid == 0
        with pytest.raises(ProcessLookupError):
            os.kill(before[3], 0)
        server.start()
        assert (server.http, server.host, server.port) == before[:3]
        assert server.pid != before[3]
        card = bank.door.call("GET", f"/v1/cards/{account.card_id}").document
        assert card["tail"] == account.customer.tail
    finally:
        for door in doors:
            door.close()
        assert server.stop() == 0
    assert server.stop() == 0, "stopping twice does nothing"


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The error holds the end of the server's own log."""
    (tmp_path / "data").write_text("not a folder", encoding="utf-8")
    server = Server(tmp_path / "data", tmp_path / "server.log")
    with pytest.raises(ServerError, match=r"did not start: it ended at once\n.*zhiwei: "):
        server.start()
    with pytest.raises(ServerError, match="`zhiwei keys create` ended with"):
        server.key("nobody")


def test_alerts_are_told_in_plain_words() -> None:
    """A known alert has its words and its amount; an unknown one keeps its name."""
    alert = {"type": "transaction_reversed", "data": {"amount": 2400, "currency": "CNY"}}
    assert alert_line(alert).en == "a payment was taken back CNY 24.00"
    assert alert_line(alert).zh == "交易已冲正 CNY 24.00"
    stopped = {"type": "stop_placed", "data": {"reference": "ZF1"}}
    assert alert_line(stopped).zh == "卡片已止付 #ZF1"
    assert alert_line({"type": "from_the_future", "data": {}}).en == "from_the_future"

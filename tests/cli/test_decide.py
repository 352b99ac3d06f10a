"""`zhiwei decide`: a file of messages, decided by the real guardian, and nothing written."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from zhiwei.bench.cards import pan_of
from zhiwei.bench.populate import populate
from zhiwei.cli.main import app
from zhiwei.gateways.iso8583.codec import Codec
from zhiwei.gateways.iso8583.dialect import named
from zhiwei.gateways.iso8583.frame import wrap
from zhiwei.simulate.acquirer import Acquirer
from zhiwei.simulate.days import instant
from zhiwei.simulate.doings import ATM, Deed, Doing, How
from zhiwei.simulate.people import population
from zhiwei.simulate.places import BANGKOK, GUANGZHOU
from zhiwei.stores.sqlite.store import SqliteStore

TEN_PM = "2026-11-23T14:00:00Z"
TEST_PAN = "6212345678901232"


def decided(tmp_path: Path, lines: list[Any], *words: str, exit_code: int = 0) -> list[Any]:
    """The documents that come out for lines of JSON (or texts) that go in."""
    file = tmp_path / "trial.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("\n".join(texts) + "\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["decide", str(file), "--json", "--at", TEN_PM, *words])
    assert result.exit_code == exit_code, (result.output, result.exception)
    return [json.loads(line) for line in result.stdout.splitlines()]


def purchase(**changes: object) -> dict[str, Any]:
    """CNY 68.00 by chip in Henan."""
    message: dict[str, Any] = {
        "card": "A",
        "kind": "purchase",
        "channel": "pos",
        "medium": "chip",
        "amount": 6800,
        "currency": "CNY",
        "merchant": {"region": "41"},
    }
    return {**message, **changes}


def codes(rows: list[Any]) -> list[Any]:
    """Response codes of the rows."""
    return [row["response_code"] for row in rows]


def test_the_clock_stands_where_the_lines_say(tmp_path: Path) -> None:
    """The night lock refuses from 23:00 on and says why; the line before it passes."""
    rows = decided(
        tmp_path,
        [
            {"card": "A", "control": "night_lock", "settings": {}},
            purchase(at="2026-11-23T14:59:59.999Z"),
            purchase(at="2026-11-23T15:00:00Z"),
            purchase(),
            purchase(at="2026-11-23T21:00:00Z"),
        ],
    )
    assert codes(rows) == [None, "00", "62", "62", "00"]
    reason = rows[2]["reasons"][0]
    assert reason["code"] == "night_lock_active"
    assert reason["message"]["zh"]
    assert reason["remedy"] == "exception"
    assert rows[3]["at"] == "2026-11-23T15:00:00.000Z"


def test_reversals_give_back(tmp_path: Path) -> None:
    """A message is taken back by its line, wholly or down to an amount."""
    limit = {"channel": "all", "measure": "amount", "period": "day", "amount": 10_000}
    rows = decided(
        tmp_path,
        [
            {"card": "A", "control": "limits", "settings": {"items": [limit]}},
            purchase(),
            purchase(),
            {"reverses": 2, "remaining": 3000},
            purchase(),
            {"reverses": 5},
            purchase(amount=7000),
        ],
    )
    assert codes(rows) == [None, "00", "61", "00", "00", "00", "00"]
    assert rows[2]["reasons"][0]["facts"]["used"] == 6800
    assert rows[3]["card"] == "A"


def test_settings_are_carried_out_or_say_why_not(tmp_path: Path) -> None:
    """Registration, controls, stops and their removal; a rejection has its name."""
    rows = decided(
        tmp_path,
        [
            {"card": "J", "register": {"currency": "JPY", "time_zone": "Asia/Tokyo"}},
            purchase(card="J", currency="JPY", amount=500),
            {"card": "J", "stop": True},
            purchase(card="J", currency="JPY", amount=500),
            {"card": "J", "stop": False},
            purchase(card="J", currency="JPY", amount=500),
            {"card": "J", "control": "card_lock", "settings": {}},
            {"card": "J", "control": "card_lock", "settings": None},
            {"card": "J", "control": "card_lock", "settings": None},
        ],
    )
    assert [row["decision"] for row in rows] == [
        "done", "approve", "done", "decline", "done", "approve", "done", "done",
        "control_not_found",
    ]  # fmt: skip


def test_the_same_message_is_told_to_be_one(tmp_path: Path) -> None:
    """A repeat by network identity names its first line; another body under it is a conflict."""
    identity = {"stan": "000001", "transmitted_at": "1123220000", "acquirer": "01024910"}
    rows = decided(
        tmp_path, [purchase(**identity), purchase(**identity), purchase(**identity, amount=1)]
    )
    assert codes(rows) == ["00", "00", "94"]
    assert rows[1]["repeat_of_line"] == 1
    assert rows[1]["authorization_code"] == rows[0]["authorization_code"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("not json", "Expecting value"),
        ("[1]", "a line is a JSON object"),
        ('{"card": "A"}', "a line has `kind`"),
        ({"kind": "purchase", "amount": 1, "currency": "CNY"}, "give `card` or `pan`"),
        ({"card": "A", "pan": "1", "stop": True}, "give `card` or `pan`"),
        (purchase(amount=1.5), "`/amount`"),
        (purchase(amount="1"), "`/amount`"),
        (purchase(amount=None), "`amount` is needed"),
        (purchase(color="red"), "`/color`"),
        (purchase(kind="theft"), "`/kind`"),
        (purchase(at="noon"), "RFC 3339"),
        (purchase(currency="ZZZ"), "ISO 4217"),
        (purchase(merchant={"country": "Narnia"}), "ISO 3166-1"),
        ({"card": "A", "control": "region_lock", "settings": {"regions": []}}, "at least one"),
        (
            {"card": "A", "control": "region_lock", "settings": {"regions": list("1234")}},
            "`/regions`",
        ),
        ({"card": "A", "control": "region_lock", "settings": {}}, "wrong shape"),
        ({"card": "A", "control": "overseas_lock", "settings": {"countries": ["CHN"]}}, "overseas"),
        ({"card": "A", "control": "moon_lock", "settings": {}}, "not a type of control"),
        ({"card": "A", "control": "card_lock", "settings": [], "x": 1}, "unknown name"),
        ({"card": "A", "control": "card_lock", "settings": []}, "`settings` is an object"),
        ({"card": "A", "stop": "yes"}, "`stop` is true or false"),
        ({"card": "A", "register": {"time_zone": "Mars/Base"}}, "time zone"),
        ({"reverses": 7}, "line 7 is no message"),
        ({"reverses": "7"}, "`/reverses`"),
        ({"pan": "12", "stop": True}, "12 to 19 digits"),
        ("x" * 300_000, "longer than"),
        ('{"card": "A", "stop": true, "stop": false}', "twice"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_decided(
    tmp_path: Path, line: object, said: str
) -> None:
    """What cannot be read is told with its number and reason; the exit code says so."""
    rows = decided(tmp_path, ["# a remark", "", line, purchase()], exit_code=1)
    assert rows[0]["line"] == 3
    assert said in rows[0]["error"]
    assert rows[1]["line"] == 4
    assert rows[1]["decision"] == "approve"


def test_no_card_number_comes_out(tmp_path: Path) -> None:
    """Good lines show the tail only, bad ones repeat nothing, however the number is given."""
    file = tmp_path / "trial.jsonl"
    lines = [
        purchase(card=None, pan=TEST_PAN) | {"card": None},
        {"pan": TEST_PAN, "stop": "yes"},
        {"card": TEST_PAN, "stop": True},
        purchase(card=TEST_PAN, merchant={"name": f"SHOP {TEST_PAN}", "region": "41"}),
        f'{{"pan": "{TEST_PAN}", "kind": ',
        purchase(amount=TEST_PAN),
    ]
    file.write_text(
        "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    )
    for words in (["--json"], ["--lang", "zh"]):
        result = CliRunner().invoke(app, ["decide", str(file), *words])
        assert result.exit_code == 1
        assert TEST_PAN not in result.output
        assert TEST_PAN[-4:] in result.output


def test_the_same_file_says_the_same_every_time(tmp_path: Path) -> None:
    """With its clock given, a trial is a function of its file."""
    lines = [
        {"card": "A", "control": "large_spend_verification", "settings": {"threshold": 5000}},
        purchase(),
        {"card": "A", "stop": True},
        purchase(),
    ]
    first = decided(tmp_path, lines)
    assert first == decided(tmp_path, lines)
    assert codes(first) == [None, "01", None, "62"]


def test_the_issuers_policy_is_asked(tmp_path: Path) -> None:
    """A category that the policy closes is closed in a trial too."""
    policy = tmp_path / "policy.toml"
    policy.write_text('closed_mccs = ["7995"]\n', encoding="utf-8")
    betting = purchase(merchant={"region": "41", "mcc": "7995"})
    assert codes(decided(tmp_path, [betting])) == ["00"]
    assert codes(decided(tmp_path, [betting], "--policy", str(policy))) == ["03"]


def frames_file(tmp_path: Path, *, framed: bool) -> tuple[Path, str]:
    """An approval in Guangzhou, its repeat, its reversal, and a refusal abroad, in hexadecimal."""
    dialect = named("unionpay-ascii")
    codec, acquirer = Codec(dialect), Acquirer(dialect)
    person = population(1, 1)[0]
    home = Doing(instant(20_780, 600), person, Deed.CASH, How.CHIP, ATM, GUANGZHOU, 50_000)
    sent = acquirer.request(home)
    messages = [sent, acquirer.repeat(sent), acquirer.reversal(sent)]
    messages.append(
        acquirer.request(Doing(home.at_ms, person, Deed.CASH, How.CHIP, ATM, BANGKOK, 1_000_000))
    )
    messages.append(acquirer.network("301", home.at_ms))
    bodies = [codec.encode(one.message) for one in messages]
    if framed:
        bodies = [wrap(dialect.framing, b"", body) for body in bodies]
    file = tmp_path / "frames.hex"
    lines = [body.hex() for body in bodies]
    lines[0] = f"2026-11-23T06:00:00Z {lines[0]}"
    file.write_text("\n".join([*lines, "zz", "30323030", ""]), encoding="utf-8")
    return file, person.tail


@pytest.mark.parametrize("framed", [True, False])
def test_frames_of_a_dialect_are_decided(tmp_path: Path, *, framed: bool) -> None:
    """Hexadecimal messages, with or without their length, are decided as on the wire."""
    file, tail = frames_file(tmp_path, framed=framed)
    words = ["decide", str(file), "--frames", "unionpay-ascii", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row.get("response_code") for row in rows] == ["00", "00", "00", "00", "00", None, None]
    assert rows[0]["at"] == "2026-11-23T06:00:00.000Z"
    assert rows[0]["card"] == f"*{tail}"
    assert rows[1]["repeat_of_line"] == 1
    assert "reversal" in rows[2]["what"]
    assert "THA" in rows[3]["what"]
    assert "hexadecimal" in rows[5]["error"]
    assert "the message ends" in rows[6]["error"]


def test_people_get_a_table(tmp_path: Path) -> None:
    """Without --json there are aligned lines, a reason in the language asked for, and a sum."""
    file = tmp_path / "trial.jsonl"
    lines = [{"card": "A", "stop": True}, purchase()]
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    result = CliRunner().invoke(app, ["decide", str(file), "--lang", "zh"])
    assert result.exit_code == 0
    assert "decline 62" in result.stdout
    assert "止付" in result.stdout
    assert result.stdout.splitlines()[-1] == "1 decline, 1 done"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a few cards of the bench, as the doors would have made it."""
    folder = tmp_path_factory.mktemp("decide") / "data"
    populate(folder, 40, by_commands=True)
    return folder


def digest(folder: Path) -> dict[str, str]:
    """Every file of a folder and a digest of its content."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def test_a_copy_of_the_data_decides_and_the_data_stay(tmp_path: Path, data: Path) -> None:
    """Cards of a data directory are known with their controls; not a byte there changes."""
    before = digest(data)
    lines = [{**purchase(), "card": None, "pan": pan_of(card)} for card in (0, 1, 2, 3)]
    lines += [{"pan": pan_of(3), "stop": True}, {**lines[3]}]
    for line in lines:
        line.pop("card", None)
    rows = decided(tmp_path, lines, "--data", str(data))
    assert [row["decision"] for row in rows][3:] == ["approve", "done", "decline"]
    assert digest(data) == before
    again = decided(tmp_path, lines, "--data", str(data))
    assert again == rows, "the first trial left nothing behind"


def test_a_copy_is_made_beside_a_writer(tmp_path: Path, data: Path) -> None:
    """While another process has the data open, a trial reads them and writes nothing."""
    store = SqliteStore(data)
    try:
        names = {path.name for path in data.iterdir()}
        log = data / "zhiwei.db-wal"
        size = log.stat().st_size
        lines = [{"pan": pan_of(5), "kind": "balance_inquiry", "channel": "atm"}]
        assert codes(decided(tmp_path, lines, "--data", str(data))) == ["00"]
        assert {path.name for path in data.iterdir()} == names
        assert log.stat().st_size == size
    finally:
        import asyncio

        asyncio.run(store.close())


def test_a_card_that_the_data_do_not_have_is_not_found(tmp_path: Path, data: Path) -> None:
    """A number that was never registered is answered 14; a name that is no id is a bad line."""
    stranger = purchase(pan=TEST_PAN)
    del stranger["card"]
    rows = decided(tmp_path, [stranger, purchase()], "--data", str(data), exit_code=1)
    assert (rows[0]["decision"], rows[0]["response_code"]) == ("card_not_found", "14")
    assert "the id of a card" in rows[1]["error"]


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (["/nowhere/at-all.jsonl"], 3, "cannot be read"),
        (["-", "--data", "/nowhere"], 3, "no key file"),
        (["-", "--frames", "klingon"], 3, "no dialect"),
        (["-", "--policy", "/nowhere.toml"], 3, "policy file"),
        (["-", "--at", "noon"], 2, "RFC 3339"),
        (["-", "--lang", "fr"], 2, "not one of"),
    ],
)
def test_what_cannot_be_done_is_said(words: list[str], exit_code: int, said: str) -> None:
    """A message and the documented exit code, never a traceback."""
    run = subprocess.run(
        [sys.executable, "-m", "zhiwei", "decide", *words],
        input="",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == exit_code, run.stderr
    assert said in run.stderr
    assert "Traceback" not in run.stderr


def test_lines_come_from_a_pipe() -> None:
    """`-` reads standard input."""
    run = subprocess.run(
        [sys.executable, "-m", "zhiwei", "decide", "-", "--json"],
        input=json.dumps(purchase()) + "\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["decision"] == "approve"

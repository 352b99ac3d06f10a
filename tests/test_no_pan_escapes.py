"""No card number escapes: canaries go in through every door, and every trace is searched.

A real server takes good, stuffed and damaged messages in every dialect, every HTTP call with a
number in every place, and text messages; the command line decides, verifies, exports, imports and
backs up. Then every file that was written, every line that was said and every answer is searched
for the numbers, the tracks, the PIN blocks and the verification values, in every form that the
scanner knows. Only one thing may come back: what a message itself said, in fields of its answer
that repeat it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.canary import cards
from tests.canary.calls import Call, CallMaker
from tests.canary.frames import FrameMaker
from tests.canary.scanner import Leak, Scanner
from tests.canary.serving import Doors, Program, exchanged
from zhiwei.gateways.iso8583 import dialect as dialects

#: Dialects in which no answers are due.
READING_ONLY = frozenset(("mastercard-clearing",))
SCANNER = Scanner(cards.EVERYTHING)
SCANNER_OF_SECRETS = Scanner(cards.TRAVELLING)


@dataclass
class Evidence:
    """What was left behind and what came back."""

    root: Path
    #: Name of the call, and all of the answer.
    http: list[tuple[str, bytes]] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    metrics: bytes = b""
    #: By dialect: response codes of the answers, and what in them is not a repetition.
    codes: dict[str, Counter[str]] = field(default_factory=dict)
    iso8583: list[tuple[str, bytes]] = field(default_factory=list)
    repeated: list[tuple[str, bytes]] = field(default_factory=list)
    exit_codes: dict[str, int] = field(default_factory=dict)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Everything that a day full of canaries leaves behind."""
    found = Evidence(tmp_path_factory.mktemp("house"))
    program = Program(found.root)
    outside = tmp_path_factory.mktemp("outside")
    program.data.mkdir()
    key = program.key("issuer")
    for index, name in enumerate(dialects.names()):
        with program.serving("--dialect", name) as doors:
            if index == 0:
                ids = _register(doors, key)
                _call_everything(
                    doors, key, program.key(f"cardholder:{ids['cardholder']}"), ids, found
                )
            _send_everything(doors, name, found)
            if index == len(dialects.names()) - 1:
                found.metrics = httpx.get(f"{doors.http}/metrics").content
    _run_commands(program, outside, found)
    return found


def _register(doors: Doors, key: str) -> dict[str, str]:
    """Three cards of one person; the ids by the names that paths and bodies have for them."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=doors.http, headers=headers) as client:
        person = {"name": "Somebody", "phone": "+8613800000000"}
        cardholder = client.post("/v1/cardholders", json=person).json()["id"]
        ids = []
        for pan in (cards.REGISTERED, cards.LONG, cards.ODD):
            body = {"pan": pan, "cardholder": cardholder, "currency": "CNY", "has_chip": False}
            body |= {"time_zone": "Asia/Shanghai", "network": "unionpay"}
            answer = client.post("/v1/cards", json=body)
            assert answer.status_code in (200, 201), answer.text
            ids.append(answer.json()["id"])
        paid = {"pan": cards.REGISTERED, "kind": "preauthorization", "amount": 100}
        paid |= {"currency": "CNY", "channel": "pos", "medium": "chip"}
        authorization = client.post("/v1/authorizations", json=paid).json()["id"]
    return {"card": ids[0], "cardholder": cardholder, "authorization": authorization}


def _call_everything(
    doors: Doors, key: str, person_key: str, ids: dict[str, str], found: Evidence
) -> None:
    """Every call of the contract, by the issuer, by a cardholder and without a key."""
    headers = {"Authorization": f"Bearer {key}", "Authentication-Strength": "strong"}
    with httpx.Client(base_url=doors.http, timeout=60) as client:
        contract = client.get("/openapi.json").json()
        for call in CallMaker(contract, ids).all():
            _make(client, call, headers, found)
        for call in CallMaker(contract, {}).all():
            if call.body is None or b"card " in call.body:
                _make(client, call, {"Authorization": f"Bearer {person_key}"}, found)
        for wrong in (cards.IN_HEADER, f"zw_{cards.IN_HEADER}", f"Bearer {cards.IN_HEADER}"):
            _make(client, Call("GET", "/v1/cards"), {"Authorization": wrong}, found)
        for text in (f"ZF#{cards.IN_TEXT}", f"STOP {cards.IN_TEXT}", cards.IN_TEXT, "ZF#1232"):
            body = json.dumps({"from": "+8613800000000", "text": text}).encode()
            path = "/v1/inbound_messages"
            _make(
                client,
                Call("POST", path, {"Content-Type": "application/json"}, body),
                headers,
                found,
            )


def _make(client: httpx.Client, call: Call, headers: dict[str, str], found: Evidence) -> None:
    """Make one call, and keep all of the answer."""
    answer = client.request(
        call.method, call.path, headers={**headers, **call.headers}, content=call.body
    )
    said = b"\n".join(name + b": " + value for name, value in answer.headers.raw)
    route = call.path.partition("?")[0]
    found.http.append((f"{call.method} {route[:60]} → {answer.status_code}", said + answer.content))
    found.statuses[answer.status_code] += 1


def _send_everything(doors: Doors, name: str, found: Evidence) -> None:
    """Good, stuffed and damaged messages on one line, and lines that are no ISO 8583 at all."""
    maker = FrameMaker(name)
    frames = [
        frame for pan in (cards.REGISTERED, cards.LONG, cards.ODD) for frame in maker.good(pan)
    ]
    frames += maker.good(cards.UNKNOWN)
    frames += maker.stuffed(cards.STUFFED)
    frames += maker.stuffed(cards.REGISTERED)
    frames += maker.stuffed(cards.STUFFED, own=cards.LONG)
    frames += maker.damaged(cards.BROKEN, seed=1)
    others = [FrameMaker(other) for other in dialects.names() if other != name]
    lines = [b"".join(frames)]
    lines += [b"".join(other.good(cards.BROKEN)) for other in others]
    lines += maker.unframed(cards.BROKEN)
    with ThreadPoolExecutor(4) as pool:
        received = list(pool.map(lambda sent: exchanged(doors.iso8583, sent), lines))
    codes: Counter[str] = Counter()
    for answers in received:
        for answer in maker.messages_in(answers):
            codes[answer.text(39)] += 1
            for number, value in answer.fields.items():
                content = value if isinstance(value, bytes) else value.encode("latin-1")
                is_repeated = number in maker.dialect.meaning.echo
                where = found.repeated if is_repeated else found.iso8583
                where.append((f"{name}, DE{number} of an answer", content))
    found.codes[name] = codes


def _run_commands(program: Program, outside: Path, found: Evidence) -> None:
    """Decide, verify, export, import, back up: with numbers in files and in arguments."""
    messages = outside / "messages.jsonl"
    lines = [
        {
            "pan": cards.IN_FILE,
            "kind": "purchase",
            "channel": "pos",
            "amount": 1,
            "currency": "CNY",
        },
        {"pan": cards.REGISTERED, "kind": "balance_inquiry", "channel": "atm"},
        {"pan": cards.IN_FILE, "kind": "purchase", "amount": cards.IN_FILE},
        {"card": cards.IN_FILE, "kind": cards.IN_FILE, cards.IN_FILE: cards.IN_FILE},
    ]
    text = "\n".join(map(json.dumps, lines)) + f'\n{cards.IN_FILE}\n{{"pan": "{cards.IN_FILE}\n'
    messages.write_text(text)
    frames = outside / "frames.txt"
    made = FrameMaker("unionpay-ascii")
    sent = [*made.good(cards.IN_FILE), *made.stuffed(cards.IN_FILE[:14] + "00")]
    sent += made.damaged(cards.IN_FILE, seed=2)
    frames.write_text("\n".join(frame.hex() for frame in sent) + f"\n{cards.IN_FILE}\n")
    data = str(program.data)
    exported = str(program.root / "export.jsonl")
    commands = {
        "decide": ("decide", str(messages)),
        "decide --json": ("decide", str(messages), "--json"),
        "decide --data": ("decide", str(messages), "--data", data),
        "decide --frames": ("decide", str(frames), "--frames", "unionpay-ascii"),
        "verify": ("verify", "--data", data),
        "verify --json": ("verify", "--data", data, "--json"),
        "export": ("export", exported, "--data", data),
        "import": ("import", exported, "--data", str(program.root / "imported")),
        "backup": ("backup", str(program.root / "backup"), "--data", data),
        "keys list": ("keys", "list", "--data", data),
        "a wrong word": ("decide", cards.IN_ARGUMENT, f"--{cards.IN_ARGUMENT}"),
        "a wrong address": ("serve", "--http", f"{cards.IN_ARGUMENT}:{cards.IN_ARGUMENT}"),
        "a wrong dialect": ("serve", "--data", data, "--dialect", cards.IN_ARGUMENT),
        "a wrong key": ("keys", "revoke", cards.IN_ARGUMENT, "--data", data),
        "a wrong scope": ("keys", "create", "--scope", cards.IN_ARGUMENT, "--data", data),
    }
    for name, words in commands.items():
        found.exit_codes[name] = program.run(*words).returncode


def _leaks_in(scanner: Scanner, named: list[tuple[str, bytes]]) -> Iterator[Leak]:
    """Leaks in many small contents, looked through together, and one by one if there are any."""
    if scanner.in_bytes("all", b"\n<<next>>\n".join(content for _, content in named)):
        for name, content in named:
            yield from scanner.in_bytes(name, content)


def _said(leaks: Iterator[Leak]) -> None:
    """Fail with all leaks at once, one on a line."""
    found = sorted({str(leak) for leak in leaks})
    if found:
        pytest.fail("\n".join([f"{len(found)} leaks:", *found[:50]]), pytrace=False)


def test_the_canaries_went_in(evidence: Evidence) -> None:
    """The doors were really used: calls worked and failed, dialects approved and complained."""
    assert evidence.statuses.keys() >= {200, 201, 400, 401, 403, 404, 415, 422}, evidence.statuses
    assert not evidence.statuses.keys() & {500, 502, 503, 504}, evidence.statuses
    for name, codes in evidence.codes.items():
        if name not in READING_ONLY:
            assert codes["00"] > 10, (name, codes)
            assert codes["14"] > 0, (name, codes)
            assert codes["30"] > 10, (name, codes)
    good = {"verify", "verify --json", "export", "import", "backup", "keys list"}
    assert {name: evidence.exit_codes[name] for name in good} == dict.fromkeys(good, 0)
    assert {evidence.exit_codes[name] for name in evidence.exit_codes if "decide" in name} == {1}
    wrong = {name for name in evidence.exit_codes if name.startswith("a wrong")}
    assert all(evidence.exit_codes[name] in (2, 3) for name in wrong), evidence.exit_codes


def test_no_file_holds_a_secret(evidence: Evidence) -> None:
    """Data, logs, everything said, exports, backups, home and temporary files: nothing is there."""
    assert list((evidence.root / "data").glob("*.db"))
    assert any("iso8583_format_error" in p.read_text() for p in evidence.root.glob("logs/*.err"))
    _said(iter(SCANNER.in_tree(evidence.root)))


def test_no_answer_of_the_http_door_holds_a_secret(evidence: Evidence) -> None:
    """Bodies and headers of all answers, errors included."""
    _said(_leaks_in(SCANNER, evidence.http))


def test_no_metric_holds_a_secret(evidence: Evidence) -> None:
    """Names, labels and values of all series."""
    assert b"zhiwei_decisions_total" in evidence.metrics
    _said(iter(SCANNER.in_bytes("/metrics", evidence.metrics)))


def test_an_iso_answer_repeats_what_it_must_and_adds_nothing(evidence: Evidence) -> None:
    """Fields that are repeated hold no track, PIN or cryptogram; all others hold nothing."""
    assert len(evidence.iso8583) > 1000
    _said(_leaks_in(SCANNER, evidence.iso8583))
    _said(_leaks_in(SCANNER_OF_SECRETS, evidence.repeated))

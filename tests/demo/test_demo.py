"""The demonstration, held for real: a server, a crash, and every claim checked."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.programs import started

from zhiwei.demo import checks
from zhiwei.demo.checks import Claims
from zhiwei.demo.crash import crash_customers
from zhiwei.simulate.http_door import HttpDoor, HttpDoorError
from zhiwei.simulate.people import population
from zhiwei.simulate.telling import Line, Tone


class Listener:
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.tones: list[Tone] = []

    def hear(self, tone: Tone, line: Line) -> None:
        """One sentence."""
        self.tones.append(tone)


def demo(*words: str) -> subprocess.CompletedProcess[str]:
    """`zhiwei demo`, as a person types it."""
    return subprocess.run(
        [sys.executable, "-m", "zhiwei", "demo", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def test_the_demonstration_keeps_its_word(tmp_path: Path) -> None:
    """In its fast form every act is held and every claim holds; the summary says so."""
    run = demo("--fast", "--json", "--data", str(tmp_path))
    assert run.returncode == 0, run.stdout + run.stderr
    summary = json.loads(run.stdout)
    assert summary["as_claimed"] is True
    acts = {claim["act"].partition(":")[0] for claim in summary["claims"]}
    assert acts == {
        checks.OPENING, checks.TOWN, checks.FRAUD, checks.CRASH, checks.WHY, checks.CHECKUP,
        checks.FACES,
    }  # fmt: skip
    assert len(summary["claims"]) >= 50
    texted = [claim["claim"] for claim in summary["claims"] if "on the phone" in claim["claim"]]
    assert len(texted) >= 5, "what the cardholders read and wrote went over SMPP"
    assert summary["town"]["unanswered"] == 0
    assert summary["acknowledged"] > 0
    assert summary["unanswered"] > 0, "the crash came in the middle of traffic"
    assert summary["verify"].startswith("clean")
    assert summary["score_after"] > summary["score_before"]
    assert_no_card_number_was_left(tmp_path, run.stdout)


def assert_no_card_number_was_left(folder: Path, said: str) -> None:
    """No number of the town or of the crash is in a file of the server or in what was said."""
    people = [*population(2026, 24), *crash_customers(2026)]
    numbers = [person.pan.encode() for person in people]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "server.log" for path in files)
    assert any(path.name == "zhiwei.db" for path in files)
    for content in (said.encode(), *(path.read_bytes() for path in files)):
        assert not any(number in content for number in numbers)


def test_people_read_plain_lines_and_may_look_on() -> None:
    """Without a terminal there are lines and no control codes; what it says to try next works.

    With --keep-running the server stays until a person interrupts, and then it is gone.
    """
    words = [sys.executable, "-m", "zhiwei", "demo", "--fast", "--lang", "zh", "--seed", "7"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with started([*words, "--keep-running"], environment, with_errors=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        said = "".join(lines)
        for title in ("开业", "小镇的一天", "一张被复制的卡", "不是我", "断电", "为什么被拒绝"):
            assert f"■ {title}" in said, said
        assert re.search(r"演示完成：\d+ 项全部如所述", said)
        assert "\x1b" not in said
        assert re.search(r"\[何雨的手机\] → N\d{6}\n    \[何雨的手机\] ← 【智卫】.*已止付", said)
        assert_the_lines_work(said)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stdout.read() == ""
    with pytest.raises(HttpDoorError, match="no answer"):
        HttpDoor(re.findall(r"http://[0-9.:]+", said)[0], "x").call("GET", "/healthz")


def assert_the_lines_work(said: str) -> None:
    """The lines for curl name a server that answers, and a key that it knows."""
    calls = re.findall(r"Bearer (\S+)' '?(http://[0-9.:]+)(/v1/[^'\s]+)", said)
    assert len(calls) == 2
    for key, server, path in calls:
        door = HttpDoor(server, key)
        assert "data" in door.call("GET", path).document
        door.close()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    """Data of yesterday would make today's claims false, so they are not touched."""
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    run = demo("--fast", "--data", str(tmp_path))
    assert run.returncode == 3
    assert "is not empty" in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demonstration_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Ended in the middle: the server is gone, and so is the folder that was made for it.

    Also where a script started it with `&`, and the shell has Ctrl-C ignored.
    """
    script = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
    words = [*script, sys.executable, "-m", "zhiwei", "demo", "--fast", "--lang", "en"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": str(tmp_path)}
    with started(words, environment) as process:
        assert process.stdout is not None
        found = None
        while found is None:
            line = process.stdout.readline()
            assert line, "the demonstration ended too early"
            found = re.search(r"process (\d+)", line)
        process.send_signal(number)
        assert process.wait(60) == 130
        process.stdout.read()
    with pytest.raises(ProcessLookupError):
        os.kill(int(found[1]), 0)
    assert not list(tmp_path.iterdir())


def test_a_claim_that_does_not_hold_is_not_forgotten() -> None:
    """One broken claim is enough, it is said aloud, and no claims at all are no proof."""
    listener = Listener()
    claims = Claims(listener)
    assert not Claims(listener).held
    claims.claim(checks.TOWN, held=True, line=Line("对", "right"))
    claims.note(checks.FRAUD, "right as well", held=True)
    assert [claim.held for claim in claims.all] == [True, True]
    claims.claim(checks.CRASH, held=False, line=Line("错", "wrong"))
    assert [claim.text for claim in claims.failed] == ["wrong"]
    assert not claims.held
    assert listener.tones == [Tone.PROOF, Tone.WRONG]

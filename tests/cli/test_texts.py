"""`zhiwei texts`: every text can be seen before anybody gets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from zhiwei.cli.main import app
from zhiwei.core.event import EventKind
from zhiwei.words import catalogue


def shown(*words: str) -> list[dict[str, Any]]:
    """What the command says for machines."""
    result = CliRunner().invoke(app, ["texts", "--json", *words])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_every_text_of_the_catalogue_is_shown_in_both_languages() -> None:
    """Messages of all kinds, operators' chat and replies, with their sizes."""
    documents = shown()
    assert {document["language"] for document in documents} == {"zh", "en"}
    names = {document["name"] for document in documents}
    kinds = {name.split(".")[1] for name in names if name.startswith(("message.", "chat."))}
    assert kinds == {kind.word for kind in EventKind}
    replies = {key for key in catalogue("zh") if key.startswith("sms.")}
    assert replies <= names
    for document in documents:
        assert document["text"]
        assert "{" not in document["text"]
        assert "…" not in document["name"]
        if document["channel"] == "sms":
            assert document["text"].startswith(("【智卫】", "[Zhiwei] "))
            assert document["parts"] == 1 or document["name"].startswith("sms."), document
            assert document["encoding"] in ("gsm-7", "ucs-2")
        else:
            assert document["channel"] == "chat"


def test_one_language_one_channel_and_the_issuers_own_signature(tmp_path: Path) -> None:
    """As they are with the issuer's settings."""
    settings = tmp_path / "messages.toml"
    settings.write_text('[alerts]\nsignature = "南山银行"\n', encoding="utf-8")
    for document in shown("--lang", "zh", "--messages", str(settings)):
        assert document["language"] == "zh"
        if document["channel"] == "sms":
            assert document["text"].startswith("【南山银行】")
    letters = [d for d in shown("--channel", "email", "--lang", "en") if d["channel"] != "chat"]
    assert letters
    assert all(document["subject"] for document in letters)
    assert {document["channel"] for document in letters} == {"email"}


def test_people_see_text_and_size() -> None:
    """Two lines for each text message."""
    result = CliRunner().invoke(app, ["texts", "--lang", "zh"])
    assert result.exit_code == 0
    assert "message.stop_placed · zh · sms · 1 part, 67 units of ucs-2\n    【智卫】尾号1234" in (
        result.output
    )
    assert CliRunner().invoke(app, ["texts", "--lang", "fr"]).exit_code == 2

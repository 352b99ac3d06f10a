"""messages.toml: what it says is used, and what it should not say is an error with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from zhiwei.messaging.settings import MessagesFileError, MessagingSettings, load_messages

WHOLE = """
[outbox]
first_pause_ms = 500
longest_pause_minutes = 10
dead_after_hours = 48
too_old_hours = 24
at_once = 64
breaker_failures = 2
breaker_pause_ms = 1000
kept_days = 30
poll_ms = 10

[budgets]
sms_per_card_hour = 5
prefix_digits_left_out = 5

[alerts]
signature = "某某银行"

[sms]
kind = "smpp"
port = 2775
secure = true
allowed = ["a", "b"]
password_file = "secret"
[sms.headers]
X-Key = "1"

[push]
"""


def load(tmp_path: Path, text: str) -> MessagingSettings:
    """The settings of a file that says this."""
    path = tmp_path / "messages.toml"
    path.write_text(text, encoding="utf-8")
    return load_messages(path)


def test_what_the_file_says_is_used(tmp_path: Path) -> None:
    """Times have their units, channels their tables, secrets their files."""
    (tmp_path / "secret").write_text("s3cret\n", encoding="utf-8")
    found = load(tmp_path, WHOLE)
    assert found.outbox.longest_pause_ms == 600_000
    assert found.outbox.dead_after_ms == 2 * 86_400_000
    assert found.outbox.kept_ms == 30 * 86_400_000
    assert (found.outbox.at_once, found.outbox.poll_ms) == (64, 10)
    assert (found.budgets.sms_per_card_hour, found.budgets.sms_per_number_hour) == (5, 30)
    assert found.alerts.signature == "某某银行"
    assert set(found.channels) == {"sms", "push", "webhooks"}
    sms = found.channels["sms"]
    assert sms.choice("kind", None, ("smpp", "http")) == "smpp"
    assert (sms.whole("port", None, 1, 65_535), sms.truth("secure")) == (2775, True)
    assert sms.texts("allowed") == ("a", "b")
    assert sms.secret("password") == "s3cret"
    assert sms.text("missing", "else") == "else"
    headers = sms.table("headers")
    assert {name: headers.text(name) for name in headers.names()} == {"X-Key": "1"}
    sms.done()
    assert "s3cret" not in repr(found)


def test_without_a_file_there_are_webhooks_only() -> None:
    """The defaults are those of the rules."""
    ours = MessagingSettings()
    assert set(ours.channels) == {"webhooks"}
    assert ours.outbox.dead_after_ms == 3 * 86_400_000
    assert ours.outbox.breaker_pause_ms <= 5_000


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[outbox]\nfirst_pause = 1", "outbox.first_pause"),
        ("[outbox]\nat_once = 0", "outbox.at_once"),
        ("[outbox]\nat_once = true", "outbox.at_once"),
        ("[outbox]\nfirst_pause_ms = 3000000\nlongest_pause_minutes = 1", "outbox.first_pause_ms"),
        ("[budgets]\nsms_per_card_hour = -1", "budgets.sms_per_card_hour"),
        ("[alerts]\nsignature = 'http://a.b'", "alerts.signature"),
        ("[alerts]\nsignature = '【a】'", "alerts.signature"),
        ("[alerts]\nsignature = ''", "alerts.signature"),
        ("[smss]\n", "smss"),
        ("sms = 1", "sms"),
    ],
)
def test_what_is_not_allowed_is_told_with_its_place(tmp_path: Path, text: str, place: str) -> None:
    """A typing error never becomes a default."""
    with pytest.raises(MessagesFileError, match=rf"`{place}`"):
        load(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, too large, no TOML, no UTF-8: each is said."""
    path = tmp_path / "messages.toml"
    with pytest.raises(MessagesFileError, match="cannot be read"):
        load_messages(path)
    path.write_bytes(b"#" * (1 << 20) + b"##")
    with pytest.raises(MessagesFileError, match="larger"):
        load_messages(path)
    for raw in (b"[outbox", b"a = '\xff'", b"a = " + b"[" * 100_000):
        path.write_bytes(raw)
        with pytest.raises(MessagesFileError, match="not TOML"):
            load_messages(path)


def test_names_that_no_gateway_asked_for(tmp_path: Path) -> None:
    """`done` finds them, in tables within tables too."""
    sms = load(tmp_path, "[sms]\nhost = 'a'\n[sms.tls]\nca = 'b'\nnope = 1").channels["sms"]
    assert (sms.text("host"), sms.table("tls").text("ca")) == ("a", "b")
    with pytest.raises(MessagesFileError, match=r"`sms.tls.nope`"):
        sms.done()
    with pytest.raises(MessagesFileError, match=r"`sms.port` is missing"):
        sms.whole("port")
    with pytest.raises(MessagesFileError, match=r"`sms.host`"):
        sms.text("host", longest=0)


def test_secrets_are_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in an error, whatever is wrong with them; and they come from three places."""
    monkeypatch.setenv("ZHIWEI_TEST_SECRET", "from-env")
    text = "[sms]\nkey = 's3cret'\nkey_file = 'x'\nother_env = 'ZHIWEI_TEST_SECRET'\nplain = 's'\n"
    sms = load(tmp_path, f"{text}gone_file = 'gone'\nunset_env = 'ZHIWEI_TEST_UNSET'").channels[
        "sms"
    ]
    assert sms.secret("other") == "from-env"
    assert sms.secret("plain") == "s"
    assert sms.secret("none", "") == ""
    for name, words in (("key", "leave one out"), ("gone", "cannot be read"), ("unset", "not set")):
        with pytest.raises(MessagesFileError, match=words) as caught:
            sms.secret(name)
        assert "s3cret" not in str(caught.value)
    with pytest.raises(MessagesFileError, match="is missing"):
        sms.secret("nothing")

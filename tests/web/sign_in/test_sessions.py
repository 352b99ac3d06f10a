"""Sessions: whose a cookie is, for how long, and the tokens of its forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from zhiwei.clock import ManualClock
from zhiwei.stores.faces import FILE_NAME, SqliteFaceStore
from zhiwei.web.sign_in.model import Face, Proof, Role, Session
from zhiwei.web.sign_in.sessions import IDLE_MS, TOUCH_MS, Sessions, csrf_token, is_csrf_token

NOW = 1_763_956_800_000
MINUTE = 60_000


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands."""
    return ManualClock(NOW)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteFaceStore]:
    """A new store."""
    one = SqliteFaceStore(tmp_path)
    yield one
    one.close()


@pytest.fixture
def sessions(store: SqliteFaceStore, clock: ManualClock) -> Sessions:
    """Sessions on it."""
    return Sessions(store, clock)


def opened(sessions: Sessions, face: Face = Face.CARDHOLDER) -> tuple[str, Session]:
    """A session of somebody."""
    return sessions.open(face, "someone", "holder_1", Role.VIEWER, Proof.CODE)


def test_a_cookie_leads_to_its_session(sessions: Sessions, tmp_path: Path) -> None:
    """Its value is in no file, and each sign-in makes another one."""
    cookie, session = opened(sessions)
    other, _ = opened(sessions)
    assert cookie != other
    assert sessions.session_of(cookie) == session
    for path in tmp_path.iterdir():
        assert cookie.encode() not in path.read_bytes()
    assert (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize("cookie", ["", "x", "a" * 43, "a" * 44, "é" * 43, "a" * 42 + "\n"])
def test_other_texts_lead_nowhere(sessions: Sessions, cookie: str) -> None:
    """Whatever a browser may send is no session, and ending it is no error."""
    opened(sessions)
    assert sessions.session_of(cookie) is None
    sessions.end(cookie)


def test_the_hash_is_no_cookie(sessions: Sessions) -> None:
    """Who reads the file cannot use what stands in it."""
    _, session = opened(sessions)
    assert sessions.session_of(session.id) is None


@pytest.mark.parametrize("face", list(Face))
def test_a_session_ends_when_nobody_uses_it(
    sessions: Sessions, clock: ManualClock, face: Face
) -> None:
    """Up to the last millisecond it lives, and each use makes it live on; then it is gone."""
    cookie, _ = opened(sessions, face)
    for _ in range(3):
        clock.advance(IDLE_MS[face] - 1)
        assert sessions.session_of(cookie) is not None
    clock.advance(IDLE_MS[face])
    assert sessions.session_of(cookie) is None
    clock.move_to(NOW)
    assert sessions.session_of(cookie) is None


def test_a_session_ends_after_twelve_hours_of_use(sessions: Sessions, clock: ManualClock) -> None:
    """However often it is used."""
    cookie, _ = opened(sessions)
    for _ in range(12 * 6 - 1):
        clock.advance(10 * MINUTE)
        assert sessions.session_of(cookie) is not None
    clock.advance(10 * MINUTE - 1)
    assert sessions.session_of(cookie) is not None
    clock.advance(1)
    assert sessions.session_of(cookie) is None


def test_uses_are_written_once_a_minute(
    sessions: Sessions, store: SqliteFaceStore, clock: ManualClock
) -> None:
    """Pages of one minute cost one write."""
    cookie, session = opened(sessions)
    clock.advance(TOUCH_MS - 1)
    sessions.session_of(cookie)
    assert store.session(session.id) == session
    clock.advance(1)
    assert sessions.session_of(cookie) == replace(session, seen_ms=NOW + TOUCH_MS)
    assert store.session(session.id) == replace(session, seen_ms=NOW + TOUCH_MS)


def test_sessions_are_ended(sessions: Sessions) -> None:
    """One, or all of a person."""
    first, _ = opened(sessions)
    second, _ = opened(sessions)
    third, _ = opened(sessions)
    sessions.end(first)
    assert sessions.session_of(first) is None
    assert sessions.session_of(second) is not None
    assert sessions.end_all("someone") == 2
    assert sessions.session_of(third) is None


def test_tokens_of_forms_differ_and_are_all_valid(sessions: Sessions) -> None:
    """No token repeats, none holds the secret, and another session's is refused."""
    _, session = opened(sessions)
    _, other = opened(sessions)
    tokens = {csrf_token(session) for _ in range(50)}
    assert len(tokens) == 50
    for token in tokens:
        assert session.csrf not in token
        assert is_csrf_token(session, token)
        assert not is_csrf_token(other, token)


@pytest.mark.parametrize("text", ["", "00", "0" * 128, "g" * 128, "é", "0" * 127, "0" * 256])
def test_other_texts_are_no_token(sessions: Sessions, text: str) -> None:
    """Whatever a form may carry."""
    _, session = opened(sessions)
    assert not is_csrf_token(session, text)
    token = csrf_token(session)
    assert not is_csrf_token(session, token[:-1] + ("0" if token[-1] != "0" else "1"))

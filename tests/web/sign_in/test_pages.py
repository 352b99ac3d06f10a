"""The pages of entrance, keys and proof, as a browser meets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from tests.gateways.http.house import NOON
from tests.web.sign_in.device import Device
from tests.web.sign_in.hall import PHONE, Browser, Hall, sentences
from tests.web.sign_in.provider import CLIENT, SECRET, IdentityProvider

from zhiwei.web.sign_in.codes import new_link
from zhiwei.web.sign_in.entering import FRESH_MS
from zhiwei.web.sign_in.model import Deed, Face, Session
from zhiwei.web.sign_in.settings import FaceSettings, Provider

STRANGER = "+8613900139000"


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """A hall."""
    one = Hall(tmp_path)
    yield one
    one.close()


@pytest.fixture
def visitor(hall: Hall) -> Browser:
    """A browser in it."""
    return Browser(hall)


def asked(visitor: Browser, phone: str = PHONE) -> httpx.Response:
    """Ask for a code."""
    visitor.get("/sign-in")
    return visitor.post("/sign-in", phone=phone)


def deed_of(hall: Hall, session: Session, deed_id: str = "deed_1") -> str:
    """A change that waits; its page."""
    deed = Deed(deed_id, session.id, "lift_stop", "card_1", "{}", NOON, NOON + 600_000)
    hall.store.add_deed(deed)
    return f"/me/prove/{deed_id}"


def with_passkey(visitor: Browser) -> Device:
    """Sign in and add a passkey by the pages."""
    device = Device(counter=0)
    visitor.sign_in()
    visitor.get("/me/security")
    question = visitor.call("/me/security/passkeys/question")
    answer = visitor.call("/me/security/passkeys", answer=device.make(question.text), label="电话")
    assert answer.json() == {"to": "/me/security"}
    return device


def test_catalogues_have_the_same_sentences() -> None:
    """Chinese and English, with the same facts in them."""
    zh, en = sentences("zh"), sentences("en")
    assert zh.keys() == en.keys()
    for key, text in zh.items():
        assert sorted(text.split("{")[1:]) != [""] or key
        assert {p.split("}")[0] for p in text.split("{")[1:]} == {
            p.split("}")[0] for p in en[key].split("{")[1:]
        }


def test_a_code_lets_a_cardholder_in(hall: Hall, visitor: Browser) -> None:
    """Phone, code, home; the cookie is strict, the trail has the sign-in, no address the number."""
    sent = asked(visitor, "138 0013 8000")
    assert (sent.status_code, sent.headers["Location"]) == (303, "/sign-in/code")
    visitor.get("/sign-in/code")
    assert "尾号8000" in visitor.text
    entered = visitor.post("/sign-in/code", code=hall.code)
    assert (entered.status_code, entered.headers["Location"]) == (303, "/me")
    cookie = next(c for c in entered.headers.get_list("set-cookie") if c.startswith("zw="))
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert hall.audits() == [("session.opened", hall.holder)]
    assert visitor.get("/me/security").status_code == 200


def test_a_stranger_learns_nothing(hall: Hall, visitor: Browser) -> None:
    """Who asks for an unknown number sees the same pages, and nothing is sent."""
    sent = asked(visitor, STRANGER)
    assert (sent.status_code, sent.headers["Location"]) == (303, "/sign-in/code")
    visitor.get("/sign-in/code")
    unknown_page = visitor.text.replace("9000", "____")
    wrong = visitor.post("/sign-in/code", code="123456")
    assert wrong.status_code == 422
    unknown_wrong = visitor.text.replace("9000", "____")
    assert hall.messages == []
    asked(visitor)
    visitor.get("/sign-in/code")
    assert visitor.text.replace("8000", "____") == unknown_page
    code = hall.code
    visitor.post("/sign-in/code", code=f"{(int(code) + 1) % 1_000_000:06d}")
    assert visitor.text.replace("8000", "____") == unknown_wrong
    refused = [[asked(visitor, n).status_code for _ in range(6)] for n in (STRANGER, PHONE)]
    assert refused == [[303] * 4 + [429] * 2] * 2


def test_a_code_that_cannot_be_sent_shows_nothing(hall: Hall, visitor: Browser) -> None:
    """The answer is the same, or it would tell who is known."""
    hall.queue_fails = True
    assert asked(visitor).status_code == 303
    assert hall.messages == []


def test_a_number_that_two_people_share_signs_nobody_in(hall: Hall, visitor: Browser) -> None:
    """It does not tell who it is; the page is the same."""
    hall.world.cardholder(phone=PHONE)
    assert asked(visitor).status_code == 303
    assert hall.messages == []


@pytest.mark.parametrize("phone", ["", "x", "110", "+8657188888888", "9" * 500, "王芳"])
def test_what_is_no_mobile_number_is_told(visitor: Browser, phone: str) -> None:
    """And what was typed is still there."""
    assert asked(visitor, phone).status_code == 422
    assert "请输入" in visitor.text


def test_a_code_works_in_the_browser_that_asked(hall: Hall, visitor: Browser) -> None:
    """Another browser with the same number and code is not let in."""
    asked(visitor)
    other = Browser(hall)
    other.get("/sign-in")
    other.cookies.set("zwn", PHONE, "localhost.local", "/")
    other.get("/sign-in/code")
    assert other.post("/sign-in/code", code=hall.code).status_code == 422
    visitor.get("/sign-in/code")
    assert visitor.post("/sign-in/code", code=hall.code).status_code == 303


def test_a_form_of_elsewhere_is_refused(hall: Hall, visitor: Browser) -> None:
    """Without the browser's own token nothing is sent and nobody is let in."""
    visitor.get("/sign-in")
    other = Browser(hall)
    other.get("/sign-in")
    for token in ("", "x", other.token):
        assert visitor.post("/sign-in", phone=PHONE, csrf=token).status_code == 403
        assert visitor.call("/sign-in/passkey/question", csrf=token).status_code == 403
        assert visitor.call("/sign-in/passkey", csrf=token).status_code == 403
    assert hall.messages == []


def test_each_sign_in_has_a_new_cookie(hall: Hall, visitor: Browser) -> None:
    """The session before is over, so that nobody uses one that somebody else knows."""
    visitor.sign_in()
    before = visitor.cookies["zw"]
    asked(visitor)
    visitor.get("/sign-in/code")
    visitor.post("/sign-in/code", code=hall.code)
    assert visitor.cookies["zw"] != before
    assert hall.desk.sessions.session_of(before) is None


def test_a_link_lets_in_once_and_by_its_button(hall: Hall, visitor: Browser) -> None:
    """Opening it, as mail filters do, does not use it up."""
    hall.operator()
    path = new_link(hall.store, Face.OPERATOR, "op_1", NOON)
    for _ in range(2):
        assert visitor.get(path).status_code == 200
        assert "李强" in visitor.text
    assert visitor.post(path, csrf="x").status_code == 403
    visitor.get(path)
    entered = visitor.post(path)
    assert (entered.status_code, entered.headers["Location"]) == (303, "/console")
    assert hall.audits() == [("session.opened", "op_1")]
    assert Browser(hall).get(path).status_code == 404
    assert visitor.get("/console/security").status_code == 200
    assert visitor.get("/me/security").headers["Location"] == "/sign-in"


def test_a_disabled_operator_is_not_let_in(hall: Hall, visitor: Browser) -> None:
    """By a link that was made before, neither."""
    operator = hall.operator()
    path = new_link(hall.store, Face.OPERATOR, "op_1", NOON)
    visitor.get(path)
    hall.store.add_operator(
        type(operator)("op_1", operator.name, operator.role, NOON, disabled_ms=NOON)
    )
    assert visitor.post(path).status_code == 404
    assert "zw" not in visitor.cookies


def test_a_passkey_is_added_and_signs_in(hall: Hall, visitor: Browser) -> None:
    """By the calls that the script makes; the trail has both."""
    device = with_passkey(visitor)
    visitor.get("/me/security")
    assert 'value="电话"' in visitor.page
    fresh = Browser(hall)
    fresh.get("/sign-in")
    question = fresh.call("/sign-in/passkey/question")
    answer = device.sign(question.text)
    entered = fresh.call("/sign-in/passkey", answer=answer)
    assert entered.json() == {"to": "/me"}
    assert fresh.get("/me/security").status_code == 200
    assert hall.audits() == [("passkey.added", hall.holder), ("session.opened", hall.holder)]
    again = Browser(hall)
    again.get("/sign-in")
    refused = again.call("/sign-in/passkey", answer=answer)
    assert refused.status_code == 422
    assert refused.json() == {"message": sentences("zh")["sign_in.problem.bad_passkey"]}


@pytest.mark.parametrize("days", [1, 31])
def test_a_new_passkey_is_told_to_the_phone(hall: Hall, days: int) -> None:
    """And for 30 days to the number before, which may be the owner's; each in one part."""
    path = f"/v1/cardholders/{hall.holder}"
    hall.world.clock.advance(1)
    assert hall.world.strong.patch(path, {"phone": "+8613900139000"}).status_code == 200
    hall.world.clock.advance(days * 86_400_000)
    hall.messages.clear()
    visitor = Browser(hall)
    visitor.sign_in()
    with_passkey(visitor)
    former = [PHONE] if days < 30 else []
    assert [one.to for one in hall.messages] == ["+8613900139000", *former]
    for message in hall.messages:
        assert "通行密钥" in message.text
        assert len(message.text) <= 70


def test_a_passkey_is_kept_where_nobody_can_be_told(hall: Hall, visitor: Browser) -> None:
    """The queue is down: the key is there, and the page says so."""
    hall.queue_fails = True
    with_passkey(visitor)
    assert len(hall.store.passkeys(Face.CARDHOLDER, hall.holder)) == 1


def test_keys_are_changed_shortly_after_a_sign_in(hall: Hall, visitor: Browser) -> None:
    """Later neither added nor removed; a rename is always possible."""
    with_passkey(visitor)
    visitor.get("/me/security")
    (passkey,) = hall.store.passkeys(Face.CARDHOLDER, hall.holder)
    hall.world.clock.advance(FRESH_MS)
    assert visitor.call("/me/security/passkeys/question").status_code == 403
    assert visitor.call("/me/security/passkeys").status_code == 403
    assert visitor.post("/me/security/remove", passkey=passkey.id).status_code == 403
    visitor.get("/me/security")
    assert "请重新登录" in visitor.text
    named = visitor.post("/me/security/rename", passkey=passkey.id, label="<b>平板</b>")
    assert named.status_code == 303
    visitor.get("/me/security")
    assert "<b>" not in visitor.page
    assert "&lt;b&gt;平板" in visitor.page
    visitor.sign_in()
    visitor.get("/me/security")
    assert visitor.post("/me/security/remove", passkey=passkey.id).status_code == 303
    assert hall.store.passkeys(Face.CARDHOLDER, hall.holder) == []
    actions = [action for action, _ in hall.audits()]
    assert actions == ["passkey.added", "passkey.renamed", "passkey.removed"]


def test_another_ones_key_cannot_be_touched(hall: Hall, visitor: Browser) -> None:
    """It is as if it were not there."""
    with_passkey(visitor)
    (passkey,) = hall.store.passkeys(Face.CARDHOLDER, hall.holder)
    other = Browser(hall)
    other.sign_in(subject=hall.world.cardholder())
    for what in ("rename", "remove"):
        other.get("/me/security")
        answer = other.post(f"/me/security/{what}", passkey=passkey.id, label="mine")
        assert answer.status_code == 404
    assert hall.store.passkey(passkey.id) == passkey


def test_the_way_out_ends_the_session(hall: Hall, visitor: Browser) -> None:
    """A form of elsewhere does not; twice does no harm."""
    visitor.sign_in()
    cookie = visitor.cookies["zw"]
    visitor.get("/me/security")
    assert visitor.post("/sign-out", csrf="x").status_code == 403
    assert hall.desk.sessions.session_of(cookie) is not None
    visitor.get("/me/security")
    assert visitor.post("/sign-out").headers["Location"] == "/sign-in"
    assert hall.desk.sessions.session_of(cookie) is None
    assert visitor.post("/sign-out").headers["Location"] == "/sign-in"
    assert hall.audits() == [("session.ended", hall.holder)]


def test_all_sessions_are_ended_together(hall: Hall, visitor: Browser) -> None:
    """On this device and the others."""
    other = Browser(hall)
    other.sign_in()
    visitor.sign_in()
    visitor.get("/me/security")
    assert visitor.post("/me/security/end-sessions").headers["Location"] == "/sign-in"
    assert other.get("/me/security").headers["Location"] == "/sign-in"


def test_the_banks_own_sign_in_lets_an_operator_in(tmp_path: Path) -> None:
    """Away to the provider and back; whom the house does not know stays outside."""
    provider = IdentityProvider(NOON)
    settings = FaceSettings(operators=Provider(provider.issuer, CLIENT, SECRET))
    hall = Hall(tmp_path, settings)
    try:
        for oidc, status in (("", 403), ("wang@bank", 200)):
            hall.operator(oidc=oidc)
            visitor = Browser(hall)
            visitor.get("/console/sign-in")
            assert "/console/sign-in/oidc" in visitor.page
            away = visitor.get("/console/sign-in/oidc").headers["Location"]
            back = urlsplit(httpx.get(away, trust_env=False).headers["Location"])
            answer = visitor.get(f"{back.path}?{back.query}")
            assert answer.status_code == status
            inside = visitor.get("/console/security")
            assert inside.status_code == (200 if status == 200 else 303)
            if status == 200:
                assert 'content="0;url=/console"' in answer.text
                assert Browser(hall).get(f"{back.path}?{back.query}").status_code == 403
        assert hall.audits() == [("session.opened", "op_1")]
        assert Browser(hall).get("/sign-in/oidc").status_code == 404
    finally:
        hall.close()
        provider.close()


def test_a_change_is_proved_by_a_code_without_scripts(hall: Hall, visitor: Browser) -> None:
    """The text says what for; back and again does nothing twice."""
    path = deed_of(hall, visitor.sign_in())
    visitor.get(path)
    assert "解除尾号1232的止付" in visitor.text
    assert visitor.post(f"{path}/send").headers["Location"] == f"{path}?sent=1"
    assert "解除尾号1232的止付" in hall.messages[-1].text
    visitor.get(f"{path}?sent=1")
    wrong = f"{(int(hall.code) + 1) % 1_000_000:06d}"
    assert visitor.post(f"{path}/code", code=wrong).status_code == 422
    assert hall.doings.done == []
    done = visitor.post(f"{path}/code", code=hall.code)
    assert done.headers["Location"] == "/me?done=1"
    assert [deed.id for deed in hall.doings.done] == ["deed_1"]
    again = visitor.post(f"{path}/code", code=hall.code)
    assert again.status_code == 409
    assert "没有重复执行" in visitor.text
    assert visitor.get(path).status_code == 409
    assert len(hall.doings.done) == 1


def test_a_change_is_proved_by_a_passkey(hall: Hall, visitor: Browser) -> None:
    """By the calls that the script makes; a second time nothing is done."""
    device = with_passkey(visitor)
    path = deed_of(hall, visitor.sign_in())
    visitor.get(path)
    answer = device.sign(visitor.call(f"{path}/question").text)
    other = deed_of(hall, visitor.sign_in(), "deed_2")
    visitor.get(other)
    assert visitor.call(f"{other}/passkey", answer=answer).status_code == 422
    session = visitor.sign_in()
    path = deed_of(hall, session, "deed_3")
    visitor.get(path)
    answer = device.sign(visitor.call(f"{path}/question").text)
    assert visitor.call(f"{path}/passkey", answer=answer).json() == {"to": "/me?done=1"}
    assert [deed.id for deed in hall.doings.done] == ["deed_3"]
    assert visitor.call(f"{path}/passkey", answer=answer).status_code == 409
    assert visitor.call(f"{path}/question").status_code == 409


def test_a_code_for_one_change_proves_no_other(hall: Hall, visitor: Browser) -> None:
    """Nor does a code to sign in."""
    session = visitor.sign_in()
    first, second = deed_of(hall, session), deed_of(hall, session, "deed_2")
    visitor.get(first)
    visitor.post(f"{first}/send")
    visitor.get(second)
    assert visitor.post(f"{second}/code", code=hall.code).status_code == 422
    asked(Browser(hall))
    assert visitor.post(f"{first}/code", code=hall.code).status_code == 422
    assert hall.doings.done == []


def test_another_ones_change_is_not_there(hall: Hall, visitor: Browser) -> None:
    """Nor in another session of the same person, nor after its time, nor without a session."""
    path = deed_of(hall, visitor.sign_in())
    other = Browser(hall)
    other.sign_in()
    other.get("/me/security")
    assert other.get(path).status_code == 409
    other.get("/me/security")
    assert other.post(f"{path}/send").status_code == 409
    other.get("/me/security")
    assert other.post(f"{path}/code", code="123456").status_code == 409
    assert Browser(hall).get(path).headers["Location"] == "/sign-in"
    hall.world.clock.advance(600_000)
    assert visitor.get(path).status_code == 409
    assert hall.messages == []


def test_a_contact_never_proves(hall: Hall, visitor: Browser) -> None:
    """403 on every way, even for a deed that should not be there."""
    path = deed_of(hall, visitor.sign_in(Face.CONTACT, "contact_1"))
    assert visitor.get(path).status_code == 403
    assert "不能放宽" in visitor.text
    visitor.get("/me/security")
    for what in ("send", "code"):
        assert visitor.post(f"{path}/{what}", code="123456").status_code == 403
        visitor.get("/me/security")
    for what in ("question", "passkey"):
        assert visitor.call(f"{path}/{what}", answer="{}").status_code == 403
    assert hall.doings.done == []


def test_codes_for_changes_are_bounded(hall: Hall, visitor: Browser) -> None:
    """The sixth in an hour is refused on the page itself."""
    path = deed_of(hall, visitor.sign_in())
    visitor.get(path)
    sent = [visitor.post(f"{path}/send").status_code for _ in range(6)]
    assert sent == [303] * 5 + [429]
    assert len(hall.messages) == 5


def test_whoever_cannot_prove_anything_is_told(hall: Hall, visitor: Browser) -> None:
    """No passkey and no number: the page says where to go."""
    path = deed_of(hall, visitor.sign_in(subject=hall.world.cardholder()))
    assert visitor.get(path).status_code == 200
    assert "请到网点办理" in visitor.text
    assert visitor.post(f"{path}/send").status_code in {403, 409}


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("application/json", b"{}"),
        ("application/x-www-form-urlencoded", b"csrf=" + b"a" * 40_000),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 60)),
        ("application/x-www-form-urlencoded", b"\xff\xfe"),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("", b""),
    ],
)
def test_what_is_no_form_is_refused(
    hall: Hall, visitor: Browser, kind: str, content: bytes
) -> None:
    """Too long, too many fields, another kind: as a form without a token."""
    visitor.get("/sign-in")
    headers = {"Content-Type": kind}
    answer = visitor._send("POST", "/sign-in", content=content, headers=headers)
    assert answer.status_code == 403
    answer = visitor._send("POST", "/sign-in/passkey", content=content, headers=headers)
    assert answer.status_code == 403
    assert hall.messages == []

"""What forgers and broken phones send: drawn from a seed, for people and for strangers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Final

from zhiwei.bench.inbound_town import Person, Town

_UNLOCKING: Final = (
    "解除止付",
    "解除",
    "UNSTOP {tail}",
    "UNBLOCK {tail}",
    "JF",
    "JF#{tail}",
    "START",
    "ZF#OFF",
    "取消止付{tail}",
    "LIFT {tail}",
    "开通境外",
    "额度 999999",
    "RESTORE ALL",
    "Y",
    "是",
    "确认",
    "YES YES YES",
    "AGREE {tail}00",
    "同意{tail}11",
)
_MESSY: Final = (
    "ZF止付STOPYN是否#＃?？ 0123456789１２\u3000\u200b\u202e\u0000\u0007\n\r\t\ufeff😀ÅｙＮ٣①é"
)
_SENDERS: Final = (
    "",
    " ",
    "+",
    "95588",
    "10086",
    "1069012345678",
    "BANK",
    "智卫",
    "+86",
    "+8613800",
    "+999999999999999999",
    "0000000000000",
    "13800000000;DROP",
    "＋８６１３８０００００００",
    "\u202e0000000831+",
    "null",
    "-1",
    "+861380000000\u0000",
)
#: Bodies that are not what the contract has; each is refused with a 4xx.
_BODIES: Final = (
    b"",
    b"{",
    b"[]",
    b"null",
    b'"ZF"',
    b'{"from":"+8613800000000"}',
    b'{"text":"ZF"}',
    b'{"from":13800000000,"text":"ZF"}',
    b'{"from":"+8613800000000","text":["ZF"]}',
    b'{"from":"+8613800000000","text":"ZF","text":"ZF"}',
    b'{"from":"+8613800000000","text":"\\ud800"}',
    b'{"from":"+8613800000000","text":"\xff"}',
    b'{"from":"+8613800000000","text":"ZF","admin":true}',
    b'{"from":"' + b"1" * 41 + b'","text":"ZF"}',
    b'{"from":"+8613800000000","text":"' + b"Z" * 1001 + b'"}',
)


@dataclass(frozen=True)
class Forgery:
    """One message."""

    kind: str
    sender: str
    text: str
    #: Whose number it pretends to come from; None = nobody's.
    victim: Person | None = None


def forged(draw: Random, town: Town) -> Forgery:
    """A message that wants something that it must not get."""
    kind = draw.choices(("stranger", "answer", "unlock", "stop", "messy", "sender"), _WEIGHTS)[0]
    person = draw.choice(town.people)
    if kind == "stranger":
        return Forgery(kind, _stranger(draw), _probe(draw, town))
    if kind == "sender":
        return Forgery(kind, draw.choice(_SENDERS), _probe(draw, town))
    if kind == "answer":
        return Forgery(kind, person.phone, _answer(draw, town, person), person)
    if kind == "unlock":
        text = draw.choice(_UNLOCKING).format(tail=draw.choice(person.tails))
        return Forgery(kind, person.phone, text, person)
    if kind == "stop":
        return Forgery(kind, _written(draw, person.phone), _stop(draw, town), person)
    text = "".join(draw.choices(_MESSY, k=draw.choice((0, 1, 3, 7, 8, 40, 199, 201, 1000))))
    if draw.random() < 0.5:
        return Forgery(kind, _stranger(draw), text)
    return Forgery(kind, person.phone, text, person)


_WEIGHTS: Final = (30, 30, 8, 7, 15, 10)


def broken_call(draw: Random, town: Town, number: int) -> tuple[bytes, dict[str, str]]:
    """A call of the HTTP door that must be refused: unsigned, wrongly signed or no message."""
    person = draw.choice(town.people)
    right = json.dumps({"from": person.phone, "text": "ZF#ALL"}).encode()
    message_id = f"broken-{number}"
    way = draw.randrange(6)
    if way == 0:
        return right, {"content-type": "application/json"}
    if way == 1:
        return right, town.signed(right, message_id, age_seconds=draw.choice((-400, 400, 10**6)))
    if way == 2:
        return right + b" ", town.signed(right, message_id)
    if way == 3:
        headers = town.signed(right, message_id)
        name = draw.choice(("webhook-id", "webhook-timestamp", "webhook-signature"))
        wrong = draw.choice(
            ("", "v1", "v1,", "v1,%", "0", "nan", "-1", "v1,AAAA v1,BBBB", "9" * 99)
        )
        return right, {**headers, name: wrong}
    if way == 4:
        return right, {"content-type": "application/json", "authorization": "Bearer zw_x"}
    body = draw.choice(_BODIES)
    return body, town.signed(body if b"\xff" not in body else right, message_id)


def _stranger(draw: Random) -> str:
    """A number that nobody registered, of the mainland or of elsewhere."""
    if draw.random() < 0.8:
        return _written(draw, f"+8613{draw.randrange(9):d}9{draw.randrange(10**7):07d}")
    return f"+{draw.choice(('44', '1', '852', '882'))}{draw.randrange(10**8, 10**9)}"


def _written(draw: Random, phone: str) -> str:
    """A mainland number as one network or another tells it."""
    bare = phone.removeprefix("+")
    return draw.choice((phone, bare, bare.removeprefix("86"), f"00{bare}"))


def _stop(draw: Random, town: Town) -> str:
    """A command about a card that there is, or that there is none."""
    tail = draw.choice(
        (draw.choice(draw.choice(town.people).tails), f"{draw.randrange(10**4):04d}")
    )
    return draw.choice(
        ("ZF", "ZF#ALL", f"ZF#{tail}", f"止付{tail}", f"STOP {tail}", f"ＢＬＯＣＫ{tail}", "?")
    )


def _probe(draw: Random, town: Town) -> str:
    """A command or an answer about a card or question that there is, or that there is none."""
    if draw.random() < 0.5:
        return _stop(draw, town)
    number = f"{draw.randrange(10**6):06d}"
    reference = draw.choice((*draw.choice(town.people).references, number))
    return draw.choice((f"Y{reference}", f"N{reference}", f"是{reference}", "N", "不是本人"))


def _answer(draw: Random, town: Town, person: Person) -> str:
    """A "yes" that must not count: guessed, of somebody else, of a lock, or over."""
    mine = {r for p in town.people if p.phone == person.phone for r in p.references}
    others = [r for p in town.people if p.phone != person.phone for r in p.references]
    guess = next(g for g in iter(lambda: f"{draw.randrange(10**6):06d}", "") if g not in mine)
    theirs = [r for r in others if r not in mine]
    locks = [r for r in person.locks if r not in person.verifications]
    choices = [guess, guess, *theirs[:1], *draw.sample(theirs, min(1, len(theirs)))]
    over = [r for r in person.over[-1:] if r not in person.verifications]
    choices += [*draw.sample(locks, min(1, len(locks))), *over]
    word = draw.choice(("Y", "是", "YES", "ｙ", "确认", "y ", "是本人"))
    joint = draw.choice(("", " ", "#", "＃"))
    return f"{word}{joint}{draw.choice(choices)}"

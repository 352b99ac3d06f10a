"""Texting: what people in a story read on their phones, and what they write back.

With phones (`phone.py`) every text goes over SMPP, there and back. Without them what people write
is brought in over HTTP as a web gateway would, and what they would read is not shown.
"""

from __future__ import annotations

from typing import Final

from zhiwei.simulate.doings import Doing
from zhiwei.simulate.phone import Phone
from zhiwei.simulate.stage import Stage
from zhiwei.simulate.telling import Tone

#: What a person may write before the story goes on by itself.
_TRIES: Final = 3


def phone_of(stage: Stage, doing: Doing) -> Phone | None:
    """The phone of whoever holds the card; None where the story has none, or nobody knows them."""
    if stage.phones is None or stage.account_of(doing) is None:
        return None
    person = doing.customer
    return stage.phones.phone(person.phone, f"{person.name_zh} {person.name_en}")


async def hear(stage: Stage, doing: Doing, part: str, what: str) -> None:
    """Wait for the text that holds `part` on the cardholder's phone; that it comes is expected.

    Without phones nothing is expected.
    """
    phone = phone_of(stage, doing)
    if phone is None or stage.phones is None:
        return
    bubble = await stage.phones.hear(phone, part)
    stage.expect(bubble is not None, f"{what} arrives on the phone as a text message")
    if bubble is not None:
        # It may be there even before the terminal has read its answer.
        ms = max(0.0, bubble.at_seconds - stage.answered_seconds) * 1000
        await stage.tell(
            f"短信经 SMPP 到达手机，在应答之后 {ms:.0f} 毫秒",
            f"the text came over SMPP, {ms:.0f} ms after the answer",
            Tone.PROOF,
        )


async def write_to_stop(stage: Stage, doing: Doing, text: str) -> None:
    """The cardholder writes `text`, which stops the card; that it does is expected."""
    phone = phone_of(stage, doing)
    if phone is None or stage.phones is None:
        await _write_over_http(stage, doing, text)
        return
    for _ in range(_TRIES):
        written = await stage.phones.written(phone, text)
        if not written:
            break
        await _write(stage, phone, written)
        if await _is_stopped(stage, doing):
            break
    else:
        written = ""
    if not written:
        # Nobody holds the phone, or who does wanted something else; the story goes on.
        is_first = not any(bubble.is_own for bubble in phone.bubbles)
        await _write(stage, phone, text if is_first else f"ZF#{doing.customer.tail}")
    stage.expect(await _is_stopped(stage, doing), f"the card is stopped by `{text}`")


async def _write(stage: Stage, phone: Phone, text: str) -> None:
    """Write, and wait for the reply."""
    assert stage.phones is not None, "a phone hangs on its network"
    before = len(phone.bubbles)
    await stage.phones.write(phone, text)
    reply = await stage.phones.hear(phone, "", after=before)
    stage.expect(reply is not None, f"a reply to `{text}` arrives on the phone")


async def _write_over_http(stage: Stage, doing: Doing, text: str) -> None:
    """What is written comes in as from a web gateway, and the reply is in the answer."""
    if stage.bank is None or stage.account_of(doing) is None:
        return
    message = {"from": doing.customer.phone, "text": text}
    answer = (await stage.bank.door.acall("POST", "/v1/inbound_messages", message)).document
    reply = answer["reply"]["text"]
    await stage.tell(f"短信上行：{text}", f"the cardholder writes: {text}", Tone.SENT)
    await stage.tell(f"短信回复：{reply}", f"the reply: {reply}", Tone.PROOF)
    is_stopped = await _is_stopped(stage, doing)
    stage.expect(is_stopped, f"the card is stopped by `{text}` ({answer['outcome']})")


async def _is_stopped(stage: Stage, doing: Doing) -> bool:
    account = stage.account_of(doing)
    if stage.bank is None or account is None:
        return False
    card = (await stage.bank.door.acall("GET", f"/v1/cards/{account.card_id}")).document
    return bool(card["stopped"])

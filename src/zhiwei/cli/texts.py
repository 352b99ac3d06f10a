"""`zhiwei texts`: every text that people get, with sample facts, as it would arrive."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zhiwei.messaging.settings import AlertSettings

#: What replies to text messages say their facts with.
_REPLY_FACTS: dict[str, int | str | list[str]] = {
    "tail": "1234",
    "tails": ["1234", "5678"],
    "time": "11-24 12:00",
    "reference": "ZF00123456",
    "minutes": 15,
    "phone": "8000",
}
#: A cardholder as their trusted contact reads it.
_CONTACT_OF = {"zh": "李*", "en": "L***"}


class LanguageWord(StrEnum):
    """Languages of texts."""

    ZH = "zh"
    EN = "en"


class WayWord(StrEnum):
    """Ways to cardholders."""

    SMS = "sms"
    PUSH = "push"
    EMAIL = "email"


def texts(
    lang: Annotated[
        LanguageWord | None, typer.Option(help="`zh` or `en`; both where none is named.")
    ] = None,
    channel: Annotated[
        WayWord, typer.Option(help="As text message, push or e-mail.")
    ] = WayWord.SMS,
    messages: Annotated[Path | None, typer.Option(help="messages.toml, for its signature.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show every text with sample facts, its alphabet, and in how many parts it is sent.

    Texts for operators are shown as they come into their chat; replies to text messages come last.

    Example: `zhiwei texts --lang zh`
    """
    from zhiwei.messaging.settings import AlertSettings, load_messages

    settings = AlertSettings() if messages is None else load_messages(messages).alerts
    languages = [lang] if lang is not None else list(LanguageWord)
    for language in languages:
        for document in _previews(settings, language.value, channel.value):
            if as_json:
                typer.echo(json.dumps(document, ensure_ascii=False))
            else:
                _show(document)


def _previews(settings: AlertSettings, language: str, channel: str) -> Iterator[dict[str, Any]]:
    """Every text of a language, with its size."""
    from zhiwei.core.event import NOT_FOR_CARDHOLDERS
    from zhiwei.messaging.contact_planning import is_for_contacts
    from zhiwei.messaging.kinds import CHAT_KINDS
    from zhiwei.messaging.model import CHAT, SMS
    from zhiwei.messaging.samples import sample_card, samples
    from zhiwei.messaging.texts import Texts
    from zhiwei.words import catalogue, load_sentences

    words = load_sentences(settings.signatures)
    made = Texts(words, settings)
    state = sample_card(language)
    for sample in samples(language):
        kind = sample.row.event.kind
        if kind not in NOT_FOR_CARDHOLDERS:
            text = made.of(sample.row, state, language, channel=channel)
            subject = "" if channel == SMS else text.subject
            yield _preview(f"message.{sample.name}", language, channel, subject, text.body)
        if channel == SMS and is_for_contacts(sample.row):
            told = made.for_contact(sample.row, state, _CONTACT_OF[language], language)
            yield _preview(f"contact.{sample.name}", language, SMS, "", told)
        if kind in CHAT_KINDS:
            text = made.for_operators(sample.row, state, language)
            yield _preview(f"chat.{sample.name}", language, CHAT, text.subject, text.body)
    for key in catalogue(language) if channel == SMS else ():
        if key.startswith(("sms.", "contact.invited", "contact.ended")):
            yield _preview(
                key, language, SMS, "", words.text(key, language, _reply_facts(key, language))
            )


def _reply_facts(key: str, language: str) -> dict[str, int | str | list[str]]:
    """Sample facts of a reply; a question has a reference of its own shape."""
    is_short = key in ("sms.which_question", "contact.invited")
    reference = "123456" if is_short else "ZF00123456"
    return {**_REPLY_FACTS, "name": _CONTACT_OF[language], "reference": reference}


def _preview(name: str, language: str, channel: str, subject: str, text: str) -> dict[str, Any]:
    from zhiwei.messaging.model import SMS
    from zhiwei.messaging.parts import size_of

    document: dict[str, Any] = {
        "name": name,
        "language": language,
        "channel": channel,
        "subject": subject,
        "text": text,
    }
    if channel == SMS:
        size = size_of(text)
        document |= {
            "encoding": size.encoding.value,
            "units": size.units,
            "parts": size.parts,
        }
    return document


def _show(document: dict[str, Any]) -> None:
    """One text for eyes."""
    about = f"{document['name']} · {document['language']} · {document['channel']}"
    if "parts" in document:
        parts = "1 part" if document["parts"] == 1 else f"{document['parts']} parts"
        about += f" · {parts}, {document['units']} units of {document['encoding']}"
    typer.echo(about)
    if document["subject"]:
        typer.echo(f"    {document['subject']}")
    typer.echo(f"    {document['text']}")

"""`reasons.md`: why a request is refused or questioned, in words and in codes."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.reference.markdown import bullets, code, codes, page, table
from scripts.reference.source import comments_in, headings_in

from zhiwei.core import reason as reasons
from zhiwei.core.reason import LIFTABLE_BY_PERMISSION, Reason
from zhiwei.gateways import response_codes
from zhiwei.words import LANGUAGES, catalogue, remedies

INTRODUCTION = """\
A decision carries one or more reasons, the first one first. A reason has a number that is stored
and never used again, a code that API answers carry (`reasons[].code`), sentences for the
cardholder and for the operator in Chinese and English, a remedy, and for each network the
response code (DE39) that it is told. A smaller number is shown first: the hundreds are the
classes.

*Liftable* means that a pass or an exception may lift it. Names in braces are facts of the
decision; they are filled in when the sentence is said. The table of response codes is the
issuer's to edit, within rules: see [below](#answers-without-a-reason)."""

ANSWERS = """\
These answers stand behind no single reason. The file of response codes
(`src/zhiwei/gateways/response_codes.toml`) can be copied, edited and named at start-up. It is
checked when it is loaded: every reason and every answer has a code of two letters or digits; no
code makes a terminal keep the card; `57` (at Visa: never retry) stands only where no cardholder
can lift the reason; `00` approves and nothing else does. A network without a table of its own
uses `unionpay`."""


#: Sentences by language, then by key.
Words = Mapping[str, Mapping[str, str]]


def reasons_page() -> str:
    """The page."""
    words = {language: catalogue(language) for language in LANGUAGES}
    tables = response_codes.load()
    parts: list[str] = [INTRODUCTION]
    for hundred, title in headings_in(reasons, "Reason").items():
        members = [reason for reason in Reason if reason // 100 == hundred]
        parts += [
            f"## {hundred}xx · {title.rstrip('.')}",
            _codes_table(members, tables),
            _words_table(members, words),
        ]
    parts += [
        "## Answers without a reason",
        ANSWERS,
        table(
            ("answer", *tables.networks),
            (
                (code(name), *(code(tables.answer(network, name)) for network in tables.networks))
                for name in response_codes.ANSWERS
            ),
        ),
        f"Never given: {codes(sorted(response_codes.CAPTURE_CODES))}.",
        "## Remedies",
        _remedies_table(words),
    ]
    return page("Reasons 原因", *parts)


def _codes_table(members: list[Reason], tables: response_codes.ResponseCodes) -> str:
    return table(
        ("number", "code", "liftable", "remedy", *tables.networks),
        (
            (
                int(reason),
                code(reason.code),
                "yes" if reason in LIFTABLE_BY_PERMISSION else "",
                code(remedies.REMEDIES[reason]),
                *(code(tables.reason(network, reason)) for network in tables.networks),
            )
            for reason in members
        ),
    )


def _words_table(members: list[Reason], words: Words) -> str:
    return "\n\n".join(
        f"**{code(reason.code)}**\n\n"
        + bullets(
            f"{who}: {words['zh'][f'{key}.{reason.code}']} / {words['en'][f'{key}.{reason.code}']}"
            for who, key in (("cardholder 持卡人", "reason"), ("operator 运营", "operator"))
        )
        for reason in members
    )


def _remedies_table(words: Words) -> str:
    return table(
        ("remedy", "when", "中文", "English"),
        (
            (
                code(remedy),
                when,
                words["zh"][f"remedy.{remedy}"],
                words["en"][f"remedy.{remedy}"],
            )
            for remedy, when in _remedy_words().items()
        ),
    )


def _remedy_words() -> dict[str, str]:
    """Each remedy with the comment beside its constant."""
    return {
        getattr(remedies, name): comment
        for name, comment in comments_in(remedies).items()
        if isinstance(getattr(remedies, name), str)
    }

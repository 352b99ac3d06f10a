"""Response codes (DE39): what a network is told, as tables that the issuer may edit.

The core speaks of reasons; a wire code is a projection of the first reason, made here for both
doors and nowhere else. A table is checked when it is loaded, so that no edit can make a terminal
keep a card, or tell a merchant "never again" about a lock that ends at 05:00.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from zhiwei.core.entry import Entry
from zhiwei.core.errors import ZhiweiError
from zhiwei.core.finding import Outcome
from zhiwei.core.reason import Reason

#: Codes that make a terminal keep the card or a cashier take it away; a guardian never gives them.
CAPTURE_CODES: Final = frozenset(
    ("04", "07", "33", "34", "35", "36", "37", "41", "43", "67"),
)
#: "Not permitted to cardholder": at Visa the merchant may never try again.
NEVER_RETRY: Final = "57"
#: Reasons that no cardholder can lift, for which `57` is allowed.
NOT_LIFTED_BY_CARDHOLDER: Final = frozenset(
    (
        Reason.INQUIRY_ON_FLAGGED_TERMINAL,
        Reason.CATEGORY_CLOSED_BY_ISSUER,
        Reason.CARD_CLOSED,
        Reason.CARD_FROZEN,
        Reason.CARD_LOST,
    )
)
#: Answers that no reason stands behind.
ANSWERS: Final = (
    "approved",
    "challenge",
    "card_not_found",
    "format_error",
    "original_not_found",
    "conflict",
    "system",
    "issuer_late",
)
#: The table of cards whose network has none of its own.
DEFAULT_NETWORK: Final = "unionpay"


class ResponseCodesError(ZhiweiError):
    """the table of response codes cannot be used"""


class ResponseCodes:
    """Checked tables: network → answer or reason → two characters."""

    __slots__ = ("_answers", "_reasons")

    def __init__(
        self, answers: Mapping[str, Mapping[str, str]], reasons: Mapping[str, Mapping[Reason, str]]
    ) -> None:
        self._answers: Final = answers
        self._reasons: Final = reasons

    @property
    def networks(self) -> tuple[str, ...]:
        """Networks that have a table."""
        return tuple(self._answers)

    def document(self) -> dict[str, dict[str, dict[str, str]]]:
        """The whole tables as `checked` takes them; no network is like another any more."""
        return {
            network: {
                "answers": dict(sorted(self._answers[network].items())),
                "reasons": {
                    reason.code: code for reason, code in sorted(self._reasons[network].items())
                },
            }
            for network in self._answers
        }

    def answer(self, network: str, name: str) -> str:
        """Code of an answer without a reason; `name` is one of ANSWERS."""
        return self._answers.get(network, self._answers[DEFAULT_NETWORK])[name]

    def reason(self, network: str, reason: Reason) -> str:
        """Code of a refusal for a reason."""
        return self._reasons.get(network, self._reasons[DEFAULT_NETWORK])[reason]

    def code(self, network: str, outcome: Outcome, reason: Reason | None) -> str:
        """Code of a decision: its outcome, and the first of its reasons (None = none was given)."""
        if outcome is Outcome.APPROVE:
            return self.answer(network, "approved")
        if reason is None:
            return self.answer(network, "system")
        if outcome is Outcome.CHALLENGE:
            return self.answer(network, "challenge")
        return self.reason(network, reason)

    def of_entry(self, network: str, entry: Entry) -> str:
        """Code of a journal entry."""
        first = next((f.reason for f in entry.findings if f.stands), None)
        return self.code(network, entry.outcome, first)


def load(path: Path | None = None) -> ResponseCodes:
    """The tables of a file, or those that are shipped.

    Raises:
        ResponseCodesError: the file cannot be read, or a table breaks a rule; it names the place.
    """
    try:
        if path is None:
            source = files("zhiwei.gateways").joinpath("response_codes.toml").read_text("utf-8")
        else:
            source = path.read_text("utf-8")
        raw = tomllib.loads(source)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ResponseCodesError(f"the table of response codes cannot be read: {error}") from error
    return checked(raw)


def restored(raw: Mapping[str, Any]) -> ResponseCodes:
    """Tables that were kept with the data; what has come since then is as in those shipped.

    Raises:
        ResponseCodesError: the tables are not what `ResponseCodes.document` made.
    """
    shipped = load().document()
    known = {reason.code for reason in Reason}
    tables: dict[str, Any] = {}
    try:
        for network, table in raw.items():
            new = shipped.get(network, shipped[DEFAULT_NETWORK])
            reasons = {name: code for name, code in table["reasons"].items() if name in known}
            answers = {name: code for name, code in table["answers"].items() if name in ANSWERS}
            tables[network] = {
                "answers": new["answers"] | answers,
                "reasons": new["reasons"] | reasons,
            }
    except (AttributeError, KeyError, TypeError) as error:
        raise ResponseCodesError(f"kept response codes cannot be read: {error}") from None
    return checked(tables)


def checked(raw: Mapping[str, Any]) -> ResponseCodes:
    """The tables of a parsed document.

    Raises:
        ResponseCodesError: a table breaks a rule.
    """
    if DEFAULT_NETWORK not in raw:
        raise ResponseCodesError(f"the table `{DEFAULT_NETWORK}` is missing")
    answers: dict[str, dict[str, str]] = {}
    reasons: dict[str, dict[Reason, str]] = {}
    for network in raw:
        wanted_answers, wanted_reasons = _rows(raw, network)
        answers[network] = _checked_answers(network, wanted_answers)
        reasons[network] = _checked_reasons(network, wanted_reasons)
    return ResponseCodes(answers, reasons)


def _rows(raw: Mapping[str, Any], network: str) -> tuple[dict[str, str], dict[str, str]]:
    """Answers and reasons of a network, after those of the network that it is `like`."""
    table = raw[network]
    if not isinstance(table, Mapping) or set(table) - {"like", "answers", "reasons"}:
        message = f"`{network}` may have `like`, `answers` and `reasons`, and nothing else"
        raise ResponseCodesError(message)
    for part in ("answers", "reasons"):
        if not isinstance(table.get(part, {}), Mapping):
            raise ResponseCodesError(f"`{network}.{part}` must be a table")
    like = table.get("like")
    if like is None:
        answers: dict[str, str] = {}
        reasons: dict[str, str] = {}
    elif isinstance(like, str) and isinstance(raw.get(like), Mapping) and not raw[like].get("like"):
        answers, reasons = _rows(raw, like)
    else:
        message = f"`{network}` is like `{like}`, which is no table that stands by itself"
        raise ResponseCodesError(message)
    return answers | dict(table.get("answers", {})), reasons | dict(table.get("reasons", {}))


def _checked_answers(network: str, answers: Mapping[str, str]) -> dict[str, str]:
    """The answers, if each of ANSWERS is there and nothing else is."""
    for name in set(answers).symmetric_difference(ANSWERS):
        what = "is not an answer" if name in answers else "is missing"
        raise ResponseCodesError(f"`{network}.answers.{name}` {what}")
    for name, code in answers.items():
        _check_code(f"{network}.answers.{name}", code, may_be_57=False)
    return dict(answers)


def _checked_reasons(network: str, reasons: Mapping[str, str]) -> dict[Reason, str]:
    """The codes by reason, if every reason has one and nothing else has."""
    by_name = {reason.code: reason for reason in Reason}
    for name in set(reasons).symmetric_difference(by_name):
        what = "is not a reason" if name in reasons else "is missing"
        raise ResponseCodesError(f"`{network}.reasons.{name}` {what}")
    for name, code in reasons.items():
        may_be_57 = by_name[name] in NOT_LIFTED_BY_CARDHOLDER
        _check_code(f"{network}.reasons.{name}", code, may_be_57=may_be_57)
    return {by_name[name]: code for name, code in reasons.items()}


def _check_code(place: str, code: object, *, may_be_57: bool) -> None:
    """Raise unless it is two letters or digits that a guardian may say in this place."""
    if not isinstance(code, str) or len(code) != 2 or not (code.isascii() and code.isalnum()):
        raise ResponseCodesError(f"`{place}` must be two letters or digits")
    if code in CAPTURE_CODES:
        raise ResponseCodesError(f"`{place}` is `{code}`, which makes a terminal keep the card")
    if code == NEVER_RETRY and not may_be_57:
        message = f"`{place}` is `57`, which forbids a retry of what the cardholder can lift"
        raise ResponseCodesError(message)
    if code == "00" and not place.endswith(".approved"):
        raise ResponseCodesError(f"`{place}` is `00`, which approves")

"""Which pages are taken: one table. A new page of a face is a new line here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

#: Who has to be signed in.
Viewer: TypeAlias = Literal["nobody", "cardholder", "operator"]


@dataclass(frozen=True)
class Picture:
    """One page as somebody sees it."""

    #: Begins the file's name.
    name: str
    #: `{card}`, `{question}` and `{decision}` stand for ids of the prepared customer.
    path: str
    viewer: Viewer = "nobody"


PICTURES: Final = (
    Picture("docs", "/docs"),
    Picture("problems", "/docs/problems"),
    Picture("sign-in", "/sign-in"),
    Picture("console-sign-in", "/console/sign-in"),
    Picture("home", "/me", "cardholder"),
    Picture("history", "/me/history", "cardholder"),
    Picture("entry", "/me/cards/{card}/history/5", "cardholder"),
    Picture("question", "/me/questions/{question}", "cardholder"),
    Picture("checkup", "/me/checkup", "cardholder"),
    Picture("settings", "/me/settings", "cardholder"),
    Picture("security", "/me/security", "cardholder"),
    Picture("contacts", "/me/contacts", "cardholder"),
    Picture("card", "/me/cards/{card}", "cardholder"),
    Picture("locks", "/me/cards/{card}/locks", "cardholder"),
    Picture("limits", "/me/cards/{card}/limits", "cardholder"),
    Picture("verification", "/me/cards/{card}/verification", "cardholder"),
    Picture("alerts", "/me/cards/{card}/alerts", "cardholder"),
    Picture("bindings", "/me/cards/{card}/bindings", "cardholder"),
    Picture("travel", "/me/cards/{card}/travel", "cardholder"),
    Picture("console", "/console", "operator"),
    Picture("decisions", "/console/decisions", "operator"),
    Picture("story", "/console/cards/{card}", "operator"),
    Picture("why", "/console/decisions/{decision}", "operator"),
    Picture("what-if", "/console/decisions/{decision}/what-if", "operator"),
    Picture("search", "/console/search?q=0007", "operator"),
    Picture("cases", "/console/cases", "operator"),
    Picture("messages", "/console/messages", "operator"),
    Picture("audit", "/console/audit", "operator"),
    Picture("operators", "/console/operators", "operator"),
    Picture("policy", "/console/policy", "operator"),
    Picture("policy-form", "/console/policy/new", "operator"),
)

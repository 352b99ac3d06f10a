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
    #: `{card}` and `{cardholder}` stand for the ids of the prepared customer.
    path: str
    viewer: Viewer = "nobody"


PICTURES: Final = (
    Picture("docs", "/docs"),
    Picture("problems", "/docs/problems"),
)

"""Visit: who looks at the cardholder's page, whose cards they are, and what every page needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import Request, Response

from zhiwei.core.card_state import CardState
from zhiwei.core.command import Actor, Via
from zhiwei.core.ids import card_id
from zhiwei.gateways.http.house import House
from zhiwei.ports import Cardholder
from zhiwei.web.sign_in.model import Face, FaceStore, Session


class Pages(Protocol):
    """The frame, as the cardholder's pages ask for it."""

    async def visit(self, request: Request, *, card: str = "", for_contacts: bool = False) -> Visit:
        """Who calls, with all their cards as they are now; `card` = must be one of them.

        `for_contacts` = the page shows nothing of what is spent or owned, so a trusted contact may
        see it.

        Raises:
            HTTPException: nobody is signed in (303 to the sign-in page), or 403 for a contact.
            Problem: `card_not_found`; somebody else's card does not exist here.
        """
        ...

    async def form(self, request: Request, session: Session) -> dict[str, list[str]]:
        """The fields of a form that was made for this session, every value of each name.

        Raises:
            HTTPException: it was made for another one, or is too large.
        """
        ...

    def page(
        self, visit: Visit, template: str, facts: dict[str, Any] | None = None, *, status: int = 200
    ) -> Response:
        """A page of `templates/cardholder/`, in the visitor's language."""
        ...

    def say(self, visit: Visit, key: str, **facts: object) -> str:
        """A sentence of the catalogues, in the visitor's language."""
        ...

    def away(self, visit: Visit, to: str, said: str = "", **facts: object) -> Response:
        """Go on at a path (303); the next page says the sentence `said` once (`role=status`)."""
        ...


@dataclass(frozen=True)
class Visit:
    """One look at a page."""

    request: Request
    session: Session
    #: Whose cards are shown; a trusted contact looks at somebody else's.
    holder: Cardholder
    #: All cards of the cardholder, as of now, oldest first.
    cards: tuple[CardState, ...]
    #: The card that the address names; None on pages about all of them.
    card: CardState | None
    language: str
    #: Elder mode (长辈模式): large letters, fewer choices.
    is_elder: bool
    now_ms: int

    @property
    def is_contact(self) -> bool:
        """Looks as a trusted contact: may tighten, never loosen."""
        return self.session.face is Face.CONTACT

    def actor(self, *, is_strong: bool = False) -> Actor:
        """Who it is for commands and the audit trail; a contact is never strong."""
        return Actor(self.session.subject, Via.APP, is_strong and not self.is_contact)

    @property
    def the_card(self) -> CardState:
        """The card that the address names, on a page that is about one."""
        assert self.card is not None, "this page is about a card"
        return self.card


@dataclass(frozen=True)
class Home:
    """What the cardholder's pages are made with."""

    house: House
    faces: FaceStore
    pages: Pages


def card_path(card: CardState, *more: str) -> str:
    """`/me/cards/card_…/locks`: where the pages of a card are."""
    return "/".join(("/me/cards", card_id(card.card_key), *more))

"""`python -m scripts.screenshots --out FOLDER [--only NAME]`: every page, as people may see it.

It starts the server of the tests on data of its own, prepares a customer, and takes each page of
`pages.py` at 360, 390 and 1280 CSS pixels, light and dark, in Chinese and English, whole. Exit code
1 = a page could not be taken, 2 = no page has that name or there is no Chromium.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Error
from rich.console import Console
from rich.progress import Progress
from scripts.screenshots.pages import PICTURES, Picture, Viewer
from tests.web.cardholder.person import session_cookie
from tests.web.chromium import chromium_path, launched
from tests.web.devices import Device, Scheme, new_context
from tests.web.town import Card, Town, open_town

from zhiwei.web.sign_in.model import Face, Role

SIZES = ((360, 740), (390, 844), (1280, 800))
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
#: For what a page fetches by itself; a page with an open stream is never idle.
_SETTLE_MS = 700
LOCALES = ("zh-CN", "en-GB")


@dataclass(frozen=True)
class Customer:
    """Whose pages are taken."""

    card: Card
    #: A question that waits, and a decision that was refused.
    question: str
    decision: str
    #: Cookies of a session, by who looks.
    cookies: Mapping[Viewer, str]

    def path_of(self, picture: Picture) -> str:
        """Where the picture's page is for this customer."""
        return picture.path.format(
            card=self.card.id, question=self.question, decision=self.decision
        )


@dataclass(frozen=True)
class Shot:
    """One picture on one device."""

    picture: Picture
    device: Device

    @property
    def name(self) -> str:
        """Name of its file, without the ending."""
        return f"{self.picture.name}-{self.device}"


def devices() -> Iterator[Device]:
    """Everything that a page is looked at with."""
    for (width, height), scheme, locale in product(SIZES, SCHEMES, LOCALES):
        yield Device(width, height, scheme, locale, has_touch=width < 600)


def prepared(town: Town) -> Customer:
    """A customer with a past: something approved, something refused, something asked."""
    card = town.card(town.cardholder("王小明", phone="13800000000"))
    town.control(card, "night_lock")
    limit = {"channel": "all", "measure": "amount", "period": "day", "amount": 2_000_000}
    town.control(card, "limits", {"items": [limit]})
    town.authorize(card, 6800)
    town.set_clock("2025-11-24T23:30:00.000+08:00")
    refused = town.authorize(card, 12800)["id"]
    town.set_clock()
    town.control(card, "large_spend_verification", {"threshold": 500_000})
    question = town.authorize(card, 680_000)["challenge"]["id"]
    operator = town.operator("王芳", "officer")
    cookies: dict[Viewer, str] = {
        "cardholder": session_cookie(town, card.cardholder),
        "operator": session_cookie(town, "", Face.OPERATOR, operator, Role.OFFICER),
    }
    return Customer(card, question, refused, cookies)


def sign_in(
    context: BrowserContext, town: Town, viewer: Viewer, customer: Customer, device: Device
) -> None:
    """Give a browser the session of who looks, and the language that its owner chose."""
    context.add_cookies([{"name": "zwl", "value": device.locale[:2], "url": town.site}])
    if viewer != "nobody":
        cookie = customer.cookies[viewer]
        context.add_cookies([{"name": "zw", "value": cookie, "url": town.site}])


def taken(browser: Browser, town: Town, customer: Customer, shot: Shot, out: Path) -> str:
    """Take one picture; what went wrong, or nothing."""
    context = new_context(browser, shot.device, town.site)
    try:
        sign_in(context, town, shot.picture.viewer, customer, shot.device)
        page = context.new_page()
        answer = page.goto(customer.path_of(shot.picture))
        if answer is None or not answer.ok:
            return f"{shot.name}: the server answered {answer.status if answer else 'nothing'}"
        page.wait_for_timeout(_SETTLE_MS)
        page.screenshot(path=out / f"{shot.name}.png", full_page=True, animations="disabled")
    except Error as error:
        return f"{shot.name}: {error.message.splitlines()[0]}"
    finally:
        context.close()
    return ""


def take_all(pictures: Sequence[Picture], path: str, out: Path, console: Console) -> list[str]:
    """Take every picture on every device; a line for each that could not be taken."""
    shots = [Shot(picture, device) for picture in pictures for device in devices()]
    out.mkdir(parents=True, exist_ok=True)
    faults: list[str] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        open_town(Path(folder)) as town,
        launched(path) as browser,
        Progress(console=console, transient=True) as progress,
    ):
        customer = prepared(town)
        task = progress.add_task("pages", total=len(shots))
        for shot in shots:
            progress.update(task, description=shot.picture.name)
            fault = taken(browser, town, customer, shot, out)
            if fault:
                faults.append(fault)
            progress.advance(task)
    console.print(f"screenshots: {len(shots) - len(faults)} of {len(shots)} in {out}")
    return faults


def main() -> int:
    """Read the command line, take the pictures, say what went wrong."""
    parser = argparse.ArgumentParser(prog="screenshots", description="Take every page.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--only", metavar="NAME", help="one page of scripts/screenshots/pages.py")
    told = parser.parse_args()
    pictures = [picture for picture in PICTURES if told.only in {None, picture.name}]
    path = chromium_path()
    if not pictures or path is None:
        names = ", ".join(picture.name for picture in PICTURES)
        reason = "there is no Chromium" if pictures else f"no page `{told.only}`, but {names}"
        print(f"screenshots: failed: {reason}", file=sys.stderr)
        return 2
    faults = take_all(pictures, path, told.out, Console())
    for fault in faults:
        print(f"screenshots: failed: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""What people look at pages with: a phone or a desk, light or dark, Chinese or English."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from playwright.sync_api import Browser, BrowserContext

Scheme: TypeAlias = Literal["light", "dark"]

#: Longest wait for anything on a page; a slow machine must not make a test fail.
PATIENCE_MS = 20_000


@dataclass(frozen=True)
class Device:
    """How a page is looked at; sizes in CSS pixels."""

    width: int
    height: int
    scheme: Scheme = "light"
    #: What the browser asks for in `Accept-Language`.
    locale: str = "zh-CN"
    #: False = JavaScript is off.
    has_scripts: bool = True
    #: Fingers instead of a mouse.
    has_touch: bool = False

    def __str__(self) -> str:
        scripts = "" if self.has_scripts else "-no-js"
        return f"{self.width}-{self.scheme}-{self.locale}{scripts}"


PHONE = Device(390, 844, has_touch=True)
DESKTOP = Device(1280, 800)
DARK_PHONE = Device(390, 844, scheme="dark", has_touch=True)
DARK_DESKTOP = Device(1280, 800, scheme="dark")
PLAIN_PHONE = Device(390, 844, has_scripts=False, has_touch=True)
#: For `@pytest.mark.parametrize("device", LOOKS, ids=str)`: what every page is looked at with.
LOOKS = (PHONE, DARK_PHONE, DESKTOP, DARK_DESKTOP)


def new_context(browser: Browser, device: Device, site: str) -> BrowserContext:
    """A browser without cookies and cache, for a person in Shanghai; the caller closes it.

    `site` = the address that paths are relative to (`http://localhost:8080`).
    """
    context = browser.new_context(
        base_url=site,
        viewport={"width": device.width, "height": device.height},
        color_scheme=device.scheme,
        locale=device.locale,
        timezone_id="Asia/Shanghai",
        java_script_enabled=device.has_scripts,
        has_touch=device.has_touch,
        reduced_motion="reduce",
        service_workers="block",
    )
    context.set_default_timeout(PATIENCE_MS)
    return context

"""What the tests of the two faces share: a server with people, a browser, and pages of devices.

One server and one browser serve all tests of a worker; each test has contexts of its own, without
cookies. A page that asks a third party or complains in its console fails its test (`watch`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from tests.web.chromium import LoopBetweenTests, launched, needed_chromium
from tests.web.devices import (
    DARK_DESKTOP,
    DARK_PHONE,
    DESKTOP,
    PHONE,
    PLAIN_PHONE,
    Device,
    new_context,
)
from tests.web.town import Town, open_town
from tests.web.watch import Watch

#: `open_page(device)`: a new page of a new context; `open_page(device, site)`: of another server.
OpenPage: TypeAlias = Callable[..., Page]

_LOOP = LoopBetweenTests()


@pytest.fixture(scope="session")
def one_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The server of this worker; tests ask for `town`."""
    with open_town(tmp_path_factory.mktemp("town")) as town:
        yield town


@pytest.fixture
def town(one_town: Town) -> Town:
    """The server, at noon. Others have used it: a test makes people and cards of its own."""
    one_town.set_clock()
    return one_town


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    with launched(needed_chromium()) as browser:
        yield browser
        _LOOP.show()


@pytest.fixture(autouse=True)
def loop_between_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    """Playwright's loop runs while a test with a browser does, and at no other time."""
    if "browser" not in request.fixturenames:
        yield
        return
    _LOOP.show()
    yield
    _LOOP.hide()


@pytest.fixture
def watch() -> Watch:
    """What the pages of this test did wrong; `watch.expect(PATTERN)` for what is provoked."""
    return Watch()


@pytest.fixture
def open_page(browser: Browser, town: Town, watch: Watch) -> Iterator[OpenPage]:
    """Opens pages; at the end of the test they must have behaved."""
    contexts: list[BrowserContext] = []

    def opened(device: Device, site: str = "") -> Page:
        place = site or town.site
        contexts.append(new_context(browser, device, place))
        watch.over(contexts[-1], place)
        return contexts[-1].new_page()

    yield opened
    for context in contexts:
        context.close()
    complaints = watch.complaints()
    assert not complaints, "\n".join(["the pages misbehaved:", *complaints])


@pytest.fixture
def phone(open_page: OpenPage) -> Page:
    """A phone, light, in Chinese: 390 x 844."""
    return open_page(PHONE)


@pytest.fixture
def dark_phone(open_page: OpenPage) -> Page:
    """The same at night."""
    return open_page(DARK_PHONE)


@pytest.fixture
def plain_phone(open_page: OpenPage) -> Page:
    """The same without JavaScript."""
    return open_page(PLAIN_PHONE)


@pytest.fixture
def desktop(open_page: OpenPage) -> Page:
    """A desk, light, in Chinese: 1280 x 800."""
    return open_page(DESKTOP)


@pytest.fixture
def dark_desktop(open_page: OpenPage) -> Page:
    """The same at night."""
    return open_page(DARK_DESKTOP)

"""What the portal's tests share: a portal of its own for each test, in this process.

Django can be set up once in a process; each test then gets fresh databases, a clock that it can
move and a drawer of the text messages that were sent.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser
    from url_map import Furnished

PORTAL = Path(__file__).resolve().parents[2] / "examples" / "portal"

# What one of these processes keeps is its own, and gone with it.
_HOME = tempfile.TemporaryDirectory(prefix="portal-")
os.environ["PORTAL_HOME"] = _HOME.name
os.environ["PORTAL_TIME"] = "2027-06-01T09:00:00+01:00"
os.environ["PORTAL_CLOCK"] = "automation_rules.FrozenClock"
os.environ["DJANGO_SETTINGS_MODULE"] = "demo_portal.settings"
# Playwright keeps an event loop in the tests' thread, and Django would not work beside it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
for name in ("PORTAL_DATABASE", "PORTAL_STATE", "PORTAL_HTTPS", "PORTAL_HOSTS"):
    os.environ.pop(name, None)
sys.path.insert(0, str(PORTAL))

import set_up  # noqa: E402

set_up.build()

import django  # noqa: E402

django.setup()

from browser_world import Visits, launch  # noqa: E402
from django.utils.translation import deactivate  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from portal_world import PortalWorld, Template, serving  # noqa: E402


@pytest.fixture(autouse=True)
def default_language() -> None:
    """Begin in the default language: that of the last request stays with the thread."""
    deactivate()


@pytest.fixture(scope="session")
def portal_template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Make the tables and the example data once, for tests to begin from copies of."""
    return Template.make(tmp_path_factory.mktemp("portal-template"))


@pytest.fixture
def portal(portal_template: Template, tmp_path: Path) -> Iterator[PortalWorld]:
    """Give a portal with the example data, on a Tuesday in June at nine in the morning."""
    with portal_template.copy(tmp_path / "portal") as world:
        yield world


@pytest.fixture(scope="session")
def furnished(portal_template: Template, tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    """Make, once, a portal in which two sides own one of everything, to begin from copies of."""
    from url_map import Furnished

    return Furnished.make(portal_template, tmp_path_factory.mktemp("furnished") / "portal")


@pytest.fixture
def site(portal: PortalWorld) -> Iterator[str]:
    """Serve the portal over HTTP on a free port; give its address."""
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Give a headless Chromium, to one module: its event loop is in the way of everybody else's."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser, site: str, portal: PortalWorld) -> Iterator[Visits]:
    """Open pages of the portal; afterwards, nothing else was asked for and nothing went wrong."""
    visits = Visits(chromium, site, portal)
    yield visits
    visits.close()
    assert visits.complaints == []

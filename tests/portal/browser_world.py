"""Real pages in a real Chromium, and what must hold for every one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe

from tools import tool

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Request, Route
    from portal_world import PortalWorld

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
NARROW = 320
"""The width in CSS pixels at which nothing may scroll sideways (WCAG 2.1, 1.4.10)."""

_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def launch(playwright: Playwright) -> Browser:
    """Start the machine's own Chromium."""
    return playwright.chromium.launch(executable_path=tool("chromium"), args=_OPTIONS)


@dataclass
class Visits:
    """Opens pages of one portal, and sees that they ask nobody else and complain of nothing."""

    browser: Browser
    site: str
    world: PortalWorld
    complaints: list[str] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list)

    def __call__(
        self,
        username: str | None = None,
        *,
        lang: str = "en",
        javascript: bool = True,
        width: int = 1280,
        **more: Any,
    ) -> Page:
        """Return a page of a new browser session, signed in if there is a user's name."""
        context = self.browser.new_context(
            base_url=self.site,
            java_script_enabled=javascript,
            viewport={"width": width, "height": 900},
            service_workers="block",
            **more,
        )
        self._contexts.append(context)
        cookies = {"django_language": lang}
        if username is not None:
            client = self.world.client(username, urlsplit(self.site).netloc)
            cookies["sessionid"] = client.cookies["sessionid"].value
        context.add_cookies(
            [{"name": name, "value": value, "url": self.site} for name, value in cookies.items()]
        )
        context.route(lambda url: not url.startswith(self.site), self._refuse)
        page = context.new_page()
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("response", lambda answer: self._see(answer.status, answer.url))
        return page

    def _refuse(self, route: Route, request: Request) -> None:
        self.complaints.append(f"asked for {request.url}")
        route.abort()

    def _hear(self, kind: str, text: str) -> None:
        # A page that answers 403 or 404 is said to have failed to load; that is no complaint.
        if kind == "error" and "Failed to load resource" not in text:
            self.complaints.append(text)

    def _see(self, status: int, url: str) -> None:
        if status >= 400 and "/static/" in url:
            self.complaints.append(f"{status} for {url}")

    def close(self) -> None:
        """End every session."""
        for context in self._contexts:
            context.close()


def sign_in(page: Page, world: PortalWorld, username: str, password: str) -> None:
    """Sign in through the pages, by both steps."""
    page.goto("/sign-in/")
    page.locator("[name=auth-username]").fill(username)
    page.locator("[name=auth-password]").fill(password)
    page.locator("main button[type=submit]").first.click()
    page.locator("[name=token-otp_token]").fill(world.code)
    page.locator("main button[type=submit]").first.click()


def assert_accessible(page: Page) -> None:
    """Find nothing that breaks WCAG 2.0 to 2.2 at A and AA, as far as axe can tell.

    It needs a page whose scripts run; in others it would wait for ever.
    """
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
    assert found.violations_count == 0, found.generate_report()


def assert_fits(page: Page) -> None:
    """Find the page no wider than its window."""
    width: int = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"], page.url  # type: ignore[index]


def look_at(page: Page, *, javascript: bool = True) -> None:
    """Find nothing wrong with the page for those who cannot see it all at once.

    Without script axe cannot look; the pages are the same.
    """
    page.wait_for_load_state()
    if javascript:
        assert_accessible(page)
    assert_fits(page)


def tab_to(page: Page, selector: str) -> None:
    """Press the tabulator until an element that fits has the focus."""
    for _tab in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"no way to {selector}; the focus is {focused(page)}")


def focused(page: Page) -> str:
    """Return the element that has the focus: its tag, id and classes."""
    found: str = page.evaluate(
        "(e => e.tagName.toLowerCase() + (e.id && '#' + e.id) + "
        "[...e.classList].map(c => '.' + c).join(''))(document.activeElement)"
    )
    return found

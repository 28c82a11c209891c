"""The portal's pages, filled in by the words that a person sees on them."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from playwright.sync_api import Error as BrowserError
from playwright.sync_api import sync_playwright

from .rent_roll import CHANGE, CHANGED_ON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from playwright.sync_api import Locator, Page, Response

    from automation_rules import TodoKind

__all__ = ["BrowserError", "Found", "Portal", "PortalError", "RefusedError", "open_portal"]

DAY = "%d %B %Y"
"""How the portal writes a day in English."""

QUIET = ["--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]


class PortalError(Exception):
    """The portal did not take a step; the text is what its page says, without what was typed."""


class RefusedError(PortalError):
    """The portal answered that the step is not allowed."""


@dataclass(frozen=True, slots=True)
class Found:
    """One line of the list of to-dos."""

    id: str
    name: str
    postcode: str
    tenant_reference: str


@dataclass
class Portal:
    """The portal in one browser session.

    ``pictures`` is where screenshots are left, and ``pace`` the least number of seconds from one
    page to the next: the portal serves people as well.
    """

    page: Page
    address: str
    pictures: Path | None = None
    pace: float = 0
    signed_in: bool = False
    _taken: set[str] = field(default_factory=set)
    _last: float = 0

    def another(self) -> Portal:
        """Return the portal in a browser session of its own."""
        browser = self.page.context.browser
        assert browser is not None
        return Portal(browser.new_context(locale="en-GB").new_page(), self.address)

    def go(self, path: str) -> None:
        """Open a page."""
        self._wait()
        self._see(self.page.goto(f"{self.address}{path}"))

    def press(self, name: str) -> None:
        """Press a button or follow a link that leads to another page."""
        named = self.page.get_by_role("button", name=name, exact=True)
        target = named.or_(self.page.get_by_role("link", name=name, exact=True))
        if not target.first.is_visible():
            raise PortalError(f"The page has no '{name}'")
        self._wait()
        with self.page.expect_navigation() as leading:
            target.first.click()
        self._see(leading.value)

    def give_password(self, username: str, password: str) -> None:
        """Take the first step of signing in, after which the code is sent."""
        self.go("/sign-in/")
        self.type("User name", username)
        self.type("Password", password)
        self.press("Sign in")
        self.picture("access-code")

    def give_code(self, code: str) -> None:
        """Take the second step."""
        self.type("Access code", code)
        self.signed_in = True
        self.press("Continue")

    def sign_out(self) -> None:
        """End the session, if there is one. One that cannot be ended so ends by its time-out."""
        if self.signed_in:
            self.signed_in = False
            with suppress(PortalError, BrowserError):
                self.go("/sign-out/")
                self.press("Sign out")

    def updates(self) -> list[str]:
        """Return the headings of the notices that are new."""
        if not self.page.url.endswith("/updates/"):  # where one lands when there are any
            self.go("/updates/")
        self.picture("updates")
        new = self.page.get_by_role("article").filter(has=self.page.locator(".govuk-tag"))
        texts = new.get_by_role("heading").all_inner_texts()
        return [" ".join(text.split()).removesuffix(" New") for text in texts]

    def todos(self, kind: TodoKind, ask: Callable[[], object]) -> list[Found]:
        """Return all to-dos of a kind; ``ask`` is called before each page of the list."""
        ask()
        self.go(f"/to-dos/?kind={kind.value}")
        while self.page.get_by_role("link", name="Show more").is_visible():
            ask()
            self.press("Show more")
        self.picture("to-dos")
        rows = self.page.get_by_role("row").filter(has=self.page.get_by_role("link"))
        return [_found(row) for row in rows.all()]

    def open(self, todo_id: str) -> dict[str, str]:
        """Open a to-do, and return what it says about whom it is about."""
        self.go(f"/to-dos/{todo_id}/")
        self.picture("to-do")
        return self.summary()

    @property
    def form_fingerprint(self) -> str | None:
        """The fingerprint of the form that the page belongs to."""
        found = self.page.locator("meta[name=form-fingerprint]")
        return found.get_attribute("content") if found.count() else None

    @property
    def at_check(self) -> bool:
        """Whether this is the list of answers, from which the to-do is submitted."""
        return self.page.url.endswith("/check/")

    def answer(self, answers: Mapping[str, str]) -> None:
        """Answer the page's questions, as far as there are answers."""
        for question, text in answers.items():
            if question == CHANGED_ON:
                self._choose_day(text)
            elif (box := self.page.get_by_label(question, exact=True)).is_visible():
                box.fill(text.removeprefix("£"))
            elif (group := self.page.get_by_role("group", name=question, exact=True)).is_visible():
                group.get_by_role("radio", name=text, exact=True).first.check()
        self.picture(f"to-do-{self.page.url.rstrip('/').rpartition('/')[2]}")

    def summary(self) -> dict[str, str]:
        """Return what the page lists, by its keys; of two people, the first."""
        found: dict[str, str] = {}
        for row in self.page.locator(".govuk-summary-list__row").all():
            key = row.locator("dt").inner_text().strip()
            found.setdefault(key, row.locator("dd").first.inner_text().strip())
        return found

    def type(self, label: str, text: str) -> None:
        """Type into a box."""
        self.page.get_by_label(label, exact=True).fill(text)

    def picture(self, name: str) -> None:
        """Leave a screenshot of the whole page, once for each name."""
        if self.pictures is not None and name not in self._taken:
            self._taken.add(name)
            self.pictures.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=self.pictures / f"{name}.png", full_page=True)

    def _choose_day(self, day: str) -> None:
        question = self.page.get_by_role("group", name=CHANGE, exact=True)
        if not question.is_visible():
            return
        annual = question.get_by_role("radio", name=re.compile(f"^{day},"))
        if annual.count():
            annual.check()
            return
        question.get_by_role("radio", name="Another date", exact=True).check()
        for label, part in (("Day", "%d"), ("Month", "%m"), ("Year", "%Y")):
            self.type(label, datetime.strptime(day, DAY).strftime(part))  # noqa: DTZ007

    def _wait(self) -> None:
        """Keep the pace."""
        time.sleep(max(0.0, self._last + self.pace - time.monotonic()))
        self._last = time.monotonic()

    def _see(self, answer: Response | None) -> None:
        """Stop at a page that says no, or that something is wrong."""
        if answer is None or answer.status >= 400:
            self.picture("refused")
            error = RefusedError if answer and answer.status == 403 else PortalError
            raise error(self.page.locator("main").inner_text().strip())
        if (problems := self.page.locator(".govuk-error-summary")).count():
            self.picture("problem")
            raise PortalError(problems.inner_text().strip())


def _found(row: Locator) -> Found:
    link = row.get_by_role("link")
    address = link.get_attribute("href") or ""
    cells = row.get_by_role("cell").all_inner_texts()
    return Found(address.rstrip("/").rpartition("/")[2], link.inner_text(), cells[0], cells[1])


@contextmanager
def open_portal(
    address: str, pictures: Path | None = None, *, pace: float = 0, headed: bool = False
) -> Iterator[Portal]:
    """Open a browser session of its own, in the machine's Chromium if there is one."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=QUIET,
            headless=not headed,
            slow_mo=250 if headed else 0,
        )
        try:
            context = browser.new_context(locale="en-GB", viewport={"width": 1000, "height": 800})
            context.set_default_timeout(10_000)
            yield Portal(context.new_page(), address.rstrip("/"), pictures, pace)
        finally:
            browser.close()

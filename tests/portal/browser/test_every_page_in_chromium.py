"""Every page that a person can open, in a real browser: what must hold whatever it is about.

The pages come from ``url_map.py``, and so from Django's URL map.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_world import NARROW, WCAG
from url_map import FIRST, client_of, pages, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from browser_world import Visits
    from django.test import Client
    from playwright.sync_api import Page
    from portal_world import PortalWorld
    from url_map import Furnished, Member

LANGUAGES = ["en", "cy"]

WATCH_THE_FOCUS = """() => {
  const look = e => {
    const label = e.labels && e.labels[0];
    const parts = [[e, null], [e, '::before'], [e, '::after']];
    if (label && /radio|checkbox/.test(e.type)) parts.push([label, '::before']);
    return parts.map(([part, pseudo]) => {
      const s = getComputedStyle(part, pseudo);
      return [s.outlineStyle, s.outlineWidth, s.outlineColor, s.boxShadow, s.backgroundColor,
              s.borderColor, s.borderWidth, s.textDecorationLine].join();
    }).join(';');
  };
  const all = [...document.querySelectorAll(
    'a[href], button, input, select, textarea, summary, [tabindex], video[controls]')]
    .filter(e => e.tabIndex >= 0 && !e.disabled && e.type !== 'hidden'
                 && e.checkVisibility({visibilityProperty: true}));
  const stops = all.filter(e => {
    if (e.type !== 'radio') return true;
    const group = all.filter(o => o.type === 'radio' && o.name === e.name && o.form === e.form);
    return e === (group.find(o => o.checked) || group[0]);
  });
  const seen = window.seen = [], before = new Map(stops.map(e => [e, look(e)]));
  document.addEventListener('focusin', event => {
    const e = event.target;
    if (seen.length && seen.at(-1).at === stops.indexOf(e)) return;
    const box = e.getBoundingClientRect();
    seen.push({at: stops.indexOf(e), what: e.outerHTML.slice(0, 120),
               shown: look(e) !== before.get(e) && box.width > 0 && box.height > 0});
  });
  return stops.map(e => e.outerHTML.slice(0, 120));
}"""
"""Finds what the tabulator has to stop at, in the page's order; then keeps what gets the focus."""

SKELETON = """() => ({
  headings: [...document.querySelectorAll('h1, h2, h3')].map(e => e.tagName + ' ' + e.innerText),
  forms: [...document.forms].map(form => [form.method, form.action,
    ...new Set([...form.elements].filter(e => e.name && e.name !== 'csrfmiddlewaretoken')
      .map(e => e.name + '=' + e.type)), form.querySelectorAll('button').length]),
  links: [...document.querySelectorAll('main a')].map(e => e.getAttribute('href')),
})"""
"""What a page offers, whether its scripts run or not."""


EMPTIED = """() => {
  const form = [...document.querySelectorAll('main form')].filter(form => form.method === 'post'
    && form.querySelector('input:not([type=hidden]), textarea, select')).at(-1);
  if (!form) return null;
  for (const e of form.elements) {
    if (/radio|checkbox/.test(e.type)) e.checked = false;
    else if (e.tagName === 'SELECT') e.selectedIndex = 0;
    else if (e.tagName !== 'BUTTON' && e.type !== 'hidden') e.value = '';
  }
  const buttons = [...form.querySelectorAll('[type=submit]')];
  return buttons.find(e => !e.name) || buttons[0];
}"""
"""Takes every answer out of the page's last form, and gives the button that sends it, if any."""


@pytest.fixture
def portal(furnished: Furnished, tmp_path: Path) -> Iterator[PortalWorld]:
    """Give a portal in which there is one of everything to look at."""
    with furnished.template.copy(tmp_path / "portal") as world:
        yield world


class Walker:
    """Opens pages as whoever they are for; keeps one window for each user and way of looking."""

    def __init__(self, visit: Visits, portal: PortalWorld) -> None:
        """Begin with no window."""
        self._visit, self._portal = visit, portal
        self._windows: dict[object, Page] = {}
        self._clients: dict[Member, Client] = {}
        self.problems: list[str] = []

    def open(self, member: Member, path: str, **how: Any) -> Page:
        """Open a page in the member's window."""
        client = self._clients.get(member)
        if client is None:
            client = client_of(self._portal, member, urlsplit(self._visit.site).netloc)
            self._clients[member] = client
        key = (member, *sorted(how.items()))
        if key not in self._windows:
            self._windows[key] = self._visit(**how)
            self._windows[key].set_default_timeout(10_000)
        page = self._windows[key]
        prepare(self._portal, client, path)
        if "sessionid" in client.cookies:
            session = {"name": "sessionid", "value": client.cookies["sessionid"].value}
            page.context.add_cookies([session | {"url": self._visit.site}])  # type: ignore[list-item]
        page.goto(path)
        return page

    def expect(self, page: Page, held: object, what: str) -> None:
        """Keep what is wrong with a page."""
        if not held:
            lang = page.evaluate("document.documentElement.lang")
            self.problems.append(f"{urlsplit(page.url).path} ({lang}): {what}")

    def look(self, page: Page, lang: str) -> None:
        """See that the page is sound for all: its frame, axe's findings, its width."""
        found = page.evaluate(
            "({lang: document.documentElement.lang, title: document.title, "
            "h1: [...document.querySelectorAll('h1')].map(e => e.innerText), "
            "width: document.documentElement.scrollWidth})"
        )
        self.expect(page, found["lang"] == lang, f"lang={found['lang']}")
        self.expect(page, len(found["h1"]) == 1, f"the h1 are {found['h1']}")
        self.expect(page, re.fullmatch(".+ \u2013 .+", found["title"]), f"title {found['title']!r}")
        wide = page.viewport_size["width"]  # type: ignore[index]
        self.expect(page, found["width"] <= wide, f"{found['width']} px wide")
        axe = Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
        self.expect(page, axe.violations_count == 0, axe.generate_report())

    def tab(self, page: Page) -> None:
        """See that the keyboard reaches everything there is, in order, and shows where it is."""
        stops = page.evaluate(WATCH_THE_FOCUS)
        # A film's controls are stops of their own.
        films = page.locator("video[controls]").count()
        for turn in range(1, len(stops) + 1 + 12 * films):
            page.keyboard.press("Tab")
            last = "window.seen.length && window.seen.at(-1).at"
            if turn >= len(stops) and page.evaluate(last) == len(stops) - 1:
                break
        seen = page.evaluate("window.seen")
        order = [one["at"] for one in seen]
        missed = [stop for at, stop in enumerate(stops) if at not in order]
        self.expect(page, not missed, f"cannot be reached by Tab: {missed}")
        self.expect(page, order == sorted(order), f"the order of the focus is {order}")
        hidden = [one["what"] for one in seen if not one["shown"]]
        self.expect(page, not hidden, f"the focus cannot be seen on {hidden}")

    def fail(self, page: Page, lang: str) -> bool:
        """Send a form without answers; see that what it says then is sound too. Whether it did."""
        button = page.evaluate_handle(EMPTIED).as_element()
        if button is None:
            return False
        with page.expect_navigation(wait_until="load"):
            button.click()
        summary = page.locator(".govuk-error-summary")
        if not summary.count():
            return False
        begins = {"en": "Error: ", "cy": "Gwall: "}[lang]
        self.expect(page, page.title().startswith(begins), f"the title is {page.title()!r}")
        has_focus = summary.evaluate("e => e.contains(document.activeElement)")
        self.expect(page, has_focus, "the focus is not on what is wrong")
        targets = summary.locator("a").evaluate_all(
            "links => links.filter(e => !document.getElementById(e.hash.slice(1)))"
            ".map(e => e.outerHTML)"
        )
        self.expect(page, not targets, f"errors that lead nowhere: {targets}")
        self.look(page, lang)
        return True

    def compare(self, page: Page, plain: Page) -> None:
        """See that the page is the same where scripts do not run."""
        with_script, without = page.evaluate(SKELETON), plain.evaluate(SKELETON)
        for what, found in with_script.items():
            self.expect(page, found == without[what], f"{what}: {found}, else {without[what]}")


def sample(furnished: Furnished, step: int) -> list[tuple[Member, str, str]]:
    """Return every ``step``-th page with somebody whom it is for, and in turn a language."""
    every = list(pages(furnished.things[FIRST]))[::step]
    return [(who, path, LANGUAGES[number % 2]) for number, (who, path) in enumerate(every)]


def walk(walker: Walker, member: Member, path: str, lang: str, width: int) -> None:
    """Look at a page, go through it by keyboard, and compare it with itself without script."""
    page = walker.open(member, path, lang=lang, width=width)
    walker.look(page, lang)
    walker.tab(page)
    page = walker.open(member, path, lang=lang, width=width)
    plain = walker.open(member, path, lang=lang, width=width, javascript=False)
    walker.compare(page, plain)


def test_every_page_holds(visit: Visits, portal: PortalWorld, furnished: Furnished) -> None:
    """Some pages of every system, each in one language: accessible, narrow, by keyboard, plain."""
    walker = Walker(visit, portal)
    chosen = sample(furnished, 8)
    for member, path, lang in chosen:
        walk(walker, member, path, lang, NARROW)
    assert walker.problems == []
    assert len(chosen) > 15


@pytest.mark.exhaustive
@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("width", [NARROW, 1280])
def test_every_page_holds_in_every_way(
    visit: Visits, portal: PortalWorld, furnished: Furnished, lang: str, width: int
) -> None:
    """The same of each page, in both languages, narrow and wide."""
    walker = Walker(visit, portal)
    for member, path, _lang in sample(furnished, 1):
        walk(walker, member, path, lang, width)
    assert walker.problems == []


def test_forms_sent_empty_hold(visit: Visits, portal: PortalWorld, furnished: Furnished) -> None:
    """Some forms, sent without answers: the page that says so is sound, and leads to the fields."""
    walker = Walker(visit, portal)
    found = 0
    for member, path, lang in sample(furnished, 14):
        found += walker.fail(walker.open(member, path, lang=lang, width=NARROW), lang)
    assert walker.problems == []
    assert found > 3


@pytest.mark.exhaustive
@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_form_sent_empty_holds(
    visit: Visits, portal: PortalWorld, furnished: Furnished, lang: str
) -> None:
    """The same for every form, in both languages."""
    walker = Walker(visit, portal)
    found = 0
    for member, path, _lang in sample(furnished, 1):
        found += walker.fail(walker.open(member, path, lang=lang, width=NARROW), lang)
    assert walker.problems == []
    assert found > 30


BROKEN = """<!DOCTYPE html><html lang="fr"><title>No service</title>
<style>.none:focus { outline: none }</style>
<h1>One</h1><h1>Two</h1><p style="width: 500px">Too wide</p><img src="data:,">
<a href="#a" tabindex="2">second</a><a href="#b" class="none" tabindex="1">first</a>
<button onkeydown="event.preventDefault()">a trap</button><a href="#c">beyond</a>
<script>document.body.append(document.createElement('h2'))</script>
"""


def test_what_is_wrong_is_found(visit: Visits, portal: PortalWorld) -> None:
    """A page with every fault that the walk looks for is complained of for each."""
    walker = Walker(visit, portal)
    page, plain = visit(width=NARROW), visit(width=NARROW, javascript=False)
    for window in (page, plain):
        window.set_content(BROKEN)
    walker.look(page, "en")
    walker.tab(page)
    walker.compare(page, plain)
    found = "\n".join(walker.problems)
    for fault in (
        *("lang=fr", "the h1 are ['One', 'Two']", "title 'No service'", "px wide", "image-alt"),
        *('cannot be reached by Tab: [\'<a href="#c"', "the order of the focus is [1, 0"),
        *('the focus cannot be seen on [\'<a href="#b"', "headings: "),
    ):
        assert fault in found
    assert len(walker.problems) == 9

"""Repairs in a real browser: accessible, narrow, by keyboard, without script, in both languages."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import pytest
from browser_world import NARROW, look_at, tab_to
from playwright.sync_api import expect
from repairs_world import DRIPS, LIFT, REPAIRS, START, describe, number_at, report, stuck, walk
from tenant_services.repairs.diagnosis import diagnosis
from tenant_services.repairs.housing import housing_management
from tenant_world import GARAGE, HOME, visit_as

if TYPE_CHECKING:
    from browser_world import Visits
    from playwright.sync_api import Page
    from portal_world import PortalWorld

LANGUAGES = ["en", "cy"]


def choose(page: Page, value: str) -> None:
    """Choose an answer and send it."""
    page.locator(f"[name=answer][value='{value}']").check()
    page.locator("main form button").click()


@pytest.mark.parametrize(("lang", "javascript"), [("en", False), ("cy", True)])
def test_report_a_repair_and_book_a_visit(
    visit: Visits, portal: PortalWorld, lang: str, javascript: bool
) -> None:
    """From the list through the questions to the number, the visit and back; each page is sound."""
    page, _client = visit_as(visit, portal, lang=lang, javascript=javascript, width=NARROW)
    look = partial(look_at, javascript=javascript)
    page.goto(REPAIRS)
    look(page)
    page.locator(f"main a[href='{START}']").click()
    page.locator("main form button").click()
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    expect(page).to_have_title(re.compile("^(Error|Gwall): "))
    look(page)
    choose(page, HOME)
    for value in DRIPS:
        look(page)
        choose(page, value)
    page.locator("[name=telephone]").fill("none")
    page.locator("[name=words]").fill("Mae'n diferu drwy'r nos: ŵ ŷ")
    page.locator("main form button").click()
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    expect(page.locator("[name=words]")).to_have_value("Mae'n diferu drwy'r nos: ŵ ŷ")
    look(page)
    page.locator("[name=telephone]").fill("01632 960 001")
    page.locator("main form button").click()
    expect(page).to_have_url(re.compile("/check/$"))
    look(page)
    # The other language, a step back, and forward again: the answers are there.
    page.locator(".demo-languages a").click()
    expect(page.locator("main")).to_contain_text("Mae'n diferu drwy'r nos: ŵ ŷ")
    page.locator(".demo-languages a").click()
    page.locator("main a[href$='/what/']").click()
    expect(page.locator("[name=answer]:checked")).to_have_value("tap")
    page.locator("main form button").click()
    expect(page).to_have_url(re.compile("/check/$"))
    page.locator("main form button").click()
    expect(page.locator(".govuk-panel")).to_contain_text("R-1")
    look(page)
    address = page.url
    page.reload()
    page.go_back()
    page.goto(address.replace("reported", "check"))
    expect(page).to_have_url(address)
    page.locator("main a[href$='/visit/book/']").click()
    expect(page.locator("[name=slot]").first).to_be_visible()


def test_double_click_reports_once(visit: Visits, portal: PortalWorld) -> None:
    """A double click raises one job, with script or without."""
    for javascript in (True, False):
        page, client = visit_as(visit, portal, javascript=javascript)
        page.goto(describe(client, GARAGE, ("garage", "roof", ""), words=f"Once {javascript}"))
        page.locator("main form button").dblclick()
        expect(page.locator(".govuk-panel")).to_be_visible()
        assert number_at(words=f"Once {javascript}") in page.locator(".govuk-panel").inner_text()
    found = housing_management().jobs("new", tenancies=[GARAGE])  # type: ignore[arg-type]
    assert [job.words for job in found.rows if job.words] == ["Once False", "Once True"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_page_is_accessible_and_narrow(visit: Visits, portal: PortalWorld, lang: str) -> None:
    """No page has a violation or scrolls sideways, whatever it shows."""
    page, client = visit_as(visit, portal, lang=lang, width=NARROW)
    own, lift = number_at(sor_code="DEMO-PL-101"), report(client, HOME, LIFT)
    dialled = walk(client, HOME, ("kitchen", "appliance", "gas"))
    for path in [
        dialled,
        f"{REPAIRS}emergency/",
        f"{REPAIRS}self-help/",
        f"{REPAIRS}self-help/unblock-sink/",
        f"{REPAIRS}self-help/unblock-toilet/",
        f"{REPAIRS}{own}/",
        f"{REPAIRS}{own}/cancel/",
        f"{REPAIRS}{number_at(sor_code='DEMO-HE-107')}/cancel/",
        f"{REPAIRS}{lift}/",
        f"{REPAIRS}{lift}/cancel/",
        f"{REPAIRS}all/your-home/past/",
        f"{REPAIRS}all/your-building/upcoming/",
        describe(client, HOME, DRIPS),
    ]:
        page.goto(path)
        look_at(page)
    with stuck():
        page.goto(REPAIRS)
        look_at(page)


@pytest.mark.exhaustive
@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_help_is_accessible_and_narrow(visit: Visits, portal: PortalWorld, lang: str) -> None:
    """All the self-help and all the emergencies, and every question of the tree."""
    page, client = visit_as(visit, portal, lang=lang, width=NARROW)
    paths = [f"self-help/{one.slug}/" for one in diagnosis().self_helps]
    paths += [f"emergency/{one.slug}/" for one in diagnosis().emergencies]
    for path in paths:
        page.goto(REPAIRS + path)
        look_at(page)
    for location in diagnosis().locations:
        home = GARAGE if location.of == "garage" else HOME
        for problem in location.problems:
            if problem.details:
                page.goto(walk(client, home, (location.slug, problem.slug, "")))
                look_at(page)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_film_has_captions_in_both_languages(visit: Visits, portal: PortalWorld, lang: str) -> None:
    """The browser plays the film that is shipped, with the captions of the page's language."""
    page, _client = visit_as(visit, portal, lang=lang)
    page.goto(f"{REPAIRS}self-help/unblock-sink/")
    page.evaluate("for (const t of document.querySelectorAll('track')) t.track.mode = 'showing'")
    for _ in range(200):
        # A film's first picture and both files of captions; the browser takes its time.
        states = page.evaluate(
            "[...document.querySelectorAll('video, track')].map(e => e.readyState)"
        )
        if states[0] >= 1 and states[1:] == [2, 2]:
            break
        page.wait_for_timeout(50)
    else:
        raise AssertionError(states)
    found = page.evaluate(
        """() => {
          const video = document.querySelector('video');
          const tracks = [...video.querySelectorAll('track')];
          return {
            seconds: Math.round(video.duration),
            width: video.videoWidth,
            cues: Object.fromEntries(tracks.map(
              ({srclang, track}) => [srclang, [track.cues.length, track.cues[0].text]])),
            chosen: tracks.find(track => track.default).srclang,
          };
        }"""
    )
    assert found == {
        "seconds": 25,
        "width": 480,
        "cues": {
            "en": [5, "Take out what you can see, such as hair or food."],
            "cy": [5, "Tynnwch yr hyn a welwch allan, fel gwallt neu fwyd."],
        },
        "chosen": lang,
    }
    page.locator("main details summary").click()
    expect(page.locator("main details")).to_contain_text(found["cues"][lang][1])


def test_by_keyboard_alone(visit: Visits, portal: PortalWorld) -> None:
    """Nothing needs a mouse: tabs, arrows, letters and enter lead to a number."""
    page, _client = visit_as(visit, portal)
    page.goto(START)
    keys = page.keyboard

    for step in ("where", "what", "detail", "describe"):
        tab_to(page, "[name=answer]")
        keys.press("Space")
        keys.press("Enter")
        expect(page).to_have_url(re.compile(f"/{step}/$"))
    tab_to(page, "[name=words]")
    keys.type("By keyboard")
    tab_to(page, "main form button")
    keys.press("Enter")
    expect(page).to_have_url(re.compile("/check/$"))
    tab_to(page, "main form button")
    keys.press("Enter")
    expect(page.locator(".govuk-panel")).to_be_visible()

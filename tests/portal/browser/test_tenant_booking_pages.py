"""The pages of a visit in a real browser: accessible, narrow, by keyboard, without script."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from booking_world import DRAIN, TARANS, Down, again, booked, diary, home_of, report, windows
from browser_world import NARROW, assert_accessible, assert_fits, tab_to
from demo_portal.clock import LONDON
from icalendar import Calendar
from playwright.sync_api import expect
from tenant_services.repairs import diary_client as client
from tenant_world import visit_as

if TYPE_CHECKING:
    from browser_world import Visits
    from playwright.sync_api import Page
    from portal_world import PortalWorld
    from tenant_services.repairs.housing import Job


def at(job: Job, page: str = "") -> str:
    """Return the address of a page about a job's visit."""
    return f"/my-home/repairs/{job.number}/visit/{page}"


def look(page: Page, *, javascript: bool = True) -> None:
    """Find nothing wrong with the page for those who cannot see it all at once."""
    page.wait_for_load_state()
    if javascript:
        assert_accessible(page)
    assert_fits(page)


def press(page: Page) -> None:
    """Send the page's form."""
    page.locator("main form button").last.click()


@pytest.mark.parametrize(
    ("lang", "javascript"),
    [
        ("cy", False),
        pytest.param("en", True),
        pytest.param("cy", True, marks=pytest.mark.exhaustive),
    ],
)
def test_from_choosing_to_cancelling(
    visit: Visits, portal: PortalWorld, lang: str, javascript: bool
) -> None:
    """Choose, confirm, take the file, change, cancel; each page is sound, errors as well."""
    page, _client = visit_as(visit, portal, lang=lang, javascript=javascript, width=NARROW)
    job = report()
    page.goto(at(job, "book/"))
    look(page, javascript=javascript)
    press(page)
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    expect(page).to_have_title(re.compile("^(Error|Gwall): "))
    look(page, javascript=javascript)
    page.locator(".govuk-error-summary a").click()
    expect(page.locator("#id_slot")).to_be_in_viewport()
    page.locator("main form a[href^='?weeks']").click()
    expect(page.locator("main fieldset fieldset")).to_have_count(10)
    page.locator("input[name=slot]").nth(20).check()
    press(page)
    expect(page).to_have_url(re.compile(f"{at(job, 'check/')}$"))
    look(page, javascript=javascript)
    press(page)
    expect(page).to_have_url(re.compile(f"{at(job)}$"))
    expect(page.locator(".govuk-notification-banner--success")).to_be_visible()
    look(page, javascript=javascript)
    with page.expect_download() as download:
        page.locator("main a[download]").click()
    [event] = Calendar.from_ical(download.value.path().read_bytes()).walk("VEVENT")
    assert event["DTSTART"].dt == again(job).appointment.starts_at
    page.locator("main a[href$='/change/']").click()
    look(page, javascript=javascript)
    page.locator("input[name=slot]").first.check()
    press(page)
    look(page, javascript=javascript)
    press(page)
    expect(page.locator(".govuk-notification-banner--success")).to_be_visible()
    page.locator("main a[href$='/cancel/']").click()
    page.locator("[name=reason]").fill("x" * 501)
    press(page)
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    look(page, javascript=javascript)
    page.locator("[name=reason]").fill("ŵŷ <script>alert(1)</script>")
    press(page)
    expect(page).to_have_url(re.compile(f"/repairs/{job.number}/$"))
    assert again(job).appointment is None


@pytest.mark.parametrize("lang", ["cy", pytest.param("en", marks=pytest.mark.exhaustive)])
def test_what_goes_wrong_is_accessible(visit: Visits, portal: PortalWorld, lang: str) -> None:
    """Gone meanwhile, changed meanwhile, down, not bookable, too late: each page is sound."""
    page, _client = visit_as(visit, portal, lang=lang, width=NARROW)
    job, other = report(DRAIN), report(DRAIN, TARANS)
    page.goto(at(job, "book/"))
    page.locator("input[name=slot]").first.check()
    press(page)
    window = windows(job)[0]
    assert client.book(other, home_of(other), None, window) is client.Outcome.BOOKED
    with diary(Down):
        press(page)
        look(page)
    press(page)
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    look(page)
    page.goto(at(report("DEMO-RO-101"), "book/"))
    look(page)
    page.goto(at(job, "book/"))
    page.locator("input[name=slot]").first.check()
    press(page)
    mine = booked(job, 1)
    press(page)
    look(page)
    portal.clock.move_to(datetime.combine(mine.starts_at.date(), mine.starts_at.time(), LONDON))
    page, _client = visit_as(visit, portal, lang=lang, width=NARROW)
    for address in (at(job), at(job, "cancel/"), at(job, "nowhere/")):
        page.goto(address)
        look(page)


def test_by_keyboard_alone(visit: Visits, portal: PortalWorld) -> None:
    """The times of all days are one choice: arrows go through them, tab leaves them."""
    page, _client = visit_as(visit, portal)
    job = report()
    page.goto(at(job, "book/"))
    keys = page.keyboard

    tab_to(page, "input[name=slot]")
    for _time in range(4):
        keys.press("ArrowDown")
    expect(page.locator("input[name=slot]").nth(4)).to_be_checked()
    tab_to(page, "main form button")
    keys.press("Enter")
    expect(page).to_have_url(re.compile(f"{at(job, 'check/')}$"))
    tab_to(page, "main form button")
    keys.press("Enter")
    expect(page).to_have_url(re.compile(f"{at(job)}$"))
    assert again(job).appointment == windows(job)[4]

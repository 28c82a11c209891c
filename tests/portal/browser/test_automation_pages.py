"""The compliance officer's pages and a bot's refusal in a real browser."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from browser_world import NARROW, assert_accessible, assert_fits, sign_in
from landlord_portal.library import registry
from landlord_portal.management.commands.seed_demo import PASSWORD
from playwright.sync_api import expect

from automation_rules.accounts import AccountStatus

if TYPE_CHECKING:
    from browser_world import Visits
    from playwright.sync_api import Page
    from portal_world import PortalWorld

LANGUAGES = ["en", "cy"]
BOT, OLIVE = "Acme Homes Automation 1", "olive.madeup"
PAGES = [
    "/compliance/",
    "/compliance/?answer=denied",
    "/compliance/0/",
    "/compliance/2/",
    "/compliance/verification/",
    "/compliance/automation/",
    "/compliance/automation/pause/acme-1/",
    "/compliance/automation/resume/",
    "/compliance/forms/confirm_housing_costs/",
]


def be_denied(visit: Visits, lang: str = "en") -> Page:
    """Have a bot open a page that is not for bots."""
    page = visit(BOT, lang=lang, width=NARROW)
    page.goto("/tenants/")
    return page


@pytest.mark.parametrize("lang", LANGUAGES)
def test_pages_are_accessible_and_narrow(visit: Visits, lang: str) -> None:
    """No page has a violation that axe can find, nor scrolls sideways in a narrow window."""
    be_denied(visit)
    page = visit(OLIVE, lang=lang, width=NARROW)
    for path in PAGES:
        page.goto(path)
        assert_accessible(page)
        assert_fits(page)
    page.goto("/compliance/automation/pause/")
    page.locator("main form button").click()
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    assert_accessible(page)
    page.goto("/compliance/verification/")
    page.locator("main form button").click()
    expect(page.locator(".govuk-inset-text")).to_be_visible()
    assert_accessible(page)
    assert_fits(page)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_denied_bot_sees_a_page_in_its_language(visit: Visits, lang: str) -> None:
    """With the clause and what to do, accessible and narrow."""
    page = be_denied(visit, lang)
    expect(page.locator("html")).to_have_attribute("lang", lang)
    expect(page.locator("body")).to_contain_text("terms.no-other-functions")
    assert_accessible(page)
    assert_fits(page)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_bot_is_refused_when_it_signs_in(visit: Visits, portal: PortalWorld, lang: str) -> None:
    """At night the right password leads to the reason, in place of the code's page."""
    portal.clock.move_to(datetime.fromisoformat("2027-06-01T21:00:00+01:00"))
    page = visit(lang=lang)
    page.goto("/sign-in/")
    page.locator("[name=auth-username]").fill(BOT)
    page.locator("[name=auth-password]").fill(PASSWORD)
    page.locator("main button[type=submit]").first.click()
    expect(page.locator("html")).to_have_attribute("lang", lang)
    expect(page.locator("body")).to_contain_text("when.core-hours")
    assert_accessible(page)
    assert portal.messages == []


def test_bot_works_through_the_pages(visit: Visits, portal: PortalWorld) -> None:
    """Signed in by both steps, it lands and opens a to-do, images and scripts included."""
    page = visit()
    sign_in(page, portal, BOT, PASSWORD)
    expect(page.get_by_role("heading", level=1)).to_have_text("Updates")
    page.goto("/to-dos/")
    page.locator("main table a").first.click()
    page.get_by_role("button", name="Start now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your tenant")
    page.get_by_role("link", name="Cymraeg").click()
    expect(page.locator("html")).to_have_attribute("lang", "cy")


@pytest.mark.parametrize("javascript", [True, False])
def test_officer_finds_the_denial_and_pauses_the_account(
    visit: Visits, portal: PortalWorld, javascript: bool
) -> None:
    """From the log to one decision, then to the button; with script or without."""
    be_denied(visit)
    page = visit(OLIVE, javascript=javascript)
    page.goto("/updates/")
    page.get_by_role("link", name="Compliance").click()
    page.get_by_label("Answer").select_option("denied")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("main tbody tr")).to_have_count(1)
    page.locator("main tbody a").click()
    expect(page.locator("main")).to_contain_text("terms.no-other-functions")
    page.get_by_role("link", name="Back").click()
    page.get_by_role("link", name="Your automation").click()
    page.get_by_role("link", name="Pause acme-1").click()
    page.get_by_label("Why?").fill("It opened pages that are not for automation")
    page.locator("main form button").click()
    expect(page.locator(".govuk-notification-banner--success")).to_be_visible()
    assert registry().account("acme-1").status is AccountStatus.PAUSED
    portal.clock.move_to(portal.clock.now() + timedelta(seconds=1))
    page.get_by_role("link", name="Resume acme-1").click()
    page.locator("main form button").click()
    expect(page.locator(".govuk-notification-banner--success")).to_be_visible()
    assert registry().account("acme-1").status is AccountStatus.ACTIVE


@pytest.mark.parametrize("lang", LANGUAGES)
def test_report_is_shown_with_its_style(visit: Visits, lang: str) -> None:
    """The browser blocks nothing of it."""
    be_denied(visit)
    page = visit(OLIVE, lang=lang)
    page.goto("/compliance/reports/30/html/")
    expect(page.locator("body")).to_contain_text("acme-1")
    assert page.locator("svg").first.evaluate("e => getComputedStyle(e).display") == "block"
    assert_accessible(page)

"""Signing in with a real browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from browser_world import NARROW, assert_accessible, assert_fits, sign_in
from landlord_portal.management.commands.seed_demo import PASSWORD
from playwright.sync_api import expect

if TYPE_CHECKING:
    from browser_world import Visits
    from portal_world import PortalWorld


@pytest.mark.parametrize("javascript", [True, False])
def test_signs_in_by_both_steps(visit: Visits, portal: PortalWorld, javascript: bool) -> None:
    """Password, then code, then the notice that is unread; with or without JavaScript."""
    page = visit(javascript=javascript)
    sign_in(page, portal, "enid.example", PASSWORD)
    expect(page).to_have_url(f"{visit.site}/updates/")


def test_error_summary_has_the_focus_without_javascript(visit: Visits) -> None:
    """The browser alone puts the focus on what is wrong."""
    page = visit(javascript=False)
    page.goto("/sign-in/")
    page.locator("main button[type=submit]").first.click()
    expect(page.locator(".govuk-error-summary")).to_be_focused()


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_pages_are_accessible_and_narrow(visit: Visits, portal: PortalWorld, lang: str) -> None:
    """Each step, and each step with an error, has no violation and no sideways scrolling."""
    page = visit(lang=lang, width=NARROW)
    page.goto("/sign-in/")
    assert_accessible(page)
    assert_fits(page)
    page.locator("main button[type=submit]").first.click()
    expect(page).to_have_title(re.compile("^(Error|Gwall): "))
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    assert_accessible(page)
    page.locator("[name=auth-username]").fill("enid.example")
    page.locator("[name=auth-password]").fill(PASSWORD)
    page.locator("main button[type=submit]").first.click()
    assert_accessible(page)
    assert_fits(page)
    page.locator("main button[type=submit]").first.click()
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    assert_accessible(page)
    assert_fits(page)

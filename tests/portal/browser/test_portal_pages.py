"""Every page beside the to-dos in a real browser, by keyboard and without script as well."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from browser_world import NARROW, assert_accessible, assert_fits, focused, tab_to
from landlord_portal.models import HousingRequest, Notice
from playwright.sync_api import expect
from test_pages import ADMINISTRATION, PAGES

if TYPE_CHECKING:
    from browser_world import Visits
    from portal_world import PortalWorld

LANGUAGES = ["en", "cy"]


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    ("username", "paths"),
    [
        ("enid.example", [*PAGES, "/sign-out/", "/welcome-back/", "/nowhere/"]),
        ("portal.administrator", ADMINISTRATION),
    ],
)
def test_pages_are_accessible_and_narrow(
    visit: Visits, portal: PortalWorld, lang: str, username: str, paths: list[str]
) -> None:
    """No page has a violation that axe can find, nor scrolls sideways in a narrow window."""
    page = visit(username, lang=lang, width=NARROW)
    for path in paths:
        page.goto(portal.fill(path) if "{" in path else path)
        assert_accessible(page)
        assert_fits(page)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    ("username", "path"),
    [
        ("enid.example", "/tenants/{tenancy}/requests/request_arrears_deduction/"),
        ("enid.example", "/properties/add/"),
        ("enid.example", "/users/add/"),
        ("portal.administrator", "/notices/publish/"),
        ("portal.administrator", "/notices/form/"),
    ],
)
def test_forms_with_errors_are_accessible(
    visit: Visits, portal: PortalWorld, lang: str, username: str, path: str
) -> None:
    """Sent empty, a form says so in its title, has the focus on what is wrong, and stays clean."""
    page = visit(username, lang=lang, width=NARROW)
    page.goto(portal.fill(path) if "{" in path else path)
    page.locator("main form button").last.click()
    expect(page).to_have_title(re.compile("^Error: " if lang == "en" else "^Gwall: "))
    summary = page.locator(".govuk-error-summary")
    expect(summary).to_be_focused()
    assert_accessible(page)
    assert_fits(page)
    for link in summary.locator("a").all():
        link.click()
        name = link.get_attribute("href")
        assert name is not None
        expect(page.locator(f"{name}, {name} input").first).to_be_focused()


@pytest.mark.parametrize("javascript", [True, False])
def test_request_is_made_by_keyboard_alone(
    visit: Visits, portal: PortalWorld, javascript: bool
) -> None:
    """From the first page to the last, with Tab, Enter and letters, with or without script."""
    page = visit("enid.example", javascript=javascript)
    page.goto("/updates/")
    page.keyboard.press("Tab")
    assert "govuk-skip-link" in focused(page)
    tab_to(page, "a[href='/tenants/']")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/tenants/$"))
    tab_to(page, "main table a")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/tenants/\d+/$"))
    tab_to(page, "a[href$='/request_apa/']")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/request_apa/$"))
    tab_to(page, "textarea")
    page.keyboard.type("A made-up reason")
    tab_to(page, "main form button")
    page.keyboard.press("Enter")
    expect(page.locator(".govuk-notification-banner--success")).to_be_visible()
    assert HousingRequest.objects.count() == 1


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("javascript", [True, False])
def test_third_automation_account_is_refused_on_the_page(
    visit: Visits, lang: str, javascript: bool
) -> None:
    """Whoever adds it reads which clauses say no; the name field for people shows for people."""
    page = visit("enid.example", lang=lang, javascript=javascript)
    page.goto("/users/add/")
    full_name = page.locator("[name=full_name]")
    page.locator("[name=kind][value=person]").check()
    expect(full_name).to_be_visible()
    page.locator("[name=kind][value=automation]").check()
    if javascript:
        expect(full_name).to_be_hidden()
    page.locator("[name=username]").fill("Acme Homes Automation 3")
    page.locator("[name=email]").fill("automation3@acme.example")
    page.locator("[name=phone]").fill("07700 900 982")
    page.locator("[name=password]").fill("made up at random 9")
    page.locator("[name=roles][value=complete_todos]").check()
    page.locator("main form button[type=submit]").last.click()
    expect(page.locator(".govuk-error-summary")).to_contain_text("step-2.limit")
    if javascript:
        assert_accessible(page)


def test_language_is_kept(visit: Visits) -> None:
    """The switch stays on the page, and the next pages stay in the language."""
    page = visit("enid.example")
    page.goto("/payments/")
    page.get_by_role("link", name="Cymraeg").click()
    expect(page).to_have_url(f"{visit.site}/payments/")
    expect(page.locator("html")).to_have_attribute("lang", "cy")
    page.goto("/users/")
    expect(page.locator("html")).to_have_attribute("lang", "cy")
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize("javascript", [True, False])
def test_payments_are_searched_and_exported(visit: Visits, javascript: bool) -> None:
    """Search, show more, take the file."""
    page = visit("enid.example", javascript=javascript)
    page.goto("/payments/")
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("tbody tr")).to_have_count(36)
    page.locator("[name=words]").fill("ACME-00001")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as CSV").click()
    assert download.value.suggested_filename == "payments.csv"
    assert len(download.value.path().read_text(encoding="utf-8-sig").splitlines()) == 4


def test_notice_is_published_and_read(visit: Visits) -> None:
    """An administrator announces a change; a landlord's user lands on it."""
    page = visit("portal.administrator")
    page.goto("/notices/")
    page.get_by_role("button", name="Publish a change of a form").click()
    for name, text in {
        "release": "R200",
        "title_en": "A new question",
        "title_cy": "Cwestiwn newydd",
        "body_en": "We will ask about garages.",
        "body_cy": "Byddwn yn gofyn am garejys.",
        "effective_on_day": "15",
        "effective_on_month": "6",
        "effective_on_year": "2027",
        "label_en": "Is there a garage?",
        "label_cy": "A oes garej?",
    }.items():
        page.locator(f"[name={name}]").fill(text)
    page.locator("[name=type][value=yes_no]").check()
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("main")).to_contain_text("sha256:")
    assert_fits(page)
    assert Notice.objects.get(release="R200").affects_automation
    reader = visit("enid.example")
    reader.goto("/")
    expect(reader).to_have_url(f"{visit.site}/updates/")
    expect(reader.locator("main")).to_contain_text("A new question (R200) New")

"""The profile's pages in a real browser: accessible, narrow, by keyboard, without script."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import pytest
from browser_world import NARROW, focused, look_at, tab_to
from landlord_portal.management.commands.seed_demo import PASSWORD
from playwright.sync_api import expect
from tenant_services.profile.registration import WRONG_ANSWERS
from tenant_world import (
    FORMER,
    HOME,
    REGISTER,
    SECRET,
    TESSA,
    UNA,
    answers,
    begin,
    contacts,
    outbox,
    stuck_customers,
    visit_as,
)

if TYPE_CHECKING:
    from browser_world import Visits
    from playwright.sync_api import Page
    from portal_world import PortalWorld
    from tenant_world import Outbox

__all__ = ["outbox"]

SLOW = pytest.mark.exhaustive
DETAILS = "/my-home/your-details/"


def send(page: Page, given: dict[str, str]) -> None:
    """Fill in a form and send it."""
    for name, text in given.items():
        page.locator(f"[name={name}]").fill(text)
    page.locator("main form button[type=submit]").first.click()


@pytest.mark.parametrize(("lang", "javascript"), [("en", False), ("cy", True)])
def test_from_the_door_to_the_first_document(
    visit: Visits, portal: PortalWorld, outbox: Outbox, lang: str, javascript: bool
) -> None:
    """Open an account, sign in, take a document; each page, and each with errors, is sound."""
    page = visit(lang=lang, javascript=javascript, width=NARROW)
    look = partial(look_at, javascript=javascript)
    summary = page.locator(".govuk-error-summary")
    page.goto("/my-home/sign-in/")
    look(page)
    page.locator("main a[href$='/register/']").click()
    look(page)
    send(page, {})
    expect(summary).to_be_focused()
    expect(page).to_have_title(re.compile("^(Error|Gwall): "))
    look(page)
    send(page, answers(name="Somebody Else"))
    expect(summary).to_be_focused()
    look(page)
    send(page, answers())
    expect(page).to_have_url(re.compile("/register/contact/$"))
    look(page)
    send(page, {"email": "una", "telephone": "1", "password": "x"})
    expect(summary).to_be_focused()
    look(page)
    send(page, contacts())
    expect(page).to_have_url(re.compile("/register/code/$"))
    look(page)
    send(page, {"code": "12"})
    expect(summary).to_be_focused()
    look(page)
    send(page, {"code": portal.code})
    expect(page).to_have_url(re.compile("/register/email/$"))
    look(page)
    page.goto(outbox.link())
    look(page)
    send(page, {"password": "not this one"})
    expect(summary).to_be_focused()
    look(page)
    send(page, {"password": SECRET})
    expect(page).to_have_url(re.compile("/sign-in/$"))
    expect(page.locator(".govuk-notification-banner--success")).to_be_visible()
    look(page)
    send(page, {"auth-username": UNA, "auth-password": SECRET})
    look(page)
    send(page, {"token-otp_token": portal.code})
    expect(page).to_have_url(re.compile("/my-home/$"))
    expect(page.locator("h1")).to_contain_text("Una Registered")
    look(page)
    page.locator("main a[href*='/tenancies/']").click()
    look(page)
    with page.expect_download() as download:
        page.locator("main a[download]").click()
    assert download.value.path().read_bytes().startswith(b"%PDF-1.7")


@pytest.mark.parametrize("lang", ["en", pytest.param("cy", marks=SLOW)])
def test_every_page_is_accessible_and_narrow(
    visit: Visits, portal: PortalWorld, outbox: Outbox, lang: str
) -> None:
    """No page, and nothing that can go wrong on one, has a violation or scrolls sideways."""
    page, _client = visit_as(visit, portal, lang=lang, width=NARROW)
    for path in (
        "/my-home/",
        f"/my-home/tenancies/{HOME}/",
        f"/my-home/tenancies/{FORMER}/",
        DETAILS,
        "/my-home/sign-out/",
        "/my-home/welcome-back/",
        f"{REGISTER}confirm/x/",
    ):
        page.goto(path)
        look_at(page)
    for kind, value in (("email", "tessa.new@people.example"), ("telephone", "07700 900888")):
        page.goto(f"{DETAILS}{kind}/")
        look_at(page)
        send(page, {"value": "x", "password": ""})
        expect(page.locator(".govuk-error-summary")).to_be_focused()
        look_at(page)
        send(page, {"value": value, "password": PASSWORD})
        look_at(page)
    page.locator("main form").nth(1).locator("button").click()
    look_at(page)
    page.goto(DETAILS)
    expect(page.locator("main form")).to_have_count(2)
    look_at(page)
    page.goto(outbox.link("tessa.new@people.example"))
    look_at(page)
    with stuck_customers():
        page.locator("main form button").click()
        look_at(page)
    page.locator("main form button").click()
    expect(page.locator(".govuk-notification-banner--success")).to_be_visible()
    look_at(page)


@pytest.mark.parametrize("lang", ["cy", pytest.param("en", marks=SLOW)])
def test_pages_for_strangers_are_accessible_and_narrow(
    visit: Visits, portal: PortalWorld, outbox: Outbox, lang: str
) -> None:
    """A forgotten password from end to end, the account that was not opened, and the lock."""
    page = visit(lang=lang, width=NARROW)
    page.goto("/my-home/sign-in/")
    page.locator("main a[href$='/forgotten-password/']").click()
    look_at(page)
    send(page, {"email": "tessa"})
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    look_at(page)
    send(page, {"email": TESSA})
    look_at(page)
    page.goto(outbox.link(TESSA))
    look_at(page)
    send(page, {"new_password": "short"})
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    look_at(page)
    send(page, {"new_password": SECRET})
    expect(page.locator(".govuk-notification-banner--success")).to_be_visible()
    page.goto(f"{REGISTER}not-opened/")
    look_at(page)
    for _ in range(WRONG_ANSWERS):
        begin(portal.client(), name="Somebody Else")
    page.goto(REGISTER)
    send(page, answers(name="Somebody Else"))
    expect(page.locator(".govuk-error-summary")).to_have_count(0)
    look_at(page)


def test_answers_survive_the_change_of_language_and_a_directory_that_is_down(
    visit: Visits, portal: PortalWorld
) -> None:
    """What was typed waits in the page; the next step is there in the other language too."""
    page = visit(javascript=False)
    page.goto(REGISTER)
    with stuck_customers():
        send(page, answers())
        expect(page.locator("main")).to_contain_text("cannot be reached")
    page.locator("main form button").click()
    expect(page).to_have_url(re.compile("/register/contact/$"))
    page.get_by_role("link", name="Cymraeg").click()
    expect(page).to_have_url(re.compile("/register/contact/$"))
    expect(page.locator("h1")).to_have_text("Sut i gysylltu â chi")


def test_by_keyboard_alone(visit: Visits, portal: PortalWorld, outbox: Outbox) -> None:
    """Nothing needs a mouse: from the dashboard to a number that is asked for and cancelled."""
    page, _client = visit_as(visit, portal)
    page.goto("/my-home/")
    keys = page.keyboard
    keys.press("Tab")
    assert "govuk-skip-link" in focused(page)

    tab_to(page, "nav a[href$='/your-details/']")
    keys.press("Enter")
    expect(page).to_have_url(re.compile("/your-details/$"))
    tab_to(page, "main a[href$='/telephone/']")
    keys.press("Enter")
    expect(page).to_have_url(re.compile("/telephone/$"))
    tab_to(page, "[name=value]")
    keys.type("07700 900888")
    tab_to(page, "[name=password]")
    keys.type(PASSWORD)
    keys.press("Enter")
    expect(page).to_have_url(re.compile("/telephone/confirm/$"))
    tab_to(page, "form[action$='/cancel/'] button")
    keys.press("Enter")
    expect(page.locator(".govuk-notification-banner--success")).to_be_visible()

"""The council's pages in a real browser: accessible, narrow, by keyboard, without script."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from browser_world import NARROW, focused, look_at, tab_to
from council_world import (
    CASEY,
    PAGES,
    PAYMENT,
    PROVE,
    answers,
    change,
    prove,
    signed_in,
    sql,
    stuck,
)
from landlord_portal.management.commands.seed_demo import PASSWORD
from playwright.sync_api import expect

if TYPE_CHECKING:
    from browser_world import Visits
    from django.test import Client
    from playwright.sync_api import Page
    from portal_world import PortalWorld

LANGUAGES = ["en", "cy"]


def visit_as(visit: Visits, portal: PortalWorld, **how: Any) -> tuple[Page, Client]:
    """Return a page in which a council's user is signed in, and a client of the same session."""
    client = signed_in(portal, CASEY, urlsplit(visit.site).netloc)
    page = visit(**how)
    session = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": visit.site}
    page.context.add_cookies([session])  # type: ignore[list-item]
    return page, client


def answer(page: Page, given: dict[str, str]) -> None:
    """Answer the questions and send them."""
    for name, text in given.items():
        page.locator(f"[name={name}]").fill(text)
    page.locator("main form button").last.click()


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("javascript", [True, False])
def test_from_the_door_to_the_schedule(
    visit: Visits, portal: PortalWorld, lang: str, javascript: bool
) -> None:
    """Sign in, prove, look at the summary, search, page, take the schedule; each page is sound."""
    page = visit(lang=lang, javascript=javascript, width=NARROW)
    look = partial(look_at, javascript=javascript)
    page.goto("/council/")
    look(page)
    page.locator("[name=auth-username]").fill(CASEY)
    page.locator("[name=auth-password]").fill(PASSWORD)
    page.locator("main button[type=submit]").first.click()
    expect(page.locator("[name=auth-password]")).to_have_count(0)
    look(page)
    page.locator("[name=token-otp_token]").fill(portal.code)
    page.locator("main button[type=submit]").first.click()
    expect(page).to_have_url(re.compile(re.escape(PROVE)))
    look(page)
    page.locator("main form button").last.click()
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    expect(page).to_have_title(re.compile("^(Error|Gwall): "))
    look(page)
    answer(page, answers(amount="1.00"))
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    expect(page.locator("[name=payee]")).to_have_value("Acme Homes Ltd.")
    look(page)
    answer(page, answers())
    expect(page).to_have_url(re.compile(r"/landlord-payments/\d+/$"))
    expect(page.locator(".govuk-notification-banner--success")).to_be_visible()
    look(page)
    page.locator("main a[href$='/payments/']").click()
    expect(page).to_have_url(re.compile("/payments/$"))
    look(page)
    expect(page.locator("tbody tr")).to_have_count(25)
    page.locator("main button[name=page]").click()
    expect(page.locator("tbody th").first).to_have_text("7000123-0035")
    look(page)
    page.locator("[name=words]").fill(PAYMENT)
    page.locator("main form button").first.click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("tbody a").click()
    expect(page).to_have_url(re.compile(f"/payments/{PAYMENT}/$"))
    look(page)
    page.locator("[name=words]").fill("mcsample")
    page.locator("main form button").first.click()
    expect(page.locator("tbody tr")).to_have_count(6)
    with page.expect_download() as download:
        page.locator("main a[download]").click()
    assert download.value.suggested_filename == f"payment-{PAYMENT}.csv"
    assert len(download.value.path().read_text(encoding="utf-8-sig").splitlines()) == 31


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_page_is_accessible_and_narrow(visit: Visits, portal: PortalWorld, lang: str) -> None:
    """No page, and nothing that can go wrong on one, has a violation or scrolls sideways."""
    page, client = visit_as(visit, portal, lang=lang, width=NARROW)
    proof = prove(client)
    prove(client, "7000456")
    change(sql.payments.update().values(pence=1).where(sql.payments.c.number == PAYMENT))
    for path in [*PAGES, "/council/sign-out/", "/council/welcome-back/", "/council/nowhere/"]:
        page.goto(path.format(proof=proof))
        look_at(page)
    page.goto(PAGES[3].format(proof=proof))
    page.locator("[name=since_day]").fill("99")
    page.locator("main form button").first.click()
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    look_at(page)
    with stuck():
        page.goto(PAGES[2].format(proof=proof))
        look_at(page)
    for _ in range(6):
        page.goto(PROVE)
        answer(page, {"reference": "1", "payee": "x", "amount": "1"})
    expect(page.locator(".govuk-error-summary")).to_have_count(0)
    look_at(page)


@pytest.mark.parametrize("javascript", [True, False])
def test_nothing_is_lost_while_the_back_office_is_down(
    visit: Visits, portal: PortalWorld, javascript: bool
) -> None:
    """The answers wait in the page; one button sends them when the back office is there again."""
    page, _client = visit_as(visit, portal, javascript=javascript)
    page.goto(PROVE)
    right = answers()
    with stuck():
        answer(page, right)
        expect(page.locator("main")).to_contain_text("cannot be reached")
    page.locator("main form button").click()
    expect(page.locator(".govuk-notification-banner--success")).to_be_visible()


def test_by_keyboard_alone(visit: Visits, portal: PortalWorld) -> None:
    """Nothing needs a mouse: tabs, letters and enter lead from the questions to a line."""
    page, _client = visit_as(visit, portal)
    page.goto("/council/")
    keys = page.keyboard
    keys.press("Tab")
    assert "govuk-skip-link" in focused(page)

    for name, text in answers().items():
        tab_to(page, f"[name={name}]")
        keys.type(text)
    keys.press("Enter")
    expect(page).to_have_url(re.compile(r"/landlord-payments/\d+/$"))
    tab_to(page, f"main a[href$='/payments/{PAYMENT}/']")
    keys.press("Enter")
    expect(page).to_have_url(re.compile(f"/payments/{PAYMENT}/$"))
    tab_to(page, "[name=words]")
    keys.type("HB100007")
    keys.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    tab_to(page, ".demo-scroll")

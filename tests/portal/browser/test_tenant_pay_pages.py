"""Paying by card in a real browser, the provider's pages included."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from browser_world import NARROW, focused, look_at
from pay_world import ask, begin, choose, entries, page_of, pay_page, provider
from playwright.sync_api import expect
from pretend_pay import Fault
from tenant_services.payments.pay_models import CardPayment
from tenant_world import GARAGE, HOME, visit_as

if TYPE_CHECKING:
    from browser_world import Visits
    from playwright.sync_api import Page
    from portal_world import PortalWorld
    from pretend_pay import Running

__all__ = ["provider"]

LANGUAGES = ["en", "cy"]
LIST = "/my-home/rent/card-payments/"


def payer(visit: Visits, portal: PortalWorld, server: Running, **how: Any) -> tuple[Page, Any]:
    """Return a tenant's page that may go to the provider too, and a client of the same session."""
    page, client = visit_as(visit, portal, **how)
    page.context.route(f"{server.pay.address}/**", lambda route: route.continue_())
    client.cookies["django_language"] = how.get("lang", "en")
    return page, client


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("javascript", [True, False])
def test_from_the_account_to_the_receipt(
    visit: Visits, portal: PortalWorld, provider: Running, lang: str, javascript: bool
) -> None:
    """Open the account, pay what is owed after a slip, and come back; every page is sound."""
    page, _client = payer(visit, portal, provider, lang=lang, javascript=javascript, width=NARROW)
    page.goto(f"/my-home/rent/{GARAGE}/")
    page.locator(f"main a[href='{pay_page(GARAGE)}']").click()
    look_at(page, javascript=javascript)
    expect(page.locator("[name=amount]")).to_have_value(re.compile(r"^\d+\.\d\d$"))
    page.locator("[name=amount]").fill("a lot")
    page.locator("main form button").click()
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    expect(page).to_have_title(re.compile("^(Error|Gwall): "))
    expect(page.locator("[name=amount]")).to_have_value("a lot")
    look_at(page, javascript=javascript)
    page.locator("[name=amount]").fill("12.34")
    page.locator("main form button").click()
    expect(page).to_have_url(re.compile(f"^{provider.pay.address}/secure/"))
    expect(page.locator("html")).to_have_attribute("lang", lang)
    expect(page.locator("dd").nth(2)).to_have_text("£12.34")
    look_at(page, javascript=javascript)
    page.locator("button[value=pay]").click()
    expect(page.locator(".govuk-panel__body")).to_have_text("£12.34")
    look_at(page, javascript=javascript)
    page.reload()
    page.goto(LIST)
    expect(page.locator("tbody tr")).to_have_count(1)
    look_at(page, javascript=javascript)
    assert entries(GARAGE) == [1234]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_page_is_accessible_and_narrow(
    visit: Visits, portal: PortalWorld, provider: Running, lang: str
) -> None:
    """Whatever became of a payment, its page and the list are sound; so are the provider's."""
    page, client = payer(visit, portal, provider, lang=lang, width=NARROW)
    page.goto(LIST)
    look_at(page)
    paths = []
    for choice in ("pay", "decline", "cancel", "expire", "error", "wait"):
        _payment, there = begin(client)
        paths.append(choose(there, choice))
    payment, there = begin(client)
    paths += [page_of(payment), there, pay_page(), LIST]
    flagged, flagged_there = begin(client)
    provider.pay.payments[str(flagged.provider_id)].asked["reference"] = "another"
    paths.append(page_of(flagged))
    titles = set()
    for path in paths:
        page.goto(path)
        look_at(page)
        assert page.locator("h1").count() == 1
        titles.add(page.title())
    assert len(titles) == len(paths)
    for there in (
        choose(flagged_there, "pay") and flagged_there,
        f"{provider.pay.address}/nowhere",
    ):
        page.goto(there)
        look_at(page)
    provider.pay.faults.add(Fault.FAILS)
    ask(client, "5")
    for path in (page_of(payment), page_of(CardPayment.objects.get(pence=500)), LIST, pay_page()):
        page.goto(path)
        look_at(page)
        titles.add(page.title())
    assert len(titles) == len(paths) + 2


def test_by_keyboard_alone(visit: Visits, portal: PortalWorld, provider: Running) -> None:
    """Type the amount, press Enter; tab to the provider's button, press Enter; it is paid."""
    page, _client = payer(visit, portal, provider)
    page.goto(pay_page())
    for _ in range(30):
        page.keyboard.press("Tab")
        if focused(page).startswith("input#id_amount"):
            break
    page.keyboard.press("Control+A")
    page.keyboard.type("12.34")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"^{provider.pay.address}/"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "pay"
    page.keyboard.press("Enter")
    expect(page.locator(".govuk-panel__body")).to_have_text("£12.34")
    assert entries() == [1234]


def test_double_click_and_going_back_pay_once(
    visit: Visits, portal: PortalWorld, provider: Running
) -> None:
    """The button clicked twice, the browser's Back and the same again: one payment."""
    page, _client = payer(visit, portal, provider)
    page.goto(pay_page())
    page.locator("[name=amount]").fill("12.34")
    page.locator("main form button").dblclick()
    expect(page).to_have_url(re.compile(f"^{provider.pay.address}/"))
    page.locator("button[value=pay]").click()
    expect(page.locator(".govuk-panel")).to_be_visible()
    page.go_back()
    page.go_back()
    expect(page).to_have_url(re.compile(re.escape(pay_page())))
    page.locator("[name=amount]").fill("12.34")
    page.locator("main form button").click()
    expect(
        page.locator(".govuk-panel, form button[value=pay], main form button").first
    ).to_be_visible()
    assert entries(HOME) == [1234]


def test_provider_down_after_paying_is_told_and_mended(
    visit: Visits, portal: PortalWorld, provider: Running
) -> None:
    """The page says not to pay again; 'Check again' finds the payment when the provider is up."""
    page, client = payer(visit, portal, provider)
    provider.pay.faults.add(Fault.DOWN_AFTER_PAYING)
    payment, there = begin(client)
    page.goto(there)
    page.locator("button[value=pay]").click()
    expect(page).to_have_url(re.compile(re.escape(page_of(payment))))
    expect(page.locator("main strong").first).to_have_text("Do not pay again.")
    provider.pay.faults.clear()
    page.get_by_role("button", name="Check again").click()
    expect(page.locator(".govuk-panel__body")).to_have_text("£12.34")
    assert entries() == [1234]


def test_going_on_and_cancelling(visit: Visits, portal: PortalWorld, provider: Running) -> None:
    """A payment that was left is gone on with, left again, and cancelled."""
    page, client = payer(visit, portal, provider)
    payment, there = begin(client)
    page.goto(pay_page())
    page.locator(f"main a[href='{page_of(payment)}']").click()
    page.get_by_role("button", name="Continue to pay").click()
    expect(page).to_have_url(there)
    page.goto(page_of(payment))
    page.get_by_role("button", name="Cancel the payment").click()
    expect(page.locator("h1")).to_have_text("The payment was cancelled")
    page.get_by_role("button", name="Pay again").click()
    expect(page).to_have_url(re.compile(re.escape(pay_page())))
